"""What an evaluation found, by cell: means over seeds with their intervals."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from sigmaprop.metrics.records import METRICS
from sigmaprop.reporting.frame import Run
from sigmaprop.statistics import Interval
from sigmaprop.statistics.intervals import interval, mean_and_error

OF = {"mean": "its mean", "x": "x, sigma as trained", "refitted": "x, sigma refitted"}
"""What is scored, in words."""
LIKELIHOODS = {
    "ais": "log-likelihood (AIS)",
    "bdmc": "gap of AIS (BDMC)",
    "iwae": "log-likelihood (IWAE bound)",
    "parzen": "Parzen window",
}
_LEVEL = 0.95


class Value(NamedTuple):
    """One number of one cell.

    Attributes:
        label: of the cell.
        metric: its name.
        of: a name of `OF`.
        weights: "last" or "average".
        seeds: of every seed that ended. [S]
        level: their mean and its 95% interval.
    """

    label: str
    metric: str
    of: str
    weights: str
    seeds: np.ndarray
    level: Interval


def title(metric: str) -> str:
    """What to call a metric or a likelihood."""
    if metric in METRICS:
        return METRICS[metric].title
    return LIKELIHOODS.get(metric, metric.replace("_", " "))


def values(run: Run) -> Iterator[Value]:
    """All of them, in the order of the run."""
    frame = run.frame[run.frame["replica"] >= 0]
    keys = ["metric", "weights", "of", "label"]
    for (metric, weights, of, label), rows in frame.groupby(keys, sort=False):
        seeds = rows["value"].to_numpy(float)
        ended = seeds[np.isfinite(seeds)]
        mean, error = mean_and_error(ended) if len(ended) else (np.nan, np.nan)
        level = interval(mean, error, len(ended), _LEVEL)
        yield Value(str(label), str(metric), str(of), str(weights), ended, level)


def real(run: Run, metric: str) -> dict[str, float]:
    """What the metric says of real examples against others: median, percentile_95."""
    rows = run.frame[(run.frame["replica"] < 0) & (run.frame["metric"] == metric)]
    return dict(zip(rows["of"].astype(str), rows["value"].to_numpy(float), strict=True))
