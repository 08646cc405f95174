"""Run directories: config, environment, status, lock, metrics, manifest.

A run directory holds ``config.json``, ``environment.json``, ``status.json``, ``lock``,
``metrics.parquet`` (``metrics/part-*.parquet`` while running) and, once complete, ``manifest.json``
with the sha256 of what a replay relies on; where a run has them, ``checkpoints`` and
``resumes.json``. Every file is written under a temporary name and then renamed: it is whole or
absent. Until there is a manifest, ``status.json`` seals config and environment and
``metrics/manifest.json`` the parts. Nothing that is read names the directory: it can be moved.
"""

import hashlib
import itertools
import json
import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sigmaprop.runs import configs
from sigmaprop.runs.configs import load_command, load_config
from sigmaprop.runs.environment import environment
from sigmaprop.runs.files import (
    RunError,
    absolute,
    exists,
    held,
    holder,
    take_lock,
    verify_manifest,
    write_atomic,
    writing,
)
from sigmaprop.runs.lifecycle import (
    Run,
    read_environment,
    state,
    write_status,
)
from sigmaprop.runs.tables import (
    read_metrics,
)

if TYPE_CHECKING:
    import pyarrow as pa


class Finished(NamedTuple):
    """A complete run whose files agree with its manifest."""

    command: str
    config: Any
    environment: dict[str, Any]
    metrics: "pa.Table"


def create(directory: Path | None, command: str, config: Any, *, root: Path = Path("runs")) -> Run:
    """Makes a run directory, locks it, and writes config, environment and status.

    Args:
        directory: new or empty, relative to the present working directory or absolute; None makes
            ``root/<command>-<UTC time>``.
        command: the experiment's name.
        config: a frozen dataclass; `sigmaprop.runs.configs` says of what.
        root: where fresh directories go.

    Returns:
        The run, to be entered with ``with``.

    Raises:
        RunError: if the directory is occupied, locked or unwritable, or an option is invalid.
        TypeError: if the config does not survive being written and read back.
    """
    text = configs.dump(command, config)
    named = new_directory(directory, command, root=root)
    run = Run(absolute(named), command, config, named, take_lock(named))
    if _occupied(named):  # by a process that came first, between look and lock
        os.close(run._lock)
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
        directory: new or empty; None makes ``root/<name>-<UTC time>``.
        name: what the fresh one is called after.
        root: where fresh directories go.

    Raises:
        RunError: if the directory is occupied or cannot be written.
    """
    return _fresh(Path(root), name) if directory is None else _vacant(Path(directory))


def _begin(run: Run, config: str) -> None:
    """Status, config and environment; what is there of the last two is sealed at every moment."""
    write_status(run, "running", None)
    found = json.dumps(environment(getattr(run.config, "seed", None)), indent=2, allow_nan=False)
    texts = {"config.json": config, "environment.json": found + "\n"}
    run.seals |= {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}
    write_status(run, "running", None)
    for name, text in texts.items():
        write_atomic(run.directory / name, text)


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
    verify_manifest(directory)


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
        read_environment(directory),
        read_metrics(directory),
    )


def _fresh(root: Path, command: str) -> Path:
    """A new directory under ``root``, named after command and time."""
    name = f"{command}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    with writing(root):
        root.mkdir(parents=True, exist_ok=True)
        for number in itertools.count(1):
            directory = root / (name if number == 1 else f"{name}-{number}")
            with suppress(FileExistsError):
                directory.mkdir()
                return directory
    raise AssertionError("unreachable")


def _vacant(directory: Path) -> Path:
    """The directory, made if need be; refused unless empty."""
    with writing(directory):
        directory.mkdir(parents=True, exist_ok=True)
    if _occupied(directory):
        raise _refusal(directory)
    return directory


def _occupied(directory: Path) -> bool:
    """Whether it holds more than a lock: a process that died at once leaves only that."""
    with writing(directory):
        return any(name != "lock" for name in os.listdir(directory))


def _refusal(directory: Path) -> RunError:
    """Why an occupied directory cannot be used."""
    if (pid := holder(directory)) is not None:
        return held(directory, pid)
    if not exists(directory / "status.json"):
        return RunError(f"--run-dir {directory} is not empty; choose a new or empty directory")
    try:
        found = state(directory)
    except RunError:
        found = "its status.json is damaged"
    return RunError(
        f"--run-dir {directory} already holds a run ({found}); choose another or delete it"
    )
