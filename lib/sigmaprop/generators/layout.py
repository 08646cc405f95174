"""Where replicas run: a mesh of devices, and how many of a device's are vectorised together.

A step of training has all devices along `meshes.REPLICA`: a gradient that is summed over devices
would make them talk in every step, and its bits would depend on their number.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from sigmaprop import meshes, processes
from sigmaprop.meshes import REPLICA

Tree = TypeVar("Tree")

ACCELERATOR_CHUNK = 1024
"""Most replicas of an accelerator that are vectorised together where nothing is said."""


class Layout(NamedTuple):
    """Where replicas run.

    Attributes:
        mesh: see `meshes`.
        replica_chunk: replicas of a device that are vectorised together.
        described: whether the devices are not at hand, so that arrays on them are only described.
    """

    mesh: Mesh
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
    num: int, replica_chunk: int | None = None, devices: Sequence[Any] | None = None
) -> Layout:
    """A layout for ``num`` replicas.

    Args:
        num: replicas, > 0.
        replica_chunk: None for the default of the backend: 1 on a CPU; elsewhere all replicas of a
            device, up to 1024.
        devices: None for those of this process, or of all that share the run; see `meshes.among`.
    """
    mesh = meshes.make(meshes.among(num, devices), meshes.REPLICA)
    if replica_chunk is None:
        each = -(-num // mesh.size)
        replica_chunk = (
            1 if mesh.devices.flat[0].platform == "cpu" else min(each, ACCELERATOR_CHUNK)
        )
    return Layout(mesh, replica_chunk)
