"""Where precision ends the limit: predicted from the number format, and found in the sweep."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from sigmaprop.limit.claims import name_of
from sigmaprop.limit.evidence import (
    Evidence,
    difference_highest,
    gradient_rounding,
    nothing,
    ratio,
    value_rounding,
)
from sigmaprop.limit.laws import flat_mean
from sigmaprop.statistics import UNKNOWN, Claim, claim, exact, mean_and_error

HIGHEST = 1.0
"""Largest log10(measured / predicted) that counts as agreement: f rounds more than once."""


class Floor(NamedTuple):
    """Where precision ends the limit for one estimator.

    Attributes:
        estimator, noise: which.
        what: the quantity, in words.
        predicted: from the rounding of the number format; an upper estimate, since noise much wider
            than the spacing of the numbers averages rounding errors out (but not the error of
            the approximation that computes, say, a cosine).
        measured: found in the sweep; NaN where the sigmas do not reach it.
        lowest: the smallest log10(measured / predicted) that counts as agreement.
    """

    estimator: str
    noise: str
    what: str
    predicted: float
    measured: float
    lowest: float


def floors(e: Evidence) -> list[Floor]:
    """Predicted and measured floors of the estimators that were swept."""
    found = []
    d = e.derivatives
    for (estimator, noise), estimate in e.sweep.estimates.items():
        apart = np.linalg.norm(estimate.mean.mean(axis=0) - e.truth.smoothed_mean, axis=-1)
        if estimator in ("pathwise", "at_mean"):
            smallest = _least_error(e, apart, noise if estimator == "pathwise" else "none")
            found.append(
                Floor(estimator, noise, "least error", e.rounding * d.gradient, smallest, -1.5)
            )
        elif estimator != "score_function":
            sampling = np.sqrt(flat_mean(d, 0) / e.sweep.group_draws.sum())
            lost = _largest_lost(e.truth.sigmas, apart > 2 * sampling, difference_highest(e))
            predicted = ratio(value_rounding(e), d.gradient)
            found.append(Floor(estimator, noise, "sigma where it is lost", predicted, lost, -1))
        if (estimator, noise) == ("pathwise", "antithetic") and not nothing(
            d.laplacian_gradient, d.gradient
        ):
            lost = _bias_lost(e, estimate.mean, apart)
            predicted = np.sqrt(2 * gradient_rounding(e) / d.laplacian_gradient)
            found.append(
                Floor(estimator, noise, "sigma where its bias is lost", predicted, lost, -2)
            )
    return found


def _least_error(e: Evidence, apart: np.ndarray, noise: str) -> float:
    """The error at the smallest sigma, if rounding is the larger part of it; else NaN."""
    index = int(np.argmin(e.truth.sigmas))
    sampling = e.truth.sigmas[index] * e.derivatives.hessian / np.sqrt(e.sweep.group_draws.sum())
    own = sampling if noise == "iid" else e.bias[index]
    reached = own < 0.3 * e.rounding * e.derivatives.gradient
    return float(apart[index]) if reached else np.nan


def _bias_lost(e: Evidence, groups: np.ndarray, apart: np.ndarray) -> float:
    """Where the bias is half hidden by rounding; NaN where sampling hides as much of it.

    The noise of pairs falls as the bias does, with sigma^2: of few samples it hides the bias at
    every sigma, above all rounding. Just above the sigma found it must be an eighth of it.
    """
    lost = _largest_lost(e.truth.sigmas, apart > 0.5 * e.bias, np.inf)
    above = e.truth.sigmas > lost
    if not above.any():
        return np.nan
    index = int(np.flatnonzero(above)[np.argmin(e.truth.sigmas[above])])
    sampling = np.linalg.norm(mean_and_error(groups[:, index])[1])
    return lost if sampling < e.bias[index] / 8 else np.nan


def _largest_lost(sigmas: np.ndarray, lost: np.ndarray, highest: float) -> float:
    """Where, coming from above, an estimator is lost and stays so; between two sigmas."""
    order = np.argsort(sigmas)
    bad = (lost & (sigmas <= highest))[order]
    if bad.size == 0 or not bad[0]:
        return np.nan
    last = int(np.argmin(bad)) - 1 if not bad.all() else bad.size - 1
    upper = sigmas[order][min(last + 1, bad.size - 1)]
    return float(np.sqrt(sigmas[order][last] * upper))


def floor_claims(e: Evidence) -> Iterator[Claim]:
    """Floors are orders of magnitude: measured / predicted, within factors that are told.

    All samples give one number, so there is no interval; fewer than 3 groups decide nothing.
    """
    sigma = float(e.truth.sigmas.min())
    for floor in floors(e):
        measured = exact(floor.measured / floor.predicted) if floor.measured > 0 else UNKNOWN
        if len(e.sweep.group_draws) < 3:
            measured = UNKNOWN
        name = name_of(floor.estimator, floor.noise)
        text = f"precision floor of {name}: {floor.what} / predicted ({_factors(floor.lowest)})"
        allowed = (10**floor.lowest, 10**HIGHEST)
        about = {"study": "precision", "quantity": "floor", "estimator": name}
        yield claim(e.objective, text, 1.0, allowed, measured, sigma, **about)


def _factors(lowest: float) -> str:
    """The range from 10^lowest to 10^HIGHEST in words."""
    below, above = f"{10**-lowest:.0f}", f"{10**HIGHEST:.0f}"
    if below == above:
        return f"within a factor of {above}"
    return f"within a factor of {below} below, {above} above"
