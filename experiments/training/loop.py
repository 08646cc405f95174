"""The host's side of training: chunks of steps, and what is done between them.

Nothing here decides a number: chunks are cut by the clock, and the engine gives the same numbers
however they are cut. What must happen at a step, such as scores, ends a chunk.
"""

import contextlib
import math
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np
import pyarrow as pa

from sigmaprop import processes, runs
from sigmaprop.generators.divergence import NOT_DIVERGED
from sigmaprop.generators.replicas import Engine
from sigmaprop.runs import checkpoints, signals
from sigmaprop.runs.arrays import read_arrays, save_tree
from sigmaprop.runs.files import atomic, sha256, verify_file

from . import tables
from .sweep import Replica

CHUNK_SECONDS = 0.5
"""Work between two looks at signals and progress."""
MAX_WINDOWS = 256
"""Most windows of metrics of one chunk."""
_SHORTEST_CHUNK = 20
_EARLY = (0.1, 0.25, 0.4, 0.6)
_MOMENTS = (1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 3 / 4)
"""Shares of the run after which examples are kept; at its end they are kept in any case."""


class Progress(Protocol):
    """Where the user is told how far the work is."""

    def __call__(self, what: str, done: int = 0) -> None:
        """What is being done, and the replica-steps done since the last call."""

    def say(self, sentence: str) -> None:
        """A sentence that is to stay on the screen."""


class Silent:
    """A `Progress` that tells nobody."""

    def __call__(self, what: str, done: int = 0) -> None:
        """Nothing."""

    def say(self, sentence: str) -> None:
        """Nothing."""


class Job(NamedTuple):
    """One compiled group of replicas, and what is measured of it.

    Attributes:
        group: its number, from 0.
        num_groups: in all.
        replicas: of the group.
        engine: their program.
        hypers: of all replicas, padded.
        data: what they train on.
        metrics: names of what a step measures.
        marks: steps that end a chunk, beside those at which examples are kept.
        measured: ``(state, step) -> tables``, at the end of every chunk.
        tell: ``{metric: [R]} -> sentence`` on the last window.
        pictures: ``(state, step) -> {name: [R, N, D]}``.
        model: ``state -> tree``, what is kept of the last state for `sigmaprop evaluate`.
        board: a context whose value takes every table that is saved, or None.
    """

    group: int
    num_groups: int
    replicas: Sequence[Replica]
    engine: Engine
    hypers: Any
    data: Any
    metrics: Sequence[str]
    marks: Iterable[int]
    measured: Callable[[Any, int], list[pa.Table]]
    tell: Callable[[dict[str, np.ndarray]], str]
    pictures: Callable[[Any, int], dict[str, Any]]
    model: Callable[[Any], Any]
    board: Any = contextlib.nullcontext()

    @property
    def numbers(self) -> list[int]:
        """The replicas' numbers."""
        return [replica.number for replica in self.replicas]


def train(
    config: Any, work: Job, directory: runs.Run, progress: Progress, stop: signals.Stop
) -> Any:
    """Trains one group from where its last checkpoint left it, or from step 0.

    Args:
        config: the options; those of the run (``steps``, ``metrics_every``, ``checkpoint_seconds``)
            are read here.
        work: the group.
        directory: gets metrics, checkpoints and pictures.
        progress: takes a text and the replica-steps done.
        stop: whether the user or the system asked to stop.

    Returns:
        The last state; None of a group that an earlier process brought to its end.

    Raises:
        KeyboardInterrupt, Terminated: after a checkpoint, if so.
    """
    offset = work.group * config.steps
    pictures = directory.directory / f"samples-{work.group}.npz"
    model = directory.directory / model_name(work.group)
    moments = {
        step: directory.directory / f"moments-{work.group}-{step}.npz"
        for step in moment_steps(config)
    }
    compiling = f"compiling program {work.group + 1} of {work.num_groups}"
    progress(compiling)
    state, now = _restore(directory, work, offset, config.steps, progress)
    progress(compiling, now * len(work.numbers))
    if now:
        progress.say(f"going on from step {now:,} of group {work.group + 1}")
    if state is None:
        check_kept(directory, pictures)
    elif now < config.steps or not is_sealed(directory, pictures):
        with work.board as board:

            def save(state: Any, step: int, table: pa.Table) -> None:
                runs.append_part(directory, offset + step, table)
                checkpoints.save(directory.shared, offset + step, state)
                if board is not None:
                    board.add(table)

            state = _steps(config, work, state, now, save, moments, progress, stop)
        _tell_divergence(work, state, progress)
        progress("examples for the report")
        _save_pictures(pictures, work, state, config.steps)
        save_tree(model, work.engine.fetch(work.model(state)))
        runs.seal(directory, pictures, model, *_there(moments))
    for path in (pictures, *_there(moments), *([model] if model.is_file() else [])):
        runs.include(directory, path)
    return state


