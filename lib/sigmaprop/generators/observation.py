"""The noise at the end of a generator: x = mean + scale eps + factor zeta.

An arm says where scale comes from (`arms.ARMS`): some are given a number for each step, the others
learn a component of `COMPONENTS`. What is given may be arrays too (`Given`), or sigma(z) by a copy
of another generator (`Copy`), in programs of their own: those of numbers do not change. Replicas of
all arms run in one program: each learned component of the program is computed for every replica,
and a replica's gates select the one that its samples see. Components that no replica needs are left
out of the program.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from sigmaprop.generators.arms import ARMS, get
from sigmaprop.generators.networks.base import Network
from sigmaprop.generators.parameterisation import Bounds, Parameterisation
from sigmaprop.generators.schedule import SigmaSchedule

__all__ = [
    "ARMS",
    "COMPONENTS",
    "Component",
    "Copier",
    "Copy",
    "Given",
    "NoiseHypers",
    "NoiseScale",
    "Observation",
]

_FACTOR_SHARE = 0.5
"""Share of the noise's standard deviation that the factor has at the start, each column alike."""


class Observation(NamedTuple):
    """What is static about the noise of all replicas of one program.

    Attributes:
        dim: coordinates of x, D.
        feature_dim: width of the generator's features, F.
        components: the learned ones that the program holds, in the order of `COMPONENTS`.
        parameterisation: how a learned scale is made of its raw parameter.
        rank: columns of the factor, R.
        given_factor: whether the replicas are given a factor; then they learn none.
        copier: how the copies compute that the replicas are given, None where they are given none.
    """

    dim: int
    feature_dim: int
    components: tuple[str, ...]
    parameterisation: Parameterisation
    rank: int = 1
    given_factor: bool = False
    copier: "Copier | None" = None

    @property
    def has_factor(self) -> bool:
        """Whether the noise of some replica has a factor, so that zeta is drawn."""
        return self.given_factor or any(
            COMPONENTS[name].factor is not None for name in self.components
        )


class Given(NamedTuple):
    """Noise that an arm is given and that no step changes.

    Attributes:
        scale: of each coordinate, in units of x.
        factor: in units of x, None where there is none.
    """

    scale: Float[Array, " D"]
    factor: Float[Array, "D R"] | None = None


class Copier(NamedTuple):
    """What is static about a copied sigma(z).

    Attributes:
        network: the generator that was copied.
        parameterisation: of its head.
    """

    network: Network
    parameterisation: Parameterisation


class Copy(NamedTuple):
    """A generator whose sigma(z) an arm is given, and that no step changes.

    Attributes:
        network: parameters of the copier's.
        head: on its features, as the component heteroscedastic has it.
        bounds: floor and ceiling of its scale.
    """

    network: Any
    head: dict[str, Array]
    bounds: Bounds


class NoiseHypers(NamedTuple):
    """What one replica has of its own.

    Attributes:
        schedule: the sigma of the arms that do not learn; 0 for those that do.
        gates: for each component of the program whether this replica uses it.
        start: scale at the start, for what is learned, in units of x, [].
        bounds: floor and ceiling of what is learned.
        given: what stands for the schedule where it is no number; None in a program of numbers.
    """

    schedule: SigmaSchedule
    gates: dict[str, Bool[Array, ""]]
    start: Float[Array, ""]
    bounds: Bounds
    given: Given | Copy | None = None


class NoiseScale(NamedTuple):
    """The noise of a batch of samples.

    Attributes:
        scale: [], [D] or [B, D]; signed under the parameterisation "signed".
        factor: [D, R], or None where no replica of the program has one.
        parts: the scale of each component of the program, with the gate that switches it on, after
            what is given to the arms that do not learn.
    """

    scale: Float[Array, "..."]
    factor: Float[Array, "D R"] | None
    parts: tuple[tuple[Array, Array], ...]

    def add_to(
        self, mean: Float[Array, "#B D"], eps: Float[Array, "B D"], zeta: Float[Array, "B R"] | None
    ) -> Float[Array, "B D"]:
        """x, [B, D], from standard normal draws.

        The gates are on eps, and not on the scales: a product is rounded once with the sum that it
        goes into, forwards and in the gradient of its scale, whatever else the program holds. So an
        arm has the bits that it has alone.
        """
        if self.factor is not None and zeta is not None:
            mean = mean + zeta @ self.factor.T
        for scale, gate in self.parts:
            mean = mean + scale * jnp.where(gate, eps, 0.0)
        return mean


