"""Where replicas run: a mesh of devices, and how many of a device's are vectorised together.

The mesh has two axes. Replicas lie along `REPLICA`: they have nothing to do with one another, so no
step talks across devices. Along `BATCH` lie rows that have nothing to do with one another either,
such as the examples whose likelihood is estimated, where there are fewer replicas than devices. A
step of training does not use it: a gradient summed over devices would talk in every step, and its
bits would depend on their number.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

import jax
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from sigmaprop import processes

Tree = TypeVar("Tree")

REPLICA, BATCH = "replica", "batch"
ACCELERATOR_CHUNK = 1024
"""Most replicas of an accelerator that are vectorised together where nothing is said."""


class Layout(NamedTuple):
    """Where replicas run.

    Attributes:
        mesh: axes `REPLICA` and `BATCH` over the devices.
        replica_chunk: replicas of a device that are vectorised together.
        described: whether the devices are not at hand, so that arrays on them are only described.
    """

    mesh: jax.sharding.Mesh
    replica_chunk: int
    described: bool = False

    def padded(self, num: int) -> int:
        """The number of replicas that fills every device's groups."""
        unit = self.mesh.shape[REPLICA] * self.replica_chunk
        return -(-num // unit) * unit

    @property
    def sharding(self) -> NamedSharding:
        """Of arrays whose leading axis counts replicas."""
        return NamedSharding(self.mesh, PartitionSpec(REPLICA))

    @property
    def replicated(self) -> NamedSharding:
        """Of arrays that every device holds whole."""
        return NamedSharding(self.mesh, PartitionSpec())

    def put(self, tree: Tree, sharding: NamedSharding) -> Tree:
        """Arrays on the devices; their shapes and places where those are not at hand."""
        if not self.described:
            return processes.place(tree, sharding)
        shapes = jax.eval_shape(lambda own: own, tree)
        return jax.tree.map(lambda leaf: leaf.update(sharding=sharding), shapes)


def layout(
    num: int,
    replica_chunk: int | None = None,
    devices: Sequence[Any] | None = None,
    *,
    batch: bool = False,
) -> Layout:
    """A layout for ``num`` replicas.

    Args:
        num: replicas, > 0.
        replica_chunk: None for the default of the backend: 1 on a CPU; elsewhere all replicas of a
            device, up to 1024.
        devices: None for those of this process, or of all that share the run. Of one process no
            more are used than there are replicas, unless rows of a batch lie along the rest.
        batch: whether they do.
    """
    if devices is None:
        devices = jax.local_devices() if processes.num() == 1 else jax.devices()
    among = len(devices)
    if batch:
        among = max(n for n in range(1, min(num, among) + 1) if among % n == 0)
    elif processes.num() == 1:
        devices = devices[:num]
        among = len(devices)
    shape = (among, len(devices) // among)
    axes = (REPLICA, BATCH), (AxisType.Auto, AxisType.Auto)
    mesh = jax.make_mesh(shape, *axes, devices=list(devices))
    if replica_chunk is None:
        each = -(-num // among)
        replica_chunk = 1 if devices[0].platform == "cpu" else min(each, ACCELERATOR_CHUNK)
    return Layout(mesh, replica_chunk)


def pad(tree: Any, num: int) -> Any:
    """The last replica again, until there are ``num``."""

    def padded(leaf: Any) -> Any:
        if leaf.shape[0] == num:
            return leaf
        return leaf[np.minimum(np.arange(num), leaf.shape[0] - 1)]

    return jax.tree.map(padded, tree)
