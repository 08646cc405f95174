"""Arms against the arm zero: what differs by more than seeds do.

Every number of a replica is its mean over the evaluations in the last fifth of the run; means and
intervals are over seeds, differences between replicas of equal seed. A replica that diverged takes
the worst finite value of its cell, and its p-value comes from ranks.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from sigmaprop.reporting.gan_results import Cell, Measured, floor, measured
from sigmaprop.reporting.gan_scores import (
    FEWEST_SEEDS,
    METRICS,
    PRIMARY,
    UNKNOWN,
    Comparison,
    Score,
    as_json,
)
from sigmaprop.reporting.gan_series import LAST, Key, Series
from sigmaprop.reporting.gan_terminal import terminal_tables
from sigmaprop.statistics import (
    Interval,
    holm,
    interval,
    log_ratio,
    mean_and_error,
    paired_difference,
    paired_p_value,
    smallest_detectable,
    with_diverged,
)

LEVEL = 0.95
SETTLED = 0.05
"""A sigma has settled where its log moves by less than this in the last fifth of the run, ..."""
SLOW = 0.1
"""... and by less than this share of the way that Adam allows."""
AT_BOUND = 0.5
"""A sigma that spends more of that time at a bound is there."""

__all__ = ["as_json", "compare", "terminal_tables"]


def compare(directory: Path) -> list[Comparison]:
    """Compares every cell with the cell of arm zero that agrees in all other swept options.

    Where there is none, with the first cell.

    Args:
        directory: of a run, with metrics.parquet, replicas.json and reference.json.

    Raises:
        RunError: a file is missing or damaged.
    """
    run = measured(directory)
    found = [_compare(run, cell, _reference(run.cells, cell)) for cell in run.cells]
    return _with_verdicts(run, found)


def _reference(cells: tuple[Cell, ...], cell: Cell) -> Cell:
    """What a cell is compared with."""
    wanted = cell.swept | {"arm": "zero"}
    return next((one for one in cells if one.swept == wanted), cells[0])


def _compare(run: Measured, cell: Cell, reference: Cell) -> Comparison:
    itself = cell.number == reference.number
    sigma, trend, direction, shares = _sigma(run, cell)
    return Comparison(
        cell=cell.number,
        label=cell.label,
        arm=cell.arm,
        learns=cell.learns,
        seeds=len(cell.seeds),
        diverged=int((run.diverged_at[cell.replicas] >= 0).sum()),
        against="" if itself else reference.label,
        to_zero=reference.swept == cell.swept | {"arm": "zero"},
        sigma=sigma,
        trend=trend,
        direction=direction,
        at_floor=shares[0],
        at_ceiling=shares[1],
        scores=tuple(_scores(run, cell, None if itself else reference)),
    )


def _scores(run: Measured, cell: Cell, reference: Cell | None) -> Iterator[Score]:
    """The scores of a cell that has any of their kind."""
    for key in run.scores():
        own = run.late(key, cell)
        if np.isnan(own).all() and not (run.diverged_at[cell.replicas] >= 0).all():
            continue
        level = _mean(with_diverged(own, METRICS[key.metric].worst))
        if reference is None:
            yield Score(*key, level)
            continue
        against = _against(run, key, own, run.late(key, reference))
        yield Score(*key, level, against, detectable=_detectable(key, against, len(own)))


def _mean(values: np.ndarray) -> Interval:
    """The mean over seeds, without an interval where they are few."""
    mean, error = mean_and_error(values)
    return interval(mean, error, len(values), LEVEL)


def _against(run: Measured, key: Key, own: np.ndarray, other: np.ndarray) -> Interval:
    """The ratio or difference to another cell, without an interval where seeds are few."""
    if key.metric == "mmd2":
        found = log_ratio(own, other, floor(run), LEVEL)
    else:
        found = paired_difference(own, other, LEVEL, worst=METRICS[key.metric].worst)
    return found if len(own) >= FEWEST_SEEDS else UNKNOWN._replace(value=found.value)


def _detectable(key: Key, against: Interval, num: int) -> float:
    """The factor (MMD^2) or difference that so many seeds find 4 times of 5."""
    if not against.error > 0:
        return np.nan
    found = smallest_detectable(against, num, LEVEL)
    return float(np.exp(found)) if key.metric == "mmd2" else found


def _with_verdicts(run: Measured, found: list[Comparison]) -> list[Comparison]:
    """The verdicts of the primary comparisons, Holm's correction over all of them."""
    family = [one for one in found if one.against and one.primary is not None]
    adjusted = holm(np.array([_p_value(run, one) for one in family])) if family else []
    verdicts = {one.cell: float(p) for one, p in zip(family, adjusted, strict=True)}
    return [_judged(one, verdicts.get(one.cell)) for one in found]


