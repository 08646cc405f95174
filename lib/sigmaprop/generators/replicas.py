"""Many replicas of one model in one compiled program.

What is trained is an argument: a `Model` is how a replica begins, its step, and the names of what a
step measures. A GAN (`step.model`) is one and a variational autoencoder (`vae.model`) another.

The replicas lie along the leading axis of state and hypers, sharded over the devices of a mesh. On
each device they run in groups of ``replica_chunk``: one group after the other, the replicas of a
group vectorised. On a CPU a group is one replica, which is the fastest there and gives every
replica the bits that it would have alone; an accelerator vectorises.

A call runs the steps from ``start`` to ``stop``, which are arguments of the program: one executable
serves every chunk, and no number depends on where the chunks are cut.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec
from jaxtyping import Array, Float

from sigmaprop import processes
from sigmaprop.generators.layout import Layout, layout
from sigmaprop.generators.windows import with_row
from sigmaprop.meshes import REPLICA, pad

Tree = TypeVar("Tree")


class Model(NamedTuple):
    """What an engine trains.

    Attributes:
        init: ``hypers -> state``, a NamedTuple of arrays with the field ``window``, [M], which is
            the engine's own.
        step: ``hypers -> (state, data, t) -> (state, info)``: what depends on the hypers alone,
            such as the keys of each purpose, is made once for all steps. ``t`` is the absolute
            number of the step, [], ``info`` a NamedTuple of numbers, [] each.
        metrics: the names of ``info``'s fields, M of them.
    """

    init: Callable[[Any], Any]
    step: Callable[[Any], Callable[..., tuple[Any, Any]]]
    metrics: tuple[str, ...]


class Engine(NamedTuple):
    """The compiled functions of one model.

    Attributes:
        layout: where replicas run.
        num: replicas asked for; arrays hold ``layout.padded(num)``, the rest repeats the last.
        every: steps of a window of metrics.
        max_windows: most windows of one call of ``run``.
        init: ``hypers -> state``.
        run: ``(state, hypers, data, start, stop) -> (state, windows [R, W, M])``; the state that is
            given is consumed. Row w averages the metrics over window ``start // every + w``, once
            its last step has been run.
        map: ``(function, state, hypers, *rest)``: the function of (state, hypers, *rest) of one
            replica, for all of them; ``rest`` is the same for each. To be called under jit.
    """

    layout: Layout
    num: int
    every: int
    max_windows: int
    init: Callable[[Any], Any]
    run: Callable[..., tuple[Any, Float[Array, "R W M"]]]
    map: Callable[..., Any]

    def place(self, tree: Tree) -> Tree:
        """Arrays of ``num`` replicas, such as hypers, padded and on their devices."""
        return self.layout.put(pad(tree, self.layout.padded(self.num)), self.layout.sharding)

    def replicate(self, tree: Any) -> Any:
        """An array that every device holds whole, such as the data."""
        return self.layout.put(tree, self.layout.replicated)

    def fetch(self, tree: Any) -> Any:
        """Arrays of all replicas, wherever they are, as those of ``num`` on this host."""
        return jax.tree.map(lambda leaf: leaf[: self.num], processes.fetch(tree))

    def described(self, tree: Any) -> Any:
        """Of arrays as `place` gives them, what a program has to know before they are there."""
        return self.layout._replace(described=True).put(tree, self.layout.sharding)


def engine(
    model: Model,
    num: int,
    *,
    every: int = 20,
    max_windows: int = 64,
    replica_chunk: int | None = None,
    devices: Sequence[Any] | None = None,
    described: bool = False,
) -> Engine:
    """Builds the program of ``num`` replicas of a model; nothing is compiled yet.

    Args:
        model: how they begin and their step; see `Model`.
        num: how many, > 0.
        every: steps that metrics are averaged over, > 0.
        max_windows: most windows that one call of ``run`` may touch.
        replica_chunk: see `layout`.
        devices: see `layout`.
        described: see `Layout`.
    """
    where = layout(num, replica_chunk, devices)._replace(described=described)
    map_replicas = functools.partial(_map_replicas, where)

    def run(state: Any, hypers: Any, data: Array, start: Array, stop: Array) -> Any:
        def one(carry: Any, hypers: Any, data: Array, start: Array, stop: Array) -> Any:
            return _steps(model, every, carry, hypers, data, start, stop)

        windows = jnp.zeros((where.padded(num), max_windows, len(model.metrics)))
        return _in_place(where, one, (state, windows), hypers, (data, start, stop))

    def mapped(function: Callable[..., Any], state: Any, hypers: Any, *rest: Any) -> Any:
        return map_replicas(function, (state, hypers), rest)

    return Engine(
        where,
        num,
        every,
        max_windows,
        jax.jit(lambda hypers: map_replicas(model.init, (hypers,), ())),
        jax.jit(run, donate_argnums=0),
        mapped,
    )


def stack(hypers: Sequence[Tree]) -> Tree:
    """Hypers of single replicas along a leading axis; those of the host stay there."""

    def stacked(*leaves: Any) -> Any:
        on_host = all(isinstance(leaf, np.ndarray) for leaf in leaves)
        return np.stack(leaves) if on_host else jnp.stack(leaves)

    return jax.tree.map(stacked, *hypers)


def _steps(
    model: Model,
    every: int,
    carry: tuple[Any, Array],
    hypers: Any,
    data: Array,
    start: Array,
    stop: Array,
) -> tuple[Any, Array]:
    """The steps of one replica, and the averages of its metrics by window: ``carry`` after them."""
    step = model.step(hypers)

    def body(t: Array, carry: tuple[Any, Array]) -> tuple[Any, Array]:
        state, windows = carry
        state, info = step(state, data, t)
        metrics = jnp.stack(info)
        total = jnp.where(t % every == 0, metrics, state.window + metrics)
        row = t // every - start // every
        windows = with_row(windows, total / every, row)
        return state._replace(window=total), windows

    return jax.lax.fori_loop(start, stop, body, carry)


def _map_replicas(
    where: Layout, function: Callable[..., Any], each: tuple[Any, ...], shared: tuple[Any, ...]
) -> Any:
    """``function`` of every replica: devices side by side, groups in turn, a group vectorised."""
    chunk = where.replica_chunk

    def on_device(each: tuple[Any, ...], shared: tuple[Any, ...]) -> Any:
        if chunk == 1:
            return jax.lax.map(lambda own: function(*own, *shared), each)
        grouped = jax.tree.map(lambda a: a.reshape(-1, chunk, *a.shape[1:]), each)
        many = jax.vmap(lambda own: function(*own, *shared))
        mapped = jax.lax.map(many, grouped)
        return jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), mapped)

    split, whole = PartitionSpec(REPLICA), PartitionSpec()
    return jax.shard_map(
        on_device, mesh=where.mesh, in_specs=(split, whole), out_specs=split, check_vma=False
    )(each, shared)


def _in_place(
    where: Layout, function: Callable[..., Any], carry: Any, hypers: Any, shared: tuple[Any, ...]
) -> Any:
    """``carry`` of every replica after ``function(carry, hypers, *shared)``, written where it was.

    `jax.lax.map` would copy the state of all replicas several times, which costs as much as some
    steps of each.
    """
    chunk = where.replica_chunk

    def on_device(carry: Any, hypers: Any, shared: tuple[Any, ...]) -> Any:
        def one(carry: Any, hypers: Any) -> Any:
            return function(carry, hypers, *shared)

        def group_body(i: Array, all_carries: Any) -> Any:
            group = jax.tree.map(lambda a: _group(a, i, chunk), (all_carries, hypers))
            after = (one if chunk == 1 else jax.vmap(one))(*group)
            return jax.tree.map(lambda a, new: _with_group(a, new, i, chunk), all_carries, after)

        num = jax.tree.leaves(carry)[0].shape[0]
        return jax.lax.fori_loop(0, num // chunk, group_body, carry)

    split, whole = PartitionSpec(REPLICA), PartitionSpec()
    return jax.shard_map(
        on_device, mesh=where.mesh, in_specs=(split, split, whole), out_specs=split, check_vma=False
    )(carry, hypers, shared)


def _group(leaf: Array, i: Array, chunk: int) -> Array:
    """The ``i``-th ``chunk`` rows; the row itself where a group is one."""
    if chunk == 1:
        return jax.lax.dynamic_index_in_dim(leaf, i, keepdims=False)
    return jax.lax.dynamic_slice_in_dim(leaf, i * chunk, chunk)


def _with_group(leaf: Array, rows: Array, i: Array, chunk: int) -> Array:
    """The same with other rows there."""
    if chunk == 1:
        return jax.lax.dynamic_update_index_in_dim(leaf, rows, i, 0)
    return jax.lax.dynamic_update_slice_in_dim(leaf, rows, i * chunk, 0)
