"""Intervals from independent groups, slopes, verdicts, and paired comparisons over seeds.

Sweeps share one stream of noise between sigmas and batch sizes, so their errors are correlated.
Groups of samples are independent whatever happens inside them: the intervals of groups are
jackknives, which need no model of the correlation. Runs are compared in pairs of equal seed.
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float

from sigmaprop.names import unknown

LEVEL = 0.99
"""Coverage of the intervals that claims are judged by."""

Verdict = Literal["holds", "fails", "not resolved"]
Method = Literal["t", "bca"]
Test = Literal["t", "signed_rank"]
Worst = Literal["largest", "smallest"]
Runs = Float[np.ndarray, " S"]
"""A metric of the runs of one cell (an arm on a data set), one entry a seed."""


class Interval(NamedTuple):
    """A measured value, its standard error and its confidence interval (`LEVEL` by default)."""

    value: float
    error: float
    low: float
    high: float


def jackknife(
    statistic: Callable[..., Any], *groups: Float[np.ndarray, "G ..."]
) -> tuple[np.ndarray, np.ndarray]:
    """A statistic of independent groups and its standard error.

    Args:
        statistic: maps the arrays [G, ...] (all groups, or all but one) to a number or an array.
        groups: arrays whose leading axis counts the groups.

    Returns:
        (value, standard error), of the statistic's shape; the error is NaN for fewer than 3 groups.

    Source: Efron, Tibshirani 1993, "An introduction to the bootstrap", equation 11.5.
    """
    count = groups[0].shape[0]
    value = np.asarray(statistic(*groups), np.float64)
    if count < 3:
        return value, np.full(value.shape, np.nan)
    keep = ~np.eye(count, dtype=bool)
    without = np.stack([statistic(*(group[row] for group in groups)) for row in keep])
    spread = np.sum((without - without.mean(axis=0)) ** 2, axis=0)
    return value, np.sqrt((count - 1) / count * spread)


def mean_and_error(groups: Float[np.ndarray, "G ..."]) -> tuple[np.ndarray, np.ndarray]:
    """Mean over the groups that are not NaN, and its standard error (NaN below 3 groups).

    It is what `jackknife` gives for the mean, in closed form and for all entries at once.
    """
    known = ~np.isnan(groups)
    count = known.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(known, groups, 0.0).sum(axis=0) / np.where(count > 0, count, np.nan)
        spread = np.where(known, (groups - mean) ** 2, 0.0).sum(axis=0)
        error = np.sqrt(spread / np.where(count > 2, count * (count - 1.0), np.nan))
    return mean, error


def squared_norm(groups: Any) -> Any:
    """Unbiased estimate of |mean|^2 from independent groups of noisy vectors.

    The squared norm of the average adds the noise's own share; products of different groups do
    not: (|sum|^2 - sum of |.|^2) / (G (G - 1)).

    Args:
        groups: [G, ..., D], an array of NumPy or of JAX.

    Returns:
        [...], an array of the same kind.
    """
    count = groups.shape[0]
    both = (groups.sum(axis=0) ** 2).sum(axis=-1)
    own = (groups**2).sum(axis=(0, -1))
    return (both - own) / (count * (count - 1))


def norm_of_mean(groups: Float[np.ndarray, "G *rest D"]) -> Float[np.ndarray, "*rest"]:
    """|mean| from independent groups, the noise's own share removed; 0 where noise is all."""
    return np.sqrt(np.maximum(squared_norm(groups), 0))


def log_slope(x: Float[np.ndarray, " K"], y: Float[np.ndarray, " K"]) -> float:
    """Least-squares slope of log y against log x; NaN where a y is not positive."""
    if np.any(~(y > 0)):
        return np.nan
    centred = np.log(x) - np.log(x).mean()
    return float(centred @ np.log(y) / (centred @ centred))


def interval(value: Any, error: Any, num_groups: int, level: float = LEVEL) -> Interval:
    """The t interval of a value whose standard error comes from ``num_groups`` groups."""
    from scipy.stats import t

    half = float(t.ppf(0.5 + level / 2, max(num_groups - 1, 1))) * float(error)
    return Interval(float(value), float(error), float(value) - half, float(value) + half)


def jackknife_interval(statistic: Callable[..., Any], *groups: np.ndarray) -> Interval:
    """The confidence interval of a scalar statistic of independent groups."""
    return interval(*jackknife(statistic, *groups), groups[0].shape[0])


def judge(measured: Interval, lowest: float, highest: float) -> Verdict:
    """Whether an interval lies inside, or wholly outside, the range that a claim allows."""
    if not np.isfinite([measured.low, measured.high]).all():
        return "not resolved"
    if lowest <= measured.low and measured.high <= highest:
        return "holds"
    if measured.high < lowest or measured.low > highest:
        return "fails"
    return "not resolved"


def with_diverged(values: Runs, worst: Worst = "largest") -> Runs:
    """The values of one cell, with a number in every place.

    A run that diverged (NaN or infinite) takes the worst finite value of its cell: were it to
    drop out, divergence would pay. That understates the harm, so test by ranks where runs
    diverged. All are NaN where none is finite.

    Args:
        values: a metric. [S]
        worst: which end of the metric is bad: "largest" for MMD, "smallest" for a likelihood.

    Raises:
        ValueError: an unknown end.
    """
    ends = {"largest": np.max, "smallest": np.min}
    if worst not in ends:
        raise unknown("end of a metric", worst, ends)
    values = np.asarray(values, np.float64)
    finite = np.isfinite(values)
    return np.where(finite, values, ends[worst](values[finite]) if finite.any() else np.nan)


