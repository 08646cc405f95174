"""The comparison of arms as tables for a terminal."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rich import box
from rich.table import Table
from rich.text import Text

from sigmaprop.reporting.gan_scores import FEWEST_SEEDS, METRICS, Comparison, Score
from sigmaprop.reporting.results import plain
from sigmaprop.runs.files import read_json
from sigmaprop.statistics import ALPHA, MARGIN, Interval, fewest_seeds

STYLES = {
    "better": "green",
    "worse": "bold red",
    "equivalent": "green",
    "non-inferior": "green",
    "not resolved": "yellow",
    "too few seeds": "yellow",
}
_MIXTURE = ("num_modes", "high_quality", "reverse_kl", "variance_ratio", "log_likelihood")

_WIDEST = 15


def terminal_tables(directory: Path, found: Sequence[Comparison]) -> Iterator[Table | Text]:
    """Distances of every cell, modes where there are any, and what the numbers mean.

    Args:
        directory: of the run.
        found: its comparison.
    """
    reference = read_json(directory / "reference.json")
    yield _distances(found)
    if any(one.score("num_modes", "x", "last") for one in found):
        yield _modes(found, reference.get("ideal", {}))
    yield Text("\n".join(_notes(reference["distances"], found)), style="dim")


def short(value: float) -> str:
    """Three significant digits or fewer, or a dash for what is not known."""
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if 1000 <= abs(value) < 1e5:
        return f"{value:.0f}"
    text = f"{value:.3g}" if abs(value) >= 1 or value == 0 else f"{value:.2g}"
    return text.replace("e-0", "e-").replace("e+0", "e+")


def ranged(value: Interval, bound: str = "") -> str:
    """A value with its interval, if there is one; a bound with its sign."""
    text = {"<=": "≤ ", ">=": "≥ ", "?": "≈ "}.get(bound, "") + told_from_1(value.value)
    if math.isnan(value.low) or value.low == value.high:
        return text
    low, high = told_from_1(value.low), told_from_1(value.high)
    if low == high:  # narrower than the digits shown
        return f"{text} [±{short((value.high - value.low) / 2)}]"
    return f"{text} [{low}, {high}]"


def told_from_1(value: float) -> str:
    """A number in few digits, but in as many as tell it from 1 where it is near."""
    text = short(value)
    if text != "1" or value == 1:
        return text
    return f"{value:.{min(6, -math.floor(math.log10(abs(value - 1))))}f}"


def level(one: Comparison, metric: str, of: str, weights: str = "last") -> str:
    """The mean of a score, a dash where it was not measured."""
    score = one.score(metric, of, weights)
    return "–" if score is None else middle(score)


def ratio(score: Score) -> str:
    """How a cell compares: with an interval, or a median without one."""
    text = ranged(score.against, score.bound)
    return f"{text} (median)" if any(score.diverged) else text


def middle(score: Score) -> str:
    """The mean over seeds, or the median where runs diverged."""
    if math.isinf(score.level.value):
        return "diverged"
    return short(score.level.value)


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
    yield (
        ""
        if primary is None or not one.against
        else ratio(primary).replace(" [", "\n[").replace(" (", "\n(")
    )
    yield _verdict(primary)
    yield _both(one, "sliced_wasserstein")


def _both(one: Comparison, metric: str) -> str:
    """Of the mean, and below it of x."""
    return "\n".join(level(one, metric, of) for of in ("mean", "x"))


def _verdict(score: Score | None) -> Text:
    """In colour."""
    verdict = "" if score is None else score.verdict
    return Text(verdict, style=STYLES.get(verdict, ""))


def _modes(found: Sequence[Comparison], ideal: Mapping[str, float]) -> Table:
    """Scores of mixtures, the truth's own in the last row."""
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
    if ideal:
        truth = (short(ideal.get(metric, math.nan)) for metric in _MIXTURE)
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
    if compared and not compared[0].to_zero:
        yield f"No cell of arm zero agrees with the others: compared with {compared[0].against}"
    yield from about_verdicts(compared)


def about_intervals(seeds: int, scores: Sequence[Score]) -> str:
    """What means, intervals and verdicts of the primary comparisons are."""
    means = f"Means over {seeds} seed{'' if seeds == 1 else 's'}"
    if seeds < FEWEST_SEEDS:
        return f"{means}; intervals and verdicts need {FEWEST_SEEDS}"
    if not scores:
        return means
    num = len(scores)
    levels = " and ".join(
        percent(one) for one in sorted({s.coverage for s in scores}, reverse=True)
    )
    family = f"{num} comparison{'' if num == 1 else 's'}"
    if max(score.coverage for score in scores) < 1 - ALPHA / num - 1e-9:  # of an older run
        return (
            f"{means}, {levels} intervals of paired ratios; verdicts by Holm's method for {family}"
        )
    return (
        f"{means}; paired ratios with intervals at {levels}, verdicts by Holm's method for "
        f"{family}: an interval excludes 1 exactly where the verdict is better or worse"
    )


def about_verdicts(compared: Sequence[Comparison]) -> Iterator[str]:
    """What was floored, what could not be judged, what margins are, and what may be missed."""
    pairs = [(one, one.primary) for one in compared if one.primary is not None]
    scores = [score for _, score in pairs]
    if any(any(score.floored) for score in scores):
        told = "; ".join(
            f"{one.label} {score.floored[0]} of {one.seeds}, {one.against} {score.floored[1]}"
            for one, score in pairs
            if any(score.floored)
        )
        yield (
            f"Below what tells examples from real ones, and counted as there: {told}. Their ratios "
            "are bounds (≤, ≥; ≈ where both have some), not estimates"
        )
    if any(any(score.diverged) for score in scores):
        yield (
            "A run that diverged ranks behind all others: ratios of its cell are medians, without "
            "an interval, and ranks decide"
        )
    if any(score.verdict == "too few seeds" for score in scores):
        yield (
            f"Too few seeds: no outcome could have been resolved; ranks need {fewest_seeds(1)} "
            f"seeds for one comparison, {fewest_seeds(len(scores))} for these {len(scores)}"
        )
    if any(score.verdict in ("equivalent", "non-inferior") for score in scores):
        yield (
            f"Equivalent: the interval lies between 1/{MARGIN:g} and {MARGIN:g}; non-inferior: "
            f"below {MARGIN:g}"
        )
    known = [score.missed for score in scores if math.isfinite(score.missed)]
    if known:
        yield missed(compared[0].seeds, known)


def missed(seeds: int, factors: Sequence[float]) -> str:
    """What so many seeds could have missed."""
    return (
        f"With {seeds} seeds a true ratio of {short(max(factors))} (or 1/{short(max(factors))}) is "
        "found at least 4 times of 5 in every comparison, a smaller one may be missed: the upper "
        "95% limit, for the spread is that of the same seeds"
    )


def percent(level: float) -> str:
    """A level of confidence."""
    return f"{100 * level:.3g}%"
