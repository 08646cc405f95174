"""The gap of the substitution against quadrature, closed forms, and the laws of small sigma."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sigmaprop.generators import gan, gap, networks

from . import small_games

SAMPLES = 4096
SIGMAS = 2.0 ** -np.arange(1, 8)


HESSIAN = np.array([[2.0, 0.5, 0.0], [0.5, 1.0, -0.3], [0.0, -0.3, -0.5]])
LINEAR = np.array([1.0, -1.0, 0.5])


def quadratic(params, x, key=None):
    """Its generator's loss is x.LINEAR + x'HESSIAN x / 2 under the Wasserstein loss."""
    del params, key
    return -(x @ LINEAR.astype(np.float32) + jnp.sum(x @ HESSIAN.astype(np.float32) * x, 1) / 2)


def state_of(spec: gan.GanSpec, seed: int = 0) -> tuple[gan.State, gan.Hypers]:
    hypers = small_games.hypers(spec, "zero", seed=seed)
    return gan.init(spec, hypers), hypers


def game_of(
    discriminator: networks.Network, loss: str = "non_saturating", **options
) -> gan.GanSpec:
    generator = networks.mlp_generator(2, discriminator.in_dim, widths=(8,))
    return small_games.make(generator, discriminator, ("zero",), loss=loss, **options)


def means_of(spec: gan.GanSpec, state: gan.State, hypers: gan.Hypers, step: int) -> np.ndarray:
    """Where the gap is measured, [L, D] float64."""
    key = jax.random.fold_in(gan.streams(hypers.key)["evaluation"], gap._STREAM)
    z = gan.latent(spec, jax.random.split(jax.random.fold_in(key, step))[0], gap.NUM_LATENTS)
    return np.asarray(spec.generator.apply(state.player.network, z).mean, np.float64)


def slope(sigmas: np.ndarray, values: jax.Array) -> float:
    """Of log values against log sigma."""
    return float(np.polyfit(np.log(sigmas), np.log(np.asarray(values)), 1)[0])


@pytest.fixture(scope="module")
def smooth() -> gan.GanSpec:
    return game_of(networks.mlp_discriminator(1, widths=(16,), activation="tanh"))


@pytest.fixture(scope="module")
def measured(smooth):
    state, hypers = state_of(smooth, seed=2)
    return (
        jax.jit(
            lambda state, hypers: gap.measure(
                smooth,
                state,
                hypers,
                jnp.asarray(SIGMAS, jnp.float32),
                jnp.asarray(7),
                num_samples=SAMPLES,
            )
        )(state, hypers),
        state,
        hypers,
    )


def exact(spec, state, hypers) -> dict[str, np.ndarray]:
    """The same by quadrature in float64, at the same latents: 1-D, 64 Gauss-Hermite nodes."""
    means = means_of(spec, state, hypers, 7)[:, 0]
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

        derivative = jax.jit(jax.vmap(jax.vmap(jax.vmap(jax.grad(f)))))
        x = means[:, None, None] + SIGMAS[None, :, None] * nodes
        at = np.asarray(derivative(jnp.asarray(x)))
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
    found, state, hypers = measured
    truth = exact(smooth, state, hypers)
    np.testing.assert_allclose(found.batch_error[:, 0], truth["batch_error"], rtol=0.05)
    noise = 5 * truth["batch_error"] / np.sqrt(SAMPLES)
    assert np.all(np.abs(found.bias_relative - truth["bias_relative"]) < noise)
    rtol = 0.05 + 10 * np.sqrt(truth["sigma_batch_at_mean"] / (SAMPLES * gap.NUM_LATENTS))
    for name in ("sigma_batch", "sigma_batch_at_mean"):
        assert np.all(np.abs(getattr(found, name) / truth[name] - 1.0) < rtol)


def test_bias_falls_as_sigma_squared(measured):
    """Between two sigmas: at larger ones other powers are seen, at smaller ones the noise is."""
    found, _, _ = measured
    assert abs(slope(SIGMAS[2:4], found.bias_relative[2:4]) - 2.0) < 0.2


def test_the_batch_for_sigma_grows_as_its_inverse_square_and_at_mean_does_not(measured):
    found, _, _ = measured
    assert abs(slope(SIGMAS[3:], found.sigma_batch[3:]) + 2.0) < 0.2
    assert abs(slope(SIGMAS[3:], found.sigma_batch_at_mean[3:])) < 0.2


def test_a_batch_error_falls_with_its_root(measured):
    """Batch means of independent draws: N^-1/2, within 5 standard errors of a variance from B."""
    found, _, _ = measured
    sizes = np.array(gap.batch_sizes(SAMPLES))
    ratio = np.asarray(found.batch_error)[0] / np.asarray(found.batch_error)[0, 0] * np.sqrt(sizes)
    batches = SAMPLES / sizes
    assert np.all(np.abs(ratio - 1.0) < 5.0 * np.sqrt(0.5 / (batches - 1)) + 0.02)


def test_a_linear_critic_has_no_gap_and_no_error():
    """grad f is constant under the Wasserstein loss of a bilinear discriminator."""
    spec = game_of(networks.bilinear_discriminator(3), "wasserstein")
    state, hypers = state_of(spec)
    sigmas = jnp.asarray([1.0, 1e-4])
    found = jax.jit(
        lambda s, k: gap.measure(spec, s, k, sigmas, jnp.asarray(0), num_samples=64, num_latents=2)
    )(state, hypers)
    assert np.all(np.asarray(found.bias_relative) == 0.0)
    assert np.all(np.asarray(found.batch_error) == 0.0)
    np.testing.assert_allclose(found.cosine, 1.0, rtol=4 * 2**-23)
    assert np.all(np.isinf(np.asarray(found.sigma_batch_at_mean)))


def test_a_quadratic_critic_agrees_with_its_closed_form():
    """Down to sigma 1e-4, where float32 leaves 3 digits of a difference of gradients.

    The deviation of a draw is sigma H eps. Bounds are 5 standard errors: of |deviation|^2, whose
    relative variance is 2 tr H^4 / (tr H^2)^2 <= 2; of |mean deviation|^2, at most 1.5 of the
    noise's share; of the variance of a slope in sigma, of kurtosis <= 15, and of its mean squared.
    """
    spec = game_of(
        networks.Network("quadratic", lambda key: {}, quadratic, "smooth", 3, 1), "wasserstein"
    )
    state, hypers = state_of(spec)
    sigmas = np.array([1.0, 1e-2, 1e-4])
    found = jax.jit(
        lambda state, hypers: gap.measure(
            spec,
            state,
            hypers,
            jnp.asarray(sigmas, jnp.float32),
            jnp.asarray(3),
            num_samples=SAMPLES,
        )
    )(state, hypers)
    slopes = means_of(spec, state, hypers, 3) @ HESSIAN + LINEAR
    square, trace = np.sum(HESSIAN**2), np.trace(HESSIAN)
    ratios = np.sqrt(square) / np.linalg.norm(slopes, axis=1)
    error = sigmas * np.median(ratios)
    np.testing.assert_allclose(found.batch_error[:, 0], error, rtol=2.5 * np.sqrt(2 / SAMPLES))
    assert np.all(found.bias_relative < np.sqrt(5 * 1.5) * error / np.sqrt(SAMPLES))
    draws = SAMPLES * gap.NUM_LATENTS
    reduced = 2 * square / trace**2
    plain = np.mean(np.sum(slopes**2, axis=1)) / (sigmas * trace) ** 2 + reduced
    rtol = 5 * (np.sqrt(14 / draws) + 2 * np.sqrt(reduced / draws))
    np.testing.assert_allclose(found.sigma_batch, plain, rtol=rtol)
    np.testing.assert_allclose(found.sigma_batch_at_mean, np.full(3, reduced), rtol=rtol)


def test_the_critic_is_the_normalised_discriminator():
    """A kernel of one column over its norm: |grad D| = 1; and 3 sqrt(2) as it stands."""
    for spectral_norm, norm in ((True, 1.0), (False, 3.0 * np.sqrt(2.0))):
        spec = game_of(
            networks.bilinear_discriminator(2, init=3.0), "wasserstein", spectral_norm=spectral_norm
        )
        gradient = jax.grad(gap.sample_loss(spec, state_of(spec)[0]))(jnp.zeros(2))
        np.testing.assert_allclose(np.linalg.norm(gradient), norm, rtol=4 * 2**-23)


def test_batch_sizes_and_a_wrong_number_of_draws(smooth):
    assert gap.batch_sizes(4096) == (1, 4, 16, 64, 256, 1024)
    assert gap.batch_sizes(64) == (1, 4, 16)
    state, hypers = state_of(smooth)
    with pytest.raises(ValueError, match="multiple of 16"):
        gap.measure(smooth, state, hypers, jnp.ones(1), jnp.asarray(0), num_samples=100)
