"""log p(x) in closed form, in float64: linear decoders, and mixtures of Gaussians."""

import dataclasses
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float
from scipy.linalg import solve_triangular
from scipy.special import logsumexp

from sigmaprop.gaussians import Diagonal, Full, Gaussian, Isotropic, LowRank
from sigmaprop.likelihood.records import Likelihood
from sigmaprop.names import shown

_LOG_2PI = np.log(2.0 * np.pi)


@dataclasses.dataclass(frozen=True, eq=False)
class LinearDecoder:
    """``x = weight z + noise``, z ~ N(0, I): a decoder whose p(x) is N(mean, W W' + Sigma).

    Attributes:
        weight: W, [D, Z], in units of x.
        noise: a Gaussian over x, with the mean b.
    """

    weight: Float[Array | np.ndarray, "D Z"]
    noise: Gaussian

    def __call__(self, z: Float[Array, " Z"]) -> Gaussian:
        """p(x|z)."""
        weight = jax.numpy.asarray(self.weight, z.dtype)
        mean = self.noise.mean + jax.numpy.matmul(weight, z, precision="highest")
        return dataclasses.replace(self.noise, mean=mean)


class Mixture(NamedTuple):
    """A mixture of K Gaussians with independent coordinates.

    Attributes:
        weights: [K], >= 0; only their ratios count.
        means: [K, D], in units of x.
        scale: standard deviations, in units of x, > 0: [], [K], or [K, D].
    """

    weights: Float[Array | np.ndarray, " K"]
    means: Float[Array | np.ndarray, "K D"]
    scale: Any


def exact(model: LinearDecoder | Mixture, x: Float[Array | np.ndarray, "B D"]) -> Likelihood:
    """log p(x) of a linear decoder with normal latents, or of a mixture.

    Computed on the host in float64, by Woodbury's identity where the noise has a diagonal part.

    Args:
        model: see `LinearDecoder` and `Mixture`.
        x: rows.

    Returns:
        Arrays of NumPy, without error.

    Raises:
        ValueError: another model, or rows of another dimension.
    """
    rows = np.asarray(x, np.float64)
    if isinstance(model, LinearDecoder):
        dim, found = np.shape(model.weight)[0], _linear
    elif isinstance(model, Mixture):
        dim, found = np.shape(model.means)[1], _mixture
    else:
        kind = shown(type(model).__name__)
        raise ValueError(f"model is a {kind}; a LinearDecoder or a Mixture has a closed form")
    if rows.ndim != 2 or rows.shape[1] != dim:
        raise ValueError(f"x has shape {rows.shape}; it must be rows of {dim} numbers")
    log_prob: Any = found(model, rows)
    certain: Any = np.zeros(len(rows)), np.full(len(rows), np.inf), np.zeros(0)
    return Likelihood(log_prob, *certain)


def _linear(model: Any, x: np.ndarray) -> np.ndarray:
    """That of N(b, W W' + Sigma)."""
    own, factor = _columns(model.noise, x.shape[1])
    factor = np.concatenate([np.asarray(model.weight, np.float64), factor], axis=1)
    y = x - np.asarray(model.noise.mean, np.float64)
    if own is None:
        root = np.linalg.cholesky(factor @ factor.T)
        distance = np.sum(_solve(root, y.T) ** 2, axis=0)
        log_det = 2.0 * np.sum(np.log(np.diag(root)))
    else:
        v, y = factor / own[:, None], y / own
        root = np.linalg.cholesky(np.eye(v.shape[1]) + v.T @ v)
        # The residual of y on V, and not |y|^2 less what V explains: nothing large is subtracted.
        c = _solve(root, _solve(root, v.T @ y.T), transposed=True)
        distance = np.sum((y.T - v @ c) ** 2, axis=0) + np.sum(c**2, axis=0)
        log_det = 2.0 * (np.sum(np.log(np.diag(root))) + np.sum(np.log(own)))
    return -0.5 * (distance + log_det + x.shape[1] * _LOG_2PI)


def _solve(root: np.ndarray, right: np.ndarray, *, transposed: bool = False) -> np.ndarray:
    """``root^-1 right``; NaN stays in its column."""
    if transposed:
        return solve_triangular(root.T, right, lower=False, check_finite=False)
    return solve_triangular(root, right, lower=True, check_finite=False)


def _columns(noise: Any, dim: int) -> tuple[np.ndarray | None, np.ndarray]:
    """Standard deviations [D], None where there are none apart, and a factor [D, K]."""
    scale, none = np.asarray(noise.scale, np.float64), np.zeros((dim, 0))
    if isinstance(noise, Isotropic | Diagonal):
        return np.broadcast_to(scale, (dim,)), none
    if isinstance(noise, LowRank):
        return scale, np.asarray(noise.factor, np.float64)
    if isinstance(noise, Full):
        return None, np.tril(scale)
    raise ValueError(f"noise is a {shown(type(noise).__name__)}; it must be a Gaussian")


def _mixture(model: Any, x: np.ndarray) -> np.ndarray:
    """The log of a weighted mean of densities, one component after the other."""
    weights = np.asarray(model.weights, np.float64)
    means = np.asarray(model.means, np.float64)
    scale = np.asarray(model.scale, np.float64)
    scale = np.broadcast_to(scale[..., None] if scale.ndim == 1 else scale, means.shape)
    with np.errstate(divide="ignore"):
        shares = np.log(weights) - np.log(weights.sum())
    each = [
        share - 0.5 * np.sum(((x - mean) / own) ** 2 + 2.0 * np.log(own) + _LOG_2PI, axis=1)
        for share, mean, own in zip(shares, means, scale, strict=True)
    ]
    return np.asarray(logsumexp(each, axis=0))
