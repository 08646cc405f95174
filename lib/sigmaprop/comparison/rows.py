"""The comparison as a tidy table: one row for every study, function, Gaussian, estimator, metric.

Columns: study, objective, gaussian, dim, estimator, noise, wrt ("mean", "scale", "factor", or "all"
for what is not a gradient's), metric, sigma, num_samples, x (the variable that the study runs over:
k, a distance, a training step), value, error (standard error), theory (what is expected; NaN where
nothing is known).
"""

import dataclasses
from typing import Any, NamedTuple

import numpy as np

from sigmaprop.comparison.cells import Cell, Setting
from sigmaprop.comparison.truths import KnownGradient

VALUES = ("value", "error", "theory")
TIMED = ("seconds", "efficiency")
"""Metrics that depend on a clock: no repetition gives the same bits."""


class Row(NamedTuple):
    """One row of the table."""

    study: str
    objective: str
    gaussian: str
    dim: int
    estimator: str
    noise: str
    wrt: str
    metric: str
    sigma: float
    num_samples: int
    x: float
    value: float
    error: float
    theory: float


KEYS = Row._fields[:11]


class Place(NamedTuple):
    """Where a cell was measured: the columns that its rows share."""

    study: str
    objective: str
    gaussian: str
    dim: int
    setting: Setting
    x: float = np.nan

    def row(
        self,
        wrt: str,
        metric: str,
        sigma: float,
        value: float,
        error: float = np.nan,
        theory: float = np.nan,
    ) -> Row:
        """One row at this place."""
        return Row(
            *self[:4],
            self.setting.label,
            self.setting.noise,
            wrt,
            metric,
            float(sigma),
            self.setting.num_samples,
            float(self.x),
            float(value),
            float(error),
            float(theory),
        )


def parts(gaussian: Any) -> dict[str, Any]:
    """The parts of a Gaussian-shaped pytree by name."""
    return {field.name: getattr(gaussian, field.name) for field in dataclasses.fields(gaussian)}


def part_rows(gradient: Any, lead: int) -> dict[str, np.ndarray]:
    """Each part with its own axes behind ``lead`` leading ones raveled to one."""
    return {
        name: np.asarray(part).reshape(*np.shape(part)[:lead], -1)
        for name, part in parts(gradient).items()
    }


def relative_bias(replicates: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """[R] bias of each replicate [R, P] along the exact gradient [P], in units of its length."""
    size = exact @ exact
    return (replicates - exact) @ exact / size if size > 0 else np.full(len(replicates), np.nan)


def total_variance(replicates: np.ndarray, num_samples: int) -> tuple[float, float]:
    """num_samples x Var(estimate), summed over the part, with its standard error, from [R, P]."""
    count = len(replicates)
    squares = np.sum((replicates - replicates.mean(axis=0)) ** 2, axis=1) * count / (count - 1)
    error = squares.std(ddof=1) / np.sqrt(count)
    return num_samples * float(squares.mean()), num_samples * float(error)


def cell_rows(
    place: Place, cell: Cell, truths: list[KnownGradient], sigmas: np.ndarray
) -> list[Row]:
    """Bias, variance, cost and efficiency of one cell at every sigma."""
    found = []
    count = place.setting.num_samples
    estimates, reported = part_rows(cell.gradient, 2), part_rows(cell.variance, 2)
    for s, (sigma, truth) in enumerate(zip(sigmas, truths, strict=True)):
        exact, doubt = part_rows(truth.gradient, 0), part_rows(truth.error, 0)
        for wrt, values in estimates.items():
            variance, error = total_variance(values[s], count)
            claimed = reported[wrt][s].sum(axis=-1).mean()
            found += _bias_rows(place, wrt, sigma, values[s], exact[wrt], doubt[wrt])
            found.append(place.row(wrt, "variance", sigma, variance, error, claimed))
            for metric, cost in (
                ("efficiency", cell.seconds),
                ("efficiency_evaluations", cell.evaluations),
            ):
                work = variance * cost / count
                value = 1 / work if work > 0 else np.inf if work == 0 else np.nan
                found.append(place.row(wrt, metric, sigma, value))
    found.append(place.row("all", "seconds", np.nan, cell.seconds / count))
    found.append(place.row("all", "evaluations", np.nan, cell.evaluations / count))
    found.append(place.row("all", "temporary_bytes", np.nan, cell.temporary_bytes))
    return found


def _bias_rows(
    place: Place,
    wrt: str,
    sigma: float,
    replicates: np.ndarray,
    exact: np.ndarray,
    doubt: np.ndarray,
) -> list[Row]:
    """The bias along the exact gradient, and the largest deviation in standard errors."""
    along = relative_bias(replicates, exact)
    error = along.std(ddof=1) / np.sqrt(len(along))
    size = np.linalg.norm(exact)
    if size > 0:
        error = np.hypot(error, np.linalg.norm(doubt) / size)
    gap = np.abs(replicates.mean(axis=0) - exact)
    spread = np.hypot(replicates.std(axis=0, ddof=1) / np.sqrt(len(replicates)), doubt)
    known = spread > 0
    worst = np.max(gap[known] / spread[known], initial=0.0) if known.any() else np.nan
    return [
        place.row(wrt, "bias", sigma, along.mean(), error),
        place.row(wrt, "worst_deviation", sigma, worst),
    ]


def columns(rows: list[Row]) -> dict[str, list[Any]]:
    """The rows, column by column."""
    return {name: [getattr(row, name) for row in rows] for name in Row._fields}
