"""Means of a function of pairs of rows, without a matrix of all pairs.

A U-statistic is a small difference of means near 1, so a mean is kept as a multiple of 2^-10 and
the rest: differences of the coarse parts are exact, and no compiler can fuse a product into them.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import chex
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

Pairwise: TypeAlias = Callable[[Array, Array, Array], Array]
"""Maps a point [D], rows y [M, D] and their squared norms [M] to a number for each row, [M]."""

CHUNK = 256
"""Rows that are compared with all others at a time, unless the caller says otherwise."""


class Mean(NamedTuple):
    """A mean as a multiple of 2^-10 and the rest, each with its own rounding."""

    coarse: Float[Array, ""]
    rest: Float[Array, ""]


def squared_distances(
    point: Float[Array, " D"], y: Float[Array, "M D"], squares: Float[Array, " M"]
) -> Float[Array, " M"]:
    """Squared distances of a point to the rows of y, by products; 0 below their rounding."""
    product = jnp.dot(y, point, precision=jax.lax.Precision.HIGHEST)
    return jnp.maximum(jnp.sum(point**2) + squares - 2 * product, 0)


_FEW = 8
"""Coordinates up to which differences cost no more than products."""


def near_distances(
    point: Float[Array, " D"], y: Float[Array, "M D"], squares: Float[Array, " M"]
) -> Float[Array, " M"]:
    """The same where small ones count: of few coordinates from differences.

    Products lose what is small beside the norms, such as distances within a mixture's components.
    """
    if y.shape[1] <= _FEW:
        return jnp.sum((y - point) ** 2, axis=1)
    return squared_distances(point, y, squares)


def mean(
    function: Pairwise,
    x: Float[Array, "N D"],
    y: Float[Array, "M D"],
    chunk: int,
    *,
    distinct: bool,
) -> Mean:
    """The mean of a function of (x_i, y_j) over all pairs, or over those of different index.

    Args:
        function: see `Pairwise`.
        x: rows, one at a time.
        y: rows, all at a time; x itself for pairs within one sample.
        chunk: rows of x at a time; memory grows as chunk x M.
        distinct: whether pairs of equal index are left out.
    """
    squares = jnp.sum(y**2, axis=1)

    def row(index: Array, point: Array) -> Array:
        values = function(point, y, squares)
        return jnp.sum(jnp.where(jnp.arange(len(y)) == index, 0, values) if distinct else values)

    sums = jax.lax.map(lambda each: row(*each), (jnp.arange(len(x)), x), batch_size=chunk)
    # 1 / count in two parts: one rounded factor would bias all rows alike.
    count = len(y) - 1 if distinct else len(y)
    factor = np.asarray(1 / count, sums.dtype)
    rows = sums * factor
    coarse = jnp.round(jnp.mean(rows) * 1024) / 1024
    return Mean(coarse, jnp.mean(rows - coarse) + jnp.mean(sums) * (1 / count - float(factor)))


def discrepancy(
    function: Pairwise,
    x: Float[Array, "N D"],
    y: Float[Array, "M D"],
    chunk: int,
    *,
    unbiased: bool = True,
) -> Float[Array, ""]:
    """Mean within x plus mean within y less twice the mean between them.

    Args:
        function: a kernel; for a distance the result has the other sign.
        x: generated samples.
        y: held-out data.
        chunk: see `mean`.
        unbiased: whether a row is paired with others only.
    """
    xx = mean(function, x, x, chunk, distinct=unbiased)
    yy = mean(function, y, y, chunk, distinct=unbiased)
    xy = mean(function, x, y, chunk, distinct=False)
    coarse = (xx.coarse - xy.coarse) + (yy.coarse - xy.coarse)
    return coarse + (xx.rest + yy.rest - 2 * xy.rest)


def check_samples(
    what: str, x: Float[Array, "N D"], y: Float[Array, "M D"], fewest: int = 2
) -> None:
    """Refuses samples that are no rows of equal length, or too few.

    Raises:
        ValueError: fewer than ``fewest`` rows in x or y.
    """
    chex.assert_rank([x, y], 2)
    chex.assert_equal(x.shape[1], y.shape[1])
    if min(len(x), len(y)) < fewest:
        rows = "row" if fewest == 1 else "rows"
        raise ValueError(
            f"{what} needs at least {fewest} {rows} on each side, not {len(x)} and {len(y)}"
        )
