"""A run that a process owns, how it ended, and what is written of that.

``status.json`` also holds the sha256 of the files that the run relies on before it has a manifest:
config, environment, and whatever else is finished. A run that goes on verifies them first.
"""

import dataclasses
import os
import signal
import threading
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

from sigmaprop.names import shown
from sigmaprop.runs.files import (
    RunError,
    exists,
    holder,
    read_json,
    sealed,
    sha256,
    unreadable,
    unsealed,
    verify_file,
    write_json,
    write_manifest,
)
from sigmaprop.runs.tables import drop_parts, join_parts

State = Literal["running", "complete", "interrupted", "failed"]


class Terminated(SystemExit):
    """SIGTERM arrived inside a run; the process ends with status 143."""


@dataclasses.dataclass
class Run:
    """A run that this process owns; a context manager that records how it ended.

    Attributes:
        directory: where its files lie, from the root.
        command: the experiment's name.
        config: its frozen dataclass.
        named: the directory as the user named it, for sentences.
        extra: further files, relative to ``directory``, for the manifest.
        seals: sha256 of the files, relative to ``directory``, that are finished.
    """

    directory: Path
    command: str
    config: Any
    named: Path
    _lock: int
    extra: list[str] = dataclasses.field(default_factory=list)
    seals: dict[str, str] = dataclasses.field(default_factory=dict)
    _handles_sigterm: bool = False

    def __enter__(self) -> "Run":
        # A handler that the host program installed is left alone.
        if threading.current_thread() is threading.main_thread():
            self._handles_sigterm = signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        if self._handles_sigterm:
            signal.signal(signal.SIGTERM, terminate)
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        try:
            if error is None:
                _complete(self)
            else:
                _record(self, error)
        except BaseException as failure:
            _record(self, failure)
            raise
        finally:
            if self._handles_sigterm:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.close(self._lock)


def state(directory: Path) -> State:
    """How a run stands; one that says "running" while no process holds its lock was interrupted.

    Raises:
        RunError: if ``directory`` is no run directory or its status is damaged.
    """
    path = Path(directory) / "status.json"
    alive = holder(path.parent) is not None  # first: a run may end between the two looks
    if not exists(path):
        raise RunError(f"{directory} is no run directory: it holds no status.json; choose another")
    content = read_json(path)
    status = content.get("status") if isinstance(content, dict) else None
    for known in get_args(State):
        if status == known:
            return "interrupted" if known == "running" and not alive else known
    raise RunError(
        f"{path} is damaged: status is {shown(status)}, not one of "
        f"{', '.join(get_args(State))}; repeat the run"
    )


def read_environment(directory: Path) -> dict[str, Any]:
    """What ``environment.json`` holds.

    Raises:
        RunError: if it is missing or damaged.
    """
    path = Path(directory) / "environment.json"
    content = read_json(path)
    if not isinstance(content, dict):
        raise RunError(f"{path} is no record of an environment; restore it or repeat the run")
    return content


def terminate(number: int, frame: Any) -> None:
    """The handler of SIGTERM inside a run."""
    raise Terminated(128 + number)


def write_status(run: Run, status: State, reason: str | None) -> None:
    """Records how the run stands.

    Raises:
        RunError: if it cannot be written.
    """
    content = {"schema": 1, "status": status, "reason": reason, "pid": os.getpid()}
    content |= {"time": datetime.now(UTC).isoformat(), "sealed": sealed(run.seals)}
    write_json(run.directory / "status.json", content)


def seal(run: Run, *paths: Path) -> None:
    """Records the sha256 of finished files of a running run, for `verify_seals`.

    Raises:
        RunError: if one of them is missing, or the status cannot be written.
    """
    for path in paths:
        try:
            digest = sha256(path)
        except OSError as error:
            raise unreadable(path, error) from error
        run.seals[path.relative_to(run.directory).as_posix()] = digest
    write_status(run, "running", None)


def read_seals(directory: Path) -> dict[str, str] | None:
    """The sha256 of finished files by name; None for a run of a version that recorded none.

    Raises:
        RunError: if ``status.json`` is damaged.
    """
    path = directory / "status.json"
    content = read_json(path)
    if not isinstance(content, dict) or "sealed" not in content:
        return None
    return unsealed(content["sealed"], path)


def verify_seals(directory: Path) -> dict[str, str] | None:
    """Verifies config and environment, which decide what a run that goes on computes and says.

    Returns:
        As `read_seals`.

    Raises:
        RunError: if one of them was altered or is missing.
    """
    seals = read_seals(directory)
    for name in ("config.json", "environment.json"):
        # A process may have ended between the seal and the environment.
        if seals and name in seals and (name == "config.json" or exists(directory / name)):
            verify_file(directory / name, seals[name])
    return seals


def _record(run: Run, error: BaseException) -> None:
    """Writes how ``error`` ended the run; a full disk must not hide the error itself."""
    with suppress(RunError):
        if isinstance(error, Terminated):
            write_status(run, "interrupted", "SIGTERM")
        elif isinstance(error, KeyboardInterrupt):
            write_status(run, "interrupted", "Ctrl-C")
        else:
            write_status(run, "failed", f"{type(error).__name__}: {error}"[:1000])


def _complete(run: Run) -> None:
    """Joins the metrics, writes the manifest, then the status, and only then removes the parts.

    A run killed in between still holds the parts, and can be resumed from any checkpoint.
    """
    join_parts(run)
    metrics = ["metrics.parquet"] if (run.directory / "metrics.parquet").exists() else []
    names = ["config.json", "environment.json", *metrics, *run.extra]
    write_manifest(run.directory, names)
    write_status(run, "complete", None)
    drop_parts(run)
