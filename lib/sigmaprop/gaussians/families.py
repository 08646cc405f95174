"""Gaussians as small pytrees of constrained values.

A sample is ``x = mean + spread(eps)`` with ``eps`` standard normal and ``spread`` linear. ``scale``
is always a standard deviation (for `Full` the Cholesky factor of the covariance), never a variance.
A gradient with respect to a Gaussian is a pytree of the same type, so ``gradient.scale`` is the
derivative with respect to ``scale``.

One Gaussian is over one point. The point, D numbers in all, has the structure of the mean: a
vector, an array of any shape, a number, or a pytree of them; see `gaussians.flattening`. No
axis of a mean is a batch: for many Gaussians use ``jax.vmap``. Methods are written for vectors,
under a name with an underscore, and those without flatten what they are given.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, ArrayLike, Float, Key, PyTree

from sigmaprop.gaussians.covariance import Covariance
from sigmaprop.gaussians.flattening import flatten, is_vector
from sigmaprop.gaussians.woodbury import Woodbury, dot, factorise
from sigmaprop.noise import check_key

_LOG_2PI = math.log(2.0 * math.pi)

Point = PyTree[Float[ArrayLike, "..."]]
"""A point x: of the structure and the shapes of the mean."""


class _Gaussian:
    """What all Gaussians share; a family adds its linear map and the inverse of its covariance.

    Over a vector a family has, ``known`` being what it computes once for all that ask for it:
    ``_spread(eps)``, ``_score(eps)``, ``_from_whitened(slope, diagonal, eps)``,
    ``_mahalanobis(known, y)`` and ``_precision_diagonal(known)`` as the public methods have them;
    ``_log_scales(known)``, [D] logarithms and one number that add up to half of ``log |Sigma|``;
    ``_columns()``, standard deviations [D] and a factor [D, K] that make the covariance together;
    ``_explained(known, own)``, ``tr(Sigma^-1 diag(own)^2)`` by squares of ratios, because those of
    scales may be no numbers.
    """

    mean: Point
    scale: Any
    axes: ClassVar[tuple[str, ...]]

    @property
    def noise_dim(self) -> int:
        """Length K of the standard normal draw behind one sample."""
        return _size(self.mean)

    def spread(self, eps: Float[ArrayLike, " K"]) -> Point:
        """The linear map from standard normal noise to ``x - mean``."""
        flat, unravel, _ = self._flat()
        return unravel(flat._spread(flat._noise(eps)))

    def from_noise(self, eps: Float[ArrayLike, " K"]) -> Point:
        """The sample ``mean + spread(eps)`` made of the standard normal draw ``eps``."""
        flat, unravel, _ = self._flat()
        return unravel(flat.mean + flat._spread(flat._noise(eps)))

    def sample(self, key: Key[Array, ""]) -> Point:
        """One draw, from a typed key."""
        check_key(key)
        flat, unravel, _ = self._flat()
        eps = jax.random.normal(key, (flat.noise_dim,), flat.mean.dtype)
        return unravel(flat.mean + flat._spread(eps))

    def mahalanobis(self, y: Point) -> Float[Array, ""]:
        """``y' Sigma^-1 y``."""
        flat = self._flat()[0]
        return flat._mahalanobis(flat._known(), self._raveled("y", y))

    def log_det(self) -> Float[Array, ""]:
        """``log |Sigma|``."""
        flat = self._flat()[0]
        return flat._log_det(flat._known())

    def precision_diagonal(self) -> Point:
        """The diagonal of ``Sigma^-1``."""
        flat, unravel, _ = self._flat()
        return unravel(flat._precision_diagonal(flat._known()))

    def covariance(self) -> Covariance:
        """The covariance of the raveled point, as a diagonal and a factor."""
        return self._flat()[0]._covariance()

    def log_prob(self, x: Point) -> Float[Array, ""]:
        """Log density at ``x``, in nats."""
        flat = self._flat()[0]
        known = flat._known()
        distance = flat._mahalanobis(known, self._raveled("x", x) - flat.mean)
        return -0.5 * (distance + flat._log_det(known) + flat.mean.shape[0] * _LOG_2PI)

    def entropy(self) -> Float[Array, ""]:
        """Differential entropy, in nats."""
        flat = self._flat()[0]
        return 0.5 * (flat._log_det(flat._known()) + flat.mean.shape[0] * (1.0 + _LOG_2PI))

    def score(self, eps: Float[ArrayLike, " K"]) -> Any:
        """Gradient of ``log_prob`` at ``from_noise(eps)``, Gaussian-shaped.

        It is written in the standard normal draw because recovering ``eps`` from x loses all
        digits as scale goes to 0. Isotropic: ``(eps, |eps|^2 - D) / scale``. Diagonal:
        ``(eps, eps^2 - 1) / scale``. Full, L the scale: ``(L^-T eps, tril(L^-T (eps eps' - I)))``.
        LowRank, with ``a = Sigma^-1 y`` and ``M = a a' - Sigma^-1``: ``(a, diag(M) scale, M
        factor)``, the marginal score: that of the augmented noise averaged over what x does not
        show.
        """
        flat, _, restore = self._flat()
        return restore(flat._score(flat._noise(eps)))

    def from_whitened(self, slope: Array, diagonal: Array, eps: Array) -> Any:
        """The gradient whose form in whitened space is known.

        Args:
            slope: [K], dg/deps of g(eps) = f(mean + spread(eps)), or an estimate.
            diagonal: [K], that of the matrix G whose other entries are slope_k eps_j.
            eps: [K], the draw.

        Returns:
            Gaussian-shaped; for Full, L the scale, ``(L^-T slope, tril(L^-T G))``.
        """
        flat, _, restore = self._flat()
        return restore(flat._from_whitened(*map(flat._noise, (slope, diagonal, eps))))

    def _flat(self) -> tuple[Any, Callable[[Array], Any], Callable[[Any], Any]]:
        """`gaussians.flattening`, which does nothing to a Gaussian over a vector."""
        return (self, _same, _same) if is_vector(self) else flatten(self)

    def _raveled(self, name: str, point: Point) -> Array:
        """A point as a vector."""
        if _shapes(point) != _shapes(self.mean):
            raise ValueError(
                f"{name} must be a point like the mean, of shape {_shapes(self.mean)[1]}, not "
                f"{_shapes(point)[1]}; for many points use jax.vmap"
            )
        return ravel_pytree(point)[0]

    def _noise(self, eps: ArrayLike) -> Any:
        """The noise itself, if it has the right length."""
        if jnp.shape(eps) != (self.noise_dim,):
            raise ValueError(
                f"eps must have the shape ({self.noise_dim},), not {jnp.shape(eps)}; for many "
                "draws use jax.vmap"
            )
        return eps

    def _known(self) -> Any:
        """What the inverse of the covariance needs, computed once for all that ask for it."""
        return None

    def _log_det(self: Any, known: Any) -> Array:
        each, rest = self._log_scales(known)
        return 2.0 * (jnp.sum(each) + rest)

    def _covariance(self: Any) -> Covariance:
        own, factor = self._columns()
        return Covariance(own**2, factor)


