"""What a comparison of arms says, and how it is written to and read from ``comparison.json``."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from sigmaprop.statistics import FEWEST, Interval, bound

UNKNOWN = Interval(math.nan, math.nan, math.nan, math.nan)

PRIMARY = ("mmd2", "x", "last")
"""Metric, what it is of, and weights that verdicts are about."""
EACH = 0.95
"""Coverage of the interval of a score by itself, outside every family."""
FEWEST_SEEDS = FEWEST
"""Fewer give no interval and no verdict."""
VERDICTS = ("better", "worse", "equivalent", "non-inferior", "not resolved", "too few seeds")
"""Of the primary comparison, in the order in which they are told."""


class Score(NamedTuple):
    """One metric of a cell.

    Attributes:
        metric: a name of `metrics.METRICS`.
        of: "mean", or "x" with its noise.
        weights: "last" or "average".
        level: mean over the seeds with its 95% interval; where runs diverged the median, infinite
            where that is a diverged run, without an interval.
        against: the ratio (MMD^2) or difference (others; of a metric with a target that of the
            distances to it) to the cell that it is compared with; where runs diverged a median
            without an interval; unknown for that cell itself.
        p_value: Holm's, of the primary comparison; NaN for the others.
        verdict: one of `VERDICTS`, of the primary comparison; else empty.
        coverage: level of the interval of ``against``: of the primary comparison that at which
            Holm's method decided; of the others 95% each.
        missed: upper limit of the smallest factor or difference that so many seeds find 4 times
            of 5, of the primary comparison, at the level of its family.
        diverged: runs without a number, of the cell and of what it is compared with.
        floored: values that cannot be told from real data and count as if at the floor, likewise.
    """

    metric: str
    of: str
    weights: str
    level: Interval
    against: Interval = UNKNOWN
    p_value: float = math.nan
    verdict: str = ""
    coverage: float = EACH
    missed: float = math.nan
    diverged: tuple[int, int] = (0, 0)
    floored: tuple[int, int] = (0, 0)

    @property
    def bound(self) -> str:
        """How the true ratio stands to the one given: "", "<=", ">=" or "?"."""
        return bound(self.floored)

    @property
    def key(self) -> tuple[str, str, str]:
        """What names it within a cell."""
        return self.metric, self.of, self.weights


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
        to_zero: whether that cell is the arm zero.
        sigma: mean over the last fifth of the steps.
        trend: slope of log sigma there, a 1,000 steps.
        direction: "falling", "rising", "settled", "at rest" (it does not move, but see
            ``settling``), "unclear", "at floor", "at ceiling", or empty where sigma is not learned.
        at_floor: share of scales and time at the floor there.
        at_ceiling: likewise.
        scores: of its examples.
        settling: of a sigma that is settled, at rest or unclear how that is known, or what is
            missing, see `generators.settling`; empty in older runs.
    """

    cell: int
    label: str
    arm: str
    learns: bool
    seeds: int
    diverged: int
    against: str
    to_zero: bool
    sigma: Interval
    trend: Interval
    direction: str
    at_floor: float
    at_ceiling: float
    scores: tuple[Score, ...]
    settling: str = ""

    def score(self, metric: str, of: str, weights: str) -> Score | None:
        """One of the scores, None where it was not measured."""
        return next((one for one in self.scores if one.key == (metric, of, weights)), None)

    @property
    def primary(self) -> Score | None:
        """The score that the verdict is about."""
        return self.score(*PRIMARY)


def as_json(found: Sequence[NamedTuple]) -> list[dict[str, Any]]:
    """A comparison as JSON, numbers that are not known as null, infinite ones as a word."""
    return [_plain(one) for one in found]


def from_json(content: list[dict[str, Any]]) -> list[Comparison]:
    """What `as_json` made.

    Raises:
        KeyError, TypeError: the content is another.
    """
    return [_comparison(entry) for entry in content]


def _comparison(entry: dict[str, Any]) -> Comparison:
    found: dict[str, Any] = {name: known_interval(entry[name]) for name in ("sigma", "trend")}
    found |= {name: known(entry[name]) for name in ("at_floor", "at_ceiling")}
    found["scores"] = tuple(map(_score, entry["scores"]))
    return Comparison(**(entry | found))


def _score(entry: dict[str, Any]) -> Score:
    """A score; older runs lack some fields and have others that are not read any more."""
    entry = {name: value for name, value in entry.items() if name in Score._fields}
    found: dict[str, Any] = {name: known_interval(entry[name]) for name in ("level", "against")}
    found |= {name: known(entry.get(name)) for name in ("p_value", "missed")}
    found["coverage"] = known(entry.get("coverage", EACH))
    for name in ("diverged", "floored"):
        found[name] = tuple(map(int, entry.get(name, (0, 0))))
    return Score(**(entry | found))


def known_interval(entry: dict[str, Any]) -> Interval:
    """An interval that `as_json` wrote."""
    return Interval(**{name: known(value) for name, value in entry.items()})


def known(value: float | str | None) -> float:
    """A number that `as_json` wrote."""
    return math.nan if value is None else float(value)


def _plain(value: Any) -> Any:
    """Named tuples as dicts, NaN as None, infinity, which JSON has no number for, as a word."""
    if hasattr(value, "_asdict"):
        return {name: _plain(entry) for name, entry in value._asdict().items()}
    if isinstance(value, tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value
