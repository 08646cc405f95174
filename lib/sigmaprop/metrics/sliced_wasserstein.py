"""Sliced Wasserstein distance: transport along random lines, where sorting solves it exactly."""

from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

NUM_PROJECTIONS = 128
"""Directions of the score that generators are compared by."""


def distance(
    x: Float[Array, "N D"],
    y: Float[Array, "M D"],
    key: Key[Array, ""],
    *,
    num_projections: int = 50,
    p: float = 2,
    chunk: int = 64,
) -> Float[Array, ""]:
    """The sliced Wasserstein distance along ``num_projections`` random directions.

    SW_p = (mean_theta W_p(theta' x, theta' y)^p)^(1/p), theta uniform on the sphere.

    Between two finite samples of one distribution it is positive; `real_against_real.null` says
    how large. Compare arms with the same key: the same directions for all.

    Args:
        x: generated samples.
        y: held-out data; M may differ from N, see `along`.
        key: draws the directions.
        num_projections: directions; the error from them falls as num_projections^(-1/2).
        p: order of the distance, >= 1.
        chunk: directions sorted at a time; memory grows as chunk x (N + M).

    Returns:
        The distance, in units of x.

    Raises:
        ValueError: p < 1.

    Source: Bonneel, Rabin, Peyre, Pfister 2015, "Sliced and Radon Wasserstein barycenters of
        measures".
    """
    return along(x, y, directions(key, x.shape[-1], num_projections), p=p, chunk=chunk)


def directions(key: Key[Array, ""], dim: int, num_projections: int) -> Float[Array, "P D"]:
    """Independent directions, uniform on the unit sphere."""
    eps = jax.random.normal(key, (num_projections, dim))
    return eps / jnp.linalg.norm(eps, axis=1, keepdims=True)


def along(
    x: Float[Array, "N D"],
    y: Float[Array, "M D"],
    directions: Float[Array, "P D"],
    *,
    p: float = 2,
    chunk: int = 64,
) -> Float[Array, ""]:
    """The sliced Wasserstein distance along given unit directions.

    Samples of different size are compared exactly, without interpolation: W_p^p is the integral
    over [0, 1] of |difference of the two quantile functions|^p, which are steps.

    Args:
        x: generated samples.
        y: held-out data.
        directions: unit vectors.
        p: order of the distance, >= 1.
        chunk: directions at a time.

    Returns:
        The distance, in units of x.

    Raises:
        ValueError: p < 1.
    """
    chex.assert_rank([x, y, directions], 2)
    chex.assert_equal(x.shape[1], y.shape[1])
    if not p >= 1:
        raise ValueError(f"p = {p} gives no distance; take p >= 1")
    from_x, from_y, weights = _matched(len(x), len(y))

    def line(direction: Array) -> Array:
        on_x, on_y = (_ascending(_project(points, direction)) for points in (x, y))
        return jnp.sum(weights * jnp.abs(on_x[from_x] - on_y[from_y]) ** p)

    return jnp.mean(jax.lax.map(line, directions, batch_size=chunk)) ** (1 / p)


@jax.custom_jvp
def _ascending(values: Array) -> Array:
    """Sorted values: as whole numbers in the same order, which XLA sorts 5 times faster on a CPU.

    Below 0 the bits of floats rise as the numbers fall. NaN come last or, of negative sign, first.
    """
    kind = jnp.dtype(f"int{8 * values.dtype.itemsize}")

    def mirrored(bits: Array) -> Array:
        return jnp.where(bits < 0, bits ^ jnp.iinfo(kind).max, bits)

    bits = mirrored(jax.lax.bitcast_convert_type(values, kind))
    found = mirrored(jax.lax.sort(bits, is_stable=False))
    return jax.lax.bitcast_convert_type(found, values.dtype)


@_ascending.defjvp
def _ascending_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    return jax.jvp(jnp.sort, primals, tangents)


def _project(points: Array, direction: Array) -> Array:
    """Inner products, not in the reduced precision that accelerators default to."""
    return jnp.dot(points, direction, precision=jax.lax.Precision.HIGHEST)


def _matched(num_x: int, num_y: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which sorted points meet between the steps of two quantile functions, and for how long.

    In whole numbers, steps of x are multiples of num_y and steps of y multiples of num_x.
    """
    steps_x = num_y * np.arange(num_x + 1, dtype=np.int64)
    steps_y = num_x * np.arange(num_y + 1, dtype=np.int64)
    levels = np.union1d(steps_x, steps_y)
    starts = levels[:-1]
    weights = np.diff(levels) / (num_x * num_y)
    return starts // num_y, starts // num_x, weights.astype(jnp.result_type(float))


def score(x: Float[Array, "N D"], held_out: Float[Array, "M D"], reference: Any) -> Array:
    """`distance` along the directions of an `evaluation.Reference`, the same for every sample."""
    return distance(x, held_out, reference.key, num_projections=NUM_PROJECTIONS)
