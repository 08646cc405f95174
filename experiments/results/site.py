"""One page of records: comparable pairs with intervals, and every record with its command."""

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import markupsafe
import numpy as np

from sigmaprop.reporting import page
from sigmaprop.reporting.fmt import count, short
from sigmaprop.reporting.page import Cell, Table
from sigmaprop.runs.files import RunError, write_atomic
from sigmaprop.statistics import LEVEL, Interval

from ..bench.ratios import Ratio, by_round
from . import pairs
from .check import Checked
from .record import SYSTEMS, Record, identity

FILE = "index.html"
_SCRIPT = Path(page.__file__).with_name("page.js")
_READING = (
    "Times of all programs of a measurement are taken in turns, round by round. A number is the "
    "median of its ratio over rounds, with quartiles; the interval is that of the geometric mean "
    "over rounds, by Student's t.",
    "Two records are comparable if at most one of four things differs: machine, versions, flags, "
    "code. A case is compared if its sizes and the versions of its peers are the same in both.",
    "Now / before is the geometric mean of the ratio over rounds. The intervals of a pair of "
    "records hold together with 95%. They know the spread within two runs; what changes from one "
    f"run to another they do not, so better and worse are whole intervals beyond "
    f"{pairs.MARGIN:g} times.",
    "There are no ranks: what is not in a table of pairs cannot be compared.",
    "Every number is a link to its record, which has the command and, inside this page, the file "
    "with all raw times.",
)


class Shown(NamedTuple):
    """A record as the page has it.

    Attributes:
        id: its anchor.
        file: its name below the directory.
        uri, system_uri: the files inside the page.
    """

    id: str
    file: str
    record: Record
    uri: str
    system_uri: str


