"""What ``sigmaprop bench gan`` times in this process, and what a step has to do at the least.

The engine, a jitted step, products, and the parts of a step: all programs of one layout use the
same devices, side by side, as the engine does.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec
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
from sigmaprop.generators.gan import GanSpec, Hypers, State
from sigmaprop.meshes import REPLICA

from ..compile.counting import products
from ..gan import plan
from ..gan.presets import GAN_PRESETS
from .ratios import Ratio, Seconds, ratio, terms
from .timing import Program, repeated

LATENT, DIM, BATCH, EXAMPLES = 32, 64, 64, 2000
WIDTHS = (256, 256)
LEAST_STEPS = 32
"""Of the engine in one call, also of many replicas: a chunk of some seconds then."""
SIGMAS = {"zero": 0.0, "fixed": 0.2, "scheduled": 0.5}

WHOLE = "the engine"
PRODUCTS = "its matrix products alone"
ADAM = "Adam alone"
DRAWS = "random numbers and the choice of examples alone"
MOVES = "both moves, without metrics and look for divergence"
STEP = "the step in a bare loop"

Body: TypeAlias = Callable[[Array, Any], Any]
"""Of a loop: number of the round and carry to carry."""


def make_spec(
    arms: Sequence[str],
    *,
    image: tuple[int, ...] | None = None,
    dtype: str = "float32",
    widths: tuple[int, ...] | None = None,
) -> GanSpec:
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
    adam, loss = optimizers.get("adam"), losses.get("non_saturating")
    return GanSpec(generator, discriminator, noise, loss, adam, adam, BATCH)


def sizes() -> dict[str, Any]:
    """Of the multilayer GAN and its data."""
    widths = list(WIDTHS)
    return {"latent": LATENT, "d": DIM, "widths": widths, "batch": BATCH, "examples": EXAMPLES}


def make_hypers(spec: GanSpec, arm: str, seed: int) -> Hypers:
    """A replica of an arm; what learns starts at .2."""
    scheduled = arm == "scheduled"
    sigma = schedule.sigma_schedule(
        "linear" if scheduled else "constant", SIGMAS.get(arm, 0.0), 0.1, 1000
    )
    gates = observation.gates(arm, spec.observation.components)
    number = functools.partial(jnp.asarray, dtype=jnp.float32)
    noise = observation.NoiseHypers(
        sigma,
        {name: jnp.asarray(gate) for name, gate in gates.items()},
        number(0.2),
        parameterisation.Bounds(number(1e-4), number(10.0)),
    )
    return Hypers(
        jax.random.fold_in(jax.random.key(0), seed),
        noise,
        jnp.asarray(False),
        gan.Rates(*(optimizers.rate(1e-3) for _ in range(3))),
        {},
        schedule.sigma_schedule("constant", 0.0, 0.0, 1),
        number(0.0),
        number(0.0),
    )


def make_data(dim: int) -> Array:
    """Standard normal examples, [EXAMPLES, dim]."""
    return jax.random.normal(jax.random.key(1), (EXAMPLES, dim))


def make_step(spec: GanSpec, arm: str = "global") -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """The step of one replica; and its hypers, first state, data and keys."""
    hypers = make_hypers(spec, arm, 0)
    state = jax.jit(functools.partial(gan.init, spec))(hypers)
    data, keys = make_data(spec.observation.dim), gan.streams(hypers.key)
    return functools.partial(steps.step, spec), (hypers, state, data, keys)


def preset_run(name: str, num: int) -> Program:
    """The same of ``num`` replicas of a preset's arm zero, with its data, penalties and rates."""
    sweep = type(GAN_PRESETS[name].sweep)(arm=("zero",))
    config = dataclasses.replace(GAN_PRESETS[name], sweep=sweep, seeds=num)
    prepared = plan.prepare(config)
    (group,) = prepared.groups
    root = jax.random.key(config.seed)
    each = plan.all_hypers(group.replicas, group.spec, config.steps, root)
    dataset = prepared.dataset
    return _engine_run(name, group.spec, each, dataset.x[dataset.splits.train])


def engine_run(spec: GanSpec, arms: Sequence[str], num: int, precision: str = "") -> Program:
    """As many steps of ``num`` replicas, the arms in turn, as take about a third of a second."""
    each = [make_hypers(spec, arms[i % len(arms)], i) for i in range(num)]
    data = make_data(spec.observation.dim)
    return _engine_run(f"{num} replicas", spec, replicas.stack(each), data, precision)


