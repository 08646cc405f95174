"""Waves and exponentials: E f by the characteristic function."""

import math

import jax
import jax.numpy as jnp

from sigmaprop.gaussians import LowRank
from sigmaprop.objectives.base import Parts
from sigmaprop.objectives.constants import cast, direction, dot, generator, generic_point


def sine(dim: int) -> Parts:
    """One wave that mixes all coordinates and one small wave in each.

    Source: the characteristic function of a Gaussian, E exp(i a.x) = exp(i a.m - a'Sigma a / 2).
    """
    a = direction("sine", dim)

    def function(x):
        return jnp.sin(dot(a, x) + 0.7) + 0.2 * jnp.sum(jnp.cos(x)) + 2.0

    def expectation(mean, covariance):
        wave = jnp.sin(dot(a, mean) + 0.7)
        wave = wave * jnp.exp(-0.5 * covariance.along(cast(a, mean)))
        small = jnp.cos(mean) * jnp.exp(-0.5 * covariance.variances())
        return wave + 0.2 * jnp.sum(small) + 2.0

    return Parts(function, expectation)


def cosine(dim: int) -> Parts:
    """Waves of different frequencies.

    Source: Mohamed et al. 2020, Monte Carlo gradient estimation in machine learning (JMLR 21):
        cos(k x); E cos(k x) = cos(k m) exp(-k^2 s^2 / 2).
    """
    k = generator("cosine", "frequency").uniform(0.5, 1.5, dim)

    def function(x):
        return jnp.sum(jnp.cos(cast(k, x) * x))

    def expectation(mean, covariance):
        frequency = cast(k, mean)
        damping = jnp.exp(-0.5 * frequency**2 * covariance.variances())
        return jnp.sum(jnp.cos(frequency * mean) * damping)

    return Parts(function, expectation, generic_point("cosine", dim, 0.2, 0.9))


def rastrigin(dim: int) -> Parts:
    """A bowl full of waves of length one.

    Source: Rastrigin 1974, Systems of extremal control; E cos as in the cosine objective.
    """

    def function(x):
        return jnp.sum(x * x + 10.0 * (1.0 - jnp.cos(2.0 * math.pi * x)))

    def expectation(mean, covariance):
        variance = covariance.variances()
        wave = jnp.cos(2.0 * math.pi * mean) * jnp.exp(-2.0 * math.pi**2 * variance)
        return jnp.sum(mean**2 + variance + 10.0 * (1.0 - wave))

    return Parts(function, expectation, generic_point("rastrigin", dim, 0.05, 0.45))


def exponential(dim: int) -> Parts:
    """All derivatives are f times powers of a.

    Source: the moment generating function, E exp(a.x) = exp(a.m + a'Sigma a / 2).
    """
    a = direction("exponential", dim)

    def function(x):
        return jnp.exp(dot(a, x))

    def expectation(mean, covariance):
        return jnp.exp(dot(a, mean) + 0.5 * covariance.along(cast(a, mean)))

    return Parts(function, expectation)


def gaussian_bump(dim: int) -> Parts:
    """One hill; the point lies 0.8 from its top, in any dimension.

    Source: Mohamed et al. 2020 (JMLR 21): exp(-k x^2); the Gaussian integral gives
        E exp(-|x|^2 / 2) = |I + Sigma|^(-1/2) exp(-m'(I + Sigma)^-1 m / 2).
    """

    def expectation(mean, covariance):
        # No Cholesky factorisation takes fewer bits than float32.
        wide = jnp.promote_types(mean.dtype, jnp.float32)
        centre, diagonal, factor = (part.astype(wide) for part in (mean, *covariance))
        with jax.default_matmul_precision("highest"):
            widened = LowRank(centre, jnp.sqrt(1.0 + diagonal), factor)
            exponent = widened.log_det() + widened.mahalanobis(centre)
        return jnp.exp(-0.5 * exponent).astype(mean.dtype)

    return Parts(
        lambda x: jnp.exp(-0.5 * jnp.sum(x * x)), expectation, 0.8 * direction("gaussian_bump", dim)
    )
