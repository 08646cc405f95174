"""Frechet distance against SciPy's matrix root and the closed form between Gaussians."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import linalg

from sigmaprop.data import digits
from sigmaprop.metrics import frechet

distance = jax.jit(frechet.distance)


def by_root(x, y):
    """The formula of torch-fidelity in float64."""
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    cov_x, cov_y = (np.atleast_2d(np.cov(rows, rowvar=False)) for rows in (x, y))
    gap = x.mean(axis=0) - y.mean(axis=0)
    return gap @ gap + np.trace(cov_x) + np.trace(cov_y) - 2 * trace_of_root(cov_x @ cov_y)


def trace_of_root(product):
    """By SciPy, or by the eigenvalues where SciPy has no root of what is singular."""
    if np.linalg.cond(product) < 1e12:
        return np.trace(np.real(linalg.sqrtm(product)))
    return np.sum(np.sqrt(np.maximum(np.linalg.eigvals(product).real, 0)))


@pytest.mark.parametrize("dim", [1, 2, 16, 64])
def test_it_is_the_formula(dim):
    rng = np.random.default_rng(dim)
    mix = rng.normal(size=(dim, dim)) / np.sqrt(dim)
    x = jnp.asarray(rng.normal(size=(500, dim)) @ mix + 5, jnp.float32)
    y = jnp.asarray(rng.normal(size=(400, dim)) + 4.5, jnp.float32)
    total = float(jnp.sum(jnp.var(x, axis=0)) + jnp.sum(jnp.var(y, axis=0)))
    assert abs(float(distance(x, y)) - by_root(x, y)) < 4e-6 * total


def test_singular_covariances_keep_three_digits():
    # 3 of the 64 pixels are constant, others nearly so.
    images = digits.load().train.images
    x, y = jnp.asarray(images[:300]), jnp.asarray(images[300:700])
    total = float(jnp.sum(jnp.var(x, axis=0)) + jnp.sum(jnp.var(y, axis=0)))
    assert abs(float(distance(x, y)) - by_root(x, y)) < 1e-3 * total


def test_two_points_a_side_by_hand():
    # Means 0 and 3, variances 2 and 8: 9 + 2 + 8 - 2 * 4.
    x, y = jnp.array([[-1.0], [1.0]]), jnp.array([[1.0], [5.0]])
    assert float(distance(x, y)) == pytest.approx(11, rel=1e-6)


def test_gaussians_of_equal_axes_have_a_closed_form():
    # Moments made exact: 2 D rows on the axes. (s - 1)^2 a dimension, plus the shift.
    dim = 5
    rows = np.concatenate([np.eye(dim), -np.eye(dim)]) * np.sqrt((2 * dim - 1) / 2)
    x = jnp.asarray(0.6 * rows + 0.1, jnp.float32)
    assert float(distance(x, jnp.asarray(rows, jnp.float32))) == pytest.approx(
        dim * (0.4**2 + 0.1**2), rel=1e-5
    )


def test_equal_samples_are_at_distance_zero():
    x = jax.random.normal(jax.random.key(0), (100, 8)) + 30
    assert abs(float(distance(x, x))) < 1e-4
