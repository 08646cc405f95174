"""Runs of two arms in pairs of equal seed: differences, ratios, their tests and their power.

A run that diverged has no number (NaN or infinite). It ranks below every finite run of both arms:
its difference to a run that ended is infinite, that of two diverged runs is 0. No number is put in
its place, so where one diverged the middle is a median, the test goes by ranks, and there is no
interval.
"""

from functools import lru_cache
from typing import Literal

import numpy as np
from jaxtyping import Float

from sigmaprop.names import unknown
from sigmaprop.statistics.intervals import Interval, interval
from sigmaprop.statistics.scales import Worst

Method = Literal["t", "bca"]
Test = Literal["t", "signed_rank"]
Runs = Float[np.ndarray, " S"]
"""A metric of the runs of one cell (an arm on a data set), one entry a seed."""

_ENDS = {"largest": np.inf, "smallest": -np.inf}


def differences(a: Runs, b: Runs, worst: Worst = "largest") -> Runs:
    """a - b for each seed, diverged runs behind all others.

    Args:
        a: a metric of one arm, NaN or infinite where a run diverged. [S]
        b: the same of the other arm, for the same seeds in the same order. [S]
        worst: which end of the metric is bad: "largest" for MMD, "smallest" for a share of modes.

    Returns:
        [S]: infinite where one run of a pair diverged (positive where ``a`` is the larger, the
        end that is bad standing for the run that diverged), 0 where both did.

    Raises:
        ValueError: different numbers of seeds, none, or an unknown end.
    """
    if worst not in _ENDS:
        raise unknown("end of a metric", worst, _ENDS)
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.shape != b.shape or a.ndim != 1 or not len(a):
        raise ValueError(
            f"a of shape {a.shape} and b of shape {b.shape} are no pairs; give one value a seed"
        )
    lost_a, lost_b = ~np.isfinite(a), ~np.isfinite(b)
    found = np.where(lost_a | lost_b, 0.0, np.where(lost_a, 0, a) - np.where(lost_b, 0, b))
    return np.where(lost_a == lost_b, found, np.where(lost_a, _ENDS[worst], -_ENDS[worst]))


