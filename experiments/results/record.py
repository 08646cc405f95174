"""What a record of a benchmark is, and how it lies on disk.

A directory of records has a file for each system, ``systems/<id>.json``, and one for each run of a
benchmark, ``points/<benchmark>-<checksum>.json``. The id of a system is a checksum of what it is:
device, CPU, platform, versions, flags and numerics. Nothing in it says whose machine it is: no
paths, no names of hosts.
"""

import hashlib
import json
import math
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sigmaprop.runs.environment import without_home
from sigmaprop.runs.files import RunError, read_json, write_json

from ..bench.ratios import Found, Ratio, as_json, from_json

SYSTEMS, POINTS = "systems", "points"
SCHEMA = 1
_DIGITS = 12
"""Of a checksum in names."""
_IDENTITY = ("device", "cpu", "platform", "versions", "flags", "x64", "numerics")
_DEVICES = "--xla_force_host_platform_device_count"
"""A flag that says nothing beside the number of devices."""
_OF_PLACES = ("CACHE", "COORDINATOR", "ADDRESS", "PROCESS", "CLUSTER", "HOST", "DIR", "PATH")
"""Words in the names of variables that say where things are, and not what is computed."""


_TEXTS = ("bench", "system", "command", "time", "checksum")


class Point(NamedTuple):
    """A measured number in the section that it was reported in."""

    section: str
    ratio: Ratio

    @property
    def case(self) -> str:
        """What is measured: points of one case can be compared."""
        return f"{self.section}: {self.ratio.what}"


class Load(NamedTuple):
    """How busy the machine was.

    Attributes:
        before, after: load averages of 1, 5 and 15 minutes, which count the benchmark too.
        cores: of the machine.
        others: cores that others kept busy meanwhile, on average; None in an older record.
    """

    before: tuple[float, ...]
    after: tuple[float, ...]
    cores: int
    others: float | None = None


class Record(NamedTuple):
    """One run of a benchmark.

    Attributes:
        bench: its name.
        system: what it ran on, see `system_of`.
        code: version, commit, and whether there were uncommitted changes.
        command: that repeats it.
        time: when it ended, UTC.
        load: of the machine.
        repeats: rounds of every measurement.
        points: what was measured.
        notes: sentences beside it.
    """

    bench: str
    system: Mapping[str, Any]
    code: Mapping[str, Any]
    command: str
    time: str
    load: Load
    repeats: int
    points: tuple[Point, ...]
    notes: tuple[str, ...]


def system_of(environment: Mapping[str, Any]) -> dict[str, Any]:
    """What identifies the system of an environment, without what says whose it is."""
    versions = {k: v for k, v in environment["versions"].items() if k != "sigmaprop"}
    flags = {}
    for name, value in environment["flags"].items():
        words = [w for w in str(value).split() if "/" not in w and not w.startswith(_DEVICES)]
        if words and not any(word in name for word in _OF_PLACES):
            flags[name] = " ".join(words)
    return {name: environment[name] for name in _IDENTITY} | {"versions": versions, "flags": flags}


def code_of(environment: Mapping[str, Any]) -> dict[str, Any]:
    """Version and commit of the code that ran."""
    git = environment["git"] or {}
    version = environment["versions"]["sigmaprop"]
    return {"sigmaprop": version, "commit": git.get("commit"), "dirty": bool(git.get("dirty"))}


def points_of(found: Found) -> tuple[Point, ...]:
    """All numbers of a benchmark with their sections."""
    every = found.sections.items()
    return tuple(Point(title, one) for title, ratios in every for one in ratios)


def command_of(bench: str, options: Mapping[str, Any]) -> str:
    """The command without paths; options that were not given are left out."""
    words = ["sigmaprop", "bench", bench]
    for name, value in options.items():
        if value is not None:
            words.append(name)
            words += ["PATH"] if isinstance(value, Path) else map(str, _listed(value))
    return shlex.join(words)


