"""Going on with a run that was stopped."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from sigmaprop.configs import load_config
from sigmaprop.environment import environment, environment_differences
from sigmaprop.files import RunError, held, holder, read_json, take_lock, write_json
from sigmaprop.lifecycle import Run, state, write_status

RESUMES = "resumes.json"
"""The environment of each process that went on with the run, in the order in which they did."""


class Resumed(NamedTuple):
    """What became of the wish to go on with a run.

    Attributes:
        run: to be entered with ``with``; None where it is complete already.
        differences: one sentence for each thing that differs from the environment in which the run
            began, see `environment_differences`: with any of them, bits may differ too.
    """

    run: Run | None
    differences: list[str]


def resume(directory: Path, command: str, config_type: type) -> Resumed:
    """Takes over a run that was interrupted or failed; its status is "running" again.

    Config and environment stay what they were; `RESUMES` gets the present environment. What was
    recorded after the checkpoint that the caller goes on from is the caller's to remove, by
    `drop_parts_after`.

    Args:
        directory: the run directory.
        command: refuse a run of another command.
        config_type: its dataclass.

    Raises:
        RunError: if the run is in use by a living process, has not begun, belongs to another
            command, or a file is damaged or cannot be written.
    """
    directory = Path(directory)
    check_begun(directory)
    if state(directory) == "complete":
        return Resumed(None, [])
    lock = take_lock(directory)
    try:
        if state(directory) == "complete":  # it ended between the two looks
            os.close(lock)
            return Resumed(None, [])
        run = Run(directory, command, load_config(directory, config_type, command=command), lock)
        differences = _record_environment(run)
        write_status(run, "running", None)
    except BaseException:
        os.close(lock)
        raise
    return Resumed(run, differences)


def check_begun(directory: Path) -> None:
    """Refuses a directory in which no run has come as far as its config.

    Raises:
        RunError: saying what is there instead.
    """
    if not (Path(directory) / "config.json").exists():
        raise _nothing(Path(directory))


def _nothing(directory: Path) -> RunError:
    """Why a directory without a config cannot be resumed."""
    if (pid := holder(directory)) is not None:
        return held(directory, pid)
    if not directory.is_dir():
        return RunError(f"{directory} is no directory; name the directory of a run")
    return RunError(
        f"{directory} is empty: it holds no config.json, so there is nothing to resume; "
        "start a new run"
    )


def _record_environment(run: Run) -> list[str]:
    """Adds the present environment to `RESUMES`; returns how it differs from the run's first."""
    present = environment(getattr(run.config, "seed", None))
    first = run.directory / "environment.json"
    if not first.exists():  # stopped before it was written, so before the first number
        write_json(first, present)
    path = run.directory / RESUMES
    before: list[Any] = read_json(path)["resumes"] if path.exists() else []
    differences = environment_differences(read_json(first), present)
    now = {
        "time": datetime.now(UTC).isoformat(),
        "differences": differences,
        "environment": present,
    }
    write_json(path, {"schema": 1, "resumes": [*before, now]})
    run.extra.append(RESUMES)
    return differences
