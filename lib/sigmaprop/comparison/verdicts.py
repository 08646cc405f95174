"""Claims of a comparison."""

import numpy as np

from sigmaprop.limit.claims import judged_claim
from sigmaprop.limit.conclusions import Claim
from sigmaprop.statistics import Interval, jackknife_interval, log_slope


def claim(
    about: str,
    text: str,
    expected: float,
    tolerance: float,
    measured: Interval,
    sigma_low: float,
    sigma_high: float | None = None,
) -> Claim:
    """A claim that a quantity is ``expected`` within ``tolerance``, judged by its interval."""
    allowed = (expected - tolerance, expected + tolerance)
    ends = (sigma_low, sigma_low if sigma_high is None else sigma_high)
    return judged_claim(about, text, expected, allowed, measured, ends)


def slope_claim(
    about: str,
    text: str,
    expected: float,
    tolerance: float,
    sigmas: np.ndarray,
    groups: np.ndarray,
) -> Claim:
    """A claim on the slope in sigma of a positive quantity, [G, S] in independent groups."""
    slope = jackknife_interval(lambda g: log_slope(sigmas, g.mean(axis=0)), groups)
    return claim(about, text, expected, tolerance, slope, sigmas.min(), sigmas.max())
