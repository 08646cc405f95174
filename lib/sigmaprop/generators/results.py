"""The numbers of a run of `sigmaprop gan` as arrays, replica by step: what arms are compared by."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sigmaprop.metrics import METRICS, scale_of
from sigmaprop.runs import read_metrics
from sigmaprop.runs.files import RunError, read_json
from sigmaprop.runs.tables import check_columns
from sigmaprop.statistics import Pair

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


class Cell(NamedTuple):
    """A combination of swept values.

    Attributes:
        number: its place in the sweep.
        label: its name.
        arm: where its sigma comes from.
        swept: the options that differ between cells and concern its arm, with their values.
        learns: whether sigma is learned.
        replicas: rows of `Series.value`, in the order of their seeds.
        seeds: their numbers.
    """

    number: int
    label: str
    arm: str
    swept: dict[str, Any]
    learns: bool
    replicas: np.ndarray
    seeds: tuple[int, ...]


class Measured(NamedTuple):
    """The numbers of one run.

    Attributes:
        config: its options.
        cells: in the order of the sweep.
        series: by key.
        diverged_at: step at which a replica stopped, -1 where it did not. [R]
        real: of each distance, between real examples and others: mean, median, percentile_95.
        ideal: what the truth itself scores, by metric, where it is known.
        real_per_seed: what ``real`` is, of the split of each seed; empty where they share one.
    """

    config: dict[str, Any]
    cells: tuple[Cell, ...]
    series: Mapping[Key, Series]
    diverged_at: np.ndarray
    real: Mapping[str, Mapping[str, float]]
    ideal: Mapping[str, float]
    real_per_seed: tuple[Mapping[str, Mapping[str, float]], ...] = ()

    @property
    def steps(self) -> int:
        """Of the whole run."""
        return int(self.config["steps"])

    def taken(self, option: str) -> tuple[Any, ...]:
        """The values that an option takes in the cells, in their order; that of the config if none.

        A list stands as a tuple.
        """
        swept = [cell.swept[option] for cell in self.cells if option in cell.swept]
        values = swept or [self.config.get(option)]
        plain = (tuple(value) if isinstance(value, list) else value for value in values)
        return tuple(dict.fromkeys(plain))

    def late(self, key: Key, cell: Cell) -> np.ndarray:
        """A series' mean over the last fifth for each seed of a cell, NaN if it diverged. [S]"""
        partial = key.metric in METRICS and METRICS[key.metric].partial
        value = self.series[key].end(self.steps).mean(partial)[cell.replicas]
        return np.where(self.diverged_at[cell.replicas] >= 0, np.nan, value)

    def scores(self) -> list[Key]:
        """The scores that were measured, in the order of tables."""
        order = {name: place for place, name in enumerate(METRICS)}
        return sorted(
            (key for key in self.series if key.metric in METRICS),
            key=lambda key: (key.weights != "last", order[key.metric], key.of != "mean"),
        )


def sigma_key(run: Measured, cell: Cell) -> Key:
    """Where the sigma of a cell's examples stands: of windows, or of fits behind the means."""
    fitted = Key("sigma", weights="last")
    return fitted if cell.arm == "post_hoc" and fitted in run.series else Key("sigma")


def measured(directory: Path) -> Measured:
    """The numbers of a run, whose comparison need not exist yet.

    Raises:
        RunError: a file is missing or damaged.
    """
    directory = Path(directory)
    reference = directory / "reference.json"
    try:
        config = dict(read_json(directory / "config.json")["config"])
        cells = _cells(read_json(directory / "replicas.json"))
        whole = (directory / "metrics.parquet").exists()  # else it has not come so far
        content = read_json(reference) if whole or reference.exists() else {"distances": {}}
        real, ideal = content["distances"], dict(content.get("ideal", {}))
        per_seed = tuple(one["distances"] for one in content.get("per_seed", ()))
        num = sum(len(cell.replicas) for cell in cells)
        series = _read_series(directory, num)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, RunError):
            raise
        raise RunError(
            f"{directory} holds a file without its usual content ({str(error)[:200]!r}); restore "
            "it or choose another run"
        ) from error
    at = series.pop(Key("diverged_at"), None)
    stopped = np.full(num, -1) if at is None else at.value[:, -1].astype(int)
    frozen = {key: _until(own, stopped) for key, own in series.items()}
    return Measured(config, cells, frozen, stopped, real, ideal, per_seed)


