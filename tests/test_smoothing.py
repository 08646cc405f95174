"""`smooth`: its derivative is the chosen estimator, and it fits into a training loop."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from sigmaprop import Isotropic, estimate, smooth
from sigmaprop.gaussian import Diagonal

from . import gradient_checks as checks
from .gradient_checks import GAUSSIANS, quick_jit

KEY, COUNT = 3, 24
CHOICES = (
    ("pathwise", "antithetic", "delta"),
    ("score_function", "iid", "leave_one_out"),
    ("forward_difference", "orthogonal", None),
    ("quadrature", "iid", None),
)


def scalar(x):
    return checks.f(x)[checks.SMOOTH]


def with_params(x, params):
    return jnp.sin(params["slope"] @ x) + params["level"] * jnp.sum(x**2)


PARAMS = {"slope": np.array([1.0, -0.5, 0.8]), "level": np.array(0.4)}


@pytest.mark.parametrize(("name", "noise", "variate"), CHOICES)
def test_value_and_gradient_are_those_of_estimate(name, noise, variate):
    chosen = {"estimator": name, "noise": noise, "control_variate": variate}
    count = 9**3 if name == "quadrature" else COUNT

    def both(gaussian):
        key = jax.random.key(KEY)
        found = estimate(scalar, gaussian, key, count, **chosen)
        smoothed = smooth(scalar, num_samples=count, **chosen)
        return (found.value, found.gradient), jax.value_and_grad(smoothed)(gaussian, key)

    with jax.enable_x64(True):
        one, other = quick_jit(both)(jax.tree.map(jnp.asarray, GAUSSIANS["diagonal"]))
    for left, right in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(left, right, rtol=2e-6, atol=2e-6)


def test_the_gradient_is_that_of_estimate_to_the_bit():
    # The same function of the same arguments, compiled alike and apart.
    gaussian, key = Isotropic(jnp.array([0.3, -0.7]), jnp.array(0.4)), jax.random.key(KEY)

    def f(x):
        return jnp.sin(x[0]) * x[1]

    plain = jax.jit(lambda g: estimate(f, g, key, COUNT).gradient)(gaussian)
    smoothed = jax.jit(jax.grad(lambda g: smooth(f, num_samples=COUNT)(g, key)))(gaussian)
    for left, right in zip(jax.tree.leaves(plain), jax.tree.leaves(smoothed), strict=True):
        np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize(("noise", "signs"), [("iid", (1,)), ("antithetic", (1, -1))])
def test_the_gradient_to_params_is_that_of_plain_monte_carlo_on_the_same_draws(noise, signs):
    def both(gaussian, params):
        key = jax.random.key(KEY)
        smoothed = smooth(with_params, num_samples=COUNT, noise=noise, estimator="score_function")
        rows = jax.random.normal(key, (COUNT // len(signs), 3), jnp.float32).astype(jnp.float64)
        eps = jnp.concatenate([sign * rows for sign in signs])

        def average(p):
            return jnp.mean(jax.vmap(lambda e: with_params(gaussian.from_noise(e), p))(eps))

        weighted = jax.grad(lambda p: 3.0 * smoothed(gaussian, key, p))(params)
        return weighted, jax.grad(lambda p: 3.0 * average(p))(params)

    with jax.enable_x64(True):
        gaussian, params = jax.tree.map(jnp.asarray, (GAUSSIANS["diagonal"], PARAMS))
        one, other = quick_jit(both)(gaussian, params)
    for left, right in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(left, right, rtol=2e-6, atol=2e-6)


def test_the_gradient_to_params_is_unbiased():
    # E sin(a.x) = sin(a.m) exp(-a'Sigma a/2), E |x|^2 = |m|^2 + tr Sigma: 4 numbers at 5 errors.
    def closed(gaussian, params):
        a, sigma = params["slope"], checks.dense(gaussian)
        wave = jnp.sin(a @ gaussian.mean) * jnp.exp(-a @ sigma @ a / 2)
        return wave + params["level"] * (gaussian.mean @ gaussian.mean + jnp.trace(sigma))

    def draws(gaussian, params, keys):
        smoothed = smooth(with_params, num_samples=COUNT, estimator="forward_difference")
        slopes = jax.vmap(lambda key: jax.grad(smoothed, argnums=2)(gaussian, key, params))(keys)
        return slopes, jax.grad(closed, argnums=1)(gaussian, params)

    with jax.enable_x64(True):
        gaussian, params = jax.tree.map(jnp.asarray, (GAUSSIANS["full"], PARAMS))
        keys = jax.random.split(jax.random.key(KEY), 500)
        rows, exact = jax.tree.map(np.asarray, quick_jit(draws)(gaussian, params, keys))
    checks.check_unbiased(rows, exact)


def test_the_jacobian_of_a_vector_is_the_gradient_of_each_entry():
    def both(gaussian):
        key = jax.random.key(KEY)
        chosen = {"estimator": "score_function", "control_variate": "leave_one_out"}
        smoothed = smooth(checks.f, num_samples=COUNT, **chosen)
        found = estimate(checks.f, gaussian, key, COUNT, **chosen)
        weights = jnp.array([1.0, -2.0, 0.5])
        product = jax.grad(lambda g: weights @ smoothed(g, key))(gaussian)
        weighted = jax.tree.map(lambda leaf: jnp.tensordot(weights, leaf, 1), found.gradient)
        return (jax.jacobian(smoothed)(gaussian, key), product), (found.gradient, weighted)

    with jax.enable_x64(True):
        one, other = quick_jit(both)(jax.tree.map(jnp.asarray, GAUSSIANS["isotropic"]))
    for left, right in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(left, right, rtol=2e-6, atol=2e-6)


def test_a_batch_by_vmap():
    smoothed = smooth(lambda x: jnp.sum(x**2), num_samples=8, noise="antithetic")
    means = jnp.array([[0.1, 0.2], [0.3, -0.7]])

    def slope(mean):
        return jax.grad(lambda m: smoothed(Isotropic(m, jnp.array(0.1)), jax.random.key(0)))(mean)

    np.testing.assert_allclose(quick_jit(jax.vmap(slope))(means), 2 * means, rtol=1e-5)


def test_adam_finds_the_middle_of_a_valley_of_steps():
    # f counts the steps from the middle (1, -2): its own gradient is 0 wherever it exists.
    middle = jnp.array([1.0, -2.0])

    def stairs(x):
        return jnp.sum(jnp.floor(jnp.abs(x - middle) + 0.5))

    smoothed = smooth(
        stairs, num_samples=256, estimator="score_function", control_variate="leave_one_out"
    )
    optimizer = optax.adam(0.1)

    def train(key):
        def step(carry, step_key):
            mean, state = carry
            gaussian = lambda m: Diagonal(m, jnp.full(2, 0.5))  # noqa: E731
            slope = jax.grad(lambda m: smoothed(gaussian(m), step_key))(mean)
            updates, state = optimizer.update(slope, state, mean)
            return (optax.apply_updates(mean, updates), state), mean

        start = jnp.array([3.0, 1.0])
        return jax.lax.scan(step, (start, optimizer.init(start)), jax.random.split(key, 200))[1]

    path = quick_jit(train)(jax.random.key(KEY))
    # Over the last half: the noise of a step moves adam by some 0.1.
    np.testing.assert_allclose(jnp.mean(path[100:], axis=0), middle, atol=0.15)
    assert jnp.linalg.norm(path[0] - middle) > 3.5


def test_what_smooth_cannot_do_is_refused():
    with pytest.raises(ValueError, match="'moving_average' carries a state"):
        smooth(scalar, num_samples=4, control_variate="moving_average")
    lost = smooth(scalar, num_samples=3, noise="antithetic")
    with pytest.raises(ValueError, match="num_samples is 3"):
        lost(Isotropic(jnp.zeros(3), jnp.array(1.0)), jax.random.key(0))