class _IndependentCoordinates(_Gaussian):
    """Gaussians with independent coordinates; ``scale`` broadcasts against ``mean``."""

    def _spread(self, eps: Array) -> Array:
        return self.scale * eps

    def _mahalanobis(self, known: Any, y: Array) -> Array:
        return jnp.sum((y / self.scale) ** 2)

    def _log_scales(self, known: Any) -> tuple[Array, Array]:
        return jnp.log(self._scales()), jnp.zeros((), self.mean.dtype)

    def _precision_diagonal(self, known: Any) -> Array:
        return (1.0 / self._scales()) ** 2

    def _columns(self) -> tuple[Array, Array]:
        return self._scales(), jnp.zeros((self.mean.shape[0], 0), self.mean.dtype)

    def _explained(self, known: Any, own: Array) -> Array:
        return jnp.sum((own / self.scale) ** 2)

    def _scales(self) -> Array:
        return jnp.broadcast_to(self.scale, self.mean.shape)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Isotropic(_IndependentCoordinates):
    """N(mean, scale^2 I).

    Attributes:
        mean: [D] or any point, in units of x.
        scale: standard deviation of every coordinate, [], in units of x, > 0.
    """

    axes: ClassVar = ("D", "")
    mean: Point
    scale: PyTree[Float[ArrayLike, ""]]

    def _score(self, eps: Array) -> "Isotropic":
        dim = eps.shape[-1]
        return Isotropic(eps / self.scale, (jnp.sum(eps**2) - dim) / self.scale)

    def _from_whitened(self, slope: Array, diagonal: Array, eps: Array) -> "Isotropic":
        del eps
        return Isotropic(slope / self.scale, jnp.sum(diagonal) / self.scale)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Diagonal(_IndependentCoordinates):
    """N(mean, diag(scale^2)).

    Attributes:
        mean: [D] or any point, in units of x.
        scale: standard deviation of each coordinate, shaped like the mean, in units of x, > 0.
    """

    axes: ClassVar = ("D", "D")
    mean: Point
    scale: Point

    def _score(self, eps: Array) -> "Diagonal":
        return Diagonal(eps / self.scale, (eps**2 - 1.0) / self.scale)

    def _from_whitened(self, slope: Array, diagonal: Array, eps: Array) -> "Diagonal":
        del eps
        return Diagonal(slope / self.scale, diagonal / self.scale)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Full(_Gaussian):
    """N(mean, scale scale'), of whose scale only the lower triangle is read.

    What stands above the diagonal of the scale is ignored, in all methods and everywhere else: the
    covariance is L L' with L = tril(scale), and the gradient to it is 0. So neither a covariance
    nor its symmetric root may be given: ``Full(mean, jnp.linalg.cholesky(covariance))``.

    Attributes:
        mean: [D] or any point, in units of x.
        scale: Cholesky factor of the covariance of the raveled point, [D, D], in units of x. Its
            diagonal must be positive: samples are right with any, but the logarithm of a negative
            entry makes densities, entropies and divergences NaN, and 0 makes them infinite or NaN.
    """

    axes: ClassVar = ("D", "DD")
    mean: Point
    scale: PyTree[Float[ArrayLike, "D D"]]

    def _spread(self, eps: Array) -> Array:
        return dot(jnp.tril(self.scale), eps)

    def _mahalanobis(self, known: Any, y: Array) -> Array:
        return jnp.sum(self._solve(y) ** 2)

    def _log_scales(self, known: Any) -> tuple[Array, Array]:
        return jnp.log(jnp.diagonal(self.scale)), jnp.zeros((), self.mean.dtype)

    def _precision_diagonal(self, known: Any) -> Array:
        identity = jnp.eye(self.mean.shape[0], dtype=self.mean.dtype)
        return jnp.sum(self._solve(identity) ** 2, axis=0)

    def _columns(self) -> tuple[Array, Array]:
        return jnp.zeros_like(self.mean), jnp.tril(self.scale)

    def _explained(self, known: Any, own: Array) -> Array:
        return jnp.sum(self._solve(jnp.diag(own)) ** 2)

    def _solve(self, y: Array) -> Array:
        """``L^-1 y``, by rows with 1 on the diagonal: of a column of L exactly a unit vector."""
        inverse = 1.0 / jnp.diagonal(self.scale)
        return solve_triangular(self.scale * inverse[:, None], (y.T * inverse).T, lower=True)

    def _score(self, eps: Array) -> "Full":
        return self._from_whitened(eps, eps**2 - 1.0, eps)

    def _from_whitened(self, slope: Array, diagonal: Array, eps: Array) -> "Full":
        mean = solve_triangular(self.scale, slope, trans="T", lower=True)
        # G = slope eps' + diag(gap), and of L^-T diag(gap) only the diagonal is lower triangular.
        gap = (diagonal - slope * eps) / jnp.diagonal(self.scale)
        return Full(mean, jnp.tril(jnp.outer(mean, eps)) + jnp.diag(gap))


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class LowRank(_Gaussian):
    """N(mean, diag(scale^2) + factor factor'); no D x D matrix is ever formed.

    A draw of noise is ``[eps | zeta]`` of length D + R: ``x = mean + scale eps + factor zeta``. R
    may be 0, which is `Diagonal`, or larger than D; columns may be parallel.

    Densities and their gradients come from what the factor does not explain of x, in units of
    scale: as good as x itself is, whose rounding is some eps |factor| / scale there.

    Attributes:
        mean: [D] or any point, in units of x.
        scale: standard deviation of each coordinate's own noise, shaped like the mean, in units of
            x, > 0.
        factor: [D, R], or the mean's shapes with one more axis R, in units of x.

    Source: Woodbury 1950 for the inverse; Harville 1997, "Matrix algebra", section 18.1 for the
    determinant.
    """

    axes: ClassVar = ("D", "D", "DR")
    mean: Point
    scale: Point
    factor: PyTree[Float[ArrayLike, "... R"]]

    @property
    def noise_dim(self) -> int:
        """K = D + R."""
        flat: Any = self._flat()[0]
        return flat.mean.shape[0] + flat.factor.shape[1]

    def score_at(self, y: Point) -> "LowRank":
        """`score` at ``x = mean + y``."""
        flat, _, restore = self._flat()
        known = flat._known()
        return restore(flat._score_of(known, *flat._residual(known, self._raveled("y", y))))

    def _spread(self, eps: Array) -> Array:
        own, shared = self._split(eps)
        return self.scale * own + dot(self.factor, shared)

    def _mahalanobis(self, known: Any, y: Array) -> Array:
        own, shared = self._residual(known, y)
        return jnp.sum(own**2) + jnp.sum(shared**2)

    def _log_scales(self, known: Any) -> tuple[Array, Array]:
        return jnp.log(self.scale), 0.5 * known.log_det()

    def _precision_diagonal(self, known: Any) -> Array:
        return known.unexplained() / self.scale / self.scale

    def _columns(self) -> tuple[Array, Array]:
        return self.scale, self.factor

    def _explained(self, known: Any, own: Array) -> Array:
        ratio = own / self.scale
        return jnp.sum(ratio * known.unexplained() * ratio)

    def _score(self, eps: Array) -> "LowRank":
        known = self._known()
        return self._score_of(known, *self._solve_spread(known, eps))

    def _score_of(self, known: Woodbury, u: Array, rest: Array) -> "LowRank":
        """The score from ``u = scale Sigma^-1 y`` and ``rest = -V'u``."""
        scale = (u**2 - known.unexplained()) / self.scale
        factor = -(jnp.outer(u, rest) + known.solved()) / self.scale[:, None]
        return LowRank(u / self.scale, scale, factor)

    def _from_whitened(self, slope: Array, diagonal: Array, eps: Array) -> "LowRank":
        """In the augmented whitened space.

        With A the map from noise to x, ``Sigma^-1 A slope`` to the mean and the entries of
        ``Sigma^-1 A G`` that belong to scale and factor.
        """
        known = self._known()
        own, shared = self._split(eps)
        u, _ = self._solve_spread(known, slope)
        gap_own, gap_shared = self._split(diagonal - slope * eps)
        scale = (u * own + known.unexplained() * gap_own) / self.scale
        factor = jnp.outer(u, shared) + known.solved() * gap_shared
        return LowRank(u / self.scale, scale, factor / self.scale[:, None])

    def _split(self, eps: Array) -> tuple[Array, Array]:
        dim = self.mean.shape[0]
        return eps[:dim], eps[dim:]

    def _known(self) -> Woodbury:
        """That of V = factor / scale, [D, R]."""
        return factorise(self.factor / self.scale[:, None])

    def _residual(self, known: Woodbury, y: Array) -> tuple[Array, Array]:
        """``u = scale Sigma^-1 y`` and ``-V'u``: their squares add up to the distance."""
        c = known.about(y / self.scale)
        # In units of x, where no quotient is rounded before the difference.
        return known.residual((y - dot(self.factor, c)) / self.scale, -c)

    def _solve_spread(self, known: Woodbury, eps: Array) -> tuple[Array, Array]:
        """`_residual` of ``spread(eps) = scale (own + V shared)``, less what is known to be V's."""
        own, shared = self._split(eps)
        return known.residual(own, -shared)