def reference(run: Measured, cell: Cell, arm: str) -> Cell:
    """What a cell is compared with: the cell of an arm that agrees in all that concerns both.

    Where there is none, the first cell of that arm, else the first of all. In a list of cells those
    of the arm itself are compared with its first.
    """
    same = [one for one in run.cells if one.arm == arm]
    if run.config.get("cells") and cell.arm == arm:
        return same[0]
    return next((one for one in same if agrees(one, cell)), (*same, *run.cells)[0])


def agrees(reference: Cell, cell: Cell) -> bool:
    """Whether two cells, where arms differ at all, differ in nothing else that concerns both."""
    return "arm" in reference.swept and all(
        name == "arm" or cell.swept.get(name, value) == value
        for name, value in reference.swept.items()
    )


def floor(run: Measured) -> np.ndarray:
    """Below it MMD^2 does not tell generated examples from real ones: a ratio is then a bound.

    One for all seeds [], or one for the split of each [S].
    """
    if run.real_per_seed:
        found = np.array([real["mmd2"]["percentile_95"] for real in run.real_per_seed])
    else:
        found = np.array(run.real["mmd2"]["percentile_95"])
    return np.maximum(found, np.finfo(np.float32).eps)


def pair(run: Measured, metric: str, own: np.ndarray, other: np.ndarray) -> Pair | None:
    """Two cells' values of a metric as what `statistics.compare` judges.

    None where the metric has a target that the run does not record.
    """
    scale = scale_of(metric, run.ideal)
    if scale.better == "target" and not np.isfinite(scale.target):
        return None
    return Pair(own, other, scale, floor(run) if scale.by == "ratio" else np.nan)


def _cells(replicas: Sequence[Mapping[str, Any]]) -> tuple[Cell, ...]:
    by_number: dict[int, list[Mapping[str, Any]]] = {}
    for one in sorted(replicas, key=lambda one: (one["cell"], one["seed"])):
        by_number.setdefault(one["cell"], []).append(one)
    return tuple(
        Cell(
            number,
            own[0]["label"],
            own[0]["arm"],
            own[0]["swept"],
            own[0]["learns"],
            np.array([one["replica"] for one in own]),
            tuple(one["seed"] for one in own),
        )
        for number, own in by_number.items()
    )


def _read_series(directory: Path, num: int) -> dict[Key, Series]:
    """Every metric of a run of ``num`` replicas but those of the gap, in order of appearance."""
    table = read_metrics(directory)
    check_columns(table, directory, words=_WORDS, numbers=_NUMBERS)
    numbers = {name: table[name].to_numpy() for name in _NUMBERS}
    whole = numbers["sigma"] == 0
    columns = {name: numbers[name][whole] for name in _NUMBERS}
    words = [table[name].to_pylist() for name in _WORDS]
    rows_of: dict[Key, list[int]] = {}
    kept = (key for key, keep in zip(zip(*words, strict=True), whole, strict=True) if keep)
    for row, key in enumerate(kept):
        rows_of.setdefault(Key(*key), []).append(row)
    found = {}
    for key, rows in rows_of.items():
        step, column = np.unique(columns["step"][rows], return_inverse=True)
        value = np.full((num, len(step)), np.nan)
        value[columns["replica"][rows], column] = columns["value"][rows]
        found[key] = Series(step, value)
    return found


def _until(series: Series, stopped: np.ndarray) -> Series:
    """NaN for what was measured of a replica that had diverged and was frozen."""
    frozen = (stopped[:, None] >= 0) & (series.step > stopped[:, None])
    return Series(series.step, np.where(frozen, np.nan, series.value))
