"""One group of `sigmaprop gan`: its program, what is measured of it and when."""

import contextlib
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pyarrow as pa

from sigmaprop import runs
from sigmaprop.generators import evaluation
from sigmaprop.generators.evaluation import Reference
from sigmaprop.generators.gan import State
from sigmaprop.runs import signals

from ..training import loop, memory
from ..training.loop import Progress, evaluation_steps
from . import late
from . import tables as gan_tables
from . import tensorboard as gan_tensorboard
from .config import GanConfig
from .gap import gap_rows
from .plan import Plan
from .programs import CompiledGroup, compile_group


def train(
    config: GanConfig,
    plan: Plan,
    index: int,
    directory: runs.Run,
    reference: Reference,
    progress: Progress,
    stop: signals.Stop,
) -> State | None:
    """Trains one group from where its last checkpoint left it, or from step 0.

    Args:
        config: the options.
        plan: from `prepare`.
        index: of the group.
        directory: gets metrics, checkpoints and pictures.
        reference: what to score against.
        progress: takes a text and the replica-steps done.
        stop: whether the user or the system asked to stop.

    Returns:
        The last state; None of a group that an earlier process brought to its end.

    Raises:
        KeyboardInterrupt, Terminated: after a checkpoint, if so.
    """
    num = len(plan.groups[index].replicas)
    make = functools.partial(
        job, plan=plan, index=index, directory=directory, reference=reference, progress=progress
    )
    state = memory.train(config, num, make, directory, progress, stop)
    late.finish(directory, index, config)
    return state


def job(
    config: GanConfig,
    plan: Plan,
    index: int,
    directory: runs.Run,
    reference: Reference,
    progress: Progress,
) -> loop.Job:
    """The program of a group and its measurements; see `train`."""
    work = compile_group(config, plan, plan.groups[index], reference)
    replicas = work.group.replicas
    fits = _Fits(work)

    def measured(state: State, step: int) -> list[pa.Table]:
        if step in late.steps(config):
            noise = work.engine.fetch(state.player.noise)
            found = late.learned(work.group.spec, noise)
            late.keep(directory, index, step, found)
        return _measured(config, work, state, step, fits, progress)

    board = gan_tensorboard.writer(directory.directory, replicas)
    return loop.Job(
        index,
        len(plan.groups),
        replicas,
        work.engine,
        work.hypers,
        work.data,
        work.group.spec.metrics,
        (*evaluation_steps(config), *gap_steps(config), *late.steps(config)),
        measured,
        lambda last: _tell(work, last),
        lambda state, step: work.pictures(state, work.hypers, jnp.asarray(step), fits(state, step)),
        lambda state: _model(state, fits(state, config.steps)),
        board if config.tensorboard else contextlib.nullcontext(),
    )


def gap_steps(config: GanConfig) -> tuple[int, ...]:
    """Steps after which the gap of Goodfellow's substitution is measured."""
    count = config.gap_evaluations
    return tuple(sorted({max(1, round((n + 1) * config.steps / count)) for n in range(count)}))


class _Fits:
    """The noise fitted behind the means of a group, None of other arms; once for each step."""

    def __init__(self, work: CompiledGroup):
        self.work = work
        self.last: tuple[int, jax.Array | None] = (-1, None)

    def __call__(self, state: State, step: int) -> jax.Array | None:
        """That of the state after a step, as `CompiledGroup.fit` gives it."""
        work = self.work
        if work.fit is None:
            return None
        if self.last[0] != step:
            t = jnp.asarray(step)
            found = work.fit(state, work.held_out, work.hypers, work.reference, t)
            self.last = (step, found)
        return self.last[1]


def _model(state: State, fitted: jax.Array | None) -> dict[str, Any]:
    """What is kept of the last state."""
    kept = {"last": state.player, "average": state.average, "diverged_at": state.diverged_at}
    return kept if fitted is None else kept | {"post_hoc": fitted}


def _measured(
    config: GanConfig,
    work: CompiledGroup,
    state: State,
    step: int,
    fits: _Fits,
    progress: Progress,
) -> list[pa.Table]:
    """Scores and gap, at the steps that they belong to."""
    rows = []
    if step in (steps := evaluation_steps(config)):
        progress(f"step {step:,}: scoring, {steps.index(step) + 1} of {len(steps)}")
        fitted, t = fits(state, step), jnp.asarray(step)
        if fitted is not None:
            rows.append(gan_tables.fitted(work, work.engine.fetch(fitted), step))
        found = work.score(state, work.held_out, work.hypers, work.reference, t, fitted)
        rows.append(gan_tables.scores(work, work.engine.fetch(found), step))
        if work.clean is not None:
            found = work.score(state, work.held_out, work.hypers, work.clean, t, fitted)
            rows.append(
                gan_tables.scores(work, work.engine.fetch(found), step, evaluation.TO_CLEAN)
            )
    if step in (steps := gap_steps(config)):
        progress(f"step {step:,}: the gap, {steps.index(step) + 1} of {len(steps)}")
        rows.append(gap_rows(config, work, state, step))
    return rows


def _tell(work: CompiledGroup, last: dict[str, np.ndarray]) -> str:
    """Losses of all replicas, and the sigma of each arm, in the window that is under way."""
    arms: dict[str, list[float]] = {}
    for replica, value in zip(work.group.replicas, last["sigma"], strict=True):
        arms.setdefault(replica.cell.options.arm, []).append(value)
    shown = " ".join(f"{arm} {np.nanmean(values):.3g}" for arm, values in arms.items())
    losses = (np.nanmean(last[f"{name}_loss"]) for name in ("discriminator", "generator"))
    return "D {:.2f} G {:.2f}, sigma ".format(*losses) + shown
