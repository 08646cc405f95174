"""The figures of scores: at the end of a run, and along it."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd

from sigmaprop.generators.results import Key, Measured, measured
from sigmaprop.metrics import METRICS as SCORES
from sigmaprop.metrics import distances, mixture_scores
from sigmaprop.reporting.charts import Lines
from sigmaprop.reporting.frame import Run
from sigmaprop.reporting.gan.series import (
    MOST_CELLS,
    STEP,
    Part,
    comparisons_of,
    heading_of,
    left_out,
    means,
    rows_of,
)
from sigmaprop.reporting.marks import Mark, nth
from sigmaprop.reporting.points import tidy
from sigmaprop.reporting.rows import Intervals
from sigmaprop.reporting.style import SKY

_UNITS = {SCORES[name].title: SCORES[name].unit for name in distances()}

_DRAWN = tuple(name for name in mixture_scores() if name != "reverse_kl")
"""Of a mixture: the divergence says little beside the number of modes."""

WEIGHTS = {"last": "last iterate", "average": "moving average of the weights"}


def lowest(run: Measured, metric: str) -> float:
    """What is not drawn below: an MMD^2 may be below 0."""
    real = run.real.get(metric, {}).get("percentile_95", np.nan)
    return 0.3 * real if metric == "mmd2" and real > 0 else 1e-300


def _along(runs: Sequence[Run]) -> pd.DataFrame | None:
    """Distances against the step, of the mean and of x; last iterate and moving average."""
    run, numbers, tables = runs[0], measured(runs[0].directory), []
    for metric in distances():
        for of, text in (("mean", "the mean"), ("x", "x")):
            panel = {"panel": f"{SCORES[metric].title} of {text}"}
            for weights in WEIGHTS:
                rows = rows_of(run, metric, of, weights)
                low = lowest(numbers, metric)
                rows = rows.assign(value=rows["value"].clip(lower=low if low > 0 else 1e-300))
                kind = {"kind": "ghost"} if weights == "average" else {}
                tables.append(means(rows).assign(**panel, **kind))
            if (real := numbers.real.get(metric)) is not None:
                legend = "real against real: 95% of draws are below"
                look = {"curve": "real", "look": Mark(SKY), "dashes": "-", "legend": legend}
                row = {"kind": "level", "value": real["percentile_95"]} | look | panel
                tables.append(pd.DataFrame([row]))
    heading = heading_of(run, "distance to held-out data by step; thin: moving average")
    rows = tidy(tables, heading=heading, caption=left_out(run))
    return rows if rows is not None and (rows.get("kind") != "level").any() else None


def _in_figure(key: Key, metric: str, weights: str) -> bool:
    """Whether a score stands in the figure of a metric; those to clean data are in the table."""
    return (key.metric, key.weights) == (metric, weights) and key.of in ("mean", "x")


def _scores(runs: Sequence[Run], metrics: Sequence[str], weights: str) -> pd.DataFrame | None:
    """Scores of every cell: of the mean and of x, with seeds and interval, the real or the "
    "truth."""
    run, rows = measured(runs[0].directory), []
    found = comparisons_of(runs[0])[:MOST_CELLS]
    if not any(one.score(metrics[0], "x", weights) for one in found):
        return None
    for metric in metrics:
        panel = {"panel": SCORES[metric].title}
        low = lowest(run, metric) if metric in distances() else -np.inf
        for one, cell in zip(found, run.cells, strict=False):
            for key in (k for k in run.scores() if _in_figure(k, metric, weights)):
                score = one.score(*key)
                if score is None:
                    continue
                series = "x, with its noise" if key.of == "x" else "its mean"
                own = {"row": one.label, "series": series, "look": nth(cell.number)} | panel
                seeds = run.late(key, cell)
                rows += [
                    own | {"kind": "seed", "value": max(v, low), "legend": "a seed"}
                    for v in seeds[np.isfinite(seeds)]
                ]
                level = score.level
                value = max(level.value, low) if np.isfinite(level.value) else np.nan
                ends = {"low": max(level.low, low), "high": max(level.high, low)}
                rows.append(own | ends | {"value": value, "hollow": key.of == "mean"})
        if (real := run.real.get(metric)) is not None:
            legend = "real against real: median to 95th percentile"
            band = {"low": max(real["median"], low), "high": real["percentile_95"]}
            rows.append({"kind": "band", "look": Mark(SKY), "legend": legend} | band | panel)
        if metric in run.ideal:
            ideal = {"kind": "line", "value": run.ideal[metric], "dashes": "--"}
            rows.append(ideal | {"legend": "the truth itself"} | panel)
    table = pd.DataFrame(rows)
    told = "modes and quality" if metrics[0] in mixture_scores() else "distance to held-out data"
    table.attrs = {"heading": heading_of(runs[0], f"{told}, {WEIGHTS[weights]}")}
    table.attrs |= {"weights": WEIGHTS[weights], "caption": left_out(runs[0])}
    return table


PART = Part(
    "about-scores",
    "Scores",
    "Are the examples of one arm nearer to held-out data than those of another, and is that "
    "the mean's doing or the noise's?",
    (
        *(
            Intervals(
                name="scores" if weights == "last" else f"scores_{weights}",
                title="Distance to held-out data: {weights}",
                caption="Mean over the evaluations in the last fifth of the run; left is "
                "better. What lies in the band, or left of it, cannot be told from real data "
                "with this many examples. Where seeds diverged the dot is a median without "
                "an interval.",
                rows=partial(_scores, metrics=distances(), weights=weights),
                x=_UNITS,
                row=0.34,
                shift=True,
            )
            for weights in WEIGHTS
        ),
        Intervals(
            name="coverage",
            title="Modes and quality",
            caption="High quality is within 3 std of the nearest mode. Log-likelihood and "
            "variance ratio are best where they equal the truth's own, a dashed line: collapse "
            "onto the modes scores more.",
            rows=partial(_scores, metrics=_DRAWN, weights="last"),
            x="",
            log="",
            row=0.34,
            shift=True,
        ),
        Lines(
            name="along",
            title="Distance along the run",
            caption="Mean over seeds; panels of a row share their axis. Comparisons use the "
            "last fifth of the run alone.",
            rows=_along,
            x=STEP,
            y=_UNITS,
            log="y",
            height=2.2,
            share="row",
            steps=True,
        ),
    ),
)
