"""What a directory of jobs is of: a file that the same command, given again, is held against."""

import json
import shlex
from pathlib import Path
from typing import Any, NamedTuple

from sigmaprop import runs
from sigmaprop.runs import configs, files
from sigmaprop.runs.files import RunError

from .options import Part

NAME = "jobs.json"
FOLDER = "submitit"
"""Below the directory, submitit's own files."""


class Sheet(NamedTuple):
    """A directory of jobs.

    Attributes:
        directory: as the user named it.
        command: the experiment's name.
        again: the command line that goes on with it.
        config: the options of all seeds, as in a run's config.json.
        jobs: the seeds of each.
        numbers: by name of a job, the number under which it was submitted last.
    """

    directory: Path
    command: str
    again: str
    config: dict[str, Any]
    jobs: list[Part]
    numbers: dict[str, str]

    def save(self) -> None:
        """Writes the file."""
        content = {
            **{"schema": 1, "command": self.command, "again": self.again, "config": self.config},
            "jobs": [part._asdict() for part in self.jobs],
            "numbers": self.numbers,
        }
        files.write_json(self.directory / NAME, content)

    def run_dir(self, part: Part) -> Path:
        """The run directory of a job."""
        return self.directory / part.name

    def log(self, part: Part) -> Path:
        """What it printed."""
        return self.directory / f"{part.name}.log"

    def state(self, part: Part) -> str:
        """How its run stands; "" where none has begun."""
        if not files.exists(self.run_dir(part) / "status.json"):
            return ""
        return runs.state(self.run_dir(part))

    def last_line(self, part: Part) -> str:
        """The last line that it printed, without the name of the program; "" if there is none."""
        try:
            with open(self.log(part), "rb") as log:
                log.seek(max(0, log.seek(0, 2) - 4096))
                lines = log.read().decode(errors="replace").splitlines()
        except OSError:
            return ""
        told = [line.strip() for line in lines if line.strip()]
        return told[-1].removeprefix("sigmaprop: ") if told else ""


def opened(
    run_dir: Path | None, command: str, words: list[str], config: Any, jobs: list[Part]
) -> Sheet:
    """The directory of these jobs: a new one, or the one in which they were begun.

    Args:
        run_dir: new, empty, or of the same jobs; None for a fresh one.
        command: the experiment's name.
        words: its words without --run-dir, for the sentence on how to go on.
        config: its options.
        jobs: the seeds of each.

    Raises:
        RunError: the directory holds something else, or jobs of other options.
    """
    plain = json.loads(configs.dump(command, config))["config"]
    if run_dir is not None and files.exists(run_dir / NAME):
        found = read(run_dir)
        _check_same(found, command, plain, jobs)
        return found
    directory = runs.new_directory(run_dir, command)
    again = shlex.join(["sigmaprop", command, *words, "--run-dir", str(directory)])
    return Sheet(directory, command, again, plain, jobs, {})


def read(directory: Path) -> Sheet:
    """The jobs of a directory.

    Raises:
        RunError: the file is damaged.
    """
    path = directory / NAME
    content = files.read_json(path)
    try:
        jobs = [Part(one["name"], one["first_seed"], one["seeds"]) for one in content["jobs"]]
        rest = (content["command"], content["again"], content["config"], jobs, content["numbers"])
    except (AttributeError, KeyError, TypeError) as error:
        raise RunError(f"{path} is damaged; restore it, or take another --run-dir") from error
    return Sheet(directory, *rest)


def refuse(directory: Path) -> None:
    """Says how to go on with a directory of jobs, which is no run but holds some.

    Raises:
        RunError: it is one.
    """
    directory = Path(directory)
    if files.exists(directory / NAME) and not files.exists(directory / "config.json"):
        raise RunError(
            f"{directory} holds the jobs of a sweep: go on with `{read(directory).again}`, or "
            "name one of the runs below it"
        )


def _check_same(found: Sheet, command: str, plain: dict[str, Any], jobs: list[Part]) -> None:
    """Refuses to go on with jobs of another command, other options or other pieces."""
    where = f"--run-dir {found.directory} holds jobs"
    remedy = f"choose another directory, or go on with `{found.again}`"
    if found.command != command:
        raise RunError(f"{where} of {found.command}, not of {command}; {remedy}")
    other = [name for name in plain if plain[name] != found.config.get(name)]
    if other:
        flag = "--" + other[0].replace("_", "-")
        raise RunError(f"{where} of another {flag}; {remedy}")
    if found.jobs != jobs:
        raise RunError(f"{where} of {len(found.jobs)} pieces, not {len(jobs)}; {remedy}")
