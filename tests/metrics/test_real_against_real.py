"""The null distribution: disjoint rows, exact moments, its percentile."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from sigmaprop.metrics import mmd, real_against_real
from sigmaprop.metrics.real_against_real import null


def shared_rows(x, y):
    """How often a row of x is in x more than once, or in y."""
    rows = jnp.concatenate([x, y])
    return jnp.sum(jnp.all(rows[:, None] == rows, axis=-1)) - len(rows)


def squared_difference(x, y):
    return jnp.sum((jnp.mean(x, axis=0) - jnp.mean(y, axis=0)) ** 2)


def test_no_row_is_taken_twice():
    data = jnp.arange(20.0)[:, None]
    found = null(data, jax.random.key(0), shared_rows, 8, 30, num_held_out=12)
    assert not np.any(found.draws)


def test_sizes_are_as_asked():
    def sizes(x, y):
        return jnp.array(1e3 * len(x) + len(y))

    data, key = jnp.zeros((50, 3)), jax.random.key(1)
    assert float(null(data, key, sizes, 7, 2).mean) == 7007
    assert float(null(data, key, sizes, 7, 2, num_held_out=9).mean) == 7009


def test_pooled_nulls_are_those_of_all_draws():
    draws = np.random.default_rng(0).normal(size=(2, 40)).astype(np.float32)
    each = [real_against_real._null(jnp.asarray(own)) for own in draws]
    found = real_against_real.pooled(each)
    np.testing.assert_array_equal(found.draws, draws.ravel())
    np.testing.assert_allclose(found.mean, draws.mean(), atol=1e-6)
    expected = np.percentile(draws.astype(np.float64), [50, 95])
    np.testing.assert_allclose([found.median, found.percentile_95], expected, rtol=1e-5)
    assert real_against_real.pooled(each[:1]) is each[0]


@pytest.mark.slow
def test_difference_of_means_has_its_exact_variance_and_percentile():
    # Disjoint samples of a finite set: the variance of the difference is S^2 (1/n + 1/m).
    data = np.random.default_rng(2).normal(size=(5000, 1))
    num_draws, num, held_out = 800, 40, 60
    found = null(
        jnp.asarray(data, jnp.float32),
        jax.random.key(3),
        squared_difference,
        num,
        num_draws,
        num_held_out=held_out,
    )
    draws = np.asarray(found.draws, np.float64)
    variance = data.var(ddof=1) * (1 / num + 1 / held_out)
    assert abs(draws.mean() - variance) < 4 * stats.sem(draws)
    assert float(found.mean) == pytest.approx(draws.mean(), rel=1e-5)
    assert float(found.median) == pytest.approx(np.median(draws), rel=1e-5)
    # The share of a chi2_1 above the 95th percentile found: a Beta(41, 760), once in 10^4 outside.
    above = stats.chi2(1).sf(float(found.percentile_95) / variance)
    low, high = stats.beta(41, 760).interval(1 - 1e-4)
    assert low < above < high


def test_mmd_of_real_data_is_zero_on_average():
    data = jax.random.normal(jax.random.key(4), (2000, 2))
    bandwidths = mmd.squared_bandwidths(data)
    found = null(data, jax.random.key(5), lambda x, y: mmd.unbiased(x, y, bandwidths), 50, 200)
    assert abs(float(found.mean)) < 4 * stats.sem(np.asarray(found.draws, np.float64))
    assert found.percentile_95 > 0


def test_works_inside_a_jitted_program():
    data = jax.random.normal(jax.random.key(6), (30, 2))
    plain = null(data, jax.random.key(7), squared_difference, 10, 5)
    jitted = jax.jit(null, static_argnums=(2, 3, 4))(
        data, jax.random.key(7), squared_difference, 10, 5
    )
    # Means of numbers of size 1 are known to a few units; the statistic squares them.
    np.testing.assert_allclose(jitted.draws, plain.draws, rtol=0, atol=16 * 2.0**-23)


def test_too_few_rows_are_refused():
    with pytest.raises(ValueError, match="need 12 rows but there are 10"):
        null(jnp.zeros((10, 1)), jax.random.key(0), squared_difference, 6, 5)


def test_no_draw_is_refused():
    with pytest.raises(ValueError, match="num_draws = 0"):
        null(jnp.zeros((10, 1)), jax.random.key(0), squared_difference, 5, 0)