def checksum(content: Mapping[str, Any]) -> str:
    """The SHA-256 of JSON content, whatever the order of its names."""
    text = json.dumps({k: v for k, v in content.items() if k != "checksum"}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def identity(system: Mapping[str, Any]) -> str:
    """The id of a system."""
    return checksum(system)[:_DIGITS]


def prepare(directory: Path) -> None:
    """Makes the folders of a directory of records, before minutes of measurement.

    Raises:
        RunError: that cannot be.
    """
    try:
        for name in (SYSTEMS, POINTS):
            (directory / name).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(
            f"--record {directory} cannot be written ({error.strerror}); choose another directory"
        ) from error


def write(directory: Path, record: Record) -> Path:
    """Writes a record beside those that are there.

    Returns:
        Its file below ``points``.

    Raises:
        RunError: it cannot be written.
    """
    system = without_home(dict(record.system))
    write_json(directory / SYSTEMS / f"{identity(system)}.json", system)
    content = without_home(
        {
            "schema": SCHEMA,
            "bench": record.bench,
            "system": identity(system),
            "code": dict(record.code),
            "command": record.command,
            "time": record.time,
            "load_average": record.load._asdict(),
            "repeats": record.repeats,
            "notes": list(record.notes),
            "points": points_as_json(record.points),
        }
    )
    content["checksum"] = checksum(content)
    path = directory / POINTS / f"{record.bench}-{content['checksum'][:_DIGITS]}.json"
    write_json(path, content)
    return path


def points_as_json(points: Sequence[Point]) -> list[dict[str, Any]]:
    """Numbers with their sections, for JSON."""
    return [{"section": one.section, **as_json(one.ratio)} for one in points]


def read(path: Path) -> Record:
    """A file below ``points`` with its system.

    Raises:
        RunError: a file is missing or damaged, a checksum does not fit, or something is missing
            in it.
    """
    content = read_json(path)
    try:
        _check_names(content, ("schema", "system", "code", "checksum"))
        if content["schema"] != SCHEMA:
            raise ValueError(f"has schema {content['schema']}; this version reads {SCHEMA}")
        if content["checksum"] != checksum(content):
            raise ValueError("was altered after it was written: its checksum does not fit")
        if not isinstance(content["code"], dict):
            raise ValueError("has no 'code'")
    except ValueError as error:
        raise RunError(f"{path} {error}; restore it or measure again") from error
    system = _read_system(path.parents[1] / SYSTEMS / f"{content['system']}.json")
    return _record(path, content, system, content["code"])


def read_out(path: Path) -> Record:
    """The record in a file that ``bench --out`` wrote.

    Raises:
        RunError: as in `read`, or it was written before raw times were kept.
    """
    content = read_json(path)
    ratios = content.get("ratios") if isinstance(content, dict) else None
    if not isinstance(ratios, list):
        raise RunError(f"{path} is no result of `sigmaprop bench`; choose another")
    if not all(isinstance(one, dict) and one.get("below") for one in ratios):
        raise RunError(
            f"{path} has medians without the raw times of its repeats, which decide nothing; "
            "measure it again and keep it with --record"
        )
    try:
        system, code = system_of(content["environment"]), code_of(content["environment"])
    except (KeyError, TypeError, AttributeError) as error:
        raise RunError(f"{path} has no whole 'environment'; measure it again") from error
    return _record(path, content | {"points": ratios}, system, code)


def _read_system(path: Path) -> dict[str, Any]:
    system = read_json(path)
    if not isinstance(system, dict) or not set(_IDENTITY) <= set(system):
        raise RunError(f"{path} does not say what the system is; restore it or measure again")
    if identity(system) != path.stem:
        raise RunError(
            f"{path} was altered after it was written: its name is not its checksum; restore it or "
            "measure again"
        )
    return system


def _record(path: Path, content: Any, system: dict[str, Any], code: dict[str, Any]) -> Record:
    """The record of a content that has been read."""
    try:
        _check_names(content, ("bench", "command", "time", "load_average", "repeats", "points"))
        if not isinstance(content["points"], list) or not content["points"]:
            raise ValueError("has no points")
        repeats = content["repeats"]
        if not isinstance(repeats, int) or isinstance(repeats, bool):
            raise ValueError("has no number of repeats")
        return Record(
            content["bench"],
            system,
            code,
            content["command"],
            content["time"],
            _load(content["load_average"]),
            repeats,
            tuple(Point(str(one.get("section")), from_json(one)) for one in content["points"]),
            tuple(map(str, content.get("notes", ()))),
        )
    except (ValueError, AttributeError, TypeError) as error:
        raise RunError(f"{path} {error}; restore it or measure again") from error


def _check_names(content: Any, names: Sequence[str]) -> None:
    if not isinstance(content, dict):
        raise ValueError("is no record of a benchmark")
    for name in names:
        if name not in content:
            raise ValueError(f"has no {name!r}")
        if name in _TEXTS and not isinstance(content[name], str):
            raise ValueError(f"has a {name!r} that is no text")


def _load(content: Any) -> Load:
    try:
        before, after = (tuple(map(float, content[name])) for name in ("before", "after"))
        others = content.get("others")
        others = None if others is None else float(others)
        load = Load(before, after, int(content["cores"]), others)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise ValueError("has no whole 'load_average'") from None
    known = (*before, *after, *(() if others is None else (others,)))
    if not before or not after or not all(map(math.isfinite, known)):
        raise ValueError("has no whole 'load_average'")
    return load


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, tuple | list) else [value]
