"""The report of `sigmaprop penalties`: noise and penalties, when are they the same?"""

import math
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from sigmaprop.generators.equivalence import ALIKE, TREATMENTS
from sigmaprop.generators.penalties import ALLOWED
from sigmaprop.reporting import page, style
from sigmaprop.reporting.counting import Tell, silent
from sigmaprop.reporting.fmt import short
from sigmaprop.reporting.frame import load_all
from sigmaprop.reporting.penalties.figures import DISTANCES, EQUIVALENCE, FIGURES, kinds

COLUMNS = (
    ("discriminator", "activation of its hidden layers; linear: it has none"),
    ("dtype", "in which its products were computed"),
    ("treatment", "one of those below"),
    ("quantity", "one of those below"),
    ("logit", "root mean square logit; empty: of the random network as it is"),
    ("sigma", "std of the noise"),
    ("value", "the quantity, over random networks"),
    ("error", "its standard error"),
    ("low", "lower end of the 99% interval"),
    ("high", "its upper end"),
)
QUANTITIES = (
    ("ratio", "approximate: E |D(x + s eps) - D(x)|² / s² over E |grad D|²"),
    ("exact", "the same in float64"),
    ("variance", "variance of that ratio from one draw of noise"),
    ("lowest", f"the least s at which the ratio is within {ALLOWED:.0%} of 1; 0: all are"),
    ("highest", "the largest such s"),
    ("size", "of the gradient to the parameters, along that of R1; 1 is right"),
    ("cosine", "of the two gradients"),
    ("error", "norm of their difference over the norm of that of R1"),
    ("stopped", "a treatment: the finite difference with no gradient through its noised branch"),
    *((name, f"a treatment: {words}") for name, words in TREATMENTS.items()),
)
QUESTION = (
    "Noise on what a discriminator sees, finite differences and gradient penalties: when are they "
    "the same?"
)
READING = (
    "Random discriminators see x ~ N(0, I), real and generated examples alike. The finite "
    "difference is compared with R1 on the same examples; (grad D . eps)², whose mean is known, is "
    "its control variate, so that bias and rounding are seen below the penalty's own sampling "
    "error. Intervals are over networks.",
    "Instance noise of std s adds a convex part, s²/4 |grad D|² near D = 1/2, and a smoothing, "
    "(2 D - 1) s²/2 times the laplacian of the logit, which no penalty on the gradient has. R1 has "
    "the weight gamma = s²/2 here, R1 + R2 s²/4, Roth's form s², approximate R1 + R2 with s as its "
    "own sigma lambda = 1/8.",
)


def answer(rows: pd.DataFrame, kind: str) -> str:
    """What was found of a discriminator, in a sentence or two."""
    ranges = [f"in {dtype} {words}" for dtype, words in _ranges(rows)]
    nearest = rows["logit"].min()
    near = rows[(rows["logit"] == nearest) & (rows["quantity"] == "error")]
    sigma = _swept(rows)
    near = near[near["sigma"] == sigma]
    errors = dict(zip(near["treatment"], near["value"].astype(float), strict=True))
    same = [TREATMENTS[name] for name, error in errors.items() if error <= ALIKE]
    other = [
        f"{TREATMENTS[name]} ({_share(error)})"
        for name, error in errors.items()
        if not error <= ALIKE
    ]
    told = f"{kind}: the finite difference is R1 within {ALLOWED:.0%} {', '.join(ranges)}."
    if same:
        told += f" Near D = 1/2 the gradient of R1 is that of {', '.join(same)}"
        told += f"; not of {', '.join(other)}." if other else "."
    return told


def _share(error: float) -> str:
    return f"{error:.0%} off" if math.isfinite(error) else "not resolved"


def _swept(rows: pd.DataFrame) -> float:
    """The sigma that the logits were varied with."""
    far = rows[rows["logit"] == rows["logit"].max()]
    return float(far["sigma"].iloc[0])


