"""Which records are refused, and why, a sentence each.

A record is believed if everything that it says follows from its raw times, on a machine that had
cores to spare, and if what is called one case is one problem wherever it was measured.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from sigmaprop.runs.environment import without_home
from sigmaprop.runs.files import RunError, read_json

from ..bench.ratios import Ratio, measured
from .record import POINTS, SYSTEMS, Load, Record, identity, read

FEWEST_REPEATS = 3
MOST_OF_OTHERS = 0.05
"""Share of the machine's cores that others may keep busy, on average, while a benchmark runs."""
_RELATIVE = 1e-9
"""By which a number may differ from the re-computation: sums in another order, never digits that
are shown."""


class Refusal(NamedTuple):
    """One reason why a record is refused: the file below the directory, and a sentence."""

    file: str
    why: str


class Checked(NamedTuple):
    """What a directory holds.

    Attributes:
        files: all of its records.
        records: by file, those that could be read; the refused ones too.
        refusals: in the order of files.
    """

    files: list[str]
    records: dict[str, Record]
    refusals: list[Refusal]

    @property
    def refused(self) -> set[str]:
        """Files of which something is refused."""
        return {one.file for one in self.refusals}

    @property
    def sound(self) -> dict[str, Record]:
        """The records that are not refused."""
        return {file: one for file, one in self.records.items() if file not in self.refused}


def check(directory: Path) -> Checked:
    """Reads and checks all records of a directory.

    Raises:
        RunError: it has none.
    """
    files = sorted((directory / POINTS).glob("*.json"))
    if not files:
        raise RunError(
            f"{directory} has no records (no {POINTS}/*.json); `sigmaprop bench limit --record "
            "DIR` writes one"
        )
    records: dict[str, Record] = {}
    refusals = []
    for path in files:
        name = path.relative_to(directory).as_posix()
        try:
            records[name] = read(path)
        except RunError as error:
            refusals.append(Refusal(name, str(error)))
            continue
        every = (*faults(records[name]), *_private(records[name], path))
        refusals += [Refusal(name, why) for why in every]
    refusals += _unequal(records)
    names = [path.relative_to(directory).as_posix() for path in files]
    return Checked(names, records, sorted(refusals))


def faults(record: Record) -> Iterator[str]:
    """What is wrong with a record by itself."""
    if record.repeats < FEWEST_REPEATS:
        yield f"repeats = {record.repeats}; at least {FEWEST_REPEATS} are needed"
    yield from _of_load(record.load)
    seen = set()
    for point in record.points:
        if point.case in seen:
            yield f"{point.case!r} is there twice"
        seen.add(point.case)
        yield from (f"{point.case!r} {why}" for why in _of_ratio(point.ratio, record.repeats))


def _of_load(load: Load) -> Iterator[str]:
    """Why the machine was not quiet; of an older record by its load averages, which know less."""
    if load.others is not None:
        if load.others > MOST_OF_OTHERS * load.cores:
            yield (
                f"others kept {load.others:.2f} of the machine's {load.cores} cores busy, more "
                f"than {MOST_OF_OTHERS:.0%} of them; measure on a quiet one"
            )
        return
    before, after = load.before[0], load.after[0]
    if max(before, after) > load.cores:
        yield (
            f"the load average was {before:.2f} before and {after:.2f} after it, above the "
            f"machine's {load.cores} cores: others slowed it down; measure on a quiet one"
        )


def _private(record: Record, path: Path) -> Iterator[str]:
    """Files of a record that say whose machine it was."""
    system = path.parents[1] / SYSTEMS / f"{identity(record.system)}.json"
    for file in (path, system):
        content = read_json(file)
        if without_home(content) != content:
            yield f"{file.name} names a home directory, which is private"


def _of_ratio(ratio: Ratio, repeats: int) -> Iterator[str]:
    """What is wrong with one number."""
    needed = 1 if ratio.unit == "MiB" else repeats
    for term in (*ratio.above, *ratio.below):
        if len(term.values) != needed:
            yield f"has {len(term.values)} raw values of {term.what!r}, not {needed}"
            return
        if not all(value > 0 for value in term.values):
            yield f"has a raw value of {term.what!r} that is not above 0"
            return
    again = measured(ratio)
    for name in ("median", "low", "high", "seconds"):
        told, found = getattr(ratio, name), getattr(again, name)
        if not math.isclose(told, found, rel_tol=_RELATIVE):
            yield f"says {name} = {told:.6g}, but its raw times give {found:.6g}"
    if ratio.verdict != again.verdict:
        yield f"says {ratio.verdict!r}, but its raw times give {again.verdict!r}"


def _unequal(records: dict[str, Record]) -> Iterator[Refusal]:
    """Cases that are other problems than the first record of the same name."""
    first: dict[tuple[str, str], tuple[str, Ratio]] = {}
    for file, record in records.items():
        for point in record.points:
            key = record.bench, point.case
            where, known = first.setdefault(key, (file, point.ratio))
            if dict(point.ratio.sizes) != dict(known.sizes):
                ours, theirs = (_sizes(one) for one in (point.ratio, known))
                yield Refusal(
                    file,
                    f"{point.case!r} has sizes {ours}, but {theirs} in {where}: these are two "
                    "cases; keep them in two directories",
                )


def _sizes(ratio: Ratio) -> str:
    return ", ".join(f"{name} = {value}" for name, value in ratio.sizes.items()) or "none"