def _engine_run(
    what: str, spec: GanSpec, each: Hypers, examples: Any, precision: str = ""
) -> Program:
    """Steps of the replicas of these hypers, by the engine."""
    num = len(each.key)
    engine = replicas.engine(steps.model(spec), num)
    hypers = engine.place(each)
    data = engine.replicate(jnp.asarray(examples))
    with _precision(precision):
        state = engine.init(hypers)

    def run(count: int) -> None:
        nonlocal state
        with _precision(precision):
            state, windows = engine.run(state, hypers, data, 0, count)
        jax.block_until_ready(windows)

    most = engine.every * engine.max_windows
    return repeated(what, run, num, least=LEAST_STEPS, most=most)


def jitted_step(spec: GanSpec) -> Program:
    """One replica's step as a jitted function, called in a Python loop."""
    step, (hypers, state, data, keys) = make_step(spec)
    step = jax.jit(step, donate_argnums=1)

    def run(count: int) -> None:
        nonlocal state
        metrics = None
        for t in range(count):
            state, metrics = step(hypers, state, data, keys, t)
        jax.block_until_ready(metrics)

    return repeated("a jitted step in a Python loop", run)


def matmul_chain(mesh: Mesh, rows: int, width: int, dtype: Any, precision: str = "") -> Program:
    """Dependent products [rows, width] x [width, width] on each device; counts operations."""
    kernel = jax.random.orthogonal(jax.random.key(0), width).astype(dtype)
    start = jax.random.normal(jax.random.key(1), (rows, width), dtype)
    run = repeat_on_devices(mesh, lambda _, x: x @ kernel, start, precision)
    what = f"products [{rows}, {width}] x [{width}, {width}]"
    return repeated(what, run, 2.0 * rows * width * width * mesh.size)


def copying(mesh: Mesh, size: int) -> Program:
    """Copies of ``size`` float32 numbers on each device, each with a change; counts bytes."""
    run = repeat_on_devices(mesh, lambda _, x: x + 1.0, jnp.zeros(size))
    return repeated("reading and writing memory", run, 8.0 * size * mesh.size)


def repeat_on_devices(
    mesh: Mesh, body: Body, start: Any, precision: str = ""
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

    split = PartitionSpec(REPLICA)
    specs: Any = {"in_specs": (split, PartitionSpec()), "out_specs": split}
    compiled = jax.jit(
        jax.shard_map(on_device, mesh=mesh, check_vma=False, **specs), donate_argnums=0
    )
    many = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (mesh.size, *leaf.shape)), start)
    carry = jax.device_put(many, NamedSharding(mesh, split))

    def run(count: int) -> Any:
        nonlocal carry
        with _precision(precision):
            carry = compiled(carry, count)
        return jax.block_until_ready(carry)

    return run


def _precision(name: str) -> Any:
    """How exactly float32 numbers are multiplied; "" leaves it to the backend."""
    return jax.default_matmul_precision(name or None)  # pyright: ignore[reportArgumentType]


class Work(NamedTuple):
    """What one step of one replica has to do at the least.

    Attributes:
        flops: of its matrix products and convolutions.
        bytes: read and written, if each product reads its operands and writes its result once, and
            Adam reads gradient, parameter and moments and writes all but the first.
    """

    flops: float
    bytes: float


def work(spec: GanSpec, arm: str = "global") -> Work:
    """What a step has to do, counted product by product in its trace."""
    step, arguments = make_step(spec, arm)
    counts = [*products(jax.make_jaxpr(step)(*arguments, jnp.asarray(0)).jaxpr)]
    state = arguments[1]
    parameters = networks.num_params({"all": (state.player, state.discriminator)})
    moved = sum(number for _, number in counts) + 28.0 * parameters
    return Work(sum(flops for flops, _ in counts), moved)


def counted_by_xla(spec: GanSpec, arm: str = "global") -> float:
    """All operations of one step, lowered alone, by XLA's own count."""
    step, arguments = make_step(spec, arm)
    analysis: Any = jax.jit(step).lower(*arguments, jnp.asarray(0)).compile().cost_analysis()
    return float(analysis["flops"])


