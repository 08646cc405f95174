"""One group of `sigmaprop vae`: its program, what is measured of it and when."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pyarrow as pa

from sigmaprop import runs
from sigmaprop.generators import observation, replicas, vae, vae_step
from sigmaprop.generators.replicas import Engine
from sigmaprop.generators.vae import METRICS, Evidence, VaeHypers, VaeSpec, VaeState
from sigmaprop.runs import signals

from ..training import loop, memory, tables
from ..training.groups import engine_of
from ..training.loop import Progress, evaluation_steps
from ..training.records import SHOWN
from .config import VaeConfig
from .plan import Group, Plan, all_hypers

_PRIOR, _NOISE, _BOUNDS = 0, 1, 2
"""Folded into the key of evaluations: latents and noise of pictures, draws of bounds."""


class Held(NamedTuple):
    """Numbers of held-out rows, [R, M] each."""

    validation: Any
    test: Any


def train(
    config: VaeConfig,
    plan: Plan,
    index: int,
    directory: runs.Run,
    progress: Progress,
    stop: signals.Stop,
) -> Any:
    """Trains one group from where its last checkpoint left it, or from step 0.

    Args:
        config: the options.
        plan: from `prepare`.
        index: of the group.
        directory: gets metrics, checkpoints and pictures.
        progress: takes a text and the replica-steps done.
        stop: whether the user or the system asked to stop.

    Returns:
        The last state; None of a group that an earlier process brought to its end.

    Raises:
        KeyboardInterrupt, Terminated: after a checkpoint, if so.
    """
    num = len(plan.groups[index].replicas)
    make = functools.partial(job, plan=plan, index=index, progress=progress)
    return memory.train(config, num, make, directory, progress, stop)


def job(
    config: VaeConfig,
    plan: Plan,
    index: int,
    progress: Progress,
    devices: Sequence[Any] | None = None,
) -> loop.Job:
    """The program of a group and its measurements; it is compiled when it first runs.

    For ``devices`` that are not at hand its inputs are only described; None: the local ones.
    """
    group = plan.groups[index]
    engine = engine_of(config, vae_step.model(group.spec), len(group.replicas), devices)
    root, own = jax.random.key(config.seed), config.redraw_split
    splits = [plan.splits[replica.seed - config.first_seed] for replica in group.replicas]
    own_rows = np.stack([split.train for split in splits]) if own else None
    every = engine.place(all_hypers(group.replicas, group.spec, root, own_rows))
    most = config.eval_examples
    held = [Held(split.validation[:most], split.test[:most]) for split in splits]
    rows = engine.place(jax.tree.map(lambda leaf: leaf.astype(np.int32), replicas.stack(held)))
    x = engine.replicate(jnp.asarray(plan.dataset.x))
    train_x = x if own else engine.replicate(jnp.asarray(plan.dataset.x[plan.dataset.splits.train]))
    bounds = jax.jit(_bounds(config, group, engine))
    pictures = jax.jit(_pictures(group, engine))
    steps = evaluation_steps(config)

    def measured(state: VaeState, step: int) -> list[pa.Table]:
        if step not in steps:
            return []
        progress(f"step {step:,}: bounds, {steps.index(step) + 1} of {len(steps)}")
        names = ("validation", "test") if step == config.steps else ("validation",)
        found = {
            name: engine.fetch(bounds(state, getattr(rows, name), every, x, jnp.asarray(step)))
            for name in names
        }
        return [_rows(group, name, own, step) for name, own in found.items()]

    return loop.Job(
        index,
        len(plan.groups),
        group.replicas,
        engine,
        every,
        train_x,
        METRICS,
        steps,
        measured,
        lambda last: _tell(group, last),
        lambda state, step: pictures(state, rows.test, every, x, jnp.asarray(step)),
        lambda state: {
            "params": state.params,
            "variance": state.variance,
            "diverged_at": state.diverged_at,
        },
    )


def _bounds(config: VaeConfig, group: Group, engine: Engine) -> Callable[..., Evidence]:
    """Means over held-out examples of one replica, for all of them."""

    def one(both: Any, own: VaeHypers, x: jax.Array, t: jax.Array) -> Evidence:
        state, rows = both
        key = jax.random.fold_in(vae.streams(own.key)["evaluation"], _BOUNDS)
        found = vae.evidence(group.spec, own, state, x[rows], key, config.eval_draws, t)
        return jax.tree.map(jnp.mean, found)

    return lambda state, rows, own, x, t: engine.map(one, (state, rows), own, x, t)


def _rows(group: Group, name: str, found: Evidence, step: int) -> pa.Table:
    """The bounds as rows of the metrics."""
    numbers = [replica.number for replica in group.replicas]
    values = np.stack(found, axis=-1)
    names = tuple(f"held_out_{metric}" for metric in Evidence._fields)
    return tables.rows(numbers, [step], names, values[:, None], of=name, weights="last")


def _pictures(group: Group, engine: Engine) -> Callable[..., dict[str, jax.Array]]:
    """Examples of the prior, and reconstructions of test examples at the mean of q(z|x)."""
    spec = group.spec

    def one(both: Any, own: VaeHypers, x: jax.Array, t: jax.Array) -> dict[str, jax.Array]:
        state, rows = both
        drawn = samples(spec, own, state, SHOWN, t)
        given = x[rows[:SHOWN]]
        posterior = vae.encode(spec, state.params, given)
        again = vae.decode(spec, own, state, posterior.mean, t)
        return drawn | {"given_last": given, "reconstruction_last": again.mean}

    return lambda state, rows, own, x, t: engine.map(one, (state, rows), own, x, t)


def samples(
    spec: VaeSpec, own: VaeHypers, state: VaeState, num: int, t: jax.Array
) -> dict[str, jax.Array]:
    """Means, samples and scales of the noise for latents that all replicas of a seed share."""
    key = vae.streams(own.key)["evaluation"]
    z = jax.random.normal(jax.random.fold_in(key, _PRIOR), (num, spec.decoder.in_dim))
    decoded = vae.decode(spec, own, state, z, t)
    noise, dim = decoded.noise, spec.observation.dim
    eps_key, zeta_key = jax.random.split(jax.random.fold_in(key, _NOISE))
    zeta = None
    if noise.factor is not None:
        zeta = jax.random.normal(zeta_key, (num, noise.factor.shape[1]))
    x = noise.add_to(decoded.mean, jax.random.normal(eps_key, (num, dim)), zeta)
    scale = observation.per_coordinate_std(noise, num, dim)
    return {"mean_last": decoded.mean, "x_last": x, "scale_last": scale}


def _tell(group: Group, last: dict[str, np.ndarray]) -> str:
    """The bound of all replicas, and the sigma of each arm, in the window that is under way."""
    arms: dict[str, list[float]] = {}
    for replica, value in zip(group.replicas, last["sigma"], strict=True):
        arms.setdefault(replica.cell.options.arm, []).append(value)
    shown = " ".join(f"{arm} {np.nanmean(values):.3g}" for arm, values in arms.items())
    return f"ELBO {np.nanmean(last['elbo']):.1f}, sigma {shown}"
