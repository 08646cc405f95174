"""What a comparison of arms says, and how it is written to and read from ``comparison.json``."""

import math
from typing import Any, NamedTuple

from sigmaprop.statistics import Interval, Worst

UNKNOWN = Interval(math.nan, math.nan, math.nan, math.nan)


class Metric(NamedTuple):
    """How to read a score.

    Attributes:
        title: what to call it.
        worst: its bad end.
        meaning: for the list of metrics.
    """

    title: str
    worst: Worst
    meaning: str


METRICS = {
    "mmd2": Metric("MMD²", "largest", "unbiased squared maximum mean discrepancy to held-out data"),
    "sliced_wasserstein": Metric(
        "sliced Wasserstein", "largest", "to held-out data, 128 directions, in units of x"
    ),
    "num_modes": Metric("modes", "smallest", "modes with at least one example of high quality"),
    "high_quality": Metric(
        "high quality", "smallest", "share of examples within 3 std of the nearest mode"
    ),
    "reverse_kl": Metric("reverse KL", "largest", "of the modes' shares to equal ones, in nats"),
    "variance_ratio": Metric(
        "variance ratio", "largest", "squared distance to the nearest mode over that of the data"
    ),
    "log_likelihood": Metric(
        "log-likelihood", "smallest", "mean log density of examples under the mixture, in nats"
    ),
}
"""Scores, in the order of tables."""
PARTIAL = ("reverse_kl", "variance_ratio")
"""Not defined where no example is of high quality; means are over evaluations where they are."""
PRIMARY = ("mmd2", "x", "last")
"""Metric, what it is of, and weights that verdicts are about."""


FEWEST_SEEDS = 3
"""Fewer give no interval and no verdict."""


class Score(NamedTuple):
    """One metric of a cell.

    Attributes:
        metric: a key of `METRICS`.
        of: "mean", or "x" with its noise.
        weights: "last" or "average".
        level: mean over the seeds, with its 95% interval.
        against: the ratio (MMD^2) or difference (others) to the cell that it is compared with;
            unknown for that cell itself.
        p_value: Holm's, of the primary comparison; NaN for the others.
        verdict: "better", "worse" or "not resolved", of the primary comparison; else empty.
        detectable: what these seeds would find 4 times of 5: a factor or a difference.
    """

    metric: str
    of: str
    weights: str
    level: Interval
    against: Interval = UNKNOWN
    p_value: float = math.nan
    verdict: str = ""
    detectable: float = math.nan

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
        direction: "falling", "rising", "settled", "unclear", "at floor", "at ceiling", or empty
            where sigma is not learned.
        at_floor: share of scales and time at the floor there.
        at_ceiling: likewise.
        scores: of its examples.
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

    def score(self, metric: str, of: str, weights: str) -> Score | None:
        """One of the scores, None where it was not measured."""
        return next((one for one in self.scores if one.key == (metric, of, weights)), None)

    @property
    def primary(self) -> Score | None:
        """The score that the verdict is about."""
        return self.score(*PRIMARY)


def as_json(found: list[Comparison]) -> list[dict[str, Any]]:
    """The comparison as JSON, numbers that are not known as null."""
    return [_plain(one) for one in found]


def from_json(content: list[dict[str, Any]]) -> list[Comparison]:
    """What `as_json` made.

    Raises:
        KeyError, TypeError: the content is another.
    """
    return [_comparison(entry) for entry in content]


def _comparison(entry: dict[str, Any]) -> Comparison:
    known: dict[str, Any] = {name: _interval(entry[name]) for name in ("sigma", "trend")}
    known |= {name: _known(entry[name]) for name in ("at_floor", "at_ceiling")}
    known["scores"] = tuple(map(_score, entry["scores"]))
    return Comparison(**(entry | known))


def _score(entry: dict[str, Any]) -> Score:
    known: dict[str, Any] = {name: _interval(entry[name]) for name in ("level", "against")}
    known |= {name: _known(entry[name]) for name in ("p_value", "detectable")}
    return Score(**(entry | known))


def _interval(entry: dict[str, Any]) -> Interval:
    return Interval(**{name: _known(value) for name, value in entry.items()})


def _known(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _plain(value: Any) -> Any:
    """Named tuples as dicts, numbers that are not finite as None."""
    if hasattr(value, "_asdict"):
        return {name: _plain(entry) for name, entry in value._asdict().items()}
    if isinstance(value, tuple):
        return [_plain(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
