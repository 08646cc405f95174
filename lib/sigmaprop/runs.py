"""Run directories: config, environment, status, lock, metrics, manifest.

A run directory holds ``config.json``, ``environment.json``, ``status.json``, ``lock``,
``metrics.parquet`` (``metrics/part-*.parquet`` while running) and, once complete, ``manifest.json``
with the sha256 of what a replay relies on. Every file is written under a temporary name and then
renamed: it is whole or absent.
"""

import dataclasses
import difflib
import errno
import fcntl
import hashlib
import itertools
import json
import math
import os
import reprlib
import shutil
import signal
import threading
import time
import types
import typing
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, NamedTuple, TypeVar

from sigmaprop.environment import environment

if TYPE_CHECKING:
    import pyarrow as pa

State = Literal["running", "complete", "interrupted", "failed"]
Config = TypeVar("Config")

_SCHEMA = 1
_STATES: tuple[State, ...] = ("running", "complete", "interrupted", "failed")
_ALWAYS = ("config.json", "environment.json")
_PLAIN = {int: "an integer", float: "a finite number", str: "a string", bool: "true or false"}
_PLAIN |= {Path: "a path", type(None): "null"}


class RunError(ValueError):
    """A user's mistake: one sentence that names the file or option, its value and the remedy."""

    def __init__(self, message: str):
        super().__init__(" ".join(message.splitlines()))


class Terminated(SystemExit):
    """SIGTERM arrived inside a run; the process ends with status 143."""


@dataclasses.dataclass
class Run:
    """A run that this process owns; a context manager that records how it ended.

    Attributes:
        directory: where its files lie.
        command: the experiment's name.
        config: its frozen dataclass.
        extra: further files, relative to ``directory``, for the manifest.
    """

    directory: Path
    command: str
    config: Any
    _lock: int
    extra: list[str] = dataclasses.field(default_factory=list)
    _handles_sigterm: bool = False

    def __enter__(self) -> "Run":
        # A handler that the host program installed is left alone.
        if threading.current_thread() is threading.main_thread():
            self._handles_sigterm = signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        if self._handles_sigterm:
            signal.signal(signal.SIGTERM, _terminate)
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        try:
            if error is None:
                _complete(self)
            else:
                # A full disk must not hide the error that ended the run.
                with suppress(RunError):
                    _write_status(self, *_outcome(error))
        except BaseException as failure:
            with suppress(RunError):
                _write_status(self, *_outcome(failure))
            raise
        finally:
            if self._handles_sigterm:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.close(self._lock)


class Finished(NamedTuple):
    """A complete run whose files agree with its manifest."""

    command: str
    config: Any
    environment: dict[str, Any]
    metrics: "pa.Table"


class Difference(NamedTuple):
    """One difference between two metrics tables.

    Attributes:
        kind: what differs. A row or column is missing or extra in the second table.
        row: the key columns of the row, empty for a column.
        column: the column that differs, empty for a row.
        left: value or type in the first table, None where absent.
        right: value or type in the second table, None where absent.
    """

    kind: Literal["missing row", "extra row", "value", "missing column", "extra column", "type"]
    row: dict[str, Any]
    column: str
    left: Any = None
    right: Any = None

    def __str__(self) -> str:
        place = ", ".join(f"{name}={value!r}" for name, value in self.row.items())
        label = ": ".join(part for part in (place, self.column) if part)
        if self.kind not in ("value", "type"):
            return f"{self.kind}: {label}"
        # Two NaNs, or floats that agree in all digits shown.
        note = " (other bits)" if repr(self.left) == repr(self.right) else ""
        return f"{label} was {self.left!r} and is now {self.right!r}{note}"


