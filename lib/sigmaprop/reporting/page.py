"""The one page of every report: a file that needs nothing else, alone or beside its figures.

A page begins with a question and its answer, then at most three figures, then the claims that fail
or are not resolved; the rest is folded in sections. Figures, the script behind them, the tables as
CSV and the config lie inside the file.
"""

import base64
import csv
import io
import itertools
import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import markupsafe

from sigmaprop.reporting import style
from sigmaprop.reporting.canvas import Drawing
from sigmaprop.reporting.counting import Count, Tell, silent
from sigmaprop.reporting.fmt import allowed, count, interval, number, plain
from sigmaprop.reporting.frame import Run, differences, flat
from sigmaprop.reporting.terminal import MARKS, plural
from sigmaprop.runs import write_atomic
from sigmaprop.runs.files import writing

MOST_RUNS = 4
"""Runs told apart in one figure."""


class Cell(NamedTuple):
    """An entry of a table: its text, and how it looks and sorts.

    Attributes:
        text: what is shown.
        kind: a class of the style sheet: "holds", "fails", "open", "muted", "number".
        link: anchor in the page.
        value: what a click on the heading sorts by, where that is not the text.
    """

    text: str
    kind: str = ""
    link: str = ""
    value: float | None = None


class Table(NamedTuple):
    """A table of a page, which also goes into it as CSV.

    Attributes:
        caption: above it.
        headings: of the columns.
        rows: the first cell of each is its name.
        open: whether it is shown unfolded.
    """

    caption: str
    headings: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    open: bool = True

    @property
    def csv(self) -> str:
        """As a data URI."""
        return data_uri("text/csv", table_csv(self.headings, self.rows))


class Figure(NamedTuple):
    """A drawing in the page."""

    id: str
    title: str
    caption: str
    alt: str
    svg: markupsafe.Markup
    hover: str


class Slides(NamedTuple):
    """Pictures of one thing at several moments, behind a slider.

    Attributes:
        id: its anchor.
        title, caption: as of a figure.
        moments: what each is called, its alt text, and the picture.
    """

    id: str
    title: str
    caption: str
    moments: Sequence[tuple[str, str, markupsafe.Markup]]


class Section(NamedTuple):
    """A folded part of a page.

    Attributes:
        id: its anchor.
        heading: of it.
        question: that it answers, or what was measured.
        claims: in a table of their own; see `Page.runs`.
        text: paragraphs.
        tables: further ones.
        figures: in it.
        figure_of: by the study of a claim the anchor of its figure.
        open: whether it is shown unfolded.
    """

    id: str
    heading: str
    question: str = ""
    claims: Sequence[dict[str, Any]] = ()
    text: Sequence[str] = ()
    tables: Sequence[Table] = ()
    figures: Sequence[Figure | Slides] = ()
    figure_of: Mapping[str, str] = {}  # never changed
    open: bool = False

    @property
    def verdicts(self) -> str:
        """Its claims by verdict, in words."""
        found = {kind: sum(c["verdict"] == kind for c in self.claims) for kind in MARKS}
        return ", ".join(f"{n} {plural(kind, n)}" for kind, n in found.items() if n)


class Page(NamedTuple):
    """What a report tells.

    Attributes:
        question: that the experiment answers.
        answer: in three or four sentences, made from the claims.
        runs: the first gives the tables; where there are several, claims have a column for each.
        key: at most three figures, which are left out of the sections.
        sections: the rest.
        reading: how to read it, paragraphs.
        columns, metrics: of ``metrics.parquet``, with their meanings.
        rows: what a row of that is.
        tables: shown above the sections.
    """

    question: str
    answer: Sequence[str]
    runs: Sequence[Run]
    key: Sequence[Figure | Slides]
    sections: Sequence[Section]
    reading: Sequence[str]
    columns: Sequence[tuple[str, str]]
    metrics: Sequence[tuple[str, str]]
    rows: str
    tables: Sequence[Table] = ()


class Press:
    """Draws figures into a directory and counts them.

    Args:
        target: of the report.
        most: figures there may be.
        tell: called with the number of figures drawn, and of all.
    """

    def __init__(self, target: Path, most: int, tell: Tell = silent):
        self._target, self._count = target, Count(most, tell)
        with writing(target):
            (target / "figures").mkdir(parents=True, exist_ok=True)

    def draw(self, specs: Iterable[Any], *arguments: Any, slug: str = "", **more: Any):
        """The figures of specs that hold something: ``(name, Figure)``, each in its two files."""
        makes = [lambda spec=spec: spec.draw(*arguments, **more) for spec in specs]
        for drawing in self._count.each(makes):
            yield drawing.name, self._save(drawing, slug)

    def _save(self, drawing: Drawing, slug: str) -> Figure | Slides:
        file = f"{slug}_{drawing.name}" if slug else drawing.name
        document = style.svg(drawing.figure)
        write_atomic(self._target / "figures" / f"{file}.svg", document)
        write_atomic(self._target / "figures" / f"{file}.png", style.png(drawing.figure))
        if drawing.moments:
            pictures = [
                (moment, then.alt, self._inline(style.svg(then.figure), f"{file}_{i}"))
                for i, (moment, then) in enumerate(drawing.moments)
            ]
            return Slides(file, drawing.title, drawing.caption, pictures)
        svg = self._inline(document, file)
        hover = json.dumps(drawing.hover, separators=(",", ":")) if drawing.hover else ""
        return Figure(file, drawing.title, drawing.caption, drawing.alt, svg, hover)

    @staticmethod
    def _inline(document: str, prefix: str) -> markupsafe.Markup:
        return markupsafe.Markup(style.inline(document, prefix))


