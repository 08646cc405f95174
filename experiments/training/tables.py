"""The metrics of replicas as tidy tables: one row per step, replica and metric."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

KEYS = ("step", "replica", "metric", "of", "weights", "sigma", "batch_size")
VALUES = ("value",)
_WORDS = pa.dictionary(pa.int32(), pa.string())
SCHEMA = pa.schema(
    [
        ("step", pa.int64()),
        ("replica", pa.int32()),
        ("metric", _WORDS),
        ("of", _WORDS),
        ("weights", _WORDS),
        ("sigma", pa.float64()),
        ("batch_size", pa.int64()),
        ("value", pa.float64()),
    ]
)
"""``step``: steps of the generator taken. ``replica``: a number of replicas.json. ``of``: "mean" or
"x" for scores of examples, else "". ``weights``: "last" or "average" likewise. ``sigma`` and
``batch_size``: of the measurements of the gap, else 0."""


def rows(
    replicas: Sequence[int],
    steps: Sequence[int],
    metrics: Sequence[str],
    values: np.ndarray,
    *,
    of: str = "",
    weights: str = "",
    sigma: float = 0.0,
    batch_size: int = 0,
) -> pa.Table:
    """Rows of values [replica, step, metric]."""
    shape = (len(replicas), len(steps), len(metrics))
    count = int(np.prod(shape))
    replica, step, metric = (axis.ravel() for axis in np.indices(shape))
    columns = {
        "step": np.asarray(steps, np.int64)[step],
        "replica": np.asarray(replicas, np.int32)[replica],
        "metric": _words(metrics, metric),
        "of": _words([of], np.zeros(count, int)),
        "weights": _words([weights], np.zeros(count, int)),
        "sigma": np.full(count, sigma),
        "batch_size": np.full(count, batch_size, np.int64),
        "value": np.broadcast_to(values, shape).astype(np.float64).ravel(),
    }
    return pa.table(columns, schema=SCHEMA)


def windows(
    replicas: Sequence[int],
    metrics: Sequence[str],
    found: np.ndarray,
    span: tuple[int, int],
    *,
    every: int,
    steps: int,
) -> pa.Table:
    """The averages of the windows that ended between two steps.

    A last window that is shorter than the others is the average of its own steps.

    Args:
        replicas: their numbers.
        metrics: their names.
        found: as the engine gives them, [R, W, M].
        span: the first step, and that after the last.
        every: steps of a window.
        steps: of the whole run.
    """
    now, until = span
    first, last = now // every, until // every
    ends = [(window + 1) * every for window in range(first, last)]
    values = [found[:, window - first] for window in range(first, last)]
    if until == steps and until % every:
        ends.append(until)
        values.append(found[:, last - first] * (every / (until % every)))
    if not ends:
        return SCHEMA.empty_table()
    return rows(replicas, ends, metrics, np.stack(values, axis=1))


def divergence(replicas: Sequence[int], diverged_at: np.ndarray, step: int) -> pa.Table:
    """The step at which each replica stopped, -1 where it did not, [R]."""
    return rows(replicas, [step], ("diverged_at",), diverged_at[:, None, None])


def _words(words: Sequence[str], index: np.ndarray) -> Any:
    return pa.DictionaryArray.from_arrays(pa.array(index, pa.int32()), pa.array(list(words)))
