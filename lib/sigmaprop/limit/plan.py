"""How the draws are cut into chunks, groups and nested batches."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import jax

from sigmaprop.counts import index, shown, whole_number

_DISPATCH_WORK = 2**25
"""Coordinates x sigmas x estimators in one dispatch to a device: long enough to hide its cost,
short enough for an interrupt to be seen within a second."""


class Plan(NamedTuple):
    """How the draws are cut up.

    Attributes:
        num_draws: draws of eps in all.
        chunk: draws evaluated at a time.
        inside: batch sizes that divide the chunk.
        outside: batch sizes made of whole chunks.
        num_groups: independent groups for error bars.
    """

    num_draws: int
    chunk: int
    inside: tuple[int, ...]
    outside: tuple[int, ...]
    num_groups: int

    @property
    def num_chunks(self) -> int:
        """Chunks in all, a last incomplete one included."""
        return -(-self.num_draws // self.chunk)

    def at_once(self, work: int, num_devices: int) -> int:
        """Chunks that each device is given in one call, for so much ``work`` in a draw.

        Work counts coordinates x sigmas x estimators.
        """
        most = max(1, _DISPATCH_WORK // (self.chunk * work))
        return min(most, -(-self.num_chunks // num_devices))


def make_plan(
    num_draws: int,
    batch_sizes: Sequence[int],
    dim: int,
    *,
    chunk: int | None = None,
    num_groups: int = 32,
) -> Plan:
    """Cuts ``num_draws`` draws into chunks in which the batch sizes nest.

    Raises:
        ValueError: counts out of range, or a batch size that does not divide the next.
    """
    sizes = tuple(whole_number("a batch size", size, 1) for size in batch_sizes)
    number = index(num_draws)
    if number is None or not 1 <= number < 2**32:
        raise ValueError(
            f"num_samples is {shown(num_draws)}; it must be a whole number between 1 and 2^32 - 1"
        )
    num_draws, num_groups = number, whole_number("num_groups", num_groups, 1)
    if chunk is not None:
        chunk = whole_number("chunk", chunk, 1)
    for size, following in itertools.pairwise(sizes):
        if following <= size or following % size:
            raise ValueError(
                f"batch sizes {size} and {following} do not nest; each must divide the next"
            )
    if sizes and not 1 <= sizes[0] <= sizes[-1] <= num_draws:
        raise ValueError(
            f"batch sizes run from {sizes[0]} to {sizes[-1]}; "
            f"they must lie between 1 and the {num_draws} samples"
        )
    most = max(1, (_chunk_elements() // dim) if chunk is None else chunk)
    target = max(1, min(most, num_draws // num_groups))
    rows = _nesting_chunk(sizes, target, dim)
    inside = tuple(size for size in sizes if rows % size == 0)
    outside = sizes[len(inside) :]
    return Plan(num_draws, rows, inside, outside, min(num_groups, -(-num_draws // rows)))


def _chunk_elements() -> int:
    """Numbers of noise in a chunk: what a CPU's cache holds, or what fills an accelerator."""
    return 2**18 if jax.default_backend() == "cpu" else 2**23


def _nesting_chunk(sizes: tuple[int, ...], target: int, dim: int) -> int:
    """The largest number of rows up to target that sizes below divide and the next size holds."""
    below = [size for size in sizes if size <= target]
    above = [size for size in sizes if size > target]
    unit = below[-1] if below else 1
    if not above:
        return target // unit * unit
    multiple = max(m for m in range(1, target // unit + 1) if (above[0] // unit) % m == 0)
    rows = unit * multiple
    if rows * 16 < target and above[0] * dim <= 2**24:
        return above[0]
    return rows
