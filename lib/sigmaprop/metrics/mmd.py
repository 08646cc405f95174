"""Maximum mean discrepancy under a mean of Gaussian kernels.

The kernel is k(x, y) = mean_j exp(-|x - y|^2 / (2 s_j)): the squared bandwidth s_j stands where a
Gaussian density has its variance. k(x, x) = 1.
"""

from collections.abc import Sequence
from typing import Any

import chex
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sigmaprop.metrics.pairs import CHUNK, check_samples, discrepancy, squared_distances

FACTORS = (0.05, 0.2, 1.0, 4.0)
"""Squared bandwidths in units of the median squared distance of the training data."""

FINE_FACTORS = tuple(2.0 ** (step * 3 / 7 - 2) for step in range(8))
"""Squared bandwidths from 1/4 to 2 in units of finest^2 D / 2, of data whose finest scale is known.

With the median, they see a change of that scale by 20% with power .95 and more on the ring and the
grid of 2,500 examples (240 draws), where `FACTORS` have the power of chance. They were chosen among
eight such lists by that power, on real data alone."""

MAX_ROWS = 2000
"""So many training rows, evenly spaced, are compared for the median."""


def squared_bandwidths(
    train: Float[Array | np.ndarray, "N D"],
    factors: Sequence[float] = FACTORS,
    *,
    finest: float | None = None,
) -> Float[Array, " J"]:
    """Squared bandwidths from the median squared distance between rows of the TRAINING data.

    The kernel must know neither the held-out data nor a generator, so that all arms are measured
    by the same one. Computed on the host in float64, from at most `MAX_ROWS` evenly spaced rows.

    Args:
        train: training data.
        factors: the squared bandwidths, in units of the median. [J]
        finest: std of the finest structure of the data where it is known, in units of x, > 0: of
            the components of a mixture. The bandwidths then reach down to it: `FINE_FACTORS`, of
            which D finest^2 / 2 is the unit, and the median itself, in place of ``factors``.

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
    if finest is None:
        return jnp.asarray(np.asarray(factors) * median, jnp.result_type(float))
    fine = np.asarray(FINE_FACTORS) * finest**2 * rows.shape[1] / 2
    return jnp.asarray([*fine, median], jnp.result_type(float))


def unbiased(
    x: Float[Array, "N D"],
    y: Float[Array, "M D"],
    squared_bandwidths: Float[Array, " J"],
    *,
    chunk: int = CHUNK,
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
    chex.assert_rank(squared_bandwidths, 1)
    check_samples("MMD", x, y)
    return _discrepancy(x, y, squared_bandwidths, chunk, unbiased=True)


def biased(
    x: Float[Array, "N D"],
    y: Float[Array, "M D"],
    squared_bandwidths: Float[Array, " J"],
    *,
    chunk: int = CHUNK,
) -> Float[Array, ""]:
    """The biased V-statistic: the squared distance of the embeddings of the two samples.

    Pairs of equal index, of kernel value 1, count too. Of equal distributions its mean is
    (1 - E k) (1 / N + 1 / M) and not 0; it is >= 0, and 0 for equal samples.

    Args:
        x: generated samples, N >= 1.
        y: held-out data, M >= 1.
        squared_bandwidths: see `unbiased`, as chunk.
        chunk: rows compared with all others at a time.

    Returns:
        MMD^2, without unit.

    Raises:
        ValueError: no row in x or y.

    Source: Gretton, Borgwardt, Rasch, Schoelkopf, Smola 2012, equation 5.
    """
    chex.assert_rank(squared_bandwidths, 1)
    check_samples("MMD", x, y, 1)
    return _discrepancy(x, y, squared_bandwidths, chunk, unbiased=False)


def _discrepancy(
    x: Array, y: Array, bandwidths: Array, chunk: int, *, unbiased: bool
) -> Float[Array, ""]:
    shift = jnp.mean(y, axis=0)

    def kernel(point: Array, rows: Array, squares: Array) -> Array:
        return _kernel(squared_distances(point, rows, squares), bandwidths)

    return discrepancy(kernel, x - shift, y - shift, chunk, unbiased=unbiased)


def _kernel(distances: Array, bandwidths: Array) -> Array:
    """Mean over the bandwidths [J] of exp(-distance / (2 bandwidth)), of the distances' shape."""
    terms = (jnp.exp(distances * (-0.5 / bandwidths[j])) for j in range(len(bandwidths)))
    return sum(terms, jnp.zeros_like(distances)) / len(bandwidths)


def score(x: Float[Array, "N D"], held_out: Float[Array, "M D"], reference: Any) -> Array:
    """`unbiased` with the bandwidths of an `evaluation.Reference`."""
    return unbiased(x, held_out, reference.squared_bandwidths)


def biased_score(x: Float[Array, "N D"], held_out: Float[Array, "M D"], reference: Any) -> Array:
    """`biased` with the bandwidths of an `evaluation.Reference`."""
    return biased(x, held_out, reference.squared_bandwidths)
