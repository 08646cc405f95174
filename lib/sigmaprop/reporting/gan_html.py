"""The report of finished runs of generators: one HTML page that needs nothing else, its figures."""

import math
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sigmaprop.reporting import gan_words, page, style
from sigmaprop.reporting.counting import Tell, silent
from sigmaprop.reporting.gan_figures import sections
from sigmaprop.reporting.gan_results import GanRun, flat, read
from sigmaprop.reporting.gan_scores import METRICS, PRIMARY, Comparison, Score
from sigmaprop.reporting.gan_terminal import middle, percent, ranged, ratio, short
from sigmaprop.reporting.quantities import MOST_RUNS
from sigmaprop.reporting.tables import MARKS
from sigmaprop.runs import write_atomic
from sigmaprop.runs.files import writing
from sigmaprop.statistics import MARGIN

COLUMNS = (
    ("step", "steps of the generator taken"),
    ("replica", "number of a training run, described in replicas.json"),
    ("metric", "one of those below"),
    ("of", '"mean" or "x" for scores of examples, else empty'),
    ("weights", '"last" iterate or moving "average" for scores, else empty'),
    ("sigma", "of the measurements of the gap, in units of x; else 0"),
    ("batch_size", "of the measurements of the gap; else 0"),
    ("value", "the metric"),
)
TRAINING = (
    ("discriminator_loss", "what the discriminator minimises, mean over a window of steps"),
    ("generator_loss", "what the generator minimises"),
    ("logit_real, logit_fake", "mean output of the discriminator"),
    ("sigma", "std of the noise, its variance averaged over coordinates and latents"),
    ("sigma_slope, sigma_slope_squared", "derivative of the generator's loss to log sigma"),
    ("at_floor, at_ceiling", "share of learned scales at a bound"),
    ("hmc_acceptance", "of the sampler behind the entropy's gradient"),
    ("diverged_at", "step at which a replica was frozen, −1 where it was not"),
)
VERDICTS = {
    "better": (MARKS["holds"], "holds"),
    "worse": (MARKS["fails"], "fails"),
    "equivalent": ("=", "holds"),
    "non-inferior": ("≥", "holds"),
    "not resolved": (MARKS["not resolved"], "open"),
    "too few seeds": (MARKS["not resolved"], "open"),
}
"""Verdict -> its mark, and the colour that it bears."""
_MIXTURE = ("num_modes", "high_quality", "reverse_kl", "variance_ratio", "log_likelihood")
_WEIGHTS = {"last": "last iterate", "average": "moving average of the weights"}


def write(target: Path, runs: tuple[Path, ...], tell: Tell = silent) -> None:
    """Writes ``report.html`` and ``figures/`` with an SVG and a PNG of every figure.

    The same files give the same bytes.

    Args:
        target: directory to write into; files of an older report are replaced.
        runs: directories of finished runs. Tables show all; of the figures, the course of sigma
            overlays them and the others are those of the first.
        tell: called with the number of figures drawn, and of all.

    Raises:
        RunError: a run's file is missing or damaged, or the report cannot be written.
    """
    found = read(runs)
    with writing(target):
        (target / "figures").mkdir(parents=True, exist_ok=True)
    with style.style():
        shown = list(sections(target, found, tell))
    text = page.render(
        "gan.html.jinja",
        title=page.title(found),
        runs=[_told(run) for run in found],
        drawn=MOST_RUNS,
        sections=shown,
        marks_of={verdict: mark for verdict, (mark, _) in VERDICTS.items()},
        classes={verdict: kind for verdict, (_, kind) in VERDICTS.items()},
        columns=COLUMNS,
        metrics=(
            *TRAINING,
            *((name, f"{metric.meaning}; {metric.good}") for name, metric in METRICS.items()),
        ),
        margin=f"{MARGIN:g}",
    )
    write_atomic(target / "report.html", text)


def _told(run: GanRun) -> dict[str, Any]:
    """What the page tells of one run."""
    return page.summary(run, lambda claim: "conclusions") | {
        "command": _command(run),
        "setting": list(gan_words.setting(run)) if run.cells else [],
        "found": [] if run.notice else list(gan_words.found(run)),
        "tables": list(_tables(run)),
        "real": list(_real(run)),
    }


def _command(run: GanRun) -> str:
    """The config as the command that gives it; options left at None are left out."""
    words = ["sigmaprop", run.command]
    for name, value in flat(run.config).items():
        if value is not None:
            words.append(f"--{name.replace('_', '-')}")
            words += map(str, value if isinstance(value, list) else [value])
    return shlex.join(words)


