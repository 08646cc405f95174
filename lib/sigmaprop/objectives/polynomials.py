"""Polynomials: E f is a polynomial too, in the mean and the covariance."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from sigmaprop.objectives.base import Parts
from sigmaprop.objectives.constants import cast, direction, dot, generator, generic_point


def linear(dim: int) -> Parts:
    """Linear: all of its smoothing is none, E f = f(mean)."""
    b = direction("linear", dim)

    def function(x):
        return dot(b, x) + 2.0

    return Parts(function, lambda mean, covariance: function(mean))


def quadratic(dim: int, *, condition: float = 10.0) -> Parts:
    """A full symmetric matrix of given condition: E f = f(mean) + tr(A Sigma) / 2."""
    if condition < 1.0:
        raise ValueError(f"objective 'quadratic' needs condition >= 1, not {condition}")
    normal = generator("quadratic", "matrix").standard_normal((dim, dim))
    q, _ = np.linalg.qr(normal)
    a = (q * np.geomspace(1.0, condition, dim)) @ q.T
    a = (a + a.T) / 2.0
    b = direction("quadratic", dim)

    def function(x):
        return jnp.dot(x, 0.5 * dot(a, x), precision="highest") + dot(b, x) + 1.0

    def expectation(mean, covariance):
        return function(mean) + 0.5 * covariance.trace_with(cast(a, mean))

    return Parts(
        function,
        expectation,
        formula=f"x'Ax/2 + b.x + 1, A with eigenvalues from 1 to {condition:g}, |b| = 1",
    )


def cubic(dim: int) -> Parts:
    """A cubed linear form and separate cubes; at a positive point the cubes do not cancel.

    Source: Isserlis 1918, On a formula for the product-moment coefficient: E y^3 = m^3 + 3 m s^2.
    """
    a = direction("cubic", dim)
    c = generator("cubic", "weight").uniform(0.2, 0.6, dim)

    def function(x):
        u = dot(a, x)
        return u * u * u + dot(c, x * x * x) + 3.0

    def expectation(mean, covariance):
        u = dot(a, mean)
        variance = covariance.along(cast(a, mean))
        cubes = mean * (mean**2 + 3.0 * covariance.variances())
        return u * (u**2 + 3.0 * variance) + dot(c, cubes) + 3.0

    return Parts(function, expectation, np.abs(generic_point("cubic", dim)))


def quartic(dim: int) -> Parts:
    """The cheapest of all.

    Source: Isserlis 1918: E y^4 = m^4 + 6 m^2 s^2 + 3 s^4.
    """

    def function(x):
        square = x * x
        return jnp.sum(square * square)

    def expectation(mean, covariance):
        return jnp.sum(_fourth_moment(mean, covariance.variances()))

    return Parts(function, expectation)


def _fourth_moment(mean: Array, variance: Array) -> Array:
    """E x^4."""
    return mean**4 + variance * (6.0 * mean**2 + 3.0 * variance)


def rosenbrock(dim: int) -> Parts:
    """A curved valley; the point lies on its wall, near the minimum at (1, ..., 1).

    With a = x_i, b = x_{i+1}, c their covariance and u = E[b - a^2],
    E (b - a^2)^2 = u^2 + s_b^2 + 4 m_a^2 s_a^2 + 2 s_a^4 - 4 m_a c: the mean squared plus the
    variance, which does not cancel as s -> 0; by Isserlis 1918, Cov(b, a^2) = 2 m_a c.

    Source: Rosenbrock 1960, An automatic method for finding the greatest or least value of a
        function (Computer Journal 3).
    """

    def function(x):
        low, high = x[:-1], x[1:]
        return jnp.sum(100.0 * jnp.square(high - low * low) + jnp.square(1.0 - low))

    def expectation(mean, covariance):
        variance = covariance.variances()
        low, high, low_variance = mean[:-1], mean[1:], variance[:-1]
        bend = jnp.square(high - low**2 - low_variance) + variance[1:]
        bend = bend + low_variance * (4.0 * low**2 + 2.0 * low_variance)
        bend = bend - 4.0 * low * covariance.neighbours()
        return jnp.sum(100.0 * bend + jnp.square(1.0 - low) + low_variance)

    return Parts(function, expectation, 1.0 + generic_point("rosenbrock", dim, 0.02, 0.08))


def styblinski_tang(dim: int) -> Parts:
    """Two valleys in each coordinate.

    Source: Styblinski & Tang 1990, Experiments in nonconvex optimization (Neural Networks 3).
    """

    def function(x):
        square = x * x
        return 0.5 * jnp.sum(square * (square - 16.0) + 5.0 * x)

    def expectation(mean, covariance):
        variance = covariance.variances()
        fourth = _fourth_moment(mean, variance)
        return 0.5 * jnp.sum(fourth - 16.0 * (mean**2 + variance) + 5.0 * mean)

    return Parts(function, expectation)
