"""The report of `sigmaprop vae`: which treatment of sigma has the best held-out likelihood?"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from sigmaprop.generators.results import measured
from sigmaprop.generators.vae_compare import MARGIN, Comparison
from sigmaprop.reporting import page, style
from sigmaprop.reporting.counting import Tell, silent
from sigmaprop.reporting.evaluate import below
from sigmaprop.reporting.fmt import short
from sigmaprop.reporting.frame import load_all
from sigmaprop.reporting.gan import examples, sigma
from sigmaprop.reporting.gan.words import ranged
from sigmaprop.reporting.page import MOST_RUNS, Cell, Table
from sigmaprop.reporting.vae import words
from sigmaprop.reporting.vae.figures import LIKELIHOOD, RECONSTRUCTION, comparisons_of
from sigmaprop.reporting.vae.words import nats

COLUMNS = (
    ("step", "steps taken"),
    ("replica", "number of a training run, described in replicas.json"),
    ("metric", "one of those below"),
    ("of", '"validation" or "test" for bounds on held-out examples, else empty'),
    ("weights", '"last" for bounds on held-out examples, else empty'),
    ("sigma, batch_size", "0"),
    ("value", "the metric"),
)
METRICS = (
    ("loss", "what is minimised, mean over a window of steps"),
    ("elbo", "evidence lower bound of the batch with one draw of z, nats an example: −nll − kl"),
    ("nll", "−log p(x|z), nats an example"),
    ("kl", "of q(z|x) to the prior, nats an example"),
    ("mse", "mean square of x − mu(z), a coordinate"),
    ("sigma", "std of the noise, its variance averaged over coordinates and latents"),
    ("at_floor, at_ceiling", "share of learned scales at a bound"),
    ("diverged_at", "step at which a replica was frozen, −1 where it was not"),
    ("held_out_elbo", "evidence lower bound on held-out examples, nats an example; more is better"),
    ("held_out_iwae", "importance weighted bound of the same draws, between the ELBO and log p(x)"),
    ("held_out_mse", "mean square of x − mu(z) with z from q(z|x); less is better"),
)
QUESTION = "Which treatment of the decoder's sigma has the best held-out likelihood?"
READING = (
    "The likelihood is the importance weighted bound on log p(x) of test examples: on average "
    "below the likelihood itself, and nearer to it the more draws it takes. Bounds of different "
    "arms may lie differently far below; to compare likelihoods themselves takes a sampler.",
    "Replicas of equal seed are compared in pairs, at the level of 5% for all comparisons together "
    "(Holm). The interval beside a verdict has the level that Holm's method took.",
    f"Equivalent: the interval lies within {MARGIN:g} nat an example. Not resolved does not mean "
    "equal. A replica that diverged ranks behind every replica that ended.",
    "The mean square error is that of mu(z) under z from q(z|x): what the mean has learned, "
    "whatever its sigma is.",
    "Likelihoods are of densities in the units of x as it was trained on: a change of units moves "
    "all of them alike, and of grey levels that were not dequantised they have no upper bound.",
)
PARTS = (LIKELIHOOD, sigma.PART, examples.PART, RECONSTRUCTION)


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
    begun = (runs[0].frame["metric"] == "sigma").any()
    sections = []
    with style.style():
        for anchor, heading, question, specs in PARTS:
            drawn = press.draw(specs if begun else (), list(runs[:MOST_RUNS]), runs=labels)
            figures = [figure for _, figure in drawn]
            if figures:
                sections.append(page.Section(anchor, heading, question, figures=figures))
    shown = ("likelihood", "sigma", "samples", "points")
    key = [f for name in shown for s in sections for f in s.figures if f.id == name][:3]
    sentences, setting, tables = [], [], []
    for run in runs:
        numbers = measured(run.directory)
        before = f"{run.label}: " if len(runs) > 1 else ""
        setting += [before + text + "." for text in words.setting(numbers)]
        if not run.notice:
            found = comparisons_of(run)
            sentences += [before + text for text in words.found(numbers, found)]
            tables += _tables(found, before)
    sentences = sentences or ["Arms are compared at the end of a run."]
    text = [*setting, *sentences[4:]]
    about = page.Section("setting", "What was trained, and what bounds mean", "", (), text)
    rows = "one row for every step, replica and metric."
    page.write(
        target,
        page.Page(
            QUESTION,
            sentences[:4],
            runs,
            key,
            [about, *sections, *below.sections(runs[0])],
            READING,
            COLUMNS,
            METRICS,
            rows,
            tables,
        ),
    )


def _tables(found: Sequence[Comparison], before: str) -> Iterator[Table]:
    """The comparison of one run."""
    against = next((one.against for one in found if one.against), "")
    headings = ["cell", "sigma", "IWAE bound", "ELBO", "mean square error"]
    if against:
        headings += [f"IWAE bound less that of {against}", "verdict"]
    caption = f"{before}test examples: means over seeds with 95% intervals (else medians)"
    yield Table(caption, headings, [list(_row(one, bool(against))) for one in found])


def _row(one: Comparison, compares: bool) -> Iterator[Cell]:
    yield Cell(one.label + (f" ({one.diverged} of {one.seeds} diverged)" if one.diverged else ""))
    yield Cell(ranged(one.sigma), "number", value=one.sigma.value)
    for metric in ("held_out_iwae", "held_out_elbo"):
        level = one.level(metric, "test")
        yield Cell(nats(level), "number", value=level.value)
    level = one.level("held_out_mse", "test")
    yield Cell(short(level.value), "number", value=level.value)
    if compares and not one.against:
        yield from (Cell("compared with", "muted"), Cell(""))
    elif compares:
        yield Cell(nats(one.difference), "number", value=one.difference.value)
        yield page.verdict(one.verdict)
