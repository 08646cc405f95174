"""The report of finished runs: one HTML page that needs nothing else, and its figures as files."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from sigmaprop.reporting import figures, page, style
from sigmaprop.reporting.counting import Count, Tell, silent
from sigmaprop.reporting.quantities import MOST_RUNS, name_of
from sigmaprop.reporting.results import Results, read
from sigmaprop.reporting.tables import number
from sigmaprop.runs import write_atomic
from sigmaprop.runs.files import writing

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


def write(target: Path, runs: tuple[Path, ...], tell: Tell = silent) -> None:
    """Writes ``report.html`` and ``figures/`` with an SVG and a PNG of every figure.

    The same files give the same bytes.

    Args:
        target: directory to write into; files of an older report are replaced.
        runs: directories of finished runs. The first gives the tables; figures overlay them.
        tell: called with the number of figures drawn, and of all.

    Raises:
        RunError: a run's file is missing or damaged, or the report cannot be written.
    """
    found = read(runs)
    names = (name for run in found for name in run.sizes)
    slugs = dict(page.slugs(names, {"all", "conclusions", "columns", "environment"}))
    with writing(target):
        (target / "figures").mkdir(parents=True, exist_ok=True)
    count = Count(1 + len(figures.FIGURES) * len(slugs), tell)
    with style.style():
        drawn = count.each([partial(figures.overview, found)])
        shown = [page.save(target, "all", drawing) for drawing in drawn]
        objectives = [_objective(target, name, slug, found, count) for name, slug in slugs.items()]
    text = page.render(
        "report.html.jinja",
        title=page.title(found),
        runs=[
            page.summary(run, lambda claim: slugs.get(claim["objective"], "conclusions"))
            for run in found
        ],
        drawn=MOST_RUNS,
        left_out=len(found) > MOST_RUNS,
        overview=shown[0] if shown else None,
        objectives=objectives,
        columns=COLUMNS,
        metrics=METRICS,
    )
    write_atomic(target / "report.html", text)


def _objective(
    target: Path, name: str, slug: str, runs: Sequence[Results], count: Count
) -> dict[str, Any]:
    claims = [claim for claim in runs[0].claims if claim["objective"] == name]
    return {
        "name": name,
        "id": slug,
        "counts": page.counts(claims),
        "size": figures.size(name, runs),
        "at_zero": list(_at_zero(runs[0], name)),
        "claims": [page.claim_row(claim) for claim in claims],
        "figures": [page.save(target, slug, one) for one in figures.draw(name, runs, count)],
    }


def _at_zero(run: Results, objective: str) -> Iterator[str]:
    """Sentences on sigma = 0."""
    for which in run.estimators(objective):
        series = run.get(objective, which, "mean", "bias")
        if series is not None and (series.sigma == 0).any():
            error = number(float(series.value[series.sigma == 0][0]))
            yield f"At sigma = 0 {name_of(which)} gives grad f(x) with an error of {error}."
