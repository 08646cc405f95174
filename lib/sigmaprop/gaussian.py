"""Gaussians as small pytrees of constrained values.

A sample is ``x = mean + scale * eps`` with ``eps`` standard normal. ``scale`` is always a standard
deviation, never a variance. A gradient with respect to a Gaussian is a pytree of the same type, so
``gradient.scale`` is the derivative with respect to ``scale``.
"""

from typing import NamedTuple, TypeAlias

import chex
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

_LOG_2PI = 1.8378770664093453


class Isotropic(NamedTuple):
    """N(mean, scale^2 I).

    Attributes:
        mean: [D], in units of x.
        scale: standard deviation of every coordinate, [], in units of x.
    """

    mean: Float[Array, " D"]
    scale: Float[Array, ""]

    def from_noise(self, eps: Float[Array, " D"]) -> Float[Array, " D"]:
        """The sample ``mean + scale * eps`` of a standard normal draw ``eps`` [D]."""
        return _from_noise(self, eps)

    def sample(self, key: Key[Array, ""]) -> Float[Array, " D"]:
        """One draw, [D]."""
        return _sample(self, key)

    def log_prob(self, x: Float[Array, " D"]) -> Float[Array, ""]:
        """Log density at ``x`` [D], in nats."""
        return _log_prob(self, x)

    def entropy(self) -> Float[Array, ""]:
        """Differential entropy, in nats."""
        return _entropy(self)


class Diagonal(NamedTuple):
    """N(mean, diag(scale^2)).

    Attributes:
        mean: [D], in units of x.
        scale: standard deviation of each coordinate, [D], in units of x.
    """

    mean: Float[Array, " D"]
    scale: Float[Array, " D"]

    def from_noise(self, eps: Float[Array, " D"]) -> Float[Array, " D"]:
        """The sample ``mean + scale * eps`` of a standard normal draw ``eps`` [D]."""
        return _from_noise(self, eps)

    def sample(self, key: Key[Array, ""]) -> Float[Array, " D"]:
        """One draw, [D]."""
        return _sample(self, key)

    def log_prob(self, x: Float[Array, " D"]) -> Float[Array, ""]:
        """Log density at ``x`` [D], in nats."""
        return _log_prob(self, x)

    def entropy(self) -> Float[Array, ""]:
        """Differential entropy, in nats."""
        return _entropy(self)


Gaussian: TypeAlias = Isotropic | Diagonal


def _from_noise(gaussian: Gaussian, eps: Array) -> Array:
    chex.assert_equal_shape([gaussian.mean, eps])
    return gaussian.mean + gaussian.scale * eps


def _sample(gaussian: Gaussian, key: Array) -> Array:
    return _from_noise(gaussian, jax.random.normal(key, gaussian.mean.shape, gaussian.mean.dtype))


def _log_prob(gaussian: Gaussian, x: Array) -> Array:
    chex.assert_equal_shape([gaussian.mean, x])
    scale = jnp.broadcast_to(gaussian.scale, x.shape)
    eps = (x - gaussian.mean) / scale
    return -0.5 * jnp.sum(eps**2 + _LOG_2PI) - jnp.sum(jnp.log(scale))


def _entropy(gaussian: Gaussian) -> Array:
    scale = jnp.broadcast_to(gaussian.scale, gaussian.mean.shape)
    return jnp.sum(jnp.log(scale) + 0.5 * (1.0 + _LOG_2PI))
