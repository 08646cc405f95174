"""Bounds from both sides, tempered Monte Carlo and importance weights, against known likelihoods.

Standard errors are those of the methods; thresholds of 5 as in `test_annealed`.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

from sigmaprop import likelihood
from sigmaprop.gaussians import Diagonal, Full, Isotropic, LowRank
from sigmaprop.likelihood.bidirectional import simulate

from .models import PARABOLA_X, draws, errors, linear, parabola, parabola_log_prob


def sandwich(decode, latent_dim, num_examples, **options):
    """Bounds less the truth of their examples."""
    key = jax.random.key(5)
    found = likelihood.bdmc(
        decode, key, latent_dim=latent_dim, num_examples=num_examples, **options
    )
    settings = likelihood.Annealing(latent_dim, prior=options.get("prior", "normal"))
    _, x = simulate(decode, key, settings, num_examples, "float32")
    exact = likelihood.exact(decode, x).log_prob
    return found, np.asarray(found.lower) - exact, np.asarray(found.upper) - exact


def check_sandwich(found, lower, upper):
    """On average lower <= truth <= upper, and the gap is the mean of their difference."""

    def error(values):
        return values.std(ddof=1) / np.sqrt(values.size)

    assert lower.mean() < 2 * error(lower)
    assert upper.mean() > -2 * error(upper)
    assert found.gap == pytest.approx(np.mean(upper - lower), abs=1e-3)
    assert found.interval[0] < found.gap < found.interval[1]


def test_both_bounds_hold_the_truth_between_them():
    """Two chains and 60 temperatures leave a gap that is seen, and each bound is on its side."""
    options: Any = {"num_chains": 2, "num_temperatures": 60}
    found, lower, upper = sandwich(linear(2, 5, 0.2, "low rank"), 2, 60, **options)
    check_sandwich(found, lower, upper)
    assert found.interval[0] > 0
    assert lower.mean() < -2 * lower.std(ddof=1) / np.sqrt(60)


@pytest.mark.slow
@pytest.mark.parametrize("noise", ["isotropic", "diagonal", "low rank"])
@pytest.mark.parametrize("sigma", [0.1, 0.01])
def test_both_bounds_of_wide_decoders(sigma, noise):
    options: Any = {"num_temperatures": 2000, "schedule": "logarithmic"}
    found, lower, upper = sandwich(linear(8, 64, sigma, noise), 8, 16, **options)
    check_sandwich(found, lower, upper)
    assert found.gap < 2


@pytest.mark.slow
def test_the_gap_closes_as_temperatures_grow():
    decode = linear(2, 5, 0.2, "isotropic")
    few, _, _ = sandwich(decode, 2, 32, num_temperatures=20)
    many, _, _ = sandwich(decode, 2, 32, num_temperatures=400)
    assert many.gap < 0.2 * few.gap
    assert many.interval[0] < 0.1


@pytest.mark.parametrize("prior", ["normal", "uniform"])
def test_tempered_monte_carlo_by_quadrature(prior):
    found = likelihood.smc(parabola, PARABOLA_X, jax.random.key(6), latent_dim=2, prior=prior)
    # Four runs: t with 3 degrees of freedom is beyond 15 in one case of 1,500.
    assert np.all(np.abs(errors(found, parabola_log_prob(prior))) < 15)
    assert np.all(np.abs(found.log_prob - parabola_log_prob(prior)) < 0.2)
    assert np.all(np.asarray(found.effective_sample_size) > 3)


@pytest.mark.slow
@pytest.mark.parametrize("sigma", [0.1, 0.01])
@pytest.mark.parametrize("noise", ["isotropic", "diagonal", "low rank"])
def test_tempered_monte_carlo_of_wide_decoders(sigma, noise):
    decode = linear(8, 64, sigma, noise)
    x = draws(decode, 8, 1)
    options: Any = {"num_runs": 16, "num_particles": 128}
    found = likelihood.smc(decode, x, jax.random.key(7), latent_dim=8, **options)
    # Sixteen runs: t with 15 degrees of freedom is beyond 6 in one case of 40,000.
    assert np.all(np.abs(errors(found, likelihood.exact(decode, x).log_prob)) < 6)
    assert np.all(np.asarray(found.standard_error) < 0.2)


@pytest.mark.slow
def test_two_methods_agree_where_there_is_no_truth():
    def decode(z):
        mean = jnp.stack([jnp.sin(2 * z[0]) + z[1], z[0] * z[1], jnp.tanh(z[0])])
        return Diagonal(mean, 0.3 + 0.1 * jnp.cos(mean))

    x = draws(decode, 2, 3)
    one = likelihood.ais(
        decode, x, jax.random.key(8), latent_dim=2, num_chains=128, num_temperatures=200
    )
    other = likelihood.smc(decode, x, jax.random.key(9), latent_dim=2)
    apart = np.asarray(one.log_prob - other.log_prob)
    error = np.hypot(one.standard_error, other.standard_error)
    assert np.all(np.abs(apart) < 6 * error + 0.02)


def test_a_row_that_is_not_a_number_is_that_row_alone():
    x = PARABOLA_X.copy()
    x[0, 0] = np.nan
    options: Any = {"latent_dim": 2, "num_particles": 32, "num_runs": 2}
    found = likelihood.smc(parabola, x, jax.random.key(6), **options)
    whole = likelihood.smc(parabola, PARABOLA_X, jax.random.key(6), **options)
    assert np.isnan(found.log_prob[0])
    assert np.array_equal(found.log_prob[1:], whole.log_prob[1:])


@pytest.mark.slow
def test_too_few_temperatures_are_no_likelihood():
    found = likelihood.smc(
        linear(2, 6, 1e-3, "isotropic"),
        jnp.zeros((1, 6)),
        jax.random.key(6),
        latent_dim=2,
        num_particles=16,
        num_runs=1,
        max_temperatures=2,
    )
    assert np.isnan(found.log_prob[0])


def posterior(decode, widen=1.0):
    """q(z|x) of a linear decoder with isotropic noise: exact, or wider."""
    weight, scale = np.asarray(decode.weight, np.float64), float(decode.noise.scale)
    covariance = np.linalg.inv(np.eye(weight.shape[1]) + weight.T @ weight / scale**2)
    gain = jnp.asarray(covariance @ weight.T / scale**2, jnp.float32)
    root = jnp.asarray(widen * np.linalg.cholesky(covariance), jnp.float32)
    return lambda x: Full(gain @ (x - decode.noise.mean), root)


def test_importance_weights_of_the_posterior_itself_are_all_equal():
    """Every weight is p(x), to the rounding of terms of some tens of nats."""
    decode = linear(3, 12, 0.3, "isotropic")
    x = draws(decode, 3, 4)
    found = likelihood.iwae(
        decode, posterior(decode), x, jax.random.key(0), latent_dim=3, num_samples=8
    )
    np.testing.assert_allclose(found.log_prob, likelihood.exact(decode, x).log_prob, atol=2e-4)
    np.testing.assert_allclose(found.effective_sample_size, 8.0, rtol=1e-5)


def test_importance_weights_of_a_wider_q():
    decode = linear(3, 12, 0.3, "isotropic")
    x = draws(decode, 3, 4)
    encode = posterior(decode, 1.5)
    found = likelihood.iwae(
        decode, encode, x, jax.random.key(0), latent_dim=3, num_samples=3000, chunk=3
    )
    assert np.all(np.abs(errors(found, likelihood.exact(decode, x).log_prob)) < 5)
    assert np.all(np.asarray(found.standard_error) < 0.03)


@pytest.mark.parametrize("prior", ["normal", "uniform"])
def test_importance_weights_by_quadrature(prior):
    found = likelihood.iwae(
        parabola,
        lambda x: Isotropic(jnp.zeros(2), jnp.asarray(1.5)),
        PARABOLA_X,
        jax.random.key(1),
        latent_dim=2,
        num_samples=40_000,
        prior=prior,
    )
    assert np.all(np.abs(errors(found, parabola_log_prob(prior))) < 5)


def test_importance_weights_leave_a_broken_row_alone():
    decode = linear(3, 12, 0.3, "isotropic")
    x = draws(decode, 3, 2).at[0, 0].set(jnp.nan)
    found = likelihood.iwae(
        decode, posterior(decode), x, jax.random.key(0), latent_dim=3, num_samples=4
    )
    assert np.isnan(found.log_prob[0])
    assert np.isfinite(found.log_prob[1])


def dense(decode, x) -> Any:
    """log p(x) by SciPy, of the D x D covariance."""
    noise: Any = decode.noise
    scale = np.asarray(noise.scale, np.float64)
    dim = x.shape[1]
    if isinstance(noise, Full):
        covariance = np.tril(scale) @ np.tril(scale).T
    else:
        covariance = np.diag(np.broadcast_to(scale, dim) ** 2)
    if isinstance(noise, LowRank):
        covariance = covariance + np.asarray(noise.factor, np.float64) @ np.asarray(noise.factor).T
    weight = np.asarray(decode.weight, np.float64)
    covariance: Any = covariance + weight @ weight.T
    return multivariate_normal.logpdf(x, np.asarray(noise.mean), covariance)


@pytest.mark.parametrize("noise", ["isotropic", "diagonal", "low rank", "full"])
def test_the_closed_form_of_linear_decoders(noise):
    decode = linear(3, 7, 0.2, noise)
    x = np.asarray(draws(decode, 3, 5), np.float64)
    found = likelihood.exact(decode, x)
    np.testing.assert_allclose(found.log_prob, dense(decode, x), rtol=1e-9)
    assert np.all(found.standard_error == 0)
    x[2, 1] = np.nan
    broken = likelihood.exact(decode, x).log_prob
    assert np.isnan(broken[2])
    np.testing.assert_array_equal(np.delete(broken, 2), np.delete(found.log_prob, 2))


def test_a_linear_decoder_is_a_decoder():
    decode = linear(3, 7, 0.2, "low rank")
    z = jnp.array([0.3, -1.0, 2.0])
    noise: Any = decode.noise
    made: Any = decode(z)
    np.testing.assert_allclose(made.mean, decode.weight @ z + decode.noise.mean, rtol=1e-5)
    assert made.factor is noise.factor


@pytest.mark.parametrize("scale", [0.3, np.array([0.3, 0.1]), np.array([[0.3, 1.0], [0.2, 0.1]])])
def test_the_closed_form_of_mixtures(scale):
    means, weights = np.array([[0.0, 1.0], [2.0, -1.0]]), np.array([1.0, 3.0])
    x = np.random.default_rng(0).normal(size=(6, 2))
    each = np.broadcast_to(scale[:, None] if np.ndim(scale) == 1 else scale, means.shape)
    density = norm.pdf(x[:, None], means, each).prod(axis=2) @ (weights / 4)
    found = likelihood.exact(likelihood.Mixture(weights, means, scale), x)
    np.testing.assert_allclose(found.log_prob, np.log(density), rtol=1e-10)
