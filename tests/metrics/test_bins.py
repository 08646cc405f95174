"""Cells of k-means, and what is counted in them: NDB, C_T, and the classifier two-sample test."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import cdist
from sklearn.cluster import KMeans
from sklearn.neighbors import KNeighborsClassifier

from sigmaprop.metrics import bins, copying, two_sample


def rows(seed, num=400, dim=3, scale=1.0):
    return (scale * np.random.default_rng(seed).normal(size=(num, dim))).astype(np.float32)


def test_lloyd_is_that_of_scikit_learn():
    data = rows(0)
    first = data[:7]
    expected = KMeans(7, init=first, n_init=1, max_iter=20, tol=0, algorithm="lloyd").fit(data)
    found = bins.lloyd(jnp.asarray(data), jnp.asarray(first), num_iterations=expected.n_iter_)
    np.testing.assert_allclose(found, expected.cluster_centers_, atol=1e-4)


def test_seeding_spreads_the_centres():
    # Four distant heaps: one centre in each, which four random rows find in 9% of draws.
    heaps = np.array([[0, 0], [9, 0], [0, 9], [9, 9]], np.float32)
    data = jnp.asarray(np.repeat(heaps, 50, axis=0) + 0.01 * rows(1, 200, 2))
    seed = jax.jit(lambda key: bins.k_means(data, 4, key, num_iterations=0))
    for key in jax.random.split(jax.random.key(0), 20):
        assert set(np.argmin(cdist(seed(key), heaps), axis=1)) == {0, 1, 2, 3}


def test_a_cell_per_row_is_possible_and_more_are_refused():
    data = jnp.asarray(rows(2, 6))
    assert sorted(map(tuple, np.asarray(bins.k_means(data, 6, jax.random.key(0))))) == sorted(
        map(tuple, np.asarray(data))
    )
    with pytest.raises(ValueError, match="7 centres are asked for of 6 rows"):
        bins.k_means(data, 7, jax.random.key(0))


def test_different_bins_are_those_of_the_test_of_two_proportions():
    x, y, centres = rows(3, 300, scale=0.8), rows(4, 500), rows(5, 20)
    found = jax.jit(bins.different)(*map(jnp.asarray, (x, y, centres)))
    p, q = (
        np.bincount(np.argmin(cdist(each, centres), axis=1), minlength=20) / len(each)
        for each in (x, y)
    )
    pooled = (300 * p + 500 * q) / 800
    with np.errstate(invalid="ignore"):
        z = (p - q) / np.sqrt(pooled * (1 - pooled) * (1 / 300 + 1 / 500))
    expected = np.mean(2 * stats.norm.sf(np.abs(np.nan_to_num(z))) < 0.05)
    assert float(found.ndb) == pytest.approx(expected)
    half = (p + q) / 2
    js = (stats.entropy(p, half) + stats.entropy(q, half)) / 2
    assert float(found.bins_js) == pytest.approx(js, rel=1e-4)


def test_equal_distributions_differ_in_a_twentieth_of_the_bins():
    centres = jnp.asarray(rows(6, 20))
    key_x, key_y = jax.random.split(jax.random.key(0))
    x, y = (jax.random.normal(key, (200, 400, 3)) for key in (key_x, key_y))
    found = np.asarray(jax.jit(jax.vmap(lambda a, b: bins.different(a, b, centres).ndb))(x, y))
    # 4 standard errors, and 1% for the discreteness of small counts.
    assert abs(found.mean() - 0.05) < 4 * found.std() / np.sqrt(200) + 0.01


def test_c_t_is_the_score_of_mann_and_whitney():
    x, train, held_out = rows(7, 150, scale=0.9), rows(8, 300), rows(9, 120)
    one = jnp.zeros((1, 3))
    found = copying.statistic(*map(jnp.asarray, (x, train, held_out)), one)
    of_x, of_y = (cdist(each, train).min(axis=1) for each in (x, held_out))
    u = stats.mannwhitneyu(of_x, of_y, alternative="two-sided").statistic
    expected = (u - 150 * 120 / 2) / np.sqrt(150 * 120 * 271 / 12)
    assert float(found) == pytest.approx(expected, abs=0.02)


def test_c_t_averages_cells_by_their_held_out_rows():
    x, train, held_out = rows(10, 200), rows(11, 300), rows(12, 160)
    centres = np.array([[-2, 0, 0], [0.5, 0, 0], [50, 0, 0]], np.float32)
    found = copying.statistic(*map(jnp.asarray, (x, train, held_out, centres)))
    cell_x, cell_y = (np.argmin(cdist(each, centres), axis=1) for each in (x, held_out))
    total = 0.0
    for cell in (0, 1):  # nothing lies in the third
        a, b = x[cell_x == cell], held_out[cell_y == cell]
        of_a, of_b = (cdist(each, train).min(axis=1) for each in (a, b))
        n, m = len(a), len(b)
        u = stats.mannwhitneyu(of_a, of_b, alternative="two-sided").statistic
        total += m * (u - n * m / 2) / np.sqrt(n * m * (n + m + 1) / 12)
    assert float(found) == pytest.approx(total / len(held_out), abs=0.02)


def test_c_t_finds_copies_and_not_what_is_independent():
    train, held_out = jnp.asarray(rows(13, 400)), jnp.asarray(rows(14, 200))
    one = jnp.zeros((1, 3))
    copied = copying.statistic(train[:200] + 1e-3, train, held_out, one)
    independent = copying.statistic(jnp.asarray(rows(15, 200)), train, held_out, one)
    assert float(copied) < -10
    assert abs(float(independent)) < 4


def test_the_classifier_is_that_of_scikit_learn():
    x, y, key = jnp.asarray(rows(16, 300, scale=0.6)), jnp.asarray(rows(17, 280)), jax.random.key(3)
    train, test = two_sample.halves(x, y, key)
    labels = np.repeat([1, 0], 140)
    other = KNeighborsClassifier(17).fit(np.concatenate(train), labels)
    expected = other.score(np.concatenate(test), labels)
    assert float(two_sample.accuracy(x, y, key)) == pytest.approx(expected, abs=1e-6)
    assert expected > 0.6


def test_the_classifier_is_right_half_of_the_time_where_there_is_nothing_to_tell():
    key_x, key_y, key = jax.random.split(jax.random.key(1), 3)
    x, y = (jax.random.normal(one, (100, 200, 2)) for one in (key_x, key_y))
    keys = jax.random.split(key, 100)
    found = np.asarray(jax.jit(jax.vmap(two_sample.accuracy))(x, y, keys))
    assert abs(found.mean() - 0.5) < 4 * found.std(ddof=1) / 10


@pytest.mark.parametrize("k", [2, 0, 999])
def test_an_even_number_of_votes_is_refused(k):
    with pytest.raises(ValueError, match=f"k = {k} neighbours vote; give an odd number"):
        two_sample.accuracy(jnp.ones((8, 1)), jnp.ones((8, 1)), jax.random.key(0), k=k)
