"""Maximum mean discrepancy under a mean of Gaussian kernels.

The kernel is k(x, y) = mean_j exp(-|x - y|^2 / (2 s_j)): the squared bandwidth s_j stands where a
Gaussian density has its variance. k(x, x) = 1.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

FACTORS = (0.05, 0.2, 1.0, 4.0)
"""Squared bandwidths in units of the median squared distance of the training data."""

MAX_ROWS = 2000
"""So many training rows, evenly spaced, are compared for the median."""


def squared_bandwidths(
    train: Float[Array | np.ndarray, "N D"], factors: Sequence[float] = FACTORS
) -> Float[Array, " J"]:
    """Squared bandwidths from the median squared distance between rows of the TRAINING data.

    The kernel must know neither the held-out data nor a generator, so that all arms are measured
    by the same one. Computed on the host in float64, from at most `MAX_ROWS` evenly spaced rows.

    Args:
        train: training data.
        factors: the squared bandwidths, in units of the median. [J]

    Returns:
        factors x median squared distance of distinct pairs, in squared units of the data.

    Raises:
        ValueError: fewer than 2 rows, or a median that is not positive and finite.
    """
    rows = np.asarray(train, np.float64)
    count = min(len(rows), MAX_ROWS)
    if count < 2:
        raise ValueError(f"bandwidths need at least 2 training rows, not {count}")
    rows = rows[np.linspace(0, len(rows) - 1, count).astype(int)]
    rows = rows - rows.mean(axis=0)
    squares = np.sum(rows**2, axis=1)
    distances = squares[:, None] + squares - 2 * rows @ rows.T
    median = np.median(distances[np.triu_indices(count, k=1)])
    # Equal rows leave rounding behind in place of 0.
    if not np.finfo(np.float64).eps * 8 * squares.max() < median < np.inf:
        raise ValueError(
            f"the median squared distance of the training data is {median:.3g}: bandwidths need "
            "finite data of which fewer than half of the pairs are equal"
        )
    return jnp.asarray(np.asarray(factors) * median, jnp.result_type(float))


def unbiased(
    x: Float[Array, "N D"],
    y: Float[Array, "M D"],
    squared_bandwidths: Float[Array, " J"],
    *,
    chunk: int = 256,
) -> Float[Array, ""]:
    """The unbiased U-statistic of the squared maximum mean discrepancy.

    MMD^2 = mean_{i != j} k(x_i, x_j) + mean_{i != j} k(y_i, y_j) - 2 mean_{i, j} k(x_i, y_j)

    Its mean is the squared distance of the kernel mean embeddings of the two distributions, 0 for
    equal ones; a single value may be negative. In float32 it differs from the float64 value by
    about 1e-9 (less than 6e-8, the rounding of k = 1), by 1e-6 where all of x is one point.

    Args:
        x: generated samples, N >= 2.
        y: held-out data, M >= 2.
        squared_bandwidths: in squared units of x, > 0; from `squared_bandwidths`.
        chunk: rows compared with all others at a time; memory grows as chunk x max(N, M),
            times the replicas under vmap.

    Returns:
        MMD^2, without unit.

    Raises:
        ValueError: fewer than 2 rows in x or y.

    Source: Gretton, Borgwardt, Rasch, Schoelkopf, Smola 2012, "A kernel two-sample test",
        equation 3.
    """
    chex.assert_rank([x, y, squared_bandwidths], [2, 2, 1])
    chex.assert_equal(x.shape[1], y.shape[1])
    if min(len(x), len(y)) < 2:
        raise ValueError(f"MMD needs at least 2 rows on each side, not {len(x)} and {len(y)}")
    shift = jnp.mean(y, axis=0)
    x, y = x - shift, y - shift
    xx = _kernel_mean(x, x, squared_bandwidths, chunk, distinct=True)
    yy = _kernel_mean(y, y, squared_bandwidths, chunk, distinct=True)
    xy = _kernel_mean(x, y, squared_bandwidths, chunk, distinct=False)
    coarse = (xx.coarse - xy.coarse) + (yy.coarse - xy.coarse)
    return coarse + (xx.rest + yy.rest - 2 * xy.rest)


class _Mean(NamedTuple):
    """A mean of kernel values as a multiple of 2^-10 and the rest, each with its own rounding.

    Differences of the coarse parts are exact, and no compiler can fuse a product into them.
    """

    coarse: Float[Array, ""]
    rest: Float[Array, ""]


def _kernel_mean(x: Array, y: Array, bandwidths: Array, chunk: int, *, distinct: bool) -> _Mean:
    """Mean of k(x_i, y_j) over all pairs, or over those of different index."""
    squares = jnp.sum(y**2, axis=1)

    def row(index: Array, point: Array) -> Array:
        product = jnp.dot(y, point, precision=jax.lax.Precision.HIGHEST)
        distances = jnp.maximum(jnp.sum(point**2) + squares - 2 * product, 0)
        kernel = _kernel(distances, bandwidths)
        return jnp.sum(jnp.where(jnp.arange(len(y)) == index, 0, kernel) if distinct else kernel)

    sums = jax.lax.map(lambda each: row(*each), (jnp.arange(len(x)), x), batch_size=chunk)
    # 1 / count in two parts: one rounded factor would bias all rows alike.
    count = len(y) - 1 if distinct else len(y)
    factor = np.asarray(1 / count, sums.dtype)
    rows = sums * factor
    coarse = jnp.round(jnp.mean(rows) * 1024) / 1024
    return _Mean(coarse, jnp.mean(rows - coarse) + jnp.mean(sums) * (1 / count - float(factor)))


def _kernel(distances: Array, bandwidths: Array) -> Array:
    """Mean over the bandwidths [J] of exp(-distance / (2 bandwidth)), of the distances' shape."""
    terms = (jnp.exp(distances * (-0.5 / bandwidths[j])) for j in range(len(bandwidths)))
    return sum(terms, jnp.zeros_like(distances)) / len(bandwidths)


def score(x: Float[Array, "N D"], held_out: Float[Array, "M D"], reference: Any) -> Array:
    """`unbiased` with the bandwidths of an `evaluation.Reference`."""
    return unbiased(x, held_out, reference.squared_bandwidths)