def _steps(
    config: Any,
    work: Job,
    state: Any,
    now: int,
    save: Callable[[Any, int, pa.Table], None],
    moments: dict[int, Path],
    progress: Progress,
    stop: signals.Stop,
) -> Any:
    """The steps that are left, in chunks; saved every few seconds, at the end, and on a signal."""
    state, _ = work.engine.run(state, work.hypers, work.data, now, now)  # compiles
    jax.block_until_ready(state)
    rows: list[pa.Table] = []
    marks = {*work.marks, *moments, config.steps}
    every, chunk, saved = config.metrics_every, _SHORTEST_CHUNK, time.monotonic()
    while now < config.steps:
        until = min([now + chunk, *(mark for mark in marks if mark > now)])
        started = time.monotonic()
        state, windows = work.engine.run(state, work.hypers, work.data, now, until)
        found = work.engine.fetch(windows)
        chunk = _next_chunk(config, until - now, time.monotonic() - started)
        span = (now, until)
        table = tables.windows(
            work.numbers, work.metrics, found, span, every=every, steps=config.steps
        )
        rows += [table, *work.measured(state, until)]
        if until == config.steps:
            diverged = work.engine.fetch(state.diverged_at)
            rows.append(tables.divergence(work.numbers, diverged, until))
        told = work.tell(_last_window(work, found, span, every))
        progress(f"step {until:,}: {told}", (until - now) * len(work.numbers))
        now = until
        if now in moments:
            _save_moment(moments[now], work, state, now)
        due = time.monotonic() - saved >= config.checkpoint_seconds
        chunk, due = _agreed(chunk, due, stop)
        if due or now == config.steps or stop.requested is not None:
            save(state, now, pa.concat_tables(rows))
            rows, saved = [], time.monotonic()
        stop.raise_if_requested()
    return state


def model_name(group: int) -> str:
    """The file of a group's models after the last step."""
    return f"model-{group}.npz"


def evaluation_steps(config: Any) -> tuple[int, ...]:
    """Steps after which every replica is scored: a few early, the others in the last fifth."""
    late = np.linspace(0.8 * config.steps, config.steps, config.evaluations + 1)[1:]
    early = [share * config.steps for share in _EARLY]
    return tuple(sorted({max(1, round(step)) for step in (*early, *late)}))


def moment_steps(config: Any) -> tuple[int, ...]:
    """Steps, the last one not among them, after which examples are kept."""
    steps = {max(1, round(share * config.steps)) for share in _MOMENTS}
    return tuple(sorted(steps - {config.steps}))


def _last_window(
    work: Job, found: np.ndarray, span: tuple[int, int], every: int
) -> dict[str, np.ndarray]:
    """The averages of the window that is under way, by metric, [R]."""
    now, until = span
    row = until // every - now // every
    row -= until % every == 0 and row > 0
    last = found[:, row] * (every / (until % every or every))
    return dict(zip(work.metrics, last.T, strict=True))