def write(directory: Path, out: Path, found: Checked) -> Path:
    """Writes the page.

    Args:
        directory: of records.
        out: directory for the page.
        found: what `check` says of them.

    Returns:
        Its file. The same records give the same bytes.

    Raises:
        RunError: it cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(
            f"--out {out} cannot be written ({error.strerror}); choose another directory"
        ) from error
    shown = sorted(
        (_shown(directory, file, one) for file, one in found.sound.items()),
        key=lambda one: (one.record.bench, one.record.time, one.file),
    )
    compared, apart = _pairs(shown)
    text = (
        page.environment()
        .get_template("records.html.jinja")
        .render(
            title="How fast is sigmaprop, and where?",
            css=markupsafe.Markup(page.css()),
            script=markupsafe.Markup(_SCRIPT.read_text(encoding="utf-8")),
            answer=list(_answer(shown, compared, found)),
            pairs=compared,
            apart=apart,
            records=[_record(one) for one in shown],
            refused=found.refusals,
            reading=_READING,
        )
    )
    write_atomic(out / FILE, text)
    return out / FILE


def _shown(directory: Path, file: str, record: Record) -> Shown:
    system = directory / SYSTEMS / f"{identity(record.system)}.json"
    uris = (page.data_uri("application/json", p.read_bytes()) for p in (directory / file, system))
    return Shown(f"record-{Path(file).stem}", Path(file).name, record, *uris)


def _answer(
    shown: Sequence[Shown], compared: Sequence[Mapping[str, Any]], found: Checked
) -> Iterator[str]:
    systems = {identity(one.record.system) for one in shown}
    yield f"{count(len(shown), 'record')} of benchmarks on {count(len(systems), 'system')}."
    verdicts = Counter(verdict for one in compared for verdict in one["verdicts"])
    told = ", ".join(f"{number} {verdict}" for verdict, number in sorted(verdicts.items()))
    if compared:
        yield f"{count(len(compared), 'pair')} of them can be compared: {told or 'no case'}."
    else:
        yield "No two of them can be compared, so each stands for itself."
    if found.refusals:
        yield f"{count(len(found.refused), 'record')} left out, for the reasons below."


def _pairs(shown: Sequence[Shown]) -> tuple[list[dict[str, Any]], list[str]]:
    """Comparable pairs, and why others are none."""
    compared, apart = [], []
    for old, new in itertools.combinations(shown, 2):
        if old.record.bench != new.record.bench:
            continue
        if why := pairs.obstacle(old.record, new.record):
            apart.append(f"{old.file} and {new.file} are not compared: {why}.")
        else:
            compared.append(_pair(old, new))
    return compared, apart


def _pair(old: Shown, new: Shown) -> dict[str, Any]:
    a, b = old.record, new.record
    found = pairs.compare(a, b)
    (name, *_) = [
        *pairs.differing(pairs.parts(a.system, a.code), pairs.parts(b.system, b.code)),
        "",
    ]
    verdicts = [case.verdict for case in found.cases]
    counts = Counter(verdicts)
    return {
        "id": f"pair-{old.id}-{new.id}",
        "heading": f"bench {a.bench}: {f'other {name}' if name else 'once more'}",
        "counts": ", ".join(f"{number} {kind}" for kind, number in sorted(counts.items())),
        "about": f"{_change(name, a, b)} Intervals at {100 * found.level:.4g}%.",
        "old": old,
        "new": new,
        "tables": list(_tables(found.cases, old, new)),
        "left": found.left,
        "verdicts": verdicts,
    }


def _tables(cases: Sequence[pairs.Compared], old: Shown, new: Shown) -> Iterator[Table]:
    """The cases of a pair, a table a section."""
    headings = ("what", "before", "now", "now / before", "interval", "verdict", "good end")
    for title in dict.fromkeys(case.new.section for case in cases):
        own = [_case(case, old.id, new.id) for case in cases if case.new.section == title]
        yield Table(title, headings, own)


def _change(name: str, old: Record, new: Record) -> str:
    """What differs, in words."""
    if not name:
        return "Nothing differs but the hour."
    before, now = (pairs.parts(one.system, one.code)[name] for one in (old, new))
    told = [
        f"{key} was {_value(before.get(key))} and is {_value(now.get(key))}"
        for key in sorted(before.keys() | now.keys())
        if before.get(key) != now.get(key)
    ]
    return f"The {name} differs: {'; '.join(told) or 'it has uncommitted changes'}."


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {one}" for name, one in value.items())
    text = "unset" if value is None else str(value)
    return text[:12] if len(text) == 40 else text


def _case(case: pairs.Compared, old: str, new: str) -> list[Cell]:
    before, now = case.old.ratio, case.new.ratio
    return [
        Cell(now.what),
        _number(before.median, old),
        _number(now.median, new),
        _number(case.ratio.value, new),
        _interval(case.ratio, new),
        Cell(case.verdict) if case.verdict in pairs.WAYS else page.verdict(case.verdict),
        Cell("–" if now.better == "neither" else now.better),
    ]


def _record(one: Shown) -> dict[str, Any]:
    record = one.record
    environment = {**record.system, "versions": {**record.system["versions"], **record.code}}
    sections = dict.fromkeys(point.section for point in record.points)
    return {
        "id": one.id,
        "file": one.file,
        "heading": f"bench {record.bench}, {record.time[:16].replace('T', ' ')}",
        "machine": page.machine(environment),
        "command": record.command,
        "uri": one.uri,
        "system": identity(record.system),
        "system_uri": one.system_uri,
        "facts": list(_facts(record)),
        "tables": [_table(title, one) for title in sections],
        "notes": record.notes,
    }


def _facts(record: Record) -> Iterator[tuple[str, str]]:
    yield "ended", record.time
    yield "repeats", str(record.repeats)
    load = record.load
    others = "" if load.others is None else f", of which others kept {load.others:.2f} busy"
    said = f"{load.before[0]:.2f} before, {load.after[0]:.2f} after, {load.cores} cores{others}"
    yield "load", said
    dirty = " with uncommitted changes" if record.code.get("dirty") else ""
    yield "code", f"{record.code.get('sigmaprop')}, {record.code.get('commit')}{dirty}"
    versions = record.system["versions"]
    yield "versions", ", ".join(f"{name} {version}" for name, version in versions.items())
    flags = record.system["flags"]
    yield "flags", " ".join(f"{name}={value}" for name, value in flags.items()) or "none"


def _table(title: str, one: Shown) -> Table:
    link = f"{one.id}-command"
    rows = [_row(point.ratio, link) for point in one.record.points if point.section == title]
    level = f"{100 * LEVEL:g}% interval"
    headings = ("what", "median", "quartiles", level, "seconds", "target", "verdict", "sizes")
    return Table(title, headings, rows)


def _row(ratio: Ratio, link: str) -> list[Cell]:
    values = by_round(ratio)
    mean = pairs.change(values, np.ones_like(values), LEVEL)
    kind = {"met": "holds", "missed": "fails"}.get(ratio.verdict, "open" if ratio.verdict else "")
    sizes = ", ".join(f"{name} {value}" for name, value in ratio.sizes.items())
    peers = ", ".join(f"{name} {version}" for name, version in ratio.peers.items())
    return [
        Cell(ratio.what),
        _number(ratio.median, link),
        _range(ratio.low, ratio.high, link) if len(values) > 1 else _range(1, 0, link),
        _interval(mean, link),
        _number(ratio.seconds or np.nan, link),
        Cell("–" if ratio.target is None else f"≤ {ratio.target:.3g}", "number"),
        Cell(ratio.verdict or "–", kind),
        Cell("; ".join(filter(None, (sizes, peers))) or "–", "muted"),
    ]


def _number(value: float, link: str) -> Cell:
    return Cell(short(value), "number", link, value) if value == value else Cell("–", "number")


def _interval(found: Interval, link: str) -> Cell:
    return _range(found.low, found.high, link)


def _range(low: float, high: float, link: str) -> Cell:
    """From one number to another; a dash where there is no interval."""
    if not low < high:
        return Cell("–", "number")
    return Cell(f"{short(low)} to {short(high)}", "number", link, low)
