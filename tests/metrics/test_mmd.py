"""Squared MMD against float64 NumPy, scikit-learn, and the closed form between Gaussians."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics.pairwise import rbf_kernel

from sigmaprop.data import digits
from sigmaprop.metrics import mmd

UNIT = 2.0**-24
"""The rounding of a float32 at k = 1."""

unbiased = jax.jit(mmd.unbiased, static_argnames="chunk")


def reference(x, y, bandwidths):
    """The U-statistic in float64, by its definition."""

    def kernel(a, b):
        return np.mean([rbf_kernel(a, b, gamma=1 / (2 * s)) for s in bandwidths], axis=0)

    x, y, bandwidths = (np.asarray(each, np.float64) for each in (x, y, bandwidths))
    n, m = len(x), len(y)
    own_x = (kernel(x, x).sum() - n) / (n * (n - 1))
    own_y = (kernel(y, y).sum() - m) / (m * (m - 1))
    return own_x + own_y - 2 * kernel(x, y).mean()


def smoothed(distance, variance, bandwidths, dim):
    """E k(X, Y) of Gaussians whose difference has the given mean's norm and variance."""
    s = np.asarray(bandwidths)
    widths = s / (s + variance)
    return np.mean(widths ** (dim / 2) * np.exp(-(distance**2) / (2 * (s + variance))))


def ring(rng, rows):
    angle = rng.integers(0, 8, rows) * np.pi / 4
    points = np.stack([np.cos(angle), np.sin(angle)], 1)
    return points + 0.01 * rng.normal(size=(rows, 2))


def images(rows):
    return digits.load().train.images[rows]


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (images(slice(0, 600)), images(slice(600, 1197))),
        (images(slice(0, 600)) + 30, images(slice(600, 1197)) + 30),
        (ring(np.random.default_rng(0), 900), ring(np.random.default_rng(1), 700)),
        (np.random.default_rng(2).normal(size=(300, 784)), np.eye(784)[:200]),
    ],
    ids=["digits", "far from 0", "ring", "wide"],
)
def test_sums_are_accurate(x, y):
    x, y = jnp.asarray(x, jnp.float32), jnp.asarray(y, jnp.float32)
    bandwidths = mmd.squared_bandwidths(y)
    found = unbiased(x, y, bandwidths)
    assert found.dtype == jnp.float32
    assert abs(float(found) - reference(x, y, bandwidths)) < UNIT


def test_collapsed_samples_keep_six_digits():
    x = jnp.tile(images(slice(1)), (400, 1))
    y = jnp.asarray(images(slice(400, 800)))
    bandwidths = mmd.squared_bandwidths(y)
    # Every pair has one and the same error: a few units of |x|^2 in a squared distance.
    scale = np.sum((x[0] - y.mean(axis=0)) ** 2) / (2 * float(bandwidths[0]))
    expected = reference(x, y, bandwidths)
    assert abs(float(unbiased(x, y, bandwidths)) - expected) < 8 * UNIT * max(scale, 1)


def test_float64_agrees_to_rounding():
    with jax.enable_x64(True):
        x, y = (jnp.asarray(images(slice(n, n + 40)), jnp.float64) for n in (0, 40))
        bandwidths = mmd.squared_bandwidths(y)
        expected = reference(x, y, bandwidths)
        found = unbiased(x, y, bandwidths)
        assert float(found) == pytest.approx(expected, abs=100 * np.finfo(np.float64).eps)


