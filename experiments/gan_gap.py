"""The gap of Goodfellow's substitution as rows of the metrics: see `sigmaprop.generators.gap`."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pyarrow as pa

from sigmaprop.generators import gap
from sigmaprop.generators.game import Game, State

from . import gan_tables
from .gan_config import GanConfig
from .gan_work import Work

BY_SIGMA = ("bias_relative", "cosine", "sigma_batch", "sigma_batch_at_mean")
BY_BATCH = ("batch_error", "batch_cosine")


def gap_rows(config: GanConfig, work: Work, state: State, step: int) -> pa.Table:
    """The gap at the first seed of every cell of a group."""
    first = [row for row, replica in enumerate(work.group.replicas) if replica.seed == 0]
    numbers = [work.numbers[row] for row in first]
    sigmas = jnp.asarray(config.gap_sigmas, jnp.float32)
    rows = jnp.asarray(first)
    own = jax.tree.map(lambda leaf: leaf[rows], (state, work.knobs))
    found = _program(work.group.game, config.gap_samples)(own, sigmas, jnp.asarray(step))
    return pa.concat_tables(_tables(config, numbers, found, step))


_PROGRAMS: dict[tuple[int, int], tuple[Game, Callable[..., Any]]] = {}


def _program(game: Game, num_samples: int) -> Callable[..., Any]:
    """The compiled measurement of a game, one for all steps of a run."""
    key = (id(game), num_samples)
    if key not in _PROGRAMS:  # with the game, which keeps its id from being used again

        def each(own: Any, sigmas: jax.Array, t: jax.Array) -> gap.Gap:
            def one(both: Any) -> gap.Gap:
                state, knobs = both
                return gap.measure(game, state, knobs, sigmas, t, num_samples=num_samples)

            return jax.lax.map(one, own)

        _PROGRAMS[key] = (game, jax.jit(each))
    return _PROGRAMS[key][1]


def _tables(config: GanConfig, numbers: list[int], found: gap.Gap, step: int) -> Iterator[pa.Table]:
    """Rows of every sigma, then of every sigma and batch size."""
    sizes = gap.batch_sizes(config.gap_samples)
    for s, sigma in enumerate(config.gap_sigmas):
        for name in BY_SIGMA:
            values = np.asarray(getattr(found, name))[:, s]
            yield _rows(numbers, step, f"gap_{name}", values, sigma, 0)
        for n, size in enumerate(sizes):
            for name in BY_BATCH:
                values = np.asarray(getattr(found, name))[:, s, n]
                yield _rows(numbers, step, f"gap_{name}", values, sigma, size)


def _rows(
    numbers: list[int], step: int, metric: str, values: np.ndarray, sigma: float, size: int
) -> pa.Table:
    return gan_tables.rows(
        numbers, [step], (metric,), values[:, None, None], sigma=sigma, batch_size=size
    )
