"""Going on with a run that was stopped."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from sigmaprop.runs import checkpoints, files, tables
from sigmaprop.runs.configs import load_config
from sigmaprop.runs.environment import environment, environment_differences
from sigmaprop.runs.files import RunError
from sigmaprop.runs.run import Run, read_environment, state, verify_seals, write_status

RESUMES = "resumes.json"
"""The environment of each process that went on with the run, in the order in which they did."""


class Resumed(NamedTuple):
    """What became of the wish to go on with a run.

    Attributes:
        run: to be entered with ``with``; None where it is complete already.
        differences: one sentence for each thing that differs from the environment in which the run
            began, see `environment_differences`: with any of them, bits may differ too.
        verified: whether config, environment and metrics are known to be as the run wrote them; a
            run of an older version recorded no checksums, and gets those of what is there now.
    """

    run: Run | None
    differences: list[str]
    verified: bool = True


def resume(directory: Path, command: str, config_type: type) -> Resumed:
    """Takes over a run that was interrupted or failed; its status is "running" again.

    Config and environment stay what they were; `RESUMES` gets the present environment. What was
    recorded after the checkpoint that the caller goes on from is the caller's to remove, by
    `drop_parts_after`. Temporary files of a process that was killed are removed.

    Args:
        directory: the run directory, relative to the present working directory or absolute.
        command: refuse a run of another command.
        config_type: its dataclass.

    Raises:
        RunError: if the run is in use by a living process, has not begun, belongs to another
            command, or a file is damaged, was altered or cannot be written.
    """
    named = Path(directory)
    check_begun(named)
    if state(named) == "complete":
        return Resumed(None, [])
    lock = files.take_lock(named)
    try:
        if state(named) == "complete":  # it ended between the two looks
            os.close(lock)
            return Resumed(None, [])
        seals = verify_seals(named)
        config = load_config(named, config_type, command=command)
        run = Run.locked(named, lock, command, config)
        run.seals |= seals or {}
        differences = _record_environment(run)
        files.remove_temporary(run.directory)
        checkpoints.remove_unfinished(run.directory)
        tables.remove_unfinished(run.directory)
        if seals is None:
            tables.seal_parts(run)  # before the status, which tells that it was done
        write_status(run, "running")
    except BaseException:
        os.close(lock)
        raise
    return Resumed(run, differences, verified=seals is not None)


def check_begun(directory: Path) -> None:
    """Refuses a directory in which no run has come as far as its config.

    Raises:
        RunError: saying what is there instead.
    """
    directory = Path(directory)
    if files.exists(directory / "config.json"):
        return
    if (pid := files.holder(directory)) is not None:
        raise files.held(directory, pid)
    if not directory.is_dir():
        raise RunError(f"{directory} is no directory; name the directory of a run")
    raise RunError(
        f"{directory} is empty: it holds no config.json, so there is nothing to resume; "
        "start a new run"
    )


def _record_environment(run: Run) -> list[str]:
    """Adds the present environment to `RESUMES`; returns how it differs from the run's first."""
    present = environment(getattr(run.config, "seed", None))
    first = run.directory / "environment.json"
    if not files.exists(first):  # stopped before it was written, so before the first number
        run.seals.pop(first.name, None)
        write_status(run, "running")  # before: nothing may lie there under another's seal
        files.write_json(first, present)
    for path in (run.directory / "config.json", first):
        run.seals.setdefault(path.name, files.digest(path))
    path = run.directory / RESUMES
    before = []
    if files.exists(path):
        content = files.read_json(path)
        before = content.get("resumes") if isinstance(content, dict) else None
        if not isinstance(before, list):
            raise RunError(f"{path} holds no list of resumes; restore it or delete it")
    differences = environment_differences(read_environment(run.directory), present)
    time = datetime.now(UTC).isoformat()
    entry = {"time": time, "differences": differences, "environment": present}
    files.write_json(path, {"schema": 1, "resumes": [*before, entry]})
    run.extra.append(RESUMES)
    return differences
