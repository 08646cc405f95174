"""Conclusions as tables for a terminal."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from sigmaprop.reporting.fmt import allowed, interval, number

if TYPE_CHECKING:
    from sigmaprop.statistics import Claim

MARKS = {"holds": "✓", "fails": "✗", "not resolved": "?"}
"""Symbol of every verdict."""
_STYLES = {"holds": "green", "fails": "bold red", "not resolved": "yellow"}
_ASCII = str.maketrans({"✓": "+", "✗": "x", "–": "-", "±": "+-"})
_INDENT = 4


def titled(title: str, **look: Any) -> Table:
    """A table below its title, as all commands print them."""
    left: dict[str, Any] = {"title_justify": "left", "title_style": "bold"}
    return Table(title=title, box=box.SIMPLE_HEAD, **left, **look)


class ClaimTable:
    """The claims about one objective: a row each, or lines of its own where that would not fit."""

    def __init__(self, name: str, claims: "Sequence[Claim]"):
        self.name = name
        self.claims = claims

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        ascii_only = options.ascii_only
        table = self._rows(ascii_only)
        if (
            console.measure(table, options=options.update(width=10_000)).maximum
            <= options.max_width
        ):
            yield table
            return
        yield Text(self.name, style="bold")
        for claim in self.claims:
            yield from _lines(claim, options.max_width, ascii_only)
        yield Text()

    def _rows(self, ascii_only: bool) -> Table:
        table = titled(self.name)
        table.add_column("claim", no_wrap=True)
        for heading in ("expected", "allowed", "measured", "99% interval"):
            table.add_column(heading, justify="right", no_wrap=True)
        table.add_column("verdict", no_wrap=True)
        for claim in self.claims:
            table.add_row(
                Text(claim.claim), *_numbers(claim, ascii_only), _verdict(claim, ascii_only)
            )
        return table


def claims_by_objective(claims: "Sequence[Claim]") -> Iterator[ClaimTable]:
    """One table an objective: claim, expected and allowed, measured with interval, verdict."""
    for name in dict.fromkeys(claim.objective for claim in claims):
        yield ClaimTable(name, [claim for claim in claims if claim.objective == name])


def summary(claims: "Sequence[Claim]") -> Text:
    """How many claims hold, fail and are not resolved, and which fail."""
    counts = {verdict: sum(c.verdict == verdict for c in claims) for verdict in _STYLES}
    text = Text(f"{len(claims)} {'claim' if len(claims) == 1 else 'claims'}: ")
    for i, (verdict, style) in enumerate(_STYLES.items()):
        text.append(", " if i else "")
        text.append(f"{counts[verdict]} {plural(verdict, counts[verdict])}", style=style)
    for claim in claims:
        if claim.verdict == "fails":
            text.append(f"\n  fails: {claim.objective}: {claim.claim}", style=_STYLES["fails"])
    return text


def plural(verdict: str, count: int) -> str:
    """A verdict as a verb for so many claims."""
    return verdict if count == 1 else {"holds": "hold", "fails": "fail"}.get(verdict, verdict)


def _lines(claim: "Claim", width: int, ascii_only: bool) -> RenderResult:
    """A claim on lines of its own, then its numbers on one or two."""
    first = Text.assemble((f"{_plain(MARKS[claim.verdict], ascii_only)} ", _STYLES[claim.verdict]))
    grid = Table.grid(padding=0)
    grid.add_column(width=2)
    grid.add_column()
    grid.add_row(first, Text(claim.claim))
    yield grid
    expected, range_, measured, spread = _numbers(claim, ascii_only)
    found = f"measured {measured}, 99% {spread}"
    if claim.measured.value != claim.measured.value:
        found = "not measured"
    elif not claim.measured.low < claim.measured.high:
        found = f"measured {measured}, no interval"
    theory = f"expected {expected}, allowed {range_},"
    ending = f"{found}: {claim.verdict}"
    between = " " if len(theory) + 1 + len(ending) + _INDENT <= width else "\n"
    numbers = Text(f"{theory}{between}{found}: ", style="dim")
    numbers.append(claim.verdict, style=f"not dim {_STYLES[claim.verdict]}")
    yield Padding(numbers, (0, 0, 0, _INDENT), expand=False)


def _numbers(claim: "Claim", ascii_only: bool) -> tuple[str, str, str, str]:
    """What is expected, what is allowed, what was measured, its interval."""
    measured = claim.measured
    expected, range_, value, spread = (
        _plain(text, ascii_only)
        for text in (
            number(claim.expected),
            allowed(claim.lowest, claim.highest),
            number(measured.value),
            interval(measured.low, measured.high),
        )
    )
    return expected, range_, value, spread


def _verdict(claim: "Claim", ascii_only: bool) -> Text:
    text = f"{MARKS[claim.verdict]} {claim.verdict}"
    return Text(_plain(text, ascii_only), style=_STYLES[claim.verdict])


def _plain(text: str, ascii_only: bool) -> str:
    """The text in ASCII where the terminal takes nothing else."""
    return text.translate(_ASCII) if ascii_only else text