def create(directory: Path | None, command: str, config: Any, *, root: Path = Path("runs")) -> Run:
    """Makes a run directory, locks it, and writes config, environment and status.

    Args:
        directory: new or empty; None makes ``root/<command>-<UTC time>``.
        command: the experiment's name.
        config: a frozen dataclass of str, int, float, bool, None, Path, tuples, dataclasses.
        root: where fresh directories go.

    Returns:
        The run, to be entered with ``with``.

    Raises:
        RunError: if the directory is occupied, locked or unwritable, or a float is not finite.
        TypeError: if the config does not survive being written and read back.
    """
    text = _config_text(command, config)
    directory = _fresh(Path(root), command) if directory is None else _vacant(Path(directory))
    run = Run(directory, command, config, _take_lock(directory))
    if _occupied(directory):  # by a process that came first, between look and lock
        os.close(run._lock)
        raise _refusal(directory)
    try:
        _write_status(run, "running", None)
        write_atomic(directory / "config.json", text)
        _write_json(directory / "environment.json", environment(getattr(config, "seed", None)))
    except BaseException as error:
        run.__exit__(type(error), error, error.__traceback__)
        raise
    return run


def state(directory: Path) -> State:
    """How a run stands; one that says "running" while no process holds its lock was interrupted.

    Raises:
        RunError: if ``directory`` is no run directory or its status is damaged.
    """
    path = Path(directory) / "status.json"
    held = _holder(path.parent) is not None  # first: a run may end between the two looks
    if not path.exists():
        raise RunError(f"{directory} is no run directory: it holds no status.json; choose another")
    content = _read_json(path)
    status = content.get("status") if isinstance(content, dict) else None
    for known in _STATES:
        if status == known:
            return "interrupted" if known == "running" and not held else known
    raise RunError(
        f"{path} is damaged: status is {reprlib.repr(status)}, not one of {', '.join(_STATES)}; "
        "repeat the run"
    )


def include(run: Run, path: Path) -> None:
    """Lists a further file of the run, to be there when it ends, in the manifest.

    Args:
        run: the run.
        path: below the run's directory, or relative to it.

    Raises:
        ValueError: if the file lies outside the run's directory.
    """
    path = path.relative_to(run.directory) if path.is_relative_to(run.directory) else path
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(f"{path} lies outside {run.directory}; a manifest lists files below it")
    run.extra.append(path.as_posix())


def verify(directory: Path) -> None:
    """Recomputes the checksums of a complete run.

    Raises:
        RunError: if the run is not complete, or a file was altered or is missing.
    """
    directory = Path(directory)
    if (status := state(directory)) != "complete":
        raise RunError(
            f"{directory} is {status}, not complete, so it has no manifest to verify; "
            "let it end or repeat it"
        )
    for name, digest in _manifest(directory / "manifest.json").items():
        path = directory / name
        if not path.is_file():
            raise RunError(f"{path} is missing; restore it or repeat the run")
        if _sha256(path) != digest:
            raise RunError(f"{path} was altered after the run; restore it or repeat the run")


def load(directory: Path, config_type: type, *, command: str | None = None) -> Finished:
    """Reads a complete run after verifying it, for a replay or a report.

    Raises:
        RunError: as ``verify``, ``load_config`` and ``read_metrics`` do.
    """
    directory = Path(directory)
    verify(directory)
    return Finished(
        load_command(directory),
        load_config(directory, config_type, command=command),
        _read_json(directory / "environment.json"),
        read_metrics(directory),
    )


def load_command(path: Path) -> str:
    """The command that a ``config.json``, or the one of a run directory, belongs to.

    Raises:
        RunError: if the file is missing, damaged or of another schema.
    """
    return _read_config(_config_path(path))["command"]


def load_config(path: Path, config_type: type[Config], *, command: str | None = None) -> Config:
    """Reads a config, strictly; an option that is missing takes its default.

    Args:
        path: a ``config.json`` or a run directory.
        config_type: the dataclass to build.
        command: refuse a config of another command; None accepts any.

    Returns:
        An instance of ``config_type``, equal to the one that was written.

    Raises:
        RunError: naming the file, the option, its value and what is allowed.
    """
    path = _config_path(path)
    content = _read_config(path)
    if command not in (None, content["command"]):
        raise RunError(
            f"{path} belongs to the command {content['command']!r}, not {command!r}; choose another"
        )
    try:
        return _decode_fields(content["config"], config_type, "")
    except ValueError as error:
        raise RunError(f"{path}: {error}") from error


