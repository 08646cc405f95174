"""Intervals from independent groups, paired comparisons over seeds, and the verdicts of both.

* `intervals`: jackknives, means and slopes of independent groups.
* `paired`: differences and ratios of runs of equal seed, their tests, and what they can find.
* `aggregates`: the middle of many seeds, their profile, and how often one arm beats another.
* `claims`: what theory expects beside what was measured, with its verdict.
* `verdicts`: the only place that says holds, better, worse, equivalent or not resolved.

All are pure functions of arrays: no file, no figure, no run.
"""

from typing import TYPE_CHECKING

from sigmaprop import lazy

if TYPE_CHECKING:
    from sigmaprop.statistics.aggregates import (
        interquartile_mean,
        performance_profile,
        probability_better,
    )
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
        differences,
        holm,
        log_ratio,
        middle,
        paired_difference,
        paired_p_value,
        signed_rank_p_value,
        smallest_detectable,
        smallest_detectable_by_ranks,
        spread_limit,
    )
    from sigmaprop.statistics.scales import MARGIN, Scale, Worst
    from sigmaprop.statistics.verdicts import (
        ALPHA,
        FEWEST,
        Comparison,
        Harm,
        Outcome,
        Pair,
        Verdict,
        beyond,
        bound,
        central,
        compare,
        fewest_seeds,
        judge,
        tested,
    )

__all__ = [
    "ALPHA",
    "FEWEST",
    "LEVEL",
    "MARGIN",
    "UNKNOWN",
    "Claim",
    "Comparison",
    "Harm",
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
    "beyond",
    "bound",
    "central",
    "claim",
    "compare",
    "differences",
    "exact",
    "fewest_seeds",
    "holm",
    "interquartile_mean",
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
    "performance_profile",
    "probability_better",
    "signed_rank_p_value",
    "smallest_detectable",
    "smallest_detectable_by_ranks",
    "spread_limit",
    "squared_norm",
    "tested",
]

_HOMES = {
    "ALPHA": "verdicts",
    "Claim": "claims",
    "Comparison": "verdicts",
    "FEWEST": "verdicts",
    "Harm": "verdicts",
    "Interval": "intervals",
    "LEVEL": "intervals",
    "MARGIN": "scales",
    "Method": "paired",
    "Outcome": "verdicts",
    "Pair": "verdicts",
    "Runs": "paired",
    "Scale": "scales",
    "Test": "paired",
    "UNKNOWN": "claims",
    "Verdict": "verdicts",
    "Worst": "scales",
    "as_json": "claims",
    "beyond": "verdicts",
    "bound": "verdicts",
    "central": "verdicts",
    "claim": "claims",
    "compare": "verdicts",
    "differences": "paired",
    "exact": "claims",
    "fewest_seeds": "verdicts",
    "holm": "paired",
    "interquartile_mean": "aggregates",
    "interval": "intervals",
    "jackknife": "intervals",
    "jackknife_interval": "intervals",
    "judge": "verdicts",
    "log_ratio": "paired",
    "log_slope": "intervals",
    "mean_and_error": "intervals",
    "middle": "paired",
    "norm_of_mean": "intervals",
    "paired_difference": "paired",
    "paired_p_value": "paired",
    "performance_profile": "aggregates",
    "probability_better": "aggregates",
    "signed_rank_p_value": "paired",
    "smallest_detectable": "paired",
    "smallest_detectable_by_ranks": "paired",
    "spread_limit": "paired",
    "squared_norm": "intervals",
    "tested": "verdicts",
}

__getattr__, __dir__ = lazy.attach(__name__, _HOMES)
