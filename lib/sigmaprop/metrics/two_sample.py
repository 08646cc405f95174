"""Classifier two-sample test: can a classifier tell generated samples from held-out data?"""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from sigmaprop.metrics.neighbours import nearest
from sigmaprop.metrics.pairs import CHUNK, check_samples


def accuracy(
    x: Float[Array, "N D"],
    y: Float[Array, "M D"],
    key: Key[Array, ""],
    *,
    k: int | None = None,
    chunk: int = CHUNK,
) -> Float[Array, ""]:
    """Held-out accuracy of a nearest-neighbour classifier that tells x from y.

    A random half of each sample, equally many rows of both, trains, the other half tests. Under
    equal distributions the expected accuracy is 1/2, with standard error 1 / (2 sqrt(n)) for n
    tested rows. A classifier trained on fewer than all differences sees only those.

    Args:
        x: generated samples, N >= 4.
        y: held-out data, M >= 4.
        key: draws the halves.
        k: neighbours that vote, an odd number; None: the root of the number of training rows.
        chunk: rows at a time.

    Returns:
        The share of test rows that are classified right; NaN where x is not finite.

    Raises:
        ValueError: fewer than 4 rows on a side, or an even k.

    Source: Lopez-Paz, Oquab 2017, "Revisiting classifier two-sample tests", section 3.
    """
    check_samples("a classifier", x, y, 4)
    size = min(len(x), len(y)) // 2
    if k is None:
        k = max(1, round(math.sqrt(2 * size))) // 2 * 2 + 1
    if k % 2 == 0 or not 1 <= k <= 2 * size:
        raise ValueError(f"k = {k} neighbours vote; give an odd number from 1 to {2 * size}")
    train, test = halves(x, y, key)
    near = nearest(jnp.concatenate(test), jnp.concatenate(train), k, chunk=chunk).indices
    says_x = jnp.sum(near < size, axis=1) > k // 2
    is_x = jnp.arange(2 * size) < size
    right = jnp.mean(says_x == is_x, dtype=x.dtype)
    return jnp.where(jnp.all(jnp.isfinite(x)), right, jnp.nan)


def halves(
    x: Float[Array, "N D"], y: Float[Array, "M D"], key: Key[Array, ""]
) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """Rows of x and y to train on, and as many others to test on; equally many of both."""
    size = min(len(x), len(y)) // 2
    key_x, key_y = jax.random.split(key)
    x, y = jax.random.permutation(key_x, x), jax.random.permutation(key_y, y)
    return (x[:size], y[:size]), (x[size : 2 * size], y[size : 2 * size])


def score(x: Float[Array, "N D"], held_out: Float[Array, "M D"], reference: Any) -> Array:
    """`accuracy` with the key of an `evaluation.Reference`."""
    return accuracy(x, held_out, reference.key)