def write_atomic(path: Path, data: bytes | str) -> None:
    """Writes a whole file or nothing: temporary name, fsync, rename.

    Raises:
        RunError: if it cannot be written; an older file of this name stays as it was.
    """
    with _atomic(Path(path)) as file:
        file.write(data.encode() if isinstance(data, str) else data)


def write_metrics(run: Run, table: "pa.Table") -> None:
    """Writes ``metrics.parquet``, which replaces any parts.

    Raises:
        RunError: if it cannot be written.
    """
    _write_tables(run.directory / "metrics.parquet", [table])
    _drop_parts(run)


def append_part(run: Run, step: int, table: "pa.Table") -> None:
    """Writes the rows since the last part as ``metrics/part-<step>.parquet``.

    Raises:
        RunError: if it cannot be written.
    """
    _write_tables(run.directory / "metrics" / f"part-{step:09d}.parquet", [table])


def merge_parts(run: Run) -> None:
    """Makes ``metrics.parquet`` of the parts, in the order of their steps, and removes them.

    Raises:
        RunError: if a part is damaged or has other columns, or the result cannot be written.
    """
    if parts := _parts(run.directory):
        _write_tables(run.directory / "metrics.parquet", _read_tables(parts))
        _drop_parts(run)


def read_metrics(directory: Path) -> "pa.Table":
    """The metrics of a run, from ``metrics.parquet`` or, while it is incomplete, from its parts.

    Raises:
        RunError: if there are none or a file is damaged.
    """
    import pyarrow as pa

    directory = Path(directory)
    whole = directory / "metrics.parquet"
    paths = [whole] if whole.exists() else _parts(directory)
    if not paths:
        raise RunError(f"{directory} holds no metrics yet; let the run reach its first checkpoint")
    return pa.concat_tables(_read_tables(paths))


def compare_tables(
    a: "pa.Table", b: "pa.Table", *, keys: Sequence[str] | None = None
) -> list[Difference]:
    """Compares two metrics tables bit by bit.

    Floats are equal where their bits are: a NaN equals the same NaN, -0.0 differs from 0.0. Rows
    are matched by their keys, and those of equal keys in the order in which they come.

    Args:
        a: the recorded table.
        b: the new one; its rows may come in another order.
        keys: columns that name a row; None takes all that are not floating point.

    Returns:
        Columns, then rows that only one table has, then values. Empty where the tables agree.
    """
    differences = list(_compare_columns(a, b))
    shared = [name for name in a.column_names if name in b.column_names]
    keys = [n for n in shared if n in keys] if keys is not None else _key_columns(a, shared)
    rows_a, rows_b = _rows(a, keys), _rows(b, keys)
    lone_a = [index for key, index in rows_a.items() if key not in rows_b]
    lone_b = [index for key, index in rows_b.items() if key not in rows_a]
    differences += [Difference("missing row", _row(a, keys, index), "") for index in lone_a]
    differences += [Difference("extra row", _row(b, keys, index), "") for index in lone_b]
    pairs = [(index, rows_b[key]) for key, index in rows_a.items() if key in rows_b]
    for name in shared:
        if name not in keys and a[name].type == b[name].type:
            differences += _compare_values(a, b, keys, name, pairs)
    return differences


def _fresh(root: Path, command: str) -> Path:
    """A new directory under ``root``, named after command and time."""
    name = f"{command}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    for number in itertools.count(1):
        directory = root / (name if number == 1 else f"{name}-{number}")
        with suppress(FileExistsError):
            return _make(directory, exist_ok=False)
    raise AssertionError("unreachable")


