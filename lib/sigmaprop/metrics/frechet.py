"""Frechet distance: between the Gaussians that have the mean and covariance of two samples."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from sigmaprop.metrics.pairs import check_samples


def distance(x: Float[Array, "N D"], y: Float[Array, "M D"]) -> Float[Array, ""]:
    """The squared Frechet distance |m_x - m_y|^2 + tr(C_x + C_y - 2 (C_x C_y)^(1/2)).

    It sees first and second moments alone. Covariances of N rows have rank N - 1 at most, and the
    estimate is biased by about D^2 / N: take N well above D. The bias prefers a sigma that is too
    small. The trace is that of (C_x^(1/2) C_y C_x^(1/2))^(1/2), by two symmetric eigenproblems.

    In float32 its error is about 1e-6 tr(C_x + C_y), and more where the covariances are singular:
    eigenvalues that should be 0 have roots of about 3e-4 of the largest root.

    Args:
        x: features of generated samples, N >= 2.
        y: features of held-out data, M >= 2.

    Returns:
        The squared distance, in squared units of x.

    Raises:
        ValueError: fewer than 2 rows in x or y.

    Source: Dowson, Landau 1982, "The Frechet distance between multivariate normal distributions",
        equation 4; Heusel et al. 2017, "GANs trained by a two time-scale update rule", equation 6.
    """
    check_samples("the Frechet distance", x, y)
    shift = jnp.mean(y, axis=0)
    mean_x, cov_x = _moments(x - shift)
    mean_y, cov_y = _moments(y - shift)
    between = jnp.sum(_roots(_conjugate(_square_root(cov_x), cov_y)))
    return jnp.sum((mean_x - mean_y) ** 2) + jnp.trace(cov_x) + jnp.trace(cov_y) - 2 * between


def _moments(rows: Array) -> tuple[Array, Array]:
    """Mean and covariance, the latter with N - 1 in the denominator."""
    mean = jnp.mean(rows, axis=0)
    centred = rows - mean
    product = jnp.matmul(centred.T, centred, precision=jax.lax.Precision.HIGHEST)
    return mean, product / (len(rows) - 1)


def _square_root(matrix: Array) -> Array:
    """The symmetric root of a positive semidefinite matrix."""
    values, vectors = jnp.linalg.eigh(matrix)
    roots = jnp.sqrt(jnp.maximum(values, 0))
    return jnp.matmul(vectors * roots, vectors.T, precision=jax.lax.Precision.HIGHEST)


def _conjugate(root: Array, matrix: Array) -> Array:
    inner = jnp.matmul(root, matrix, precision=jax.lax.Precision.HIGHEST)
    return jnp.matmul(inner, root, precision=jax.lax.Precision.HIGHEST)


def _roots(matrix: Array) -> Array:
    """Roots of the eigenvalues of a positive semidefinite matrix, [D]."""
    return jnp.sqrt(jnp.maximum(jnp.linalg.eigvalsh((matrix + matrix.T) / 2), 0))


def score(x: Float[Array, "N D"], held_out: Float[Array, "M D"], reference: Any) -> Array:
    """`distance`; nothing of an `evaluation.Reference` enters."""
    del reference
    return distance(x, held_out)
