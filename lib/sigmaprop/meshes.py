"""The mesh that every experiment spreads over: replicas along one axis, rows along the other.

Along `REPLICA` lie trainings that have nothing to do with one another, with their scores and
likelihoods. Along `BATCH` lie rows that have nothing to do with one another either: chunks of
draws, Gaussians at which an estimator is measured. So no program talks across devices.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, PartitionSpec

from sigmaprop import processes

REPLICA, BATCH = "replica", "batch"


def make(devices: Sequence[Any], along: str = BATCH) -> Mesh:
    """A mesh with all devices along one of the two axes."""
    shape = (len(devices), 1) if along == REPLICA else (1, len(devices))
    kinds = (AxisType.Auto, AxisType.Auto)
    return jax.make_mesh(shape, (REPLICA, BATCH), kinds, devices=list(devices))


def among(num: int, devices: Sequence[Any] | None = None) -> Sequence[Any]:
    """The devices that so many rows are spread over; None: from all of this process, or of all.

    Of one process no more are taken than there are rows; of several all, so that each takes part.
    """
    found = processes.devices() if devices is None else devices
    return found[:num] if processes.num() == 1 else found


def pad(tree: Any, num: int) -> Any:
    """The last row of every leaf again, until there are ``num``."""

    def padded(leaf: Any) -> Any:
        if leaf.shape[0] == num:
            return leaf
        return leaf[np.minimum(np.arange(num), leaf.shape[0] - 1)]

    return jax.tree.map(padded, tree)


def map_rows(mesh: Mesh, function: Callable[..., Any]) -> Callable[..., Any]:
    """``(rows, *shared) -> results``: the function of each row, devices side by side.

    Args:
        mesh: whose devices divide the number of rows; see `pad`.
        function: ``(row, *shared) -> result``, each a pytree.
    """
    split, whole = PartitionSpec(BATCH), PartitionSpec()

    def on_device(rows: Any, shared: tuple[Any, ...]) -> Any:
        return jax.lax.map(lambda row: function(row, *shared), rows)

    if mesh.size == 1:
        return lambda rows, *shared: on_device(rows, shared)
    mapped = jax.shard_map(
        on_device, mesh=mesh, in_specs=(split, whole), out_specs=split, check_vma=False
    )
    return lambda rows, *shared: mapped(rows, shared)
