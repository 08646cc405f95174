"""Replicas by the program that they share, and the rows that each seed trains on."""

import itertools
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Any, Protocol

import jax
import numpy as np

from sigmaprop import data
from sigmaprop.generators import replicas

from .loop import MAX_WINDOWS
from .sweep import Cell, Replica


class HasReplicas(Protocol):
    """A group of replicas."""

    @property
    def replicas(self) -> tuple[Replica, ...]:
        """Those of one program."""
        ...


def seed_numbers(config: Any) -> range:
    """The numbers of a run's seeds."""
    return range(config.first_seed, config.first_seed + config.seeds)


def engine_of(
    config: Any, model: replicas.Model, num: int, devices: Sequence[Any] | None = None
) -> replicas.Engine:
    """The engine that trains so many replicas as a run's options ask.

    For ``devices`` that are not at hand its inputs are only described; None: the local ones.
    """
    return replicas.engine(
        model,
        num,
        every=config.metrics_every,
        max_windows=MAX_WINDOWS,
        replica_chunk=1 if config.deterministic else config.replica_chunk,
        devices=devices,
        described=devices is not None,
    )


def replica_keys(root: jax.Array, each: Sequence[Replica]) -> jax.Array:
    """``fold_in(root, seed)`` of each replica, by one call. [R]"""
    return _fold_in_each(root, np.asarray([one.seed for one in each], np.uint32))


_fold_in_each = jax.jit(jax.vmap(jax.random.fold_in, (None, 0)))


def grouped(
    found: Sequence[Cell], seeds: Sequence[int], key: Callable[[Any], Hashable]
) -> list[tuple[Replica, ...]]:
    """Every cell with every seed, numbered in this order; together where ``key`` gives the same."""
    groups: dict[Hashable, list[Replica]] = {}
    for number, (cell, seed) in enumerate(itertools.product(found, seeds)):
        groups.setdefault(key(cell.options), []).append(Replica(number, cell, seed))
    return [tuple(group) for group in groups.values()]


def in_order(groups: Iterable[HasReplicas]) -> tuple[Replica, ...]:
    """The replicas of all groups, by number."""
    found = (replica for group in groups for replica in group.replicas)
    return tuple(sorted(found, key=lambda replica: replica.number))


def training_rows(config: Any, dataset: data.Dataset) -> Iterator[data.Splits]:
    """The splits of each seed's number: redrawn where the config says so, else one and the same."""
    for seed in seed_numbers(config):
        if config.redraw_split:
            yield data.redraw(dataset, config.seed * 10_007 + seed)
        else:
            yield dataset.splits
