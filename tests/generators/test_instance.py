"""Levels of instance noise: their laws, what the discriminator is told, and a level that adapts."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from sigmaprop.generators import gan, instance, networks, observation, optimizers
from sigmaprop.generators import step as steps

from . import small_games

DIM, BATCH, RATE, T = 2, 8, 0.1, 3
THETA, PSI = np.array([0.5, -1.0]), np.array([1.0, 2.0])
DATA = np.random.default_rng(0).standard_normal((50, DIM)).astype(np.float32)
STD = 0.4


@pytest.mark.parametrize(
    ("law", "exact"),
    [("uniform", stats.uniform), ("half_normal", stats.halfnorm), ("log_normal", stats.lognorm(1))],
)
def test_levels_have_their_laws(law, exact):
    """Kolmogorov and Smirnov's test of 4,000 draws, at 1e-4."""
    own = instance.instance(law)
    drawn = np.ravel(instance.levels(own.law, jax.random.key(0), 4000))
    assert stats.kstest(drawn, exact.cdf).pvalue > 1e-4


def test_the_constant_level_is_one():
    own = instance.instance()
    assert (np.asarray(instance.levels(own.law, jax.random.key(0), 5)) == 1.0).all()


def test_an_unknown_law_is_refused():
    with pytest.raises(ValueError, match="did you mean 'uniform'"):
        instance.instance("unifrom")


@pytest.mark.parametrize(
    ("share", "sign", "target", "exact"),
    [
        (0.5, 0.9, 0.6, 0.51),
        (0.5, 0.1, 0.6, 0.49),
        (0.5, 0.6, 0.6, 0.5),
        (1.0, 0.9, 0.6, 1.0),
        (0.05, -0.9, 0.6, 0.05),
        (0.5, 0.9, 0.0, 1.0),
    ],
)
def test_the_largest_level_follows_the_sign(share, sign, target, exact):
    own = instance.instance(target=target, rate=0.01)
    found = instance.adapted(jnp.asarray(share), jnp.asarray(sign), own)
    np.testing.assert_allclose(found, exact, rtol=1e-6)


def build(**options):
    discriminator = options.pop("discriminator", networks.bilinear_discriminator(DIM, init=PSI))
    return small_games.make(
        networks.constant_generator(DIM, init=THETA),
        discriminator,
        options.pop("arms", ("zero",)),
        loss=options.pop("loss", "wasserstein"),
        optimizer=optimizers.get("sgd"),
        batch_size=BATCH,
        instance_noise=True,
        **options,
    )


def step(spec, arm="zero", own=None, **options):
    hypers = small_games.hypers(spec, arm, rate=RATE, instance_noise=STD, **options)
    hypers = hypers._replace(instance=own)
    keys, state = gan.streams(hypers.key), gan.init(spec, hypers)
    after, told = jax.jit(functools.partial(steps.step, spec))(
        hypers, state, jnp.asarray(DATA), keys, jnp.asarray(T)
    )
    now = {name: jax.random.fold_in(key, T) for name, key in keys.items()}
    return now, after, dict(zip(spec.metrics, np.asarray(told), strict=True))


def real(key):
    return DATA[np.asarray(jax.random.randint(key, (BATCH,), 0, len(DATA)))].astype(np.float64)


def psi_of(state):
    (leaf,) = jax.tree.leaves(state.discriminator)
    return np.asarray(leaf, np.float64)[:, 0]


def test_a_real_and_a_generated_example_share_a_level():
    """One step by hand: psi moves by the difference of the means that it sees."""
    own = instance.instance("log_normal")
    keys, state, _ = step(build(random_level=True), own=own)
    each = STD * np.asarray(instance.levels(own.law, keys["level_discriminator"], BATCH))
    eps = np.asarray(jax.random.normal(keys["instance_discriminator"], (2 * BATCH, DIM)))
    examples, fake = real(keys["data"]) + each * eps[:BATCH], THETA + each * eps[BATCH:]
    expected = PSI - RATE * (fake.mean(0) - examples.mean(0))
    np.testing.assert_allclose(psi_of(state), expected, atol=1e-6)


def test_estimators_see_each_example_with_its_own_level():
    """D is linear, so the loss by hand; an estimator has one draw of eps for all latents."""
    own = instance.instance("uniform")
    spec = build(arms=("global",), random_level=True, sigma_gradient="pathwise+at_mean")
    keys, state, told = step(spec, "global", own, sigma=1e-6)
    each = STD * np.asarray(instance.levels(own.law, keys["level_generator"], BATCH))
    eps = np.asarray(jax.random.normal(keys["instance_generator"], (1, DIM)))
    expected = -((THETA + each * eps) @ psi_of(state)).mean()
    np.testing.assert_allclose(told["generator_loss"], expected, rtol=1e-4)


class Told:
    """A discriminator that is nothing but the level that it is told, times a parameter."""

    @staticmethod
    def network(dim):
        inner = networks.bilinear_discriminator(dim + 1, init=np.array([0.0] * dim + [1.0]))
        return instance.told(inner, (dim,), False)


def test_the_discriminator_is_told_the_std_of_each_example():
    own = instance.instance("uniform")
    spec = build(random_level=True, told=True, discriminator=Told.network(DIM))
    keys, _, told = step(spec, own=own)
    each = STD * np.asarray(instance.levels(own.law, keys["level_discriminator"], BATCH))
    np.testing.assert_allclose(told["logit_real"], each.mean(), rtol=1e-5)
    np.testing.assert_allclose(told["logit_fake"], each.mean(), rtol=1e-5)


