"""Two runs of a benchmark, compared by their repeats.

Two records are comparable if at most one of four things differs: the machine, the versions, the
flags, or the code; else nobody could say which of them made the difference. Of comparable records
those numbers are compared whose case, sizes, unit and peers are the same.

A verdict is of the interval of the ratio: of the mean logarithm of new / old, whose rounds are
paired in their order, by Student's t, at a level at which the intervals of all cases of a pair of
records hold together. The interval knows the spread within two runs and not what changes from one
run to another, so only what lies wholly outside of `MARGIN` is called better or worse.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sigmaprop.runs.files import RunError
from sigmaprop.statistics import ALPHA, Interval, beyond, log_ratio

from ..bench.ratios import Better, Ratio, by_round
from .check import faults
from .record import POINTS, Point, Record, code_of, read, read_out, system_of

MARGIN = 1.05
"""Ratios from 1 / MARGIN to MARGIN are those of a machine to itself at another hour."""
_TINY = float(np.finfo(np.float64).tiny)
WAYS = ("smaller", "larger")
"""Verdicts on what has no good end."""
_UNKNOWN = "not resolved"


class Compared(NamedTuple):
    """One case in two records.

    Attributes:
        old, new: the number in each.
        ratio: new / old, a geometric mean over rounds, with its interval; no interval (NaN) of
            what was taken once, and no ratio of what is not above 0 in every round.
        verdict: "better", "worse" ("larger", "smaller" of what has no good end), "equivalent", or
            "not resolved".
    """

    old: Point
    new: Point
    ratio: Interval
    verdict: str


class Comparison(NamedTuple):
    """Two records.

    Attributes:
        level: of each interval.
        cases: that could be compared.
        left: sentences on those that could not.
        doubts: why one of the records is refused; nothing is resolved then.
    """

    level: float
    cases: list[Compared]
    left: list[str]
    doubts: list[str]


def parts(system: Mapping[str, Any], code: Mapping[str, Any]) -> dict[str, Any]:
    """What may differ between two runs, in four parts."""
    machine = {name: system[name] for name in ("device", "cpu", "platform")}
    return {
        "machine": machine,
        "versions": system["versions"],
        "flags": system["flags"],
        "code": dict(code),
    }


def differing(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    """Which of `parts` differ; code with uncommitted changes differs from all other."""
    names = [name for name in a if a[name] != b[name]]
    changed = a["code"].get("dirty") or b["code"].get("dirty")
    return [*names, "code"] if changed and "code" not in names else names


def changed(old: Record, new: Record) -> str:
    """The part that differs between two comparable records, empty where none does."""
    names = differing(parts(old.system, old.code), parts(new.system, new.code))
    return names[0] if names else ""


def obstacle(a: Record, b: Record) -> str | None:
    """Why two records are not comparable, None where they are."""
    if a.bench != b.bench:
        return f"they are of `bench {a.bench}` and of `bench {b.bench}`"
    return _obstacle(a, b.system, b.code)


def compare(old: Record, new: Record) -> Comparison:
    """Compares two records that have no `obstacle`, case by case."""
    before, now = ({point.case: point for point in one.points} for one in (old, new))
    both = [case for case in now if case in before]
    left = [f"{case}: in one of the two only" for case in before.keys() ^ now.keys()]
    fitting = []
    for case in both:
        if why := _unlike(before[case].ratio, now[case].ratio):
            left.append(f"{case}: {why}")
        else:
            fitting.append(case)
    level = 1 - ALPHA / max(1, len(fitting))
    cases = [_compared(before[case], now[case], level) for case in fitting]
    doubts = [*faults(old), *faults(new)]
    if doubts:
        cases = [case._replace(verdict=_UNKNOWN) for case in cases]
    return Comparison(level, cases, sorted(left), doubts)


def standard(path: Path, bench: str, environment: Mapping[str, Any]) -> tuple[str, Record]:
    """What a benchmark that is about to run here will be compared with.

    Args:
        path: a directory of records, of which the latest comparable one is taken, or a file that
            ``bench --out`` or ``--record`` wrote.
        bench: name of the benchmark.
        environment: of this process.

    Returns:
        Its file and the record.

    Raises:
        RunError: there is none, or none that is comparable.
    """
    if (path / POINTS).is_dir():
        found = [(str(file), read(file)) for file in sorted((path / POINTS).glob("*.json"))]
        found = [(file, one) for file, one in found if one.bench == bench]
    else:
        one = read(path) if path.parent.name == POINTS else read_out(path)
        found = [(str(path), one)] if one.bench == bench else []
    if not found:
        raise RunError(f"--compare {path} has no record of `bench {bench}`; give another")
    system, code = system_of(environment), code_of(environment)
    why = {file: _obstacle(one, system, code) for file, one in found}
    for file, one in found:
        why[file] = why[file] or next(faults(one), None)
    usable = [(file, one) for file, one in found if why[file] is None]
    if not usable:
        reasons = "; ".join(f"{Path(file).name}: {reason}" for file, reason in why.items())
        raise RunError(f"--compare {path} has nothing to compare this run with: {reasons}")
    return max(usable, key=lambda one: one[1].time)


def _obstacle(a: Record, system: Mapping[str, Any], code: Mapping[str, Any]) -> str | None:
    if any(a.system[name] != system[name] for name in ("x64", "numerics")):
        return "their numerics differ (x64, or precision of products)"
    names = differing(parts(a.system, a.code), parts(system, code))
    if len(names) > 1:
        return f"{' and '.join(names)} differ, and nobody could say which of them counts"
    return None


def _unlike(old: Ratio, new: Ratio) -> str:
    """Why one case is two problems; empty where it is one."""
    for name in ("sizes", "peers"):
        a, b = (dict(getattr(one, name)) for one in (old, new))
        if a != b:
            told = ", ".join(_told(a, b))
            return f"{'sizes' if name == 'sizes' else 'versions of peers'} differ: {told}"
    return "units differ" if (old.unit, old.better) != (new.unit, new.better) else ""


def _told(a: dict[str, Any], b: dict[str, Any]) -> Iterator[str]:
    for name in sorted(a.keys() | b.keys()):
        if a.get(name) != b.get(name):
            yield f"{name} {a.get(name, 'unset')} and {b.get(name, 'unset')}"


def _compared(old: Point, new: Point, level: float) -> Compared:
    ratio = change(by_round(new.ratio), by_round(old.ratio), level)
    return Compared(old, new, ratio, verdict(ratio, new.ratio.better))


def change(new: np.ndarray, old: np.ndarray, level: float) -> Interval:
    """new / old with its interval; rounds are paired in their order, the longer list is cut."""
    num = min(len(new), len(old))
    a, b = new[:num], old[:num]
    if not (np.all(a > 0) and np.all(b > 0)):
        return Interval(np.nan, np.nan, np.nan, np.nan)
    return log_ratio(a, b, _TINY, level)


def verdict(ratio: Interval, better: Better) -> str:
    """What the interval of a change says; of what has no good end, which way it went."""
    if better != "neither":
        return beyond(ratio, MARGIN, better)
    found = beyond(ratio, MARGIN, "smaller")
    ways: dict[str, str] = dict(zip(("better", "worse"), WAYS, strict=True))
    return ways.get(found, found)
