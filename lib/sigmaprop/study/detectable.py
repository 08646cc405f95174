"""The smallest effect that a pair of arms could have shown, with runs that diverged or lie low.

Without such runs it is `missed` of `statistics.Comparison`.
"""

import math

import numpy as np

from sigmaprop.statistics import (
    Pair,
    smallest_detectable,
    smallest_detectable_by_ranks,
    spread_limit,
    tested,
)


def detectable(pair: Pair, level: float, side: int = 0) -> float:
    """Upper limit (95%) of the smallest effect that a pair's seeds find 4 times of 5.

    Args:
        pair: the arms.
        level: 1 minus the two-sided level of the test: 1 - alpha / k in a family of k.
        side: -1 for an arm a that is better, 1 for one that is worse, 0 for the harder of both.

    Returns:
        A difference > 0, or a factor of a ratio. The runs that diverged stay where they are: a
        test by ranks finds the effect with them or, where it is infinite, none. Values below the
        floor count as it, so the effect is one of floored values, as the measured ratio is. NaN
        of fewer than 2 pairs that ended, and where those do not differ.
    """
    difference = tested(pair)
    both = np.isfinite(pair.a) & np.isfinite(pair.b)
    lost, finite = difference[~np.isfinite(difference)], difference[both]
    if len(finite) < 2 or np.ptp(finite) == 0:
        return math.nan
    limit, num = spread_limit(float(finite.std(ddof=1)), len(finite)), len(finite)
    if both.all():
        found = smallest_detectable(limit, num, level)
    else:
        harmful = -1 if pair.scale.better == "larger" else 1
        signs = [side * harmful] if side else [-1, 1]
        counts = [(int((lost * sign > 0).sum()), int((lost * sign < 0).sum())) for sign in signs]
        found = max(smallest_detectable_by_ranks(limit, num, one, level) for one in counts)
    with np.errstate(over="ignore"):
        return float(np.exp(found)) if pair.scale.by == "ratio" else found
