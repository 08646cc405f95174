"""Decoders whose likelihood is known, and data of theirs."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sigmaprop import likelihood
from sigmaprop.gaussians import Diagonal, Full, Isotropic, LowRank

CURVE, CURVE_SCALE = 0.3, 0.2


def linear(latent_dim: int, dim: int, sigma: float, noise: str, seed: int = 0):
    """Weights of std 1 / sqrt(Z): a latent moves a coordinate by about 1."""
    rng = np.random.default_rng(seed)
    weight = jnp.asarray(rng.normal(size=(dim, latent_dim)) / np.sqrt(latent_dim), jnp.float32)
    mean = jnp.asarray(rng.normal(size=dim), jnp.float32)
    scales = jnp.asarray(sigma * rng.uniform(0.5, 1.5, dim), jnp.float32)
    factor = jnp.asarray(sigma * rng.normal(size=(dim, 2)), jnp.float32)
    made: Any = {
        "isotropic": lambda: Isotropic(mean, jnp.asarray(sigma, jnp.float32)),
        "diagonal": lambda: Diagonal(mean, scales),
        "low rank": lambda: LowRank(mean, scales, factor),
        "full": lambda: Full(mean, jnp.diag(scales) + jnp.tril(sigma * jnp.ones((dim, dim)), -1)),
    }
    return likelihood.LinearDecoder(weight, made[noise]())


def draws(decode, latent_dim: int, num: int, seed: int = 1):
    """x of num draws of the model."""
    key_z, key_x = jax.random.split(jax.random.key(seed))
    z = jax.random.normal(key_z, (num, latent_dim))
    return jax.vmap(lambda z, key: decode(z).sample(key))(z, jax.random.split(key_x, num))


def parabola(z):
    """Its posterior has two modes of unequal weight, at the roots of z_1^2 + a z_1 = x_1."""
    mean = jnp.stack([z[0] ** 2 + CURVE * z[0], z[1] + 0.2 * z[0]])
    return Isotropic(mean, jnp.asarray(CURVE_SCALE, z.dtype))


PARABOLA_X = np.array([[1.5, 0.5], [0.4, -1.0], [4.0, 0.5]], np.float32)
"""Roots near 0 and far out: the last are beyond the edge of uniform latents."""


def parabola_log_prob(prior: str) -> np.ndarray:
    """log p(x) by the trapezoid rule on a grid of 2,001 x 2,001, for each row of `PARABOLA_X`.

    The integrand is smooth and, under a normal prior, 0 at the ends: the rule is then exact to
    rounding. Under a uniform one the ends are at half weight and the error is of order h^2.
    """
    edge = 9.0 if prior == "normal" else np.sqrt(3.0)
    grid, step = np.linspace(-edge, edge, 2001, retstep=True)
    ends = np.full(grid.size, step)
    ends[[0, -1]] /= 2
    first, second = grid[:, None], grid[None, :]
    if prior == "normal":
        log_prior = -0.5 * (first**2 + second**2) - np.log(2 * np.pi)
    else:
        log_prior = np.full((grid.size, grid.size), -2 * np.log(2 * edge))
    found = []
    for x in PARABOLA_X.astype(np.float64):
        off = (x[0] - first**2 - CURVE * first) ** 2 + (x[1] - second - 0.2 * first) ** 2
        log_likelihood = -0.5 * off / CURVE_SCALE**2 - 2 * np.log(CURVE_SCALE) - np.log(2 * np.pi)
        found.append(np.log(ends @ np.exp(log_prior + log_likelihood) @ ends))
    return np.array(found)


def errors(found: likelihood.Likelihood, exact) -> np.ndarray:
    """Of log_prob, in standard errors of its own."""
    off = np.asarray(found.log_prob, np.float64) - np.asarray(exact)
    return off / np.asarray(found.standard_error)
