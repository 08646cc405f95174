"""Jobs as submitit hands them over: made, told to stop, and whether they are still there."""

import getpass
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import psutil

from sigmaprop import extras
from sigmaprop.names import shortened
from sigmaprop.runs.files import RunError

from .options import GENERIC
from .work import Work

MOST_TIMEOUTS = 100
"""How often a job may be queued again because its time was over; each time it goes on."""
_MINUTES = {"local": 60 * 24 * 365, "slurm": 60}
"""Of a job for which nothing is said; submitit's own are 2 and 5."""
_MODULE = "submitit.local._local"
"""What the process of a local job runs."""
_ASKED_EVERY = 15.0
"""Seconds between two questions to a cluster."""


class Queue(Protocol):
    """Who runs jobs."""

    period: float
    """Seconds between two looks at the run directories."""

    def submit(self, work: Work, name: str) -> str:
        """Hands a job over; its number."""
        ...

    def is_there(self, number: str) -> bool:
        """Whether it waits or runs."""
        ...

    def cancel(self) -> None:
        """Stops what ends with this command: jobs of this machine."""
        ...

    def advice(self, numbers: Sequence[str]) -> str:
        """How to look at jobs that go on by themselves."""
        ...


def check(launcher: str) -> None:
    """Refuses a launcher that is not here.

    Raises:
        RunError: submitit is not installed, or this is no machine of a cluster.
    """
    try:
        import submitit
    except ImportError as error:
        raise RunError(
            f"--launcher {launcher} needs the extra launcher; install it with "
            f"`{extras.install('launcher')}`"
        ) from error
    del submitit
    if launcher == "slurm":
        for tool in ("sbatch", "srun", "squeue"):
            if shutil.which(tool) is None:
                raise RunError(
                    f"--launcher slurm finds no {tool} here; give the command on a machine that "
                    "submits jobs, or take --launcher local"
                )


def open_queue(launcher: str, folder: Path, options: dict[str, Any]) -> Queue:
    """Who runs jobs with these options.

    Args:
        launcher: "local" or "slurm", after `check`.
        folder: for submitit's files.
        options: see `options.asked`.

    Raises:
        RunError: submitit refuses an option.
    """
    import submitit

    most = {f"{one}_max_num_timeout": MOST_TIMEOUTS for one in ("local", "slurm")}
    executor = submitit.AutoExecutor(folder, launcher, **most)
    generic = {key: value for key, value in options.items() if key in GENERIC}
    own = {f"slurm_{key}": value for key, value in options.items() if key not in generic}
    given = {"timeout_min": _MINUTES[launcher]} | generic | own
    try:
        executor.update_parameters(**given)
    except (AssertionError, NameError, TypeError, ValueError) as error:
        why = shortened(" ".join(str(error).split()), 200)
        raise RunError(f"submitit refuses --launcher-option {' '.join(options)}: {why}") from error
    return _Slurm(executor, given) if launcher == "slurm" else _Local(executor, given)


class _Local:
    """Processes of this machine."""

    period = 0.5

    def __init__(self, executor: Any, given: dict[str, Any]):
        self._executor, self._jobs = executor, {}
        del given

    def submit(self, work: Work, name: str) -> str:
        del name
        job = self._executor.submit(work)
        self._jobs[job.job_id] = job
        return job.job_id

    def is_there(self, number: str) -> bool:
        if number in self._jobs:
            return not self._jobs[number].done()
        try:  # of a command that has ended
            return _MODULE in psutil.Process(int(number)).cmdline()
        except (ValueError, psutil.Error):
            return False

    def cancel(self) -> None:
        for job in self._jobs.values():
            if not job.done():
                job.cancel()

    def advice(self, numbers: Sequence[str]) -> str:
        return f"look with `ps {' '.join(numbers)}`"


class _Slurm:
    """Jobs of a cluster; what `squeue` lists is there."""

    period = 5.0

    def __init__(self, executor: Any, given: dict[str, Any]):
        self._executor, self._given = executor, given
        self._asked, self._listed = 0.0, set[str]()

    def submit(self, work: Work, name: str) -> str:
        if "name" not in self._given:
            self._executor.update_parameters(name=f"sigmaprop-{name}")
        try:
            number = self._executor.submit(work).job_id
        except Exception as error:  # submitit raises a kind of its own
            why = shortened(" ".join(str(error).split()), 300)
            raise RunError(f"sbatch refuses {name}: {why}") from error
        self._listed.add(number)
        return number

    def is_there(self, number: str) -> bool:
        if time.monotonic() - self._asked > _ASKED_EVERY or not self._asked:
            self._ask()
        return number in self._listed

    def cancel(self) -> None:
        """Nothing: they go on without this command."""

    def advice(self, numbers: Sequence[str]) -> str:
        return f"look with `squeue -j {','.join(numbers)}`"

    def _ask(self) -> None:
        """What this user has in the queue; where it does not answer, what it had."""
        command = ["squeue", "-h", "-o", "%A", "-u", getpass.getuser()]
        try:
            told = subprocess.run(command, capture_output=True, text=True, timeout=60)
        except subprocess.TimeoutExpired:
            told = None
        self._asked = time.monotonic()
        if told is not None and told.returncode == 0:
            self._listed = set(told.stdout.split())
