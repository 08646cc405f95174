"""The report of finished comparisons: one HTML page that needs nothing else, and its figures."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import markupsafe
import numpy as np

from sigmaprop.comparison import choice
from sigmaprop.reporting import estimators_figures, page, style
from sigmaprop.reporting.comparison_results import Comparison, read
from sigmaprop.reporting.counting import Tell, silent
from sigmaprop.reporting.estimators_sections import STUDIES, about, objectives, sections
from sigmaprop.reporting.quantities import MOST_RUNS, name_of
from sigmaprop.runs import write_atomic
from sigmaprop.runs.files import writing

COLUMNS = (
    ("study", "one of grid, variance_curves, dimension, coupling, learning_sigma, "
     "piecewise_linear, logistic"),
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
    ("worst_deviation", "of the mean from the exact gradient in the worst coordinate, in standard "
     "errors"),
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


def write(target: Path, runs: tuple[Path, ...], tell: Tell = silent) -> None:
    """Writes ``report.html`` and ``figures/`` with an SVG and a PNG of every figure.

    The same files give the same bytes.

    Args:
        target: directory to write into; files of an older report are replaced.
        runs: directories of finished runs. Tables and most figures are those of the first; the
            figures that a clock goes into overlay all.
        tell: called with the number of figures drawn, and of all.

    Raises:
        RunError: a run's file is missing or damaged, or the report cannot be written.
    """
    found = read(runs)
    with writing(target):
        (target / "figures").mkdir(parents=True, exist_ok=True)
    with style.style():
        shown = list(sections(target, found, tell))
    anchors = {section.about: section.id for section in shown}
    grid = objectives(found[0])

    def anchor(claim: dict[str, Any]) -> str:
        return anchors.get(about(claim, list(grid)), "conclusions")

    text = page.render(
        "estimators.html.jinja",
        title=page.title(found),
        runs=[page.summary(run, anchor) for run in found],
        overlaid=[STUDIES[name][0] for name in estimators_figures.OVERLAID],
        drawn=MOST_RUNS,
        sections=shown,
        choices=[_choices(found[0], *entry) for entry in grid.items()],
        least_bias=f"{choice.LEAST_BIAS:.0%}",
        columns=COLUMNS,
        metrics=METRICS,
    )
    write_atomic(target / "report.html", text)


def _choices(run: Comparison, objective: str, gaussians: Sequence[str]) -> dict[str, Any]:
    """The table of one objective."""
    rows = [row for gaussian in gaussians for row in choice.advice(run, objective, gaussian)]
    return {"name": objective, "rows": [_choice(row) for row in rows]}


def _choice(row: choice.Advice) -> dict[str, Any]:
    best = [(_label(score.which), _times(score, row.reference)) for score in row.best]
    best += [(markupsafe.Markup("–"), "")] * (3 - len(best))
    warning = row.warning
    return {
        "gaussian": row.gaussian,
        "sigma": f"{row.sigma:g}",
        "wrt": row.wrt,
        "best": best,
        "biased": "" if warning is None else _label(warning.which),
        "warning": "none is biased" if warning is None else _times(warning, row.reference),
    }


def _label(which: tuple[str, str]) -> markupsafe.Markup:
    """A name that may be broken behind a plus sign."""
    return markupsafe.escape(name_of(which)).replace("+", markupsafe.Markup("+<wbr>"))


def _times(score: choice.Score, reference: float) -> str:
    """The efficiency over that of the best, and a bias that is known."""
    if score.exact or np.isinf(score.efficiency):
        return f"no noise, {score.told}" if score.told else "no noise"
    times = choice.times(score.efficiency / reference)
    return f"{score.told}, {times}" if score.told else times
