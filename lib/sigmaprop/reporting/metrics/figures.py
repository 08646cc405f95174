"""The figures of `sigmaprop metrics`."""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from sigmaprop.metrics import registered
from sigmaprop.metrics.gates import ALLOWED, LARGEST_CHANGE
from sigmaprop.metrics.records import METRICS
from sigmaprop.metrics.sensitivities import POWER
from sigmaprop.reporting.charts import Lines
from sigmaprop.reporting.frame import Run
from sigmaprop.reporting.marks import Mark, nth
from sigmaprop.reporting.points import tidy
from sigmaprop.reporting.rows import Intervals
from sigmaprop.reporting.style import MUTED, SKY

SCALE = "scale of the samples over the right one"
_SMALLEST, _LARGEST = 0.45, 2.2
_NUMBERS = ("value", "low", "high")
_FEW = 3
"""Metrics that data must be registered for to have a panel."""
_DIRECTIONS = {"grown": "noise added", "shrunk": "drawn together"}


def cases(run: Run) -> Iterator[tuple[str, pd.DataFrame]]:
    """What was measured on, in words, with its rows.

    Of a data set the number of rows does not tell its cases apart: the preferred scale may have
    fewer than the sensitivity.
    """
    frame = run.frame
    own = frame["data"] != "gaussian"
    sizes = frame["num_samples"].where(~own, 0)
    for (data, features, dim, num), rows in frame.groupby(
        ["data", "features", "dim", sizes], sort=False
    ):
        if data == "gaussian":
            yield f"Gaussian, {num} rows, {dim} dimensions", rows
        else:
            yield f"{data}{'' if features == 'pixels' else f', {features}'}", rows


def _preferred(runs: Sequence[Run]) -> pd.DataFrame | None:
    """The preferred scale of every metric, a panel for each case."""
    tables = []
    for panel, table in cases(runs[0]):
        own = table[table["quantity"] == "preferred"]
        tables.append((panel, list(own[["metric", *_NUMBERS]].itertuples(index=False, name=None))))
    return _scales(tables)


def _registered() -> pd.DataFrame | None:
    """What is registered, a panel for each size of Gaussian data and each data set."""
    tables: dict[str, list[tuple[Any, ...]]] = {}
    for one in registered.table():
        panel = f"Gaussian, {one.num_samples} rows, {one.dim} dimensions"
        panel = panel if one.data == "gaussian" else f"{one.data}, {one.features}"
        tables.setdefault(panel, []).append((one.metric, one.value, one.low, one.high))
    return _scales([(panel, rows) for panel, rows in tables.items() if len(rows) >= _FEW])


def _scales(tables: Iterable[tuple[str, list[tuple[Any, ...]]]]) -> pd.DataFrame | None:
    """Dots of (metric, value, low, high), by panel."""
    rows = []
    for panel, numbers in tables:
        band = {"kind": "band", "look": Mark(SKY), "low": ALLOWED[0], "high": ALLOWED[1]}
        legend = "what a primary metric may prefer"
        for name, *three in numbers:
            value, low, high = map(float, three)
            inside = low >= ALLOWED[0] and high <= ALLOWED[1]
            rows.append(
                {
                    **{"panel": panel, "row": METRICS[str(name)].title, "value": value},
                    **{"low": low, "high": high, "hollow": not inside, "look": nth(0)},
                }
            )
        if numbers:
            rows.append(band | {"panel": panel, "legend": legend})
    return pd.DataFrame(rows) if rows else None


def _curves(runs: Sequence[Run]) -> pd.DataFrame | None:
    """Each metric against the scale, as a share of its range, 0 being its best."""
    tables = []
    for number, (case, table) in enumerate(cases(runs[0])):
        for name, rows in table[table["quantity"] == "curve"].groupby("metric", sort=False):
            better = METRICS[str(name)].scale
            value = rows["value"].to_numpy(float)
            harm = {"larger": -value}.get(better.better, value)
            harm = np.abs(value - better.target) if np.isfinite(better.target) else harm
            span = np.ptp(harm) if np.isfinite(harm).all() else 0.0
            if span > 0:
                share = (harm - harm.min()) / span
                error = rows["error"].to_numpy(float) / span
                points = pd.DataFrame({"x": rows["x"], "value": share, "error": error})
                title = METRICS[str(name)].title
                look = pd.Series([nth(number)] * len(points), points.index)
                tables.append(points.assign(panel=title, curve=case, look=look))
    order = [metric.title for metric in METRICS.values()]
    tables.sort(key=lambda table: order.index(table["panel"].iloc[0]))
    return tidy(tables, frame=((_SMALLEST, _LARGEST), (-0.05, 1.05)))


def _power(runs: Sequence[Run]) -> pd.DataFrame | None:
    """The power of every metric against the change."""
    tables = []
    for case, table in cases(runs[0]):
        for direction, words in _DIRECTIONS.items():
            own = table[table["quantity"] == direction]
            panel = {"panel": f"{case}: {words}"}
            for name, rows in own.groupby("metric", sort=False):
                look = pd.Series([nth(list(METRICS).index(str(name)))] * len(rows), rows.index)
                points = rows[["x", "value"]].assign(**panel)
                tables.append(points.assign(curve=METRICS[str(name)].title, look=look))
            if len(own):
                level = {"kind": "level", "value": POWER, "look": Mark(MUTED), "dashes": "--"}
                level |= {"legend": "power .8", "curve": "level"}
                mark = {"kind": "vertical", "x": LARGEST_CHANGE, "look": Mark(MUTED)}
                mark |= {"legend": "what must be seen", "curve": "asked", "dashes": ":"}
                tables.append(pd.DataFrame([level | panel, mark | panel]))
    return tidy(tables)


PREFERRED = Intervals(
    name="preferred",
    title="The scale that every metric prefers",
    caption="A dot is the scale of samples at which the metric scores best on average, its bar a "
    "99% interval. A full dot may judge sigma: its bar lies in the band. A hollow one may be shown "
    "and must not judge. Dots at the ends may lie beyond them.",
    rows=_preferred,
    x=SCALE,
    row=0.2,
)
REGISTERED = dataclasses.replace(PREFERRED, name="metrics_preferred", rows=_registered)
"""The same of what is registered: docs/metrics.md shows it."""
FIGURES = (
    Lines(
        name="curves",
        title="Metrics against the scale of the samples",
        caption="Each metric as a share of its range over these scales, 0 where it is best. The "
        "lowest point should lie at 1.",
        rows=_curves,
        x=SCALE,
        y="share of its range",
        log="x",
        columns=3,
        height=1.7,
    ),
    Lines(
        name="power",
        title="Which changes of the finest scale are seen",
        caption="How often real examples whose finest scale was changed score worse than real "
        "ones do in 95% of draws. A primary metric must reach the dashed line left of the dotted "
        "one, in both directions.",
        rows=_power,
        x="relative change of the finest scale",
        y="power",
        log="x",
    ),
)
