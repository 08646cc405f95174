"""The report of `sigmaprop evaluate`: what further metrics and likelihoods say of each arm."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from sigmaprop.metrics import registered
from sigmaprop.metrics.records import METRICS
from sigmaprop.reporting import page, style
from sigmaprop.reporting.counting import Tell, silent
from sigmaprop.reporting.evaluate.values import LIKELIHOODS, OF, Value, real, title, values
from sigmaprop.reporting.fmt import interval, short
from sigmaprop.reporting.frame import Run, load_all
from sigmaprop.reporting.marks import Mark, nth
from sigmaprop.reporting.page import Cell, Table
from sigmaprop.reporting.rows import Intervals
from sigmaprop.reporting.style import SKY

COLUMNS = (
    ("replica", "number of a training run, described in replicas.json; −1 for real examples"),
    ("metric", "name of a metric, of a likelihood, or refitted_sigma"),
    ("of", '"mean", "x" with sigma as trained, "refitted": the mean with the refitted sigma'),
    ("weights", '"last" iterate or moving "average"'),
    ("features", "what the metric was measured in; empty for likelihoods"),
    ("value", "the metric, or the mean log-likelihood in nats an example"),
    ("error", "its standard error: over halves of the examples, or over examples"),
)
METRIC_ROWS = (
    *((name, f"{metric.meaning}; {metric.good}") for name, metric in METRICS.items()),
    *(
        (name, f"{text}, nats an example; {'smaller' if name == 'bdmc' else 'larger'} is better")
        for name, text in LIKELIHOODS.items()
    ),
    ("refitted_sigma", "that validation examples like best; of several the root mean square"),
)
QUESTION = "What do further metrics and the likelihood say of each treatment of sigma?"
READING = (
    "Every arm is scored three times: its means, its examples with sigma as it was trained, and "
    "its means with one sigma that was fitted to validation examples afterwards. A difference that "
    "is gone under the refitted sigma was one of sigma, not of the mean.",
    "A metric prefers a sigma of its own; what is registered of it stands beside its name. Only "
    "one that passes the gate (docs/metrics.md) may decide between sigmas.",
    "Intervals are 95% t intervals over seeds. An arm whose sigma is 0 has no likelihood as "
    "trained.",
)


def _scores(run: Run, weights: str) -> pd.DataFrame | None:
    """Every metric, a panel each: cells in rows, the three kinds of examples as series."""
    rows = []
    for value in values(run):
        if value.weights == weights and value.metric != "refitted_sigma":
            look = {"look": nth(list(OF).index(value.of)), "panel": title(value.metric)}
            own = look | {"row": value.label, "series": OF[value.of]}
            rows += [own | {"kind": "seed", "value": v, "legend": "a seed"} for v in value.seeds]
            low, high = value.level.low, value.level.high
            rows.append(own | {"value": value.level.value, "low": low, "high": high})
    for metric in dict.fromkeys(str(name) for name in run.frame["metric"]):
        line = real(run, metric)
        if rows and len(line) == 2:
            band = {"low": line["median"], "high": line["percentile_95"], "look": Mark(SKY)}
            legend = "real against real: median to 95th percentile"
            rows.append({"kind": "band", "panel": title(metric), "legend": legend} | band)
    return pd.DataFrame(rows) if rows else None


SCORES = tuple(
    Intervals(
        name=f"scores_{weights}",
        title=f"Scores of the {text}",
        caption="Mean over seeds. What lies in the band cannot be told from real examples. Compare "
        "the three series of a row: a gap between sigma as trained and refitted is sigma's own.",
        rows=lambda run, weights=weights: _scores(run, weights),
        x="",
        log="",
        row=0.4,
        shift=True,
    )
    for weights, text in (("last", "last iterate"), ("average", "moving average of the weights"))
)


def answer(run: Run) -> Iterator[str]:
    """The likelihoods, then the metrics, of every cell under the refitted sigma: numbers only.

    Verdicts take a registered comparison; a metric that prefers a sigma of its own says so.
    """
    found = [v for v in values(run) if v.of == "refitted" and v.metric != "refitted_sigma"]
    found = [value for value in found if value.weights == "last" and len(value.seeds)]
    names = list(dict.fromkeys(value.metric for value in found))
    for metric in sorted(names, key=lambda name: name in METRICS):
        cells = [f"{v.label} {_shown(v)}" for v in found if v.metric == metric][:6]
        opinion = registered.told(metric) if metric in METRICS else ""
        note = f" (it {opinion})" if opinion else ""
        yield f"{title(metric)} with a refitted sigma{note}: {', '.join(cells)}."


def _shown(value: Value) -> str:
    low, high = value.level.low, value.level.high
    spread = f" {interval(low, high)}" if np.isfinite([low, high]).all() else ""
    return f"{short(value.level.value)}{spread}"


def tables(run: Run) -> Iterator[Table]:
    """A table a metric: cells, and the three kinds of examples."""
    found = list(values(run))
    for metric, weights in dict.fromkeys((v.metric, v.weights) for v in found):
        own = [v for v in found if (v.metric, v.weights) == (metric, weights)]
        kinds = [of for of in OF if any(value.of == of for value in own)]
        rows = [
            [Cell(label), *(_cell(own, label, of) for of in kinds)]
            for label in dict.fromkeys(value.label for value in own)
        ]
        line = real(run, metric)
        if line:
            text = f"{short(line['median'])} (95% below {short(line['percentile_95'])})"
            rows.append([Cell("real against real"), Cell(text, "muted")])
            rows[-1] += [Cell("")] * (len(kinds) - 1)
        opinion = registered.told(metric) if metric in METRICS else ""
        caption = f"{title(metric)}, {weights} weights{f'; it {opinion}' if opinion else ''}"
        yield Table(caption, ["cell", *(OF[of] for of in kinds)], rows)


def _cell(own: Sequence[Value], label: str, of: str) -> Cell:
    value = next((v for v in own if (v.label, v.of) == (label, of)), None)
    if value is None or not len(value.seeds):
        return Cell("–", "number")
    return Cell(_shown(value), "number", value=value.level.value)


def write(target: Path, directories: tuple[Path, ...], tell: Tell = silent) -> None:
    """Writes ``report.html`` and ``figures/`` with an SVG and a PNG of every figure.

    Args:
        target: directory to write into; files of an older report are replaced.
        directories: of the evaluations. The first gives tables and figures.
        tell: called with the number of figures drawn, and of all.

    Raises:
        RunError: a file is missing or damaged, or the report cannot be written.
    """
    runs = load_all(directories)
    press = page.Press(target, len(SCORES), tell)
    with style.style():
        key = [figure for _, figure in press.draw(SCORES, runs[0], runs=())]
    sentences = tuple(answer(runs[0])) or ("Nothing was scored yet.",)
    section = page.Section(
        "numbers", "Every number", "Means over seeds with 95% intervals.", tables=[*tables(runs[0])]
    )
    section = section._replace(open=True)
    about = (COLUMNS, METRIC_ROWS, "one row for every replica, metric, kind of example, weights.")
    page.write(
        target, page.Page(QUESTION, sentences[:4], runs, key[:3], [section], READING, *about)
    )
