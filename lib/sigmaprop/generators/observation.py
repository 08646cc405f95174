"""The noise at the end of a generator: x = mean + scale eps + factor zeta.

An arm says where scale comes from. `zero`, `fixed` and `scheduled` are given a number for each
step; the others learn: `global` one number, `per_pixel` one for each coordinate, `heteroscedastic`
a function of the latent, `low_rank` one for each coordinate and a factor of few columns beside it.
Replicas of all arms run in one program: each learned component of the program is computed for every
replica, and a replica's gates select the one that its samples see. Components that no replica needs
are left out of the program.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from sigmaprop.generators.parameterisation import Bounds, Parameterisation
from sigmaprop.generators.schedule import Given
from sigmaprop.names import unknown

ARMS: dict[str, str | None] = {
    "zero": None,
    "fixed": None,
    "scheduled": None,
    "global": "global",
    "per_pixel": "per_pixel",
    "heteroscedastic": "heteroscedastic",
    "low_rank": "low_rank",
}
"""Every arm, with the learned component that it needs."""

COMPONENTS = ("global", "per_pixel", "heteroscedastic", "low_rank")
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
    """

    dim: int
    feature_dim: int
    components: tuple[str, ...]
    parameterisation: Parameterisation
    rank: int = 1


class NoiseKnobs(NamedTuple):
    """What one replica has of its own.

    Attributes:
        given: the sigma of the arms that do not learn; 0 for those that do.
        gates: for each component of the program whether this replica uses it.
        start: scale at the start, for what is learned, in units of x, [].
        bounds: floor and ceiling of what is learned.
    """

    given: Given
    gates: dict[str, Bool[Array, ""]]
    start: Float[Array, ""]
    bounds: Bounds


class Spread(NamedTuple):
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
        self, mean: Float[Array, "B D"], eps: Float[Array, "B D"], zeta: Float[Array, "B R"] | None
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


def component(arm: str) -> str | None:
    """The learned component of an arm, None where sigma is given.

    Raises:
        ValueError: unknown arm; the nearest is named.
    """
    if arm not in ARMS:
        raise unknown("arm", arm, ARMS)
    return ARMS[arm]


def components(arms: tuple[str, ...]) -> tuple[str, ...]:
    """What a program for these arms has to hold."""
    needed = {component(arm) for arm in arms}
    return tuple(name for name in COMPONENTS if name in needed)


def gates(arm: str, of: tuple[str, ...]) -> dict[str, bool]:
    """Which of the program's components this arm uses."""
    own = component(arm)
    return {name: name == own for name in of}


def check_rank(rank: int, dim: int) -> None:
    """Refuses a factor with no columns, or more than there are coordinates.

    Raises:
        ValueError: naming the option.
    """
    if not 1 <= rank <= dim:
        raise ValueError(f"--rank is {rank}; it must be between 1 and {dim}, the dimension of x")


def init(observation: Observation, knobs: NoiseKnobs, key: Array) -> dict[str, Any]:
    """Raw parameters whose scale is ``knobs.start`` everywhere.

    The factor alone is random: at zero its gradient vanishes, and it would stay there. Its columns
    and the scale of `low_rank` together have the variance ``start^2`` a coordinate on average.
    """
    dim, rank = observation.dim, observation.rank
    raw = observation.parameterisation.raw(knobs.start)
    found: dict[str, Any] = {}
    if "global" in observation.components:
        found["global"] = raw
    if "per_pixel" in observation.components:
        found["per_pixel"] = jnp.broadcast_to(raw, (dim,))
    if "heteroscedastic" in observation.components:
        kernel = jnp.zeros((observation.feature_dim, dim))
        found["heteroscedastic"] = {"kernel": kernel, "bias": jnp.broadcast_to(raw, (dim,))}
    if "low_rank" in observation.components:
        rest = jnp.sqrt(1.0 - _FACTOR_SHARE**2)
        own = observation.parameterisation.raw(rest * knobs.start)
        column = _FACTOR_SHARE * knobs.start / jnp.sqrt(1.0 * rank)
        found["low_rank"] = {
            "raw": jnp.broadcast_to(own, (dim,)),
            "factor": column * jax.random.normal(key, (dim, rank)),
        }
    return found


