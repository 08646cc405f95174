"""The metrics of `sigmaprop gan` as tidy tables: one row per step, replica and metric."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from sigmaprop.generators import evaluation
from sigmaprop.generators.gan import METRICS, State

from .config import GanConfig
from .programs import CompiledGroup

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
    config: GanConfig, work: CompiledGroup, found: np.ndarray, now: int, until: int
) -> pa.Table:
    """The averages of the windows that ended between two steps; [R, W, M] as the engine gives them.

    A last window that is shorter than the others is the average of its own steps.
    """
    every = config.metrics_every
    first, last = now // every, until // every
    steps = [(window + 1) * every for window in range(first, last)]
    values = [found[:, window - first] for window in range(first, last)]
    if until == config.steps and until % every:
        steps.append(until)
        values.append(found[:, last - first] * (every / (until % every)))
    if not steps:
        return SCHEMA.empty_table()
    return rows(work.numbers, steps, METRICS, np.stack(values, axis=1))


def scores(work: CompiledGroup, found: np.ndarray, step: int) -> pa.Table:
    """Scores [R, weights, of, name], as `evaluation.score` gives them for each replica."""
    names = evaluation.names(work.reference)
    tables = [
        rows(work.numbers, [step], names, found[:, None, w, o], of=of, weights=weights)
        for w, weights in enumerate(evaluation.WEIGHTS[: found.shape[1]])
        for o, of in enumerate(evaluation.OF)
    ]
    return pa.concat_tables(tables)


def divergence(work: CompiledGroup, state: State, step: int) -> pa.Table:
    """The step at which each replica stopped, -1 where it did not."""
    at = np.asarray(state.diverged_at)[: len(work.numbers)]
    return rows(work.numbers, [step], ("diverged_at",), at[:, None, None])


def _words(words: Sequence[str], index: np.ndarray) -> Any:
    return pa.DictionaryArray.from_arrays(pa.array(index, pa.int32()), pa.array(list(words)))
