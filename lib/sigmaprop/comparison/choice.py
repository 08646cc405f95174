"""Which estimator to use: efficiency, with those that miss the gradient told apart."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from sigmaprop.reporting.comparison_results import Comparison, Key, Series, Which
from sigmaprop.reporting.sheet import power
from sigmaprop.statistics import Interval, judge

LEAST_BIAS, ERRORS = 0.05, 3.0
"""An estimator counts as biased where its relative bias is larger than both: this, and so many of
its standard errors."""
_LARGEST_DEVIATION = 5.0
"""Standard errors, where the exact gradient is 0 and no bias is relative to it."""
_ROUNDING = 8
"""Units in the last place, below which the noise of an estimate is rounding."""
_SMALLEST_TOLD = 1e-4
"""Relative bias of an estimate without noise that is told."""
PARTS = ("mean", "scale", "factor")
"""Of a Gaussian, in the order in which they are shown."""


class Score(NamedTuple):
    """What one estimator's gradient to one part of the Gaussian is worth at one sigma.

    Attributes:
        which: estimator and noise.
        num_samples: of one estimate.
        wrt: the part.
        seconds: of a sample.
        efficiency: 1 / (variance of a sample x its seconds); inf without variance.
        bias: relative to the exact gradient; NaN where that is 0.
        error: its standard error.
        biased: whether it misses the gradient.
        exact: whether it has no noise but rounding, and does not miss.
    """

    which: Which
    num_samples: int
    wrt: str
    seconds: float
    efficiency: float
    bias: float
    error: float
    biased: bool
    exact: bool

    @property
    def told(self) -> str:
        """Its bias in words, where that is known without a doubt: biased, or without noise."""
        if not (self.biased or (self.exact and abs(self.bias) > _SMALLEST_TOLD)):
            return ""
        return "biased" if np.isnan(self.bias) else f"bias {percent(self.bias)}"


class Row(NamedTuple):
    """One estimator at one sigma: its scores by part, each with its ratio to the best.

    Attributes:
        which: estimator and noise.
        scores: by part.
        ratios: efficiency over that of the best unbiased estimator, by part; inf where exact.
    """

    which: Which
    scores: dict[str, Score]
    ratios: dict[str, float]

    @property
    def biased(self) -> bool:
        """Whether it misses a part."""
        return any(score.biased for score in self.scores.values())

    @property
    def told(self) -> str:
        """The largest of its biases in words, of those that it misses if it does."""
        found = [s for s in self.scores.values() if s.told and s.biased == self.biased]
        return max(found, key=lambda s: abs(np.nan_to_num(s.bias))).told if found else ""


class Advice(NamedTuple):
    """Which estimators to take for one part of a Gaussian at one sigma.

    Attributes:
        gaussian: its family.
        sigma: largest or smallest of the grid.
        wrt: the part.
        best: the three most efficient that are not biased, or fewer.
        reference: efficiency that ratios are to.
        warning: the most efficient of the biased ones; None without any.
    """

    gaussian: str
    sigma: float
    wrt: str
    best: list[Score]
    reference: float
    warning: Score | None


def sigmas(run: Comparison, objective: str, gaussian: str) -> np.ndarray:
    """The sigmas of a grid, the largest first."""
    found = run.find("grid", objective=objective, gaussian=gaussian, metric="variance")
    values = [series.sigma for series in found.values()]
    return np.unique(np.concatenate(values))[::-1] if values else np.array([])


def ends(values: np.ndarray) -> list[float]:
    """The largest and the smallest."""
    return list(dict.fromkeys([float(values[0]), float(values[-1])])) if len(values) else []


def at(series: Series | None, sigma: float) -> Series | None:
    """The rows at a sigma, at the largest number of samples."""
    if series is None:
        return None
    here = series.where(np.isclose(series.sigma, sigma, rtol=1e-6, atol=0))
    if not here.value.size:
        return None
    return here.where(here.num_samples == here.num_samples.max())


def scores(run: Comparison, objective: str, gaussian: str, sigma: float) -> list[Score]:
    """Of every estimator and part at a sigma, each at its largest number of samples."""
    found = run.find("grid", objective=objective, gaussian=gaussian)
    keys = (key for key in found if key.metric == "variance")
    made = (_score(run, key, found, sigma) for key in keys)
    return [score for score in made if score is not None]


def _score(run: Comparison, key: Key, found: dict[Key, Series], sigma: float) -> Score | None:
    variance, efficiency, bias, deviation = (
        at(found.get(key._replace(metric=metric)), sigma)
        for metric in ("variance", "efficiency", "bias", "worst_deviation")
    )
    if variance is None:
        return None
    count = int(variance.num_samples[0])
    seconds = found.get(key._replace(wrt="all", metric="seconds"))
    if seconds is not None:
        seconds = seconds.where(seconds.num_samples == count)
    value, error = _first(bias), _first(bias, "error")
    biased = _biased(value, error, _first(deviation))
    noiseless = variance.value[0] == 0 or is_rounding(run, np.array(error))
    return Score(
        key.which,
        count,
        key.wrt,
        _first(seconds),
        float("inf") if variance.value[0] == 0 else _first(efficiency),
        value,
        error,
        biased,
        not biased and bool(noiseless),
    )


def is_rounding(run: Comparison, error: np.ndarray) -> np.ndarray:
    """Whether the noise of single estimates is that of rounding, from standard errors of a bias."""
    eps = np.finfo(np.float64 if run.config.get("dtype") == "float64" else np.float32).eps
    return error * np.sqrt(run.config.get("replicates") or 1) <= _ROUNDING * eps


def _biased(bias: float, error: float, deviation: float) -> bool:
    """Whether an estimate is taken for biased: a rule that ranks, each for itself, no verdict."""
    if np.isfinite(bias):
        half = ERRORS * float(np.nan_to_num(error))
        unbiased = judge(Interval(bias, half / ERRORS, bias - half, bias + half), 0.0, 0.0)
        return unbiased == "fails" and abs(bias) > LEAST_BIAS
    return bool(deviation > _LARGEST_DEVIATION)


def _first(series: Series | None, column: str = "value") -> float:
    if series is None or not series.value.size:
        return float("nan")
    return float(getattr(series, column)[0])


def reference(found: Iterable[Score]) -> float:
    """The efficiency of the best unbiased estimator that has noise; NaN without one."""
    known = [s.efficiency for s in found if not s.biased and not s.exact and s.efficiency > 0]
    return max(known, default=float("nan"))


def parts_of(found: Sequence[Score]) -> list[str]:
    """The parts that were measured, in their order."""
    measured = dict.fromkeys(score.wrt for score in found)
    return [part for part in PARTS if part in measured] + [p for p in measured if p not in PARTS]


def rows(found: Sequence[Score]) -> list[Row]:
    """The estimators, unbiased ones first, of each the most efficient first.

    What they are ranked by is the geometric mean over the parts of their ratio to the best.
    """
    best = {part: reference(s for s in found if s.wrt == part) for part in parts_of(found)}
    grouped: dict[Which, dict[str, Score]] = {}
    for score in found:
        grouped.setdefault(score.which, {})[score.wrt] = score
    made = []
    for which, mine in grouped.items():
        ratios = {part: _ratio(mine[part], best[part]) for part in best if part in mine}
        made.append(Row(which, mine, ratios))
    return sorted(made, key=_rank)


def _ratio(score: Score, best: float) -> float:
    if score.exact or score.efficiency == np.inf:
        return np.inf
    return score.efficiency / best


def _rank(row: Row) -> tuple[bool, float, float, Which]:
    """Unbiased first, then efficient, then cheap; what gives no gradient to a part comes last."""
    logs = [min(np.log(ratio), 1e3) if ratio > 0 else -np.inf for ratio in row.ratios.values()]
    seconds = next(iter(row.scores.values())).seconds
    return row.biased, -float(np.mean(logs)), float(np.nan_to_num(seconds)), row.which


def advice(run: Comparison, objective: str, gaussian: str) -> list[Advice]:
    """For the largest and the smallest sigma and every part: the best three, and a warning."""
    made = []
    for sigma in ends(sigmas(run, objective, gaussian)):
        found = scores(run, objective, gaussian, sigma)
        for part in parts_of(found):
            of_part = [s for s in found if s.wrt == part and not np.isnan(s.efficiency)]
            good = sorted((s for s in of_part if not s.biased), key=_worth)
            bad = sorted((s for s in of_part if s.biased), key=_worth)
            warning = bad[0] if bad else None
            made.append(Advice(gaussian, sigma, part, good[:3], reference(good), warning))
    return made


def _worth(score: Score) -> tuple[float, float, Which]:
    """Efficient first; of those without noise the cheapest."""
    worth = np.inf if score.exact else score.efficiency
    return -worth, float(np.nan_to_num(score.seconds)), score.which


def percent(value: float) -> str:
    """A share with its sign, in two digits."""
    size = abs(100 * value)
    digits = 0 if size >= 9.95 else 1 if size >= 0.995 else 2
    return f"{'−' if value < 0 else '+'}{size:,.{digits}f}%"


def times(ratio: float) -> str:
    """A ratio of efficiencies in words that fit a table."""
    if np.isnan(ratio):
        return "–"
    if np.isinf(ratio):
        return "no noise"
    if 0.01 <= ratio < 1000:
        return f"{ratio:.2g}" if ratio < 99.5 else f"{ratio:.0f}"
    mantissa, exponent = f"{ratio:.0e}".split("e")
    return f"{mantissa}·{power(int(exponent))}" if mantissa != "1" else power(int(exponent))
