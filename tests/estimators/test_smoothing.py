"""`smooth`: its derivative is the chosen estimator, and it fits into a training loop."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from sigmaprop import Isotropic, estimate, smooth
from sigmaprop.gaussians import Diagonal

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


def step(x):
    return jnp.sum(jnp.sign(x))


def at(mean):
    return Isotropic(mean, jnp.array(0.5))


@pytest.mark.parametrize(
    "twice",
    [
        jax.hessian,
        lambda F: jax.jit(jax.jacrev(jax.jacrev(F))),
        lambda F: jax.grad(lambda m: jnp.sum(jax.grad(F)(m))),
    ],
)
@pytest.mark.parametrize("estimator", ["score_function", "pathwise"])
def test_a_second_derivative_is_refused(twice, estimator):
    # It was 0 for a step by the score function, where -1.599478 is right.
    smoothed = smooth(step, num_samples=8, estimator=estimator)
    with pytest.raises(ValueError, match="smooth has no second derivative") as caught:
        twice(lambda m: smoothed(at(m), jax.random.key(KEY)))(jnp.array([0.3]))
    assert "\n" not in str(caught.value)


def test_forward_mode_is_refused():
    with pytest.raises(TypeError, match="forward-mode"):
        jax.jvp(
            lambda m: smooth(step, num_samples=8)(at(m), jax.random.key(KEY)), *[[jnp.ones(1)]] * 2
        )


def test_the_curvature_of_a_step_is_in_the_gradient_to_the_scale():
    # E sign(x) = 2 Phi(m/s) - 1: second derivative -2 m/s^3 phi(m/s) = -1.599478, s tr H to s.
    chosen = {"estimator": "score_function", "control_variate": "leave_one_out"}

    def both(gaussian, key):
        slope = jax.grad(smooth(step, num_samples=20_000, **chosen))(gaussian, key).scale
        return slope, estimate(step, gaussian, key, 20_000, **chosen).variance.scale

    slope, variance = quick_jit(both)(at(jnp.array([0.3])), jax.random.key(KEY))
    error = np.sqrt(variance / 20_000) / 0.5
    assert abs(slope / 0.5 - -1.599478) < 5 * error < 0.5


def test_rematerialising_is_no_second_derivative():
    few = smooth(step, num_samples=8, estimator="score_function")

    def of(mean):
        return few(at(mean), jax.random.key(KEY))

    slopes = quick_jit(lambda m: (jax.grad(jax.checkpoint(of))(m), jax.grad(of)(m)))
    np.testing.assert_allclose(*slopes(jnp.array([0.3])), rtol=1e-6)


LABELLED = {
    "slope": np.array([1.0, -0.5]),
    "level": 0.4,
    "label": np.array([3, 1]),
    "power": 2,
    "key": jax.random.key(9),
    "square": True,
    "name": "sum",
    "function": jnp.tanh,
    "nothing": None,
}


def labelled(x, params):
    found = params["slope"] @ x * params["label"][0] + params["level"] * jnp.sum(x)
    found += params["function"](x[0]) ** params["power"] * (params["name"] == "sum")
    return found + jax.random.normal(params["key"]) * jnp.where(params["square"], x[1] ** 2, 0.0)


def test_params_may_hold_what_has_no_derivative():
    gaussian, key = Isotropic(jnp.array([0.3, -0.7]), jnp.array(0.4)), jax.random.key(KEY)
    smoothed = smooth(labelled, num_samples=COUNT)
    found = quick_jit(lambda g: jax.grad(smoothed)(g, key, LABELLED))(gaussian)
    plain = quick_jit(lambda g: estimate(labelled, g, key, COUNT, params=LABELLED).gradient)
    for left, right in zip(jax.tree.leaves(found), jax.tree.leaves(plain(gaussian)), strict=True):
        np.testing.assert_allclose(left, right, rtol=2e-6)


def test_the_gradient_to_params_beside_labels_is_to_the_numbers():
    def f(x, params):
        return params["slope"] @ x * params["label"] + params["level"] * jnp.sum(x)

    params = {"slope": jnp.array([1.0, -0.5]), "level": 0.4, "label": 3}
    gaussian, key = Isotropic(jnp.array([0.3, -0.7]), jnp.array(0.4)), jax.random.key(KEY)
    smoothed = smooth(f, num_samples=COUNT, noise="antithetic")
    found = quick_jit(jax.grad(smoothed, argnums=2, allow_int=True))(gaussian, key, params)
    # Over antithetic pairs the average of x is the mean.
    np.testing.assert_allclose(found["slope"], 3 * gaussian.mean, rtol=1e-5)
    np.testing.assert_allclose(found["level"], jnp.sum(gaussian.mean), rtol=1e-5)
    assert found["label"].dtype == jax.dtypes.float0


def test_labels_may_be_a_batch():
    # Closed over, a label of an inner vmap would leak into the derivative outside of it.
    def total(mean):
        of = lambda label: smooth(lambda x, p: p * jnp.sum(x), num_samples=2, noise="antithetic")(  # noqa: E731
            at(mean), jax.random.key(KEY), label
        )
        return jnp.sum(jax.vmap(of)(jnp.arange(4)))

    np.testing.assert_allclose(quick_jit(jax.grad(total))(jnp.ones(2)), [6.0, 6.0], rtol=1e-6)


def test_a_gradient_has_the_dtype_of_its_parameter():
    mean = {"a": jnp.ones(2, jnp.float16), "b": jnp.ones(1, jnp.float32)}
    smoothed = smooth(lambda x: jnp.sum(x["a"]) + x["b"][0] ** 2, num_samples=4)
    found = jax.eval_shape(jax.grad(smoothed), Isotropic(mean, 0.5), jax.random.key(KEY))
    assert found.mean["a"].dtype == jnp.float16
    assert found.mean["b"].dtype == jnp.float32


def test_the_gradient_to_params_of_a_vector_by_a_rule_without_noise():
    def f(x, scale):
        return scale * jnp.stack([x[0], x[1] ** 2])

    gaussian = Isotropic(jnp.array([0.3, -0.7]), jnp.array(0.4))
    for estimator, expected in (("at_mean", [0.3, 0.49]), ("quadrature", [0.3, 0.49 + 0.16])):
        smoothed = smooth(f, num_samples=400, estimator=estimator)
        found = quick_jit(jax.jacrev(smoothed, argnums=2))(gaussian, jax.random.key(KEY), 2.0)
        np.testing.assert_allclose(found, expected, rtol=1e-5)
