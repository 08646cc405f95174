"""Gaussian data, whose likelihood is exact: the one-dimensional theory test and a noisy plane."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from sigmaprop.gaussians import Isotropic, LowRank

from .dataset import Dataset, generator, synthetic
from .options import SYNTHETIC_ROWS, DataOptions

NOISE_STD = 0.1


class LinearGaussian(NamedTuple):
    """x = mean + factor z + noise_std eps, that is N(mean, factor factor' + noise_std^2 I).

    Attributes:
        mean: [D], in units of x.
        factor: [D, K], in units of x; K may be 0.
        noise_std: [], in units of x, > 0.
    """

    mean: Float[np.ndarray, " D"]
    factor: Float[np.ndarray, "D K"]
    noise_std: float

    @property
    def gaussian(self) -> Isotropic | LowRank:
        """The same density as one of the library's Gaussians."""
        mean, scale = jnp.asarray(self.mean), jnp.asarray(self.noise_std, self.mean.dtype)
        if self.factor.shape[1] == 0:
            return Isotropic(mean, scale)
        return LowRank(mean, jnp.full_like(mean, scale), jnp.asarray(self.factor))

    def log_prob(self, x: Float[Array, " D"]) -> Float[Array, ""]:
        """Log density at ``x`` [D], in nats."""
        return self.gaussian.log_prob(x)

    def sample(self, key: Key[Array, ""]) -> Float[Array, " D"]:
        """One draw, [D]."""
        return self.gaussian.sample(key)


def gaussian(options: DataOptions) -> Dataset:
    """N(0, std^2) in one dimension, of std 1 unless the options say otherwise."""
    std, noise_std = options.std or 1.0, options.noise_std or 0.0
    x = std * generator("gaussian", "examples").standard_normal((sum(SYNTHETIC_ROWS), 1))
    total_std = float(np.hypot(std, noise_std))
    truth = LinearGaussian(np.zeros(1, np.float32), np.zeros((1, 0), np.float32), total_std)
    return synthetic("gaussian", x, noise_std, truth)


def linear_gaussian(options: DataOptions) -> Dataset:
    """A plane through the origin, standard normal within it, plus white noise.

    The factor's columns are orthonormal and fixed by (dim, latent_dim), so the clean data have
    variance 1 along each of them. The examples of two noise_std differ by the noise's size alone.
    """
    noise_std = NOISE_STD if options.noise_std is None else options.noise_std
    factor = _orthonormal(options.dim, options.latent_dim)
    shape = (sum(SYNTHETIC_ROWS), options.latent_dim)
    x = generator("linear_gaussian", "latent").standard_normal(shape) @ factor.T
    truth = LinearGaussian(np.zeros(options.dim, np.float32), factor.astype(np.float32), noise_std)
    return synthetic("linear_gaussian", x, noise_std, truth, finest=0.0)


def _orthonormal(dim: int, num: int) -> Float[np.ndarray, "dim num"]:
    """Orthonormal columns; the signs are those that make the triangular factor positive."""
    columns = generator("linear_gaussian", f"factor {dim} {num}").standard_normal((dim, num))
    basis, triangular = np.linalg.qr(columns)
    return basis * np.sign(np.diagonal(triangular))
