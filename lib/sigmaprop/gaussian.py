"""Gaussians as small pytrees of constrained values.

A sample is ``x = mean + spread(eps)`` with ``eps`` standard normal and ``spread`` linear. ``scale``
is always a standard deviation (for `Full` the Cholesky factor of the covariance), never a variance.
A gradient with respect to a Gaussian is a pytree of the same type, so ``gradient.scale`` is the
derivative with respect to ``scale``.
"""

import dataclasses
import math
from typing import TypeVar

import chex
import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float, Key

from sigmaprop.covariance import Covariance

_LOG_2PI = math.log(2.0 * math.pi)


class _Gaussian:
    """What all Gaussians share; a family adds its linear map and the inverse of its covariance."""

    mean: Float[Array, " D"]
    scale: Float[Array, "..."]

    @property
    def noise_dim(self) -> int:
        """Length of the standard normal draw behind one sample."""
        return self.mean.shape[-1]

    def spread(self, eps: Float[Array, " K"]) -> Float[Array, " D"]:
        """The linear map from standard normal noise to ``x - mean``."""
        raise NotImplementedError

    def mahalanobis(self, y: Float[Array, " D"]) -> Float[Array, ""]:
        """``y' Sigma^-1 y``."""
        raise NotImplementedError

    def log_det(self) -> Float[Array, ""]:
        """``log |Sigma|``."""
        raise NotImplementedError

    def precision_diagonal(self) -> Float[Array, " D"]:
        """The diagonal of ``Sigma^-1``."""
        raise NotImplementedError

    def from_noise(self, eps: Float[Array, " K"]) -> Float[Array, " D"]:
        """The sample ``mean + spread(eps)`` made of the standard normal draw ``eps``."""
        chex.assert_shape(eps, (self.noise_dim,))
        return self.mean + self.spread(eps)

    def sample(self, key: Key[Array, ""]) -> Float[Array, " D"]:
        """One draw, [D]."""
        return self.from_noise(jax.random.normal(key, (self.noise_dim,), self.mean.dtype))

    def log_prob(self, x: Float[Array, " D"]) -> Float[Array, ""]:
        """Log density at ``x`` [D], in nats."""
        chex.assert_equal_shape([self.mean, x])
        dim = self.mean.shape[-1]
        return -0.5 * (self.mahalanobis(x - self.mean) + self.log_det() + dim * _LOG_2PI)

    def entropy(self) -> Float[Array, ""]:
        """Differential entropy, in nats."""
        return 0.5 * (self.log_det() + self.mean.shape[-1] * (1.0 + _LOG_2PI))