def no_answer(run: Run) -> tuple[str]:
    """What stands in the place of an answer where no sentence can be made from the claims."""
    where = "The claims of this run are in the tables below"
    if run.claims and not any(claim.get("quantity") for claim in run.claims):
        where = "An older version recorded the claims of this run without what each is about. They"
        where += " are in the tables below, and `sigmaprop replay` repeats the run"
    return (f"{where}.",)


def write(target: Path, page: Page) -> None:
    """Writes ``report.html``. The same content gives the same bytes."""
    moved = {figure.id for figure in page.key}
    kept = [s._replace(figures=[f for f in s.figures if f.id not in moved]) for s in page.sections]
    page = page._replace(sections=[s for s in kept if s.figures or s.claims or s.tables or s.text])
    failing = [c for c in page.runs[0].claims if c.get("verdict") == "fails"]
    unsure = [c for c in page.runs[0].claims if c.get("verdict") == "not resolved"]
    place_of = {
        _key(claim): (section, section.figure_of.get(claim["study"], section.id))
        for section in page.sections
        for claim in section.claims
    }
    links = {key: anchor for key, (_, anchor) in place_of.items()}
    shown = [_section(section, page.runs, links) for section in page.sections]
    attention = claim_table(
        "Claims that fail or are not resolved", page.runs, failing + unsure, links
    )
    every = claim_table("All claims", page.runs, page.runs[0].claims, {})
    files = [
        ("config.json", data_uri("application/json", json.dumps(page.runs[0].config, indent=1)))
    ]
    if every.rows:
        files.append(("claims.csv", every.csv))
    if len(page.runs) > MOST_RUNS:
        more = f"Figures overlay the first {MOST_RUNS} of {len(page.runs)} runs."
        page = page._replace(answer=(*page.answer, more))
    text = (
        environment()
        .get_template("page.html.jinja")
        .render(
            page=page,
            title=title(page.runs),
            css=markupsafe.Markup(css()),
            script=markupsafe.Markup((Path(__file__).parent / "page.js").read_text()),
            options=_options(page.runs),
            attention=attention if attention.rows else None,
            sections=shown,
            counts=_counts(page.runs),
            files=files,
            commands=[(run.label, command(run)) for run in page.runs],
            machine=machine(page.runs[0].environment),
            environments=[
                (run.label or run.name, [(k, word(v)) for k, v in flat(run.environment).items()])
                for run in page.runs
            ],
        )
    )
    write_atomic(target / "report.html", text)


def _section(section: Section, runs: Sequence[Run], links: Mapping[Any, str]) -> dict[str, Any]:
    """A section with its claims as a table before its others."""
    worst = {"fails": 0, "not resolved": 1}
    claims = sorted(section.claims, key=lambda claim: worst.get(claim["verdict"], 2))
    tables = list(section.tables)
    if claims:
        tables.insert(0, claim_table(f"Claims: {section.heading}", runs, claims, links))
    return section._asdict() | {"tables": tables, "verdicts": section.verdicts}


def claim_table(
    caption: str, runs: Sequence[Run], claims: Sequence[dict[str, Any]], links: Mapping[Any, str]
) -> Table:
    """Claims as a table: what theory allows and expects, then a few columns for each run."""
    several = len({claim.get("objective") for claim in claims}) > 1
    headings = ["claim", "allowed range", "expected"]
    for run in runs:
        of = f" ({run.label})" if len(runs) > 1 else ""
        headings += [f"measured{of}", f"99% interval{of}", f"verdict{of}"]
    headings.append("sigma")
    own = [{_key(claim): claim for claim in run.claims if "claim" in claim} for run in runs[1:]]
    rows = []
    for claim in claims if claims and "claim" in claims[0] else ():
        text = f"{claim['objective']}: {claim['claim']}" if several else claim["claim"]
        row = [
            Cell(text, link=links.get(_key(claim), "")),
            Cell(allowed(claim["lowest"], claim["highest"]), "number", value=claim["lowest"]),
            _number(claim["expected"]),
        ]
        for one in (claim, *(known.get(_key(claim)) for known in own)):
            row += [Cell("–")] * 3 if one is None else _measured(one)
        low, high = (f"{claim[k]:.2g}" if claim[k] == claim[k] else "–" for k in _SIGMAS)
        row.append(
            Cell(low if low == high else f"{low} to {high}", "number", value=claim[_SIGMAS[0]])
        )
        rows.append(row)
    return Table(caption, headings, rows)


