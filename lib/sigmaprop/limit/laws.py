"""The variances of the estimators as sigma -> 0, and how a sweep measures them."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from sigmaprop.limit import ERRORS, Sweep
from sigmaprop.limit.evidence import (
    Evidence,
    anywhere,
    difference_highest,
    difference_lowest,
    pathwise_highest,
    pathwise_lowest,
    scale_highest,
    score_highest,
)
from sigmaprop.limit.truth import Derivatives, Truth
from sigmaprop.statistics import squared_norm

LEAVE_ONE_OUT = "score_function+leave_one_out"


class Law(NamedTuple):
    """variance = constant x sigma^power as sigma -> 0, between two sigmas."""

    what: str
    estimator: str
    wrt: str
    power: int
    constant: Callable[[Derivatives, int], float]
    lowest: Callable[[Evidence], float]
    highest: Callable[[Evidence], float]


def flat_mean(d: Derivatives, draws: int) -> float:
    """Variance to the mean of what tends to (grad f . eps) eps."""
    del draws
    return (d.dim + 1) * d.gradient**2


def flat_scale(d: Derivatives, draws: int) -> float:
    """Variance to the scale of what tends to (grad f . eps)(|eps|^2 - D)."""
    del draws
    return (2 * d.dim + 8) * d.gradient**2


def _leave_one_out_mean(d: Derivatives, draws: int) -> float:
    return flat_mean(d, draws) * draws / (draws - 1)


def _leave_one_out_scale(d: Derivatives, draws: int) -> float:
    return flat_scale(d, draws) + 2 * d.dim * d.gradient**2 / (draws - 1)


LAWS = (
    Law(
        "|Hess f|^2 s^2",
        "pathwise",
        "mean",
        2,
        lambda d, n: d.hessian**2,
        pathwise_lowest,
        pathwise_highest,
    ),
    Law(
        "D f^2 / s^2",
        "score_function",
        "mean",
        -2,
        lambda d, n: d.dim * d.value**2,
        anywhere,
        score_highest,
    ),
    Law(
        "(D+1) |grad f|^2",
        LEAVE_ONE_OUT,
        "mean",
        0,
        _leave_one_out_mean,
        difference_lowest,
        difference_highest,
    ),
    Law(
        "(D+1) |grad f|^2",
        "forward_difference",
        "mean",
        0,
        flat_mean,
        difference_lowest,
        difference_highest,
    ),
    Law(
        "(D+1) |grad f|^2",
        "antithetic_difference",
        "mean",
        0,
        flat_mean,
        difference_lowest,
        difference_highest,
    ),
    Law(
        "|grad f|^2",
        "pathwise",
        "scale",
        0,
        lambda d, n: d.gradient**2,
        anywhere,
        scale_highest,
    ),
    Law(
        "2 D f^2 / s^2",
        "score_function",
        "scale",
        -2,
        lambda d, n: 2 * d.dim * d.value**2,
        anywhere,
        score_highest,
    ),
    Law(
        "(2D+8) |grad f|^2",
        LEAVE_ONE_OUT,
        "scale",
        0,
        _leave_one_out_scale,
        difference_lowest,
        difference_highest,
    ),
    Law(
        "(2D+8) |grad f|^2",
        "forward_difference",
        "scale",
        0,
        flat_scale,
        difference_lowest,
        difference_highest,
    ),
)
"""Variance of one draw as sigma -> 0, noise iid."""


def variance_level(sweep: Sweep, estimator: str) -> int | None:
    """Index of the batch size from which the variance of one draw is measured.

    Single draws where they define an estimate; a baseline estimated from the batch needs at least
    two, and is measured at a larger batch, where more of the estimate is the draws' own.
    """
    smallest = 4 if estimator == LEAVE_ONE_OUT else 1
    enough = np.flatnonzero((sweep.batch_draws >= smallest) & (sweep.num_batches >= 256))
    return int(enough[0]) if enough.size else None


def variances(
    sweep: Sweep, truth: Truth, estimator: str, noise: str, wrt: str
) -> np.ndarray | None:
    """N x Var(estimate) by group, [G, S]; None where the estimator or batch size was not swept.

    Distances to the exact gradient are variances where the estimator is unbiased; the squared bias
    found in all samples is taken off, so that they are variances also where it is not.
    """
    if (estimator, noise) not in sweep.errors or (
        level := variance_level(sweep, estimator)
    ) is None:
        return None
    column = ERRORS.index("to_smoothed" if wrt == "mean" else "scale_to_smoothed")
    squares = sweep.errors[estimator, noise][:, :, level, column]
    if wrt == "mean":
        apart = sweep.estimates[estimator, noise].mean - truth.smoothed_mean
    else:
        apart = (sweep.estimates[estimator, noise].scale - truth.smoothed_scale)[..., None]
    bias = np.maximum(squared_norm(apart), 0) if len(apart) > 1 else 0.0
    samples = 2 if noise == "antithetic" else 1
    return samples * sweep.batch_draws[level] * np.maximum(squares - bias, 0)
