"""The report of `sigmaprop metrics`: which of them may judge a sigma?"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from sigmaprop.metrics.gates import ALLOWED, LARGEST_CHANGE
from sigmaprop.metrics.preferred import SCALES
from sigmaprop.metrics.records import METRICS
from sigmaprop.reporting import page, style
from sigmaprop.reporting.counting import Tell, silent
from sigmaprop.reporting.fmt import short
from sigmaprop.reporting.frame import Run, load_all
from sigmaprop.reporting.metrics.figures import FIGURES, PREFERRED, cases

COLUMNS = (
    ("metric", "name of the metric, as `sigmaprop list` gives it"),
    ("data", "gaussian: N(0, I) against N(0, x² I); else a data set"),
    ("features", "what was compared: pixels, features of a classifier, or of a function"),
    ("dim", "dimension of an example"),
    ("num_samples", "rows of the samples"),
    ("num_held_out", "rows that they are compared with"),
    ("quantity", "one of those below"),
    ("x", "scale of the samples over the right one, or relative change of the finest scale"),
    ("value", "the quantity"),
    ("error", "its standard error"),
    ("low", "lower end of the 99% interval"),
    ("high", "its upper end"),
)
QUANTITIES = (
    ("curve", "the metric where samples have x times the right scale, mean over draws"),
    ("preferred", "the scale at which it is best"),
    ("grown", "power to see the finest scale grown by the share x"),
    ("shrunk", "power to see it shrunk by the share x"),
    ("change", "the least change that is seen with power .8 in both directions"),
)
QUESTION = (
    "Which metrics may judge sigma: which prefer none of their own, and which see a change of the "
    "data's finest scale?"
)
READING = (
    "Data and samples are drawn anew many times; samples have s times the right scale. The scale "
    "that a metric prefers is the s at which it scores best on average, with a 99% interval from "
    "resampling the draws. A metric whose interval does not lie within "
    f"[{ALLOWED[0]}, {ALLOWED[1]}] has an opinion about sigma before any training: it can be "
    "shown, and cannot be the primary metric of a comparison.",
    "On a data set, real examples are compared with real examples whose finest scale was changed: "
    f"a primary metric must see {LARGEST_CHANGE:.0%} with power .8, up and down.",
)


def answer(run: Run) -> Iterator[str]:
    """The question answered, a sentence a case."""
    for case, rows in cases(run):
        passed = []
        refused: dict[str, float] = {}
        for name, own in rows.groupby("metric", sort=False):
            title = METRICS[str(name)].title
            if not refusal(own):
                passed.append(title)
            elif len(found := own[own["quantity"] == "preferred"]):
                refused[title] = float(found["value"].iloc[0])
        count = rows["metric"].nunique()
        told = f"{case}: {len(passed)} of {count} metrics may judge sigma"
        told += f", {_listed(passed)}" if passed else ""
        worst = sorted(
            (title for title, value in refused.items() if value > 0),
            key=lambda title: -abs(math.log(refused[title])),
        )
        shown = [f"{title} ({refused[title]:.2f})" for title in worst[:_SHOWN]]
        yield f"{told}. Farthest from 1 prefer {_listed(shown)}." if shown else f"{told}."


_SHOWN = 5
"""Refused metrics that the answer names."""


def refusal(rows: pd.DataFrame) -> str:
    """Why a metric may not judge, in a few words; empty where it may."""
    value = {str(one.quantity): one for one in rows.itertuples() if one.quantity in _JUDGED}
    reasons = []
    if (found := value.get("preferred")) is not None:
        if not np.isfinite(float(found.value)):  # pyright: ignore
            reasons.append("no preference at all")
        elif not (found.low >= ALLOWED[0] and found.high <= ALLOWED[1]):  # pyright: ignore
            reasons.append(f"prefers {scale_words(found)}")
    change = value.get("change")
    if change is not None and not float(change.value) <= LARGEST_CHANGE:  # pyright: ignore
        seen = float(change.value)  # pyright: ignore
        reasons.append(f"sees {seen:.0%}" if math.isfinite(seen) else "sees no change tried")
    return ", ".join(reasons)


_JUDGED = ("preferred", "change")


def scale_words(found: object) -> str:
    """A preferred scale with its interval, from a row of the frame."""
    value, low, high = (float(getattr(found, name)) for name in ("value", "low", "high"))
    if not math.isfinite(value):
        return "none"
    end = "≤ " if value <= SCALES[0] else "≥ " if value >= SCALES[-1] else ""
    return f"{end}{value:.2f} [{low:.2f}, {high:.2f}]"


def _listed(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else "".join(words)


def _table(rows: pd.DataFrame) -> page.Table:
    """Every metric of a case with both numbers and the verdict of the gate."""
    lines = []
    for name, own in rows.groupby("metric", sort=False):
        value = {str(one.quantity): one for one in own.itertuples() if one.quantity in _JUDGED}
        found, change = value.get("preferred"), value.get("change")
        reason = refusal(own)
        seen = math.nan if change is None else float(change.value)  # pyright: ignore
        lines.append(
            [
                page.Cell(METRICS[str(name)].title),
                page.Cell("" if found is None else scale_words(found), "number"),
                page.Cell(
                    "" if change is None else f"{seen:.0%}" if math.isfinite(seen) else "> 80%",
                    "number",
                ),
                page.Cell(reason or "may judge", "fails" if reason else "holds"),
                page.Cell(METRICS[str(name)].meaning, "muted"),
            ]
        )
    headings = ("metric", "preferred scale", "change that is seen", "gate", "what it measures")
    return page.Table("Every metric at the gate.", headings, lines)


def write(target: Path, directories: tuple[Path, ...], tell: Tell = silent) -> None:
    """Writes ``report.html`` and ``figures/`` with an SVG and a PNG of every figure.

    Args:
        target: directory to write into; files of an older report are replaced.
        directories: of the runs. The first gives the tables and the figures.
        tell: called with the number of figures drawn, and of all.

    Raises:
        RunError: a run's file is missing or damaged, or the report cannot be written.
    """
    runs = load_all(directories)
    press = page.Press(target, 1 + len(FIGURES), tell)
    with style.style():
        key = [figure for _, figure in press.draw([PREFERRED], runs[:1], slug="all", runs=())]
        figures = [figure for _, figure in press.draw(FIGURES, runs[:1], slug="all", runs=())]
    sections = [
        page.Section(slug, case, _about(rows), tables=[_table(rows)], open=number == 0)
        for number, ((case, rows), slug) in enumerate(_slugged(runs[0]))
    ]
    sections.append(
        page.Section("curves", "Curves", "How the numbers came about.", figures=figures)
    )
    sentences = tuple(answer(runs[0])) or page.no_answer(runs[0])
    about = (COLUMNS, QUANTITIES, "one row for every metric, case, quantity and x.")
    page.write(target, page.Page(QUESTION, sentences, runs, key, sections, READING, *about))


def _slugged(run: Run) -> Iterator[tuple[tuple[str, pd.DataFrame], str]]:
    found = list(cases(run))
    slugs = dict(page.slugs([case for case, _ in found], page.TAKEN))
    return ((one, slugs[one[0]]) for one in found)


def _about(rows: pd.DataFrame) -> str:
    """Sizes, in words."""
    sizes = rows[["quantity", "num_samples", "num_held_out"]].drop_duplicates(
        ["num_samples", "num_held_out"]
    )
    words = [
        f"{'preferred scale' if one.quantity in ('curve', 'preferred') else 'sensitivity'}: "
        f"{short(float(one.num_samples))} samples against {short(float(one.num_held_out))}"  # pyright: ignore
        for one in sizes.itertuples()
    ]
    return f"{'; '.join(words)}."
