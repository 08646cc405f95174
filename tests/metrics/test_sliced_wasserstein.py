"""Sliced Wasserstein against POT, exact shifts and order statistics of Gaussians."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from sigmaprop.metrics import sliced_wasserstein

EPS = float(np.finfo(np.float32).eps)

along = jax.jit(sliced_wasserstein.along, static_argnames=("p", "chunk"))
distance = jax.jit(sliced_wasserstein.distance, static_argnames=("num_projections", "p", "chunk"))


def order_statistic_mean(rank: int, count: int) -> float:
    """Mean of the rank-th smallest of ``count`` standard normals, by quadrature."""

    def weighted(z):
        return z * stats.norm.pdf(z) * stats.beta.pdf(stats.norm.cdf(z), rank, count - rank + 1)

    return integrate.quad(weighted, -9, 9)[0]


@pytest.mark.parametrize(
    ("num_x", "num_y", "p"), [(64, 64, 2), (60, 48, 1), (31, 64, 2), (1, 7, 3)]
)
def test_agrees_with_pot_along_the_same_directions(num_x, num_y, p):
    ot = pytest.importorskip("ot")
    rng = np.random.default_rng(num_x)
    x = jnp.asarray(rng.normal(size=(num_x, 5)), jnp.float32)
    y = jnp.asarray(rng.normal(size=(num_y, 5)) * 2 + 1, jnp.float32)
    lines = sliced_wasserstein.directions(jax.random.key(0), 5, 20)
    found = along(x, y, lines, p=p)
    expected = ot.sliced.sliced_wasserstein_distance(
        *(np.asarray(each, np.float64) for each in (x, y)),
        projections=np.asarray(lines, np.float64).T,
        p=p,
    )
    # Projections err by a few units of |x|, about twice the distance here; sums by less.
    assert float(found) == pytest.approx(float(expected), rel=16 * EPS)


def test_unequal_samples_in_one_dimension_agree_with_scipy():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=37), rng.exponential(size=53)
    column_x, column_y = (jnp.asarray(each[:, None], jnp.float32) for each in (x, y))
    found = along(column_x, column_y, jnp.ones((1, 1)), p=1)
    assert float(found) == pytest.approx(stats.wasserstein_distance(x, y), rel=16 * EPS)


@pytest.mark.parametrize("x64", [False, True])
def test_one_line_is_sorted_as_numpy_sorts_it(x64):
    """All signs and sizes, both zeros and infinity; and ties, which whole numbers keep as they are.

    Against a fixed point at 0 the first-order distance is the mean of |value|; against the same
    values in another order it is 0 exactly, which one pair out of place would spoil.
    """
    dtype = np.float64 if x64 else np.float32
    rng = np.random.default_rng(4)
    sizes = np.ldexp(rng.normal(size=200), rng.integers(-120, 120, 200))
    values = np.concatenate([sizes, [0.0, -0.0, 1.0, 1.0, -1.0, 1e-40]]).astype(dtype)
    with jax.enable_x64(x64):
        column = jnp.asarray(values[:, None])
        shuffled = jnp.asarray(rng.permutation(values)[:, None])
        line = jnp.ones((1, 1), dtype)
        assert float(along(column, shuffled, line)) == 0.0
        assert float(along(column, shuffled + dtype(1.0), line)) > 0.0
        infinite = column.at[3].set(jnp.inf)
        assert float(along(infinite, shuffled, line)) == np.inf
        for nan in (np.nan, -np.nan):
            assert np.isnan(float(along(column.at[3].set(nan), shuffled, line)))


def test_the_gradient_goes_to_the_points_that_meet():
    """Of W_2^2 in one dimension: 2 (x_i - y_i) / N, both sorted."""
    x, y = jnp.array([[3.0], [-1.0], [0.5]]), jnp.array([[0.0], [-3.0], [1.0]])
    found = jax.grad(lambda x: along(x, y, jnp.ones((1, 1))) ** 2)(x)[:, 0]
    np.testing.assert_allclose(found, 2 / 3 * np.array([2.0, 2.0, 0.5]), rtol=1e-5)


def test_repeating_every_point_changes_nothing():
    x, y = jax.random.normal(jax.random.key(2), (2, 40, 3))
    once = distance(x, y, jax.random.key(3))
    thrice = distance(jnp.repeat(x, 3, axis=0), y, jax.random.key(3))
    assert float(thrice) == pytest.approx(float(once), rel=16 * EPS)


@pytest.mark.parametrize("p", [1, 2])
def test_a_shift_costs_its_projection(p):
    x = jax.random.normal(jax.random.key(4), (500, 3))
    shift = np.array([1.0, -2.0, 0.5])
    lines = sliced_wasserstein.directions(jax.random.key(5), 3, 40)
    expected = np.mean(np.abs(np.asarray(lines, np.float64) @ shift) ** p) ** (1 / p)
    found = along(x, x + jnp.asarray(shift, jnp.float32), lines, p=p)
    # Rounding of points up to 6 away, each known to half a unit there: 3 sqrt(3) EPS.
    assert float(found) == pytest.approx(expected, abs=6 * EPS)


@pytest.mark.slow
def test_mean_between_samples_of_two_gaussians():
    """E SW_2^2 of n points each is |m|^2 / D + 2 (1 - mean_i (E Z_(i))^2), Z_(i) the i-th of n."""
    num, dim, shift = 6, 2, 0.8
    orders = [order_statistic_mean(i + 1, num) for i in range(num)]
    expected = shift**2 / dim + 2 * (1 - np.mean(np.square(orders)))
    key_x, key_y, key_lines = jax.random.split(jax.random.key(6), 3)
    x = jax.random.normal(key_x, (4000, num, dim))
    y = jax.random.normal(key_y, (4000, num, dim)) + jnp.array([shift, 0])
    keys = jax.random.split(key_lines, 4000)
    many = jax.vmap(lambda *each: sliced_wasserstein.distance(*each, num_projections=4))
    squares = np.asarray(jax.jit(many)(x, y, keys), np.float64) ** 2
    assert abs(squares.mean() - expected) < 4 * stats.sem(squares)


def test_directions_are_uniform():
    lines = np.asarray(sliced_wasserstein.directions(jax.random.key(7), 3, 5000), np.float64)
    np.testing.assert_allclose(np.linalg.norm(lines, axis=1), 1, rtol=4 * EPS)
    # A coordinate of a uniform direction in 3-D is uniform on [-1, 1]; refused once in 10^4.
    assert stats.kstest(lines[:, 0], stats.uniform(-1, 2).cdf).pvalue > 1e-4


@pytest.mark.slow
def test_chunks_change_rounding_only():
    x, y = jax.random.normal(jax.random.key(8), (2, 30, 4))
    lines = sliced_wasserstein.directions(jax.random.key(9), 4, 25)
    found = [along(x, y, lines, chunk=chunk) for chunk in (10, 64)]
    np.testing.assert_allclose(found, found[0], rtol=8 * EPS)


def test_an_order_below_one_is_refused():
    with pytest.raises(ValueError, match=r"p = 0\.5"):
        sliced_wasserstein.distance(jnp.ones((2, 2)), jnp.ones((2, 2)), jax.random.key(0), p=0.5)