Gaussian = Isotropic | Diagonal | Full | LowRank
GaussianT = TypeVar("GaussianT", Isotropic, Diagonal, Full, LowRank)


def kl_divergence(p: Gaussian, q: Gaussian) -> Float[Array, ""]:
    """``KL(p || q)`` in nats, in closed form, of Gaussians of any two families.

    Raises:
        ValueError: one is no Gaussian, or their means are points of different shapes.

    Source: Kullback 1959, "Information theory and statistics", section 9.1.
    """
    for name, one in (("p", p), ("q", q)):
        if not isinstance(one, Gaussian):
            raise ValueError(
                f"{name} must be an Isotropic, Diagonal, Full or LowRank, not {type(one).__name__}"
            )
    if _shapes(p.mean) != _shapes(q.mean):
        raise ValueError(
            f"p has mean of shape {_shapes(p.mean)[1]}, q of {_shapes(q.mean)[1]}; they must agree"
        )
    (p, *_), (q, *_) = p._flat(), q._flat()
    own, factor = p._columns()
    known = q._known()
    shared = jax.vmap(q._mahalanobis, in_axes=(None, 1))(known, factor)
    trace = q._explained(known, own) + jnp.sum(shared)
    (p_each, p_rest), (q_each, q_rest) = p._log_scales(p._known()), q._log_scales(known)
    # Coordinate by coordinate: the two sums may be large and nearly equal.
    log_dets = 2.0 * (jnp.sum(q_each - p_each) + (q_rest - p_rest))
    return 0.5 * (trace - p.mean.shape[0] + q._mahalanobis(known, p.mean - q.mean) + log_dets)


def _same(value: Any) -> Any:
    return value


def _size(point: Any) -> int:
    """The numbers in a point."""
    return sum(math.prod(jnp.shape(leaf)) for leaf in jax.tree.leaves(point))


def _shapes(point: Any) -> tuple[Any, Any]:
    """The structure of a point, and the shapes in it, to compare and to print."""
    return jax.tree.structure(point), jax.tree.map(jnp.shape, point)
