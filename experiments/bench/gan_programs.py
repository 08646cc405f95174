"""What ``sigmaprop bench gan`` times in this process: engine, jitted step, products.

All programs of one layout use the same devices, side by side, as the engine does.
"""

import functools
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Array

from sigmaprop.generators import (
    gan,
    losses,
    networks,
    observation,
    optimizers,
    parameterisation,
    replicas,
    schedule,
)
from sigmaprop.generators import step as steps

from .timing import Program, Ratio, timed, verdict

Seconds: TypeAlias = dict[str, np.ndarray]
"""Seconds of a unit of each program's work, by repeats."""

LATENT, DIM, BATCH, EXAMPLES = 32, 64, 64, 2000
WIDTHS = (256, 256)
SECONDS = 0.3
"""How long a run of a program should take."""
LEAST_STEPS = 32
"""Of the engine in one call, also of many replicas: a chunk of some seconds then."""
SIGMAS = {"zero": 0.0, "fixed": 0.2, "scheduled": 0.5}


class Sized(NamedTuple):
    """A program, and how much a run of it does.

    Attributes:
        program: what to time.
        amount: replica-steps, floating-point operations or bytes of one run.
    """

    program: Program
    amount: float


def make_spec(
    arms: Sequence[str],
    *,
    image: tuple[int, ...] | None = None,
    dtype: str = "float32",
    widths: tuple[int, ...] | None = None,
) -> gan.GanSpec:
    """The multilayer GAN for these arms, or a DCGAN of images."""
    name, shape = ("mlp", (DIM,)) if image is None else ("dcgan", image)
    widths = (WIDTHS if image is None else (64,)) if widths is None else widths
    generator = networks.get_generator(
        name, LATENT, shape, widths=widths, output="linear", dtype=dtype
    )
    discriminator = networks.get_discriminator(name, shape, widths=widths, dtype=dtype)
    noise = observation.Observation(
        math.prod(shape),
        generator.feature_dim,
        observation.components(tuple(arms)),
        parameterisation.get("log"),
        rank=2,
    )
    adam = optimizers.get("adam")
    loss = losses.get("non_saturating")
    return gan.GanSpec(generator, discriminator, noise, loss, adam, adam, BATCH)


def make_hypers(made: gan.GanSpec, arm: str, seed: int) -> gan.Hypers:
    """A replica of an arm; what learns starts at .2."""
    scheduled = arm == "scheduled"
    sigma = schedule.given("linear" if scheduled else "constant", SIGMAS.get(arm, 0.0), 0.1, 1000)
    gates = observation.gates(arm, made.observation.components)
    number = functools.partial(jnp.asarray, dtype=jnp.float32)
    return gan.Hypers(
        jax.random.fold_in(jax.random.key(0), seed),
        observation.NoiseHypers(
            sigma,
            {name: jnp.asarray(gate) for name, gate in gates.items()},
            number(0.2),
            parameterisation.Bounds(number(1e-4), number(10.0)),
        ),
        jnp.asarray(False),
        gan.Rates(*(optimizers.rate(1e-3) for _ in range(3))),
        {},
        schedule.given("constant", 0.0, 0.0, 1),
        number(0.0),
        number(0.0),
    )


def make_data(dim: int) -> Array:
    """Standard normal examples, [EXAMPLES, dim]."""
    return jax.random.normal(jax.random.key(1), (EXAMPLES, dim))


def engine_run(made: gan.GanSpec, arms: Sequence[str], num: int, precision: str = "") -> Sized:
    """As many steps of ``num`` replicas, the arms in turn, as take about `SECONDS`."""
    engine = replicas.engine(made, num)
    each = [make_hypers(made, arms[i % len(arms)], i) for i in range(num)]
    hypers = engine.place(replicas.stack(each))
    data = engine.replicate(make_data(made.observation.dim))
    with _precision(precision):
        state = engine.init(hypers)

    def run(count: int) -> None:
        nonlocal state
        with _precision(precision):
            state, windows = engine.run(state, hypers, data, 0, count)
        jax.block_until_ready(windows)

    count = lasting(run, least=LEAST_STEPS, most=engine.every * engine.max_windows)
    return Sized(Program(f"{num} replicas", lambda: run(count)), count * num)


def arguments(made: gan.GanSpec, arm: str) -> tuple[gan.Hypers, gan.State, Array, Any]:
    """Knobs, first state, data and keys of one replica."""
    hypers = make_hypers(made, arm, 0)
    state = jax.jit(functools.partial(gan.init, made))(hypers)
    return hypers, state, make_data(made.observation.dim), gan.streams(hypers.key)


