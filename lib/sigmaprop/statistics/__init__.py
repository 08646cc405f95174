"""Intervals from independent groups, paired comparisons over seeds, and the verdicts of both.

* `intervals`: jackknives, means and slopes of independent groups.
* `paired`: differences and ratios of runs of equal seed, their tests, and what they can find.
* `claims`: what theory expects beside what was measured, with its verdict.
* `verdicts`: the only place that says holds, better, worse, equivalent or not resolved.

All are pure functions of arrays: no file, no figure, no run.
"""

from sigmaprop.statistics.claims import UNKNOWN, Claim, as_json, claim, exact
from sigmaprop.statistics.intervals import (
    LEVEL,
    Interval,
    interval,
    jackknife,
    jackknife_interval,
    log_slope,
    mean_and_error,
    norm_of_mean,
    squared_norm,
)
from sigmaprop.statistics.paired import (
    Method,
    Runs,
    Test,
    Worst,
    differences,
    holm,
    log_ratio,
    middle,
    paired_difference,
    paired_p_value,
    signed_rank_p_value,
    smallest_detectable,
    spread_limit,
)
from sigmaprop.statistics.verdicts import (
    ALPHA,
    FEWEST,
    MARGIN,
    Comparison,
    Outcome,
    Pair,
    Scale,
    Verdict,
    bound,
    central,
    compare,
    fewest_seeds,
    judge,
)

__all__ = [
    "ALPHA",
    "FEWEST",
    "LEVEL",
    "MARGIN",
    "UNKNOWN",
    "Claim",
    "Comparison",
    "Interval",
    "Method",
    "Outcome",
    "Pair",
    "Runs",
    "Scale",
    "Test",
    "Verdict",
    "Worst",
    "as_json",
    "bound",
    "central",
    "claim",
    "compare",
    "differences",
    "exact",
    "fewest_seeds",
    "holm",
    "interval",
    "jackknife",
    "jackknife_interval",
    "judge",
    "log_ratio",
    "log_slope",
    "mean_and_error",
    "middle",
    "norm_of_mean",
    "paired_difference",
    "paired_p_value",
    "signed_rank_p_value",
    "smallest_detectable",
    "spread_limit",
    "squared_norm",
]
