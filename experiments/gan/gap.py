"""The gap of Goodfellow's substitution as rows of the metrics: see `sigmaprop.generators.gap`."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pyarrow as pa

from sigmaprop.generators import gap, replicas
from sigmaprop.generators.gan import GanSpec, Hypers, State

from . import tables as gan_tables
from .config import GanConfig
from .programs import CompiledGroup

BY_SIGMA = ("bias_relative", "cosine", "sigma_batch", "sigma_batch_at_mean")
BY_BATCH = ("batch_error", "batch_cosine")


def gap_rows(config: GanConfig, work: CompiledGroup, state: State, step: int) -> pa.Table:
    """The gap at the first seed of every cell of a group."""
    first = [row for row, replica in enumerate(work.group.replicas) if replica.seed == 0]
    numbers = [work.numbers[row] for row in first]
    sigmas = jnp.asarray(config.gap_sigmas, jnp.float32)
    program = _program(work.group.spec, len(first), config.gap_samples)
    found = program(state, work.hypers, first, sigmas, step)
    return pa.concat_tables(_tables(config, numbers, found, step))


_PROGRAMS: dict[tuple[int, int, int], tuple[GanSpec, Callable[..., gap.Gap]]] = {}


def _program(spec: GanSpec, num: int, num_samples: int) -> Callable[..., gap.Gap]:
    """The compiled measurement of some replicas of a spec, one for all steps of a run."""
    key = (id(spec), num, num_samples)
    if key not in _PROGRAMS:  # with the spec, which keeps its id from being used again
        _PROGRAMS[key] = (spec, _compiled(spec, num, num_samples))
    return _PROGRAMS[key][1]


def _compiled(spec: GanSpec, num: int, num_samples: int) -> Callable[..., gap.Gap]:
    """(state, hypers, rows, sigmas, step) -> the gap at ``num`` rows of the state.

    They are spread over the devices anew: what is left of the state's own layout would make every
    device measure all of them. All devices take part, so that no bit depends on ``num``.
    """
    engine = replicas.engine(spec, max(num, jax.local_device_count()), replica_chunk=1)
    chosen = np.minimum(np.arange(engine.layout.padded(engine.num)), num - 1)

    def one(state: State, hypers: Hypers, sigmas: jax.Array, t: jax.Array) -> gap.Gap:
        return gap.measure(spec, state, hypers, sigmas, t, num_samples=num_samples)

    take = jax.jit(lambda tree, rows: jax.tree.map(lambda leaf: leaf[rows], tree))
    spread = jax.jit(lambda state, hypers, *rest: engine.map(one, state, hypers, *rest))

    def program(state: State, hypers: Hypers, rows: list[int], sigmas: Any, step: int) -> gap.Gap:
        own = take((state, hypers), np.asarray(rows)[chosen])
        shared = engine.replicate((sigmas, jnp.asarray(step)))
        return spread(*jax.device_put(own, engine.layout.sharding), *shared)

    return program


def _tables(config: GanConfig, numbers: list[int], found: gap.Gap, step: int) -> Iterator[pa.Table]:
    """Rows of every sigma, then of every sigma and batch size."""
    sizes = gap.batch_sizes(config.gap_samples)
    values = jax.tree.map(lambda leaf: np.asarray(leaf)[: len(numbers)], found)
    for s, sigma in enumerate(config.gap_sigmas):
        for name in BY_SIGMA:
            yield _rows(numbers, step, f"gap_{name}", getattr(values, name)[:, s], sigma, 0)
        for n, size in enumerate(sizes):
            for name in BY_BATCH:
                yield _rows(
                    numbers, step, f"gap_{name}", getattr(values, name)[:, s, n], sigma, size
                )


def _rows(
    numbers: list[int], step: int, metric: str, values: np.ndarray, sigma: float, size: int
) -> pa.Table:
    return gan_tables.rows(
        numbers, [step], (metric,), values[:, None, None], sigma=sigma, batch_size=size
    )
