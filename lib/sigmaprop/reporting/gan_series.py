"""The metrics of `sigmaprop gan` as arrays, replica by step."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sigmaprop.reporting.results import grouped
from sigmaprop.runs import read_metrics
from sigmaprop.runs.tables import check_columns

LAST = 0.2
"""The share of a run that its comparison is about: its end."""
_WORDS = ("metric", "of", "weights")
_NUMBERS = ("step", "replica", "sigma", "value")


class Key(NamedTuple):
    """What names a series: metric, of ("mean", "x", or empty), weights ("last", "average", "")."""

    metric: str
    of: str = ""
    weights: str = ""


class Series(NamedTuple):
    """One metric of all replicas.

    Attributes:
        step: steps of the generator taken, ascending. [T]
        value: NaN where it was not measured, and after a divergence. [R, T]
    """

    step: np.ndarray
    value: np.ndarray

    def end(self, steps: int) -> "Series":
        """The last fifth of a run of so many steps."""
        chosen = self.step > (1 - LAST) * steps
        return Series(self.step[chosen], self.value[:, chosen])

    def mean(self, partial: bool = False) -> np.ndarray:
        """Over the steps: of those where it is known if ``partial``, else NaN if any is not. [R]"""
        known = np.isfinite(self.value) if partial else np.ones(self.value.shape, bool)
        with np.errstate(invalid="ignore"):
            return np.where(known, self.value, 0).sum(axis=1) / known.sum(axis=1)


def _table(directory: Path) -> dict[str, Any]:
    """The rows but those of the gap, words as (codes, words)."""
    import pyarrow as pa
    import pyarrow.compute as pc

    table = read_metrics(directory)
    check_columns(table, directory, words=_WORDS, numbers=_NUMBERS)
    table = table.filter(pc.field("sigma") == 0)
    found: dict[str, Any] = {name: table[name].to_numpy() for name in _NUMBERS}
    for name in _WORDS:
        encoded = table[name].cast(pa.string()).combine_chunks().dictionary_encode()
        found[name] = (encoded.indices.to_numpy(), encoded.dictionary.to_pylist())
    return found


class _Rows(NamedTuple):
    """The rows of a series."""

    step: np.ndarray
    replica: np.ndarray
    value: np.ndarray


def read_series(directory: Path, num: int) -> dict[Key, Series]:
    """Every metric of a run of ``num`` replicas.

    Raises:
        RunError: the metrics are missing, damaged, or those of another command.
    """
    found = {}
    for key, rows in grouped(_table(directory), Key, _Rows, ("replica", "step")).items():
        step, column = np.unique(rows.step, return_inverse=True)
        value = np.full((num, len(step)), np.nan)
        value[rows.replica, column] = rows.value
        found[key] = Series(step, value)
    return found


def until(series: Mapping[Key, Series], stopped: np.ndarray) -> dict[Key, Series]:
    """NaN for what was measured of a replica that had diverged and was frozen."""
    found = {}
    for key, (step, value) in series.items():
        frozen = (stopped[:, None] >= 0) & (step > stopped[:, None])
        found[key] = Series(step, np.where(frozen, np.nan, value))
    return found
