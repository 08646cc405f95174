"""Run directories: made, owned by one process, sealed, verified and read.

A run directory holds ``config.json``, ``environment.json``, ``status.json``, ``lock``,
``metrics.parquet`` (``metrics/part-*.parquet`` while running) and, once complete, ``manifest.json``
with the sha256 of what a replay relies on; where a run has them, ``checkpoints`` and
``resumes.json``. Every file is written under a temporary name and then renamed: it is whole or
absent. Until there is a manifest, ``status.json`` seals config, environment and whatever else is
finished, and ``metrics/manifest.json`` the parts; a run that goes on verifies them first. Nothing
that is read names the directory: it can be moved.
"""

import dataclasses
import hashlib
import json
import os
import signal
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from sigmaprop.names import shown
from sigmaprop.processes import PeerLost
from sigmaprop.runs import configs, files
from sigmaprop.runs.environment import environment
from sigmaprop.runs.files import RunError
from sigmaprop.runs.signals import Terminated, terminations_raise
from sigmaprop.runs.tables import drop_parts, join_parts, read_metrics

if TYPE_CHECKING:
    import pyarrow as pa

State = Literal["running", "complete", "interrupted", "failed"]


@dataclasses.dataclass
class Run(os.PathLike[str]):
    """A run that this process owns; a context manager that records how it ended.

    It stands for its directory wherever a path is taken.

    Attributes:
        directory: where its files lie, from the root.
        command: the experiment's name.
        config: its frozen dataclass.
        named: the directory as the user named it, for sentences.
        leader: the directory of the process that leads, where this one follows; else None.
        extra: further files, relative to ``directory``, for the manifest.
        seals: sha256 of the files, relative to ``directory``, that are finished.
    """

    directory: Path
    command: str
    config: Any
    named: Path
    leader: Path | None = None
    extra: list[str] = dataclasses.field(default_factory=list)
    seals: dict[str, str] = dataclasses.field(default_factory=dict)
    _held: ExitStack = dataclasses.field(default_factory=ExitStack)

    @classmethod
    def locked(cls, named: Path, lock: int, command: str, config: Any) -> "Run":
        """A run whose directory's lock this process has taken, and gives back when it ends."""
        run = cls(files.absolute(named), command, config, named)
        run._held.callback(os.close, lock)
        return run

    @property
    def shared(self) -> Path:
        """The directory whose checkpoints all processes of the run write and read."""
        return self.directory if self.leader is None else self.leader

    def __fspath__(self) -> str:
        return str(self.directory)

    def __enter__(self) -> "Run":
        self._held.enter_context(terminations_raise())
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        with self._held:
            try:
                if error is None:
                    _complete(self)
                else:
                    _record(self, error)
            except BaseException as failure:
                _record(self, failure)
                raise


class Finished(NamedTuple):
    """A complete run whose files agree with its manifest."""

    command: str
    config: Any
    environment: dict[str, Any]
    metrics: "pa.Table"


def create(directory: Path | None, command: str, config: Any, *, root: Path = Path("runs")) -> Run:
    """Makes a run directory, locks it, and writes config, environment and status.

    Args:
        directory: see `new_directory`.
        command: the experiment's name.
        config: a frozen dataclass; `sigmaprop.runs.configs` says of what.
        root: see `new_directory`.

    Returns:
        The run, to be entered with ``with``.

    Raises:
        RunError: if the directory is occupied, locked or unwritable, or an option is invalid.
        TypeError: if the config does not survive being written and read back.
    """
    text = configs.dump(command, config)
    named = new_directory(directory, command, root=root)
    run = Run.locked(named, files.take_lock(named), command, config)
    if _occupied(named):  # by a process that came first, between look and lock
        run._held.close()
        raise _refusal(named)
    try:
        _begin(run, text)
    except BaseException as error:
        run.__exit__(type(error), error, error.__traceback__)
        raise
    return run


