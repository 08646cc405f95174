"""Kernel inception distance: the unbiased MMD of features under a cubic kernel."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from sigmaprop.metrics.pairs import CHUNK, check_samples, discrepancy


def unbiased(
    x: Float[Array, "N D"], y: Float[Array, "M D"], *, chunk: int = CHUNK
) -> Float[Array, ""]:
    """The unbiased U-statistic of the squared MMD under k(x, y) = (x'y / D + 1)^3.

    The kernel compares moments up to the third, and is not invariant to a shift or to units:
    features are taken as they are. In float32 the error is about 1e-7 of the largest mean of k.

    Args:
        x: features of generated samples, N >= 2.
        y: features of held-out data, M >= 2.
        chunk: rows compared with all others at a time; memory grows as chunk x max(N, M).

    Returns:
        MMD^2; it may be negative.

    Raises:
        ValueError: fewer than 2 rows in x or y.

    Source: Binkowski, Sutherland, Arbel, Gretton 2018, "Demystifying MMD GANs", section 4.
    """
    check_samples("KID", x, y)
    return discrepancy(_cubic, x, y, chunk)


def _cubic(point: Array, y: Array, squares: Array) -> Array:
    del squares
    product = jnp.dot(y, point, precision=jax.lax.Precision.HIGHEST)
    return (product / y.shape[1] + 1.0) ** 3


def score(x: Float[Array, "N D"], held_out: Float[Array, "M D"], reference: Any) -> Array:
    """`unbiased`; nothing of an `evaluation.Reference` enters."""
    del reference
    return unbiased(x, held_out)
