"""What a run of `sigmaprop estimators` measured, as rows and scores."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from sigmaprop.comparison import choice
from sigmaprop.comparison.choice import Score
from sigmaprop.reporting.fmt import percent
from sigmaprop.reporting.frame import Run


def study_rows(run: Run, study: str, **equal: str) -> pd.DataFrame:
    """The rows of a study in which columns have these entries."""
    rows = run.frame[run.frame["study"] == study]
    for column, value in equal.items():
        rows = rows[rows[column] == value]
    return rows


def sigmas_of(run: Run, objective: str, gaussian: str) -> list[float]:
    """The sigmas of a grid, the largest first."""
    rows = study_rows(run, "grid", objective=objective, gaussian=gaussian, metric="variance")
    return sorted(rows["sigma"].unique().tolist(), reverse=True)


def scores(run: Run, objective: str, gaussian: str, sigma: float) -> list[Score]:
    """Of every estimator and part at a sigma, each at its largest number of samples."""
    rows = study_rows(run, "grid", objective=objective, gaussian=gaussian)
    here = rows[np.isclose(rows["sigma"], sigma, rtol=1e-6, atol=0)]
    found, replicates = [], run.config.get("replicates") or 1
    for (name, noise, wrt), own in here.groupby(["estimator", "noise", "wrt"], sort=False):
        variances = own[own["metric"] == "variance"]
        if variances.empty:
            continue
        count = int(variances["num_samples"].max())
        own = own[own["num_samples"] == count].set_index("metric")
        variance = float(own["value"].get("variance", np.nan))
        bias, error = (float(own[c].get("bias", np.nan)) for c in ("value", "error"))
        biased = choice.misses(bias, error, float(own["value"].get("worst_deviation", np.nan)))
        dtype = str(run.config.get("dtype"))
        quiet = variance == 0 or bool(choice.is_rounding(np.array(error), dtype, replicates))
        clock = rows[(rows["estimator"] == name) & (rows["noise"] == noise)]
        clock = clock[(clock["metric"] == "seconds") & (clock["num_samples"] == count)]
        seconds = float(clock["value"].iloc[0]) if len(clock) else np.nan
        efficiency = np.inf if variance == 0 else float(own["value"].get("efficiency", np.nan))
        worth = (seconds, efficiency, bias, error, biased, not biased and quiet)
        found.append(Score(str(name), str(noise), count, str(wrt), *worth))
    return found


def told(score: Score) -> str:
    """Its bias in words, where that is known without a doubt: biased, or without noise."""
    if not (score.biased or (score.exact and abs(score.bias) > choice.SMALLEST_TOLD)):
        return ""
    return "biased" if np.isnan(score.bias) else f"bias {percent(score.bias, signed=True)}"


def ends_of(values: Sequence[float]) -> list[float]:
    """The first and the last of some values."""
    return list(dict.fromkeys([values[0], values[-1]])) if values else []