def jitted_step(made: gan.GanSpec) -> Sized:
    """One replica's step as a jitted function, called in a Python loop."""
    hypers, state, data, keys = arguments(made, "global")
    step = jax.jit(functools.partial(steps.step, made), donate_argnums=1)

    def run(count: int) -> None:
        nonlocal state
        told = None
        for t in range(count):
            state, told = step(hypers, state, data, keys, t)
        jax.block_until_ready(told)

    count = lasting(run)
    return Sized(Program("a jitted step in a Python loop", lambda: run(count)), count)


def chain(mesh: jax.sharding.Mesh, rows: int, width: int, dtype: Any, precision: str = "") -> Sized:
    """Dependent products [rows, width] x [width, width] on each device; counts operations."""
    kernel = jax.random.orthogonal(jax.random.key(0), width).astype(dtype)

    def body(_: Array, x: Array) -> Array:
        return x @ kernel

    start = jax.random.normal(jax.random.key(1), (rows, width), dtype)
    run = looped(mesh, body, start, precision)
    count = lasting(run)
    flops = 2.0 * rows * width * width * count * mesh.size
    what = f"products [{rows}, {width}] x [{width}, {width}]"
    return Sized(Program(what, lambda: run(count)), flops)


def copying(mesh: jax.sharding.Mesh, size: int) -> Sized:
    """Copies of ``size`` float32 numbers on each device, each with a change; counts bytes."""
    run = looped(mesh, lambda _, x: x + 1.0, jnp.zeros(size))
    count = lasting(run)
    amount = 8.0 * size * count * mesh.size
    return Sized(Program("reading and writing memory", lambda: run(count)), amount)


def looped(
    mesh: jax.sharding.Mesh,
    body: Callable[[Array, Any], Any],
    start: Any,
    precision: str = "",
) -> Callable[[int], Any]:
    """Runs ``body`` a number of times on every device at once, each with a carry of its own.

    Returns:
        A function of that number, whose result is the carry of all devices; each call goes on where
        the last one ended.
    """

    def on_device(carry: Any, count: Array) -> Any:
        own = jax.tree.map(lambda leaf: leaf[0], carry)
        own = jax.lax.fori_loop(0, count, body, own)
        return jax.tree.map(lambda leaf: leaf[None], own)

    split = PartitionSpec(replicas.AXIS)
    compiled = jax.jit(
        jax.shard_map(
            on_device,
            mesh=mesh,
            in_specs=(split, PartitionSpec()),
            out_specs=split,
            check_vma=False,
        ),
        donate_argnums=0,
    )
    many = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (mesh.size, *leaf.shape)), start)
    carry = jax.device_put(many, NamedSharding(mesh, split))

    def run(count: int) -> None:
        nonlocal carry
        with _precision(precision):
            carry = compiled(carry, count)
        return jax.block_until_ready(carry)

    return run


def lasting(run: Callable[[int], Any], least: int = 1, most: int = 2**30) -> int:
    """How many rounds, at least and at most so many, take about `SECONDS`; compiles first."""
    run(1)
    count, seconds = 1, 0.0
    while seconds < 0.2 * SECONDS and count < most:
        count = min(2 * count, most)
        start = time.perf_counter()
        run(count)
        seconds = time.perf_counter() - start
    return min(max(round(count * SECONDS / seconds), least), most)


def in_turns(sized: Mapping[str, Sized], repeats: int) -> Seconds:
    """Runs all programs once a round, after one run each that is not timed."""
    for one in sized.values():
        one.program.run()
    rounds = [[timed(one.program) for one in sized.values()] for _ in range(repeats)]
    amounts = np.array([one.amount for one in sized.values()])
    return dict(zip(sized, (np.array(rounds) / amounts).T, strict=True))


def ratio(what: str, above: np.ndarray, below: np.ndarray, target: float | None = None) -> Ratio:
    """The ratio of two programs' times, round by round."""
    found = spread(what, above / below)
    judged = "" if target is None else verdict(found.low, found.high, target)
    return found._replace(seconds=float(np.median(above)), target=target, verdict=judged)


def spread(what: str, values: np.ndarray) -> Ratio:
    """Median and quartiles of a number, round by round."""
    low, median, high = (float(q) for q in np.percentile(values, [25, 50, 75]))
    return Ratio(what, median, low, high, 0.0, None, "")


def _precision(name: str) -> Any:
    """How exactly float32 numbers are multiplied; "" leaves it to the backend."""
    return jax.default_matmul_precision(name or None)  # pyright: ignore[reportArgumentType]
