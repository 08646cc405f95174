"""The programs of `sigmaprop limit` for devices that are not at hand; see `sigmaprop compile`."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from sigmaprop import limit, meshes, objectives
from sigmaprop.estimators.base import Estimator
from sigmaprop.limit.program import make_inputs, make_program
from sigmaprop.limit.truth import Truth

from ..compile.counting import Work, work
from ..compile.program import Laid, Program
from .config import LimitConfig
from .run import Plan, point_of, stream


def programs(config: LimitConfig, plan: Plan, devices: Sequence[Any]) -> list[Program]:
    """The sweep of every objective; a turn of its loop is a chunk of draws at one sigma.

    The samples that stand for a closed form where there is none are left out: one estimator in
    float64, whose precision a TPU does not have.
    """
    noisy = tuple(estimator for estimator in plan.chosen if estimator.needs)
    if not noisy or not np.any(plan.sigmas > 0):
        return []
    return [_sweep(config, plan, one, noisy, tuple(devices)) for one in plan.objectives]


def _sweep(
    config: LimitConfig,
    plan: Plan,
    objective: objectives.Objective,
    noisy: tuple[Estimator, ...],
    devices: tuple[Any, ...],
) -> Program:
    sigmas = plan.sigmas[plan.sigmas > 0]
    truth = _unknown(point_of(objective, config), sigmas)
    cut = limit.make_plan(config.num_samples, plan.batch_sizes, objective.dim, chunk=config.chunk)
    chunks = cut.at_once(objective.dim * len(sigmas) * len(noisy), len(devices))
    turns = -(-cut.num_chunks // len(devices)) * len(sigmas)

    def lay(count: int) -> Laid:
        del count
        with jax.enable_x64(True):
            function = make_program(objective, noisy, cut, config.dtype, True, devices)
            arguments = _described(config, truth, objective, chunks, devices)
        size = cut.chunk
        return Laid(function, arguments, len(devices), size, size, turns, 0, 0.0, 0.0, x64=True)

    def one() -> Work:
        laid = lay(1)
        with laid.precision():
            found = work(laid.function, *laid.arguments)
        return found.times(1 / (chunks * len(sigmas) * cut.chunk))

    name = f"sweep of {objective.name}"
    return Program(name, lay, 1, "draw at a sigma", one, config.dtype, "lower --chunk")


def _unknown(point: np.ndarray, sigmas: np.ndarray) -> Truth:
    """A truth of the right shapes: no program depends on its numbers."""
    zeros = np.zeros(len(sigmas))
    smoothed = np.zeros((len(sigmas), len(point)))
    return Truth(point, np.zeros_like(point), sigmas, smoothed, zeros, zeros, zeros)


def _described(
    config: LimitConfig,
    truth: Truth,
    objective: objectives.Objective,
    chunks: int,
    devices: tuple[Any, ...],
) -> tuple[Any, ...]:
    """What the program takes, with every device's share of the chunks."""
    mesh = meshes.make(devices)
    shared, split = (NamedSharding(mesh, PartitionSpec(*axes)) for axes in ((), (meshes.BATCH,)))
    inputs = make_inputs(truth, config.dtype)
    key = stream(config.seed, "noise", objective.name)
    whole = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=shared), (inputs, key)
    )
    count = (chunks * len(devices),)
    rows = (jax.ShapeDtypeStruct(count, kind, sharding=split) for kind in (jnp.uint32, jnp.int32))
    return *whole, *rows
