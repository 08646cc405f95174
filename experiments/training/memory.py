"""A group that is out of a device's memory: it goes on with fewer replicas vectorised together.

What a group needs beside its states is what a step makes of the replicas that run together, and
that halves with their number. What was saved before counts: a replica's numbers do not depend on
the others of its group, but for the rounding of vectorised sums. A run that is resumed begins with
the chunk that was asked for again.
"""

import dataclasses
import gc
from collections.abc import Callable
from typing import Any

from sigmaprop import processes, runs
from sigmaprop.generators.layout import layout
from sigmaprop.runs import signals

from . import loop
from .loop import Job, Progress


class _Counted:
    """Progress, and how much of it is told."""

    def __init__(self, progress: Progress):
        self._progress, self.done, self.say = progress, 0, progress.say

    def __call__(self, what: str, done: int = 0) -> None:
        self.done += done
        self._progress(what, done)


def train(
    config: Any,
    num: int,
    make: Callable[[Any], Job],
    directory: runs.Run,
    progress: Progress,
    stop: signals.Stop,
) -> Any:
    """`loop.train`, with half the ``replica_chunk`` wherever a device has too little memory.

    Args:
        config: the options.
        num: replicas of the group.
        make: from options, of which ``replica_chunk`` may be another, the group.
        directory: see `loop.train`.
        progress: see `loop.train`; of what is done again the count is taken back.
        stop: see `loop.train`.

    Returns:
        What `loop.train` does.

    Raises:
        RunError: one replica at a time is too much, too.
    """
    asked = 1 if config.deterministic else config.replica_chunk
    chunk = layout(num, asked).replica_chunk
    while True:
        counted = _Counted(progress)
        try:
            return loop.train(config, make(config), directory, counted, stop)
        except RuntimeError as error:
            if "RESOURCE_EXHAUSTED" not in str(error) or processes.num() > 1:
                raise
            if chunk == 1:
                raise runs.RunError(
                    f"out of memory with one replica at a time ({_gist(error)}); lower --seeds or "
                    "--batch-size, or sweep less at once"
                ) from error
            said = (
                f"out of memory with --replica-chunk {chunk} ({_gist(error)}); going on with "
                f"{chunk // 2}"
            )
        gc.collect()  # what the frames of the error held on the device
        chunk //= 2
        config = dataclasses.replace(config, replica_chunk=chunk)
        progress(f"with --replica-chunk {chunk}", -counted.done)
        progress.say(said)


def _gist(error: RuntimeError) -> str:
    """The first line of what the device said."""
    return str(error).strip().splitlines()[0][:100].rstrip(".")
