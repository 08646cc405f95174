"""What the pages of all experiments share: figures as files, claims as rows, runs in words."""

import itertools
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import jinja2
import markupsafe

from sigmaprop.reporting import style
from sigmaprop.reporting.sheet import Drawing
from sigmaprop.reporting.tables import MARKS, allowed, interval, number, plural
from sigmaprop.runs import write_atomic


class Run(Protocol):
    """What a page tells of every run."""

    @property
    def label(self) -> str:
        """What tells it from the others, empty for one alone."""
        ...

    @property
    def name(self) -> str:
        """Of its directory."""
        ...

    @property
    def command(self) -> str:
        """Of the command line."""
        ...

    @property
    def config(self) -> dict[str, Any]:
        """Its options."""
        ...

    @property
    def environment(self) -> dict[str, Any]:
        """Versions, device, flags."""
        ...

    @property
    def claims(self) -> list[dict[str, Any]]:
        """Its conclusions."""
        ...

    @property
    def notice(self) -> str:
        """How far it has come, empty for a complete run."""
        ...


class Figure(NamedTuple):
    """A drawing in the page."""

    id: str
    file: str
    title: str
    caption: str
    alt: str
    svg: markupsafe.Markup


def save(target: Path, slug: str, drawing: Drawing) -> Figure:
    """Writes a figure's files, named after the slug and itself; gives what the page shows."""
    file = f"{slug}_{drawing.name}" if slug else drawing.name
    document = style.svg(drawing.figure)
    write_atomic(target / "figures" / f"{file}.svg", document)
    write_atomic(target / "figures" / f"{file}.png", style.png(drawing.figure))
    svg = markupsafe.Markup(style.inline(document, file))
    return Figure(file, file, drawing.title, drawing.caption, drawing.alt, svg)


def slugs(names: Iterable[str], taken: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Every name with one of its own for anchors and files, other than those taken."""
    taken = set(taken)
    for name in dict.fromkeys(names):
        base = re.sub(r"[^A-Za-z0-9_.-]", "_", name)[:60].lstrip(".") or "objective"
        choices = (base if i == 0 else f"{base}-{i + 1}" for i in itertools.count())
        slug = next(choice for choice in choices if choice.lower() not in taken)
        taken.add(slug.lower())
        yield name, slug


def claim_row(claim: dict[str, Any]) -> dict[str, str]:
    """A claim as the texts of a table's row."""
    low, high = (_short(claim[name]) for name in ("sigma_low", "sigma_high"))
    return {
        "claim": claim["claim"],
        "expected": number(claim["expected"]),
        "allowed": allowed(*(claim.get(name, float("nan")) for name in ("lowest", "highest"))),
        "measured": number(claim["measured"]["value"]),
        "interval": interval(claim["measured"]["low"], claim["measured"]["high"]),
        "sigmas": low if low == high else f"{low} to {high}",
        "verdict": claim["verdict"],
    }


def _short(sigma: float) -> str:
    """Two significant digits, or a dash for what is not known."""
    return "–" if sigma != sigma else f"{sigma:.2g}"


def counts(claims: Sequence[dict[str, Any]]) -> dict[str, int]:
    """How many claims there are of every verdict."""
    return {kind: sum(claim["verdict"] == kind for claim in claims) for kind in MARKS}


def summary(run: Run, anchor: Callable[[dict[str, Any]], str]) -> dict[str, Any]:
    """A run's verdicts, failures, command and environment.

    Args:
        run: of which.
        anchor: where in the page a claim is told.
    """
    return {
        "label": run.label,
        "name": run.name,
        "notice": run.notice,
        "command": command(run),
        "machine": machine(run.environment),
        "total": len(run.claims),
        "counts": counts(run.claims),
        "failures": [
            {"objective": claim["objective"], "claim": claim["claim"], "anchor": anchor(claim)}
            for claim in run.claims
            if claim["verdict"] == "fails"
        ],
        "environment": list(_flat(run.environment)),
    }


def title(runs: Sequence[Run]) -> str:
    """Of a page."""
    names = ", ".join(run.label or run.name for run in runs)
    return f"sigmaprop {runs[0].command}: {names}"


def command(run: Run) -> str:
    """The config as the command that gives it; options left at None are left out."""
    words = ["sigmaprop", run.command]
    for name, value in run.config.items():
        if value is not None:
            words.append(f"--{name.replace('_', '-')}")
            words += map(str, value if isinstance(value, list) else [value])
    return shlex.join(words)


def machine(environment: dict[str, Any]) -> str:
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


def render(template: str, **content: Any) -> str:
    """A page from one of the templates beside this module."""
    return _environment().get_template(template).render(css=markupsafe.Markup(_css()), **content)


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.globals.update(marks=MARKS, plural=plural)
    return environment


@cache
def _css() -> str:
    text = (Path(__file__).parent / "report.css").read_text()
    light, dark = style.css_variables(0), style.css_variables(1)
    return text.replace("LIGHT", light, 1).replace("DARK", dark, 1)
