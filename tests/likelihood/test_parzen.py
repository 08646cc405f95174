"""Parzen windows against scikit-learn's kernel density, and the protocol of 2014."""

import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.neighbors import KernelDensity

from sigmaprop import likelihood
from sigmaprop.data import digits

UNIT = 2.0**-24


def images(rows):
    return np.asarray(digits.load().train.images[rows], np.float32)


def by_sklearn(samples, x, sigma):
    """With all samples in one leaf: the bounds of its trees are off by up to 160 nats on digits."""
    tree = KernelDensity(bandwidth=sigma, leaf_size=len(samples))
    density = tree.fit(np.asarray(samples, np.float64))
    return density.score_samples(np.asarray(x, np.float64))


@pytest.mark.parametrize("shift", [0.0, 10.0])
def test_it_is_a_kernel_density(shift):
    """In float32 a squared distance of points of squared norm n is off by some units of n, and a
    log density by that over 2 sigma^2; 16 units of the largest n, each rounded apart, are allowed.
    """
    samples, validation, x = (
        images(slice(*ends)) + np.float32(shift) for ends in ((0, 500), (500, 700), (700, 900))
    )
    found = likelihood.parzen(samples, x, validation)
    sigmas = np.logspace(-1, 0, 10)
    scores = [by_sklearn(samples, validation, sigma).mean() for sigma in sigmas]
    best = int(np.argmax(scores))
    squared = np.max(np.sum((x - samples.mean(axis=0)) ** 2, axis=1))
    allowed = 16 * UNIT * squared / (2 * sigmas[best] ** 2) + 16 * UNIT * 100
    # What the shift itself costs: x is rounded at 10, and so is the mean that is subtracted.
    allowed += 2 * UNIT * shift * np.sqrt(64 * squared) / sigmas[best] ** 2
    expected = by_sklearn(samples, x, sigmas[best])
    assert float(found.sigma) == pytest.approx(sigmas[best], rel=1e-6)
    np.testing.assert_allclose(found.rows, expected, rtol=0, atol=allowed)
    np.testing.assert_allclose(found.validation[best], scores[best], rtol=0, atol=allowed)
    assert float(found.log_prob) == pytest.approx(expected.mean(), abs=allowed)
    error = expected.std(ddof=1) / np.sqrt(len(expected))
    assert float(found.standard_error) == pytest.approx(error, rel=1e-3)


def test_chunks_change_nothing_but_rounding():
    samples, x = images(slice(0, 100)), images(slice(100, 131))
    one = likelihood.parzen(samples, x, x, chunk=7)
    other = likelihood.parzen(samples, x, x, chunk=64)
    np.testing.assert_allclose(one.rows, other.rows, rtol=1e-5)


def test_a_row_that_is_not_a_number_is_that_row_alone():
    samples, x = images(slice(0, 100)), images(slice(100, 110)).copy()
    x[3, 5] = np.nan
    found = likelihood.parzen(samples, x, images(slice(110, 120)))
    assert np.isnan(found.rows[3])
    assert float(found.log_prob) == pytest.approx(np.nanmean(found.rows), rel=1e-5)


def test_one_sample_is_a_gaussian():
    found = likelihood.parzen(np.zeros((1, 2)), np.ones((2, 2)), np.ones((2, 2)), sigmas=[1.0])
    np.testing.assert_allclose(found.rows, -1.0 - np.log(2 * np.pi), rtol=1e-6)
    assert float(found.standard_error) == 0.0


@pytest.mark.parametrize("sigmas", [[], [0.1, 0.0], [np.nan], [[0.1]]])
def test_bandwidths_that_are_none(sigmas):
    with pytest.raises(ValueError, match="sigmas are"):
        likelihood.parzen(jnp.zeros((3, 2)), jnp.zeros((3, 2)), jnp.zeros((3, 2)), sigmas=sigmas)


@pytest.mark.unchecked
def test_rows_of_other_dimensions():
    with pytest.raises(ValueError, match="x has rows of 3 numbers and samples of 2"):
        likelihood.parzen(jnp.zeros((3, 2)), jnp.zeros((3, 3)), jnp.zeros((3, 2)))
