"""What ``sigmaprop bench`` says and keeps, once everything is measured."""

import json
import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import jax
from rich.table import Table

from sigmaprop import runs
from sigmaprop.reporting.fmt import interval, short
from sigmaprop.reporting.terminal import titled
from sigmaprop.runs.environment import environment, without_home

from ..results import pairs, record
from ..terminal import Terminal
from .neighbours import Neighbours
from .ratios import Found, Ratio


class Keep(NamedTuple):
    """What becomes of the numbers, beside their tables.

    Attributes:
        out: file for all of them as JSON.
        directory: of records.
        old: file and record to compare with.
    """

    out: Path | None = None
    directory: Path | None = None
    old: tuple[str, record.Record] | None = None


def finish(
    bench: str,
    command: str,
    found: Found,
    repeats: int,
    neighbours: Neighbours,
    keep: Keep,
) -> int:
    """Prints a table a section, and keeps what is to be kept.

    Args:
        bench: name of the benchmark.
        command: that repeats it.
        found: what it measured.
        repeats: in so many rounds.
        neighbours: begun before the work.
        keep: what becomes of it.

    Returns:
        0; 1 where a target is missed, or a number is worse than the one it is compared with.
    """
    terminal = Terminal()
    load = record.Load(
        neighbours.load_before, os.getloadavg(), os.cpu_count() or 1, neighbours.cores()
    )
    for title, ratios in found.sections.items():
        if ratios:
            terminal.print(table(ratios, title))
    for note in found.notes:
        terminal.say(note)
    terminal.say(
        f"load average {load.before[0]:.2f} before, {load.after[0]:.2f} after, on {load.cores} "
        f"cores, of which others kept {load.others:.2f} busy; "
        f"{jax.local_devices()[0].device_kind}; {repeats} interleaved repeats"
    )
    now = environment(None)
    made = record.Record(
        bench,
        record.system_of(now),
        record.code_of(now),
        command,
        f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        load,
        repeats,
        record.points_of(found),
        tuple(found.notes),
    )
    if keep.out is not None:
        runs.write_atomic(keep.out, json.dumps(_as_json(made, now), indent=1) + "\n")
        terminal.say(f"written: {keep.out}")
    if keep.directory is not None:
        terminal.say(f"record: {record.write(keep.directory, made)}")
    worse = keep.old is not None and _compare(terminal, *keep.old, made)
    missed = any(point.ratio.verdict == "missed" for point in made.points)
    return int(missed or worse)


def _as_json(made: record.Record, now: dict[str, Any]) -> dict[str, Any]:
    content = {
        "bench": made.bench,
        "command": made.command,
        "time": made.time,
        "ratios": record.points_as_json(made.points),
        "notes": list(made.notes),
        "load_average": made.load._asdict(),
        "repeats": made.repeats,
        "environment": now,
    }
    return without_home(content)


def _compare(terminal: Terminal, file: str, old: record.Record, new: record.Record) -> bool:
    """Prints what has changed; whether something is worse."""
    compared = pairs.compare(old, new)
    name = pairs.changed(old, new)
    terminal.print(changes(compared, f"compared with {Path(file).name}"))
    for sentence in compared.left:
        terminal.say(f"not compared: {sentence}")
    for sentence in compared.doubts:
        terminal.say(f"nothing is resolved: {sentence}")
    terminal.say(
        f"compared with {file}: {f'other {name}' if name else 'the same system and code'}; "
        f"intervals at {100 * compared.level:.4g}%, so that all hold together with 95%; better "
        f"and worse are changes of more than {100 * (pairs.MARGIN - 1):.0f}%"
    )
    return any(case.verdict == "worse" for case in compared.cases)


def changes(compared: pairs.Comparison, title: str) -> Table:
    """The cases of two records for people."""
    lines = titled(title)
    lines.add_column("what", overflow="fold")
    for heading in ("before", "now", "ratio", "interval"):
        lines.add_column(heading, justify="right", no_wrap=True)
    lines.add_column("verdict", no_wrap=True)
    for case in compared.cases:
        old, new = case.old.ratio, case.new.ratio
        low, high = case.ratio.low, case.ratio.high
        lines.add_row(
            new.what,
            *(short(value) for value in (old.median, new.median, case.ratio.value)),
            f"{short(low)} to {short(high)}" if low < high else interval(low, high),
            case.verdict,
        )
    return lines


def table(ratios: Sequence[Ratio], title: str) -> Table:
    """The ratios for people."""
    lines = titled(title)
    lines.add_column("what", overflow="fold")
    for heading in ("ratio", "quartiles", "seconds", "target"):
        lines.add_column(heading, justify="right", no_wrap=True)
    lines.add_column("verdict", no_wrap=True)
    for ratio in ratios:
        lines.add_row(ratio.what, *_cells(ratio))
    return lines


def _cells(ratio: Ratio) -> Iterator[str]:
    yield f"{ratio.median:.3g}"
    yield f"{ratio.low:.3g} to {ratio.high:.3g}"
    yield f"{ratio.seconds:.3g}" if ratio.seconds else "–"
    yield f"<= {ratio.target:g}" if ratio.target else "–"
    yield ratio.verdict or "–"
