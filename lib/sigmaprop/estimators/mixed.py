"""Mixtures of pathwise and score function: by inverse variance, and robust to jumps."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from sigmaprop.estimators.base import (
    AtMean,
    Estimator,
    Evaluations,
    Terms,
    add,
    gradient_at_mean,
    subtract,
)
from sigmaprop.estimators.fitting import Fold
from sigmaprop.estimators.pathwise import pathwise
from sigmaprop.estimators.score_function import difference_terms
from sigmaprop.gaussians import Gaussian

RADIUS_ERRORS = 2.0
"""The confidence radius of the score function's estimate, in its standard errors."""
_LEAST_DRAWS = 4
"""Two in each half, whose variances make the weight."""


class Mixture(NamedTuple):
    """What a mixture found; Gaussian-shaped, one number for each of its parts.

    Attributes:
        weight: of pathwise, 0 to 1.
        bias: estimate of the norm of the bias that this weight brings, weight x |pathwise - score|.
    """

    weight: Any
    bias: Any


def inverse_variance() -> Estimator:
    r"""Pathwise and score function (less f(m)), weighted by the inverse of their variances.

    The weight is fitted on one half of the draws and used on the other, which takes 4 draws at
    least. Where f jumps it is NOT robust: pathwise misses the jump with a small variance, and so
    gets nearly all of the weight.

    Source: Parmas, Rasmussen, Peters, Doya 2018, "PIPPS", section 3.3 (total propagation).
    """
    return _mixture("inverse_variance", _inverse_variance_weight)


def mixed(gamma: float | None = None) -> Estimator:
    r"""The weight of inverse variance, cut where it would bring more bias than gamma.

    With B = |pathwise - score|, e the confidence radius of the score function's estimate and a the
    weight of inverse variance, pathwise has the weight a if a B <= gamma - e, else
    max(0, gamma - e)/B. Pathwise and score function agree but for noise where f is continuous, so
    the cut acts where f jumps. The reported variance takes the weight as given; where the cut acts
    the weight varies with the draws too, and the true variance can be several times larger.

    Source: Suh, Simchowitz, Zhang, Tedrake 2022, "Do differentiable simulators give better policy
    gradients?", equation 8.
    """

    def weight(fold: Fold) -> Any:
        return jax.tree.map(
            lambda a, gap, variance: _bounded(a, gap, variance, fold.rows, gamma),
            _inverse_variance_weight(fold),
            fold.control,
            fold.gradient_variance,
        )

    return _mixture("mixed", weight)


def mixture(both: Fold, weights: Any) -> Mixture:
    """Weight and bias of the estimate from both halves."""
    gap = jax.tree.map(
        lambda leaf: jnp.sqrt(jnp.sum(jnp.average(leaf, axis=0, weights=both.rows) ** 2)),
        both.control,
    )
    weight = jax.tree.map(lambda leaf: jnp.mean(leaf, axis=0), weights)
    return Mixture(weight, jax.tree.map(jnp.multiply, weight, gap))


def _mixture(name: str, fit: Any) -> Estimator:
    """Score function less ``weight`` times (score function - pathwise)."""
    return Estimator(
        name=name,
        needs=("value", "gradient"),
        terms=_terms,
        knows=("gradient",),
        min_draws=_LEAST_DRAWS,
        fit=fit,
    )


def _terms(gaussian: Gaussian, eps: Array, evaluations: Evaluations, at_mean: AtMean) -> Terms:
    score = difference_terms(gaussian, eps, evaluations, at_mean).gradient
    path = pathwise().terms(gaussian, eps, evaluations, at_mean).gradient
    path = add(path, gradient_at_mean(gaussian, at_mean))
    return Terms(score, control=subtract(score, path))


def _inverse_variance_weight(fold: Fold) -> Any:
    """The weight of pathwise in each part of the Gaussian, from the variances of both."""

    def weight(score: Array, both: Array, covariance: Array) -> Array:
        path = jnp.sum(score - 2 * covariance + both)
        total = jnp.sum(score) + jnp.maximum(path, 0)
        return jnp.where(total > 0, jnp.sum(score) / jnp.where(total > 0, total, 1.0), 1.0)

    return jax.tree.map(weight, fold.gradient_variance, fold.control_variance, fold.covariance)


def _bounded(a: Array, gap: Array, variance: Array, rows: Array, gamma: float | None) -> Array:
    distance = jnp.sqrt(jnp.sum(gap**2))
    radius = RADIUS_ERRORS * jnp.sqrt(jnp.sum(variance) / rows)
    room = jnp.maximum((2 * radius if gamma is None else gamma) - radius, 0.0)
    return jnp.where(a * distance <= room, a, room / jnp.where(distance > 0, distance, 1.0))
