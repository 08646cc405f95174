"""What a job does: the command line of its seeds, in a process of its own.

submitit pickles an object of this module and calls it on the machine of the job. JAX starts in the
process below it, with whatever devices that machine has.
"""

import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..options import flag

SCRIPT = (sys.executable, "-m", "sigmaprop.experiments")
"""What the console script `sigmaprop` does, of the same Python."""
TOGETHER = flag("distributed")
"""The option of a command whose processes work together."""
_LOOK = 0.1
_PATIENCE = 75.0
"""Seconds that a process which was told to stop gets to write its checkpoint."""
_TERMINATED = 128 + signal.SIGTERM
_children: list[tuple[subprocess.Popen[Any], threading.Thread]] = []
"""The process of this job; not part of what is pickled."""


@dataclasses.dataclass(frozen=True)
class Work:
    """One job; calling it runs its seeds to their end, from where an earlier call left them.

    Attributes:
        words: of the command line that begins the run.
        run_dir: its directory, as the words name it.
        log: file that what it prints is added to.
        place: working directory of the command.
        cores: that it may use; none: all.
        gpus: what CUDA_VISIBLE_DEVICES is to be; None: unset. Only of a job of this machine.
        local: whether it is one.
        tasks: processes of the job, all of which run the command.
    """

    words: tuple[str, ...]
    run_dir: str
    log: str
    place: str
    cores: tuple[int, ...] = ()
    gpus: str | None = None
    local: bool = False
    tasks: int = 1

    def __call__(self) -> None:
        """Runs the command to its end.

        Raises:
            RuntimeError: it ended with another status than 0.
        """
        begun = (Path(self.place) / self.run_dir / "config.json").exists()
        words = ("resume", self.run_dir, *self._together) if begun else self.words
        with open(Path(self.place) / self._own_log, "ab") as log, self._inherited():
            child = subprocess.Popen(
                [*SCRIPT, *words],
                **{"stdin": subprocess.DEVNULL, "stdout": log, "stderr": subprocess.STDOUT},
                **{"cwd": self.place, "env": self._environment(), "start_new_session": True},
            )
        waiting = threading.Thread(target=child.wait, daemon=True)
        waiting.start()
        _children[:] = [(child, waiting)]
        try:
            while waiting.is_alive():
                time.sleep(_LOOK)
        except KeyboardInterrupt:
            _stop()
            raise
        if child.returncode == _TERMINATED and not self.local:
            time.sleep(_PATIENCE)  # of a preemption the signal to queue it again comes behind
        if child.returncode:
            raise RuntimeError(f"it ended with status {child.returncode}; see {self.log}")

    def checkpoint(self) -> Any:
        """Where the job is about to be stopped: lets the run save itself, to be called again."""
        from submitit.helpers import DelayedSubmission

        _stop()
        return DelayedSubmission(self)

    @property
    def _together(self) -> tuple[str, ...]:
        return (TOGETHER, "True") if self.tasks > 1 else ()

    @property
    def _own_log(self) -> str:
        """The log of this task: the first one's has no number."""
        task = os.environ.get("SLURM_PROCID", "0") if self.tasks > 1 else "0"
        return self.log if task == "0" else f"{self.log.removesuffix('.log')}.{task}.log"

    def _environment(self) -> dict[str, str]:
        """That of the process; submitit hides the GPUs of a local job."""
        found = dict(os.environ)
        if self.local:
            found.pop("CUDA_VISIBLE_DEVICES", None)
            found |= {} if self.gpus is None else {"CUDA_VISIBLE_DEVICES": self.gpus}
        return found

    @contextlib.contextmanager
    def _inherited(self) -> Iterator[None]:
        """A process that is made inside has its cores, and no signal to queue a job again.

        A signal that comes meanwhile is not lost to this process, where it waits until the end.
        """
        before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGUSR1, signal.SIGUSR2))
        mine = os.sched_getaffinity(0) if self.cores else set()
        try:
            if mine:
                os.sched_setaffinity(0, self.cores)
            yield
        finally:
            if mine:
                os.sched_setaffinity(0, mine)
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _stop() -> None:
    """Ends the process of the job as SIGTERM does: with a checkpoint.

    It is called by a handler of signals, so it takes no lock that the interrupted code may hold.
    """
    for child, waiting in _children:
        if waiting.is_alive():
            os.kill(child.pid, signal.SIGTERM)
        end = time.monotonic() + _PATIENCE
        while waiting.is_alive() and time.monotonic() < end:
            time.sleep(_LOOK)