def _vacant(directory: Path) -> Path:
    """The directory, made if need be; refused unless empty."""
    _make(directory, exist_ok=True)
    if _occupied(directory):
        raise _refusal(directory)
    return directory


def _make(directory: Path, *, exist_ok: bool) -> Path:
    try:
        directory.mkdir(parents=True, exist_ok=exist_ok)
    except (OSError, ValueError) as error:
        if isinstance(error, FileExistsError) and not exist_ok and directory.exists():
            raise
        raise _unwritable(directory, error) from error
    return directory


def _unwritable(path: Path, error: Exception) -> RunError:
    why = error.strerror if isinstance(error, OSError) and error.strerror else error
    return RunError(f"cannot write {path} ({why}); choose another --run-dir or make room for it")


def _occupied(directory: Path) -> bool:
    """Whether it holds more than a lock: a process that died at once leaves only that."""
    try:
        return any(name != "lock" for name in os.listdir(directory))
    except OSError as error:
        raise _unwritable(directory, error) from error


def _refusal(directory: Path) -> RunError:
    """Why an occupied directory cannot be used."""
    if (holder := _holder(directory)) is not None:
        return _held(directory, holder)
    if not (directory / "status.json").exists():
        return RunError(f"--run-dir {directory} is not empty; choose a new or empty directory")
    try:
        found = state(directory)
    except RunError:
        found = "its status.json is damaged"
    return RunError(
        f"--run-dir {directory} already holds a run ({found}); choose another or delete it"
    )


def _held(directory: Path, holder: str) -> RunError:
    return RunError(
        f"--run-dir {directory} is held by a living process (pid {holder}); "
        "wait until it ends or choose another"
    )


def _take_lock(directory: Path) -> int:
    """Takes the lock, which the system releases when this process dies; returns its descriptor."""
    try:
        descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise _unwritable(directory, error) from error
    try:
        _flock(descriptor)
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
    except OSError as error:
        holder = _pid(descriptor)
        os.close(descriptor)
        if isinstance(error, BlockingIOError):
            raise _held(directory, holder) from error
        if error.errno in (errno.ENOTSUP, errno.ENOLCK, errno.ENOSYS):
            raise RunError(
                f"the file system of --run-dir {directory} has no locks; choose a local disk"
            ) from error
        raise _unwritable(directory, error) from error
    return descriptor


