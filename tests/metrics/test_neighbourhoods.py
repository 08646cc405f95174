"""Nearest rows, precision, recall, density and coverage."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.distance import cdist

from sigmaprop.data import digits
from sigmaprop.metrics import neighbours, prdc

measure = jax.jit(prdc.neighbourhoods, static_argnames=("k", "chunk"))


def by_definition(x, y, k):
    """The four in float64 NumPy."""
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    radius_x, radius_y = (np.sort(cdist(rows, rows), axis=1)[:, k] for rows in (x, y))
    apart = cdist(y, x)
    inside = apart < radius_y[:, None]
    return (
        inside.any(axis=0).mean(),
        (apart < radius_x).any(axis=1).mean(),
        inside.sum(axis=0).mean() / k,
        (apart.min(axis=1) < radius_y).mean(),
    )


def samples():
    rng = np.random.default_rng(0)
    images = digits.load().train.images
    ring = np.exp(2j * np.pi * rng.integers(0, 8, (2, 500)) / 8)
    ring = np.stack([ring.real, ring.imag], axis=-1) + 0.01 * rng.normal(size=(2, 500, 2))
    narrow = np.exp(2j * np.pi * rng.integers(0, 8, (2, 500)) / 8)
    narrow = np.stack([narrow.real, narrow.imag], axis=-1) + 1e-4 * rng.normal(size=(2, 500, 2))
    return {
        "fine ring": (narrow[0], narrow[1]),
        "digits": (images[:400], images[400:900]),
        "ring": (ring[0], ring[1]),
        "narrow": (0.5 * rng.normal(size=(300, 6)), rng.normal(size=(200, 6))),
    }


@pytest.mark.parametrize("k", [3, 5])
@pytest.mark.parametrize("name", ["digits", "ring", "fine ring", "narrow"])
def test_it_is_the_definition(name, k):
    x, y = (jnp.asarray(rows, jnp.float32) for rows in samples()[name])
    # A comparison may fall otherwise where a distance equals a radius to float32: one row of 500.
    np.testing.assert_allclose(measure(x, y, k=k), by_definition(x, y, k), rtol=0, atol=1 / 500)


@pytest.mark.parametrize("k", [3, 5])
def test_the_package_prdc_agrees(k):
    package = pytest.importorskip("prdc")
    x, y = (np.asarray(rows, np.float32) for rows in samples()["digits"])
    expected = package.compute_prdc(y, x, k)
    found = measure(jnp.asarray(x), jnp.asarray(y), k=k)._asdict()
    for name, value in expected.items():
        assert float(found[name]) == pytest.approx(value, abs=1 / 500), name


def test_four_points_by_hand():
    y = jnp.array([[0.0], [1.0], [3.0], [7.0]])
    x = jnp.array([[0.5], [2.5], [2.6], [20.0]])
    # Radii of y at k = 1: 1, 1, 2, 4; of x: 2, .1, .1, 17.4.
    found = measure(x, y, k=1)
    inside = [2, 1, 1, 0]
    assert float(found.precision) == 3 / 4
    assert float(found.recall) == 1.0  # 0 and 1 lie near .5, the others near 20
    assert float(found.density) == pytest.approx(sum(inside) / 4)
    assert float(found.coverage) == 3 / 4


@pytest.mark.slow
def test_many_rows_of_many_dimensions_have_the_values_of_the_package():
    # By the package prdc, on these very rows: of D = 1000 a few rows are near to many, so that
    # density differs by .03 from draw to draw.
    x, y = jax.random.normal(jax.random.key(0), (2, 10_000, 1000))
    found = measure(x, y, k=5)
    # A comparison may fall otherwise where a distance equals a radius to float32: one row.
    np.testing.assert_allclose(found, (0.4656, 0.4743, 0.98824, 0.9687), rtol=0, atol=1e-4)


def test_nearest_rows_are_sorted_and_exact():
    rng = np.random.default_rng(1)
    x = (100 + rng.normal(size=(90, 20))).astype(np.float32)
    y = np.concatenate([x[:30], x[30:60] + np.float32(1e-3), 100 + rng.normal(size=(50, 20))])
    y = y.astype(np.float32)
    found = jax.jit(neighbours.nearest, static_argnums=2)(jnp.asarray(x), jnp.asarray(y), 4)
    apart = cdist(x.astype(np.float64), y.astype(np.float64))
    order = np.argsort(apart, axis=1)[:, :4]
    np.testing.assert_array_equal(found.indices, order)
    expected = np.take_along_axis(apart, order, axis=1)
    # A difference of numbers near 100 is exact; those of the shifted rows round at 1e-7.
    np.testing.assert_allclose(found.distances, expected, rtol=1e-4, atol=1e-5)
    assert float(found.distances[:30, 0].max()) == 0


def test_a_row_is_not_its_own_neighbour():
    x = jnp.array([[0.0], [0.0], [3.0]])
    found = neighbours.nearest(x, x, 1, exclude_self=True)
    np.testing.assert_array_equal(found.distances[:, 0], [0, 0, 3])
    np.testing.assert_array_equal(found.indices[:2, 0], [1, 0])
    with pytest.raises(ValueError, match="k = 3 nearest rows are asked for; there are 2"):
        neighbours.nearest(x, x, 3, exclude_self=True)


def test_chunks_change_nothing():
    x, y = (jnp.asarray(rows, jnp.float32) for rows in samples()["narrow"])
    whole, cut = (measure(x, y, k=3, chunk=chunk) for chunk in (512, 7))
    np.testing.assert_array_equal(whole, cut)


def test_equal_and_constant_samples():
    x = jnp.asarray(samples()["narrow"][0], jnp.float32)
    same = measure(x, x, k=3)
    assert float(same.precision) == float(same.recall) == float(same.coverage) == 1
    constant = measure(jnp.ones((10, 3)), jnp.ones((12, 3)), k=3)
    np.testing.assert_array_equal(constant, [0, 0, 0, 0])  # no open ball of radius 0 holds a point


def test_few_rows_are_refused():
    with pytest.raises(ValueError, match="a neighbourhood of 5 needs at least 6 rows"):
        prdc.neighbourhoods(jnp.ones((5, 2)), jnp.ones((9, 2)))