def _real(run: GanRun) -> Iterator[str]:
    """The line that no generator passes."""
    for metric, one in run.measured.real.items():
        yield (
            f"{METRICS[metric].title} between real examples and other real examples: median "
            f"{short(one['median'])}, mean {short(one['mean'])}, 95% of draws below "
            f"{short(one['percentile_95'])}."
        )


def _tables(run: GanRun) -> Iterator[dict[str, Any]]:
    """The comparison by the weights that were scored, then what belongs to mixtures."""
    for weights in _WEIGHTS:
        if not any(one.score("mmd2", "x", weights) for one in run.comparisons):
            continue
        for metrics, what in (
            (("mmd2",), "MMD²"),
            (("sliced_wasserstein",), "sliced Wasserstein"),
            (_MIXTURE, "modes"),
        ):
            if any(one.score(metrics[0], "x", weights) for one in run.comparisons):
                table = _Table(run, metrics, weights)
                yield {
                    "caption": f"{what}, {_WEIGHTS[weights]}",
                    "open": weights == "last" and what != "sliced Wasserstein",
                    "headings": list(_headings(table)),
                    "rows": [*(list(_row(table, one)) for one in run.comparisons), *_truth(table)],
                    "verdicts": table.judged,
                }


class _Table(NamedTuple):
    """What a table of the comparison shows."""

    run: GanRun
    metrics: tuple[str, ...]
    weights: str

    @property
    def compares(self) -> bool:
        """Whether there is anything to compare."""
        return any(one.against for one in self.run.comparisons)

    @property
    def judged(self) -> bool:
        """Whether it has the verdicts."""
        return self.compares and (self.metrics[0], self.weights) == (PRIMARY[0], PRIMARY[2])


def _headings(table: _Table) -> Iterator[str]:
    yield from ("cell", "sigma", "trend") if table.metrics == ("mmd2",) else ("cell",)
    found = table.run.comparisons
    against = next((one for one in found if one.against), None)
    for metric in table.metrics:
        title = METRICS[metric].title
        if len(table.metrics) > 1:
            yield f"{title}: mean / x"
            continue
        yield from (f"{title} of the mean", f"{title} of x")
        if against is not None:
            how = "ratio to" if metric == "mmd2" else "difference to"
            how += " zero" if against.to_zero else f" {against.against}"
            yield f"mean: {how}"
            yield f"x: {how}" + (f", {_levels(found)}" if table.judged else "")
    if table.judged:
        yield "x: missed at most"


def _levels(found: Sequence[Comparison]) -> str:
    """The levels of the intervals that the verdicts go by."""
    scores = (one.primary for one in found if one.against)
    levels = sorted({score.coverage for score in scores if score is not None}, reverse=True)
    return " and ".join(map(percent, levels))


def _row(table: _Table, one: Comparison) -> Iterator[str]:
    """The texts of a row, the verdict left to the last."""
    diverged = f" ({one.diverged} of {one.seeds} diverged)" if one.diverged else ""
    yield one.label + diverged
    if table.metrics == ("mmd2",):
        yield from (ranged(one.sigma), one.direction)
    for metric in table.metrics:
        pair = [one.score(metric, of, table.weights) for of in ("mean", "x")]
        if len(table.metrics) > 1:
            yield " / ".join("–" if score is None else middle(score) for score in pair)
            continue
        yield from (_level(score) for score in pair)
        if table.compares:
            yield from (_against(one, score) for score in pair)
    if table.judged:
        primary = one.primary
        yield "–" if primary is None or math.isnan(primary.missed) else f"× {short(primary.missed)}"
        yield "" if primary is None else primary.verdict


def _truth(table: _Table) -> Iterator[list[str]]:
    """What the truth itself scores, where a table of several metrics has one."""
    ideal = table.run.measured.ideal
    if len(table.metrics) > 1 and ideal:
        numbers = (short(ideal.get(metric, math.nan)) for metric in table.metrics)
        yield ["the truth", *numbers]


def _level(score: Score | None) -> str:
    if score is None:
        return "–"
    if math.isnan(score.level.low):  # of few seeds, or a median
        return middle(score) + (" (median)" if score.diverged[0] else "")
    return ranged(score.level)


def _against(one: Comparison, score: Score | None) -> str:
    if not one.against:
        return "compared with"
    return "–" if score is None else ratio(score)
