"""Estimators that differentiate f: pathwise, and Goodfellow's substitution at the mean."""

import jax
from jaxtyping import Array

from sigmaprop.estimators.base import (
    AtMean,
    Estimator,
    Evaluations,
    Terms,
    gradient_at_mean,
    plain_average,
    pull_back,
)
from sigmaprop.gaussian import Gaussian


def pathwise() -> Estimator:
    r"""The reparameterised gradient, for continuous f.

    .. math:: dE f/dm = E \nabla f(x), \quad dE f/dL = E \nabla f(x) \epsilon^T

    Kinks are fine; the share of a jump is missed. As the scale s goes to 0 the variance is
    s^2 |Hess f|_F^2 to the mean and |grad f|^2 to an isotropic scale.

    Source: Kingma, Welling 2014, "Auto-encoding variational Bayes", section 2.4; Rezende, Mohamed,
    Wierstra 2014, "Stochastic backpropagation", section 3.
    """
    return Estimator(
        name="pathwise",
        noise="iid",
        control_variate=None,
        needs=("gradient",),
        terms=_pathwise_terms,
        combine=plain_average,
        origin=gradient_at_mean,
    )


def at_mean() -> Estimator:
    r"""The gradient of f at the mean, in place of the gradient of the expectation.

    .. math:: \lim_{\sigma \to 0} \nabla_x E_{\epsilon \sim N(0, \sigma^2 I)} f(x + \epsilon)
              = \nabla_x f(x)

    It has no variance, and its bias is s^2/2 |grad Laplacian f| to the mean. To the scale it is 0:
    f(mean) does not depend on it.

    Source: Goodfellow et al. 2014, "Generative adversarial nets", section 3.
    """
    return Estimator(
        name="at_mean",
        noise="iid",
        control_variate=None,
        needs=(),
        terms=_at_mean_terms,
        combine=plain_average,
        origin=gradient_at_mean,
        evaluations_per_draw=0,
    )


def _pathwise_terms(
    gaussian: Gaussian, eps: Array, evaluations: Evaluations, at_mean: AtMean
) -> Terms:
    """grad f(x) - grad f(m) to the mean; to the scale grad f(x) pulled back, whose mean is kept."""
    deviation = pull_back(gaussian, eps, evaluations.gradient)
    constant = pull_back(gaussian, eps, at_mean.gradient)
    return Terms(type(gaussian)(deviation.mean, deviation.scale + constant.scale))


def _at_mean_terms(
    gaussian: Gaussian, eps: Array, evaluations: Evaluations, at_mean: AtMean
) -> Terms:
    del eps, evaluations, at_mean
    return Terms(jax.tree.map(lambda leaf: leaf * 0, gaussian))
