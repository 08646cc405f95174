"""The natural gradient: a gradient preconditioned by the Gaussian's Fisher information."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from sigmaprop.gaussian import Diagonal, Full, GaussianT, Isotropic, LowRank
from sigmaprop.pytrees import flatten

_TOLERANCE = 1e-6
_MOST_STEPS = 200


def natural_gradient(gradient: GaussianT, gaussian: GaussianT) -> GaussianT:
    r"""``F^-1 gradient``, F the Fisher information of the Gaussian's parameters.

    .. math:: \Sigma \nabla_m, \quad \tfrac{s^2}{2D} \nabla_s \text{ (isotropic)}, \quad
              \tfrac{s_i^2}{2} \nabla_{s_i} \text{ (diagonal)}, \quad
              L\, \Phi(L^T \nabla_L) \text{ (full)}

    with Phi the lower triangle, its diagonal halved. Fed the score function it is the direction of
    SNES (diagonal) and of xNES (full, up to a rotation of the factor, which N(m, LL') does not
    show). The Fisher information of a low-rank Gaussian is singular (factor R and factor are the
    same distribution): conjugate gradients find a solution without forming it, the one that is
    shortest in units of scale.

    Args:
        gradient: dE f/d(mean, scale, ...), Gaussian-shaped.
        gaussian: where it was taken.

    Returns:
        The natural gradient, of the same shape: a direction in (mean, scale, ...).

    Raises:
        ValueError: they are of different families.

    Source: Amari 1998, "Natural gradient works efficiently in learning"; Wierstra et al. 2014,
    "Natural evolution strategies", equations 8 and 11 and table 1.
    """
    if type(gradient) is not type(gaussian):
        raise ValueError(
            f"the gradient is a {type(gradient).__name__}, the Gaussian a "
            f"{type(gaussian).__name__}; they must be of one family"
        )
    flat, _, restore = flatten(gaussian)
    restored: Any = restore(_natural(flatten(gradient)[0], flat))
    return restored


def _natural(gradient: Any, gaussian: Any) -> Any:
    match gaussian:
        case Isotropic(mean, scale):
            dim = mean.shape[-1]
            return Isotropic(scale**2 * gradient.mean, scale**2 * gradient.scale / (2 * dim))
        case Diagonal(mean, scale):
            return Diagonal(scale**2 * gradient.mean, scale**2 * gradient.scale / 2)
        case Full(mean, scale):
            lower = jnp.tril(scale)
            whitened = jnp.tril(lower.T @ jnp.tril(gradient.scale))
            whitened = whitened - 0.5 * jnp.diag(jnp.diagonal(whitened))
            return Full(lower @ (lower.T @ gradient.mean), jnp.tril(lower @ whitened))
        case LowRank():
            return _natural_low_rank(gradient, gaussian)
    raise AssertionError("unreachable")


def _natural_low_rank(gradient: LowRank, gaussian: LowRank) -> LowRank:
    scale, factor = gaussian.scale, gaussian.factor
    mean = scale**2 * gradient.mean + factor @ (factor.T @ gradient.mean)
    # In units of the own noise (scale dlog scale, scale V) the information is near the identity.
    right = (scale * gradient.scale, scale[:, None] * gradient.factor)
    v = factor / scale[:, None]
    found, _ = jax.scipy.sparse.linalg.cg(
        lambda step: _fisher(v, *step), right, tol=_TOLERANCE, maxiter=_MOST_STEPS
    )
    return LowRank(mean, scale * found[0], scale[:, None] * found[1])


def _fisher(v: Array, log_scale: Array, whitened: Array) -> tuple[Array, Array]:
    """The Fisher information times a step (dlog scale, scale^-1 dfactor), in O(D R^2).

    With P = (I + VV')^-1 and T = P dS P, dS = 2 diag(dlog scale) + dV V' + V dV': (diag(T), T V).
    """
    identity = jnp.eye(v.shape[-1], dtype=v.dtype)
    root = jnp.linalg.cholesky(identity + v.T @ v)
    q = jax.scipy.linalg.solve_triangular(root, v.T, lower=True).T  # P = I - QQ'

    def precision(columns: Array) -> Array:
        return columns - q @ (q.T @ columns)

    def change(columns: Array) -> Array:
        own = 2 * log_scale[:, None] * columns
        return own + whitened @ (v.T @ columns) + v @ (whitened.T @ columns)

    pv, pw = precision(v), precision(whitened)
    # diag(P diag(a) P) with P_ij^2 = d_ij (1 - 2 (QQ')_ii) + (QQ')_ij^2.
    leverage = jnp.sum(q**2, axis=1)
    squares = jnp.sum((q @ (q.T @ (log_scale[:, None] * q))) * q, axis=1)
    diagonal = 2 * (log_scale * (1 - 2 * leverage) + squares) + 2 * jnp.sum(pw * pv, axis=1)
    return diagonal, precision(change(pv))
