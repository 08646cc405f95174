"""Processes that share one run, each with devices of its own.

All of them run the same program on the same options; arrays lie across the devices of all. What the
clock, a signal or a disk decides is asked of one process and told to the others (`gather`,
`from_leader`), so that all take the same path. The first process leads: it alone writes.

One process is the usual case: it leads, everything is at hand, and nothing here costs anything.
"""

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

if TYPE_CHECKING:
    import numpy as np

Tree = TypeVar("Tree")

HEARTBEAT_SECONDS = 30
"""A process that has not been heard of for so long is lost to the others."""
_ENDING_SECONDS = 24 * 3600
"""How long a process that has ended waits for the others, which may still draw."""


class PeerLost(RuntimeError):
    """Another process of the run has ended, or cannot be reached."""


class Cluster(NamedTuple):
    """Where this process belongs; None: what SLURM, Kubernetes, MPI or a TPU pod tells.

    Attributes:
        coordinator: HOST:PORT of the first process, at which all meet.
        num_processes: in all.
        process_id: of this one, from 0; 0 leads.
    """

    coordinator: str | None = None
    num_processes: int | None = None
    process_id: int | None = None


_joined = False


def join(cluster: Cluster, *, timeout: int = 300) -> None:
    """Meets the other processes; to be called before JAX has started its devices.

    Args:
        cluster: where this process belongs.
        timeout: seconds to wait for the others.

    Raises:
        PeerLost: they did not come in time.
        ValueError: nothing tells where this process belongs, or two of them are the same.
    """
    global _joined
    import jax

    jax.config.update("jax_enable_preemption_service", False)  # it would take SIGTERM from us
    try:
        jax.distributed.initialize(
            *cluster,
            initialization_timeout=timeout,
            heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
            shutdown_timeout_seconds=_ENDING_SECONDS,
        )
    except RuntimeError as error:
        raise PeerLost(_gist(error)) from error
    _joined = True
    with _without_gloo(), _telling_loss():
        _say_hello()


def num() -> int:
    """How many processes share the run; JAX is not started where there is one."""
    if not _joined:
        return 1
    import jax

    return jax.process_count()


def leads() -> bool:
    """Whether this is the process that writes and speaks."""
    if not _joined:
        return True
    import jax

    return jax.process_index() == 0


def devices() -> list[Any]:
    """The devices of all processes of the run, those of this one first where it leads."""
    import jax

    return jax.local_devices() if num() == 1 else jax.devices()


def gather(values: Sequence[int]) -> "np.ndarray":
    """Whole numbers of every process, as many of each. [P, n]

    Raises:
        PeerLost: another process does not answer.
    """
    import numpy as np

    own = np.asarray(values, np.int32)
    if num() == 1:
        return own[None]
    from jax.experimental import multihost_utils

    with _telling_loss():
        return np.asarray(multihost_utils.process_allgather(own))


def from_leader(content: Any) -> Any:
    """What the leading process gives, which survives JSON; what others give is not read.

    Raises:
        PeerLost: another process does not answer.
    """
    if num() == 1:
        return content
    import numpy as np
    from jax.experimental import multihost_utils

    text = np.frombuffer(json.dumps(content).encode() if leads() else b"", np.uint8)
    size = int(gather([len(text)])[0, 0])
    with _telling_loss():
        told = multihost_utils.broadcast_one_to_all(text if leads() else np.zeros(size, np.uint8))
    return json.loads(np.asarray(told, np.uint8).tobytes())


def wait() -> None:
    """Until all processes are here.

    Raises:
        PeerLost: another process does not answer.
    """
    gather([0])


def place(tree: Tree, sharding: Any) -> Tree:
    """Arrays that every process holds whole, on the devices of all."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    if num() == 1:
        return jax.device_put(tree, sharding)

    def placed(leaf: Any) -> Any:
        if isinstance(leaf, jax.Array) and not leaf.is_fully_addressable:
            return jax.jit(lambda own: own, out_shardings=sharding)(leaf)
        if jnp.issubdtype(getattr(leaf, "dtype", np.int32), jax.dtypes.prng_key):
            data = placed(jax.random.key_data(leaf))
            return jax.random.wrap_key_data(data, impl=jax.random.key_impl(leaf))
        own = np.asarray(jnp.asarray(leaf))
        return jax.make_array_from_callback(own.shape, sharding, lambda index: own[index])

    return jax.tree.map(placed, tree)


def fetch(tree: Any) -> Any:
    """Arrays on the host, whole, wherever they lie; typed keys are not among them.

    Raises:
        PeerLost: another process does not answer.
    """
    import jax
    import numpy as np

    def fetched(leaf: Any) -> Any:
        if not isinstance(leaf, jax.Array) or leaf.is_fully_addressable:
            return np.asarray(leaf)
        if leaf.is_fully_replicated:
            return np.asarray(leaf.addressable_data(0))
        from jax.experimental import multihost_utils

        with _telling_loss():
            return np.asarray(multihost_utils.process_allgather(leaf, tiled=True))

    return jax.tree.map(fetched, tree)


def _say_hello() -> None:
    """One exchange of each kind: the first of them makes the connections."""
    import jax
    import numpy as np
    from jax.sharding import AxisType, NamedSharding, PartitionSpec

    devices = jax.devices()
    mesh = jax.make_mesh((len(devices),), ("all",), (AxisType.Auto,), devices=devices)
    fetch(place(np.zeros(len(devices), np.float32), NamedSharding(mesh, PartitionSpec("all"))))
    from_leader(None)


def _gist(error: BaseException) -> str:
    """The first line of what a runtime says."""
    return " ".join(str(error).split("\n")[0].split())[:200]


@contextlib.contextmanager
def _telling_loss() -> Iterator[None]:
    """What fails between processes, fails because one of them is gone."""
    try:
        yield
    except RuntimeError as error:
        raise PeerLost(_gist(error)) from error


@contextlib.contextmanager
def _without_gloo() -> Iterator[None]:
    """Inside, the library that connects CPUs does not greet on standard output and error."""
    kept = [os.dup(number) for number in (1, 2)]
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        for number in (1, 2):
            os.dup2(nowhere, number)
        yield
    finally:
        for number, before in zip((1, 2), kept, strict=True):
            os.dup2(before, number)
            os.close(before)
        os.close(nowhere)
