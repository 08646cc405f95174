"""Energy distance, KID and biased MMD: against NumPy in float64 and against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.metrics.pairwise import polynomial_kernel, rbf_kernel

from sigmaprop.data import digits
from sigmaprop.metrics import energy, kid, mmd

UNIT = 2.0**-24


def images(rows):
    return digits.load().train.images[rows]


PAIRS = [
    (images(slice(0, 300)), images(slice(300, 700))),
    (
        np.random.default_rng(0).normal(size=(200, 3)),
        np.random.default_rng(1).normal(size=(150, 3)),
    ),
]


def statistic(kernel, x, y, *, unbiased=True):
    """The U- or V-statistic in float64, by its definition."""
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    n, m, xx, yy = len(x), len(y), kernel(x, x), kernel(y, y)
    if unbiased:
        own = (xx.sum() - np.trace(xx)) / (n * (n - 1)) + (yy.sum() - np.trace(yy)) / (m * (m - 1))
    else:
        own = xx.mean() + yy.mean()
    return own - 2 * kernel(x, y).mean()


def single(*arrays):
    return tuple(jnp.asarray(array, jnp.float32) for array in arrays)


@pytest.mark.parametrize(("x", "y"), PAIRS, ids=["digits", "normal"])
def test_energy_distance_is_the_statistic_of_distances(x, y):
    x, y = single(x, y)
    expected = statistic(lambda a, b: -cdist(a, b), x, y)
    # A squared distance is off by a few units of the squared norms, its root by less.
    bound = 8 * UNIT * float(jnp.max(jnp.linalg.norm(y - y.mean(axis=0), axis=1))) * 16
    assert abs(float(jax.jit(energy.unbiased)(x, y)) - expected) < bound


def test_energy_distance_of_two_points_by_hand():
    x, y = jnp.array([[0.0], [2.0]]), jnp.array([[1.0], [5.0]])
    # Between: 1, 5, 1, 3; within: 2 and 4.
    assert float(energy.unbiased(x, y)) == pytest.approx(2 * 2.5 - 2 - 4, abs=1e-6)


def test_energy_distance_between_normals_has_its_closed_form():
    # E |N(m, s^2)| in one dimension; 400 pairs of samples of 30, 4 standard errors.
    from scipy.stats import norm

    def size(mean, std):
        return std * np.sqrt(2 / np.pi) * np.exp(-(mean**2) / (2 * std**2)) + mean * (
            1 - 2 * norm.cdf(-mean / std)
        )

    shift, scale = 0.7, 0.5
    expected = 2 * size(shift, np.hypot(1, scale)) - size(0, 2**0.5) - size(0, scale * 2**0.5)
    key_x, key_y = jax.random.split(jax.random.key(0))
    x = shift + scale * jax.random.normal(key_x, (400, 30, 1))
    y = jax.random.normal(key_y, (400, 30, 1))
    found = np.asarray(jax.jit(jax.vmap(energy.unbiased))(x, y), np.float64)
    assert abs(found.mean() - expected) < 4 * found.std(ddof=1) / np.sqrt(400)


@pytest.mark.parametrize(("x", "y"), PAIRS, ids=["digits", "normal"])
def test_kid_is_the_statistic_of_cubes(x, y):
    x, y = single(x, y)
    dim = x.shape[1]
    kernel = lambda a, b: polynomial_kernel(a, b, degree=3, gamma=1 / dim, coef0=1)  # noqa: E731
    expected = statistic(kernel, x, y)
    largest = max(kernel(np.asarray(a), np.asarray(a)).mean() for a in (x, y))
    assert abs(float(jax.jit(kid.unbiased)(x, y)) - expected) < 32 * UNIT * largest


def test_kid_of_two_points_by_hand():
    x, y = jnp.array([[0.0], [1.0]]), jnp.array([[2.0], [-1.0]])
    # Kernels (ab + 1)^3: within 1 and (-1)^3, between 1, 1, 27, 0.
    assert float(kid.unbiased(x, y)) == pytest.approx(1 - 1 - 2 * 29 / 4, abs=1e-5)


@pytest.mark.parametrize(("x", "y"), PAIRS, ids=["digits", "normal"])
def test_biased_mmd_counts_pairs_of_equal_index(x, y):
    x, y = single(x, y)
    bandwidths = mmd.squared_bandwidths(y)

    def kernel(a, b):
        return np.mean([rbf_kernel(a, b, gamma=1 / (2 * float(s))) for s in bandwidths], axis=0)

    expected = statistic(kernel, x, y, unbiased=False)
    assert abs(float(mmd.biased(x, y, bandwidths)) - expected) < 4 * UNIT
    assert float(mmd.biased(x, x, bandwidths)) == pytest.approx(0, abs=4 * UNIT)


def test_bandwidths_reach_down_to_the_finest_scale():
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 4, (400, 3)) + 0.05 * rng.normal(size=(400, 3))
    found = np.asarray(mmd.squared_bandwidths(rows, finest=0.05), np.float64)
    coarse = float(mmd.squared_bandwidths(rows, (1.0,))[0])
    np.testing.assert_allclose(found[:-1], np.array(mmd.FINE_FACTORS) * 0.05**2 * 1.5, rtol=1e-6)
    assert found[-1] == pytest.approx(coarse)


@pytest.mark.parametrize("measure", [energy.unbiased, kid.unbiased])
def test_memory_grows_with_the_rows_not_their_square(measure):
    def bytes_for(rows):
        x = jax.ShapeDtypeStruct((rows, 64), jnp.float32)
        memory = jax.jit(measure).lower(x, x).compile().memory_analysis()
        assert memory is not None
        return memory.temp_size_in_bytes

    assert bytes_for(4000) < 2.5 * bytes_for(2000)
