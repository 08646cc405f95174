"""Treatments of sigma in variational autoencoders, by the held-out likelihood that they reach.

Every number of a replica is that of its last step; means and intervals are over seeds, differences
between replicas of equal seed. The verdicts are about the importance weighted bound on the test
examples, as differences in nats an example to the arm unit: they are one family.
"""

import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sigmaprop.generators.results import Cell, Key, Measured, measured, reference
from sigmaprop.generators.scores import EACH, UNKNOWN, as_json, known, known_interval
from sigmaprop.generators.settling import settle
from sigmaprop.generators.vae import Evidence
from sigmaprop.statistics import Interval, Pair, Scale, central, interval, mean_and_error
from sigmaprop.statistics import compare as judged

__all__ = ["BOUNDS", "Comparison", "Level", "as_json", "compare", "from_json", "last"]

BOUNDS = tuple(f"held_out_{name}" for name in Evidence._fields)
"""What is measured on held-out examples: elbo, iwae and mse, means over examples."""
SPLITS = ("validation", "test")
PRIMARY = ("held_out_iwae", "test")
"""Metric and examples that verdicts are about."""
MARGIN = 1.0
"""Nats an example by which arms may differ and count as equivalent."""
_SCALES = {
    "held_out_elbo": Scale("larger", margin=MARGIN),
    "held_out_iwae": Scale("larger", margin=MARGIN),
    "held_out_mse": Scale("smaller"),
}


class Level(NamedTuple):
    """One number of a cell: metric, examples, and its mean over seeds with a 95% interval.

    Where runs diverged the median, without an interval.
    """

    metric: str
    of: str
    value: Interval


class Comparison(NamedTuple):
    """A combination of swept values, over its seeds.

    Attributes:
        cell: its number.
        label: its name.
        arm: where its sigma comes from.
        learns: whether sigma is learned.
        seeds: how many.
        diverged: how many of them diverged.
        against: label of the cell that it is compared with; empty for that cell itself.
        sigma: mean over the last fifth of the steps.
        levels: its numbers on held-out examples.
        difference: of the test likelihood to that cell, in nats an example.
        p_value: Holm's.
        verdict: on that difference, see `statistics.verdicts`; empty for that cell itself.
        coverage: level of the interval of ``difference``.
        missed: upper limit of the smallest difference that so many seeds find 4 times of 5.
        settling: of a learned sigma whether it has settled, and how that is known, see
            `generators.settling`; empty in older runs.
    """

    cell: int
    label: str
    arm: str
    learns: bool
    seeds: int
    diverged: int
    against: str
    sigma: Interval
    levels: tuple[Level, ...]
    difference: Interval = UNKNOWN
    p_value: float = math.nan
    verdict: str = ""
    coverage: float = EACH
    missed: float = math.nan
    settling: str = ""

    def level(self, metric: str, of: str) -> Interval:
        """One of the numbers, unknown where it was not measured."""
        found = (one.value for one in self.levels if (one.metric, one.of) == (metric, of))
        return next(found, UNKNOWN)


def compare(directory: Path) -> list[Comparison]:
    """Compares every cell with the cell of arm unit that agrees in all that concerns both.

    Where there is none, with the first cell of that arm, else with the first of all; see
    `results.reference`.

    Args:
        directory: of a run, with metrics.parquet and replicas.json.

    Raises:
        RunError: a file is missing or damaged.
    """
    run = measured(directory)
    references = [reference(run, cell, "unit") for cell in run.cells]
    found = [_describe(run, *both) for both in zip(run.cells, references, strict=True)]
    ends = {one.cell: one.sigma.value for one in found}
    found = [
        one._replace(settling=settle(run, cell, ends).sentence) if cell.learns else one
        for cell, one in zip(run.cells, found, strict=True)
    ]
    family = {
        cell.number: Pair(
            last(run, *PRIMARY, cell), last(run, *PRIMARY, other), _SCALES[PRIMARY[0]]
        )
        for cell, other in zip(run.cells, references, strict=True)
        if cell.number != other.number
    }
    verdicts = dict(zip(family, judged(list(family.values())), strict=True))
    return [
        one._replace(
            difference=verdicts[one.cell].measured,
            p_value=verdicts[one.cell].adjusted,
            verdict=verdicts[one.cell].verdict,
            coverage=verdicts[one.cell].level,
            missed=verdicts[one.cell].missed,
        )
        if one.cell in verdicts
        else one
        for one in found
    ]


def last(run: Measured, metric: str, of: str, cell: Cell) -> np.ndarray:
    """A metric of a cell after the last step, by seed; NaN where it diverged. [S]"""
    key = Key(metric, of, "last")
    if key not in run.series:
        return np.full(len(cell.seeds), np.nan)
    value = run.series[key].value[cell.replicas, -1]
    return np.where(run.diverged_at[cell.replicas] >= 0, np.nan, value)


def from_json(content: list[dict[str, Any]]) -> list[Comparison]:
    """What `as_json` made.

    Raises:
        KeyError, TypeError: the content is another.
    """
    return [_comparison(entry) for entry in content]


def _describe(run: Measured, cell: Cell, other: Cell) -> Comparison:
    """A cell before it is judged."""
    alive = run.diverged_at[cell.replicas] < 0
    sigma = run.series[Key("sigma")].end(run.steps).value[cell.replicas[alive]]
    levels = (
        Level(metric, of, _level(last(run, metric, of, cell), _SCALES[metric]))
        for metric in BOUNDS
        for of in SPLITS
    )
    return Comparison(
        cell=cell.number,
        label=cell.label,
        arm=cell.arm,
        learns=cell.learns,
        seeds=len(cell.seeds),
        diverged=int((~alive).sum()),
        against="" if cell.number == other.number else other.label,
        sigma=_level(sigma.mean(axis=1), Scale()) if alive.any() else UNKNOWN,
        levels=tuple(levels),
    )


def _level(values: np.ndarray, scale: Scale) -> Interval:
    """The mean over seeds; the median, without an interval, where one has no number."""
    if np.isfinite(values).all():
        mean, error = mean_and_error(values)
        return interval(mean, error, len(values), EACH)
    return UNKNOWN._replace(value=central(values, scale))


def _comparison(entry: dict[str, Any]) -> Comparison:
    found: dict[str, Any] = {name: known_interval(entry[name]) for name in ("sigma", "difference")}
    found |= {name: known(entry[name]) for name in ("p_value", "coverage", "missed")}
    found["levels"] = tuple(
        Level(one["metric"], one["of"], known_interval(one["value"])) for one in entry["levels"]
    )
    return Comparison(**(entry | found))
