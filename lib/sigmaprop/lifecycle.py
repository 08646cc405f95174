"""A run that a process owns, how it ended, and what is written of that."""

import dataclasses
import os
import reprlib
import signal
import threading
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

from sigmaprop.files import RunError, holder, read_json, write_json, write_manifest
from sigmaprop.tables import drop_parts, join_parts

State = Literal["running", "complete", "interrupted", "failed"]


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
    if not path.exists():
        raise RunError(f"{directory} is no run directory: it holds no status.json; choose another")
    content = read_json(path)
    status = content.get("status") if isinstance(content, dict) else None
    for known in get_args(State):
        if status == known:
            return "interrupted" if known == "running" and not alive else known
    raise RunError(
        f"{path} is damaged: status is {reprlib.repr(status)}, not one of "
        f"{', '.join(get_args(State))}; repeat the run"
    )


def terminate(number: int, frame: Any) -> None:
    """The handler of SIGTERM inside a run."""
    raise Terminated(128 + number)


def write_status(run: Run, status: State, reason: str | None) -> None:
    """Records how the run stands.

    Raises:
        RunError: if it cannot be written.
    """
    content = {"schema": 1, "status": status, "reason": reason, "pid": os.getpid()}
    write_json(run.directory / "status.json", content | {"time": datetime.now(UTC).isoformat()})


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
