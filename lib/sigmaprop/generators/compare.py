"""Arms against the arm zero: what differs by more than seeds do.

Every number of a replica is its mean over the evaluations in the last fifth of the run; means and
intervals are over seeds, differences between replicas of equal seed. A replica that diverged ranks
behind every other one of both arms: medians stand for means, ranks decide, and there is no
interval. Each kind of sentence is a family: verdicts of arms are one, directions of sigma another.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from sigmaprop.generators.results import (
    LAST,
    Cell,
    Key,
    Measured,
    Series,
    agrees,
    measured,
    pair,
    reference,
    sigma_key,
)
from sigmaprop.generators.scores import (
    EACH,
    PRIMARY,
    UNKNOWN,
    Comparison,
    Score,
    as_json,
)
from sigmaprop.generators.settling import settle
from sigmaprop.metrics import scale_of
from sigmaprop.statistics import Comparison as Judged
from sigmaprop.statistics import Interval, Pair, Scale, central, interval, mean_and_error
from sigmaprop.statistics import compare as judged

SETTLED = 0.05
"""A sigma is at rest where its log moves by less than this in the last fifth of the run, ..."""
SLOW = 0.1
"""... and by less than this share of the way that Adam allows."""
AT_BOUND = 0.5
"""A sigma that spends more of that time at a bound is there."""

__all__ = ["as_json", "compare"]


def compare(directory: Path) -> list[Comparison]:
    """Compares every cell with the cell of arm zero that agrees in all that concerns both.

    Where there is none, with the first cell of that arm, else with the first of all; see
    `results.reference`.

    Args:
        directory: of a run, with metrics.parquet, replicas.json and reference.json.

    Raises:
        RunError: a file is missing or damaged.
    """
    run = measured(directory)
    found = [_compare(run, cell, reference(run, cell, "zero")) for cell in run.cells]
    return _with_directions(run, _with_verdicts(run, found))


def _compare(run: Measured, cell: Cell, other: Cell) -> Comparison:
    itself = cell.number == other.number
    sigma, trend, shares = _sigma(run, cell)
    return Comparison(
        cell=cell.number,
        label=cell.label,
        arm=cell.arm,
        learns=cell.learns,
        seeds=len(cell.seeds),
        diverged=int((run.diverged_at[cell.replicas] >= 0).sum()),
        against="" if itself else other.label,
        to_zero=other.arm == "zero" and agrees(other, cell),
        sigma=sigma,
        trend=trend,
        direction="",
        at_floor=shares[0],
        at_ceiling=shares[1],
        scores=tuple(_scores(run, cell, None if itself else other)),
    )


def _scores(run: Measured, cell: Cell, other: Cell | None) -> Iterator[Score]:
    """The scores of a cell that has any of their kind, each compared by itself."""
    for key in run.scores():
        own = run.late(key, cell)
        if np.isnan(own).all() and not (run.diverged_at[cell.replicas] >= 0).all():
            continue
        one = Score(*key, _level(run, key, own))
        both = None if other is None else pair(run, key.metric, own, run.late(key, other))
        if both is not None:
            (found,) = judged([both], 1 - EACH)
            one = one._replace(
                against=found.measured, diverged=found.diverged, floored=found.floored
            )
        yield one


def _level(run: Measured, key: Key, own: np.ndarray) -> Interval:
    """The mean over seeds; the median, without an interval, where one has no number."""
    if np.isfinite(own).all():
        return _mean(own)
    middle = central(own, scale_of(key.metric, run.ideal))
    return UNKNOWN._replace(value=middle)


def _mean(values: np.ndarray) -> Interval:
    """The mean over seeds, without an interval where they are few."""
    mean, error = mean_and_error(values)
    return interval(mean, error, len(values), EACH)


def _with_verdicts(run: Measured, found: list[Comparison]) -> list[Comparison]:
    """The verdicts of the primary comparisons, which are one family."""
    by_label = {cell.label: cell for cell in run.cells}
    family: dict[int, Pair] = {}
    for one in found:
        if one.against and one.primary is not None:
            values = (run.late(Key(*PRIMARY), by_label[name]) for name in (one.label, one.against))
            both = pair(run, PRIMARY[0], *values)
            if both is not None:
                family[one.cell] = both
    verdicts = dict(zip(family, judged(list(family.values())), strict=True))
    return [
        one._replace(scores=tuple(_told(score, verdicts[one.cell]) for score in one.scores))
        if one.cell in verdicts
        else one
        for one in found
    ]


def _told(score: Score, found: Judged) -> Score:
    """The primary score with what its family says."""
    if score.key != PRIMARY:
        return score
    return score._replace(
        against=found.measured,
        p_value=found.adjusted,
        verdict=found.verdict,
        coverage=found.level,
        missed=found.missed,
    )


def _sigma(run: Measured, cell: Cell) -> tuple[Interval, Interval, tuple[float, float]]:
    """Sigma of the last fifth, its trend, shares at floor and ceiling, of the seeds that ended."""
    alive = _alive(run, cell)
    if not alive.size:
        return UNKNOWN, UNKNOWN, (np.nan, np.nan)
    keys = (sigma_key(run, cell), Key("at_floor"), Key("at_ceiling"))
    late = {key.metric: run.series[key].end(run.steps) for key in keys}
    at_floor, at_ceiling = (
        float(late[name].value[alive].mean()) for name in ("at_floor", "at_ceiling")
    )
    trend = _mean(1000 * _late_slopes(run, alive))
    return _mean(late["sigma"].value[alive].mean(axis=1)), trend, (at_floor, at_ceiling)


def _alive(run: Measured, cell: Cell) -> np.ndarray:
    """The replicas of a cell that did not diverge."""
    return cell.replicas[run.diverged_at[cell.replicas] < 0]


def _late_slopes(run: Measured, replicas: np.ndarray) -> np.ndarray:
    """Slopes of log sigma in the last fifth of the run."""
    late = run.series[Key("sigma")].end(run.steps)
    return _slopes(Series(late.step, late.value[replicas]))


def _slopes(sigma: Series) -> np.ndarray:
    """Least-squares slope of log sigma in the step, for each replica; NaN where sigma is 0."""
    if len(sigma.step) < 2:
        return np.full(len(sigma.value), np.nan)
    centred = sigma.step - sigma.step.mean()
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(sigma.value) @ centred / (centred @ centred)


def _resting(run: Measured, cell: Cell) -> float:
    """How far log sigma may move in the last fifth of the run and count as at rest."""
    options = run.config | cell.swept
    if options.get("sigma_optimizer", "adam") != "adam":
        return SETTLED
    rate = options.get("sigma_learning_rate") or options["learning_rate"]
    return min(SETTLED, SLOW * float(rate) * LAST * run.steps)


def _with_directions(run: Measured, found: list[Comparison]) -> list[Comparison]:
    """Where learned sigmas go: the sentences on them are one family.

    A bound is where it is. Of the others, log sigma falls or rises where Holm's method says that
    its change in the last fifth of the run is not 0, and is at rest where the interval of that
    change, at the family's level, is small. What is at rest has settled if starts on both sides of
    it end there and it could have moved on; see `settling`.
    """
    family: dict[int, Pair] = {}
    directions: dict[int, str] = {}
    for cell, one in zip(run.cells, found, strict=True):
        alive = _alive(run, cell)
        if not cell.learns or not alive.size:
            continue
        directions[cell.number] = _at_bound(one) or "unclear"
        change = _late_slopes(run, alive) * LAST * run.steps
        if directions[cell.number] == "unclear" and np.isfinite(change).all():
            scale = Scale("smaller", margin=_resting(run, cell))
            family[cell.number] = Pair(change, np.zeros(len(change)), scale)
    for number, one in zip(family, judged(list(family.values())), strict=True):
        moves = {"better": "falling", "worse": "rising"}.get(one.verdict, "unclear")
        directions[number] = "at rest" if one.within else moves
    found = [one._replace(direction=directions.get(one.cell, "")) for one in found]
    return [_with_settling(run, *both, found) for both in zip(run.cells, found, strict=True)]


def _with_settling(
    run: Measured, cell: Cell, one: Comparison, found: list[Comparison]
) -> Comparison:
    """What the rule of two-sided starts says of a sigma that does not move and is at no bound."""
    if one.direction not in ("at rest", "unclear"):
        return one
    rule = settle(run, cell, {other.cell: other.sigma.value for other in found})
    if one.direction == "unclear":
        return one._replace(settling=rule.of_unclear)
    direction = "settled" if rule.settled else "at rest"
    return one._replace(direction=direction, settling=rule.sentence)


def _at_bound(one: Comparison) -> str:
    """The bound at which sigma is for most of the time, if there is one."""
    shares = {"at floor": one.at_floor, "at ceiling": one.at_ceiling}
    return next((bound for bound, share in shares.items() if share > AT_BOUND), "")
