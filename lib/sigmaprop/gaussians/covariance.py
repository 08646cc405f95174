"""A covariance as a diagonal plus a factor, and what closed forms ask of it."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float


class Covariance(NamedTuple):
    """``Sigma = diag(diagonal) + factor factor'``; the matrix itself is never formed.

    In float32 the square of a standard deviation below 1e-19 is 0. To the closed form of a smooth
    function that is the same; one of a kink or a jump has no gradient there.

    Attributes:
        diagonal: [D], in squared units of x.
        factor: [D, K], in units of x; K may be 0.
    """

    diagonal: Float[Array, " D"]
    factor: Float[Array, "D K"]

    def variances(self) -> Float[Array, " D"]:
        """The variance of each coordinate."""
        return self.diagonal + jnp.sum(self.factor**2, axis=-1)

    def along(self, a: Float[Array, "*N D"]) -> Float[Array, "*N"]:
        """``a' Sigma a``, the variance of a.x, for one a or for rows of a."""
        shared = jnp.matmul(a, self.factor, precision="highest")
        return jnp.matmul(a**2, self.diagonal, precision="highest") + jnp.sum(shared**2, axis=-1)

    def trace_with(self, matrix: Float[Array, "D D"]) -> Float[Array, ""]:
        """``tr(matrix Sigma)`` of a symmetric matrix."""
        shared = jnp.matmul(matrix, self.factor, precision="highest")
        return jnp.sum(jnp.diagonal(matrix) * self.diagonal) + jnp.sum(self.factor * shared)

    def neighbours(self) -> Float[Array, " pairs"]:
        """The covariances of x_i and x_{i+1}."""
        return jnp.sum(self.factor[:-1] * self.factor[1:], axis=-1)