class Component(NamedTuple):
    """A learned part of the noise: pure functions of its raw parameters, any pytree.

    Attributes:
        init: ``(observation, start [], key) -> raw`` whose scale is ``start``.
        scale: ``(observation, raw, features [B, F], gate [], bounds) -> scale``, [], [D] or [B, D].
        project: ``(within, raw) -> raw`` inside the bounds; ``within`` moves an array there.
        log_sigma_grad: the derivative along a common shift of all raw scales, [], from the gradient
            to ``raw``.
        factor: ``raw -> factor [D, R]``, None where there is no factor.
    """

    init: Callable[[Observation, Array, Array], Any]
    scale: Callable[[Observation, Any, Array, Array, Bounds], Array]
    project: Callable[[Callable[[Array], Array], Any], Any] = lambda within, raw: within(raw)
    log_sigma_grad: Callable[[Any], Array] = jnp.sum
    factor: Callable[[Any], Array] | None = None


def components(arms: tuple[str, ...]) -> tuple[str, ...]:
    """What a program for these arms has to hold.

    Raises:
        ValueError: unknown arm; the nearest is named.
    """
    needed = {get(arm).component for arm in arms}
    return tuple(name for name in COMPONENTS if name in needed)


def gates(arm: str, of: tuple[str, ...]) -> dict[str, bool]:
    """Which of the program's components this arm uses."""
    return {name: name == get(arm).component for name in of}


def check_rank(rank: int, dim: int) -> None:
    """Refuses a factor with no columns, or more than there are coordinates.

    Raises:
        ValueError: naming the option.
    """
    if not 1 <= rank <= dim:
        raise ValueError(f"--rank is {rank}; it must be between 1 and {dim}, the dimension of x")


def init(observation: Observation, hypers: NoiseHypers, key: Array) -> dict[str, Any]:
    """Raw parameters of each component whose scale is ``hypers.start`` everywhere."""
    return {
        name: COMPONENTS[name].init(observation, hypers.start, key)
        for name in observation.components
    }


def noise_scale(
    observation: Observation,
    params: dict[str, Any],
    features: Float[Array, "B F"],
    sigma: Float[Array, ""],
    hypers: NoiseHypers,
    z: Float[Array, "B Z"] | None = None,
) -> NoiseScale:
    """The noise of the samples whose latent gave these features.

    Args:
        observation: the program's.
        params: raw parameters, from `init`.
        features: the generator's last hidden layer.
        sigma: of this step, for the arms that do not learn; 0 for the others.
        hypers: the replica's.
        z: the latents, which a copy that is given takes.
    """
    scale, factor = _given(observation, sigma, hypers, z)
    parts = [(scale, jnp.asarray(True))]
    for name in observation.components:
        raw, gate, component = params[name], hypers.gates[name], COMPONENTS[name]
        learned = component.scale(observation, raw, features, gate, hypers.bounds)
        if component.factor is not None:
            factor = jnp.where(gate, component.factor(raw), 0.0)
        scale = jnp.where(gate, learned, scale)
        parts.append((learned, gate))
    return NoiseScale(scale, factor, tuple(parts))


def _given(
    observation: Observation, sigma: Array, hypers: NoiseHypers, z: Array | None
) -> tuple[Array, Array | None]:
    """Scale and factor of the arms that do not learn."""
    if hypers.given is None:
        return sigma, None
    if isinstance(hypers.given, Given):
        return hypers.given
    copier, copy = observation.copier, jax.lax.stop_gradient(hypers.given)
    if copier is None or z is None:
        raise ValueError("a copy that is given needs a copier in the observation, and the latents")
    own = observation._replace(parameterisation=copier.parameterisation)
    features = copier.network.apply(copy.network, z).features
    return _scale_of_head(own, copy.head, features, jnp.asarray(True), copy.bounds), None


def project(observation: Observation, params: dict[str, Any], bounds: Bounds) -> dict[str, Any]:
    """The raw parameters after a step, moved to the nearest scale inside the bounds.

    What depends on the latent is bounded where it is computed, and the factor not at all: its floor
    is that of the scale beside it.
    """
    within = functools.partial(observation.parameterisation.project, bounds=bounds)
    return {name: COMPONENTS[name].project(within, raw) for name, raw in params.items()}


def rms_sigma(noise: NoiseScale, dim: int) -> Float[Array, ""]:
    """The standard deviation of the noise, its variance averaged over coordinates and samples."""
    variance = jnp.mean(noise.scale**2)
    if noise.factor is not None:
        variance = variance + jnp.sum(noise.factor**2) / dim
    return jnp.sqrt(variance)


