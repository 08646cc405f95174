"""Energy distance: it needs no bandwidth, and sees all scales with the weight of their size."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from sigmaprop.metrics.pairs import CHUNK, check_samples, discrepancy, squared_distances


def unbiased(
    x: Float[Array, "N D"], y: Float[Array, "M D"], *, chunk: int = CHUNK
) -> Float[Array, ""]:
    """The unbiased U-statistic of the energy distance.

    2 mean_{i, j} |x_i - y_j| - mean_{i != j} |x_i - x_j| - mean_{i != j} |y_i - y_j|

    It is the MMD^2 of the kernel -|x - y|. Its mean is 0 for equal distributions and positive else;
    a single value may be negative. In float32 the error is about 1e-7 of the mean distance; the
    distance of two rows is only known to about 3e-4 of their norm where they nearly coincide.

    Args:
        x: generated samples, N >= 2.
        y: held-out data, M >= 2.
        chunk: rows compared with all others at a time; memory grows as chunk x max(N, M).

    Returns:
        The squared energy distance, in units of x.

    Raises:
        ValueError: fewer than 2 rows in x or y.

    Source: Szekely, Rizzo 2013, "Energy statistics: a class of statistics based on distances",
        section 6, with U- in place of V-statistics.
    """
    check_samples("the energy distance", x, y)
    shift = jnp.mean(y, axis=0)
    return discrepancy(_negative_distance, x - shift, y - shift, chunk)


def _negative_distance(point: Array, y: Array, squares: Array) -> Array:
    return -jnp.sqrt(squared_distances(point, y, squares))


def score(x: Float[Array, "N D"], held_out: Float[Array, "M D"], reference: Any) -> Array:
    """`unbiased`; nothing of an `evaluation.Reference` enters."""
    del reference
    return unbiased(x, held_out)
