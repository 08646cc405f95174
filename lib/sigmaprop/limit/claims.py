"""A claim: what theory expects, what was measured, and the verdict."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from sigmaprop.limit.evidence import Evidence
from sigmaprop.statistics import Interval, Verdict, jackknife_interval, judge, log_slope

SLOPE_TOLERANCE = 0.02
CONSTANT_TOLERANCE = 0.05


class Claim(NamedTuple):
    """One line of the conclusions.

    Attributes:
        objective: name of the objective.
        claim: what is claimed, in words.
        expected: what theory gives, a number.
        lowest, highest: the range that counts as agreement.
        measured: value with interval; without one where there is no sampling error.
        verdict: "holds", "fails" or "not resolved".
        sigma_low, sigma_high: where it was measured.
    """

    objective: str
    claim: str
    expected: float
    lowest: float
    highest: float
    measured: Interval
    verdict: Verdict
    sigma_low: float
    sigma_high: float


def make_claim(
    e: Evidence,
    text: str,
    expected: float,
    tolerance: float,
    measured: Interval,
    sigmas: np.ndarray,
) -> Claim:
    """A claim that a quantity is ``expected`` within ``tolerance``, judged by its interval."""
    low, high = (sigmas.min(), sigmas.max()) if sigmas.size else (np.nan, np.nan)
    allowed = (expected - tolerance, expected + tolerance)
    return judged_claim(e.objective, text, expected, allowed, measured, (low, high))


def judged_claim(
    about: str,
    text: str,
    expected: float,
    allowed: tuple[float, float],
    measured: Interval,
    sigmas: tuple[float, float],
) -> Claim:
    """A claim with its verdict; the interval of a number without sampling error is none."""
    verdict = judge(measured, *allowed)
    if measured.low == measured.high:
        measured = measured._replace(low=np.nan, high=np.nan)
    numbers = (float(expected), float(allowed[0]), float(allowed[1]))
    return Claim(about, text, *numbers, measured, verdict, float(sigmas[0]), float(sigmas[1]))


def exact(value: float) -> Interval:
    """A number without sampling error: the interval that `judge` takes for one."""
    return Interval(float(value), 0.0, np.nan, np.nan)


UNKNOWN = Interval(np.nan, np.nan, np.nan, np.nan)


def power_law(
    e: Evidence,
    name: str,
    law: str,
    groups: np.ndarray,
    where: np.ndarray,
    power: int,
    constant: float,
) -> Iterator[Claim]:
    """Two claims, on the slope of a quantity [G, S] in sigma and on the constant of its law."""
    sigmas = e.truth.sigmas[where]
    slope = factor = UNKNOWN
    if sigmas.size >= 3 and len(groups) >= 3:
        chosen = groups[:, where]
        slope = jackknife_interval(lambda g: log_slope(sigmas, g.mean(axis=0)), chosen)
    if sigmas.size and len(groups) >= 3:
        chosen = groups[:, where] / sigmas**power
        factor = jackknife_interval(lambda g: g.mean() / constant, chosen)
    yield make_claim(e, f"{name}: slope in sigma", power, SLOPE_TOLERANCE, slope, sigmas)
    yield make_claim(e, f"{name} / ({law})", 1.0, CONSTANT_TOLERANCE, factor, sigmas)


def name_of(estimator: str, noise: str) -> str:
    """The estimator's label, with its noise scheme where that is not iid."""
    return estimator if noise == "iid" else f"{estimator} ({noise})"
