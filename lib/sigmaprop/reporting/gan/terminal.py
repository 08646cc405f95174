"""The comparison of arms as tables for a terminal."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rich.table import Table
from rich.text import Text

from sigmaprop.generators.results import measured
from sigmaprop.generators.scores import Comparison, Score
from sigmaprop.metrics import METRICS, mixture_scores
from sigmaprop.reporting.fmt import plain, short
from sigmaprop.reporting.gan.opinions import opinions
from sigmaprop.reporting.gan.words import (
    about_intervals,
    about_verdicts,
    against,
    baselines,
    level,
    ratio,
)
from sigmaprop.reporting.terminal import titled
from sigmaprop.runs.files import read_json

STYLES = {
    "better": "green",
    "worse": "bold red",
    "equivalent": "green",
    "non-inferior": "green",
    "not resolved": "yellow",
    "too few seeds": "yellow",
}

_WIDEST = 15


def tables(directory: Path, found: Sequence[Comparison]) -> Iterator[Table | Text]:
    """Distances of every cell, modes where there are any, and what the numbers mean.

    Args:
        directory: of the run.
        found: its comparison.
    """
    reference = read_json(directory / "reference.json")
    config = read_json(directory / "config.json").get("config", {})
    yield _distances(found)
    if any(one.score("num_modes", "x", "last") for one in found):
        yield _modes(found, reference.get("ideal", {}))
    notes = [*_notes(reference["distances"], found), opinions(directory, config)]
    notes += baselines(measured(directory))
    yield Text("\n".join(filter(None, notes)), style="dim")


def _distances(found: Sequence[Comparison]) -> Table:
    against = _against(found)
    table = _table("Distance to held-out data: of the mean, and of x with its noise", found)
    table.add_column("sigma", justify="right", no_wrap=True)
    table.add_column("of", no_wrap=True)
    table.add_column("MMD²", justify="right", no_wrap=True)
    table.add_column(f"x: ratio\nto {against}", justify="right", no_wrap=True)
    table.add_column("verdict")
    table.add_column("sliced\nWass.", justify="right", no_wrap=True)
    for one in found:
        table.add_row(*_row(one))
    return table


def _table(title: str, found: Sequence[Comparison]) -> Table:
    """A table with room for the words of labels in its first column."""
    table = titled(title, pad_edge=False)
    width = min(_WIDEST, max(len(word) for one in found for word in one.label.split()))
    table.add_column("cell", overflow="fold", min_width=width)
    return table


def _row(one: Comparison) -> Iterator[str | Text]:
    yield one.label + (f" ({one.diverged} of {one.seeds} diverged)" if one.diverged else "")
    yield f"{short(one.sigma.value)}\n{one.direction}" if one.direction else short(one.sigma.value)
    yield "\n".join(_of(one))
    yield _all(one, "mmd2")
    primary = one.primary
    yield (
        ""
        if primary is None or not one.against
        else ratio(primary).replace(" [", "\n[").replace(" (", "\n(")
    )
    yield _verdict(primary)
    yield _all(one, "sliced_wasserstein")


def _of(one: Comparison) -> tuple[str, ...]:
    """What of a cell has distances."""
    clean = any(score.of == "mean to clean" for score in one.scores)
    return ("mean", "x", "mean to clean", "x to clean") if clean else ("mean", "x")


def _all(one: Comparison, metric: str) -> str:
    """Of the mean, below it of x, and of both to clean data where there is noise on it."""
    return "\n".join(level(one, metric, of) for of in _of(one))


def _both(one: Comparison, metric: str) -> str:
    """Of the mean, and below it of x."""
    return "\n".join(level(one, metric, of) for of in ("mean", "x"))


def _verdict(score: Score | None) -> Text:
    """In colour."""
    verdict = "" if score is None else score.verdict
    return Text(verdict, style=STYLES.get(verdict, ""))


def _modes(found: Sequence[Comparison], ideal: Mapping[str, float]) -> Table:
    """Scores of mixtures, the truth's own in the last row."""
    table = _table("Modes and quality", found)
    table.add_column("of", no_wrap=True)
    for metric in mixture_scores():
        table.add_column(
            METRICS[metric].title.replace(" ", "\n").replace("-", "-\n"), justify="right"
        )
    for one in found:
        table.add_row(one.label, "mean\nx", *(_both(one, metric) for metric in mixture_scores()))
    if ideal:
        truth = (short(ideal.get(metric, math.nan)) for metric in mixture_scores())
        table.add_row("the truth", "", *truth, style="dim")
    return table


def _against(found: Sequence[Comparison]) -> str:
    """What cells are compared with, in a word or two."""
    names = {one.against for one in found if one.against}
    if len(names) == 1:
        return plain(names.pop(), 22)
    return "its zero" if names else "another"


def _notes(
    reference: Mapping[str, Mapping[str, float]], found: Sequence[Comparison]
) -> Iterator[str]:
    """What the tables cannot say."""
    yield "Real against real: " + "; ".join(
        f"{METRICS[name].title} median {short(one['median'])}, 95% of draws below "
        f"{short(one['percentile_95'])}"
        for name, one in reference.items()
    )
    compared = [one for one in found if one.against and one.primary is not None]
    primary = [one.primary for one in compared if one.primary is not None]
    yield about_intervals(found[0].seeds, primary)
    other = [one for one in compared if not one.to_zero]
    if other:
        which = "the others" if other == compared else ", ".join(one.label for one in other)
        instead = against(other, "")
        yield f"No cell of arm zero agrees in all else with {which}: compared with {instead}"
    yield from about_verdicts(compared)
