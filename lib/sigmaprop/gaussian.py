"""Gaussians as small pytrees of constrained values.

A sample is ``x = mean + scale * eps`` with ``eps`` standard normal. ``scale`` is always a standard
deviation, never a variance. A gradient with respect to a Gaussian is a pytree of the same type, so
``gradient.scale`` is the derivative with respect to ``scale``.
"""

import dataclasses
import math
from typing import TypeVar

import chex
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

_LOG_2PI = math.log(2.0 * math.pi)


class _IndependentCoordinates:
    """What Gaussians with independent coordinates share; ``scale`` broadcasts against ``mean``."""

    mean: Float[Array, " D"]
    scale: Float[Array, "..."]

    def from_noise(self, eps: Float[Array, " D"]) -> Float[Array, " D"]:
        """The sample ``mean + scale * eps`` made of the standard normal draw ``eps`` [D]."""
        chex.assert_equal_shape([self.mean, eps])
        return self.mean + self.scale * eps

    def sample(self, key: Key[Array, ""]) -> Float[Array, " D"]:
        """One draw, [D]."""
        return self.from_noise(jax.random.normal(key, self.mean.shape, self.mean.dtype))

    def log_prob(self, x: Float[Array, " D"]) -> Float[Array, ""]:
        """Log density at ``x`` [D], in nats."""
        chex.assert_equal_shape([self.mean, x])
        eps = (x - self.mean) / self.scale
        return -0.5 * jnp.sum(eps**2 + _LOG_2PI) - jnp.sum(jnp.log(self._scales()))

    def entropy(self) -> Float[Array, ""]:
        """Differential entropy, in nats."""
        return jnp.sum(jnp.log(self._scales()) + 0.5 * (1.0 + _LOG_2PI))

    def _scales(self) -> Array:
        return jnp.broadcast_to(self.scale, self.mean.shape)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Isotropic(_IndependentCoordinates):
    """N(mean, scale^2 I).

    Attributes:
        mean: [D], in units of x.
        scale: standard deviation of every coordinate, [], in units of x.
    """

    mean: Float[Array, "*batch D"]
    scale: Float[Array, "*batch"]

    def score(self, eps: Float[Array, " D"]) -> "Isotropic":
        """Gradient of ``log_prob`` at ``from_noise(eps)``: ``(eps, |eps|^2 - D) / scale``.

        It is written in the standard normal draw because recovering ``eps`` from x loses all
        digits as scale goes to 0.
        """
        dim = eps.shape[-1]
        return Isotropic(eps / self.scale, (jnp.sum(eps**2) - dim) / self.scale)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Diagonal(_IndependentCoordinates):
    """N(mean, diag(scale^2)).

    Attributes:
        mean: [D], in units of x.
        scale: standard deviation of each coordinate, [D], in units of x.
    """

    mean: Float[Array, "*batch D"]
    scale: Float[Array, "*batch D"]

    def score(self, eps: Float[Array, " D"]) -> "Diagonal":
        """Gradient of ``log_prob`` at ``from_noise(eps)``: ``(eps, eps^2 - 1) / scale``."""
        return Diagonal(eps / self.scale, (eps**2 - 1.0) / self.scale)


Gaussian = Isotropic | Diagonal
GaussianT = TypeVar("GaussianT", Isotropic, Diagonal)
