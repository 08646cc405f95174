"""Where precision ends the limit: predicted from the number format, and found in the sweep."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from sigmaprop.conclusions.claims import UNKNOWN, Claim, name_of
from sigmaprop.conclusions.evidence import (
    Evidence,
    difference_highest,
    gradient_rounding,
    nothing,
    ratio,
    value_rounding,
)
from sigmaprop.conclusions.laws import flat_mean
from sigmaprop.statistics import Interval, judge

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
            lost = _largest_lost(e.truth.sigmas, apart > 0.5 * e.bias, np.inf)
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
    """Floors are orders of magnitude: log10(measured / predicted) from ``lowest`` to `HIGHEST`."""
    sigma = float(e.truth.sigmas.min())
    for floor in floors(e):
        ratio = np.log10(floor.measured / floor.predicted) if floor.measured > 0 else np.nan
        measured = Interval(ratio, 0.0, ratio, ratio) if np.isfinite(ratio) else UNKNOWN
        verdict = judge(measured, floor.lowest, HIGHEST)
        name = name_of(floor.estimator, floor.noise)
        text = f"precision floor of {name}: {floor.what}, log10(measured/predicted)"
        yield Claim(e.objective, text, 0.0, floor.lowest, HIGHEST, measured, verdict, sigma, sigma)
