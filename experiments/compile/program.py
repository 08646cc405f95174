"""A program of a command, as it is before there are devices to run it on."""

import contextlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec

from sigmaprop.generators.layout import ACCELERATOR_CHUNK, Layout
from sigmaprop.generators.replicas import Engine, Model

from .counting import Work, num_bytes, work


class Laid(NamedTuple):
    """A program laid out over devices.

    Attributes:
        function: jitted.
        arguments: shapes and places of what it takes.
        devices: that it runs on.
        chunk: units, such as replicas, of a device that take one turn of its loop together.
        most: units that would do so if there were more of them.
        turns: of its loop on each device, in the whole run; 0 where it has none that counts.
        units: of a device; memory grows with them. 0 where nothing of it does.
        shared: bytes of the arguments that each device holds whole.
        held: bytes of all arguments on a device, also of those that the compiler leaves out.
        x64: whether it is traced with numbers of 64 bits allowed.
    """

    function: Any
    arguments: tuple[Any, ...]
    devices: int
    chunk: int
    most: int
    turns: int
    units: int
    shared: float
    held: float
    x64: bool = False

    def lower(self) -> jax.stages.Lowered:
        """For the devices of its arguments; not compiled yet."""
        with self.precision():
            return self.function.lower(*self.arguments)

    def precision(self) -> Any:
        """The context that it is traced in."""
        return jax.enable_x64(True) if self.x64 else contextlib.nullcontext()


class Program(NamedTuple):
    """A program of a command.

    Attributes:
        name: what it does: "steps of 16 replicas".
        lay: ``units -> Laid``, for so many replicas, at most ``units``; ValueError where it has
            none.
        units: replicas in all; of what has none, 1.
        noun: what a unit in a turn is called: "replica-step".
        work: ``() -> Work`` of one unit in one turn; None where no turn is counted.
        dtype: of the operands of its products.
        remedy: what to do where it does not fit.
    """

    name: str
    lay: Callable[[int], Laid]
    units: int
    noun: str
    work: Callable[[], Work] | None
    dtype: str
    remedy: str


class Made(NamedTuple):
    """What an experiment makes of some replicas.

    Attributes:
        engine: their program, for devices that are not at hand.
        model: what it trains.
        hypers: of all of them, described.
        data: likewise.
        others: ``state -> {name: (function, arguments)}``, what else is compiled.
    """

    engine: Engine
    model: Model
    hypers: Any
    data: Any
    others: Callable[[Any], Mapping[str, tuple[Any, tuple[Any, ...]]]]


def of_replicas(
    name: str, num: int, steps: int, dtype: str, make: Callable[[int], Made]
) -> list[Program]:
    """The programs of one group: its steps, and what runs once or between them.

    Args:
        name: of the group, empty where there is one only.
        num: replicas.
        steps: of each.
        dtype: of the networks.
        make: ``num -> Made``, of that many of the replicas.
    """
    made, kept = make(num), f"{name}: " if name else ""
    others = made.others(initial(made))
    remedy = "lower --seeds or --replica-chunk, or take more devices"

    def lay(which: str | None, count: int) -> Laid:
        own = made if count == num else make(count)
        layout = own.engine.layout
        function, arguments = _steps(own) if which is None else own.others(initial(own))[which]
        each = layout.padded(count) // layout.mesh.size
        turns = steps * each // layout.replica_chunk if which is None else 0
        shared = num_bytes([leaf for leaf in jax.tree.leaves(arguments) if _is_shared(leaf)])
        held = shared + (num_bytes(arguments) - shared) / layout.mesh.size
        chunk, most = layout.replica_chunk, _most(layout, each)
        return Laid(function, arguments, layout.mesh.size, chunk, most, turns, each, shared, held)

    def program(which: str | None) -> Program:
        text = f"{kept}{which or 'steps'}"
        counted = (lambda: _step_work(made)) if which is None else None
        return Program(
            text, lambda count: lay(which, count), num, "replica-step", counted, dtype, remedy
        )

    return [program(None), *(program(which) for which in others)]


def initial(made: Made) -> Any:
    """The state of all replicas before the first step, described."""
    return made.engine.described(jax.eval_shape(made.engine.init, made.hypers))


def number(made: Made, weak: bool = False) -> jax.ShapeDtypeStruct:
    """A whole number that every device knows, such as a step."""
    where = NamedSharding(made.engine.layout.mesh, PartitionSpec())
    return jax.ShapeDtypeStruct((), jnp.int32, sharding=where, weak_type=weak)


def _steps(made: Made) -> tuple[Any, tuple[Any, ...]]:
    now = number(made, weak=True)
    return made.engine.run, (initial(made), made.hypers, made.data, now, now)


def _most(layout: Layout, each: int) -> int:
    """The chunk of a device that has more replicas: it grows unless it was given, or is full."""
    chunk = layout.replica_chunk
    grows = layout.mesh.devices.flat[0].platform != "cpu" and chunk == each
    return max(chunk, ACCELERATOR_CHUNK) if grows else chunk


def _is_shared(leaf: Any) -> bool:
    return leaf.sharding is None or not any(leaf.sharding.spec)


def _step_work(made: Made) -> Work:
    """One step of one replica; its state is read and written once beside its products."""
    hypers, state = (_of_one(tree) for tree in (made.hypers, initial(made)))
    data = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), made.data)

    def step(hypers: Any, state: Any, data: Any, t: Any) -> Any:
        return made.model.step(hypers)(state, data, t)

    found = work(step, hypers, state, data, jax.ShapeDtypeStruct((), jnp.int32))
    return found._replace(bytes=found.bytes + 2 * num_bytes(state))


def _of_one(tree: Any) -> Any:
    """What describes one replica, of what describes all."""
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), tree)