def middle(values: Runs) -> float:
    """The median of numbers of which some are infinite; NaN between one end and the other."""
    low, high = (np.sort(values)[place] for place in ((len(values) - 1) // 2, len(values) // 2))
    with np.errstate(invalid="ignore"):
        return float(low) if low == high else float((low + high) / 2)


def paired_difference(
    a: Runs, b: Runs, level: float = 0.95, *, method: Method = "t", worst: Worst = "largest"
) -> Interval:
    """The mean of a - b over seeds, with its confidence interval at ``level``.

    Args:
        a: a metric of one arm. [S]
        b: the same of the other arm, for the same seeds in the same order. [S]
        level: coverage.
        method: "t" for Student's interval of the mean, exact for normal differences; "bca" for
            the bias-corrected and accelerated bootstrap (9,999 resamples by a fixed generator),
            which follows skew but is too narrow: at 95%, of normal differences of 5, 10 and 20
            seeds it missed 17%, 11% and 9%.
        worst: the bad end of the metric.

    Returns:
        Mean difference, standard error and interval; of one seed, and of equal differences, there
        is no interval (NaN). Where a run diverged: the median of `differences`, which may be
        infinite, and neither error nor interval.

    Raises:
        ValueError: different numbers of seeds, none, or an unknown method.

    Source: Efron 1987, "Better bootstrap confidence intervals", for BCa.
    """
    if method not in ("t", "bca"):
        raise unknown("method of an interval", method, ("t", "bca"))
    found = differences(a, b, worst)
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return Interval(middle(found), np.nan, np.nan, np.nan)
    return _mean_interval(found, level, method)


def log_ratio(
    a: Runs, b: Runs, floor: Runs | float, level: float = 0.95, *, method: Method = "t"
) -> Interval:
    """The ratio a / b of a metric that should be small, from paired differences of logarithms.

    Args:
        a: MMD^2, say, of one arm; the largest is the worst. [S]
        b: the same of the other arm. [S]
        floor: values below it count as it, for they do not differ from real data: the 95th
            percentile of real against real, one for all seeds or one for each. > 0
        level: coverage.
        method: as in `paired_difference`.

    Returns:
        The geometric mean of the ratio, the standard error of its log, and the ratio's interval,
        none where all ratios are equal. Where a run diverged: the median ratio alone, infinite
        or 0 where it is that of a diverged run.

    Raises:
        ValueError: a floor that is not positive, or as in `paired_difference`.
    """
    log_a, log_b = logs_above(a, floor), logs_above(b, floor)
    value, error, low, high = paired_difference(log_a, log_b, level, method=method)
    return Interval(float(np.exp(value)), error, float(np.exp(low)), float(np.exp(high)))


def logs_above(values: Runs, floor: Runs | float) -> Runs:
    """Logarithms, values below the floor counted as it; NaN where a run diverged.

    Raises:
        ValueError: a floor that is not positive.
    """
    if not np.all(np.asarray(floor) > 0):
        raise ValueError(f"floor = {np.min(floor)} has no logarithm; take a positive one")
    values = np.asarray(values, np.float64)
    ended = np.isfinite(values)
    return np.where(ended, np.log(np.maximum(np.where(ended, values, 1.0), floor)), np.nan)


def paired_p_value(a: Runs, b: Runs, *, test: Test = "t", worst: Worst = "largest") -> float:
    """Two-sided p-value of paired runs not differing; NaN for one seed.

    Args:
        a: as in `paired_difference`. [S]
        b: [S]
        test: "t" for the mean, or Wilcoxon's "signed_rank". Where a run diverged, or all
            differences are equal, there is no t test and ranks decide.
        worst: the bad end of the metric.

    Raises:
        ValueError: different numbers of seeds, none, or an unknown test.
    """
    if test not in ("t", "signed_rank"):
        raise unknown("paired test", test, ("t", "signed_rank"))
    found = differences(a, b, worst)
    ended = np.isfinite(a).all() and np.isfinite(b).all()
    return p_value(found, by_ranks=test == "signed_rank" or not ended)


def p_value(found: Runs, *, by_ranks: bool) -> float:
    """Two-sided p-value of differences; by ranks also where they have no spread."""
    from scipy.special import stdtr

    if len(found) < 2:
        return np.nan
    if by_ranks or np.ptp(found) == 0:
        return signed_rank_p_value(found)
    size = abs(found.mean()) / (found.std(ddof=1) / np.sqrt(len(found)))
    return float(2 * stdtr(len(found) - 1, -size))


def signed_rank_p_value(found: Runs) -> float:
    """Wilcoxon's two-sided signed-rank test, exact with ties, infinite differences the largest.

    Differences of 0 drop out; equal sizes share their mean rank. Given the sizes, each sign is
    + or - with probability 1/2 under the null hypothesis, so the level holds whatever the
    distribution. The smallest p is 2 / 2^n: .25, .125, .0625, .031 at n = 3, 4, 5, 6.

    Args:
        found: differences. [S]

    Returns:
        The p-value, 1 where all differences are 0.

    Source: Hollander, Wolfe, Chicken 2014, "Nonparametric Statistical Methods", section 3.1,
        comment on the conditional distribution with ties.
    """
    above, below, doubled = _rank_sums(found)
    if not doubled:
        return 1.0
    return min(1.0, 2 * float(_share_below(doubled)[min(above, below)]))


def lean(found: Runs) -> int:
    """To which side differences lean by their ranks: 1 above 0, -1 below, 0 to neither."""
    above, below, _ = _rank_sums(found)
    return (above > below) - (above < below)


def _rank_sums(found: Runs) -> tuple[int, int, tuple[int, ...]]:
    """Twice the sums of the ranks above and below 0, and twice all ranks, ascending."""
    from scipy.stats import rankdata

    found = np.asarray(found, np.float64)
    found = found[found != 0]
    doubled = np.rint(2 * rankdata(np.abs(found))).astype(int)
    above, below = (int(doubled[side].sum()) for side in (found > 0, found < 0))
    return above, below, tuple(np.sort(doubled).tolist())


@lru_cache(maxsize=4096)
def _share_below(doubled: tuple[int, ...]) -> np.ndarray:
    """P(W <= w) of the sum W of those (doubled) ranks whose fair coin shows heads, w = 0, 1, ..."""
    shares = np.zeros(sum(doubled) + 1)
    shares[0] = 1.0
    for rank in doubled:
        shares[rank:] += shares[: len(shares) - rank].copy()
        shares /= 2
    return np.cumsum(shares)


def spread_limit(std: float, num: int, confidence: float = 0.95) -> float:
    """Upper confidence limit of the std that ``num`` normal numbers of std ``std`` come from.

    std sqrt((n - 1) / q), q the (1 - confidence) quantile of chi^2 with n - 1 degrees of freedom:
    the std of 4 runs may be a third of the true one. NaN for one number.
    """
    from scipy.special import chdtri

    if num < 2:
        return np.nan
    # `chdtri` inverts the upper tail.
    return float(std * np.sqrt((num - 1) / chdtri(num - 1, confidence)))


def smallest_detectable(
    spread: Interval | float, num: int, level: float = 0.95, power: float = 0.8
) -> float:
    """The mean difference that a paired t test finds, sign included, with probability ``power``.

    Args:
        spread: std of the differences between paired runs, or the interval of their mean. The std
            of few runs is itself uncertain: give `spread_limit` for what was missed at most.
        num: pairs: of the interval, or of a study to be planned from a std.
        level: 1 minus the (two-sided) level of the test: with Holm's method over k comparisons
            the first rejection needs 1 - .05 / k.
        power: probability to find it.

    Returns:
        The difference, > 0, in the unit of the spread (log for `log_ratio`); NaN for one pair.
    """
    if num < 2:
        return np.nan
    error = spread.error if isinstance(spread, Interval) else spread / np.sqrt(num)
    return float(error) * _shift(num - 1, float(level), float(power))


@lru_cache(maxsize=4096)
def _shift(freedom: int, level: float, power: float) -> float:
    """The mean of a t statistic that exceeds its critical value with probability ``power``."""
    from scipy.optimize import brentq
    from scipy.stats import nct, t

    critical = t.ppf(0.5 + level / 2, freedom)

    def excess(shift: float) -> float:
        return float(nct.sf(critical, freedom, shift)) - power

    return float(np.asarray(brentq(excess, 0, 10 * (1 + critical))))


def smallest_detectable_by_ranks(
    spread: float,
    num: int,
    lost: tuple[int, int] = (0, 0),
    level: float = 0.95,
    power: float = 0.8,
) -> float:
    """The mean difference that the signed-rank test finds, sign included, where runs diverged.

    Args:
        spread: std of the normal differences between the pairs that ended.
        num: such pairs.
        lost: infinite differences of the sign that is to be found, and of the other: one of those
            outweighs every finite difference. Pairs that diverged both count nowhere.
        level: 1 minus the two-sided level of the test.
        power: probability to find it.

    Returns:
        The difference, > 0, in the unit of the spread, from 2,000 draws by a fixed generator (to
        about 2%); infinite where no difference is found so often; NaN without a pair that ended.
    """
    if num < 1:
        return np.nan
    return float(spread) * _shift_of_ranks(num, *lost, float(level), float(power))


@lru_cache(maxsize=4096)
def _shift_of_ranks(num: int, helping: int, opposed: int, level: float, power: float) -> float:
    """The mean of normal numbers of std 1 that the signed-rank test finds with that power."""
    infinite = helping + opposed
    doubled = (*range(2, 2 * num + 1, 2), *[2 * num + infinite + 1] * infinite)
    allowed = np.flatnonzero(2 * _share_below(doubled) < 1 - level)
    most = allowed[-1] - opposed * doubled[-1] if len(allowed) else -1
    if most < 0:
        return np.inf
    noise = np.random.default_rng(0).normal(size=(2000, num))
    low, high = 0.0, 8.0
    while high - low > 4e-3:
        shift = (low + high) / 2
        order = np.argsort(np.abs(shift + noise), axis=1)
        below = (np.take_along_axis(noise, order, axis=1) < -shift) @ np.array(doubled[:num])
        low, high = (low, shift) if (below <= most).mean() >= power else (shift, high)
    return high


def holm(p_values: Float[np.ndarray, " H"]) -> Float[np.ndarray, " H"]:
    """Holm's adjusted p-values, in the given order: reject those below the level of the family.

    A NaN (a comparison that could not be made) counts in the family, as 1.

    Raises:
        ValueError: a value outside [0, 1].

    Source: Holm 1979, "A simple sequentially rejective multiple test procedure".
    """
    p = np.nan_to_num(np.asarray(p_values, np.float64), nan=1.0)
    if not np.all((p >= 0) & (p <= 1)):
        raise ValueError(f"p_values holds {p[(p < 0) | (p > 1)][0]}; p-values lie in [0, 1]")
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    return np.minimum(steps, 1.0)[np.argsort(order)]


def _mean_interval(values: Runs, level: float, method: Method) -> Interval:
    """Interval of the mean of independent values; none of one value, or where all are equal."""
    num = len(values)
    error = float(values.std(ddof=1) / np.sqrt(num)) if num > 1 else np.nan
    if num > 1 and np.ptp(values) == 0:
        return Interval(float(values[0]), 0.0, np.nan, np.nan)
    if method == "t" or not error > 0:
        return interval(values.mean(), error, num, level)
    from scipy.stats import bootstrap

    found = bootstrap(
        (values,), np.mean, confidence_level=level, method="BCa", rng=np.random.default_rng(0)
    ).confidence_interval
    return Interval(float(values.mean()), error, float(found.low), float(found.high))
