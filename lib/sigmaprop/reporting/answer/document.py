"""The answer as a page of docs/, as a page of HTML, and as the beginning of the README."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import markupsafe

from sigmaprop.generators.scores import known
from sigmaprop.reporting import page, style
from sigmaprop.reporting.answer import advice, explorable, figures, markdown, sentences, tables
from sigmaprop.reporting.answer.findings import Block, Findings
from sigmaprop.reporting.canvas import Drawing
from sigmaprop.reporting.fmt import count, percent, short
from sigmaprop.reporting.page import Figure, Table

BEGIN, END = "<!-- answer: made by `make answer` -->", "<!-- end of answer -->"
"""What stands around the answer in the README."""
PICTURES = ("sine_bias.png", "estimators_learning_sigma.png")
"""Figures of docs/figures that the page shows beside its own."""
_DATA = {
    "digits": "digits of 8 x 8 pixels",
    "fashion_mnist": "Fashion-MNIST",
    "ring": "a ring of Gaussians",
    "grid": "a grid of Gaussians",
    "linear_gaussian": "planes with Gaussian noise",
}
_SCRIPT = Path(page.__file__).with_name("page.js")
_TITLE = "Does it help to learn the variance of a GAN's generator?"
_HTML = "The [same page as HTML](answer.html) has two pictures that move."
_MARKDOWN = "The same page without its moving pictures is [answer.md](answer.md)."


class Document(NamedTuple):
    """What is made.

    Attributes:
        markdown: docs/answer.md.
        html: docs/answer.html.
        readme: README.md.
        figures: SVG files by their path below the checkout.
    """

    markdown: str
    html: str
    readme: str
    figures: Mapping[str, str]

    def files(self) -> dict[str, str]:
        """All of them by their path below the checkout."""
        pages = {"docs/answer.md": self.markdown, "docs/answer.html": self.html}
        return pages | {"README.md": self.readme} | dict(self.figures)


def document(found: Findings, root: Path) -> Document:
    """Everything that is made from a study.

    Args:
        found: the study.
        root: of the checkout, whose figures are shown and whose README is changed.

    Raises:
        ValueError: the README does not have its two marks.
    """
    with style.style():
        drawn = {spec.name: spec.draw(found) for spec in figures.ALL}
        files = {name: style.svg(one.figure) for name, one in drawn.items() if one is not None}
    shown = {name: _figure(drawn[name], text) for name, text in files.items()}
    made = _tables(found)
    return Document(
        _as_markdown(found, made, shown),
        _as_html(found, made, shown, root / "docs" / "figures"),
        readme((root / "README.md").read_text(encoding="utf-8"), found),
        {f"docs/figures/{name}.svg": text for name, text in files.items()},
    )


def _figure(one: Drawing | None, text: str) -> Figure:
    """A drawing inside the page."""
    assert one is not None
    svg = markupsafe.Markup(style.inline(text, one.name))
    hover = json.dumps(one.hover, separators=(",", ":")) if one.hover else ""
    return Figure(one.name, one.title, one.caption, one.alt, svg, hover)


def readme(text: str, found: Findings) -> str:
    """The README with the answer between its marks.

    Raises:
        ValueError: it does not have them.
    """
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"README.md needs the lines {BEGIN!r} and {END!r}, once each")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    drawn = figures.TESTED.rows(found) is not None
    three = sentences.answer(found, brief=True)
    datasets = sentences.listed(_datasets(found.blocks))
    body = _render("readme.md.jinja", sentences=three, picture=drawn, datasets=datasets)
    return f"{before}{BEGIN}\n{markdown.wrapped(body)}{END}{after}"


def _as_markdown(found: Findings, made: Mapping[str, Table], shown: Mapping[str, Figure]) -> str:
    def figure(name: str) -> str:
        one = shown.get(name)
        return f"![{one.title}](figures/{name}.svg)\n\n{one.caption}" if one else ""

    return markdown.wrapped(
        _filled(
            found,
            other=_HTML,
            table=lambda name: markdown.table(made[name]),
            figure=figure,
            picture=lambda file, title, caption: f"![{title}](figures/{file})\n\n{caption}",
            explorable=lambda panel: "",
        )
    )


def _as_html(
    found: Findings, made: Mapping[str, Table], shown: Mapping[str, Figure], folder: Path
) -> str:
    parts: dict[str, Callable[[], str]] = {}

    def part(kind: str, name: str, make: Callable[[], str]) -> str:
        parts[f"{kind}:{name}"] = make
        return f"<!-- {kind}:{name} -->"

    def picture(file: str, title: str, caption: str) -> str:
        return part("picture", file, lambda: _picture(folder / file, title, caption))

    macros: Any = page.environment().get_template("parts.html.jinja").module
    text = _filled(
        found,
        other=_MARKDOWN,
        table=lambda name: part("table", name, lambda: macros.table_of(made[name])),
        figure=lambda name: (
            part("figure", name, lambda: macros.drawing(shown[name])) if name in shown else ""
        ),
        picture=picture,
        explorable=lambda panel: part("panel", panel, lambda: explorable.fragment(panel)),
    )
    return (
        page.environment()
        .get_template("answer/answer.html.jinja")
        .render(
            title=_TITLE,
            css=markupsafe.Markup(page.css()),
            script=markupsafe.Markup(_SCRIPT.read_text(encoding="utf-8")),
            content=markdown.html(text, parts),
        )
    )


def _picture(path: Path, title: str, caption: str) -> str:
    """An image that the page carries inside."""
    source = page.data_uri("image/png", path.read_bytes())
    return (
        f'<figure><div class="sheet" tabindex="0"><img src="{source}" '
        f'alt="{markupsafe.escape(title)}"></div>'
        f"<figcaption>{markdown.inline(caption)}</figcaption></figure>"
    )


def _tables(found: Findings) -> dict[str, Table]:
    fixed = {
        "slopes": tables.slopes(found),
        "hypotheses": tables.hypotheses(found),
        "unasked": tables.unasked(found),
        "tests": tables.tests(found),
        "advice": advice.table(found),
        "planned": tables.planned(found),
        "changes": tables.changes(found),
        "ends": tables.ends(found),
        "runs": tables.runs(found),
    }
    blocks = {block.name: tables.arms(block) for block in found.blocks}
    own = {one["name"]: tables.likelihoods(one) for one in found.result["likelihoods"]}
    return fixed | blocks | own


def _filled(found: Findings, **parts: Any) -> str:
    """The text of the page, with its numbers."""
    first = found.ledger[0]
    held = [one["verdict"] for one in found.limit]
    return _render(
        "answer.md.jinja",
        sentences=sentences.answer(found),
        claims={
            "total": len(held),
            "functions": len({one["objective"] for one in found.limit}),
            "holds": held.count("holds"),
            "fails": held.count("fails") or "none",
        },
        claim=lambda *name: f"{found.claim(*name)['measured']['value']:.3f}",
        margin=f"{found.result['margin']:g}",
        levels=_levels(found),
        elsewhere=_elsewhere(found),
        searched=sentences.listed(_searched(found)),
        falling=_falling(found),
        first=first["registration"][:12],
        spread=_spread,
        gap=f"{tables.WIDE_GAP:g}",
        unasked=bool(tables.unasked(found).rows),
        blocks=found.blocks,
        datasets=sentences.listed(_datasets(found.blocks)),
        alike=tables.alike,
        baselines=sentences.baselines(found),
        place=found.place,
        ends=bool(tables.ends(found).rows),
        likelihoods=found.result["likelihoods"],
        gates=_gates(found),
        machine=page.machine(found.environment),
        preset=found.preset,
        detectable=_detectable(found),
        registration=f"`{first['registration'][:12]}`",
        begun=tables.moment(first["time"]),
        commit=f"`{(first['git'].get('commit') or 'unknown')[:12]}`",
        amended=_times(len(found.events("amended"))),
        deviated=sentences.listed(one.name for one in found.hypotheses if one.verdict == "DEVIATED")
        if any(one.verdict == "DEVIATED" for one in found.hypotheses)
        else "",
        counted=_counted(found),
        **parts,
    )


def _render(name: str, **values: Any) -> str:
    environment: jinja2.Environment = page.environment().overlay(autoescape=False)
    return environment.get_template(f"answer/{name}").render(**values)


def _levels(found: Findings) -> str:
    """The levels of all intervals."""
    levels = {test["level"] for one in found.hypotheses for test in one.asked}
    if not levels:
        return "none was measured"
    low, high = (percent(level) for level in (min(levels), max(levels)))
    return low if low == high else f"{low} to {high}"


def _searched(found: Findings) -> list[str]:
    """The blocks whose arms were tuned."""
    return [one.name for one in found.blocks if found.searched(one.name)] or ["no block"]


def _elsewhere(found: Findings) -> str:
    """The registered tests on blocks of other presets."""
    run = {*found.preset["blocks"]}
    left = [test["block"] for test in found.tests() if test["block"] not in run]
    if not left:
        return ""
    return f" ({len(left)}, on {sentences.listed(dict.fromkeys(left))})"


def _falling(found: Findings) -> tuple[int, int] | None:
    """How many learned sigmas still fell where samples were compared, and of how many."""
    arms = [arm for block in found.blocks if block.of_samples for arm in block.arms if arm.learns]
    falling = sum(arm.moves == "falling" for arm in arms)
    return (falling, len(arms)) if falling else None


def _spread(one: Mapping[str, Any]) -> str:
    """Between which log-likelihoods the arms lie once all have a sigma that suits them."""
    values = [known(arm["refitted"]["log_likelihood"]["value"]) for arm in one["arms"]]
    values = [value for value in values if value == value]
    if not values:
        return ""
    return (
        f"With sigma refitted the arms lie between {short(min(values))} and {short(max(values))}."
    )


def _datasets(blocks: Sequence[Block]) -> list[str]:
    names = dict.fromkeys(_DATA.get(one.dataset, one.dataset) for one in blocks)
    return list(names) or ["nothing"]


def _gates(found: Findings) -> str:
    """Whether the metric was let through wherever arms were compared."""
    reasons = [why for one in found.hypotheses for test in one.tests for why in test["reasons"]]
    if any(why.startswith("the metric's gate") for why in reasons):
        return "which did not pass its gates everywhere: see the tests that could not be asked"
    return (
        "which passed its gates: it prefers no other scale than the right one, and sees the finest "
        "scale of the data"
    )


def _detectable(found: Findings) -> str:
    """The least effect that a test of learning could have seen."""
    tests = [test for name in sentences.LEARNED for test in found.hypothesis(name).asked]
    values = [known(test["detectable"]) for test in tests]
    values = [value for value in values if value == value]
    return short(min(values)) if values else ""


def _times(number: int) -> str:
    return {0: "", 1: "once", 2: "twice"}.get(number, f"{number} times")


def _counted(found: Findings) -> str:
    """Every run by what it counts for, and the replicas that diverged."""
    counted = found.result["runs"]
    begun = len({line["run"] for line in found.events("started")})
    parts = [f"{len(counted[kind])} {kind}" for kind in tables.COUNTED]
    parts[0] = f"{len(counted['used'])} {'is' if len(counted['used']) == 1 else 'are'} used"
    return (
        f"Of {count(begun, 'run')} that were begun {', '.join(parts[:-1])} and {parts[-1]}; "
        f"{counted['diverged']} of {counted['replicas']} trained generators of the comparisons "
        "diverged, and none was left out."
    )