def spread(
    observation: Observation,
    params: dict[str, Any],
    features: Float[Array, "B F"],
    given: Float[Array, ""],
    knobs: NoiseKnobs,
) -> Spread:
    """The noise of the samples whose latent gave these features.

    Args:
        observation: the program's.
        params: raw parameters, from `init`.
        features: the generator's last hidden layer.
        given: sigma of this step, for the arms that do not learn; 0 for the others.
        knobs: the replica's.
    """
    to_scale = observation.parameterisation.scale
    own: dict[str, Array] = {}
    for name in ("global", "per_pixel"):
        if name in params:
            own[name] = to_scale(params[name])
    if "heteroscedastic" in params:
        # Replicas that run one after the other skip the product where their gate is off.
        own["heteroscedastic"] = jax.lax.cond(
            knobs.gates["heteroscedastic"],
            functools.partial(_scale_of_latent, observation),
            lambda head, features, bounds: jnp.zeros((features.shape[0], observation.dim)),
            params["heteroscedastic"],
            features,
            knobs.bounds,
        )
    factor = None
    if "low_rank" in params:
        own["low_rank"] = to_scale(params["low_rank"]["raw"])
        factor = jnp.where(knobs.gates["low_rank"], params["low_rank"]["factor"], 0.0)
    scale = given
    for name, learned in own.items():
        scale = jnp.where(knobs.gates[name], learned, scale)
    gated = ((learned, knobs.gates[name]) for name, learned in own.items())
    return Spread(scale, factor, ((given, jnp.asarray(True)), *gated))


def project(observation: Observation, params: dict[str, Any], bounds: Bounds) -> dict[str, Any]:
    """The raw parameters after a step, moved to the nearest scale inside the bounds.

    What depends on the latent is bounded where it is computed, and the factor not at all: its floor
    is that of the scale beside it.
    """
    within = functools.partial(observation.parameterisation.project, bounds=bounds)
    found = dict(params)
    for name in ("global", "per_pixel"):
        if name in found:
            found[name] = within(found[name])
    if "low_rank" in found:
        found["low_rank"] = found["low_rank"] | {"raw": within(found["low_rank"]["raw"])}
    return found


def root_mean_square(spread: Spread, dim: int) -> Float[Array, ""]:
    """The standard deviation of the noise, its variance averaged over coordinates and samples."""
    variance = jnp.mean(spread.scale**2)
    if spread.factor is not None:
        variance = variance + jnp.sum(spread.factor**2) / dim
    return jnp.sqrt(variance)


def at_bounds(spread: Spread, knobs: NoiseKnobs) -> tuple[Array, Array]:
    """The share of learned scales at the floor and at the ceiling; 0 where nothing is learned."""
    size = jnp.abs(spread.scale)
    low = jnp.mean(size <= knobs.bounds.floor * (1 + 1e-5))
    high = jnp.mean(size >= knobs.bounds.ceiling * (1 - 1e-5))
    own = learns(knobs)
    return jnp.where(own, low, 0.0), jnp.where(own, high, 0.0)


def learns(knobs: NoiseKnobs) -> Bool[Array, ""]:
    """Whether the replica's noise is learned, so that floor and ceiling are its bounds."""
    return functools.reduce(jnp.logical_or, knobs.gates.values(), jnp.asarray(False))


def _scale_of_latent(
    observation: Observation, params: dict[str, Array], features: Array, bounds: Bounds
) -> Array:
    raw = features @ params["kernel"] + params["bias"]
    return observation.parameterisation.scale(observation.parameterisation.clip_inward(raw, bounds))


def slope(gradient: dict[str, Any]) -> Float[Array, ""]:
    """The derivative of a loss along a common shift of all raw parameters: its slope in log sigma.

    Under the parameterisation "log", that is, and of the scale beside a factor.
    """
    total = jnp.zeros(())
    for name in ("global", "per_pixel"):
        if name in gradient:
            total = total + jnp.sum(gradient[name])
    if "heteroscedastic" in gradient:
        total = total + jnp.sum(gradient["heteroscedastic"]["bias"])
    if "low_rank" in gradient:
        total = total + jnp.sum(gradient["low_rank"]["raw"])
    return total


def coordinates(spread: Spread, num: int, dim: int) -> Float[Array, "num D"]:
    """The standard deviation of the noise in each coordinate of ``num`` samples."""
    variance = jnp.broadcast_to(spread.scale**2, (num, dim))
    if spread.factor is not None:
        variance = variance + jnp.sum(spread.factor**2, axis=-1)
    return jnp.sqrt(variance)