def parts(spec: GanSpec, mesh: Mesh) -> dict[str, Program]:
    """Programs that run a part of a step over and over, counted in replica-steps."""
    step, (hypers, state, data, keys) = make_step(spec)

    def moves(t: Array, state: State) -> State:
        now = {name: jax.random.fold_in(key, t) for name, key in keys.items()}
        state, _ = steps.move_discriminator(spec, hypers, state, data, now, t)
        return steps.move_generator(spec, hypers, state, state, data, now, t)[0]

    def whole(t: Array, state: State) -> State:
        state, metrics = step(hypers, state, data, keys, t)
        return state._replace(window=state.window + jnp.stack(metrics))

    bodies: dict[str, tuple[Body, Any]] = {
        PRODUCTS: linear_products(spec),
        ADAM: _adam(spec, state),
        DRAWS: _draws(spec, keys, data),
        MOVES: (moves, state),
        STEP: (whole, state),
    }
    return {
        name: repeated(name, repeat_on_devices(mesh, body, start), mesh.size)
        for name, (body, start) in bodies.items()
    }


def linear_products(spec: GanSpec) -> tuple[Body, Any]:
    """The products of a step of the multilayer GAN: it with linear units, and its gradients."""
    latent, dim = spec.generator.in_dim, spec.generator.out_dim
    generator = networks.mlp_generator(latent, dim, widths=WIDTHS, activation="identity")
    critic = networks.mlp_discriminator(dim, widths=WIDTHS, activation="identity")
    keys = jax.random.split(jax.random.key(0), 4)
    params, critic_params = generator.init(keys[0]), critic.init(keys[1])
    z = jax.random.normal(keys[2], (spec.batch_size, latent))
    real = jax.random.normal(keys[3], (spec.batch_size, dim))

    def square(critic_params: Any, x: Array) -> Array:
        return jnp.mean(critic.apply(critic_params, x) ** 2)

    def body(_: Array, carry: Any) -> Any:
        # The gradients of the last round enter this one, so that no product leaves the loop.
        past = 1e-30 * sum(jnp.ravel(leaf)[0] for leaf in jax.tree.leaves(carry))
        fake = generator.apply(params, z + past).mean
        critic_grads = jax.grad(square)(critic_params, jnp.concatenate([real, fake]))
        shift = 1e-30 * jnp.ravel(jax.tree.leaves(critic_grads)[0])[0]
        loss = lambda params: square(critic_params, generator.apply(params, 2 * z + shift).mean)  # noqa: E731
        return jax.grad(loss)(params), critic_grads

    return body, jax.tree.map(jnp.zeros_like, (params, critic_params))


def _adam(spec: GanSpec, state: State) -> tuple[Body, Any]:
    """Both players' updates, from gradients that change with the parameters."""
    params = state.player.network, state.discriminator

    def body(t: Array, carry: Any) -> Any:
        params, opt_state = carry
        grads = jax.tree.map(lambda leaf: 0.1 * leaf, params)
        return spec.optimizer.update(grads, opt_state, params, jnp.float32(1e-3), t)

    return body, (params, spec.optimizer.init(params))


def _draws(spec: GanSpec, keys: steps.Keys, data: Array) -> tuple[Body, Any]:
    """Latents and noise of both players, and a batch of the data."""
    size = spec.batch_size

    def body(t: Array, total: Array) -> Array:
        now = {name: jax.random.fold_in(key, t) for name, key in keys.items()}
        for player in ("discriminator", "generator"):
            z = gan.latent(spec, now[f"latent_{player}"], size)
            noise = gan.draws(spec, now[f"noise_{player}"], size).eps
            total = total + jnp.sum(z) + jnp.sum(noise)
        rows = jax.random.randint(now["data"], (size,), 0, data.shape[0])
        return total + jnp.sum(data[rows])

    return body, jnp.zeros(())


def shares(seconds: Seconds) -> list[Ratio]:
    """Each part's share of a step of the engine, and what no part explains."""
    parts: dict[str, dict[str, float]] = {name: {name: 1} for name in (PRODUCTS, ADAM, DRAWS)}
    parts["metrics and look for divergence"] = {STEP: 1, MOVES: -1}
    parts["the engine's loop, windows and groups"] = {WHOLE: 1, STEP: -1}
    rest = {MOVES: 1.0, PRODUCTS: -1.0, ADAM: -1.0, DRAWS: -1.0}
    parts["the rest: activations, losses, noise"] = rest
    whole = terms(seconds, {WHOLE: 1})
    return [
        ratio(what, terms(seconds, weights), whole, better="neither")
        for what, weights in parts.items()
    ]
