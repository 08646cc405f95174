"""Refitted noise of linear decoders, where the best is known."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize, minimize_scalar

from sigmaprop import likelihood
from sigmaprop.gaussians import Diagonal, Full, Isotropic

from .models import draws, linear

DECODE = linear(2, 8, 0.3, "isotropic", seed=2)
X = draws(DECODE, 2, 200, seed=3)
FEW = X[:100]
KEYS = jax.random.split(jax.random.key(0), 8)


def mean_alone(z):
    return DECODE(z).mean


def likelihood_of(scale, x):
    """The exact marginal likelihood of x in nats, of one sigma or of one for each coordinate."""
    family = Isotropic if np.ndim(scale) == 0 else Diagonal
    model = likelihood.LinearDecoder(DECODE.weight, family(DECODE.noise.mean, scale))
    return likelihood.exact(model, x).log_prob.sum()


def fits(x, **options):
    def fit(key):
        return likelihood.refit_sigma(mean_alone, x, key, latent_dim=2, **options)

    return jax.jit(jax.vmap(fit))(KEYS)


def test_one_number_is_the_best_of_the_marginal_likelihood():
    """Within 5 standard errors of 8 fits, and 5e-4 for what 400 moves leave of the start and of
    steps that were adapted to their own chains.
    """
    objective = functools.partial(minimize_scalar, bounds=(-3, 1), method="bounded")
    best: Any = objective(lambda s: -likelihood_of(np.exp(s), FEW))
    found = np.log(np.asarray(fits(FEW).sigma, np.float64))
    error = found.std(ddof=1) / np.sqrt(len(found))
    assert error < 1e-3
    assert abs(found.mean() - best.x) < 5 * error + 5e-4
    # The truth is another one: sigma is fitted to these rows.
    assert 0.001 < abs(np.log(0.3) - best.x) < 0.1


@pytest.mark.slow
def test_a_number_for_each_coordinate_is_the_best_of_the_marginal_likelihood():
    """In nats: a coordinate that the mean explains is fitted slowly, and matters less.

    Near the maximum an error of e standard deviations costs e^2 / 2, so half a nat for 8
    coordinates is .35 of the error that 200 rows themselves leave of each. The third coordinate is
    the hard one: sigma^2 that follows its residuals all the way ends 2 nats lower.
    """
    start = np.full(8, np.log(0.3))
    best: Any = minimize(lambda s: -likelihood_of(np.exp(s), X), start, method="L-BFGS-B")
    found = fits(X, family="diagonal")
    reached = np.array([likelihood_of(np.asarray(sigma, np.float64), X) for sigma in found.sigma])
    assert np.all(reached < -best.fun + 1e-3)
    assert np.all(reached > -best.fun - 0.5)


def test_with_a_posterior_the_bound_is_maximised():
    """Under a fixed q sigma^2 is the mean of E_q (x - mean)^2, in closed form here."""
    weight, scale = np.asarray(DECODE.weight, np.float64), 0.3
    covariance = np.linalg.inv(np.eye(2) + weight.T @ weight / scale**2)
    gain = covariance @ weight.T / scale**2
    encode_gain, root = jnp.asarray(gain, jnp.float32), jnp.asarray(np.linalg.cholesky(covariance))

    def encode(x):
        return Full(encode_gain @ (x - DECODE.noise.mean), root.astype(x.dtype))

    y = np.asarray(FEW, np.float64) - np.asarray(DECODE.noise.mean)
    residual = y - y @ gain.T @ weight.T
    exact = np.mean(residual**2) + np.trace(weight @ covariance @ weight.T) / 8
    found = np.asarray(fits(FEW, encode=encode, num_steps=50).sigma, np.float64) ** 2
    error = found.std(ddof=1) / np.sqrt(len(found))
    assert error < 2e-3 * exact
    assert abs(found.mean() - exact) < 5 * error + 1e-5


def test_a_head_finds_noise_that_depends_on_the_latent():
    """log sigma = log .2 + .5 z on coordinates whose mean does not carry z: the slope is found.

    Six coordinates tell z to about a tenth, four more are its noise: with 300 rows the slope of
    each of these has a standard error of about 1 / sqrt(2 * 300) = .041.
    """
    slope = 0.5

    def decode(z):
        mean = jnp.concatenate([jnp.full(6, z[0]), jnp.zeros(4)])
        return Diagonal(
            mean, jnp.concatenate([jnp.full(6, 0.2), jnp.full(4, jnp.exp(slope * z[0]))])
        )

    x = draws(decode, 1, 300, seed=4)
    found = likelihood.refit_sigma(
        decode, x, jax.random.key(1), latent_dim=1, family="head", num_steps=200
    )
    slopes = np.asarray(found.head)[:, 0]
    assert np.all(np.abs(slopes[6:] - slope) < 5 * 0.041)
    assert np.all(np.abs(slopes[:6]) < 5 * 0.041)
    head = likelihood.linear_head(1, 10)
    refitted = likelihood.with_sigma(decode, found, head)
    at = refitted(jnp.array([1.0]))
    np.testing.assert_allclose(at.scale, found.sigma * np.exp(slopes), rtol=1e-5)


def test_a_network_of_a_head_runs_and_starts_at_one_number():
    head = likelihood.mlp_head(jax.random.key(2), 2, 8, width=4)
    assert np.all(np.asarray(head.apply(head.params, jnp.array([3.0, -1.0]))) == 0)
    options: Any = {"latent_dim": 2, "family": "head", "head": head, "num_steps": 20}
    found = likelihood.refit_sigma(mean_alone, X[:20], jax.random.key(3), **options)
    assert found.head["out"].shape == (8, 4)
    assert np.all(np.isfinite(found.trace))


def test_what_it_gives_is_a_decoder():
    found = likelihood.refit_sigma(DECODE, X[:50], jax.random.key(4), latent_dim=2, num_steps=50)
    refitted = likelihood.with_sigma(DECODE, found)
    options: Any = {"latent_dim": 2, "num_temperatures": 50}
    given = likelihood.ais(refitted, X[:2], jax.random.key(5), **options)
    assert np.all(np.isfinite(given.log_prob))
    assert found.trace.shape == (50,)


def test_a_constant_coordinate_has_the_floor():
    def decode(z):
        return jnp.concatenate([z, jnp.zeros(1)])

    x = jnp.concatenate([X[:30, :2], jnp.zeros((30, 1))], axis=1)
    options: Any = {"latent_dim": 2, "family": "diagonal", "num_steps": 20, "floor": 0.01}
    found = likelihood.refit_sigma(decode, x, jax.random.key(6), **options)
    assert found.sigma[2] == np.float32(0.01)


def test_rows_that_are_not_finite_are_left_out():
    broken = X[:30].at[4, 2].set(jnp.nan)
    options: Any = {"latent_dim": 2, "num_steps": 30}
    found = likelihood.refit_sigma(mean_alone, broken, jax.random.key(7), **options)
    assert 0.2 < float(found.sigma) < 0.5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"family": "diag"}, "unknown family 'diag'; did you mean 'diagonal'"),
        ({"floor": 0.0}, "floor is 0.0; it must be positive"),
        ({"num_steps": 1}, "num_steps is 1; it must be at least 2"),
        ({"head": likelihood.linear_head(2, 8)}, "family is 'isotropic' and there is a head"),
        ({"encode": lambda x: x}, "encode gave .*; it must give an Isotropic"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(ValueError, match=message):
        likelihood.refit_sigma(mean_alone, X, jax.random.key(0), latent_dim=2, **options)