_SIGMAS = ("sigma_low", "sigma_high")


def _measured(claim: dict[str, Any]) -> list[Cell]:
    found = claim["measured"]
    return [
        _number(found["value"]),
        Cell(interval(found["low"], found["high"]), "number", value=found["low"]),
        verdict(claim["verdict"]),
    ]


def _number(value: float) -> Cell:
    return Cell(number(value), "number", value=value)


def verdict(kind: str) -> Cell:
    """A verdict with its mark, in its colour."""
    mark = (MARKS | _OF_ARMS).get(kind, "?")
    return Cell(f"{mark} {kind}", KINDS.get(kind, "open"))


_OF_ARMS = {"better": "✓", "worse": "✗", "equivalent": "=", "non-inferior": "≥"}
KINDS = {
    **{"holds": "holds", "fails": "fails", "better": "holds", "worse": "fails"},
    **{"equivalent": "holds", "non-inferior": "holds"},
}
"""Verdict -> the class that gives its colour; all others are open."""


def _key(claim: dict[str, Any]) -> tuple[str, str]:
    return str(claim.get("objective")), str(claim.get("claim"))


def _options(runs: Sequence[Run]) -> Table | None:
    """The options in which runs differ, a column a run."""
    if len(runs) < 2:
        return None
    configs = [flat(run.config) for run in runs]
    rows = [
        [Cell(f"--{name.replace('_', '-')}"), *(Cell(word(c.get(name))) for c in configs)]
        for name in differences(configs)
    ]
    return Table("Options that differ", ["option", *(run.name for run in runs)], rows)


def _counts(runs: Sequence[Run]) -> list[tuple[str, list[tuple[str, int, str]]]]:
    """Claims by verdict, a line a run."""
    lines = []
    for run in runs:
        kinds = [claim["verdict"] for claim in run.claims if "claim" in claim]
        found = [(f"{MARKS[k]} {plural(k, kinds.count(k))}", kinds.count(k), k) for k in MARKS]
        lines.append(
            (run.label, [(t, n, KINDS.get(k, "open")) for t, n, k in found] if kinds else [])
        )
    return lines


def slugs(names: Iterable[str], taken: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Every name with one of its own for anchors and files, other than those taken."""
    taken = set(taken)
    for name in dict.fromkeys(names):
        base = re.sub(r"[^A-Za-z0-9_.-]", "_", name)[:60].lstrip(".") or "objective"
        choices = (base if i == 0 else f"{base}-{i + 1}" for i in itertools.count())
        slug = next(choice for choice in choices if choice.lower() not in taken)
        taken.add(slug.lower())
        yield name, slug


TAKEN = ("answer", "attention", "sections", "reading", "columns", "environment", "data", "all")
"""Anchors of every page."""


def title(runs: Sequence[Run]) -> str:
    """Of a page."""
    names = ", ".join(run.label or run.name for run in runs)
    return f"sigmaprop {runs[0].command}: {names}"


def command(run: Run) -> str:
    """The config as the command that gives it; options left at None are left out.

    No words stand for a list of cells, which is read from the run.
    """
    words = ["sigmaprop", run.command]
    if run.config.get("cells"):
        return shlex.join([*words, "--config", run.name])
    for name, value in flat(run.config).items():
        if value is not None:
            words.append(f"--{name.replace('_', '-')}")
            words += map(str, value if isinstance(value, list) else [value])
    return shlex.join(words)


def machine(environment: Mapping[str, Any]) -> str:
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


def table_csv(headings: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    """A table as CSV: numbers as they are shown."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(headings)
    writer.writerows([cell.text for cell in row] for row in rows)
    return buffer.getvalue()


def data_uri(kind: str, content: str | bytes) -> str:
    """Content that a page carries inside."""
    raw = content.encode() if isinstance(content, str) else content
    return f"data:{kind};base64,{base64.b64encode(raw).decode()}"


def word(value: Any) -> str:
    """The value of an option as a command line writes it."""
    if isinstance(value, list):
        return shlex.join(map(str, value))
    return "default" if value is None else str(value)


@cache
def environment() -> jinja2.Environment:
    """Where templates are found, with the words that they use."""
    found = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    found.globals.update(count=count, plain=plain)
    return found


@cache
def css() -> str:
    """The style sheet of every page, with its colours."""
    text = (Path(__file__).parent / "page.css").read_text()
    light, dark = style.css_variables(0), style.css_variables(1)
    return text.replace("LIGHT", light, 1).replace("DARK", dark, 1)
