"""Streaming means and second central moments, merged without cancellation.

Source: Chan, Golub, LeVeque 1983, "Algorithms for computing the sample variance", equation 2.1.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Inexact, UInt32


class Moments(NamedTuple):
    """Number of rows, mean and sum of squared deviations of every leaf of a pytree.

    Attributes:
        rows: how many, [], as an integer: a float32 counts to 2^24 and no further.
        mean: pytree.
        squares: pytree of the same shapes, sum of (value - mean)^2.
    """

    rows: UInt32[Array, ""]
    mean: Any
    squares: Any


def from_rows(rows: Any, valid: Bool[Array, " B"]) -> Moments:
    """Moments over the leading axis [B] of every leaf, of the rows that are ``valid``.

    They are at least float32, whatever the rows are.
    """
    count = jnp.sum(valid)
    mean = jax.tree.map(lambda leaf: masked_sum(leaf, valid) / jnp.maximum(count, 1), rows)
    squares = jax.tree.map(lambda leaf, m: masked_sum((leaf - m) ** 2, valid), rows, mean)
    return Moments(count.astype(jnp.uint32), mean, squares)


def empty_like_rows(make_rows: Callable[..., Any], *args: Any) -> Moments:
    """Moments of no rows, shaped for those that ``make_rows(*args)`` would make."""
    shapes = jax.eval_shape(make_rows, *args)
    zero = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape[1:], _wide(leaf.dtype)), shapes)
    return Moments(jnp.zeros((), jnp.uint32), zero, zero)


def merge(left: Moments, right: Moments) -> Moments:
    """The moments of both samples together."""
    rows = left.rows + right.rows
    before, after, count = (_as_number(n, left) for n in (left.rows, right.rows, rows))
    share = jnp.where(count > 0, after / jnp.maximum(count, 1), 0.0)
    gap = jax.tree.map(jnp.subtract, right.mean, left.mean)
    mean = jax.tree.map(lambda m, g: m + share * g, left.mean, gap)
    squares = jax.tree.map(
        lambda a, b, g: a + b + before * share * g**2, left.squares, right.squares, gap
    )
    return Moments(rows, mean, squares)


def variance(moments: Moments) -> Any:
    """Unbiased variance of every leaf; NaN where there is one sample."""
    count = num_rows(moments)
    freedom = jnp.where(count > 1, count - 1, jnp.nan)
    return jax.tree.map(lambda squares: squares / freedom, moments.squares)


def num_rows(moments: Moments) -> Inexact[Array, "..."]:
    """How many rows, to reckon with: in the dtype of the means."""
    return _as_number(moments.rows, moments)


def masked_sum(leaf: Array, valid: Bool[Array, " B"]) -> Array:
    """The sum over the leading axis of the rows that are ``valid``, in float32 at least."""
    mask = valid.reshape(valid.shape + (1,) * (leaf.ndim - 1))
    return jnp.sum(jnp.where(mask, leaf, 0), axis=0, dtype=_wide(leaf.dtype))


def _as_number(rows: Array, moments: Moments) -> Array:
    return rows.astype(jax.tree.leaves(moments.mean)[0].dtype)


def _wide(dtype: Any) -> Any:
    return jnp.promote_types(dtype, jnp.float32)
