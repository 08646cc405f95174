"""Near kinks and jumps there is no such limit."""

from collections.abc import Iterator

import numpy as np

from sigmaprop.limit.claims import CONSTANT_TOLERANCE, SLOPE_TOLERANCE
from sigmaprop.limit.evidence import Evidence, between, nearest
from sigmaprop.limit.laws import LEAVE_ONE_OUT
from sigmaprop.statistics import Claim, claim, jackknife_interval, log_slope, norm_of_mean


def kink_claims(e: Evidence) -> Iterator[Claim]:
    """Within sigma of a kink the bias is a fixed share of |grad f|, not of order sigma^2."""
    label = ("pathwise", "antithetic")
    if label not in e.sweep.estimates or len(e.sweep.group_draws) < 3:
        return
    index = nearest(e.truth.sigmas, e.edge)
    apart = e.sweep.estimates[label].mean - e.truth.gradient
    size = np.linalg.norm(e.truth.gradient)
    expected = e.bias[index] / size
    measured = jackknife_interval(lambda g: norm_of_mean(g[:, index]) / size, apart)
    text = "bias / |grad f| at the sigma nearest to the kink's distance"
    sigma, tolerance = e.truth.sigmas[index], CONSTANT_TOLERANCE * expected
    about = {"study": "edges", "quantity": "bias", "estimator": "pathwise (antithetic)"}
    yield claim(e.objective, text, expected, tolerance, measured, sigma, **about)
    yield from _no_square_law(e, apart)


def _no_square_law(e: Evidence, apart: np.ndarray) -> Iterator[Claim]:
    """From the kink's distance upward the bias saturates: its slope is that of the exact bias."""
    where = between(e, e.edge, np.inf)
    sigmas = e.truth.sigmas[where]
    if sigmas.size < 2:
        return
    expected = log_slope(sigmas, e.bias[where])
    measured = jackknife_interval(lambda g: log_slope(sigmas, norm_of_mean(g)), apart[:, where])
    text = "bias near the kink: slope in sigma (not 2)"
    about = {"study": "edges", "quantity": "slope", "estimator": "pathwise (antithetic)"}
    yield claim(e.objective, text, expected, SLOPE_TOLERANCE, measured, sigmas, **about)


def jump_claims(e: Evidence) -> Iterator[Claim]:
    """Pathwise misses a jump at every sigma; near it the exact gradient grows as 1/sigma."""
    near = between(e, e.edge / 2, np.inf)
    sigmas = e.truth.sigmas[near]
    size = np.linalg.norm(e.truth.smoothed_mean, axis=-1)
    groups = len(e.sweep.group_draws)
    if ("pathwise", "iid") in e.sweep.estimates and groups >= 3 and sigmas.size:
        apart = e.sweep.estimates["pathwise", "iid"].mean - e.truth.smoothed_mean
        share = np.linalg.norm(apart[:, near], axis=-1) / size[near]
        measured = jackknife_interval(lambda g: g.mean(), share)
        text = "pathwise: error / |exact gradient| (it misses the jump)"
        about = {"study": "edges", "quantity": "missed", "estimator": "pathwise"}
        yield claim(e.objective, text, 1.0, CONSTANT_TOLERANCE, measured, sigmas, **about)
    if (LEAVE_ONE_OUT, "iid") in e.sweep.estimates and groups >= 3 and sigmas.size >= 2:
        found = e.sweep.estimates[LEAVE_ONE_OUT, "iid"].mean[:, near]
        expected = log_slope(sigmas, size[near])
        measured = jackknife_interval(lambda g: log_slope(sigmas, norm_of_mean(g)), found)
        text = "exact gradient near the jump: slope in sigma (no limit; -1 far from it)"
        about = {"study": "edges", "quantity": "slope", "estimator": LEAVE_ONE_OUT}
        tolerance = 5 * SLOPE_TOLERANCE
        yield claim(e.objective, text, expected, tolerance, measured, sigmas, **about)