def new_directory(directory: Path | None, name: str, *, root: Path = Path("runs")) -> Path:
    """A directory for one run, or for several side by side: the one given, or a fresh one.

    Args:
        directory: new or empty, relative to the present working directory or absolute.
        name, root: where there is none given, it is ``root/<name>-<UTC time>``.

    Raises:
        RunError: if the directory is occupied or cannot be written.
    """
    if directory is None:
        return _fresh_below(Path(root), f"{name}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
    directory = Path(directory)
    with files.writing(directory):
        directory.mkdir(parents=True, exist_ok=True)
    if _occupied(directory):
        raise _refusal(directory)
    return directory


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


def seal(run: Run, *paths: Path) -> None:
    """Records the sha256 of finished files, which must be there, for `verify_seals`."""
    for path in paths:
        run.seals[path.relative_to(run.directory).as_posix()] = files.digest(path)
    write_status(run, "running")


def state(directory: Path) -> State:
    """How a run stands; one that says "running" while no process holds its lock was interrupted.

    Raises:
        RunError: if ``directory`` is no run directory or its status is damaged.
    """
    path = Path(directory) / "status.json"
    alive = files.holder(path.parent) is not None  # first: a run may end between the two looks
    if not files.exists(path):
        raise RunError(f"{directory} is no run directory: it holds no status.json; choose another")
    content = files.read_json(path)
    status = content.get("status") if isinstance(content, dict) else None
    for known in get_args(State):
        if status == known:
            return "interrupted" if known == "running" and not alive else known
    raise RunError(
        f"{path} is damaged: status is {shown(status)}, not one of "
        f"{', '.join(get_args(State))}; repeat the run"
    )


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
    files.verify_manifest(directory)


def load(directory: Path, config_type: type, *, command: str | None = None) -> Finished:
    """Reads a complete run for a replay or a report; raises as `verify` and the readers do."""
    directory = Path(directory)
    verify(directory)
    return Finished(
        configs.load_command(directory),
        configs.load_config(directory, config_type, command=command),
        read_environment(directory),
        read_metrics(directory),
    )


def read_environment(directory: Path) -> dict[str, Any]:
    """What ``environment.json`` holds; a RunError if it is missing or damaged."""
    path = Path(directory) / "environment.json"
    content = files.read_json(path)
    if not isinstance(content, dict):
        raise RunError(f"{path} is no record of an environment; restore it or repeat the run")
    return content


def write_status(run: Run, status: State, reason: str | None = None) -> None:
    """Records how the run stands, and the sha256 of what is finished."""
    content = {"schema": 1, "status": status, "reason": reason, "pid": os.getpid()}
    content |= {"time": datetime.now(UTC).isoformat(), "sealed": files.sealed(run.seals)}
    files.write_json(run.directory / "status.json", content)


def verify_seals(directory: Path) -> dict[str, str] | None:
    """Verifies config and environment, which decide what a run that goes on computes and says.

    Returns:
        The sha256 of finished files by name; None for a run of a version that recorded none.

    Raises:
        RunError: if one of the two was altered or is missing, or ``status.json`` is damaged.
    """
    path = directory / "status.json"
    content = files.read_json(path)
    if not isinstance(content, dict) or "sealed" not in content:
        return None
    seals = files.unsealed(content["sealed"], path)
    for name in ("config.json", "environment.json"):
        # A process may have ended between the seal and the environment.
        if name in seals and (name == "config.json" or files.exists(directory / name)):
            files.verify_file(directory / name, seals[name])
    return seals


def _begin(run: Run, config: str) -> None:
    """Status, config and environment; what is there of the last two is sealed at every moment."""
    write_status(run, "running")
    present = environment(getattr(run.config, "seed", None))
    texts = {
        "config.json": config,
        "environment.json": json.dumps(present, indent=2, allow_nan=False) + "\n",
    }
    run.seals |= {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}
    write_status(run, "running")
    for name, text in texts.items():
        files.write_atomic(run.directory / name, text)


def _record(run: Run, error: BaseException) -> None:
    """Writes how ``error`` ended the run; a full disk must not hide the error itself."""
    with suppress(RunError):
        if isinstance(error, Terminated):
            hung_up = error.code == 128 + signal.SIGHUP
            write_status(run, "interrupted", "SIGHUP" if hung_up else "SIGTERM")
        elif isinstance(error, KeyboardInterrupt):
            write_status(run, "interrupted", "Ctrl-C")
        elif isinstance(error, PeerLost):
            write_status(run, "interrupted", "another process of the run was lost")
        else:
            write_status(run, "failed", f"{type(error).__name__}: {error}"[:1000])


def _complete(run: Run) -> None:
    """Joins the metrics, writes the manifest, then the status, and only then removes the parts.

    A run killed in between still holds the parts, and can be resumed from any checkpoint.
    """
    join_parts(run)
    metrics = ["metrics.parquet"] if (run.directory / "metrics.parquet").exists() else []
    files.write_manifest(run.directory, ["config.json", "environment.json", *metrics, *run.extra])
    write_status(run, "complete")
    drop_parts(run)


def _fresh_below(root: Path, name: str) -> Path:
    """A new directory of this name, with a number behind it where it is taken."""
    with files.writing(root):
        root.mkdir(parents=True, exist_ok=True)
        directory, number = root / name, 1
        while True:
            try:
                directory.mkdir()
                return directory
            except FileExistsError:
                number += 1
                directory = root / f"{name}-{number}"


def _occupied(directory: Path) -> bool:
    """Whether it holds more than a lock: a process that died at once leaves only that."""
    with files.writing(directory):
        return any(name != "lock" for name in os.listdir(directory))


def _refusal(directory: Path) -> RunError:
    """Why an occupied directory cannot be used."""
    if (pid := files.holder(directory)) is not None:
        return files.held(directory, pid)
    if not files.exists(directory / "status.json"):
        return RunError(f"--run-dir {directory} is not empty; choose a new or empty directory")
    try:
        status = state(directory)
    except RunError:
        status = "its status.json is damaged"
    return RunError(
        f"--run-dir {directory} already holds a run ({status}); choose another or delete it"
    )
