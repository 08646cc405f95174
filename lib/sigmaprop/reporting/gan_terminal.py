"""The comparison of arms as tables for a terminal."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich import box
from rich.table import Table
from rich.text import Text

from sigmaprop.files import read_json
from sigmaprop.reporting.gan_scores import FEWEST_SEEDS, METRICS, Comparison, Score
from sigmaprop.reporting.results import plain
from sigmaprop.statistics import Interval

STYLES = {"better": "green", "worse": "bold red", "not resolved": "yellow"}
_MIXTURE = ("num_modes", "high_quality", "reverse_kl", "variance_ratio", "log_likelihood")

_WIDEST = 15


def terminal_tables(directory: Path, found: Sequence[Comparison]) -> Iterator[Table | Text]:
    """Distances of every cell, modes where there are any, and what the numbers mean.

    Args:
        directory: of the run.
        found: its comparison.
    """
    yield _distances(found)
    if any(one.score("num_modes", "x", "last") for one in found):
        yield _modes(found)
    yield Text("\n".join(_notes(directory, found)), style="dim")


def short(value: float) -> str:
    """Three significant digits or fewer, or a dash for what is not known."""
    if math.isnan(value):
        return "–"
    if 1000 <= abs(value) < 1e5:
        return f"{value:.0f}"
    text = f"{value:.3g}" if abs(value) >= 1 or value == 0 else f"{value:.2g}"
    return text.replace("e-0", "e-").replace("e+0", "e+")


def ranged(value: Interval) -> str:
    """A value with its interval, if that is known."""
    if math.isnan(value.low):
        return short(value.value)
    return f"{short(value.value)} [{short(value.low)}, {short(value.high)}]"


def level(one: Comparison, metric: str, of: str, weights: str = "last") -> str:
    """The mean of a score, a dash where it was not measured."""
    score = one.score(metric, of, weights)
    return "–" if score is None else short(score.level.value)


def _distances(found: Sequence[Comparison]) -> Table:
    against = _against(found)
    table = Table(
        title="Distance to held-out data: of the mean, and of x with its noise",
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("cell", overflow="fold", min_width=_cell_width(found))
    table.add_column("sigma", justify="right", no_wrap=True)
    table.add_column("of", no_wrap=True)
    table.add_column("MMD²", justify="right", no_wrap=True)
    table.add_column(f"x: ratio\nto {against}", justify="right", no_wrap=True)
    table.add_column("verdict")
    table.add_column("sliced\nWass.", justify="right", no_wrap=True)
    for one in found:
        table.add_row(*_row(one))
    return table


def _cell_width(found: Sequence[Comparison]) -> int:
    """Room for the words of labels."""
    return min(_WIDEST, max(len(word) for one in found for word in one.label.split()))


def _row(one: Comparison) -> Iterator[str | Text]:
    yield one.label + (f" ({one.diverged} of {one.seeds} diverged)" if one.diverged else "")
    yield f"{short(one.sigma.value)}\n{one.direction}" if one.direction else short(one.sigma.value)
    yield "mean\nx"
    yield _both(one, "mmd2")
    primary = one.primary
    ratio = ranged(primary.against) if primary is not None and one.against else ""
    yield ratio.replace(" [", "\n[")
    yield _verdict(primary)
    yield _both(one, "sliced_wasserstein")


def _both(one: Comparison, metric: str) -> str:
    """Of the mean, and below it of x."""
    return "\n".join(level(one, metric, of) for of in ("mean", "x"))


def _verdict(score: Score | None) -> Text:
    """In colour."""
    verdict = "" if score is None else score.verdict
    return Text(verdict, style=STYLES.get(verdict, ""))


def _modes(found: Sequence[Comparison]) -> Table:
    table = Table(
        title="Modes and quality",
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("cell", overflow="fold", min_width=_cell_width(found))
    table.add_column("of", no_wrap=True)
    for metric in _MIXTURE:
        table.add_column(
            METRICS[metric].title.replace(" ", "\n").replace("-", "-\n"), justify="right"
        )
    for one in found:
        table.add_row(one.label, "mean\nx", *(_both(one, metric) for metric in _MIXTURE))
    return table


def _against(found: Sequence[Comparison]) -> str:
    """What cells are compared with, in a word or two."""
    names = {one.against for one in found if one.against}
    if len(names) == 1:
        return plain(names.pop(), 22)
    return "its zero" if names else "another"


def _notes(directory: Path, found: Sequence[Comparison]) -> Iterator[str]:
    """What the tables cannot say."""
    reference = read_json(directory / "reference.json")["distances"]
    yield "Real against real: " + "; ".join(
        f"{METRICS[name].title} median {short(one['median'])}, 95% of draws below "
        f"{short(one['percentile_95'])}"
        for name, one in reference.items()
    )
    compared = [one for one in found if one.against and one.primary is not None]
    yield _about_seeds(found[0].seeds, len(compared))
    if compared and not compared[0].to_zero:
        yield f"No cell of arm zero agrees with the others: compared with {compared[0].against}"
    sizes = [one.primary.detectable for one in compared if one.primary is not None]
    sizes = [size for size in sizes if not math.isnan(size)]
    if sizes:
        yield (
            f"Smallest ratio that these seeds find 4 times of 5: {short(min(sizes))} to "
            f"{short(max(sizes))}"
        )


def _about_seeds(seeds: int, compared: int) -> str:
    """What the seeds allow to say."""
    means = f"Means over {seeds} seed{'' if seeds == 1 else 's'}"
    if seeds < FEWEST_SEEDS:
        return f"{means}; intervals and verdicts need {FEWEST_SEEDS}"
    comparisons = f"{compared} comparison{'' if compared == 1 else 's'}"
    return f"{means}, 95% intervals of paired ratios; verdicts by Holm's method for {comparisons}"
