"""What ``I + V V'`` is asked for, V [D, R], without a D x D matrix and without cancelling.

All comes from ``[V; I] = Q T``, Q of orthonormal columns, T upper triangular: ``T'T = I + V'V``.
The condition of [V; I] is the root of that of I + V'V, and it has full rank whatever V is. What V
does not explain of a point is a residual, a sum of squares: nothing large is subtracted.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float


class Woodbury(NamedTuple):
    """The factorisation of [V; I].

    Attributes:
        v: [D, R]; R may be 0.
        top: the first D rows of Q.
        bottom: the last R rows of Q.
        root: T.
    """

    v: Float[Array, "D R"]
    top: Float[Array, "D R"]
    bottom: Float[Array, "R R"]
    root: Float[Array, "R R"]

    def log_det(self) -> Float[Array, ""]:
        """``log |I + V V'|``."""
        return 2.0 * jnp.sum(jnp.log(jnp.diagonal(self.root)))

    def solved(self) -> Float[Array, "D R"]:
        """``(I + V V')^-1 V = V (I + V'V)^-1``."""
        rank = self.v.shape[-1]
        if not rank:
            return self.v
        inverse = solve_triangular(self.root, jnp.eye(rank, dtype=self.v.dtype))
        return dot(self.top, inverse.T)

    def leverage(self) -> Float[Array, " D"]:
        """The diagonal of ``V (I + V'V)^-1 V'``, between 0 and 1."""
        return jnp.sum(self.top**2, axis=1)

    def residual(
        self, top: Float[Array, " D"], bottom: Float[Array, " R"]
    ) -> tuple[Float[Array, " D"], Float[Array, " R"]]:
        """What is left of the point (top, bottom) less its projection on the columns of [V; I].

        It is ``(top - V c, bottom - c)`` with the c that makes it shortest.
        """
        if not self.v.shape[-1]:
            return top, bottom
        c = self._along(top, bottom)
        return top - dot(self.v, c), bottom - c

    def about(self, top: Float[Array, " D"]) -> Float[Array, " R"]:
        """About the c of (top, 0), in multiples of 2^-10 of the power of 2 next to its largest.

        ``(top - V c, -c)`` has the same residual, for any c. With this one it is short; and if top
        is a column of V, c is exactly 1 and 0, and the difference exactly 0, however large V is.
        """
        rank = self.v.shape[-1]
        if not rank:
            return jnp.zeros(0, top.dtype)
        c = jax.lax.stop_gradient(self._along(top, jnp.zeros(rank, top.dtype)))
        bits = jnp.finfo(c.dtype).nexp
        unit = jax.lax.reduce_precision(jnp.max(jnp.abs(c)), bits, 0) / 1024
        return jnp.where(
            unit > 0, jnp.round(c / jnp.where(unit > 0, unit, jnp.ones_like(unit))) * unit, c
        )

    def unexplained(self) -> Float[Array, " D"]:
        """The diagonal of ``(I + V V')^-1``: one less the leverage h, to all its digits.

        The leverages add up to R at most, so that at most 2R of them exceed 1/2. For these,
        with the residual of the unit vector but for its own coordinate, it is
        ``|residual|^2 / h``.
        """
        leverage = self.leverage()
        dim, rank = self.v.shape
        if not rank:
            return jnp.ones(dim, self.v.dtype)
        _, index = jax.lax.top_k(jax.lax.stop_gradient(leverage), min(dim, 2 * rank))
        high = leverage[index]
        c = solve_triangular(self.root, self.top[index].T)
        others = dot(self.v, c).at[index, jnp.arange(len(index))].set(0.0)
        large = high > 0.5
        exact = (jnp.sum(others**2, axis=0) + jnp.sum(c**2, axis=0)) / jnp.where(
            large, high, jnp.ones_like(high)
        )
        return (1.0 - leverage).at[index].set(jnp.where(large, exact, 1.0 - high))

    def _along(self, top: Array, bottom: Array) -> Array:
        """The c of `residual`."""
        inside = dot(self.top.T, top) + dot(self.bottom.T, bottom)
        return solve_triangular(self.root, inside)


def factorise(v: Float[Array, "D R"]) -> Woodbury:
    """The factorisation of [V; I], in O(D R^2)."""
    dim, rank = v.shape
    q, root = _orthonormal(jnp.concatenate([v, jnp.eye(rank, dtype=v.dtype)]))
    return Woodbury(v, q[:dim], q[dim:], root)


def dot(left: Array, right: Array) -> Array:
    """A product in all bits of its operands: accelerators use fewer by default."""
    return jnp.matmul(left, right, precision="highest")


@jax.custom_jvp
def _orthonormal(x: Array) -> tuple[Array, Array]:
    """``x = Q T`` with a positive diagonal of T, by Gram-Schmidt, each column projected twice.

    Unlike Householder's it is a few products for a whole batch of x on any accelerator.

    Source: Giraud, Langou, Rozloznik, van den Eshof 2005, "Rounding error analysis of the classical
    Gram-Schmidt orthogonalization process", theorem 2.
    """
    rank = x.shape[-1]

    def column(j: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        q, root = carry
        rest, along = x[:, j], jnp.zeros(rank, x.dtype)
        for _ in range(3):
            inside = dot(q.T, rest)
            rest, along = rest - dot(q, inside), along + inside
        largest = jnp.max(jnp.abs(rest))  # Its square may be beyond the range.
        length = largest * jnp.sqrt(jnp.sum((rest / largest) ** 2))
        return q.at[:, j].set(rest / length), root.at[:, j].set(along.at[j].set(length))

    start = jnp.zeros_like(x), jnp.zeros((rank, rank), x.dtype)
    return jax.lax.fori_loop(0, rank, column, start) if rank else start


@_orthonormal.defjvp
def _orthonormal_jvp(primals, tangents):
    """Source: Walter, Lehmann, Lamour 2012, "On evaluating higher-order derivatives of the QR
    decomposition of tall matrices with full column rank", equations 13 to 15.
    """
    q, root = _orthonormal(*primals)
    if not root.shape[-1]:
        return (q, root), (jnp.zeros_like(q), jnp.zeros_like(root))
    moved = solve_triangular(root, tangents[0].T, trans="T").T
    inside = dot(q.T, moved)
    lower = jnp.tril(inside, -1)
    turn = lower - lower.T
    return (q, root), (moved + dot(q, turn - inside), dot(inside - turn, root))
