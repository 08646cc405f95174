"""Finite differences along random directions: the estimators of evolution strategies."""

import math
from typing import Any

import jax
from jaxtyping import Array

from sigmaprop.estimators.base import (
    AtMean,
    Estimator,
    Evaluations,
    Terms,
    no_origin,
    scaled,
    with_mean,
)
from sigmaprop.estimators.score_function import difference_terms
from sigmaprop.gaussians import Gaussian


def forward_difference() -> Estimator:
    r"""The difference to f(m), along the score.

    .. math:: dE f/d\theta = E (f(x) - f(m)) \nabla_\theta \log N(x; \theta)

    Draw by draw this is the score function with the baseline f(m). As the scale goes to 0 the
    variance tends to (D+1)|grad f|^2 to the mean and (2D+8)|grad f|^2 to an isotropic scale.

    Source: Nesterov, Spokoiny 2017, "Random gradient-free minimization", equation 21.
    """
    return Estimator(
        name="forward_difference",
        needs=("value",),
        terms=difference_terms,
    )


def antithetic_difference() -> Estimator:
    r"""The central difference to the mean; it does not define a gradient to the scale (NaN).

    .. math:: dE f/dm = E \tfrac12 (f(m + s\epsilon) - f(m - s\epsilon)) \epsilon / s

    Draw by draw this is the score function with antithetic noise. As the scale goes to 0 the
    variance tends to (D+1)|grad f|^2 a pair of evaluations.

    Source: Salimans et al. 2017, "Evolution strategies as a scalable alternative", section 2.
    """
    return Estimator(
        name="antithetic_difference",
        needs=("value", "mirror_value"),
        terms=_antithetic_terms,
        combine=_mean_only,
        evaluations_per_draw=2,
    )


def _antithetic_terms(
    gaussian: Gaussian, eps: Array, evaluations: Evaluations, at_mean: AtMean
) -> Terms:
    half_difference = 0.5 * (evaluations.value - evaluations.mirror_value)
    gradient = scaled(half_difference, gaussian.score(eps))
    return Terms(with_mean(no_origin(gaussian, at_mean), gradient.mean))


def _mean_only(terms: Terms, num_draws: Any) -> Gaussian:
    del num_draws
    undefined = jax.tree.map(lambda leaf: leaf * math.nan, terms.gradient)
    return with_mean(undefined, terms.gradient.mean)
