"""The report of finished comparisons: one HTML page that needs nothing else, and its figures."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import markupsafe
import numpy as np

from sigmaprop.files import writing
from sigmaprop.reporting import choice, estimators_figures, page, style
from sigmaprop.reporting.comparison_results import Comparison, read
from sigmaprop.reporting.quantities import MOST_RUNS, name_of
from sigmaprop.reporting.tables import plural
from sigmaprop.runs import write_atomic

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
STUDIES = {
    "variance_curves": (
        "One dimension",
        "What is the variance of every rule for three functions of one x, where do the curves "
        "cross, and does sampling agree with the exact numbers?",
    ),
    "coupling": (
        "Coupling",
        "Should the two sides of a measure-valued gradient share their random numbers?",
    ),
    "dimension": ("Dimension", "What does the dimension do to variance, cost and efficiency?"),
    "learning_sigma": (
        "Learning sigma",
        "How many samples does the gradient to sigma take as sigma falls, and what avoids it?",
    ),
    "piecewise_linear": (
        "Piecewise-linear networks",
        "Which rules give the gradient to sigma where all curvature lies in kinks?",
    ),
    "logistic": (
        "Logistic regression",
        "Does less variance train a Bayesian logistic regression faster, in steps and in seconds?",
    ),
}
"""Name and question of every study but the grid, in the order of the page."""
_MOST_OPEN = 12
"""Claims of a section that are shown unfolded."""
_ABOUT = {
    "dimension": "dimension",
    "coupling": "coupling",
    "learning sigma": "learning_sigma",
    "logistic regression": "logistic",
}


def write(target: Path, runs: tuple[Path, ...]) -> None:
    """Writes ``report.html`` and ``figures/`` with an SVG and a PNG of every figure.

    The same files give the same bytes.

    Args:
        target: directory to write into; files of an older report are replaced.
        runs: directories of finished runs. Tables and most figures are those of the first; the
            figures that a clock goes into overlay all.

    Raises:
        RunError: a run's file is missing or damaged, or the report cannot be written.
    """
    found = read(runs)
    with writing(target):
        (target / "figures").mkdir(parents=True, exist_ok=True)
    with style.style():
        sections = list(_sections(target, found))
    anchors = {section["about"]: section["id"] for section in sections}
    objectives = [name for name, _ in _grids(found[0])]
    text = page.render(
        "estimators.html.jinja",
        title=page.title(found),
        runs=[
            page.summary(
                run, lambda claim: anchors.get(section_of(claim, objectives), "conclusions")
            )
            for run in found
        ],
        overlaid=[STUDIES[name][0] for name in estimators_figures.OVERLAID],
        drawn=MOST_RUNS,
        sections=sections,
        choices=[_choices(found[0], *grid) for grid in _grids(found[0])],
        least_bias=f"{choice.LEAST_BIAS:.0%}",
        columns=COLUMNS,
        metrics=METRICS,
    )
    write_atomic(target / "report.html", text)


def section_of(claim: dict[str, Any], objectives: Sequence[str]) -> str:
    """The study that a claim belongs to, or the objective of the grid; "" for none of them."""
    about, text = claim["objective"], claim["claim"]
    if about in objectives and ": bias to " in text:
        return f"grid {about}"
    if about in _ABOUT:
        return _ABOUT[about]
    if " / pathwise to scale" in text:
        return "piecewise_linear"
    if "variance" in text and " at k" in text:
        return "variance_curves"
    return f"grid {about}" if about in objectives else ""


def _grids(run: Comparison) -> list[tuple[str, list[str]]]:
    """Every objective of the grid with its Gaussians."""
    found: dict[str, list[str]] = {}
    for objective, gaussian in run.grids():
        found.setdefault(objective, []).append(gaussian)
    return list(found.items())


def _sections(target: Path, runs: Sequence[Comparison]) -> Iterator[dict[str, Any]]:
    """The objectives of the grid, the other studies, and what belongs to none of them."""
    first, grids = runs[0], _grids(runs[0])
    objectives = [name for name, _ in grids]
    taken = {name.replace("_", "-") for name in STUDIES}
    taken |= {"conclusions", "choice", "columns", "environment", "other"}
    slugs = dict(page.slugs(objectives, taken))
    for name, gaussians in grids:
        figures = [
            page.save(target, f"{slugs[name]}_{slug}", drawing)
            for gaussian, slug in page.slugs(gaussians, ())
            for drawing in estimators_figures.draw_grid(first, name, gaussian)
        ]
        size = _size(first, "grid", name)
        claims = _claims(first, f"grid {name}", objectives)
        yield _section(slugs[name], name, f"grid {name}", size, "", claims, figures)
    for study, (heading, question) in STUDIES.items():
        drawings = estimators_figures.draw_study(study, runs)
        figures = [page.save(target, "", drawing) for drawing in drawings]
        claims = _claims(first, study, objectives)
        if figures or claims:
            anchor = study.replace("_", "-")
            yield _section(anchor, heading, study, _size(first, study), question, claims, figures)
    if claims := _claims(first, "", objectives):
        yield _section("other", "Other conclusions", "", "", "", claims, [])


def _section(
    anchor: str,
    name: str,
    about: str,
    size: str,
    question: str,
    claims: list[dict[str, Any]],
    figures: list[page.Figure],
) -> dict[str, Any]:
    counts = page.counts(claims)
    several = len({claim["objective"] for claim in claims}) > 1
    told = ", ".join(f"{count} {plural(kind, count)}" for kind, count in counts.items() if count)
    return {
        "id": anchor,
        "name": name,
        "about": about,
        "size": size,
        "question": question,
        "counts": counts,
        "told": told,
        "unfolded": len(claims) <= _MOST_OPEN or counts["fails"] > 0,
        "claims": [_row(claim, several) for claim in claims],
        "figures": figures,
    }


def _row(claim: dict[str, Any], several: bool) -> dict[str, str]:
    """As everywhere; what a claim is about comes first where a section tells of several."""
    row = page.claim_row(claim)
    return row | {"claim": f"{claim['objective']}: {row['claim']}"} if several else row


def _claims(run: Comparison, section: str, objectives: Sequence[str]) -> list[dict[str, Any]]:
    return [claim for claim in run.claims if section_of(claim, objectives) == section]


def _size(run: Comparison, study: str, objective: str = "") -> str:
    """What a study measured, in words."""
    found = run.find(study, **({"objective": objective} if objective else {}))
    if not found:
        return ""
    series = found.values()
    dims = np.unique(np.concatenate([one.dim for one in series]))
    sigmas = np.unique(np.concatenate([one.sigma for one in series]))[::-1]
    sigmas = sigmas[np.isfinite(sigmas)]
    parts = [
        "" if objective else ", ".join(dict.fromkeys(key.objective for key in found)),
        f"dim {_few(dims)}",
        ", ".join(dict.fromkeys(key.gaussian for key in found)),
        f"sigma {_few(sigmas)}" if sigmas.size else "",
        f"{len({key.which for key in found})} estimators",
    ]
    return "; ".join(part for part in parts if part)


def _few(values: np.ndarray) -> str:
    """All of a few numbers, the ends of many."""
    texts = [f"{value:.3g}" for value in values]
    return ", ".join(texts) if len(texts) < 5 else f"{texts[0]} to {texts[-1]}"


def _choices(run: Comparison, objective: str, gaussians: Sequence[str]) -> dict[str, Any]:
    """The table of one objective."""
    rows = [row for gaussian in gaussians for row in choice.advice(run, objective, gaussian)]
    return {"name": objective, "rows": [_choice(row) for row in rows]}


def _choice(row: dict[str, Any]) -> dict[str, Any]:
    best = [(_label(s.which), _times(s, row["reference"])) for s in row["best"]]
    best += [(markupsafe.Markup("–"), "")] * (3 - len(best))
    warning = row["warning"]
    return {
        "gaussian": row["gaussian"],
        "sigma": f"{row['sigma']:g}",
        "wrt": row["wrt"],
        "best": best,
        "biased": "" if warning is None else _label(warning.which),
        "warning": "none is biased" if warning is None else _warning(warning, row["reference"]),
    }


def _label(which: tuple[str, str]) -> markupsafe.Markup:
    """A name that may be broken behind a plus sign."""
    return markupsafe.escape(name_of(which)).replace("+", markupsafe.Markup("+<wbr>"))


def _times(score: choice.Score, reference: float) -> str:
    return "no noise" if score.exact else choice.times(score.efficiency / reference)


def _warning(score: choice.Score, reference: float) -> str:
    size = "misses it" if np.isnan(score.bias) else f"bias {choice.percent(score.bias)}"
    ratio = score.efficiency / reference
    return f"{size}, {'no noise' if np.isinf(ratio) else choice.times(ratio)}"
