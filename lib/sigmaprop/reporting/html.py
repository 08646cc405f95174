"""The report of finished runs: one HTML page that needs nothing else, and its figures as files."""

import itertools
import re
import shlex
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import markupsafe

from sigmaprop.files import writing
from sigmaprop.reporting import figures, style
from sigmaprop.reporting.quantities import MOST_RUNS, name_of
from sigmaprop.reporting.results import Results, read
from sigmaprop.reporting.sheet import Drawing
from sigmaprop.reporting.tables import MARKS, interval, number, plural
from sigmaprop.runs import write_atomic

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


class Figure(NamedTuple):
    """A drawing in the page."""

    id: str
    file: str
    title: str
    caption: str
    alt: str
    svg: markupsafe.Markup


def write(target: Path, runs: tuple[Path, ...]) -> None:
    """Writes ``report.html`` and ``figures/`` with an SVG and a PNG of every figure.

    The same files give the same bytes.

    Args:
        target: directory to write into; files of an older report are replaced.
        runs: directories of finished runs. The first gives the tables; figures overlay them.

    Raises:
        RunError: a run's file is missing or damaged, or the report cannot be written.
    """
    found = read(runs)
    slugs = dict(_names(found))
    with writing(target):
        (target / "figures").mkdir(parents=True, exist_ok=True)
    with style.style():
        overview = figures.overview(found)
        shown = None if overview is None else _save(target, "all", overview)
        objectives = [_objective(target, name, slug, found) for name, slug in slugs.items()]
    page = _template().render(
        title=_title(found),
        css=markupsafe.Markup(_css()),
        marks=MARKS,
        plural=plural,
        runs=[_run(run, slugs) for run in found],
        drawn=MOST_RUNS,
        left_out=len(found) > MOST_RUNS,
        overview=shown,
        objectives=objectives,
        columns=COLUMNS,
        metrics=METRICS,
    )
    write_atomic(target / "report.html", page)


def _names(runs: Sequence[Results]) -> Iterator[tuple[str, str]]:
    """Every objective with a name of its own for anchors and files."""
    taken = {"all", "conclusions", "columns", "environment"}
    for name in dict.fromkeys(name for run in runs for name in run.sizes):
        base = re.sub(r"[^A-Za-z0-9_.-]", "_", name)[:60].lstrip(".") or "objective"
        choices = (base if i == 0 else f"{base}-{i + 1}" for i in itertools.count())
        slug = next(choice for choice in choices if choice.lower() not in taken)
        taken.add(slug.lower())
        yield name, slug


def _save(target: Path, slug: str, drawing: Drawing) -> Figure:
    """Writes a figure's files and gives what the page shows of it."""
    file = f"{slug}_{drawing.name}"
    document = style.svg(drawing.figure)
    write_atomic(target / "figures" / f"{file}.svg", document)
    write_atomic(target / "figures" / f"{file}.png", style.png(drawing.figure))
    svg = markupsafe.Markup(style.inline(document, file))
    return Figure(file, file, drawing.title, drawing.caption, drawing.alt, svg)


def _objective(target: Path, name: str, slug: str, runs: Sequence[Results]) -> dict[str, Any]:
    claims = [claim for claim in runs[0].claims if claim["objective"] == name]
    return {
        "name": name,
        "id": slug,
        "counts": _counts(claims),
        "size": figures.size(name, runs),
        "at_zero": list(_at_zero(runs[0], name)),
        "claims": [_claim(claim) for claim in claims],
        "figures": [_save(target, slug, drawing) for drawing in figures.draw(name, runs)],
    }


def _at_zero(run: Results, objective: str) -> Iterator[str]:
    """Sentences on sigma = 0."""
    for which in run.estimators(objective):
        series = run.get(objective, which, "mean", "bias")
        if series is not None and (series.sigma == 0).any():
            error = number(float(series.value[series.sigma == 0][0]))
            yield f"At sigma = 0 {name_of(which)} gives grad f(x) with an error of {error}."


def _claim(claim: dict[str, Any]) -> dict[str, str]:
    low, high = (_short(claim[name]) for name in ("sigma_low", "sigma_high"))
    return {
        "claim": claim["claim"],
        "expected": number(claim["expected"]),
        "measured": number(claim["measured"]["value"]),
        "interval": interval(claim["measured"]["low"], claim["measured"]["high"]),
        "sigmas": low if low == high else f"{low} to {high}",
        "verdict": claim["verdict"],
    }


def _short(sigma: float) -> str:
    """Two significant digits, or a dash for what is not known."""
    return "–" if sigma != sigma else f"{sigma:.2g}"


def _counts(claims: Sequence[dict[str, Any]]) -> dict[str, int]:
    """How many claims there are of every verdict."""
    return {kind: sum(claim["verdict"] == kind for claim in claims) for kind in MARKS}


def _run(run: Results, slugs: dict[str, str]) -> dict[str, Any]:
    return {
        "label": run.label,
        "name": run.name,
        "command": _command(run),
        "machine": _machine(run.environment),
        "total": len(run.claims),
        "counts": _counts(run.claims),
        "failures": [
            {"objective": claim["objective"], "claim": claim["claim"], "anchor": anchor}
            for claim in run.claims
            if claim["verdict"] == "fails"
            and (anchor := slugs.get(claim["objective"], "conclusions"))
        ],
        "environment": list(_flat(run.environment)),
    }


def _title(runs: Sequence[Results]) -> str:
    names = ", ".join(run.label or run.name for run in runs)
    return f"sigmaprop {runs[0].command}: {names}"


def _command(run: Results) -> str:
    """The config as the command that gives it; options left at None are left out."""
    words = ["sigmaprop", run.command]
    for name, value in run.config.items():
        if value is not None:
            words.append(f"--{name.replace('_', '-')}")
            words += map(str, value if isinstance(value, list) else [value])
    return shlex.join(words)


def _machine(environment: dict[str, Any]) -> str:
    """Device and versions in a line."""
    device, cpu = environment.get("device") or {}, environment.get("cpu") or {}
    versions = environment.get("versions") or {}
    parts = [
        f"{device.get('count', '?')} {device.get('backend', '?')} device(s), "
        f"{device.get('kind', '?')}",
        f"{cpu.get('model', '?')}, {cpu.get('cores', '?')} cores",
        *(
            f"{name} {versions[name]}"
            for name in ("sigmaprop", "jax", "python")
            if name in versions
        ),
    ]
    return "; ".join(parts)


def _flat(content: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested values by dotted name."""
    for name, value in content.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            text = shlex.join(map(str, value)) if isinstance(value, list) else str(value)
            yield f"{prefix}{name}", text


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    return environment.get_template("report.html.jinja")


@cache
def _css() -> str:
    text = (Path(__file__).parent / "report.css").read_text()
    light, dark = style.css_variables(0), style.css_variables(1)
    return text.replace("LIGHT", light, 1).replace("DARK", dark, 1)
