"""What the claims about a sweep share: tolerances, power laws, and how an estimator is called."""

from collections.abc import Iterator

import numpy as np

from sigmaprop.limit.evidence import Evidence
from sigmaprop.statistics import UNKNOWN, Claim, claim, jackknife_interval, log_slope

SLOPE_TOLERANCE = 0.02
CONSTANT_TOLERANCE = 0.05


def power_law(
    e: Evidence,
    name: str,
    law: str,
    groups: np.ndarray,
    where: np.ndarray,
    power: int,
    constant: float,
    **about: str,
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
    for text, quantity, expected, tolerance, measured in (
        (f"{name}: slope in sigma", "slope", power, SLOPE_TOLERANCE, slope),
        (f"{name} / ({law})", "constant", 1.0, CONSTANT_TOLERANCE, factor),
    ):
        yield claim(
            e.objective, text, expected, tolerance, measured, sigmas, quantity=quantity, **about
        )


def name_of(estimator: str, noise: str) -> str:
    """The estimator's label, with its noise scheme where that is not iid."""
    return estimator if noise == "iid" else f"{estimator} ({noise})"
