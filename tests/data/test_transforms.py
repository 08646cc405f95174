"""Transforms of images, against closed forms and exact covariances."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from sigmaprop import data
from sigmaprop.data import transforms

LEVEL = 1e-6
"""False-alarm rate of each statistical test; the data are fixed."""


@pytest.fixture(scope="module")
def clean() -> data.Dataset:
    return data.load("digits")


def load(**options) -> data.Dataset:
    return data.load("digits", data.DataOptions(**options))


def test_halving_the_side_averages_with_the_triangle_kernel():
    x = np.random.default_rng(0).random((3, 8, 8), dtype=np.float32)
    small, shape = transforms.resize(x.reshape(3, -1), (8, 8), 4)
    assert (small.shape, shape) == ((3, 16), (4, 4))
    # Antialiased by 2, the linear kernel has weights 1, 3, 3, 1 (over 8), less at the border.
    weights = np.zeros((4, 8))
    for row in range(4):
        taps = dict(zip(range(2 * row - 1, 2 * row + 3), (1, 3, 3, 1), strict=True))
        for column, weight in taps.items():
            if 0 <= column < 8:
                weights[row, column] = weight
    weights /= weights.sum(axis=1, keepdims=True)
    expected = (weights @ x.astype(np.float64) @ weights.T).reshape(3, -1)
    np.testing.assert_allclose(small, expected, rtol=2e-6)


@pytest.mark.parametrize("side", [4, 8, 13])
def test_resized_images_stay_in_their_range(side):
    made = load(resize=side)
    assert made.shape == (side, side)
    assert made.x.shape == (1797, side**2)
    # Weights that add up to 1 within some roundings.
    assert made.x.min() >= 0
    assert made.x.max() <= 1 + 1e-6


def test_colours_are_resized_one_by_one():
    x = np.random.default_rng(0).random((2, 6, 6, 3), dtype=np.float32)
    together, shape = transforms.resize(x.reshape(2, -1), (6, 6, 3), 4)
    assert shape == (4, 4, 3)
    for channel in range(3):
        alone, _ = transforms.resize(x[..., channel].reshape(2, -1), (6, 6), 4)
        each = together.reshape(2, 4, 4, 3)[..., channel]
        np.testing.assert_allclose(each.reshape(2, -1), alone, rtol=1e-6)


def test_dequantised_levels_fill_their_bins_evenly(clean):
    made = load(dequantise=True)
    assert made.range == (0.0, 1.0)
    scaled = 17 * made.x.astype(np.float64)
    place = scaled - 16 * clean.x
    assert place.min() > -1e-5
    assert place.max() < 1 + 1e-5
    assert stats.kstest(np.clip(place, 0, 1).ravel(), "uniform").pvalue > LEVEL


def test_symmetric_maps_to_minus_one_and_one(clean):
    made = load(symmetric=True)
    assert made.range == (-1.0, 1.0)
    np.testing.assert_array_equal(made.x, 2 * clean.x - 1)


def test_logit_is_undone_and_has_no_range(clean):
    alpha = 0.05
    made = load(logit=alpha)
    assert made.range is None
    expected = special.logit(alpha + (1 - 2 * alpha) * clean.x.astype(np.float64))
    np.testing.assert_allclose(made.x, expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(data.from_logit(jnp.asarray(made.x), alpha), clean.x, atol=1e-6)


def test_logit_log_det_is_that_of_the_jacobian():
    alpha = 0.05
    y = jnp.asarray([-2.9, -0.3, 0.0, 1.7])
    inverse = jax.jacobian(lambda y: data.from_logit(y, alpha))(y)
    expected = -np.linalg.slogdet(np.asarray(inverse, np.float64))[1]
    assert float(data.logit_log_det(y, alpha)) == pytest.approx(expected, rel=1e-5)


def test_density_in_pixels_integrates_to_one():
    alpha = 0.05
    x = (np.arange(20_000) + 0.5) / 20_000
    y = jnp.asarray(transforms.to_logit(x.astype(np.float32)[:, None], alpha))
    bounds = special.logit([alpha, 1 - alpha])
    inside = np.diff(stats.norm.cdf(bounds))[0]
    log_det = jax.vmap(lambda y: data.logit_log_det(y, alpha))(y)
    density = stats.norm.pdf(np.asarray(y)[:, 0]) * np.exp(np.asarray(log_det))
    assert density.mean() == pytest.approx(inside, rel=1e-5)


def test_noise_is_added_last_and_white(clean):
    made = load(noise_std=0.2)
    assert (made.noise_std, made.range) == (0.2, (0.0, 1.0))
    noise = (made.x.astype(np.float64) - clean.x) / 0.2
    assert stats.kstest(noise.ravel(), "norm").pvalue > LEVEL
    logit, noisy_logit = load(logit=0.1), load(logit=0.1, noise_std=0.2)
    # One noise for every space; float32 sums of order 2.
    np.testing.assert_allclose((noisy_logit.x - logit.x) / 0.2, noise, atol=5e-6)


def test_transforms_run_in_their_documented_order():
    made = load(resize=5, dequantise=True, logit=0.1, noise_std=0.3)
    before = load(resize=5, dequantise=True)
    noise = load(resize=5, noise_std=0.3).x - load(resize=5).x
    expected = transforms.to_logit(before.x, 0.1) + noise
    np.testing.assert_allclose(made.x, expected, atol=2e-6)


@pytest.mark.parametrize(("shape", "length"), [((3, 4), 1.5), ((2, 3, 2), 0.7), ((5,), None)])
def test_covariance_is_the_squared_exponential_within_a_channel(shape, length):
    covariance = data.noise_covariance(shape, 0.5, length)
    places = np.indices((*shape, 1, 1)[:3]).reshape(3, -1).T
    gap = places[:, None] - places
    if length is None:
        expected = 0.25 * np.eye(5)
    else:
        distance = np.sum(gap[..., :2] ** 2, axis=-1)
        expected = 0.25 * np.exp(-distance / (2 * length**2)) * (gap[..., 2] == 0)
    np.testing.assert_allclose(covariance, expected, atol=1e-15)


@pytest.mark.parametrize("shape", [(4, 4), (3, 4, 2)])
def test_correlated_noise_has_its_exact_covariance(shape):
    num, std = 20_000, 0.5
    rng = np.random.default_rng(0)
    x = transforms.noise(num, shape, std, 0.8, rng).astype(np.float64)
    root = np.linalg.cholesky(data.noise_covariance(shape, std, 0.8))
    whitened = np.linalg.solve(root, x.T)
    dim = len(root)
    assert stats.kstest(np.sum(whitened**2, axis=0), stats.chi2(dim).cdf).pvalue > LEVEL
    # Entries of the empirical covariance of white rows: mean 0 or 1, variance 1/n or 2/n.
    errors = (whitened @ whitened.T / num - np.eye(dim)) / np.sqrt((1 + np.eye(dim)) / num)
    assert np.abs(errors).max() < stats.norm.isf(LEVEL / dim**2)


def test_correlated_noise_of_a_data_set_has_the_marginal_std(clean):
    made = load(noise_std=0.2, noise_length=2.0)
    noise = (made.x.astype(np.float64) - clean.x) / 0.2
    each = noise[:, ::9]
    for pixel in each.T:
        assert stats.kstest(pixel, "norm").pvalue > LEVEL / each.shape[1]
    correlation = np.mean(noise[:, 0] * noise[:, 1])
    expected = data.noise_covariance((8, 8), 1.0, 2.0)[0, 1]
    error = np.sqrt((1 + expected**2) / len(noise))
    assert abs(correlation - expected) < stats.norm.isf(LEVEL / 2) * error
