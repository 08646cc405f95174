"""The natural gradient: a gradient preconditioned by the Gaussian's Fisher information."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from sigmaprop.gaussian import Diagonal, Full, GaussianT, Isotropic, LowRank
from sigmaprop.pytrees import flatten

_MOST_STEPS = 200


def natural_gradient(gradient: GaussianT, gaussian: GaussianT) -> GaussianT:
    r"""``F^-1 gradient``, F the Fisher information of the Gaussian's parameters.

    .. math:: \Sigma \nabla_m, \quad \tfrac{s^2}{2D} \nabla_s \text{ (isotropic)}, \quad
              \tfrac{s_i^2}{2} \nabla_{s_i} \text{ (diagonal)}, \quad
              L\, \Phi(L^T \nabla_L) \text{ (full)}

    with Phi the lower triangle, its diagonal halved. Fed the score function it is the direction of
    SNES (diagonal) and of xNES (full, up to a rotation of the factor, which N(m, LL') does not
    show). The Fisher information of a low-rank Gaussian is singular (factor R and factor are the
    same distribution): conjugate gradients find a solution without forming it, one that does not
    rotate the factor in vain and leaves a factor of 0 alone.

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
    """In steps ``(dlog scale, N, Z)`` with ``dfactor = scale (N + V Z)``, V'N = 0 and Z symmetric.

    An antisymmetric Z rotates the factor, and a column of zeros moves the covariance to the second
    order only: both get no step. What is left has an information near the identity, however large
    the factor is against the scale.
    """
    scale, factor = gaussian.scale, gaussian.factor
    v = factor / scale[:, None]
    left, singular, right = jnp.linalg.svd(v, full_matrices=False)
    eps = float(jnp.finfo(v.dtype).eps)
    seen = singular > max(v.shape) * eps * jnp.max(singular)
    columns, rows = jnp.where(seen, left, 0.0), jnp.where(seen[:, None], right, 0.0)

    def across(x: Array) -> Array:
        return x - columns @ (columns.T @ x)

    def fisher(step: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        log_scale, n, z = step
        diagonal, along, t_v = _fisher(v, log_scale, across(n), z)
        return diagonal, across(t_v), along

    in_units = scale[:, None] * gradient.factor @ rows.T @ rows
    target = (scale * gradient.scale, across(in_units), _symmetric(v.T @ in_units))
    found, _ = jax.scipy.sparse.linalg.cg(fisher, target, tol=eps**0.75, maxiter=_MOST_STEPS)
    mean = scale**2 * gradient.mean + factor @ (factor.T @ gradient.mean)
    step = across(found[1]) + v @ found[2]
    return LowRank(mean, scale * found[0], scale[:, None] * step)


def _fisher(v: Array, log_scale: Array, n: Array, z: Array) -> tuple[Array, Array, Array]:
    """The Fisher information times a step, in O(D R^2): ``diag(T), sym(V'T V), T V`` (its N part).

    With P = (I + VV')^-1 and T = P dS P, dS = 2 diag(dlog scale) + 2 V Z V' + N V' + V N'. P V is
    solved for: as the difference V - (I - P) V it would lose the digits that a large V has.
    """
    identity = jnp.eye(v.shape[-1], dtype=v.dtype)
    root = jnp.linalg.cholesky(identity + v.T @ v)
    q = jax.scipy.linalg.solve_triangular(root, v.T, lower=True).T  # P = I - QQ'
    pv = jax.scipy.linalg.cho_solve((root, True), v.T).T
    shared = _symmetric(v.T @ pv)
    # diag(P diag(a) P) with P_ij^2 = d_ij (1 - 2 (QQ')_ii) + (QQ')_ij^2.
    leverage = jnp.sum(q**2, axis=1)
    squares = jnp.sum((q @ (q.T @ (log_scale[:, None] * q))) * q, axis=1)
    diagonal = 2 * (log_scale * (1 - 2 * leverage) + squares)
    diagonal += 2 * jnp.sum((pv @ z + n) * pv, axis=1)
    own = 2 * log_scale[:, None] * pv
    return diagonal, _symmetric(pv.T @ own) + 2 * shared @ z @ shared, own + n @ shared


def _symmetric(x: Array) -> Array:
    return 0.5 * (x + x.T)
