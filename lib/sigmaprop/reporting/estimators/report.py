"""The report of `sigmaprop estimators`: which rule is worth its time, and which misses."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from sigmaprop.comparison import choice
from sigmaprop.comparison.choice import Score
from sigmaprop.reporting import page, style
from sigmaprop.reporting.counting import Tell, silent
from sigmaprop.reporting.estimators.figures import GRID, STUDIES
from sigmaprop.reporting.estimators.scores import ends_of, scores, sigmas_of, study_rows, told
from sigmaprop.reporting.fmt import few, measured, times, with_noise
from sigmaprop.reporting.frame import Run, load_all
from sigmaprop.reporting.limit.report import READING as READING_OF_LIMIT
from sigmaprop.reporting.page import MOST_RUNS, Cell, Table

_OVERLAID = ("dimension", "logistic")
"""Studies that a clock goes into: their figures show every run."""

COLUMNS = (
    ("study", "one of grid, " + ", ".join(STUDIES)),
    ("objective", "name of f"),
    ("gaussian", "family of the Gaussian: isotropic, diagonal, full, low_rank"),
    ("dim", "dimension of x"),
    ("estimator", "estimator of the gradient, with control variate and variants after a +"),
    ("noise", "iid; antithetic: pairs eps, -eps; orthogonal: blocks; sobol: randomized nets"),
    ("wrt", "gradient to the mean, the scale or the factor; all for what is no gradient's"),
    ("metric", "one of those below"),
    ("sigma", "root mean square standard deviation of a coordinate, in units of x"),
    ("num_samples", "points x of one estimate"),
    ("x", "what the study runs over: k, a distance, the dimension, a training step"),
    ("value", "the metric"),
    ("error", "its standard error; NaN where there is none"),
    ("theory", "what is expected; for the variance of grid and dimension what the estimator "
     "reports of itself; NaN where nothing is known"),
)  # fmt: skip

METRICS = (
    ("bias", "(mean of the estimates - exact gradient) along the exact gradient, over its length"),
    ("worst_deviation", "of the mean in the worst coordinate, in standard errors"),
    ("variance", "num_samples x variance of an estimate, summed over the part, over replicates"),
    ("seconds", "of one sample, or of one training step: median of three runs"),
    ("evaluations", "of f, its gradient or a product with its Hessian, for one sample"),
    ("temporary_bytes", "memory that the compiled program asks for beside inputs and outputs"),
    ("efficiency", "1 / (variance x seconds)"),
    ("efficiency_evaluations", "1 / (variance x evaluations)"),
    ("exact_variance", "of one sample, by quadrature"),
    ("samples_needed", "variance of the gradient to sigma over the square of its mean"),
    ("gradient", "the mean of the estimates"),
    ("elbo", "evidence lower bound of the whole data set, in nats"),
    ("variance_of_step", "of a training step's gradient, given its minibatch"),
)  # fmt: skip

QUESTION = (
    "Which estimator of the gradient of E f(x), x ~ N(mean, covariance), is worth its time, and "
    "which one misses the gradient?"
)

READING = (
    *READING_OF_LIMIT,
    "Efficiency is 1 / (variance × seconds), over that of the best: 0.5 takes twice the time for "
    "the same accuracy. Seconds are those of this machine; steps of less than a factor of two are "
    "within the noise of its clock. An estimator counts as biased where its bias is larger than 5% "
    "and than three standard errors: however fast, it estimates something else.",
    f"The figures of {' and '.join(_OVERLAID)} overlay all runs; the others are those of the "
    "first.",
)


def answer(run: Run) -> Iterator[str]:
    """The question answered in sentences that are made from the scores and the claims."""
    grids = list(_grids(run))
    for objective, gaussian in grids[:3]:
        sigma = sigmas_of(run, objective, gaussian)[0]
        ranked = choice.rank(scores(run, objective, gaussian, sigma))
        missed = [with_noise(*row.which) for row in ranked if row.biased]
        if ranked and not ranked[0].biased:
            text = f"On {objective} at sigma {sigma:g} {with_noise(*ranked[0].which)} gives most "
            text += "accuracy for its time"
            yield text + (f"; {', '.join(missed[:4])} miss the gradient." if missed else ".")
    for study, quantity, text in (
        ("learning_sigma", "slope", "The samples that the gradient to sigma takes go as sigma to"),
        ("piecewise_linear", "ratio", "On networks the gradient to sigma is, in units of pathwise"),
    ):
        own = [c for c in run.claims if (c["study"], c["quantity"]) == (study, quantity)]
        of = (lambda c: f"{c['objective']}, ") if study == "piecewise_linear" else (lambda c: "")
        parts = [f"{of(c)}{c['estimator']} {measured(c)}" for c in own[:6]]
        if parts:
            yield f"{text}: {'; '.join(parts)}."


def _grids(run: Run) -> list[tuple[str, str]]:
    """Every objective and Gaussian of the grid, in the order of the run."""
    rows = study_rows(run, "grid")
    return list(dict.fromkeys(zip(rows["objective"], rows["gaussian"], strict=True)))


def _choices(run: Run, objective: str, gaussians: Iterable[str]) -> Table:
    """The three most efficient for every Gaussian, sigma and part, and the best of the biased."""
    rows = []
    for gaussian in gaussians:
        for sigma in ends_of(sigmas_of(run, objective, gaussian)):
            found = scores(run, objective, gaussian, sigma)
            for part in choice.parts_of(found):
                own = [score for score in found if score.wrt == part]
                (best, warning), top = choice.best(own), choice.reference(own)
                cells = [Cell(_worth(score, top)) for score in best]
                cells += [Cell("–", "muted")] * (3 - len(cells))
                last = Cell("none is biased", "muted")
                if warning is not None:
                    last = Cell(_worth(warning, top), "open")
                first = [Cell(gaussian), Cell(f"{sigma:g}", "number", value=sigma), Cell(part)]
                rows.append([*first, *cells, last])
    headings = ("Gaussian", "sigma", "gradient to", "best", "second", "third", "best biased one")
    return Table(
        f"Which estimator on {objective}: efficiency over that of the best", headings, rows
    )


def _worth(score: Score, best: float) -> str:
    """Name, efficiency over that of the best, and a bias that is known."""
    noiseless = score.exact or np.isinf(score.efficiency)
    parts = ("no noise" if noiseless else times(score.efficiency / best), told(score))
    return f"{with_noise(*score.which)} ({', '.join(filter(None, parts))})"


def write(target: Path, directories: tuple[Path, ...], tell: Tell = silent) -> None:
    """Writes ``report.html`` and ``figures/`` with an SVG and a PNG of every figure.

    The same files give the same bytes.

    Args:
        target: directory to write into; files of an older report are replaced.
        directories: of the runs. Most figures are those of the first; those that a clock goes into
            overlay all.
        tell: called with the number of figures drawn, and of all.

    Raises:
        RunError: a run's file is missing or damaged, or the report cannot be written.
    """
    runs = load_all(directories)
    grids = _grids(runs[0])
    press = page.Press(target, len(GRID) * len(grids) + len(STUDIES), tell)
    with style.style():
        sections = list(_sections(press, runs, grids))
    key, shown = [], ("efficiency", "learning_sigma", "piecewise_linear")
    for name in shown:
        wanted = [f for s in sections for f in s.figures if f.id.endswith(name)]
        key += wanted[:1]
    sentences = tuple(answer(runs[0])) or page.no_answer(runs[0])
    rows = "one row for every study, objective, Gaussian, estimator, sigma and metric."
    content = (QUESTION, sentences, runs, key, sections, READING, COLUMNS, METRICS, rows)
    page.write(target, page.Page(*content))


def _sections(
    press: page.Press, runs: Sequence[Run], grids: Sequence[tuple[str, str]]
) -> Iterator[page.Section]:
    """An objective of the grid each, then a study each, then what belongs to neither."""
    run, used = runs[0], set()

    def claims_of(*about: str) -> list[dict]:
        own = [c for c in run.claims if about in ((c["study"],), (c["study"], c["objective"]))]
        used.update(map(id, own))
        return own

    objectives: dict[str, list[str]] = {}
    for objective, gaussian in grids:
        objectives.setdefault(objective, []).append(gaussian)
    for name, slug in page.slugs(objectives, (*page.TAKEN, *STUDIES)):
        figures = [
            figure
            for gaussian, family in page.slugs(objectives[name], ())
            for _, figure in press.draw(GRID, run, name, gaussian, slug=f"{slug}_{family}")
        ]
        link = next((f.id for f in figures if f.id.endswith("_bias")), slug)
        tables = [_choices(run, name, objectives[name])]
        size = _size(study_rows(run, "grid", objective=name))
        about = (claims_of("grid", name), (), tables, figures, {"grid": link})
        yield page.Section(slug, name, size, *about)
    for study, (heading, question, spec) in STUDIES.items():
        overlaid = list(runs[: MOST_RUNS if study in _OVERLAID else 1])
        labels = [one.label for one in overlaid]
        figures = [f for _, f in press.draw([spec], overlaid, runs=labels)]
        claims = claims_of(study)
        if figures or claims:
            link = {study: study if figures else f"study-{study}"}
            size = _size(study_rows(run, study))
            about = (claims, (size,) if size else (), (), figures, link)
            yield page.Section(f"study-{study}", heading, question, *about)
    if rest := [claim for claim in run.claims if id(claim) not in used]:
        yield page.Section("other", "Other claims", "", rest)


def _size(rows: pd.DataFrame) -> str:
    """What a study measured, in words."""
    if rows.empty:
        return ""
    sigmas = sorted(rows["sigma"].dropna().unique().tolist(), reverse=True)
    names = rows[["estimator", "noise"]].drop_duplicates()
    parts = [
        f"dim {few(sorted(rows['dim'].unique().tolist()))}",
        ", ".join(dict.fromkeys(rows["gaussian"])),
        f"sigma {few(sigmas)}" if sigmas else "",
        f"{len(names)} estimators",
    ]
    return "; ".join(part for part in parts if part)
