"""How a scale is made of the number that the optimiser moves, and how it is kept within bounds."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from sigmaprop.names import Registry


class Bounds(NamedTuple):
    """Where a learned scale may be.

    Attributes:
        floor: smallest standard deviation, in units of x, > 0. []
        ceiling: largest, []
    """

    floor: Float[Array, ""]
    ceiling: Float[Array, ""]


class Parameterisation(NamedTuple):
    """A map from raw parameters to scales.

    Attributes:
        name: "log", "softplus", "signed", "linear" or "inverse".
        scale: raw -> scale, entry by entry.
        raw: scale > 0 -> raw, its inverse.
        signed: whether the scale takes the sign of the raw parameter; its size is the standard
            deviation then, and it can learn its way through 0.
        decreasing: whether a larger raw parameter is a smaller scale.
    """

    name: str
    scale: Callable[[Array], Array]
    raw: Callable[[Array], Array]
    signed: bool = False
    decreasing: bool = False

    def project(self, raw: Array, bounds: Bounds) -> Array:
        """The nearest raw parameter whose scale lies within the bounds."""
        low, high = self.raw(bounds.floor), self.raw(bounds.ceiling)
        if self.decreasing:
            low, high = high, low
        if not self.signed:
            return jnp.clip(raw, low, high)
        return jnp.where(raw < 0, -1.0, 1.0) * jnp.clip(jnp.abs(raw), low, high)

    def clip_inward(self, raw: Array, bounds: Bounds) -> Array:
        """The same for what a network computes.

        Its gradient passes where a step along it leads inwards, and is cut where it leads further
        out: a scale at a bound can come back, and the network does not run away behind it.
        """
        return _clip_inward(raw, self.project(raw, bounds))


@jax.custom_vjp
def _clip_inward(raw: Array, projected: Array) -> Array:
    del raw
    return projected


def _forward(raw: Array, projected: Array) -> tuple[Array, Array]:
    return projected, projected - raw


def _backward(gap: Array, loss_and_gaussian_grads: Array) -> tuple[Array, Array]:
    """A descent step moves against the cotangent: inwards if their signs differ."""
    outward = gap * loss_and_gaussian_grads > 0
    return jnp.where(outward, 0.0, loss_and_gaussian_grads), jnp.zeros_like(loss_and_gaussian_grads)


_clip_inward.defvjp(_forward, _backward)


def _inverse_softplus(scale: Array) -> Array:
    return scale + jnp.log(-jnp.expm1(-scale))


PARAMETERISATIONS = Registry(
    "parameterisation",
    {
        "log": Parameterisation("log", jnp.exp, jnp.log),
        "softplus": Parameterisation("softplus", jax.nn.softplus, _inverse_softplus),
        "signed": Parameterisation("signed", lambda raw: raw, lambda scale: scale, signed=True),
        "linear": Parameterisation("linear", lambda raw: raw, lambda scale: scale),
    },
)
"""Those of a GAN; "linear" has a step of its own where it is paid for entropy, see `proximal`."""

LIKELIHOOD_PARAMETERISATIONS = Registry(
    "parameterisation",
    {name: PARAMETERISATIONS[name] for name in ("log", "softplus", "linear")}
    | {
        "inverse": Parameterisation(
            "inverse", lambda raw: 1.0 / raw, lambda scale: 1.0 / scale, decreasing=True
        ),
    },
)
"""Those for a scale that a likelihood is maximised over; see `vae_step.proximal_entropy_step`."""


def names() -> tuple[str, ...]:
    """The parameterisations' names."""
    return tuple(PARAMETERISATIONS)


def get(name: str) -> Parameterisation:
    """The parameterisation of this name.

    Raises:
        ValueError: unknown name; the nearest is named.
    """
    return PARAMETERISATIONS[name]
