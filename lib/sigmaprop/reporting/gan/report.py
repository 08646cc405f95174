"""The report of `sigmaprop gan`: where does sigma go, and are the examples better for it?"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from sigmaprop.generators.evaluation import TO_CLEAN
from sigmaprop.generators.results import Measured, measured
from sigmaprop.generators.scores import PRIMARY, Comparison, Score
from sigmaprop.metrics import METRICS as SCORES
from sigmaprop.metrics import distances, mixture_scores
from sigmaprop.reporting import page, style
from sigmaprop.reporting.counting import Tell, silent
from sigmaprop.reporting.evaluate import below
from sigmaprop.reporting.fmt import percent, short
from sigmaprop.reporting.frame import load_all
from sigmaprop.reporting.gan import examples, gap, scores, sigma, training, words
from sigmaprop.reporting.gan.opinions import opinion
from sigmaprop.reporting.gan.scores import WEIGHTS
from sigmaprop.reporting.gan.series import comparisons_of
from sigmaprop.reporting.gan.words import middle, ranged, ratio
from sigmaprop.reporting.page import MOST_RUNS, Cell, Table
from sigmaprop.statistics import MARGIN

COLUMNS = (
    ("step", "steps of the generator taken"),
    ("replica", "number of a training run, described in replicas.json"),
    ("metric", "one of those below"),
    (
        "of",
        '"mean" or "x" for scores of examples; "mean to clean" and "x to clean" where the held-out '
        "examples are those before noise was added to the data; else empty",
    ),
    ("weights", '"last" iterate or moving "average" for scores and fitted sigmas, else empty'),
    ("sigma", "of the measurements of the gap, in units of x; else 0"),
    ("batch_size", "of the measurements of the gap; else 0"),
    ("value", "the metric"),
)
METRICS = (
    ("discriminator_loss", "what the discriminator minimises, mean over a window of steps"),
    ("generator_loss", "what the generator minimises"),
    ("logit_real, logit_fake", "mean output of the discriminator"),
    (
        "sigma",
        "std of the noise, its variance averaged over coordinates and latents; with weights, what "
        "the arm post_hoc fitted",
    ),
    ("sigma_slope, sigma_slope_squared", "derivative of the generator's loss to log sigma"),
    ("at_floor, at_ceiling", "share of learned scales at a bound"),
    ("hmc_acceptance", "of the sampler behind the entropy's gradient"),
    ("instance_share", "largest level of the instance noise, as a share of --instance-noise"),
    ("diverged_at", "step at which a replica was frozen, −1 where it was not"),
    *((name, f"{metric.meaning}; {metric.good}") for name, metric in SCORES.items()),
)
QUESTION = "Where does the generator's sigma go, and are its examples better for it?"
READING = (
    "The mean mu(z) and the sample x = mu(z) + noise are scored apart: noise can help one and harm "
    "the other.",
    "MMD² (unbiased, so it may be below 0) is the primary metric: it is 0 for a perfect generator, "
    "and collapse does not please it. Its values are compared as ratios, those below the 95th "
    "percentile of real against real counted as that percentile: such a ratio is a bound (≤ or ≥, "
    "≈ where both have some), not an estimate.",
    "Replicas of equal seed are compared in pairs. The verdict is about the MMD² of x of the last "
    "iterate alone, at the level of 5% for all comparisons together (Holm). The interval beside it "
    "has the level that Holm's method took and excludes 1 exactly where the verdict is better or "
    "worse. All other differences are shown with intervals of their own and without verdict.",
    "A replica that diverged ranks behind every replica that ended, of both cells; two that "
    "diverged are equal. Where some did, the middle is a median without an interval, and ranks "
    "decide.",
    f"Equivalent: the interval lies between 1/{MARGIN:g} and {MARGIN:g}. Non-inferior: it lies "
    f"below {MARGIN:g}. Not resolved does not mean equal. Too few seeds: no outcome could have "
    "been resolved with so few.",
    "Missed at most is the true ratio, or one over it, that so many seeds find 4 times of 5 at the "
    "level of all comparisons together; the upper 95% limit, for the spread is that of the same "
    "few seeds.",
    "Where sigma goes is a family too: it falls or rises where the slope of log sigma in the last "
    "fifth of the run is not 0 at 5% for all learned cells together (Holm), and is at rest where "
    "log sigma moves, over that fifth, by less than 0.05 and less than a tenth of what Adam "
    "allows; it is at a bound where more than half of the scales are.",
    "What is at rest has settled only if cells that differ in --sigma-start alone, below and "
    "above, end within 10% of each other, and rate x steps is 3 times the way in log sigma from "
    "the start to either bound.",
    "The variance ratio and the log-likelihood of a mixture are best where they equal those of the "
    "truth: examples that collapse onto the modes have a larger log-likelihood, and a larger share "
    "of high quality, than the truth has.",
    "A sigma that still moves has no end value yet. Start from below and from above, and trust a "
    "level that both reach.",
)

PARTS = tuple(module.PART for module in (sigma, scores, examples, training, gap))


def write(target: Path, directories: tuple[Path, ...], tell: Tell = silent) -> None:
    """Writes ``report.html`` and ``figures/`` with an SVG and a PNG of every figure.

    The same files give the same bytes.

    Args:
        target: directory to write into; files of an older report are replaced.
        directories: of the runs. Tables show all; of the figures, the course of sigma overlays
            them and the others are those of the first.
        tell: called with the number of figures drawn, and of all.

    Raises:
        RunError: a run's file is missing or damaged, or the report cannot be written.
    """
    runs = load_all(directories)
    press = page.Press(target, sum(len(specs) for *_, specs in PARTS), tell)
    labels = [run.label for run in runs[:MOST_RUNS]]
    sections = []
    with style.style():
        for anchor, heading, question, specs in PARTS:
            own = [spec for spec in specs if (runs[0].frame["metric"] == "sigma").any()]
            figures = [f for _, f in press.draw(own, list(runs[:MOST_RUNS]), runs=labels)]
            if figures:
                sections.append(page.Section(anchor, heading, question, figures=figures))
    shown = ("scores", "sigma", "samples", "points")
    key = [f for name in shown for s in sections for f in s.figures if f.id == name][:3]
    several = len(runs) > 1
    sentences, setting, tables, first = [], [], [], []
    for run in runs:
        numbers = measured(run.directory)
        before = f"{run.label}: " if several else ""
        setting += [before + text for text in words.setting(numbers)]
        setting += [] if run.notice else [before + text for text in words.baselines(numbers)]
        if not run.notice:
            found = comparisons_of(run)
            sentences += [before + text for text in words.found(numbers, found)]
            for table in _tables(numbers, found, before, run.directory):
                (first if table.open and not first else tables).append(table)
    if not sentences:
        sentences = ["Arms are compared at the end of a run."]
    about = page.Section(
        "setting", "What was trained, and what scores mean", "", (), setting, tables
    )
    page.write(
        target,
        page.Page(
            QUESTION,
            sentences[:4],
            runs,
            key,
            [about._replace(text=[*setting, *sentences[4:]]), *sections, *below.sections(runs[0])],
            READING,
            COLUMNS,
            METRICS,
            "one row for every step, replica and metric.",
            first,
        ),
    )


def _tables(
    run: Measured, found: Sequence[Comparison], before: str, directory: Path
) -> Iterator[Table]:
    """The comparison by the weights that were scored, then what belongs to mixtures."""
    for weights, text in WEIGHTS.items():
        if not any(one.score("mmd2", "x", weights) for one in found):
            continue
        of_distances = [((name,), SCORES[name].title) for name in distances()]
        groups: list[tuple[tuple[str, ...], str]] = [*of_distances, (mixture_scores(), "modes")]
        for metrics, what in groups:
            if any(one.score(metrics[0], "x", weights) for one in found):
                judged = (metrics[0], weights) == (PRIMARY[0], PRIMARY[2])
                caption = f"{before}{what}, {text}: means over seeds (medians where runs diverged)"
                if own := opinion(directory, run.config, metrics[0]) if len(metrics) == 1 else "":
                    caption += f". {what} {own}"
                rows = [list(_row(one, metrics, weights, found, judged)) for one in found]
                if len(metrics) > 1 and run.ideal:
                    ideal = (short(run.ideal.get(metric, math.nan)) for metric in metrics)
                    rows.append([Cell("the truth"), *(Cell(text, "number") for text in ideal)])
                headings = list(_headings(found, metrics, judged))
                shown = weights == "last" and (judged or len(metrics) > 1)
                yield Table(caption, headings, rows, shown)
        yield from _to_clean(found, before, weights, text)
    real = [
        [
            Cell(SCORES[metric].title),
            *(Cell(short(one[k]), "number", value=one[k]) for k in _OF_REAL),
        ]
        for metric, one in run.real.items()
    ]
    if real and found:
        yield Table(f"{before}Real examples against other real ones", ["metric", *_OF_REAL], real)


def _to_clean(found: Sequence[Comparison], before: str, weights: str, text: str) -> Iterator[Table]:
    """Distances to the data before noise was added, where it was."""
    against = next((one.against for one in found if one.against), None)
    for metric in distances():
        each = [[one.score(metric, of, weights) for of in TO_CLEAN] for one in found]
        if not any(score for pair in each for score in pair):
            continue
        title = SCORES[metric].title
        headings = ["cell", *(f"{title}: {of}" for of in TO_CLEAN)]
        if against is not None:
            how = "ratio" if metric == "mmd2" else "difference"
            headings += [f"{of}: {how} to {against}, 95% interval" for of in TO_CLEAN]
        rows = []
        for one, pair in zip(found, each, strict=True):
            cells = [_level(score) for score in pair]
            if against is not None:
                cells += [_against(one, score) for score in pair]
            rows.append([Cell(one.label), *cells])
        caption = f"{before}{title} to the data before noise was added, {text}: means over seeds"
        yield Table(caption, headings, rows, weights == "last" and metric == "mmd2")


_OF_REAL = ("median", "mean", "percentile_95")


def _headings(found: Sequence[Comparison], metrics: Sequence[str], judged: bool) -> Iterator[str]:
    """Of a table of one metric, or of several."""
    yield from ("cell", "sigma", "trend") if metrics == ("mmd2",) else ("cell",)
    compared = [one for one in found if one.against]
    if len(metrics) > 1:
        yield from (f"{SCORES[metric].title}: mean / x" for metric in metrics)
        return
    title = SCORES[metrics[0]].title
    yield from (f"{title} of the mean", f"{title} of x")
    if compared:
        how = "ratio to" if metrics == ("mmd2",) else "difference to"
        how += f" {words.against(compared, 'zero')}"
        scores = (one.primary for one in compared)
        levels = sorted({score.coverage for score in scores if score is not None}, reverse=True)
        at = f", {' and '.join(map(percent, levels))} interval" if judged else ", 95% interval"
        yield from (f"mean: {how}, 95% interval", f"x: {how}{at}")
        if judged:
            yield from ("x: missed at most", "verdict")


def _row(
    one: Comparison,
    metrics: Sequence[str],
    weights: str,
    found: Sequence[Comparison],
    judged: bool,
) -> Iterator[Cell]:
    """A row of a table, the verdict last."""
    yield Cell(one.label + (f" ({one.diverged} of {one.seeds} diverged)" if one.diverged else ""))
    if metrics == ("mmd2",):
        yield from (Cell(ranged(one.sigma), "number", value=one.sigma.value), Cell(one.direction))
    compares = any(other.against for other in found)
    for metric in metrics:
        pair = [one.score(metric, of, weights) for of in ("mean", "x")]
        if len(metrics) > 1:
            text = " / ".join("–" if score is None else middle(score) for score in pair)
            yield Cell(text, "number")
            continue
        yield from (_level(score) for score in pair)
        if compares:
            yield from (_against(one, score) for score in pair)
    if judged and compares:
        primary = one.primary
        missed = math.nan if primary is None else primary.missed
        yield Cell("–" if math.isnan(missed) else f"× {short(missed)}", "number")
        kind = primary.verdict if primary is not None else ""
        yield page.verdict(kind) if kind else Cell("")


def _level(score: Score | None) -> Cell:
    if score is None:
        return Cell("–", "number")
    text = ranged(score.level)
    if math.isnan(score.level.low):  # of few seeds, or a median
        text = middle(score) + (" (median)" if score.diverged[0] else "")
    return Cell(text, "number", value=score.level.value)


def _against(one: Comparison, score: Score | None) -> Cell:
    if not one.against:
        return Cell("compared with", "muted")
    return Cell("–" if score is None else ratio(score), "number")
