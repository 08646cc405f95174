"""The report of `sigmaprop limit`: does the Monte Carlo gradient tend to grad f(x)?"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from sigmaprop.reporting import page, style
from sigmaprop.reporting.counting import Tell, silent
from sigmaprop.reporting.fmt import measured, number
from sigmaprop.reporting.frame import Run, load_all
from sigmaprop.reporting.limit.figures import BASELINE, FIGURES, OVERVIEW, size
from sigmaprop.reporting.page import MOST_RUNS
from sigmaprop.reporting.points import named

_FIGURE_OF = {
    **{"bias": "bias", "precision": "bias", "edges": "bias"},
    **{"variance": "variance", "batch": "batch", "learning": "learning"},
}
"""Study of a claim -> the figure that shows it."""

COLUMNS = (
    ("objective", "name of f"),
    ("dim", "dimension of x"),
    ("dtype", "number format in which f was evaluated"),
    ("estimator", "estimator of the gradient, with its control variate after a +"),
    ("noise", "iid, or antithetic: pairs eps, -eps"),
    ("wrt", "gradient to the mean or to the scale (sigma)"),
    ("metric", "one of those below"),
    ("sigma", "standard deviation, in units of x"),
    ("batch_size", "points x in a batch; for bias and deviation all of them"),
    ("num_batches", "batches measured"),
    ("value", "the metric, in units of f / units of x; squared for variance; cosine without"),
    ("error", "its standard error; NaN where one batch cannot tell"),
    ("theory", "what is expected; NaN where nothing is known"),
)

METRICS = (
    ("bias", "|average of all samples - its limit|, the noise's own share removed"),
    ("deviation", "|average of all samples - exact gradient of the smoothed function|"),
    ("variance", "of one sample, summed over coordinates"),
    ("error_to_gradient", "root mean square over batches of the distance to grad f(x), or to 0"),
    ("error_to_smoothed", "the same to the exact gradient of the smoothed function"),
    ("cosine", "mean cosine of the batches' gradients with grad f(x)"),
    ("floor: ...", "where rounding ends the limit, found (value) and predicted (theory)"),
)

QUESTION = (
    "Does the Monte Carlo gradient of E f(x + sigma eps) tend to grad f(x) as sigma goes to 0, how "
    "fast, and where does it stop?"
)

READING = (
    "A claim holds when its 99% interval lies inside the range that theory allows, fails when it "
    "lies outside, and is not resolved when the samples cannot tell or no sigma lies where theory "
    "can be measured. A number without sampling error has no interval and is judged itself.",
    "Bars in figures are two standard errors, left out where they are narrower than a marker. "
    "Point at a curve for its values; click an entry of a legend to hide its curve.",
    "Where several runs are drawn, the first has full lines and filled markers, and the range that "
    "theory allows is that of the first run.",
)


def answer(run: Run) -> Iterator[str]:
    """The question answered in sentences that are made from the claims."""
    for (study, quantity), (start, end) in _SENTENCES.items():
        own = [c for c in run.claims if (c["study"], c["quantity"]) == (study, quantity)]
        if study == "variance":
            own = [
                c for c in own if c["estimator"] in ("pathwise", BASELINE[0]) and c["wrt"] == "mean"
            ]
        known = [c for c in own if c["verdict"] != "not resolved"]
        if not known:
            continue
        ranges = [
            f"{c['objective']}{_of_estimator(c, known)} {measured(c)}"
            for c in sorted(known, key=lambda c: c["verdict"] != "fails")[:4]
        ]
        more = f" and {len(known) - 4} more" if len(known) > 4 else ""
        failing = sum(c["verdict"] == "fails" for c in known)
        verdict = f"; {failing} of {len(known)} fail" if failing else f"; {end}"
        yield f"{start}: {', '.join(ranges)}{more}{verdict}."


def _of_estimator(claim: dict, known: Sequence[dict]) -> str:
    several = len({c["estimator"] for c in known}) > 1
    return f", {claim['estimator']}:" if several and claim["estimator"] else ""


_SENTENCES = {
    ("bias", "slope"): (
        "Where f is smooth the limit holds, and the bias of grad f(x) goes as a power of sigma",
        "theory says 2",
    ),
    ("edges", "bias"): (
        "Near a kink the bias is a fixed share of |grad f|, whatever theory of smooth f says",
        "as the exact gradient has it",
    ),
    ("edges", "missed"): (
        "A jump is missed by the pathwise gradient altogether, as a share of the exact gradient",
        "theory says 1",
    ),
    ("variance", "slope"): (
        "The price is variance, which to the mean goes as a power of sigma",
        "theory says 2 for pathwise and 0 with a baseline",
    ),
    ("learning", "slope"): (
        "The batch that learning sigma takes goes as a power of sigma",
        "theory says −2",
    ),
}
"""Study and quantity of claims -> how a sentence on them begins, and how it ends if all hold."""


def write(target: Path, directories: tuple[Path, ...], tell: Tell = silent) -> None:
    """Writes ``report.html`` and ``figures/`` with an SVG and a PNG of every figure.

    The same files give the same bytes.

    Args:
        target: directory to write into; files of an older report are replaced.
        directories: of the runs. The first gives the tables; figures overlay them.
        tell: called with the number of figures drawn, and of all.

    Raises:
        RunError: a run's file is missing or damaged, or the report cannot be written.
    """
    runs = load_all(directories)
    drawn = runs[:MOST_RUNS]
    names = dict.fromkeys(name for run in runs for name in run.frame["objective"])
    slugs = dict(page.slugs(names, page.TAKEN))
    press = page.Press(target, 1 + len(FIGURES) * len(slugs), tell)
    labels = [run.label for run in drawn]
    with style.style():
        key: list[page.Figure | page.Slides] = [
            f for _, f in press.draw([OVERVIEW], drawn, slug="all", runs=labels)
        ]
        sections = [_section(press, name, slug, runs) for name, slug in slugs.items()]
    for section in sections:  # the first smooth function shows what learning sigma takes
        wanted = [f for f in section.figures if f.id.endswith(("_learning", "_variance"))]
        if len(wanted) == 2 and any(c["study"] == "learning" for c in section.claims):
            key += wanted
            break
    sentences = tuple(answer(runs[0])) or page.no_answer(runs[0])
    content = (
        COLUMNS,
        METRICS,
        "one row for every objective, estimator, sigma, batch size, metric.",
    )
    page.write(target, page.Page(QUESTION, sentences, runs, key[:3], sections, READING, *content))


def _section(press: page.Press, name: str, slug: str, runs: Sequence[Run]) -> page.Section:
    """All of one objective."""
    own = [run for run in runs if (run.frame["objective"] == name).any()][:MOST_RUNS]
    figures = dict(press.draw(FIGURES, name, own, slug=slug, runs=[run.label for run in own]))
    return page.Section(
        slug,
        name,
        size(name, own),
        [claim for claim in runs[0].claims if claim["objective"] == name],
        list(_at_zero(own[0], name)),
        figures=list(figures.values()),
        figure_of={s: figures[f].id for s, f in _FIGURE_OF.items() if f in figures},
    )


def _at_zero(run: Run, objective: str) -> Iterator[str]:
    """Sentences on sigma = 0."""
    rows = run.frame[(run.frame["objective"] == objective) & (run.frame["sigma"] == 0)]
    rows = rows[(rows["metric"] == "bias") & (rows["wrt"] == "mean")]
    rows = named(rows).drop_duplicates("curve")
    for name, value in zip(rows["curve"], rows["value"].to_numpy(float), strict=True):
        yield f"At sigma = 0 {name} gives grad f(x) with an error of {number(value)}."
    if not (run.frame["sigma"][run.frame["objective"] == objective] > 0).any():
        yield "No sigma above 0 was measured, so there is nothing to draw."
