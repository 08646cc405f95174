"""The Gaussian sets: the density is exact, and the rows are drawn from it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from sigmaprop import data
from sigmaprop.data.linear_gaussian import LinearGaussian

LEVEL = 1e-6
"""False-alarm rate of each statistical test; the data are fixed."""


@pytest.mark.parametrize(("dim", "latent_dim"), [(8, 2), (3, 3), (5, 0), (1, 1)])
def test_log_prob_is_that_of_the_covariance(dim, latent_dim):
    options = data.DataOptions(dim=dim, latent_dim=latent_dim, noise_std=0.3)
    made = data.load("linear_gaussian", options)
    factor = made.truth.factor.astype(np.float64)
    covariance = factor @ factor.T + 0.3**2 * np.eye(dim)
    x = made.x[:20]
    expected = stats.multivariate_normal(np.zeros(dim), covariance).logpdf(x.astype(float))
    # Sums of some ten float32 terms of order 10.
    np.testing.assert_allclose(jax.vmap(made.truth.log_prob)(x), expected, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("noise_std", [None, 0.05, 1.0])
def test_rows_have_the_covariance_of_the_truth(noise_std):
    made = data.load("linear_gaussian", data.DataOptions(noise_std=noise_std))
    expected_std = 0.1 if noise_std is None else noise_std
    assert (made.noise_std, made.truth.noise_std) == (expected_std, expected_std)
    np.testing.assert_allclose(made.truth.factor.T @ made.truth.factor, np.eye(2), atol=1e-6)
    x = made.x.astype(np.float64)
    factor = made.truth.factor.astype(np.float64)
    root = np.linalg.cholesky(factor @ factor.T + expected_std**2 * np.eye(8))
    whitened = np.linalg.solve(root, x.T)
    # Whitened coordinates are independent standard normals: their squares sum to a chi-square.
    assert stats.kstest(np.sum(whitened**2, axis=0), stats.chi2(8).cdf).pvalue > LEVEL
    assert stats.kstest(whitened.ravel(), "norm").pvalue > LEVEL


def test_off_the_plane_there_is_only_noise():
    made = data.load("linear_gaussian", data.DataOptions(noise_std=0.2))
    factor = made.truth.factor.astype(np.float64)
    off = made.x - made.x @ factor @ factor.T
    count = len(off) * 6
    variance = np.sum(off**2) / count
    # A chi-square of `count` degrees has a relative standard error of sqrt(2 / count).
    assert abs(variance / 0.2**2 - 1) < stats.norm.isf(LEVEL / 2) * np.sqrt(2 / count)


def test_noise_levels_share_their_noise():
    low, high = (
        data.load("linear_gaussian", data.DataOptions(noise_std=std)) for std in (0.1, 0.2)
    )
    np.testing.assert_array_equal(low.truth.factor, high.truth.factor)
    clean = 2 * low.x - high.x
    factor = low.truth.factor
    # Float32 rows of order 1, doubled and subtracted.
    np.testing.assert_allclose(clean - clean @ factor @ factor.T, 0, atol=3e-6)


@pytest.mark.parametrize(
    ("options", "std"),
    [({}, 1.0), ({"std": 2.0}, 2.0), ({"noise_std": 0.75}, 1.25)],
)
def test_the_one_dimensional_set_is_normal(options, std):
    made = data.load("gaussian", data.DataOptions(**options))
    assert isinstance(made.truth, LinearGaussian)
    assert made.truth.noise_std == pytest.approx(std)
    assert stats.kstest(made.x[:, 0] / std, "norm").pvalue > LEVEL
    log_prob = float(made.truth.log_prob(jnp.asarray([0.7])))
    assert log_prob == pytest.approx(stats.norm.logpdf(0.7, scale=std), rel=1e-5)


def test_a_sample_of_the_truth_has_its_law():
    truth = data.load("linear_gaussian").truth
    keys = jax.random.split(jax.random.key(0), 4000)
    x = np.asarray(jax.vmap(truth.sample)(keys), np.float64)
    factor = truth.factor.astype(np.float64)
    precision = np.linalg.inv(factor @ factor.T + truth.noise_std**2 * np.eye(8))
    assert stats.kstest(np.sum(x @ precision * x, axis=1), stats.chi2(8).cdf).pvalue > LEVEL