def _ranges(rows: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """Where each dtype may use the finite difference, in words."""
    ends = rows[rows["quantity"].isin(("lowest", "highest"))]
    measured = rows[rows["quantity"] == "ratio"]["sigma"]
    for dtype, own in ends.groupby("dtype", sort=False):
        value = dict(zip(own["quantity"], own["value"].astype(float), strict=True))
        low, high = value["lowest"], value["highest"]
        if math.isnan(low):
            yield str(dtype), "nowhere"
            continue
        high_known = math.isfinite(high)
        low_words = f"from s = {short(low)}" if low > 0 else f"from s ≤ {short(measured.min())}"
        high_words = f"to {short(high)}" if high_known else f"to ≥ {short(measured.max())}"
        yield str(dtype), f"{low_words} {high_words}"


def _difference_table(rows: pd.DataFrame) -> page.Table:
    """Ratios and cosines by sigma and dtype."""
    lines = []
    chosen = rows[rows["logit"].isna() & rows["sigma"].notna()]
    for (dtype, sigma), own in chosen.groupby(["dtype", "sigma"], sort=False):
        cells = [page.Cell(str(dtype)), page.Cell(short(float(sigma)), "number")]  # pyright: ignore
        for treatment, quantity in _SHOWN:
            one = own[(own["treatment"] == treatment) & (own["quantity"] == quantity)]
            cells.append(_number(one))
        lines.append(cells)
    headings = ("dtype", "s", "ratio", "ratio in float64", "variance a draw", "cosine", "error")
    caption = "The finite difference against R1: values, then gradients to the parameters."
    return page.Table(caption, (*headings, "cosine, noised branch stopped"), lines)


_SHOWN = (
    *(("approximate", name) for name in ("ratio", "exact", "variance", "cosine", "error")),
    ("stopped", "cosine"),
)


def _equivalence_table(rows: pd.DataFrame) -> page.Table:
    """Errors of the gradients by logit and sigma."""
    own = rows[rows["logit"].notna() & (rows["quantity"] == "error")]
    lines = []
    for (logit, sigma), found in own.groupby(["logit", "sigma"], sort=False):
        at = (float(logit), float(sigma))  # pyright: ignore
        cells = [page.Cell(short(value), "number") for value in at]
        cells += [_number(found[found["treatment"] == name]) for name in TREATMENTS]
        lines.append(cells)
    caption = "Relative error of each gradient against that of R1, with its standard error."
    return page.Table(caption, ("logit", "noise", *TREATMENTS.values()), lines)


def _number(rows: pd.DataFrame) -> page.Cell:
    if not len(rows) or not math.isfinite(value := float(rows["value"].iloc[0])):
        return page.Cell("not resolved", "muted")
    error = float(rows["error"].iloc[0])
    text = f"{value:.4g}" + (f" ± {error:.1g}" if error > 0 else "")
    return page.Cell(text, "number", value=value)


def write(target: Path, directories: tuple[Path, ...], tell: Tell = silent) -> None:
    """Writes ``report.html`` and ``figures/`` with an SVG and a PNG of every figure.

    Args:
        target: directory to write into; files of an older report are replaced.
        directories: of the runs. The first gives the tables and the figures.
        tell: called with the number of figures drawn, and of all.

    Raises:
        RunError: a run's file is missing or damaged, or the report cannot be written.
    """
    runs = load_all(directories)
    press = page.Press(target, 2 + len(FIGURES), tell)
    with style.style():
        drawn = press.draw([DISTANCES, EQUIVALENCE], runs[:1], slug="all", runs=())
        key = [figure for _, figure in drawn]
        figures = [figure for _, figure in press.draw(FIGURES, runs[:1], slug="all", runs=())]
    found = list(kinds(runs[0]))
    slugs = dict(page.slugs([kind for kind, _ in found], page.TAKEN))
    sections = [
        page.Section(
            slugs[kind],
            kind,
            answer(rows, kind),
            tables=[_difference_table(rows), _equivalence_table(rows)],
        )
        for kind, rows in found
    ]
    sections.append(page.Section("curves", "Gradients", "Of the two branches.", figures=figures))
    sentences = tuple(answer(rows, kind) for kind, rows in found) or page.no_answer(runs[0])
    about = (COLUMNS, QUANTITIES, "one row for every quantity, logit and sigma.")
    page.write(target, page.Page(QUESTION, sentences, runs, key, sections, READING, *about))