class _IndependentCoordinates(_Gaussian):
    """Gaussians with independent coordinates; ``scale`` broadcasts against ``mean``."""

    def spread(self, eps: Float[Array, " D"]) -> Float[Array, " D"]:
        """The linear map from standard normal noise to ``x - mean``."""
        return self.scale * eps

    def mahalanobis(self, y: Float[Array, " D"]) -> Float[Array, ""]:
        """``y' Sigma^-1 y``."""
        return jnp.sum((y / self.scale) ** 2)

    def log_det(self) -> Float[Array, ""]:
        """``log |Sigma|``."""
        return 2.0 * jnp.sum(jnp.log(self._scales()))

    def precision_diagonal(self) -> Float[Array, " D"]:
        """The diagonal of ``Sigma^-1``."""
        return 1.0 / self._scales() ** 2

    def covariance(self) -> Covariance:
        """The covariance, as a diagonal."""
        return Covariance(self._scales() ** 2, jnp.zeros((self.mean.shape[-1], 0), self.mean.dtype))

    def _scales(self) -> Array:
        return jnp.broadcast_to(self.scale, self.mean.shape)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Isotropic(_IndependentCoordinates):
    """N(mean, scale^2 I).

    Attributes:
        mean: [D], in units of x.
        scale: standard deviation of every coordinate, [], in units of x.
    """

    mean: Float[Array, "*batch D"]
    scale: Float[Array, "*batch"]

    def score(self, eps: Float[Array, " D"]) -> "Isotropic":
        """Gradient of ``log_prob`` at ``from_noise(eps)``: ``(eps, |eps|^2 - D) / scale``.

        It is written in the standard normal draw because recovering ``eps`` from x loses all
        digits as scale goes to 0.
        """
        dim = eps.shape[-1]
        return Isotropic(eps / self.scale, (jnp.sum(eps**2) - dim) / self.scale)

    def from_whitened(self, slope: Array, diagonal: Array, eps: Array) -> "Isotropic":
        """The gradient whose form in whitened space is known; see `Full.from_whitened`."""
        del eps
        return Isotropic(slope / self.scale, jnp.sum(diagonal) / self.scale)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Diagonal(_IndependentCoordinates):
    """N(mean, diag(scale^2)).

    Attributes:
        mean: [D], in units of x.
        scale: standard deviation of each coordinate, [D], in units of x.
    """

    mean: Float[Array, "*batch D"]
    scale: Float[Array, "*batch D"]

    def score(self, eps: Float[Array, " D"]) -> "Diagonal":
        """Gradient of ``log_prob`` at ``from_noise(eps)``: ``(eps, eps^2 - 1) / scale``."""
        return Diagonal(eps / self.scale, (eps**2 - 1.0) / self.scale)

    def from_whitened(self, slope: Array, diagonal: Array, eps: Array) -> "Diagonal":
        """The gradient whose form in whitened space is known; see `Full.from_whitened`."""
        del eps
        return Diagonal(slope / self.scale, diagonal / self.scale)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Full(_Gaussian):
    """N(mean, scale scale').

    Attributes:
        mean: [D], in units of x.
        scale: Cholesky factor of the covariance, [D, D], lower triangular with a positive diagonal,
            in units of x. What stands above the diagonal is not read, and its gradient is 0.
    """

    mean: Float[Array, "*batch D"]
    scale: Float[Array, "*batch D D"]

    def spread(self, eps: Float[Array, " D"]) -> Float[Array, " D"]:
        """The linear map from standard normal noise to ``x - mean``."""
        return _dot(jnp.tril(self.scale), eps)

    def mahalanobis(self, y: Float[Array, " D"]) -> Float[Array, ""]:
        """``y' Sigma^-1 y``."""
        return jnp.sum(solve_triangular(self.scale, y, lower=True) ** 2)

    def log_det(self) -> Float[Array, ""]:
        """``log |Sigma|``."""
        return 2.0 * jnp.sum(jnp.log(jnp.diagonal(self.scale)))

    def precision_diagonal(self) -> Float[Array, " D"]:
        """The diagonal of ``Sigma^-1``."""
        identity = jnp.eye(self.mean.shape[-1], dtype=self.mean.dtype)
        return jnp.sum(solve_triangular(self.scale, identity, lower=True) ** 2, axis=0)

    def covariance(self) -> Covariance:
        """The covariance, as a factor."""
        return Covariance(jnp.zeros_like(self.mean), jnp.tril(self.scale))

    def score(self, eps: Float[Array, " D"]) -> "Full":
        """Gradient of ``log_prob``: ``(L^-T eps, tril(L^-T (eps eps' - I)))``, L the scale."""
        return self.from_whitened(eps, eps**2 - 1.0, eps)

    def from_whitened(self, slope: Array, diagonal: Array, eps: Array) -> "Full":
        """The gradient whose form in whitened space is known.

        Args:
            slope: [K], dg/deps of g(eps) = f(mean + spread(eps)), or an estimate.
            diagonal: [K], that of the matrix G whose other entries are slope_k eps_j.
            eps: [K], the draw.

        Returns:
            ``(L^-T slope, tril(L^-T G))``.
        """
        mean = solve_triangular(self.scale, slope, trans="T", lower=True)
        # G = slope eps' + diag(gap), and of L^-T diag(gap) only the diagonal is lower triangular.
        gap = (diagonal - slope * eps) / jnp.diagonal(self.scale)
        return Full(mean, jnp.tril(jnp.outer(mean, eps)) + jnp.diag(gap))


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class LowRank(_Gaussian):
    """N(mean, diag(scale^2) + factor factor'); no D x D matrix is ever formed.

    A draw of noise is ``[eps | zeta]`` of length D + R: ``x = mean + scale eps + factor zeta``.

    Attributes:
        mean: [D], in units of x.
        scale: standard deviation of each coordinate's own noise, [D], in units of x.
        factor: [D, R], in units of x.

    Source: Woodbury 1950 for the inverse; Harville 1997, "Matrix algebra", section 18.1 for the
    determinant.
    """

    mean: Float[Array, "*batch D"]
    scale: Float[Array, "*batch D"]
    factor: Float[Array, "*batch D R"]

    @property
    def noise_dim(self) -> int:
        """D + R."""
        return self.mean.shape[-1] + self.factor.shape[-1]

    def spread(self, eps: Float[Array, " K"]) -> Float[Array, " D"]:
        """The linear map from standard normal noise to ``x - mean``."""
        own, shared = self._split(eps)
        return self.scale * own + _dot(self.factor, shared)

    def mahalanobis(self, y: Float[Array, " D"]) -> Float[Array, ""]:
        """``y' Sigma^-1 y``."""
        u = y / self.scale
        v, root = self._whitened()
        inside = solve_triangular(root, _dot(v.T, u), lower=True)
        return jnp.sum(u**2) - jnp.sum(inside**2)

    def log_det(self) -> Float[Array, ""]:
        """``log |Sigma|``."""
        root = self._whitened()[1]
        return 2.0 * (jnp.sum(jnp.log(self.scale)) + jnp.sum(jnp.log(jnp.diagonal(root))))

    def precision_diagonal(self) -> Float[Array, " D"]:
        """The diagonal of ``Sigma^-1``."""
        return self._unexplained() / self.scale**2

    def covariance(self) -> Covariance:
        """The covariance, as a diagonal and a factor."""
        return Covariance(self.scale**2, self.factor)

    def score(self, eps: Float[Array, " K"]) -> "LowRank":
        """Gradient of ``log_prob`` at ``from_noise(eps)``.

        With ``a = Sigma^-1 y`` and ``M = a a' - Sigma^-1``: ``(a, diag(M) scale, M factor)``. It is
        the marginal score: that of the augmented noise averaged over what x does not show.
        """
        return self._score_of(self._solve_spread(eps))

    def score_at(self, y: Float[Array, " D"]) -> "LowRank":
        """The same at ``x = mean + y``."""
        v, root = self._whitened()
        u = y / self.scale
        return self._score_of(u - _dot(v, _solve(root, _dot(v.T, u))))

    def _score_of(self, u: Array) -> "LowRank":
        """The score from ``u = scale Sigma^-1 y``."""
        v, root = self._whitened()
        scale = (u**2 - self._unexplained()) / self.scale
        factor = (jnp.outer(u, _dot(u, v)) - _solve(root, v.T).T) / self.scale[:, None]
        return LowRank(u / self.scale, scale, factor)

    def from_whitened(self, slope: Array, diagonal: Array, eps: Array) -> "LowRank":
        """The gradient whose form in the augmented whitened space is known; see `Full`.

        With A the map from noise to x, ``Sigma^-1 A slope`` to the mean and the entries of
        ``Sigma^-1 A G`` that belong to scale and factor.
        """
        own, shared = self._split(eps)
        u = self._solve_spread(slope)
        gap_own, gap_shared = self._split(diagonal - slope * eps)
        v, root = self._whitened()
        scale = (u * own + self._unexplained() * gap_own) / self.scale
        factor = (jnp.outer(u, shared) + _solve(root, v.T).T * gap_shared) / self.scale[:, None]
        return LowRank(u / self.scale, scale, factor)

    def _split(self, eps: Array) -> tuple[Array, Array]:
        dim = self.mean.shape[-1]
        return eps[:dim], eps[dim:]

    def _whitened(self) -> tuple[Array, Array]:
        """V = factor / scale [D, R] and the Cholesky factor of I + V'V."""
        v = self.factor / self.scale[:, None]
        identity = jnp.eye(v.shape[-1], dtype=v.dtype)
        return v, jnp.linalg.cholesky(identity + _dot(v.T, v))

    def _solve_spread(self, eps: Array) -> Array:
        """``scale Sigma^-1 spread(eps)``, written so that large factors do not cancel."""
        own, shared = self._split(eps)
        v, root = self._whitened()
        return own + _dot(v, _solve(root, shared - _dot(v.T, own)))

    def _unexplained(self) -> Array:
        """``scale^2 diag(Sigma^-1)``: one less the leverage of each coordinate."""
        v, root = self._whitened()
        return 1.0 - jnp.sum(solve_triangular(root, v.T, lower=True) ** 2, axis=0)