def test_without_a_level_it_is_told_none():
    net = Told.network(DIM)
    params = net.init(jax.random.key(0))
    assert net.in_dim == DIM
    assert (np.asarray(net.apply(params, jnp.ones((3, DIM)))) == 0).all()


def test_an_image_is_told_by_a_plane():
    shape = (28, 28, 1)
    inner = networks.get_discriminator("dcgan", instance.told_shape(shape, True), widths=(4,))
    net = instance.told(inner, shape, True)
    params = net.init(jax.random.key(0))
    x, level = jax.random.normal(jax.random.key(1), (2, 784)), jnp.asarray([[0.0], [0.5]])
    images = jnp.concatenate([x[..., None], jnp.broadcast_to(level[:, None], (2, 784, 1))], -1)
    expected = inner.apply(params, images.reshape(2, -1))
    np.testing.assert_array_equal(net.apply(params, x, None, level), expected)


def test_the_level_of_a_run_follows_the_discriminator():
    """Data far from the point, so that D is sure of them: the level stays at its largest; where D
    says nothing of them (psi = 0 stays so at rate 0), it falls by the rate to its floor.
    """
    own = instance.instance(target=0.5, rate=0.02)
    data = np.full((4, DIM), 100.0, np.float32) * np.sign(PSI)
    falling = build(adaptive=True, discriminator=networks.bilinear_discriminator(DIM, init=[0, 0]))
    for spec, rates, exact in (
        (build(adaptive=True), (RATE,) * 3, 1.0),
        (falling, (0.0,) * 3, 1 - 0.02 * 10),
    ):
        hypers = small_games.hypers(spec, "zero", rates=rates, instance_noise=STD)
        each = [hypers._replace(instance=own)]
        state, windows = small_games.run(spec, each, data, (10,), every=10)
        np.testing.assert_allclose(state.instance_share[0], exact, rtol=1e-5)
        last = dict(zip(spec.metrics, np.asarray(windows)[0, 0], strict=True))
        shares = 1 - 0.02 * np.arange(1, 11) if exact < 1 else np.ones(10)
        np.testing.assert_allclose(last[gan.ADAPTS], shares.mean(), rtol=1e-5)


def test_noise_that_the_discriminator_moves_goes_the_other_way():
    """Shared noise, by hand: D = psi x with Wasserstein's loss; dloss/dsigma = psi (fake - real)
    noise, descended by the discriminator and ascended against it by the generator's game.
    """
    sigma = 0.3
    spec = build(arms=("global",), shared=True, sigma_player="discriminator")
    hypers = small_games.hypers(spec, "global", sigma=sigma, rate=RATE, shared=True)
    keys, state = gan.streams(hypers.key), gan.init(spec, hypers)
    now = {name: jax.random.fold_in(key, T) for name, key in keys.items()}
    moved, _ = steps.move_discriminator(spec, hypers, state, jnp.asarray(DATA), now, jnp.asarray(T))
    fake = np.asarray(gan.draws(spec, now["noise_discriminator"], BATCH).eps, np.float64)
    own = np.asarray(gan.draws(spec, now["noise_real"], BATCH).eps, np.float64)
    slope = sigma * ((fake - own) @ PSI).mean()
    before, after = (float(one.player.noise["global"]) for one in (state, moved))
    np.testing.assert_allclose(after, before - RATE * slope, rtol=1e-5)
    # The generator's own move leaves it where it is.
    last, _ = steps.move_generator(
        spec, hypers, moved, moved, jnp.asarray(DATA), now, jnp.asarray(T)
    )
    assert float(last.player.noise["global"]) == after


@pytest.mark.slow
def test_shared_noise_of_the_discriminator_falls_and_of_the_generator_rises():
    """A point beside data of std 1: noise hides what the generator cannot make."""
    slopes = {}
    for player in ("generator", "discriminator"):
        spec = small_games.make(
            networks.constant_generator(DIM, init=THETA),
            networks.mlp_discriminator(DIM, widths=(16,)),
            ("global",),
            shared=True,
            sigma_player=player,
            batch_size=64,
        )
        each = [
            small_games.hypers(spec, "global", seed=seed, sigma=0.3, shared=True)
            for seed in range(4)
        ]
        state, _ = small_games.run(spec, each, DATA, (1000,), every=1000)
        slopes[player] = np.asarray(state.player.noise["global"]) - np.log(0.3)
    assert (slopes["generator"] > 0).all()
    assert (slopes["discriminator"] < 0).all()


def test_every_arm_trains_with_all_of_it():
    """One program of all arms with random levels that are told and adapt: nothing diverges."""
    arms = tuple(name for name, arm in observation.ARMS.items() if arm.shares)
    spec = small_games.make(
        networks.mlp_generator(2, DIM, widths=(4,)),
        instance.told(networks.mlp_discriminator(DIM + 1, widths=(4,)), (DIM,), False),
        arms,
        loss="relativistic",
        instance_noise=True,
        random_level=True,
        told=True,
        adaptive=True,
    )
    each = [
        small_games.hypers(spec, arm, instance_noise=STD)._replace(
            instance=instance.instance("half_normal", 0.6)
        )
        for arm in arms
    ]
    state, _ = small_games.run(spec, each, DATA, (5,))
    assert (np.asarray(state.diverged_at) == -1).all()
