"""Records as a table in Markdown, and its place in a page.

A row is a case with a target: what was measured, and beside it what it is compared with, which for
`bench gan` is the least time that the machine's own peaks allow. A page says where the table
stands, and which: ``<!-- speed: all -->``, or ``<!-- speed: first -->`` for the rows of `FIRST`
alone, up to ``<!-- end of speed -->``.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sigmaprop.names import shown
from sigmaprop.reporting.fmt import short
from sigmaprop.runs.files import RunError, read_regular, write_atomic

from ..bench.ratios import Ratio, compared_with
from .record import Record

FIRST: Mapping[str, Sequence[str]] = {
    "limit": ("quartic, 16 sigmas / jax.random.normal",),
    "gan": (
        "8 replicas / its products at the peak",
        "128 replicas / its products at the peak",
        "8 replicas / PyTorch eager's best",
        "8 replicas of all arms / of one",
    ),
}
"""What a reader is told first, by benchmark: names of ratios."""
WHICH = ("all", "first")
_PLACE = re.compile(r"(<!-- speed: (\w+) -->\n).*?(<!-- end of speed -->)", re.DOTALL)
_HEAD = "| what | takes | compared with | ratio | quartiles |\n|---|---|---|---|---|"
_UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns"))


class Row(NamedTuple):
    """One ratio of one record."""

    record: Record
    ratio: Ratio


def rows(records: Sequence[Record], which: str = "all") -> list[Row]:
    """The ratios with a target of the latest record of each benchmark on each system.

    Args:
        records: that nothing is refused of.
        which: one of `WHICH`.
    """
    latest: dict[tuple[str, str], Record] = {}
    for one in sorted(records, key=lambda record: record.time):
        latest[one.bench, str(one.system)] = one
    found = [
        Row(record, point.ratio)
        for record in sorted(latest.values(), key=lambda record: record.bench)
        for point in record.points
        if point.ratio.target is not None and point.ratio.unit == "s"
    ]
    if which == "all":
        return found
    return [row for row in found if row.ratio.what in FIRST.get(row.record.bench, ())]


def markdown(found: Sequence[Row]) -> str:
    """A table, with a line above it for each record."""
    records = list(dict.fromkeys(id(row.record) for row in found))
    each = [[row for row in found if id(row.record) == one] for one in records]
    return "\n".join(line for own in each for line in _of_record(own))


def place(path: Path, records: Sequence[Record]) -> None:
    """Writes the table into a page, where the page has its place.

    Raises:
        RunError: it has none, or asks for another table than there is.
    """
    text = read_regular(path).decode()
    asked = [match[2] for match in _PLACE.finditer(text)]
    if not asked:
        raise RunError(
            f"{path} has no place for a table; write <!-- speed: all --> where it begins and "
            "<!-- end of speed --> where it ends"
        )
    if unknown := [one for one in asked if one not in WHICH]:
        raise RunError(f"{path} asks for speed: {shown(unknown[0])}; give {' or '.join(WHICH)}")
    made = _PLACE.sub(lambda match: match[1] + markdown(rows(records, match[2])) + match[3], text)
    write_atomic(path, made)


def _of_record(own: Sequence[Row]) -> Iterator[str]:
    record = own[0].record
    device = record.system["device"]
    kind = f"{device['count']} x {device['kind']}"
    if device["kind"] == "cpu":
        kind = f"{record.system['cpu']['cores']} cores of {record.system['cpu']['model']}"
    versions = f"JAX {record.system['versions']['jax']}"
    yield f"`{record.command}`,"
    yield f"{kind}, {versions}, {record.time[:10]}; {record.repeats} repeats:"
    yield ""
    yield _HEAD
    yield from (_line(row.ratio) for row in own)
    yield ""


def _line(ratio: Ratio) -> str:
    bound = float(np.median(compared_with(ratio)))
    cells = [ratio.what.replace("|", "\\|"), _time(ratio.seconds), _time(bound)]
    cells += [short(ratio.median), f"{short(ratio.low)} to {short(ratio.high)}"]
    return f"| {' | '.join(cells)} |"


def _time(seconds: float) -> str:
    """Seconds in a unit of at most four digits."""
    size, unit = next((one for one in _UNITS if seconds >= one[0]), _UNITS[-1])
    return f"{short(seconds / size)} {unit}"
