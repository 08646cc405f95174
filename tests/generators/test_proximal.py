"""The proximal step of a learned scale, and what of the entropy it leaves to the gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize
from sigmaprop.experiments.gan import plan
from sigmaprop.experiments.gan.config import GanConfig, GanSweep

from sigmaprop.generators import gan, networks, optimizers, proximal, step

from . import small_games

DIM, LATENTS, START, WEIGHT, RATE = 3, 2, 0.3, 0.5, 0.02
SGD = optimizers.get("sgd")


@pytest.mark.parametrize("point", [-3.0, -0.1, 0.0, 0.5, 40.0])
@pytest.mark.parametrize(("rate", "weight"), [(1e-3, 1e-3), (0.5, 0.02), (1.0, 2.0)])
def test_the_step_minimises_what_it_says(point, rate, weight):
    """-w log s + (s - point)^2 / (2 r), by the root of its slope in float64."""
    found = float(proximal.log_step(jnp.float32(point), jnp.float32(rate * weight)))

    def slope(scale):
        return -weight / scale + (scale - point) / rate

    exact = optimize.brentq(slope, 1e-12, 1e4, xtol=1e-15, rtol=1e-13)
    assert found == pytest.approx(exact, rel=1e-5)


def test_a_step_of_no_length_leaves_a_scale_as_it_is():
    scales = jnp.asarray([1e-12, 0.1, 0.3, 7.0, 1e6])
    np.testing.assert_array_equal(proximal.log_step(scales, jnp.zeros(())), scales)
    assert proximal.log_step(jnp.float32(-0.5), jnp.zeros(())) == 0


@pytest.mark.parametrize("rate", [0.01, 0.3, 0.9])
def test_gradient_and_proximal_steps_end_where_their_sum_is_least(rate):
    """a s^2 / 2 - w log s is least at sqrt(w / a); with r a < 1 each step comes nearer by 1 - r a
    or more, from above and below. With one root's 4 left out it ends elsewhere."""
    a, w, num = 1.0, 0.04, 1500
    scale = jnp.asarray([1e-4, 0.1, 5.0])
    first = np.abs(scale - np.sqrt(w / a))

    def both(scale, move):
        return jax.lax.fori_loop(
            0, num, lambda _, s: move(s - rate * a * s, jnp.float32(rate * w)), scale
        )

    gap = np.abs(both(scale, proximal.log_step) - np.sqrt(w / a))
    assert np.all(gap <= first * (1 - rate * a) ** num + 1e-5)
    wrong = both(scale, lambda s, size: 0.5 * (s + jnp.sqrt(s**2 + size)))
    assert np.all(np.abs(wrong - np.sqrt(w / a)) > 0.05)


def game(name, arm, batch_size=64, **options):
    """A spec whose generator is W z + b, and a replica that is paid for its entropy."""
    spec = small_games.make(
        networks.linear_generator(LATENTS, DIM),
        networks.mlp_discriminator(DIM, widths=(8,)),
        (arm,),
        optimizer=SGD,
        name=name,
        batch_size=batch_size,
        entropy=True,
        proximal=name == "linear",
        **options,
    )
    rates = (RATE, RATE, RATE)
    hypers = small_games.hypers(spec, arm, sigma=START, rates=rates, bounds=(1e-3, 10.0))
    return spec, hypers._replace(entropy_weight=jnp.asarray(WEIGHT))


def moved(spec, hypers, change=lambda state: state):
    """The state after a generator's move, and its gradient."""
    keys = gan.streams(hypers.key)
    data = jnp.zeros((4, DIM))

    @jax.jit
    def run():
        state = change(gan.init(spec, hypers))
        return step.move_generator(spec, hypers, state, state, data, keys, jnp.asarray(0))

    return run()


def with_score(monkeypatch, matrix):
    """The matrix times x in the chains' place, [D, D]."""

    def score(mean, x, z, scale, key, state, **options):
        return x @ jnp.asarray(matrix, jnp.float32), state

    monkeypatch.setattr(step.entropy, "score", score)


