"""The gap of the substitution against quadrature, closed forms, and the laws of small sigma."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sigmaprop.generators import game as games
from sigmaprop.generators import (
    gap,
    losses,
    networks,
    observation,
    optimizers,
    parameterisation,
    schedule,
)
from sigmaprop.generators.parameterisation import Bounds

SAMPLES = 4096
SIGMAS = np.array([0.5, 0.25, 0.125, 0.0625, 0.03125])


def number(value: float) -> jax.Array:
    return jnp.asarray(value, jnp.float32)


def state_of(game: games.Game, seed: int = 0) -> tuple[games.State, games.Knobs]:
    noise = observation.NoiseKnobs(
        schedule.given("constant", 0.1, 0.1, 1), {}, number(0.1), Bounds(number(1e-3), number(1.0))
    )
    knobs = games.Knobs(
        jax.random.key(seed),
        noise,
        jnp.asarray(False),
        games.Rates(*(optimizers.rate(1e-3) for _ in range(3))),
        {},
        schedule.given("constant", 0.0, 0.0, 1),
        number(0.0),
        number(0.0),
    )
    return games.init(game, knobs), knobs


def game_of(discriminator: networks.Network, loss: str = "non_saturating") -> games.Game:
    dim = discriminator.in_dim
    generator = networks.mlp_generator(2, dim, widths=(8,))
    static = observation.Observation(dim, 8, (), parameterisation.get("log"))
    adam = optimizers.get("adam")
    return games.Game(generator, discriminator, static, losses.get(loss), adam, adam, 4)


@pytest.fixture(scope="module")
def smooth() -> games.Game:
    return game_of(networks.mlp_discriminator(1, widths=(16,), activation="tanh"))


@pytest.fixture(scope="module")
def measured(smooth):
    state, knobs = state_of(smooth, seed=2)
    return (
        jax.jit(
            lambda state, knobs: gap.measure(
                smooth,
                state,
                knobs,
                jnp.asarray(SIGMAS, jnp.float32),
                jnp.asarray(7),
                num_samples=SAMPLES,
            )
        )(state, knobs),
        state,
        knobs,
    )


def exact(game, state, knobs) -> dict[str, np.ndarray]:
    """The same by quadrature in float64, at the same latents: 1-D, 64 Gauss-Hermite nodes."""
    key = jax.random.fold_in(games.streams(knobs.key)["evaluation"], gap._STREAM)
    z = games.latent(game, jax.random.split(jax.random.fold_in(key, 7))[0], gap.NUM_LATENTS)
    means = np.asarray(game.generator.apply(state.player.network, z).mean, np.float64)[:, 0]
    nodes, weights = np.polynomial.hermite_e.hermegauss(64)
    weights = weights / weights.sum()
    with jax.enable_x64(True):
        params = jax.tree.map(
            lambda leaf: jnp.asarray(np.asarray(leaf), jnp.float64), state.discriminator
        )
        first = {name: params[name] for name in params}

        def f(x):
            hidden = jnp.tanh(x * first["hidden_0"]["kernel"][0] + first["hidden_0"]["bias"])
            logit = hidden @ first["output"]["kernel"][:, 0] + first["output"]["bias"][0]
            return jax.nn.softplus(-logit)

        slope = jax.jit(jax.vmap(jax.vmap(jax.vmap(jax.grad(f)))))
        x = means[:, None, None] + SIGMAS[None, :, None] * nodes
        at = np.asarray(slope(jnp.asarray(x)))
        at_mean = np.asarray(jax.vmap(jax.grad(f))(jnp.asarray(means)))
    expected = at @ weights
    variance = (at - expected[..., None]) ** 2 @ weights
    scale = (at * nodes) @ weights
    scale_variance = (at * nodes - scale[..., None]) ** 2 @ weights
    reduced = (at - at_mean[:, None, None]) * nodes
    reduced_variance = (reduced - scale[..., None]) ** 2 @ weights
    signal = scale.mean(axis=0) ** 2
    return {
        "bias_relative": np.median(
            np.abs(expected - at_mean[:, None]) / np.abs(at_mean)[:, None], axis=0
        ),
        "batch_error": np.median(np.sqrt(variance) / np.abs(expected), axis=0),
        "sigma_batch": scale_variance.mean(axis=0) / signal,
        "sigma_batch_at_mean": reduced_variance.mean(axis=0) / signal,
    }


def test_everything_agrees_with_quadrature(smooth, measured):
    """Within what 4096 draws at 16 latents leave: 2% of a standard deviation, 5% of a variance.

    A variance over the square of a mean whose signal-to-noise ratio is (65536 / batch)^1/2: twice
    its inverse is added, times 5.
    """
    found, state, knobs = measured
    truth = exact(smooth, state, knobs)
    np.testing.assert_allclose(found.batch_error[:, 0], truth["batch_error"], rtol=0.05)
    noise = 5 * truth["batch_error"] / np.sqrt(SAMPLES)
    assert np.all(np.abs(found.bias_relative - truth["bias_relative"]) < noise)
    rtol = 0.05 + 10 * np.sqrt(truth["sigma_batch_at_mean"] / (SAMPLES * gap.NUM_LATENTS))
    for name in ("sigma_batch", "sigma_batch_at_mean"):
        assert np.all(np.abs(getattr(found, name) / truth[name] - 1.0) < rtol)


def test_bias_falls_as_sigma_squared(measured):
    found, _, _ = measured
    slope = np.polyfit(np.log(SIGMAS[1:4]), np.log(np.asarray(found.bias_relative)[1:4]), 1)[0]
    assert abs(slope - 2.0) < 0.2


def test_the_batch_for_sigma_grows_as_its_inverse_square_and_at_mean_does_not(measured):
    small = np.log(SIGMAS[1:])
    plain, reduced = (np.log(np.asarray(found)[1:]) for found in measured[0][4:])
    assert abs(np.polyfit(small, plain, 1)[0] + 2.0) < 0.2
    assert abs(np.polyfit(small, reduced, 1)[0]) < 0.2


def test_a_batch_error_falls_with_its_root(measured):
    """Batch means of independent draws: N^-1/2, within 5 standard errors of a variance from B."""
    found, _, _ = measured
    sizes = np.array(gap.batch_sizes(SAMPLES))
    ratio = np.asarray(found.batch_error)[0] / np.asarray(found.batch_error)[0, 0] * np.sqrt(sizes)
    batches = SAMPLES / sizes
    assert np.all(np.abs(ratio - 1.0) < 5.0 * np.sqrt(0.5 / (batches - 1)) + 0.02)


def test_a_linear_critic_has_no_gap_and_no_error():
    """grad f is constant under the Wasserstein loss of a bilinear discriminator."""
    game = game_of(networks.bilinear_discriminator(3), "wasserstein")
    state, knobs = state_of(game)
    sigmas = jnp.asarray([1.0, 1e-4])
    found = jax.jit(
        lambda s, k: gap.measure(game, s, k, sigmas, jnp.asarray(0), num_samples=64, num_latents=2)
    )(state, knobs)
    assert np.all(np.asarray(found.bias_relative) == 0.0)
    assert np.all(np.asarray(found.batch_error) == 0.0)
    np.testing.assert_allclose(found.cosine, 1.0, rtol=4 * 2**-23)
    assert np.all(np.isinf(np.asarray(found.sigma_batch_at_mean)))


def test_batch_sizes_and_a_wrong_number_of_draws(smooth):
    assert gap.batch_sizes(4096) == (1, 4, 16, 64, 256, 1024)
    assert gap.batch_sizes(64) == (1, 4, 16)
    state, knobs = state_of(smooth)
    with pytest.raises(ValueError, match="multiple of 16"):
        gap.measure(smooth, state, knobs, jnp.ones(1), jnp.asarray(0), num_samples=100)
