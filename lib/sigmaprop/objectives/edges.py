"""Kinks and jumps at 0 in each coordinate: E f takes the standard deviations, all > 0."""

import math

import jax
import jax.numpy as jnp

from sigmaprop.objectives.base import Parts
from sigmaprop.objectives.constants import dot, edge_point, generator, normal_cdf


def absolute(dim: int) -> Parts:
    """A kink in each coordinate: the mean of a folded normal distribution.

    Source: Leone, Nelson & Nottingham 1961, The folded normal distribution (Technometrics 3):
        E |x| = s sqrt(2 / pi) exp(-m^2 / 2 s^2) + m (1 - 2 Phi(-m / s)).
    """

    def expectation(mean, covariance):
        scale = jnp.sqrt(covariance.variances())
        z = mean / scale
        folded = mean * jax.lax.erf(z * math.sqrt(0.5))
        return jnp.sum(folded + scale * math.sqrt(2.0 / math.pi) * jnp.exp(-0.5 * z * z))

    return Parts(lambda x: jnp.sum(jnp.abs(x)), expectation, edge_point(dim))


def relu(dim: int) -> Parts:
    """A weighted kink in each coordinate: E relu(x) = m Phi(m / s) + s phi(m / s).

    Source: x = m + s eps, integrated over eps > -m / s by parts.
    """
    c = generator("relu", "weight").uniform(0.5, 1.5, dim)

    def expectation(mean, covariance):
        scale = jnp.sqrt(covariance.variances())
        z = mean / scale
        density = jnp.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
        return dot(c, mean * normal_cdf(z) + scale * density)

    return Parts(lambda x: dot(c, jax.nn.relu(x)), expectation, edge_point(dim))


def step(dim: int) -> Parts:
    """A jump in each coordinate, where the gradient is 0: E 1[x > 0] = Phi(m / s)."""

    def expectation(mean, covariance):
        return jnp.sum(normal_cdf(mean / jnp.sqrt(covariance.variances())))

    return Parts(lambda x: jnp.sum((x > 0.0).astype(x.dtype)), expectation, edge_point(dim))