@pytest.mark.parametrize(("arm", "options"), [("global", {}), ("per_pixel", {"noise_samples": 2})])
def test_the_gradient_is_that_of_log_sigma_without_the_entropy_of_the_noise(
    monkeypatch, arm, options
):
    """On the same draws: (dL/d log s) / s, from which -w eps^2 / s is taken, then both steps.

    Both sum 64 terms of some w eps^2 / s in float32: 100 roundings of the largest. The gradient to
    the mean is the same but for roundings of its own size.
    """
    with_score(monkeypatch, np.eye(DIM) + 1.0)
    (_, log), (after, own) = (moved(*game(name, arm, **options)) for name in ("log", "linear"))
    spec, hypers = game("linear", arm, **options)
    eps = gan.draws(spec, gan.streams(hypers.key)["noise_generator"], 64).eps
    squares = np.mean(np.asarray(eps, np.float64) ** 2, axis=0)
    squares = squares.sum() if arm == "global" else squares
    paid = WEIGHT * squares / START
    expected = np.asarray(log.grads.noise[arm], np.float64) / START + paid
    atol = 100 * 2.0**-24 * np.max(paid)
    np.testing.assert_allclose(own.grads.noise[arm], expected, rtol=0, atol=atol)
    assert np.all(np.abs(expected - paid - expected) > 1e3 * atol)  # not with it
    share = DIM if arm == "global" else 1
    point = START - RATE * expected
    exact = 0.5 * (point + np.sqrt(point**2 + 4 * RATE * WEIGHT * share))
    np.testing.assert_allclose(after.player.noise[arm], exact, rtol=1e-5)
    both = (jax.tree.leaves(one.grads.network) for one in (own, log))
    for found, known in zip(*both, strict=True):
        roundings = 100 * 2.0**-24 * np.abs(known).max()
        np.testing.assert_allclose(found, known, rtol=0, atol=roundings)


@pytest.mark.parametrize("sigma", [0.3, 0.02])
def test_what_is_left_is_the_derivative_of_the_mutual_information(monkeypatch, sigma):
    """x = W z + s eps is N(0, C), C = W W' + s^2: dI/ds = s tr C^-1 - D / s, the loss left out.

    With the exact score C^-1 x in the chains' place; 5 standard errors over 50 batches.
    """
    factor = np.random.default_rng(0).normal(size=(DIM, LATENTS))
    inverse = np.linalg.inv(factor @ factor.T + sigma**2 * np.eye(DIM))
    with_score(monkeypatch, inverse)
    spec, hypers = game("linear", "global", batch_size=4096)
    network = {"output": {"kernel": jnp.asarray(factor.T), "bias": jnp.zeros(DIM)}}
    blind = jax.tree.map(jnp.zeros_like, gan.init(spec, hypers).discriminator)

    @jax.jit
    def slope(key):
        state = gan.init(spec, hypers)
        player = gan.GeneratorParams(network, {"global": jnp.float32(sigma)})
        state = state._replace(player=player, discriminator=blind)
        keys = gan.streams(key)
        data = jnp.zeros((4, DIM))
        found = step.move_generator(spec, hypers, state, state, data, keys, jnp.asarray(0))[1]
        return found.grads.noise["global"]

    found = np.asarray(jax.lax.map(slope, jax.random.split(jax.random.key(1), 50)), np.float64)
    exact = -WEIGHT * (sigma * np.trace(inverse) - DIM / sigma)
    error = found.std(ddof=1) / np.sqrt(len(found))
    assert abs(found.mean() - exact) < 5 * error
    assert exact > 20 * error  # its sign and size are seen: information falls with noise


CHOSEN = {
    **{"dataset": "linear_gaussian", "parameterisation": "linear", "entropy_weight": 0.1},
    **{"sigma_optimizer": "sgd", "seeds": 1},
}


def specs(*arms, **options):
    config = GanConfig(**(CHOSEN | options), sweep=GanSweep(arm=arms))
    return [group.spec for group in plan.prepare(config).groups]


def test_who_takes_the_proximal_step():
    assert all(spec.proximal for spec in specs("fixed", "global", "per_pixel"))
    for options in (
        {"parameterisation": "log", "sigma_optimizer": "adam"},
        {"entropy_weight": 0.0, "sigma_optimizer": "adam"},
        {"sigma_player": "discriminator", "placement": "shared"},
    ):
        assert not any(spec.proximal for spec in specs("fixed", "global", **options))
    others = ("heteroscedastic", "low_rank")
    assert not any(spec.proximal for spec in specs(*others, entropy_weight=0.0))


@pytest.mark.parametrize(
    ("arm", "options", "told"),
    [
        ("heteroscedastic", {}, "not on --arm heteroscedastic; choose global or per_pixel"),
        ("low_rank", {}, "not on --arm low_rank; choose global or per_pixel"),
        ("global", {"sigma_optimizer": "adam"}, "adam; give --sigma-optimizer sgd"),
        ("global", {"momentum_last": 0.9}, "without --momentum 0.9; leave it out"),
    ],
)
def test_what_has_no_proximal_step_is_refused_in_one_sentence(arm, options, told):
    with pytest.raises(ValueError, match=told):
        specs(arm, **options)
