"""Conclusions as tables for a terminal."""

from collections.abc import Iterator, Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from sigmaprop.conclusions import Claim

_STYLES = {"holds": "green", "fails": "bold red", "not resolved": "yellow"}
_MARKS = {"holds": "✓ holds", "fails": "✗ fails", "not resolved": "? not resolved"}


def claims_by_objective(claims: Sequence[Claim]) -> Iterator[Table]:
    """One table an objective: claim, expected, measured with its interval, verdict."""
    for name in dict.fromkeys(claim.objective for claim in claims):
        table = Table(title=name, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
        table.add_column("claim", ratio=1)
        for heading in ("expected", "measured", "99% interval"):
            table.add_column(heading, justify="right", no_wrap=True)
        table.add_column("verdict", no_wrap=True)
        for claim in claims:
            if claim.objective == name:
                table.add_row(*_row(claim))
        yield table


def summary(claims: Sequence[Claim]) -> Text:
    """How many claims hold, fail and are not resolved, and which fail."""
    counts = {verdict: sum(c.verdict == verdict for c in claims) for verdict in _STYLES}
    text = Text(f"{len(claims)} claims: ")
    for i, (verdict, style) in enumerate(_STYLES.items()):
        text.append(", " if i else "")
        text.append(f"{counts[verdict]} {verdict if verdict != 'holds' else 'hold'}", style=style)
    for claim in claims:
        if claim.verdict == "fails":
            text.append(f"\n  fails: {claim.objective}: {claim.claim}", style=_STYLES["fails"])
    return text


def number(value: float) -> str:
    """Five significant digits, or a dash for what is not known."""
    return "–" if value != value else f"{value:.5g}"


def _row(claim: Claim) -> tuple[str, str, str, str, Text]:
    low, high = number(claim.measured.low), number(claim.measured.high)
    interval = "–" if low == "–" else f"[{low}, {high}]"
    verdict = Text(_MARKS[claim.verdict], style=_STYLES[claim.verdict])
    return claim.claim, number(claim.expected), number(claim.measured.value), interval, verdict
