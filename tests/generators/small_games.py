"""Small games, and replicas of them; the tests of the engine share it."""

import functools
from typing import Any

import jax
import jax.numpy as jnp

from sigmaprop.generators import (
    gan,
    losses,
    observation,
    optimizers,
    parameterisation,
    replicas,
    schedule,
)
from sigmaprop.generators.networks.base import Network
from sigmaprop.generators.step import model

LEARNED = tuple(name for name, arm in observation.ARMS.items() if arm.learns)
GIVEN = tuple(name for name, arm in observation.ARMS.items() if arm.shares and not arm.learns)
SCHEDULE = ("linear", 0.5, 0.1, 20)
"""Sigma of the arm "scheduled"."""


def make(
    generator: Network,
    discriminator: Network,
    arms: tuple[str, ...] = ("global",),
    *,
    loss: str = "non_saturating",
    optimizer: optimizers.Optimizer | None = None,
    name: str = "log",
    rank: int = 2,
    batch_size: int = 16,
    **options: Any,
) -> gan.GanSpec:
    """A game whose program holds what these arms need."""
    adam = optimizers.get("adam")
    return gan.GanSpec(
        generator,
        discriminator,
        observation.Observation(
            generator.out_dim,
            generator.feature_dim,
            observation.components(arms),
            parameterisation.get(name),
            rank,
        ),
        losses.get(loss),
        optimizer or adam,
        optimizer or adam,
        batch_size,
        **options,
    )


def hypers(
    spec: gan.GanSpec,
    arm: str = "global",
    *,
    seed: int = 0,
    sigma: float = 0.2,
    rate: float = 1e-3,
    rates: tuple[float, float, float] | None = None,
    bounds: tuple[float, float] = (1e-4, 10.0),
    penalties: dict[str, float] | None = None,
    shared: bool = False,
    instance_noise: float = 0.0,
    ema_decay: float = 0.999,
    rows: Any = None,
    annealing: Any = None,
    penalty_sigma: float = 0.01,
) -> gan.Hypers:
    """A replica: sigma is what is given to the arm, or where it starts."""
    given = {"zero": ("constant", 0.0, 0.0, 1), "fixed": ("constant", sigma, sigma, 1)}
    given["scheduled"] = SCHEDULE
    number = lambda value: jnp.asarray(value, jnp.float32)  # noqa: E731
    gates = observation.gates(arm, spec.observation.components)
    return gan.Hypers(
        key=jax.random.fold_in(jax.random.key(0), seed),
        noise=observation.NoiseHypers(
            schedule.sigma_schedule(*given.get(arm, given["zero"])),
            {name: jnp.asarray(gate) for name, gate in gates.items()},
            number(sigma),
            parameterisation.Bounds(*map(number, bounds)),
        ),
        shared=jnp.asarray(shared),
        rates=gan.Rates(*map(optimizers.rate, rates or (rate, rate, rate))),
        penalties={name: number((penalties or {}).get(name, 0.0)) for name in spec.penalties},
        instance_noise=schedule.sigma_schedule("constant", instance_noise, instance_noise, 1),
        entropy_weight=number(0.0),
        ema_decay=number(ema_decay),
        rows=rows,
        annealing=annealing,
        penalty_sigma=number(penalty_sigma),
    )


@functools.cache
def _engine(spec: gan.GanSpec, num: int, **options: Any) -> replicas.Engine:
    """Compiled once for each game, number of replicas and option."""
    return replicas.engine(model(spec), num, **options)


def run(
    spec: gan.GanSpec,
    each: list[gan.Hypers],
    data: Any,
    cuts: tuple[int, ...],
    **options: Any,
) -> tuple[gan.State, Any]:
    """State and last windows of the replicas that were asked for, after the steps up to the cuts.

    Args:
        spec: what they share.
        each: their hypers.
        data: training examples, [N, D].
        cuts: where each call stops, the first beginning at 0.
        **options: of the engine.
    """
    engine = _engine(spec, len(each), **options)
    own, everywhere = engine.place(replicas.stack(each)), engine.replicate(data)
    state, windows, start = engine.init(own), None, 0
    for stop in cuts:
        state, windows = engine.run(state, own, everywhere, start, stop)
        start = stop
    # On the host: to index a sharded array is a collective, and many at once can stall a CPU.
    return jax.tree.map(lambda leaf: leaf[: len(each)], jax.device_get((state, windows)))