def paired_difference(
    a: Runs, b: Runs, level: float = 0.95, *, method: Method = "t", worst: Worst = "largest"
) -> Interval:
    """The mean of a - b over seeds, with its confidence interval at ``level``.

    Args:
        a: a metric of one arm; diverged runs are replaced by `with_diverged`. [S]
        b: the same of the other arm, for the same seeds in the same order. [S]
        level: coverage.
        method: "t" for Student's interval of the mean, exact for normal differences; "bca" for
            the bias-corrected and accelerated bootstrap (9,999 resamples by a fixed generator),
            which follows skew but is too narrow: at 95%, of normal differences of 5, 10 and 20
            seeds it missed 17%, 11% and 9%.
        worst: the bad end of the metric.

    Returns:
        Mean difference, standard error and interval; of one seed, only the mean is not NaN.

    Raises:
        ValueError: different numbers of seeds, none, or an unknown method.

    Source: Efron 1987, "Better bootstrap confidence intervals", for BCa.
    """
    if method not in ("t", "bca"):
        raise unknown("method of an interval", method, ("t", "bca"))
    return _mean_interval(_differences(a, b, worst), level, method)


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
        The geometric mean of the ratio, the standard error of its log, and the ratio's interval:
        1 without width where all values lie below the floor.

    Raises:
        ValueError: a floor that is not positive, or as in `paired_difference`.
    """
    if not np.all(np.asarray(floor) > 0):
        raise ValueError(f"floor = {np.min(floor)} has no logarithm; take a positive one")
    log_a, log_b = (np.log(np.maximum(with_diverged(values), floor)) for values in (a, b))
    value, error, low, high = paired_difference(log_a, log_b, level, method=method)
    return Interval(float(np.exp(value)), error, float(np.exp(low)), float(np.exp(high)))


def paired_p_value(a: Runs, b: Runs, *, test: Test = "t", worst: Worst = "largest") -> float:
    """Two-sided p-value of paired runs not differing; NaN for one seed.

    Args:
        a: as in `paired_difference`. [S]
        b: [S]
        test: "t" for the mean, or Wilcoxon's "signed_rank" where runs diverged.
        worst: the bad end of the metric.

    Raises:
        ValueError: different numbers of seeds, none, or an unknown test.
    """
    from scipy import stats

    tests = {"t": lambda d: stats.ttest_1samp(d, 0.0), "signed_rank": stats.wilcoxon}
    if test not in tests:
        raise unknown("paired test", test, tests)
    differences = _differences(a, b, worst)
    if len(differences) < 2 or np.isnan(differences).any():
        return np.nan
    if np.ptp(differences) == 0 and test == "t":
        return float(differences[0] == 0)
    return float(tests[test](differences).pvalue) if np.any(differences) else 1.0


def smallest_detectable(
    spread: Interval | float, num: int, level: float = 0.95, power: float = 0.8
) -> float:
    """The mean difference that a paired t test finds, sign included, with probability ``power``.

    Args:
        spread: std of the differences between paired runs, or the interval of their mean.
        num: pairs: of the interval, or of a study to be planned from a std.
        level: 1 minus the (two-sided) level of the test.
        power: probability to find it.

    Returns:
        The difference, > 0, in the unit of the spread (log for `log_ratio`); NaN for one pair.
    """
    from scipy.optimize import brentq
    from scipy.stats import nct, t

    if num < 2:
        return np.nan
    error = spread.error if isinstance(spread, Interval) else spread / np.sqrt(num)
    freedom = num - 1
    critical = t.ppf(0.5 + level / 2, freedom)

    def excess(shift: float) -> float:
        return float(nct.sf(critical, freedom, shift)) - power

    return float(error) * float(np.asarray(brentq(excess, 0, 10 * (1 + critical))))


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
    order = np.argsort(p)
    steps = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    return np.minimum(steps, 1.0)[np.argsort(order)]


def _differences(a: Runs, b: Runs, worst: Worst) -> Runs:
    """The entries of a - b, diverged runs replaced."""
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.ndim != 1 or not len(a):
        raise ValueError(
            f"a of shape {a.shape} and b of shape {b.shape} are no pairs; give one value a seed"
        )
    return with_diverged(a, worst) - with_diverged(b, worst)


def _mean_interval(values: Runs, level: float, method: Method) -> Interval:
    """Interval of the mean of independent values; of no width where all are equal."""
    num = len(values)
    error = values.std(ddof=1) / np.sqrt(num) if num > 1 else np.nan
    if method == "t" or not error > 0:
        return interval(values.mean(), error, num, level)
    from scipy.stats import bootstrap

    found = bootstrap(
        (values,), np.mean, confidence_level=level, method="BCa", rng=np.random.default_rng(0)
    ).confidence_interval
    return Interval(float(values.mean()), float(error), float(found.low), float(found.high))
