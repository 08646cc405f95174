"""Nearest rows, without a matrix of all distances.

Of more than a few coordinates candidates are found by products, which lose what is small beside the
norms; the distances that are returned are computed from differences, so that a copy has distance 0
exactly.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from sigmaprop.metrics.pairs import CHUNK, near_distances

_SPARE = 4
"""Candidates beyond those asked for, whose order products may get wrong."""


class Neighbours(NamedTuple):
    """The nearest rows of y to each row of x, the nearest first.

    Attributes:
        distances: in units of x, from differences. [N, k]
        indices: rows of y. [N, k]
    """

    distances: Float[Array, "N k"]
    indices: Int[Array, "N k"]


def nearest(
    x: Float[Array, "N D"],
    y: Float[Array, "M D"],
    k: int,
    *,
    exclude_self: bool = False,
    chunk: int = CHUNK,
) -> Neighbours:
    """The k nearest rows of y to each row of x.

    Args:
        x: rows to look from.
        y: rows to look among.
        k: how many, 1 to M (to M - 1 without itself).
        exclude_self: whether row i of y is no neighbour of row i of x: for x = y.
        chunk: rows of x at a time; memory grows as chunk x M.

    Returns:
        See `Neighbours`. A row that is not finite has NaN as distances.

    Raises:
        ValueError: k rows are not there.
    """
    most = len(y) - 1 if exclude_self else len(y)
    if not 1 <= k <= most:
        raise ValueError(f"k = {k} nearest rows are asked for; there are {most}, give 1 to {most}")
    shift = jnp.mean(jnp.where(jnp.isfinite(y), y, 0.0), axis=0)
    x, y = x - shift, y - shift
    squares = jnp.sum(y**2, axis=1)
    candidates = min(k + _SPARE, most)

    def row(index: Array, point: Array) -> tuple[Array, Array]:
        distances = near_distances(point, y, squares)
        if exclude_self:
            distances = jnp.where(jnp.arange(len(y)) == index, jnp.inf, distances)
        _, near = jax.lax.top_k(-jnp.where(jnp.isnan(distances), jnp.inf, distances), candidates)
        exact = jnp.sum((y[near] - point) ** 2, axis=1)
        order = jnp.argsort(exact)[:k]
        return jnp.sqrt(exact[order]), near[order]

    rows = (jnp.arange(len(x)), x)
    return Neighbours(*jax.lax.map(lambda each: row(*each), rows, batch_size=chunk))
