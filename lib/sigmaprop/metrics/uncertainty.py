"""The interval of one value of a metric, from halves of its samples.

A bootstrap repeats rows, and a metric of pairs takes a row and its copy for a pair at distance 0.
Halves drawn without replacement repeat none. The value on half of the rows varies about that on all
of them as the value on all of them varies about the truth: Var(half | all) = s²/(n/2) - s²/n = s²/n
for a metric that is linear in the two distributions. Where the metric is of second order (an MMD
between equal distributions) halves vary more, and the interval is too wide, never too narrow.
"""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float, Key

from sigmaprop.metrics.scoring import Reference, scores
from sigmaprop.statistics import Interval
from sigmaprop.statistics.intervals import interval

NUM_HALVES = 100


def subsampled(
    name: str,
    x: Float[Array, "N D"],
    held_out: Float[Array, "M D"],
    reference: Reference,
    key: Key[Array, ""],
    *,
    num_halves: int = NUM_HALVES,
    level: float = 0.95,
) -> Interval:
    """A metric of a sample with its standard error and interval.

    Args:
        name: of a metric, see `METRICS`.
        x: generated samples, N >= 16.
        held_out: M >= 16.
        reference: see `scoring.Reference`.
        key: draws the halves.
        num_halves: how many.
        level: of the interval.

    Returns:
        The value on all rows, and the t interval around it of the standard deviation over halves.
        Training rows are not resampled: the interval is about new samples and held-out rows.

    Raises:
        ValueError: unknown metric, or fewer than 16 rows on a side.

    Source: Politis, Romano, Wolf 1999, "Subsampling", section 2.2; Efron, Tibshirani 1993,
        section 11.7 (the delete-d jackknife).
    """
    if min(len(x), len(held_out)) < 16:
        raise ValueError(
            f"an interval needs at least 16 rows on each side, not {len(x)} and {len(held_out)}"
        )
    keys = jax.random.split(key, num_halves)
    (value,), halves = _measured(x, held_out, reference, keys, name=name)
    error = float(np.std(np.asarray(halves, np.float64), ddof=1))
    return interval(float(value), error, num_halves, level)


def with_halves(
    x: Float[Array, "N D"],
    held_out: Float[Array, "M D"],
    reference: Any,
    keys: Key[Array, " B"],
    wanted: Sequence[str],
) -> tuple[Float[Array, " K"], Float[Array, "B K"]]:
    """Metrics of all rows, and of the half of either side that each key draws."""

    def half(key: Array) -> Array:
        of_x, of_y = jax.random.split(key)
        x_half = jax.random.permutation(of_x, x)[: len(x) // 2]
        y_half = jax.random.permutation(of_y, held_out)[: len(held_out) // 2]
        return scores(x_half, y_half, reference, wanted)

    return scores(x, held_out, reference, wanted), jax.lax.map(half, keys)


@functools.partial(jax.jit, static_argnames="name")
def _measured(
    x: Array, held_out: Array, reference: Any, keys: Array, *, name: str
) -> tuple[Array, Array]:
    return with_halves(x, held_out, reference, keys, (name,))