def _dot(left: Array, right: Array) -> Array:
    """A product in all bits of its operands: accelerators use fewer by default."""
    return jnp.matmul(left, right, precision="highest")


def _solve(root: Array, right: Array) -> Array:
    """``(root root')^-1 right``."""
    return jax.scipy.linalg.cho_solve((root, True), right)


Gaussian = Isotropic | Diagonal | Full | LowRank
GaussianT = TypeVar("GaussianT", Isotropic, Diagonal, Full, LowRank)


def kl_divergence(p: Gaussian, q: Gaussian) -> Float[Array, ""]:
    """``KL(p || q)`` in nats, in closed form, of Gaussians of any two families.

    Raises:
        ValueError: their dimensions differ.

    Source: Kullback 1959, "Information theory and statistics", section 9.1.
    """
    if p.mean.shape != q.mean.shape:
        raise ValueError(
            f"p has mean of shape {p.mean.shape}, q of {q.mean.shape}; they must agree"
        )
    covariance = p.covariance()
    trace = jnp.sum(covariance.diagonal * q.precision_diagonal())
    trace += jnp.sum(jax.vmap(q.mahalanobis, in_axes=1)(covariance.factor))
    gap = q.mahalanobis(p.mean - q.mean) + q.log_det() - p.log_det()
    return 0.5 * (trace - p.mean.shape[-1] + gap)
