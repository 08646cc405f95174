"""Intervals and slopes from independent groups.

Sweeps share one stream of noise between sigmas and batch sizes, so their errors are correlated.
Groups of samples are independent whatever happens inside them: the intervals of groups are
jackknives, which need no model of the correlation.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Real

LEVEL = 0.99
"""Coverage of the intervals that claims are judged by."""


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
    return np.asarray(np.sqrt(np.maximum(squared_norm(groups), 0)))


def log_slope(x: Real[np.ndarray, " K"], y: Float[np.ndarray, " K"]) -> float:
    """Least-squares slope of log y against log x; NaN where a y is not positive."""
    if np.any(~(y > 0)):
        return np.nan
    centred = np.log(x) - np.log(x).mean()
    return float(centred @ np.log(y) / (centred @ centred))


def interval(value: Any, error: Any, num_groups: int, level: float = LEVEL) -> Interval:
    """The t interval of a value whose standard error comes from ``num_groups`` groups."""
    from scipy.special import stdtrit

    half = float(stdtrit(max(num_groups - 1, 1), 0.5 + level / 2)) * float(error)
    return Interval(float(value), float(error), float(value) - half, float(value) + half)


def jackknife_interval(statistic: Callable[..., Any], *groups: np.ndarray) -> Interval:
    """The confidence interval of a scalar statistic of independent groups."""
    return interval(*jackknife(statistic, *groups), groups[0].shape[0])
