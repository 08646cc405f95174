"""C_T: do generated samples lie nearer to the training data than held-out data do?"""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from sigmaprop.metrics import bins
from sigmaprop.metrics.neighbours import nearest
from sigmaprop.metrics.pairs import CHUNK, check_samples

FEWEST = 20
"""Held-out rows that a cell has on average."""


def statistic(
    x: Float[Array, "N D"],
    train: Float[Array, "T D"],
    held_out: Float[Array, "M D"],
    centres: Float[Array, "K D"],
    *,
    chunk: int = CHUNK,
) -> Float[Array, ""]:
    """The data-copying statistic C_T: about a standard normal number a cell where nothing is wrong.

    In every cell the distances to the nearest training row of generated and of held-out rows are
    compared by the z-score of Mann and Whitney's U; the average weighs a cell by its held-out rows.
    Far below 0 the generator copies, far above it underfits. The number grows with the root of the
    sample sizes.

    Args:
        x: generated samples.
        train: what the generator was trained on.
        held_out: what it was not.
        centres: of the cells; one for a single cell. See `bins.k_means`.
        chunk: rows at a time.

    Returns:
        The average over the cells that hold rows of both samples; NaN where none does.

    Source: Meehan, Chaudhuri, Dasgupta 2020, "A non-parametric test to detect data-copying in
        generative models", equation 2.
    """
    check_samples("C_T", x, held_out, 1)
    of_x, of_y = (nearest(rows, train, 1, chunk=chunk).distances[:, 0] for rows in (x, held_out))
    cell_x, cell_y = (bins.cells(rows, centres, chunk=chunk) for rows in (x, held_out))
    at = jnp.arange(len(centres))
    in_x, in_y = (cell_x[:, None] == at).astype(x.dtype), (cell_y[:, None] == at).astype(x.dtype)
    # Pairs in which the generated row lies farther out, ties half; counted by ranks.
    larger = _number_below(of_x, of_y, in_y)
    wins = jnp.sum(in_x * larger, axis=0)
    n, m = jnp.sum(in_x, axis=0), jnp.sum(in_y, axis=0)
    variance = n * m * (n + m + 1) / 12
    z = (wins - n * m / 2) / jnp.sqrt(jnp.maximum(variance, 1 / 12))
    used = (n > 0) & (m > 0)
    total = jnp.sum(jnp.where(used, m * z, 0)) / jnp.sum(jnp.where(used, m, 0))
    return jnp.where(jnp.all(jnp.isfinite(x)), total, jnp.nan)


def _number_below(values: Array, others: Array, weights: Array) -> Array:
    """For each value, and column of weights [M, K], the weight of what lies below; ties half."""
    order = jnp.argsort(others)
    sums = jnp.concatenate([jnp.zeros_like(weights[:1]), jnp.cumsum(weights[order], axis=0)])
    left = jnp.searchsorted(others[order], values, side="left")
    right = jnp.searchsorted(others[order], values, side="right")
    return (sums[left] + sums[right]) / 2


def score(x: Float[Array, "N D"], held_out: Float[Array, "M D"], reference: Any) -> Array:
    """`statistic` in cells of the training rows of an `evaluation.Reference`."""
    num = max(1, min(len(held_out), len(x)) // FEWEST // 2)
    num = min(num, bins.num_bins(len(reference.train)))
    centres = bins.k_means(reference.train, num, reference.key)
    return statistic(x, reference.train, held_out, centres)