def _restore(
    directory: runs.Run, work: Job, offset: int, steps: int, progress: Progress
) -> tuple[Any, int]:
    """The state of the group's last good checkpoint and its step, or a fresh one and 0.

    A checkpoint is good if it is whole and so is all that was recorded before it. Of a group that
    is behind the run the state is gone: None.

    Raises:
        RunError: what was recorded is damaged, and no checkpoint lies before the damage.
    """
    fresh = work.engine.init(work.hypers)
    there = checkpoints.steps(directory.shared)
    damage = runs.damage(directory.directory, there)
    if damage is not None and damage.step <= offset:
        raise _lost(directory, damage.reason)
    if max(there, default=0) > offset + steps and (damage is None or damage.step > offset + steps):
        return None, steps  # a later group has begun
    found = checkpoints.latest(
        directory.shared,
        fresh,
        say=progress.say,
        after=offset,
        before=math.inf if damage is None else damage.step,
        rows=len(work.numbers),
    )
    if damage is not None:
        if found is None:
            raise _lost(directory, damage.reason)
        progress.say(f"{damage.reason}; a checkpoint before it counts")
    state, begin = fresh, 0
    if found is not None:
        state, begin = work.engine.place(found[1]), found[0] - offset
    processes.wait()  # until all have read
    checkpoints.drop_after(directory.shared, offset + begin)
    runs.drop_parts_after(directory, offset + begin)
    return state, begin


def is_sealed(directory: runs.Run, path: Path) -> bool:
    """Whether a file of the run is there as it was written."""
    digest = directory.seals.get(path.name)
    try:
        return digest is not None and sha256(path) == digest
    except OSError:
        return False


def check_kept(directory: runs.Run, path: Path) -> None:
    """Refuses pictures that were altered of a group that is behind the run.

    Raises:
        RunError: they were, or are missing.
    """
    if path.name in directory.seals:
        try:
            verify_file(path, directory.seals[path.name])
        except runs.RunError as error:
            raise _lost(directory, str(error).partition(";")[0]) from error
    elif path.is_file():
        runs.seal(directory, path)  # by a version that did not
    else:
        raise _lost(directory, f"{path} is missing")


def _lost(directory: runs.Run, reason: str) -> runs.RunError:
    """The error for what nothing on disk can give back."""
    return runs.RunError(
        f"{reason}, and no checkpoint before that is left; restore it, or start anew with "
        f"`sigmaprop {directory.command} --config RUN`"
    )


def _next_chunk(config: Any, steps: int, elapsed: float) -> int:
    """Steps that take about `CHUNK_SECONDS`."""
    wanted = CHUNK_SECONDS * steps / max(elapsed, 1e-6)
    most = (MAX_WINDOWS - 1) * config.metrics_every
    return max(1, int(min(max(wanted, _SHORTEST_CHUNK), most)))


def _agreed(chunk: int, due: bool, stop: signals.Stop) -> tuple[int, bool]:
    """What all processes do next: as the first one's clock says, and any one's signal."""
    each = processes.gather([chunk, due, stop.requested or 0])
    stop.requested = int(each[:, 2].max()) or None
    return int(each[0, 0]), bool(each[0, 1])


def _tell_divergence(work: Job, state: Any, progress: Progress) -> None:
    at = work.engine.fetch(state.diverged_at)
    for replica, when in zip(work.replicas, at, strict=True):
        if when != NOT_DIVERGED:
            name = f"replica {replica.number} ({replica.cell.label}, seed {replica.seed})"
            progress.say(f"{name} diverged at step {when:,} and was frozen there")


def _save_moment(path: Path, work: Job, state: Any, step: int) -> None:
    """Examples of the last iterate of every cell's first seed; the latents of the final examples.

    On a line, where a picture is a density, of every seed.
    """
    found = work.engine.fetch(work.pictures(state, step))
    replicas = work.replicas
    first = min(replica.seed for replica in replicas)
    every = found["x_last"].shape[-1] == 1
    rows = np.array([row for row, one in enumerate(replicas) if every or one.seed == first])
    arrays: dict[str, Any] = {name: found[name][rows] for name in ("mean_last", "x_last")}
    with atomic(path) as file:
        np.savez(file, replica=np.asarray(work.numbers)[rows], **arrays)


def _there(moments: dict[int, Path]) -> list[Path]:
    """Those that are there, all whole: pictures that a user removed are no reason to stop."""
    return [path for path in moments.values() if path.is_file() and read_arrays(path)]


def _save_pictures(path: Path, work: Job, state: Any, step: int) -> None:
    """Examples of every replica, by weights, for the report."""
    arrays = work.engine.fetch(work.pictures(state, step))
    with atomic(path) as file:
        np.savez(file, replica=np.asarray(work.numbers), **arrays)
