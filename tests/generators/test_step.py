"""One step of the game, written out for a generator and a discriminator of few parameters.

The discriminator is psi x and the loss Wasserstein's, so that every move is a mean of draws that
the keys of the streams give.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sigmaprop.generators import gan, networks, optimizers, regularizers, spectral
from sigmaprop.generators import step as steps

from . import small_games

DIM, BATCH, RATE, SIGMA, T = 2, 8, 0.1, 0.3, 5
THETA, PSI = np.array([0.5, -1.0]), np.array([1.0, 2.0])
DATA = np.random.default_rng(0).standard_normal((50, DIM)).astype(np.float32)
CLOSE: Any = {"rtol": 0, "atol": 1e-6}


def build(arms=("fixed", "global"), discriminator=None, **options):
    return small_games.make(
        networks.constant_generator(DIM, init=THETA),
        discriminator or networks.bilinear_discriminator(DIM, init=PSI),
        arms,
        loss="wasserstein",
        optimizer=optimizers.get("sgd"),
        batch_size=BATCH,
        **options,
    )


def step(spec, arm="fixed", **options):
    """Keys of the step, the state after it, and what it told by name."""
    own = small_games.hypers(spec, arm, sigma=SIGMA, rate=RATE, **options)
    keys, state = gan.streams(own.key), gan.init(spec, own)
    after, told = jax.jit(functools.partial(steps.step, spec))(
        own, state, jnp.asarray(DATA), keys, jnp.asarray(T)
    )
    now = {name: jax.random.fold_in(key, T) for name, key in keys.items()}
    return now, after, dict(zip(gan.METRICS, np.asarray(told), strict=True))


def normal(key, *shape):
    return np.asarray(jax.random.normal(key, shape or (BATCH, DIM)), np.float64)


def real(key):
    return DATA[np.asarray(jax.random.randint(key, (BATCH,), 0, len(DATA)))]


def psi_of(state):
    (leaf,) = jax.tree.leaves(state.discriminator)
    return np.asarray(leaf)[:, 0]


def moved(psi, examples, fake):
    """psi after gradient descent on mean D(fake) - mean D(real)."""
    return psi - RATE * (fake.mean(0) - examples.mean(0))


def test_the_discriminator_moves_by_its_draws():
    keys, state, told = step(build())
    fake = THETA + SIGMA * normal(keys["noise_discriminator"])
    np.testing.assert_allclose(psi_of(state), moved(PSI, real(keys["data"]), fake), **CLOSE)
    expected = (fake @ PSI).mean() - (real(keys["data"]) @ PSI).mean()
    np.testing.assert_allclose(told["discriminator_loss"], expected, **CLOSE)
    np.testing.assert_allclose(told["logit_real"], (real(keys["data"]) @ PSI).mean(), **CLOSE)
    np.testing.assert_allclose(told["logit_fake"], (fake @ PSI).mean(), **CLOSE)


@pytest.mark.parametrize("simultaneous", [False, True])
def test_the_generator_moves_against_the_discriminator_it_should_see(simultaneous):
    keys, state, told = step(build(simultaneous=simultaneous), "global")
    judge = PSI if simultaneous else psi_of(state).astype(np.float64)
    np.testing.assert_allclose(state.player.network["mean"], THETA + RATE * judge, **CLOSE)
    fake = THETA + SIGMA * normal(keys["noise_generator"])
    np.testing.assert_allclose(told["generator_loss"], -(fake @ judge).mean(), **CLOSE)
    slope = -SIGMA * (normal(keys["noise_generator"]) @ judge).mean()
    np.testing.assert_allclose(told["sigma_slope"], slope, **CLOSE)
    expected = np.log(SIGMA) - RATE * slope
    np.testing.assert_allclose(state.player.noise["global"], expected, **CLOSE)


def test_shared_noise_is_on_real_examples_too_and_only_there_where_it_is_shared():
    spec = build(shared=True)
    for shared in (False, True):
        keys, state, _ = step(spec, shared=shared)
        examples = real(keys["data"]) + shared * SIGMA * normal(keys["noise_real"])
        fake = THETA + SIGMA * normal(keys["noise_discriminator"])
        np.testing.assert_allclose(psi_of(state), moved(PSI, examples, fake), **CLOSE)


def test_instance_noise_is_on_all_that_the_discriminator_sees():
    keys, state, told = step(build(instance_noise=True), instance_noise=0.7)
    noise = 0.7 * normal(keys["instance_discriminator"], 2 * BATCH, DIM)
    fake = THETA + SIGMA * normal(keys["noise_discriminator"])
    expected = moved(PSI, real(keys["data"]) + noise[:BATCH], fake + noise[BATCH:])
    np.testing.assert_allclose(psi_of(state), expected, **CLOSE)
    own = SIGMA * normal(keys["noise_generator"]) + 0.7 * normal(keys["instance_generator"])
    loss = -((THETA + own) @ psi_of(state)).mean()
    np.testing.assert_allclose(told["generator_loss"], loss, **CLOSE)


def test_no_draw_of_a_step_has_the_key_of_another():
    """One key gives one number twice: a second step's eps was the noise of a first one's factor."""
    roots = gan.streams(jax.random.key(0))
    found = [
        tuple(np.asarray(jax.random.key_data(one)).tolist())
        for t in range(3)
        for d_step in range(4)
        for key in steps.step_keys(roots, jnp.asarray(t), d_step).values()
        for one in (key, *(jax.random.fold_in(key, number) for number in range(8)))
    ]
    assert len(set(found)) == len(found)


def test_each_turn_of_the_discriminator_has_draws_of_its_own():
    keys, state, _ = step(build(discriminator_steps=3))
    psi = PSI
    for turn in range(3):
        further = {k: jax.random.fold_in(v, 2**16 + turn) for k, v in keys.items()}
        now = keys if turn == 0 else further
        fake = THETA + SIGMA * normal(now["noise_discriminator"])
        psi = moved(psi, real(now["data"]), fake)
    np.testing.assert_allclose(psi_of(state), psi, **CLOSE)


def test_all_streams_are_different():
    keys = gan.streams(jax.random.key(0))
    data = {jax.random.key_data(key).tobytes() for key in keys.values()}
    assert len(data) == len(gan.STREAMS) == len(set(gan.STREAMS.values()))


@pytest.mark.parametrize("where", ["clean", "noised"])
def test_penalties_are_taken_where_they_say(where):
    """The loss with R1 and R2 is the loss without and the penalties at points written out."""
    net = networks.mlp_discriminator(DIM, widths=(4,), activation="tanh")
    options: Any = {"discriminator": net, "shared": True}
    spec = build(penalties=("r1", "r2"), penalty_points=where, **options)
    weights = {"r1": 0.5, "r2": 2.0}
    keys, _, told = step(spec, shared=True, penalties=weights)
    _, _, without = step(build(**options), shared=True)
    noise = SIGMA * (where == "noised")
    points = regularizers.Points(
        jnp.asarray(real(keys["data"]) + noise * normal(keys["noise_real"])),
        jnp.asarray(THETA + noise * normal(keys["noise_discriminator"])),
    )
    params = gan.init(spec, small_games.hypers(spec, "fixed", sigma=SIGMA)).discriminator
    expected = regularizers.penalty(
        {name: jnp.asarray(weight) for name, weight in weights.items()},
        lambda x: net.apply(params, x),
        points,
    )
    added = told["discriminator_loss"] - without["discriminator_loss"]
    np.testing.assert_allclose(added, expected, rtol=0, atol=2e-6)


def test_approximate_penalties_are_the_differences_of_logits_a_draw_away():
    """At examples as they are seen, the real and the generated ones with noise of their own."""
    net = networks.mlp_discriminator(DIM, widths=(4,), activation="tanh")
    options: Any = {"discriminator": net, "penalty_points": "noised"}
    names = ("approximate_r1", "approximate_r2")
    weights = dict(zip(names, (30.0, 70.0), strict=True))
    spec = build(penalties=names, **options)
    keys, _, told = step(spec, penalties=weights, penalty_sigma=0.1)
    _, _, without = step(build(**options))
    params = gan.init(spec, small_games.hypers(spec, "fixed", sigma=SIGMA)).discriminator
    see = lambda x: np.asarray(net.apply(params, jnp.asarray(x, jnp.float32)), np.float64)  # noqa: E731
    fake = THETA + SIGMA * normal(keys["noise_discriminator"])
    added = 0.0
    for number, (name, x) in enumerate(zip(names, (real(keys["data"]), fake), strict=True)):
        eps = normal(jax.random.fold_in(keys["penalty_noise"], number))
        added += weights[name] * np.mean((see(x + 0.1 * eps) - see(x)) ** 2)
    found = told["discriminator_loss"] - without["discriminator_loss"]
    np.testing.assert_allclose(found, added, rtol=0, atol=2e-5)  # 100 x .1^2 of logits' rounding


def test_spectral_normalisation_is_in_the_discriminators_loss():
    net = networks.mlp_discriminator(DIM, widths=(4,))
    spec = build(discriminator=net, spectral_norm=True)
    keys, after, told = step(spec)
    state = gan.init(spec, small_games.hypers(spec, "fixed"))
    params, singular = spectral.normalise(state.discriminator, state.spectral)
    fake = THETA + SIGMA * normal(keys["noise_discriminator"])
    logits = [net.apply(params, jnp.asarray(x, jnp.float32)) for x in (fake, real(keys["data"]))]
    expected = jnp.mean(logits[0]) - jnp.mean(logits[1])
    np.testing.assert_allclose(told["discriminator_loss"], expected, **CLOSE)
    for new, old in zip(after.spectral.u, singular.u, strict=True):
        np.testing.assert_allclose(new, old, **CLOSE)


def test_sigma_follows_its_schedule():
    _, _, told = step(build(("scheduled",)), "scheduled")
    kind, first, last, length = small_games.SCHEDULE
    assert kind == "linear"
    np.testing.assert_allclose(told["sigma"], first + (last - first) * T / length, **CLOSE)


@pytest.mark.parametrize("latent", ["normal", "uniform"])
def test_latents_have_mean_zero_and_variance_one(latent):
    spec = build(latent=latent)
    z = np.asarray(gan.latent(spec, jax.random.key(0), 100_000), np.float64)
    fourth = {"normal": 3.0, "uniform": 9 / 5}[latent]
    assert abs(z.mean()) < 5 / np.sqrt(z.size)
    assert abs(np.mean(z**2) - 1) < 5 * np.sqrt((fourth - 1) / z.size)
    assert latent == "normal" or np.abs(z).max() <= np.sqrt(3)


def test_a_bounded_sigma_stays_within_its_bounds_and_counts_the_steps_there():
    _, state, told = step(build(("global",)), "global", bounds=(0.3, 0.3))
    np.testing.assert_allclose(np.exp(state.player.noise["global"]), 0.3, rtol=1e-6)
    assert told["at_floor"] == told["at_ceiling"] == 1.0


@pytest.mark.slow
def test_an_entropy_weight_pushes_sigma_up():
    """A constant mean: dH/dlog sigma is D, whatever the discriminator says."""
    spec = build(("global",), entropy=True)
    own = small_games.hypers(spec, "global", sigma=SIGMA, rates=(0.0, 0.0, 1.0))
    state, keys = gan.init(spec, own), gan.streams(own.key)

    def slope(weight, t):
        hypers = own._replace(entropy_weight=weight)
        after, _ = steps.step(spec, hypers, state, jnp.asarray(DATA), keys, t)
        return after.player.noise["global"] - state.player.noise["global"]

    found = jax.jit(jax.vmap(jax.vmap(slope, (None, 0)), (0, None)))(
        jnp.asarray([0.0, 1.0]), jnp.arange(200)
    )
    pushed = np.asarray(found, np.float64)
    pushed = pushed[1] - pushed[0]
    assert abs(pushed.mean() - DIM) < 5 * pushed.std(ddof=1) / np.sqrt(pushed.size)


def test_a_detached_mean_is_not_moved_by_the_gradient_to_sigma():
    """The discriminator is psi x, so the gradient to the mean does not depend on sigma(z) at all:
    what joint gradients add to the network is the head's, and without it the network moves as that
    of the arm fixed, while the head has the same gradient either way.
    """
    kept = {}
    for choice in ("joint", "detached"):
        spec = small_games.make(
            networks.mlp_generator(2, DIM, widths=(4,), activation="tanh"),
            networks.bilinear_discriminator(DIM, init=PSI),
            ("fixed", "heteroscedastic"),
            loss="wasserstein",
            optimizer=optimizers.get("sgd"),
            batch_size=BATCH,
            mean_gradient=choice,
        )
        for arm in ("fixed", "heteroscedastic"):
            own = small_games.hypers(spec, arm, sigma=SIGMA, rate=RATE)
            state, keys = gan.init(spec, own), gan.streams(own.key)
            # A head of zeros passes no gradient on to what it reads.
            head = state.player.noise["heteroscedastic"]
            head = head | {"kernel": jnp.full_like(head["kernel"], 0.5)}
            player = state.player._replace(noise={"heteroscedastic": head})
            state = state._replace(player=player)
            moved = steps.move_generator(
                spec, own, state, state, jnp.asarray(DATA), keys, jnp.asarray(T)
            )[1]
            kept[choice, arm] = moved.grads
    plain = kept["detached", "fixed"].network
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6),
        plain,
        kept["detached", "heteroscedastic"].network,
    )
    joint = kept["joint", "heteroscedastic"]
    first = (joint.network["hidden_0"]["kernel"], plain["hidden_0"]["kernel"])
    assert np.abs(first[0] - first[1]).max() > 1e-3
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6),
        joint.noise,
        kept["detached", "heteroscedastic"].noise,
    )
