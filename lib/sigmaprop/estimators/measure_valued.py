"""The measure-valued gradient: differences of f between draws of two other distributions."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array

from sigmaprop.estimators.base import AtMean, Estimator, Function, Terms
from sigmaprop.gaussians import Gaussian

_NORMALS = 5
"""Normals a coordinate: eps, three for Rayleigh and Maxwell draws, one for a uniform."""


def measure_valued(*, coupled: bool = True) -> Estimator:
    r"""Weak derivatives of the normal density, coordinate by coordinate, for any f.

    With R Rayleigh, M double-sided Maxwell, all other coordinates as drawn, in whitened space
    g(eps) = f(m + L eps):

    .. math:: D_k = [g(\epsilon_k := R) - g(\epsilon_k := -R)] / \sqrt{2\pi}, \quad
              G_{kj} = D_k \epsilon_j, \quad G_{kk} = g(\epsilon_k := M) - g(\epsilon_k := \epsilon)
    .. math:: dE f/dm = L^{-T} E D, \quad dE f/dL = \operatorname{tril}(L^{-T} E G)

    Coupled, both sides use one R, and eps = M U with U uniform; else they are independent. Coupling
    does not always help: for the mean of (x - k)^2 it loses where |m - k| > 1.526 s. It takes 4
    evaluations of f (uncoupled 3, and one in common) a coordinate, and no derivative.

    Source: Pflug 1996, "Optimization of stochastic models"; Mohamed et al. 2020, section 6 and
    table 1; Heidergott, Vazquez-Abad, Pflug, Farenhorst-Yuan 2010 for the coupling.
    """
    return Estimator(
        name="measure_valued",
        evaluations_per_draw=-4 if coupled else -3,
        own_terms=_coupled_terms if coupled else _uncoupled_terms,
        columns=lambda noise_dim: _NORMALS * noise_dim,
        tags=() if coupled else ("uncoupled",),
    )


def _coupled_terms(f: Function, gaussian: Gaussian, row: Array, at_mean: AtMean):
    eps, a, b, c, u = row.reshape(_NORMALS, gaussian.noise_dim)
    rayleigh, maxwell = _rayleigh(a, b), _maxwell(a, b, c)
    uniform = jax.scipy.stats.norm.cdf(u)
    sides = jnp.stack([rayleigh, -rayleigh, maxwell, maxwell * uniform], axis=1)
    value = f(gaussian.from_noise(eps)) - at_mean.value
    values = _replaced(f, gaussian, eps, sides) - at_mean.value
    return _terms(gaussian, eps, values[:, 0] - values[:, 1], values[:, 2] - values[:, 3]), value


def _uncoupled_terms(f: Function, gaussian: Gaussian, row: Array, at_mean: AtMean):
    """The second Rayleigh draw is made of other normals; eps itself is independent of M."""
    eps, a, b, c, u = row.reshape(_NORMALS, gaussian.noise_dim)
    sides = jnp.stack([_rayleigh(a, b), -_rayleigh(c, u), _maxwell(a, b, c)], axis=1)
    value = f(gaussian.from_noise(eps)) - at_mean.value
    values = _replaced(f, gaussian, eps, sides) - at_mean.value
    return _terms(gaussian, eps, values[:, 0] - values[:, 1], values[:, 2] - value), value


def _terms(gaussian: Gaussian, eps: Array, difference: Array, diagonal: Array) -> Terms:
    slope = difference / math.sqrt(2.0 * math.pi)
    return Terms(gaussian.from_whitened(slope, diagonal, eps))


def _replaced(f: Function, gaussian: Gaussian, eps: Array, sides: Array) -> Array:
    """[K, S] values of f where each coordinate of eps in turn takes each of its S values."""

    def at(pair: tuple[Array, Array]) -> Array:
        index, value = pair
        here = jnp.arange(gaussian.noise_dim) == index
        return f(gaussian.from_noise(jnp.where(here, value, eps)))

    dim, count = sides.shape
    values = jax.lax.map(at, (jnp.repeat(jnp.arange(dim), count), sides.ravel()))
    return values.reshape(dim, count)


def _rayleigh(a: Array, b: Array) -> Array:
    """The length of two normals; Rayleigh(1)."""
    return jnp.hypot(a, b)


def _maxwell(a: Array, b: Array, c: Array) -> Array:
    """The length of three normals with the sign of the first, which does not depend on it."""
    return jnp.sign(a) * jnp.hypot(jnp.hypot(a, b), c)
