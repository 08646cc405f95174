"""The second-order expansion of E f about the mean, and the estimator that is its gradient."""

import jax
import jax.numpy as jnp
from jaxtyping import Array

from sigmaprop.estimators.base import Estimator, Function, hessian_times
from sigmaprop.gaussians import Gaussian


def second_order() -> Estimator:
    r"""The gradient at the mean, and the next term of its expansion; no noise at all.

    .. math:: E f \approx f(m) + \tfrac12 \operatorname{tr}(\Sigma H(m)), \quad
              dE f/dm \approx \nabla f(m) + \tfrac12 \nabla \operatorname{tr}(\Sigma H(m)), \quad
              dE f/dL \approx \operatorname{tril}(H(m) L)

    The bias is of order s^4 to the mean and s^3 to the scale. It costs one product with the Hessian
    for each coordinate of the noise, and their derivatives. Across a kink it sees nothing.

    Source: Rezende, Mohamed, Wierstra 2014, "Stochastic backpropagation", equations 7 and 8, at the
    mean; Fan et al. 2015, "Fast second-order stochastic backpropagation".
    """
    return Estimator(
        name="second_order",
        evaluations_per_draw=0,
        exact=_exact,
    )


def expansion(f: Function, gaussian: Gaussian) -> Array:
    """``f(m) + tr(Sigma Hess f(m)) / 2``, by one Hessian-vector product a column of the spread."""

    def curvature(total: Array, index: Array) -> tuple[Array, None]:
        basis = jnp.zeros(gaussian.noise_dim, gaussian.mean.dtype).at[index].set(1.0)
        column = gaussian.spread(basis)
        return total + column @ hessian_times(f, gaussian.mean, column), None

    # The derivative of the loop runs each step again: nothing of D x K is kept.
    zero = jnp.zeros((), gaussian.mean.dtype)
    steps = jnp.arange(gaussian.noise_dim)
    total, _ = jax.lax.scan(jax.checkpoint(curvature), zero, steps)
    return f(gaussian.mean) + 0.5 * total


def _exact(f: Function, gaussian: Gaussian, num_samples: int) -> tuple[Array, Gaussian]:
    del num_samples
    return jax.value_and_grad(lambda g: expansion(f, g))(gaussian)
