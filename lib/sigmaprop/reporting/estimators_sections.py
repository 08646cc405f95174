"""The sections of a comparison's page: an objective of the grid each, then a study each."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sigmaprop.reporting import estimators_figures, page
from sigmaprop.reporting.comparison_results import Comparison
from sigmaprop.reporting.counting import Count, Tell, silent
from sigmaprop.reporting.tables import plural

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
"""Heading and question of every study but the grid, in the order of the page."""
_OTHER = "other"
"""What claims that belong to no section are about."""
_TAKEN = ("conclusions", "choice", "columns", "environment")
_MOST_OPEN = 12
"""Claims of a section that are shown unfolded."""
_ABOUT = {
    "dimension": "dimension",
    "coupling": "coupling",
    "learning sigma": "learning_sigma",
    "logistic regression": "logistic",
}


class Section(NamedTuple):
    """A part of the page.

    Attributes:
        id: its anchor.
        about: as `about` says.
        name: its heading.
        question: that it answers, empty for an objective.
        size: what was measured.
        counts: claims by verdict.
        claims: rows of their table.
        figures: in the page.
    """

    id: str
    about: str
    name: str
    question: str
    size: str
    counts: dict[str, int]
    claims: list[dict[str, str]]
    figures: list[page.Figure]

    @property
    def told(self) -> str:
        """The verdicts in words."""
        known = ((count, plural(kind, count)) for kind, count in self.counts.items() if count)
        return ", ".join(f"{count} {verdict}" for count, verdict in known)

    @property
    def unfolded(self) -> bool:
        """Whether its claims are few, or some fail."""
        return len(self.claims) <= _MOST_OPEN or self.counts["fails"] > 0


def objectives(run: Comparison) -> dict[str, list[str]]:
    """Every objective of the grid with its Gaussians."""
    found: dict[str, list[str]] = {}
    for objective, gaussian in run.grids():
        found.setdefault(objective, []).append(gaussian)
    return found


def about(claim: dict[str, Any], known: Sequence[str]) -> str:
    """What a claim is about: a study; "grid " and an objective, of those known; or "other"."""
    name, text = claim["objective"], claim["claim"]
    if name in known and ": bias to " in text:
        return f"grid {name}"
    if name in _ABOUT:
        return _ABOUT[name]
    if " / pathwise to scale" in text:
        return "piecewise_linear"
    if "variance" in text and " at k" in text:
        return "variance_curves"
    return f"grid {name}" if name in known else _OTHER


def sections(target: Path, runs: Sequence[Comparison], tell: Tell = silent) -> Iterator[Section]:
    """Writes the figures and gives what the page shows of every section."""
    count = Count(estimators_figures.most(runs[0]), tell)
    first, grid = runs[0], objectives(runs[0])
    claims: dict[str, list[dict[str, Any]]] = {}
    for claim in first.claims:
        claims.setdefault(about(claim, list(grid)), []).append(claim)
    anchors = [_anchor(name) for name in (*STUDIES, _OTHER)]
    for name, slug in page.slugs(grid, (*_TAKEN, *STUDIES, *anchors)):
        drawn = [
            page.save(target, f"{slug}_{family}", drawing)
            for gaussian, family in page.slugs(grid[name], ())
            for drawing in estimators_figures.draw_grid(first, name, gaussian, count)
        ]
        size, mine = _size(first, "grid", name), claims.get(f"grid {name}", [])
        yield _section(slug, f"grid {name}", (name, ""), size, mine, drawn)
    for study, texts in STUDIES.items():
        found = estimators_figures.draw_study(study, runs, count)
        drawn, mine = [page.save(target, "", one) for one in found], claims.get(study, [])
        if drawn or mine:
            yield _section(_anchor(study), study, texts, _size(first, study), mine, drawn)
    if mine := claims.get(_OTHER):
        yield _section(_anchor(_OTHER), _OTHER, ("Other conclusions", ""), "", mine, [])


def _anchor(study: str) -> str:
    """Of a section; the figure in it bears the name of the study."""
    return f"study-{study}"


def _section(
    anchor: str,
    about: str,
    texts: tuple[str, str],
    size: str,
    claims: list[dict[str, Any]],
    figures: list[page.Figure],
) -> Section:
    several = len({claim["objective"] for claim in claims}) > 1
    rows = [_row(claim, several) for claim in claims]
    return Section(anchor, about, *texts, size, page.counts(claims), rows, figures)


def _row(claim: dict[str, Any], several: bool) -> dict[str, str]:
    """What a claim is about comes first where a section tells of several."""
    row = page.claim_row(claim)
    return row | {"claim": f"{claim['objective']}: {row['claim']}"} if several else row


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
    texts = [f"{value:.4g}" for value in values]
    return ", ".join(texts) if len(texts) < 5 else f"{texts[0]} to {texts[-1]}"