def test_mean_is_the_distance_of_the_embeddings():
    # N(0, I) against N(m, 0.25 I) in 3-D: 1,000 independent pairs of samples of 20 and 30.
    dim, shift, scale = 3, 0.6, 0.5
    bandwidths = np.array([0.1, 0.5, 2.0])
    expected = (
        smoothed(0, 2, bandwidths, dim)
        + smoothed(0, 2 * scale**2, bandwidths, dim)
        - 2 * smoothed(shift, 1 + scale**2, bandwidths, dim)
    )
    key_x, key_y = jax.random.split(jax.random.key(0))
    x = jax.random.normal(key_x, (1000, 20, dim))
    y = scale * jax.random.normal(key_y, (1000, 30, dim)) + jnp.array([shift, 0, 0])
    pairs = jax.vmap(mmd.unbiased, (0, 0, None))
    found = np.asarray(jax.jit(pairs)(x, y, jnp.asarray(bandwidths, jnp.float32)), np.float64)
    error = found.std(ddof=1) / np.sqrt(len(found))
    assert abs(found.mean() - expected) < 4 * error
    # With the pairs of equal index left in, the bias (1 - E k) / N would be seen.
    assert (1 - smoothed(0, 2, bandwidths, dim)) / 20 > 10 * error


def test_equal_distributions_give_zero_on_average_and_negative_values():
    x, y = jax.random.normal(jax.random.key(1), (2, 500, 16, 2))
    found = np.asarray(jax.vmap(unbiased, (0, 0, None))(x, y, jnp.array([1.0])), np.float64)
    assert abs(found.mean()) < 4 * found.std(ddof=1) / np.sqrt(len(found))
    assert found.min() < 0


def test_chunks_and_replicas_change_rounding_only():
    x, y = jax.random.normal(jax.random.key(2), (2, 3, 70, 4))
    bandwidths = jnp.array([0.5, 4.0])
    whole = [reference(*each, bandwidths) for each in zip(x, y, strict=True)]
    apart = [unbiased(x[0], y[0], bandwidths, chunk=chunk) for chunk in (1, 32)]
    np.testing.assert_allclose(apart, whole[0], rtol=0, atol=UNIT)
    together = jax.vmap(lambda a, b: unbiased(a, b, bandwidths, chunk=32))(x, y)
    np.testing.assert_allclose(together, whole, rtol=0, atol=UNIT)


def test_memory_grows_with_the_rows_not_their_square():
    def bytes_for(rows):
        x = jax.ShapeDtypeStruct((rows, 784), jnp.float32)
        s = jax.ShapeDtypeStruct((4,), jnp.float32)
        memory = jax.jit(mmd.unbiased).lower(x, x, s).compile().memory_analysis()
        assert memory is not None
        return memory.temp_size_in_bytes

    small, large = bytes_for(2000), bytes_for(4000)
    assert large < 2.5 * small
    assert small < 64 * 2**20


def test_bandwidths_are_multiples_of_the_median():
    rows = np.random.default_rng(3).normal(size=(101, 5)) + 10
    differences = rows[:, None] - rows
    median = np.median(np.sum(differences**2, axis=-1)[np.triu_indices(101, 1)])
    found = mmd.squared_bandwidths(rows)
    np.testing.assert_allclose(found, np.array(mmd.FACTORS) * median, rtol=4 * UNIT)


def test_bandwidths_look_at_all_of_an_ordered_data_set():
    rows = np.concatenate([np.zeros((4000, 2)), np.ones((4000, 2))])
    rows = rows + 0.01 * np.random.default_rng(4).normal(size=rows.shape)
    # Slightly more than half of the pairs lie apart, at a squared distance of 2.
    assert float(mmd.squared_bandwidths(rows, (1.0,))[0]) > 1.5


@pytest.mark.parametrize("value", [3.0, 0.1, 1e4])
def test_bandwidths_need_rows_that_differ(value):
    with pytest.raises(ValueError, match="fewer than half of the pairs are equal"):
        mmd.squared_bandwidths(np.full((50, 3), value))


@pytest.mark.parametrize("call", [mmd.squared_bandwidths, lambda x: mmd.unbiased(x, x, x[0])])
def test_one_row_is_refused(call):
    with pytest.raises(ValueError, match="at least 2"):
        call(jnp.ones((1, 2)))


def test_a_diverged_sample_is_not_a_number():
    x = jax.random.normal(jax.random.key(5), (20, 2))
    assert jnp.isnan(unbiased(x.at[3, 1].set(jnp.nan), x, jnp.ones(1)))