def _flock(descriptor: int) -> None:
    """Locks, with patience for somebody who only looks."""
    for _ in range(5):
        with suppress(BlockingIOError):
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        time.sleep(0.02)
    return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _holder(directory: Path) -> str | None:
    """The pid of the living process that holds the lock, None where nobody does."""
    try:
        descriptor = os.open(directory / "lock", os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _pid(descriptor)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return None


def _pid(descriptor: int) -> str:
    return os.pread(descriptor, 20, 0).decode(errors="replace").strip() or "unknown"


def _terminate(number: int, frame: Any) -> None:
    raise Terminated(128 + number)


def _outcome(error: BaseException) -> tuple[State, str]:
    """Status and reason of a run that ``error`` ended."""
    if isinstance(error, Terminated):
        return "interrupted", "SIGTERM"
    if isinstance(error, KeyboardInterrupt):
        return "interrupted", "Ctrl-C"
    return "failed", f"{type(error).__name__}: {error}"[:1000]


def _write_status(run: Run, status: State, reason: str | None) -> None:
    content = {"schema": _SCHEMA, "status": status, "reason": reason, "pid": os.getpid()}
    _write_json(run.directory / "status.json", content | {"time": datetime.now(UTC).isoformat()})


@contextmanager
def _atomic(path: Path) -> Iterator[BinaryIO]:
    """A file that takes the name ``path`` once it is complete and on disk."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink()
    _sync_directory(path.parent)


def _sync_directory(directory: Path) -> None:
    """Makes a rename last through a power cut, where the file system knows how."""
    with suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _write_json(path: Path, content: Any) -> None:
    write_atomic(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def _read_json(path: Path) -> Any:
    """Strict JSON: no NaN, no repeated names."""
    try:
        return json.loads(
            path.read_bytes(), object_pairs_hook=_unique, parse_constant=_refuse_constant
        )
    except OSError as error:
        why = error.strerror or error
        raise RunError(f"cannot read {path} ({why}); restore it or choose another") from error
    except (ValueError, RecursionError) as error:
        raise RunError(
            f"{path} is truncated or not valid JSON ({error}); restore it or choose another"
        ) from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    for name, count in Counter(name for name, _ in pairs).items():
        if count > 1:
            raise ValueError(f"option {name!r} is given twice")
    return dict(pairs)


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no finite number")


def _complete(run: Run) -> None:
    """Merges the metrics, writes the manifest, and only then the status "complete"."""
    merge_parts(run)
    metrics = ["metrics.parquet"] if (run.directory / "metrics.parquet").exists() else []
    names = [*_ALWAYS, *metrics, *run.extra]
    try:
        files = {name: _sha256(run.directory / name) for name in names}
    except OSError as error:
        raise RunError(f"{error.filename} is missing; write it before the run ends") from error
    _write_json(run.directory / "manifest.json", _sealed(files))
    _write_status(run, "complete", None)


def _manifest(path: Path) -> dict[str, str]:
    """The checksums by file name, after a check that the manifest itself is whole."""
    content = _read_json(path)
    files = content.get("files") if isinstance(content, dict) else None
    if not isinstance(files, dict) or content != _sealed(files):
        raise RunError(f"{path} was altered after the run; restore it or repeat the run")
    return files


def _sealed(files: dict[str, str]) -> dict[str, Any]:
    """A manifest with a checksum of its own."""
    seal = hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()
    return {"schema": _SCHEMA, "files": files, "checksum": seal}


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _config_text(command: str, config: Any) -> str:
    """``config.json``, after a check that it reads back as the same config."""
    content = {"schema": _SCHEMA, "command": command, "config": _encode(config, "")}
    text = json.dumps(content, indent=2, allow_nan=False) + "\n"
    try:
        again = _decode_fields(json.loads(text)["config"], type(config), "")
    except ValueError as error:
        raise RunError(str(error)) from error
    if again != config:
        raise TypeError(f"{type(config).__name__} changes when it is written and read back")
    return text


def _encode(value: Any, option: str) -> Any:
    """A config value as JSON holds it; ``repr`` of a float reads back as the same bits."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value) if field.init]
        return {name: _encode(getattr(value, name), _join(option, name)) for name in names}
    if isinstance(value, tuple):
        return [_encode(item, f"{option}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        raise RunError(f"option {option} is {value}; give a finite number")
    if isinstance(value, Path):
        return str(value)
    if value is None or isinstance(value, str | int | float):
        return value
    raise TypeError(f"option {option} holds a {type(value).__name__}, which no config may")


def _config_path(path: Path) -> Path:
    path = Path(path)
    return path / "config.json" if path.is_dir() else path


def _read_config(path: Path) -> dict[str, Any]:
    """The content of a config file, with its frame checked."""
    content = _read_json(path)
    frame = ("schema", "command", "config")
    if not isinstance(content, dict) or set(content) != set(frame):
        raise RunError(f"{path} is no config: it must hold exactly {', '.join(frame)}; correct it")
    schema = content["schema"]
    if type(schema) is not int or schema != _SCHEMA:
        raise RunError(
            f"{path} has schema {reprlib.repr(schema)}, but this version reads {_SCHEMA}; "
            "use the version that wrote it"
        )
    if not isinstance(content["command"], str):
        raise RunError(f"{path}: command is {reprlib.repr(content['command'])}; give a string")
    return content


def _decode(value: Any, kind: Any, option: str) -> Any:
    """The config value of type ``kind`` that a JSON value stands for."""
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        return _decode_union(value, kind, option)
    if origin is tuple and isinstance(value, list):
        return _decode_tuple(value, kind, option)
    if dataclasses.is_dataclass(kind):
        return _decode_fields(value, kind, option)
    if kind is Path and isinstance(value, str):
        return Path(value)
    if kind is float and type(value) in (int, float) and _is_float(value):
        return float(value)
    if kind is not float and kind in _PLAIN and type(value) is kind:
        return value
    if origin is Literal:
        for choice in typing.get_args(kind):
            if type(choice) is type(value) and choice == value:
                return choice
    raise _invalid(value, kind, option)


def _is_float(value: float) -> bool:
    """Whether a JSON number is exactly a finite float: not 1e999, not 2**53 + 1."""
    try:
        return math.isfinite(value) and float(value) == value
    except OverflowError:
        return False


def _decode_union(value: Any, kind: Any, option: str) -> Any:
    members = [member for member in typing.get_args(kind) if member is not type(None)]
    if value is None and len(members) < len(typing.get_args(kind)):
        return None
    if len(members) == 1 and not isinstance(value, str | int | float | None):
        return _decode(value, members[0], option)  # its message names the option inside
    for member in members:
        with suppress(ValueError):
            return _decode(value, member, option)
    raise _invalid(value, kind, option)


def _decode_tuple(value: list[Any], kind: Any, option: str) -> tuple[Any, ...]:
    members = typing.get_args(kind)
    if len(members) == 2 and members[1] is Ellipsis:
        members = (members[0],) * len(value)
    if len(members) != len(value):
        raise _invalid(value, kind, option)
    items = enumerate(zip(value, members, strict=True))
    return tuple(_decode(item, member, f"{option}[{i}]") for i, (item, member) in items)


def _decode_fields(value: Any, kind: Any, option: str) -> Any:
    """A dataclass of its options; those that are missing take their defaults."""
    if not isinstance(value, dict):
        raise _invalid(value, kind, option)
    hints = typing.get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind) if field.init}
    for name in value:
        if name not in fields:
            raise _unknown(name, list(fields), option)
    for name, field in fields.items():
        absent = field.default is field.default_factory is dataclasses.MISSING
        if absent and name not in value:
            raise ValueError(
                f"option {_join(option, name)} is missing; give {_allowed(hints[name])}"
            )
    return kind(**{name: _decode(v, hints[name], _join(option, name)) for name, v in value.items()})


def _unknown(name: str, known: list[str], option: str) -> ValueError:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {_join(option, near[0])}?" if near else f"known are {', '.join(known)}"
    return ValueError(f"option {_join(option, reprlib.repr(name)[1:-1])} is unknown; {hint}")


def _invalid(value: Any, kind: Any, option: str) -> ValueError:
    subject = f"option {option}" if option else "config"
    return ValueError(f"{subject} is {reprlib.repr(value)}; give {_allowed(kind)}")


def _allowed(kind: Any) -> str:
    """What a type allows, in words."""
    if kind in _PLAIN:
        return _PLAIN[kind]
    if dataclasses.is_dataclass(kind):
        return "the options " + ", ".join(f.name for f in dataclasses.fields(kind) if f.init)
    members = typing.get_args(kind)
    match typing.get_origin(kind):
        case typing.Union | types.UnionType:
            return " or ".join(_allowed(member) for member in members)
        case typing.Literal:
            return "one of " + ", ".join(repr(choice) for choice in members)
        case origin if origin is tuple and members[-1:] == (Ellipsis,):
            return f"a list, each item {_allowed(members[0])}"
        case origin if origin is tuple:
            return f"a list of {len(members)}: " + ", ".join(_allowed(m) for m in members)
    raise TypeError(f"{kind} is no type of a config option")


def _join(option: str, name: str) -> str:
    return f"{option}.{name}" if option else name


def _parts(directory: Path) -> list[Path]:
    """The parts in the order of their steps."""
    paths = (directory / "metrics").glob("part-*.parquet")
    return sorted(paths, key=lambda path: (len(path.name), path.name))


def _drop_parts(run: Run) -> None:
    """Removes the parts at one stroke: some of them alone would look like a whole run."""
    folder, doomed = run.directory / "metrics", run.directory / ".metrics.tmp"
    shutil.rmtree(doomed, ignore_errors=True)
    with suppress(OSError):
        os.replace(folder, doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def _write_tables(path: Path, tables: Iterable["pa.Table"]) -> None:
    """One parquet file of several tables, of which one at a time is in memory."""
    import pyarrow.parquet as pq

    tables = iter(tables)
    first = next(tables)
    with (
        _atomic(path) as file,
        pq.ParquetWriter(file, first.schema, write_page_checksum=True) as writer,
    ):
        writer.write_table(first)
        for table in tables:
            writer.write_table(table)


def _read_tables(paths: Sequence[Path]) -> Iterator["pa.Table"]:
    """The tables of parquet files, which must agree in their columns."""
    schema = None
    for path in paths:
        table = _read_table(path)
        schema = schema or table.schema
        if not table.schema.equals(schema):
            raise RunError(
                f"{path} has other columns than {paths[0]}: {_describe(table.schema)}, not "
                f"{_describe(schema)}; remove it or repeat the run"
            )
        yield table


def _read_table(path: Path) -> "pa.Table":
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            return file.read()
    except Exception as error:  # a damaged file raises almost anything
        raise RunError(
            f"{path} is truncated or damaged ({error}); restore it or repeat the run"
        ) from error


def _describe(schema: "pa.Schema") -> str:
    return ", ".join(f"{field.name} {field.type}" for field in schema)


def _key_columns(table: "pa.Table", names: Sequence[str]) -> list[str]:
    import pyarrow as pa

    return [name for name in names if not pa.types.is_floating(table[name].type)]


def _exact(column: "pa.ChunkedArray") -> list[Any]:
    """Values that are equal where their bits are: floats as integers, a null as None."""
    import pyarrow as pa

    if not pa.types.is_floating(column.type):
        return column.to_pylist()
    values = column.to_numpy()
    bits = values.view(f"u{values.dtype.itemsize}").tolist()
    if not column.null_count:
        return bits
    return [
        bit if valid else None
        for bit, valid in zip(bits, column.is_valid().to_pylist(), strict=True)
    ]


def _rows(table: "pa.Table", keys: Sequence[str]) -> dict[tuple[Any, ...], int]:
    """Row number by key; the last part of a key counts the rows of that key so far."""
    columns = [_exact(table[name]) for name in keys]
    seen: Counter[tuple[Any, ...]] = Counter()
    rows = {}
    for index in range(table.num_rows):
        key = tuple(column[index] for column in columns)
        rows[(*key, seen[key])] = index
        seen[key] += 1
    return rows


def _row(table: "pa.Table", keys: Sequence[str], index: int) -> dict[str, Any]:
    """What a row is called: its keys, or its number where there are none."""
    return {name: table[name][index].as_py() for name in keys} or {"row": index}


def _compare_columns(a: "pa.Table", b: "pa.Table") -> Iterator[Difference]:
    for name in a.column_names:
        if name not in b.column_names:
            yield Difference("missing column", {}, name, str(a[name].type))
        elif a[name].type != b[name].type:
            yield Difference("type", {}, name, str(a[name].type), str(b[name].type))
    for name in b.column_names:
        if name not in a.column_names:
            yield Difference("extra column", {}, name, None, str(b[name].type))


def _compare_values(
    a: "pa.Table", b: "pa.Table", keys: Sequence[str], name: str, pairs: list[tuple[int, int]]
) -> Iterator[Difference]:
    """The differences of one column over the (row of a, row of b) ``pairs``."""
    left, right = _exact(a[name]), _exact(b[name])
    for i, j in pairs:
        if left[i] != right[j]:
            row = _row(a, keys, i)
            yield Difference("value", row, name, a[name][i].as_py(), b[name][j].as_py())
