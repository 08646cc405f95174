"""The score function estimator, plain and with a leave-one-out baseline."""

from typing import Any

import jax
from jaxtyping import Array

from sigmaprop.estimators.base import (
    AtMean,
    Estimator,
    Evaluations,
    Terms,
    no_origin,
    plain_average,
    scaled,
)
from sigmaprop.gaussian import Gaussian


def score_function() -> Estimator:
    r"""f times the score, for any f, jumps included.

    .. math:: dE f/d\theta = E f(x) \nabla_\theta \log N(x; \theta)

    As the scale s goes to 0 the variance grows as D f(m)^2/s^2 to the mean and 2 D f(m)^2/s^2 to an
    isotropic scale.

    Source: Glynn 1990; Williams 1992, "Simple statistical gradient-following algorithms".
    """
    return Estimator(
        name="score_function",
        noise="iid",
        control_variate=None,
        needs=("value",),
        terms=_score_terms,
        combine=plain_average,
        origin=no_origin,
    )


def leave_one_out() -> Estimator:
    r"""The score function with the average of the batch's other values as its baseline.

    .. math:: \frac1N \sum_i \left(f_i - \frac1{N-1}\sum_{j \ne i} f_j\right)
              \nabla \log N(x_i; \theta)

    Unbiased for N >= 2; undefined (NaN) for one draw. As the scale goes to 0 the variance tends to
    (D+1)|grad f|^2 N/(N-1) to the mean, and to an isotropic scale to
    (2D+8)|grad f|^2 + 2D|grad f|^2/(N-1).

    Source: Kool, van Hoof, Welling 2019, "Buy 4 REINFORCE samples, get a baseline for free!".
    """
    return Estimator(
        name="score_function",
        noise="iid",
        control_variate="leave_one_out",
        needs=("value",),
        terms=_baseline_terms,
        combine=_leave_one_out,
        origin=no_origin,
        min_draws=2,
    )


def _score_terms(
    gaussian: Gaussian, eps: Array, evaluations: Evaluations, at_mean: AtMean
) -> Terms:
    return Terms(scaled(evaluations.value + at_mean.value, gaussian.score(eps)))


def _baseline_terms(
    gaussian: Gaussian, eps: Array, evaluations: Evaluations, at_mean: AtMean
) -> Terms:
    """A baseline cancels constants, so f(x) - f(m) stands for f(x)."""
    del at_mean
    score = gaussian.score(eps)
    product = scaled(evaluations.value, score)
    return Terms(product, evaluations.value, score, product)


def _leave_one_out(terms: Terms, num_draws: Any) -> Gaussian:
    """Average less the correlation of baseline and score; a pair of draws counts as one unit.

    The added 0 / (N - 1) makes one draw NaN for certain: the first quotient may round to infinity.
    """
    correction = jax.tree.map(
        lambda both, product: (
            (num_draws * both - product) / (num_draws - 1) + 0 * product / (num_draws - 1)
        ),
        scaled(terms.value, terms.score),
        terms.product,
    )
    return jax.tree.map(lambda average, part: average - part, terms.gradient, correction)
