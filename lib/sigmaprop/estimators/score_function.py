"""The score function estimator, plain and with its control variates."""

from typing import Any

import jax
from jaxtyping import Array

from sigmaprop.estimators.base import (
    AtMean,
    Estimator,
    Evaluations,
    Function,
    Terms,
    expansion_at_mean,
    hessian_times,
    scaled,
    subtract,
)
from sigmaprop.estimators.fitting import coefficient
from sigmaprop.gaussians import Gaussian


def score_function() -> Estimator:
    r"""f times the score, for any f, jumps included.

    .. math:: dE f/d\theta = E f(x) \nabla_\theta \log N(x; \theta)

    As the scale s goes to 0 the variance grows as D f(m)^2/s^2 to the mean and 2 D f(m)^2/s^2 to an
    isotropic scale.

    Source: Glynn 1990; Williams 1992, "Simple statistical gradient-following algorithms".
    """
    return Estimator(
        name="score_function",
        needs=("value",),
        terms=_score_terms,
    )


def leave_one_out(*, fitted: bool = False) -> Estimator:
    r"""The score function with the average of the batch's other values as its baseline.

    .. math:: \frac1N \sum_i \left(f_i - \frac1{N-1}\sum_{j \ne i} f_j\right)
              \nabla \log N(x_i; \theta)

    Unbiased for N >= 2; undefined for one draw, which `sigmaprop.estimate` refuses (NaN in a
    sweep's batches of one). As the scale goes to 0 the variance tends to (D+1)|grad f|^2 N/(N-1) to
    the mean, and to an isotropic scale to (2D+8)|grad f|^2 + 2D|grad f|^2/(N-1). Draws that depend
    on each other, as the pairs of antithetic noise do, are left out together.

    Source: Kool, van Hoof, Welling 2019, "Buy 4 REINFORCE samples, get a baseline for free!".
    """
    return _with_baseline("leave_one_out", _leave_one_out, fitted=fitted)


def mean_baseline(*, fitted: bool = False) -> Estimator:
    r"""The score function with the batch's average as its baseline, times N/(N-1).

    .. math:: \frac{1}{N-1} \sum_i (f_i - \bar f) \nabla \log N(x_i; \theta)

    The factor makes up for the share that each sample has in its own baseline: without it the
    gradient is biased by 1 - 1/N. For independent draws it is the leave-one-out estimate.

    Source: Mohamed et al. 2020, "Monte Carlo gradient estimation in machine learning", section 7.
    """
    return _with_baseline("mean", _less_mean, fitted=fitted)


def score_at_mean(*, fitted: bool = False) -> Estimator:
    r"""The score function with the baseline f(m): draw by draw the forward difference.

    .. math:: dE f/d\theta = E (f(x) - f(m)) \nabla_\theta \log N(x; \theta)

    It works with one draw. Fitted, it becomes the constant baseline of least variance, as every
    fitted constant does.

    Source: Nesterov, Spokoiny 2017, "Random gradient-free minimization", equation 21.
    """
    plain = score_function()._replace(control_variate="at_mean", terms=difference_terms)
    return plain._replace(terms=_constant_control, fit=coefficient) if fitted else plain


def score_delta(*, fitted: bool = False) -> Estimator:
    r"""The score function of what f has beyond the quadratic h that touches it at the mean.

    .. math:: E (f(x) - h(x)) \nabla_\theta \log N(x; \theta) + \nabla_\theta E h

    The second term is known: grad f(m) to the mean, Price's rule at the mean to the rest. One
    product with the Hessian at the mean a draw. As the scale s goes to 0 the variance is of order
    s^4.

    Source: Paisley, Blei, Jordan 2012, "Variational Bayesian inference with stochastic search",
    section 3; Mohamed et al. 2020, section 7.
    """

    def own(f: Function, gaussian: Gaussian, eps: Array, at_mean: AtMean) -> tuple[Terms, Array]:
        score, y = gaussian.score(eps), gaussian.spread(eps)
        value = f(gaussian.from_noise(eps)) - at_mean.value
        linear = at_mean.gradient @ y
        quadratic = linear + 0.5 * (y @ hessian_times(f, gaussian.mean, y))
        beyond = scaled(value - quadratic, score)
        if not fitted:
            return Terms(beyond), value
        expected = expansion_at_mean(gaussian, at_mean)
        return Terms(beyond, control=subtract(scaled(quadratic, score), expected)), value

    return Estimator(
        name="score_function",
        control_variate="delta",
        origin=expansion_at_mean,
        knows=("gradient", "expansion"),
        evaluations_per_draw=2,
        own_terms=own,
        fit=coefficient if fitted else None,
    )


def moving_average() -> Estimator:
    r"""The score function with a baseline that a training loop carries from step to step.

    The baseline depends on earlier draws alone, so there is no bias, with one sample too. See
    `sigmaprop.estimators.control_variates.MovingAverage`.

    Source: Mnih, Gregor 2014, "Neural variational inference and learning in belief networks",
    section 2.3.
    """
    return score_function()._replace(
        control_variate="moving_average", terms=_carried_terms, knows=("baseline",)
    )


def _with_baseline(name: str, combine: Any, *, fitted: bool) -> Estimator:
    plain = score_function()._replace(control_variate=name)
    if fitted:
        return plain._replace(terms=_constant_control, fit=coefficient)
    return plain._replace(terms=_baseline_terms, combine=combine, min_draws=2)


def _score_terms(
    gaussian: Gaussian, eps: Array, evaluations: Evaluations, at_mean: AtMean
) -> Terms:
    return Terms(scaled(evaluations.value + at_mean.value, gaussian.score(eps)))


def difference_terms(
    gaussian: Gaussian, eps: Array, evaluations: Evaluations, at_mean: AtMean
) -> Terms:
    """(f(x) - f(m)) times the score."""
    del at_mean
    return Terms(scaled(evaluations.value, gaussian.score(eps)))


def _carried_terms(
    gaussian: Gaussian, eps: Array, evaluations: Evaluations, at_mean: AtMean
) -> Terms:
    value = evaluations.value + (at_mean.value - at_mean.baseline)
    return Terms(scaled(value, gaussian.score(eps)))


def _constant_control(
    gaussian: Gaussian, eps: Array, evaluations: Evaluations, at_mean: AtMean
) -> Terms:
    """The coefficient of the score is the baseline itself, measured from f(m)."""
    del at_mean
    score = gaussian.score(eps)
    return Terms(scaled(evaluations.value, score), control=score)


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
    return subtract(terms.gradient, correction)


def _less_mean(terms: Terms, num_draws: Any) -> Gaussian:
    """N/(N-1) times the sample covariance of f and score; NaN for one draw, as leave-one-out."""
    return jax.tree.map(
        lambda product, both: (
            num_draws * (product - both) / (num_draws - 1) + 0 * product / (num_draws - 1)
        ),
        terms.gradient,
        scaled(terms.value, terms.score),
    )
