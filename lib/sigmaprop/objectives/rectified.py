"""The loss of two random discriminators that differ in nothing but their activation."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array

from sigmaprop.objectives.base import Parts
from sigmaprop.objectives.constants import cast, generator

_WIDTH = 64
_SLOPE = 0.2
_SEED = 5
"""Of few, the first whose gradient to sigma is negative where the bend of the loss alone makes it
positive."""


def leaky_relu_network(dim: int) -> Parts:
    """Piecewise linear: automatic differentiation sees the loss bend, but not the kinks."""
    return _network(dim, lambda x: jnp.where(x > 0, x, _SLOPE * x), "leaky ReLU")


def softplus_network(dim: int) -> Parts:
    """The same weights with softplus for the activation."""
    return _network(dim, jax.nn.softplus, "softplus")


def _network(dim: int, activation: Callable[[Array], Array], kind: str) -> Parts:
    normal = generator(f"rectified {_SEED}", "weights").standard_normal
    first = normal((_WIDTH, dim)) * math.sqrt(2.0 / dim)
    second = normal((_WIDTH, _WIDTH)) * math.sqrt(2.0 / _WIDTH)
    last = normal(_WIDTH) * math.sqrt(1.0 / _WIDTH)
    shifts = normal((2, _WIDTH)) * 0.5

    def function(x: Array) -> Array:
        hidden = activation(jnp.dot(cast(first, x), x, precision="highest") + cast(shifts[0], x))
        hidden = jnp.dot(cast(second, x), hidden, precision="highest") + cast(shifts[1], x)
        return jax.nn.softplus(-jnp.dot(cast(last, x), activation(hidden), precision="highest"))

    return Parts(function, formula=f"softplus(-D(x)), D a {kind} network {dim}-{_WIDTH}-{_WIDTH}-1")
