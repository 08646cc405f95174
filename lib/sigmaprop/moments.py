"""Streaming means and second central moments, merged without cancellation.

Source: Chan, Golub, LeVeque 1983, "Algorithms for computing the sample variance", equation 2.1.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


class Moments(NamedTuple):
    """Number of rows, mean and sum of squared deviations of every leaf of a pytree.

    Attributes:
        rows: how many, [].
        mean: pytree.
        squares: pytree of the same shapes, sum of (value - mean)^2.
    """

    rows: Float[Array, ""]
    mean: Any
    squares: Any


def from_rows(rows: Any, valid: Bool[Array, " B"]) -> Moments:
    """Moments over the leading axis [B] of every leaf, of the rows that are ``valid``."""
    count = jnp.sum(valid)
    mean = jax.tree.map(lambda leaf: masked_sum(leaf, valid) / jnp.maximum(count, 1), rows)
    squares = jax.tree.map(lambda leaf, m: masked_sum((leaf - m) ** 2, valid), rows, mean)
    return Moments(count.astype(jax.tree.leaves(mean)[0].dtype), mean, squares)


def empty_like_rows(make_rows: Callable[..., Any], *args: Any) -> Moments:
    """Moments of no rows, shaped for those that ``make_rows(*args)`` would make."""
    shapes = jax.eval_shape(make_rows, *args)
    zero = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape[1:], leaf.dtype), shapes)
    return Moments(jnp.zeros((), jax.tree.leaves(zero)[0].dtype), zero, zero)


def merge(left: Moments, right: Moments) -> Moments:
    """The moments of both samples together."""
    count = left.rows + right.rows
    share = jnp.where(count > 0, right.rows / jnp.maximum(count, 1), 0.0)
    gap = jax.tree.map(jnp.subtract, right.mean, left.mean)
    mean = jax.tree.map(lambda m, g: m + share * g, left.mean, gap)
    squares = jax.tree.map(
        lambda a, b, g: a + b + left.rows * share * g**2, left.squares, right.squares, gap
    )
    return Moments(count, mean, squares)


def variance(moments: Moments) -> Any:
    """Unbiased variance of every leaf; NaN where there is one sample."""
    freedom = jnp.where(moments.rows > 1, moments.rows - 1, jnp.nan)
    return jax.tree.map(lambda squares: squares / freedom, moments.squares)


def masked_sum(leaf: Array, valid: Bool[Array, " B"]) -> Array:
    """The sum over the leading axis of the rows that are ``valid``."""
    mask = valid.reshape(valid.shape + (1,) * (leaf.ndim - 1))
    return jnp.sum(jnp.where(mask, leaf, 0), axis=0)
