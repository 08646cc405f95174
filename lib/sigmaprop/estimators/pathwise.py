"""Estimators that differentiate f: pathwise, and Goodfellow's substitution at the mean."""

import jax
from jaxtyping import Array

from sigmaprop.estimators.base import (
    AtMean,
    Estimator,
    Evaluations,
    Function,
    Terms,
    add,
    expansion_at_mean,
    gradient_at_mean,
    hessian_times,
    no_origin,
    pull_back,
    subtract,
    to_the_rest,
)
from sigmaprop.estimators.fitting import coefficient
from sigmaprop.gaussians import Gaussian


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
        needs=("gradient",),
        terms=_pathwise_terms,
        origin=gradient_at_mean,
        knows=("gradient",),
    )


def pathwise_at_mean(*, fitted: bool = False) -> Estimator:
    r"""Pathwise less grad f(m) eps', whose expectation is 0: no noise is left as s goes to 0.

    .. math:: dE f/dL = E (\nabla f(x) - \nabla f(m)) \epsilon^T

    To the scale the variance falls from |grad f|^2 to order s^2 |Hess f|_F^2, as the gradient
    itself does: sigma is as easy to learn at any scale. To the mean nothing changes.

    Source: Miller, Foti, D'Amour, Adams 2017, "Reducing reparameterization gradient variance",
    section 3, with the expansion cut after its constant.
    """

    def terms(gaussian: Gaussian, eps: Array, evals: Evaluations, at_mean: AtMean) -> Terms:
        control = _constant(gaussian, eps, at_mean) if fitted else None
        return Terms(pull_back(gaussian, eps, evals.gradient), control=control)

    return pathwise()._replace(
        control_variate="at_mean", terms=terms, fit=coefficient if fitted else None
    )


def pathwise_delta(*, fitted: bool = False) -> Estimator:
    r"""Pathwise less the gradient of the quadratic that touches f at the mean.

    .. math:: \nabla f(x) - \nabla f(m) - H(m) (x - m)

    Its expectation is known: grad f(m) to the mean, that of Price's rule to the rest. One product
    with the Hessian at the mean a draw. Exact for a quadratic; as the scale s goes to 0 the
    variance is of order s^4 to the mean and s^4 to the scale.

    Source: Miller, Foti, D'Amour, Adams 2017, "Reducing reparameterization gradient variance",
    equations 8 to 12.
    """

    def own(f: Function, gaussian: Gaussian, eps: Array, at_mean: AtMean) -> tuple[Terms, Array]:
        value, gradient = jax.value_and_grad(f)(gaussian.from_noise(eps))
        linear = hessian_times(f, gaussian.mean, gaussian.spread(eps))
        beyond = pull_back(gaussian, eps, gradient - at_mean.gradient - linear)
        if not fitted:
            return Terms(beyond), value - at_mean.value
        expected = to_the_rest(at_mean.expansion)
        control = add(pull_back(gaussian, eps, linear), _constant(gaussian, eps, at_mean))
        return Terms(beyond, control=subtract(control, expected)), value - at_mean.value

    return Estimator(
        name="pathwise",
        control_variate="delta",
        origin=expansion_at_mean,
        knows=("gradient", "expansion"),
        evaluations_per_draw=2,
        own_terms=own,
        fit=coefficient if fitted else None,
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
        terms=lambda gaussian, eps, evaluations, at_mean: Terms(no_origin(gaussian, at_mean)),
        origin=gradient_at_mean,
        knows=("gradient",),
        evaluations_per_draw=0,
        exact=_exact_at_mean,
    )


def _pathwise_terms(
    gaussian: Gaussian, eps: Array, evaluations: Evaluations, at_mean: AtMean
) -> Terms:
    """grad f(x) - grad f(m) to the mean; to the rest grad f(x) pulled back, whose mean is kept."""
    deviation = pull_back(gaussian, eps, evaluations.gradient)
    return Terms(add(deviation, _constant(gaussian, eps, at_mean)))


def _constant(gaussian: Gaussian, eps: Array, at_mean: AtMean) -> Gaussian:
    """grad f(m) eps' to the rest, of expectation 0; nothing to the mean."""
    return to_the_rest(pull_back(gaussian, eps, at_mean.gradient))


def _exact_at_mean(f: Function, gaussian: Gaussian, num_samples: int) -> tuple[Array, Gaussian]:
    del num_samples
    value, gradient = jax.value_and_grad(f)(gaussian.mean)
    return value, gradient_at_mean(gaussian, AtMean(value, gradient))
