"""Derivatives against dense autodiff; closed forms as a truth."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sigmaprop import objectives
from sigmaprop.limit import truth


def slow(name):
    return pytest.param(name, marks=pytest.mark.slow)


@pytest.mark.parametrize("name", ["sine", *map(slow, ("quartic", "rosenbrock", "exponential"))])
def test_derivatives_agree_with_dense_autodiff(name):
    objective = objectives.get(name, 5)
    found = truth.derivatives(objective, objective.point)
    with jax.enable_x64(True):
        x = jnp.asarray(objective.point)
        hessian = jax.hessian(objective)(x)
        third = jax.grad(lambda y: jnp.trace(jax.hessian(objective)(y)))(x)
        expected = (
            float(objective(x)),
            float(jnp.linalg.norm(jax.grad(objective)(x))),
            float(jnp.linalg.norm(hessian)),
            float(jnp.trace(hessian)),
            float(jnp.linalg.norm(third)),
        )
    assert found.dim == 5
    np.testing.assert_allclose(found[2:], expected, rtol=1e-12)


def test_closed_form_reaches_the_gradient_as_sigma_falls():
    objective = objectives.get("sine", 4)
    found = truth.closed_form(objective, objective.point, np.array([1e-2, 1e-4]))
    apart = np.linalg.norm(found.smoothed_mean - found.gradient, axis=-1)
    derivatives = truth.derivatives(objective, objective.point)
    np.testing.assert_allclose(
        apart / found.sigmas**2, derivatives.laplacian_gradient / 2, rtol=2e-4
    )
    np.testing.assert_allclose(
        found.smoothed_scale / found.sigmas, derivatives.laplacian, rtol=2e-4
    )
    assert not found.mean_error.any()
