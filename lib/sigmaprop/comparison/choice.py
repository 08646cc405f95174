"""Which estimator to use: efficiency, with those that miss the gradient told apart.

This ranks, and each estimator for itself; it is no verdict. Whether a bias is there is judged by
`statistics.judge` at three standard errors, and it counts from 5% of the gradient on.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from sigmaprop.statistics import Interval, judge

LEAST_BIAS, ERRORS = 0.05, 3.0
"""An estimator counts as biased where its relative bias is larger than both: this, and so many of
its standard errors."""
_LARGEST_DEVIATION = 5.0
"""Standard errors, where the exact gradient is 0 and no bias is relative to it."""
_ROUNDING = 8
"""Units in the last place, below which the noise of an estimate is rounding."""
SMALLEST_TOLD = 1e-4
"""Relative bias of an estimate without noise that is told."""
PARTS = ("mean", "scale", "factor")
"""Of a Gaussian, in the order in which they are shown."""


class Score(NamedTuple):
    """What one estimator's gradient to one part of the Gaussian is worth at one sigma.

    Attributes:
        estimator, noise: which.
        num_samples: of one estimate.
        wrt: the part.
        seconds: of a sample.
        efficiency: 1 / (variance of a sample x its seconds); inf without variance.
        bias: relative to the exact gradient; NaN where that is 0.
        error: its standard error.
        biased: whether it misses the gradient.
        exact: whether it has no noise but rounding, and does not miss.
    """

    estimator: str
    noise: str
    num_samples: int
    wrt: str
    seconds: float
    efficiency: float
    bias: float
    error: float
    biased: bool
    exact: bool

    @property
    def which(self) -> tuple[str, str]:
        """Estimator and noise."""
        return self.estimator, self.noise


class Ranked(NamedTuple):
    """One estimator at one sigma: its scores by part, each with its ratio to the best.

    Attributes:
        which: estimator and noise.
        scores: by part.
        ratios: efficiency over that of the best unbiased estimator, by part; inf where exact.
    """

    which: tuple[str, str]
    scores: dict[str, Score]
    ratios: dict[str, float]

    @property
    def biased(self) -> bool:
        """Whether it misses a part."""
        return any(score.biased for score in self.scores.values())


def is_rounding(error: np.ndarray, dtype: str, replicates: int) -> np.ndarray:
    """Whether the noise of single estimates is that of rounding, from standard errors of a bias."""
    eps = np.finfo(np.float64 if dtype == "float64" else np.float32).eps
    return error * np.sqrt(replicates) <= _ROUNDING * eps


def misses(bias: float, error: float, deviation: float) -> bool:
    """Whether an estimate is taken for biased.

    Args:
        bias: relative to the exact gradient, NaN where that is 0.
        error: its standard error.
        deviation: of the worst coordinate, in standard errors: decides where there is no bias.
    """
    if np.isfinite(bias):
        half = ERRORS * float(np.nan_to_num(error))
        unbiased = judge(Interval(bias, half / ERRORS, bias - half, bias + half), 0.0, 0.0)
        return unbiased == "fails" and abs(bias) > LEAST_BIAS
    return bool(deviation > _LARGEST_DEVIATION)


def reference(found: Iterable[Score]) -> float:
    """The efficiency of the best unbiased estimator that has noise; NaN without one."""
    known = [s.efficiency for s in found if not s.biased and not s.exact and s.efficiency > 0]
    return max(known, default=float("nan"))


def parts_of(found: Sequence[Score]) -> list[str]:
    """The parts that were measured, in their order."""
    measured = dict.fromkeys(score.wrt for score in found)
    return [part for part in PARTS if part in measured] + [p for p in measured if p not in PARTS]


def rank(found: Sequence[Score]) -> list[Ranked]:
    """The estimators, unbiased ones first, of each the most efficient first.

    What they are ranked by is the geometric mean over the parts of their ratio to the best.
    """
    best = {part: reference(s for s in found if s.wrt == part) for part in parts_of(found)}
    grouped: dict[tuple[str, str], dict[str, Score]] = {}
    for score in found:
        grouped.setdefault(score.which, {})[score.wrt] = score
    ranked = []
    for which, own in grouped.items():
        ratios = {
            part: np.inf if (s := own[part]).exact or s.efficiency == np.inf else s.efficiency / top
            for part, top in best.items()
            if part in own
        }
        ranked.append(Ranked(which, own, ratios))
    return sorted(ranked, key=_place)


def _place(row: Ranked) -> tuple[bool, float, float, tuple[str, str]]:
    """Unbiased first, then efficient, then cheap; what gives no gradient to a part comes last."""
    logs = [min(np.log(ratio), 1e3) if ratio > 0 else -np.inf for ratio in row.ratios.values()]
    seconds = next(iter(row.scores.values())).seconds
    return row.biased, -float(np.mean(logs)), float(np.nan_to_num(seconds)), row.which


def best(found: Sequence[Score]) -> tuple[list[Score], Score | None]:
    """Of the scores of one part: the three most efficient unbiased, and the best of the biased."""

    def worth(score: Score) -> tuple[float, float, tuple[str, str]]:
        efficiency = np.inf if score.exact else score.efficiency
        return -efficiency, float(np.nan_to_num(score.seconds)), score.which

    known = sorted((s for s in found if not np.isnan(s.efficiency)), key=worth)
    return [s for s in known if not s.biased][:3], next((s for s in known if s.biased), None)
