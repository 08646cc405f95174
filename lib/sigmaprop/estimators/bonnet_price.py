"""The rules of Bonnet and Price: gradients and Hessians of f at the samples."""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array

from sigmaprop.estimators.base import (
    AtMean,
    Estimator,
    Function,
    Terms,
    gradient_at_mean,
    hessian_times,
    pull_back,
    with_mean,
)
from sigmaprop.gaussians import Gaussian

EXACT_DIM = 32
"""Most coordinates of noise for which every draw takes the exact Hessian."""


def bonnet_price(probes: int | None = None) -> Estimator:
    r"""Expected gradients and Hessians, for twice differentiable f.

    .. math:: dE f/dm = E \nabla f(x), \quad dE f/d\Sigma = \tfrac12 E H(x):
              \quad dE f/dL = \operatorname{tril}(E H L), \quad dE f/dW = E H W

    Exact for small noise dimension (one product with the Hessian for each coordinate); with probes
    v of random signs H L is replaced by H L v v', unbiased, at one product a probe. As the scale s
    goes to 0 the variance to the scale is of order s^4 (exact) or s^2 (probes).

    A piecewise-linear f (ReLU, leaky ReLU, maxout) has its second derivative in its kinks, which
    automatic differentiation does not see: the answer is then wrong, with a small variance.

    Source: Bonnet 1964; Price 1958, "A useful theorem for nonlinear devices having Gaussian
    inputs"; Rezende, Mohamed, Wierstra 2014, equations 7 and 8; Hutchinson 1990 for the probes.
    """

    def random(noise_dim: int) -> int:
        return probes or int(noise_dim > EXACT_DIM)

    return Estimator(
        name="bonnet_price",
        origin=gradient_at_mean,
        knows=("gradient",),
        evaluations_per_draw=-1,
        evaluations_of=lambda noise_dim: 1 + random(noise_dim) if random(noise_dim) else noise_dim,
        own_terms=_own_terms,
        columns=lambda noise_dim: noise_dim * (1 + random(noise_dim)),
    )


def _own_terms(f: Function, gaussian: Gaussian, row: Array, at_mean: AtMean) -> tuple[Terms, Array]:
    dim = gaussian.noise_dim
    eps, signs = row[:dim], jnp.where(row[dim:] < 0, -1.0, 1.0).astype(row.dtype)
    x = gaussian.from_noise(eps)
    value, gradient = jax.value_and_grad(f)(x)
    along = functools.partial(_curvature, f, gaussian, x)
    if signs.size:
        probes = signs.reshape(-1, dim)
        rest = jax.tree.map(lambda leaf: jnp.mean(leaf, axis=0), jax.vmap(along)(probes))
    else:
        rest = _sum_over_basis(along, dim, row.dtype)
    return Terms(with_mean(rest, gradient - at_mean.gradient)), value - at_mean.value


def _curvature(f: Function, gaussian: Gaussian, x: Array, v: Array) -> Gaussian:
    """``H spread(v)``, carried to the parameters through ``spread(v)``: ``H L v v'``."""
    return pull_back(gaussian, v, hessian_times(f, x, gaussian.spread(v)))


def _sum_over_basis(along, dim: int, dtype) -> Gaussian:
    """The sum over the unit vectors, whose v v' add to the identity."""
    every = jax.vmap(along)(jnp.eye(dim, dtype=dtype))
    return jax.tree.map(lambda leaf: jnp.sum(leaf, axis=0), every)
