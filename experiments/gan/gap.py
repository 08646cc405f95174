"""The gap of Goodfellow's substitution as rows of the metrics: see `sigmaprop.generators.gap`."""

from collections.abc import Iterator

import jax
import numpy as np
import pyarrow as pa

from sigmaprop import processes
from sigmaprop.generators import gap
from sigmaprop.generators.gan import State

from . import tables as gan_tables
from .config import GanConfig
from .programs import CompiledGroup

BY_SIGMA = ("bias_relative", "cosine", "sigma_batch", "sigma_batch_at_mean")
BY_BATCH = ("batch_error", "batch_cosine")


def gap_rows(config: GanConfig, work: CompiledGroup, state: State, step: int) -> pa.Table:
    """The gap at the first seed of every cell of a group."""
    numbers = [work.numbers[row] for row in work.group.firsts]
    return pa.concat_tables(_tables(config, numbers, work.gap(state, work.hypers, step), step))


def _tables(config: GanConfig, numbers: list[int], found: gap.Gap, step: int) -> Iterator[pa.Table]:
    """Rows of every sigma, then of every sigma and batch size."""
    sizes = gap.batch_sizes(config.gap_samples)
    values = jax.tree.map(lambda leaf: leaf[: len(numbers)], processes.fetch(found))
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
