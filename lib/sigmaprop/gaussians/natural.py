"""The natural gradient: a gradient preconditioned by the Gaussian's Fisher information."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from sigmaprop.gaussians.families import Diagonal, Full, GaussianT, Isotropic, LowRank
from sigmaprop.gaussians.flattening import flatten
from sigmaprop.gaussians.woodbury import Woodbury, dot, factorise

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
            natural = jax.tree.map(lambda leaf: scale * (scale * leaf), gradient)
            return Isotropic(natural.mean, natural.scale / (2 * dim))
        case Diagonal(mean, scale):
            # Not scale^2, which may be no number where the product is.
            natural = jax.tree.map(lambda leaf: scale * (scale * leaf), gradient)
            return Diagonal(natural.mean, natural.scale / 2)
        case Full(mean, scale):
            lower = jnp.tril(scale)
            whitened = jnp.tril(dot(lower.T, jnp.tril(gradient.scale)))
            whitened = whitened - 0.5 * jnp.diag(jnp.diagonal(whitened))
            return Full(dot(lower, dot(lower.T, gradient.mean)), jnp.tril(dot(lower, whitened)))
        case LowRank(mean, scale, factor) if not factor.shape[-1]:
            diagonal = _natural(Diagonal(gradient.mean, gradient.scale), Diagonal(mean, scale))
            return LowRank(diagonal.mean, diagonal.scale, factor)
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
    known = factorise(v)
    left, singular, right = jnp.linalg.svd(v, full_matrices=False)
    eps = float(jnp.finfo(v.dtype).eps)
    spanned = singular > max(v.shape) * eps * jnp.max(singular)
    columns, rows = jnp.where(spanned, left, 0.0), jnp.where(spanned[:, None], right, 0.0)

    def across(x: Array) -> Array:
        return x - dot(columns, dot(columns.T, x))

    def fisher(step: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        log_scale, n, z = step
        diagonal, along, t_v = _fisher(known, log_scale, across(n), z)
        return diagonal, across(t_v), along

    in_units = dot(dot(scale[:, None] * gradient.factor, rows.T), rows)
    target = (scale * gradient.scale, across(in_units), _symmetric(dot(v.T, in_units)))
    solved, _ = jax.scipy.sparse.linalg.cg(fisher, target, tol=eps**0.75, maxiter=_MOST_STEPS)
    mean = scale * (scale * gradient.mean) + dot(factor, dot(factor.T, gradient.mean))
    step = across(solved[1]) + dot(v, solved[2])
    return LowRank(mean, scale * solved[0], scale[:, None] * step)


def _fisher(known: Woodbury, log_scale: Array, n: Array, z: Array) -> tuple[Array, Array, Array]:
    """The Fisher information times a step, in O(D R^2): ``diag(T), sym(V'T V), T V`` (its N part).

    With P = (I + VV')^-1 and T = P dS P, dS = 2 diag(dlog scale) + 2 V Z V' + N V' + V N'. P V is
    solved for: as the difference V - (I - P) V it would lose the digits that a large V has.
    """
    q, pv = known.top, known.solved()  # P = I - QQ'
    shared = _symmetric(dot(known.v.T, pv))
    # diag(P diag(a) P) with P_ij^2 = d_ij (1 - 2 (QQ')_ii) + (QQ')_ij^2.
    squares = jnp.sum(dot(q, dot(q.T, log_scale[:, None] * q)) * q, axis=1)
    diagonal = 2 * (log_scale * (1 - 2 * known.leverage()) + squares)
    diagonal += 2 * jnp.sum((dot(pv, z) + n) * pv, axis=1)
    own = 2 * log_scale[:, None] * pv
    along = _symmetric(dot(pv.T, own)) + 2 * dot(dot(shared, z), shared)
    return diagonal, along, own + dot(n, shared)


def _symmetric(x: Array) -> Array:
    return 0.5 * (x + x.T)