def _p_value(run: Measured, one: Comparison) -> float:
    """Of the primary comparison, before correction."""
    by_label = {cell.label: cell for cell in run.cells}
    key, cells = Key(*PRIMARY), (by_label[one.label], by_label[one.against])
    if one.seeds < FEWEST_SEEDS:
        return np.nan
    logs = [np.log(np.maximum(with_diverged(run.late(key, cell)), floor(run))) for cell in cells]
    diverged = any((run.diverged_at[cell.replicas] >= 0).any() for cell in cells)
    return paired_p_value(logs[0], logs[1], test="signed_rank" if diverged else "t")


def _judged(one: Comparison, p_value: float | None) -> Comparison:
    if p_value is None:
        return one
    scores = [
        score._replace(p_value=p_value, verdict=_verdict(score, p_value))
        if score.key == PRIMARY
        else score
        for score in one.scores
    ]
    return one._replace(scores=tuple(scores))


def _verdict(score: Score, p_value: float) -> str:
    if not p_value < 1 - LEVEL:
        return "not resolved"
    return "better" if score.against.value < 1 else "worse"


def _sigma(run: Measured, cell: Cell) -> tuple[Interval, Interval, str, tuple[float, float]]:
    """Sigma of the last fifth, its trend, the trend in a word, shares at floor and ceiling."""
    alive = cell.replicas[run.diverged_at[cell.replicas] < 0]
    if not alive.size:
        return UNKNOWN, UNKNOWN, "", (np.nan, np.nan)
    late = {
        name: run.series[Key(name)].end(run.steps) for name in ("sigma", "at_floor", "at_ceiling")
    }
    shares = tuple(float(late[name].value[alive].mean()) for name in ("at_floor", "at_ceiling"))
    sigma = late["sigma"]
    slopes = _slopes(Series(sigma.step, sigma.value[alive]))
    trend = _mean(1000 * slopes)
    change = _mean(slopes * LAST * run.steps)
    direction = _direction(change, _settled(run, cell), shares) if cell.learns else ""
    return _mean(sigma.value[alive].mean(axis=1)), trend, direction, (shares[0], shares[1])


def _slopes(sigma: Series) -> np.ndarray:
    """Least-squares slope of log sigma in the step, for each replica; NaN where sigma is 0."""
    if len(sigma.step) < 2:
        return np.full(len(sigma.value), np.nan)
    centred = sigma.step - sigma.step.mean()
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(sigma.value) @ centred / (centred @ centred)


def _settled(run: Measured, cell: Cell) -> float:
    """How far log sigma may move in the last fifth of the run and count as settled."""
    options = run.config | cell.swept
    if options.get("sigma_optimizer", "adam") != "adam":
        return SETTLED
    rate = options.get("sigma_learning_rate") or options["learning_rate"]
    return min(SETTLED, SLOW * float(rate) * LAST * run.steps)


def _direction(change: Interval, settled: float, shares: tuple[float, ...]) -> str:
    """What log sigma, which changes by so much in the last fifth of the run, does there."""
    for share, bound in zip(shares, ("at floor", "at ceiling"), strict=True):
        if share > AT_BOUND:
            return bound
    if change.low > -settled and change.high < settled:
        return "settled"
    if change.high < 0:
        return "falling"
    return "rising" if change.low > 0 else "unclear"