def per_coordinate_std(noise: NoiseScale, num: int, dim: int) -> Float[Array, "num D"]:
    """The standard deviation of the noise in each coordinate of ``num`` samples."""
    variance = jnp.broadcast_to(noise.scale**2, (num, dim))
    if noise.factor is not None:
        variance = variance + jnp.sum(noise.factor**2, axis=-1)
    return jnp.sqrt(variance)


def at_bounds(noise: NoiseScale, hypers: NoiseHypers) -> tuple[Array, Array]:
    """The share of learned scales at the floor and at the ceiling; 0 where nothing is learned."""
    size = jnp.abs(noise.scale)
    low = jnp.mean(size <= hypers.bounds.floor * (1 + 1e-5))
    high = jnp.mean(size >= hypers.bounds.ceiling * (1 - 1e-5))
    learned = learns(hypers)
    return jnp.where(learned, low, 0.0), jnp.where(learned, high, 0.0)


def learns(hypers: NoiseHypers) -> Bool[Array, ""]:
    """Whether the replica's noise is learned, so that floor and ceiling are its bounds."""
    return functools.reduce(jnp.logical_or, hypers.gates.values(), jnp.asarray(False))


def log_sigma_grad(gradient: dict[str, Any]) -> Float[Array, ""]:
    """The derivative of a loss along a common shift of all raw parameters.

    Under the parameterisation "log" it is the derivative in log sigma; of a scale beside a factor,
    in that of the scale.
    """
    total = jnp.zeros(())
    for name, component in COMPONENTS.items():
        if name in gradient:
            total = total + component.log_sigma_grad(gradient[name])
    return total


def _to_scale(observation: Observation, raw: Array, *_: Any) -> Array:
    return observation.parameterisation.scale(raw)


def _init_per_pixel(observation: Observation, start: Array, key: Array) -> Array:
    del key
    return jnp.broadcast_to(observation.parameterisation.raw(start), (observation.dim,))


def _init_head(observation: Observation, start: Array, key: Array) -> dict[str, Array]:
    kernel = jnp.zeros((observation.feature_dim, observation.dim))
    return {"kernel": kernel, "bias": _init_per_pixel(observation, start, key)}


def _scale_of_head(
    observation: Observation, raw: Any, features: Array, gate: Array, bounds: Bounds
) -> Array:
    """Sigma(z), [B, D]; replicas that run one after the other skip it where their gate is off."""

    def on(head: dict[str, Array], features: Array, bounds: Bounds) -> Array:
        linear = features @ head["kernel"] + head["bias"]
        inside = observation.parameterisation.clip_inward(linear, bounds)
        return observation.parameterisation.scale(inside)

    def off(head: dict[str, Array], features: Array, bounds: Bounds) -> Array:
        del head, bounds
        return jnp.zeros((features.shape[0], observation.dim))

    return jax.lax.cond(gate, on, off, raw, features, bounds)


def _init_low_rank(observation: Observation, start: Array, key: Array) -> dict[str, Array]:
    """Scale and factor that together have the variance ``start^2`` a coordinate on average.

    The factor alone is random: at zero its gradient vanishes, and it would stay there.
    """
    dim, rank = observation.dim, observation.rank
    rest = jnp.sqrt(1.0 - _FACTOR_SHARE**2)
    column = _FACTOR_SHARE * start / jnp.sqrt(1.0 * rank)
    return {
        "raw": _init_per_pixel(observation, rest * start, key),
        "factor": column * jax.random.normal(key, (dim, rank)),
    }


COMPONENTS: dict[str, Component] = {
    "global": Component(lambda obs, start, _: obs.parameterisation.raw(start), _to_scale),
    "per_pixel": Component(_init_per_pixel, _to_scale),
    "heteroscedastic": Component(
        _init_head,
        _scale_of_head,
        project=lambda within, raw: raw,
        log_sigma_grad=lambda gradient: jnp.sum(gradient["bias"]),
    ),
    "low_rank": Component(
        _init_low_rank,
        lambda obs, raw, *_: obs.parameterisation.scale(raw["raw"]),
        project=lambda within, raw: raw | {"raw": within(raw["raw"])},
        log_sigma_grad=lambda gradient: jnp.sum(gradient["raw"]),
        factor=lambda raw: raw["factor"],
    ),
}
"""By the name that an arm gives; the order is that in which their noise is added."""
