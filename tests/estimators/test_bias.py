"""Estimators that are biased have exactly the bias that is known of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

from sigmaprop import Options, estimate
from sigmaprop.gaussians import Isotropic

from . import gradient_checks as checks
from .gradient_checks import GAUSSIANS, SMOOTH, quick_jit

HEIGHT, MEAN, SCALE = 1.0, 0.1, 0.3


def smooth(x):
    return checks.f(x)[SMOOTH]


def shrunk(family, factor):
    gaussian = GAUSSIANS[family]
    leaves, structure = jax.tree.flatten(gaussian)
    return jax.tree.unflatten(structure, [leaves[0], *(factor * leaf for leaf in leaves[1:])])


def exact(gaussian):
    return jax.grad(lambda g: checks.expected_parts(g)[:2].sum())(gaussian)


def without_noise(estimator, family, factor, f=smooth):
    """The estimate, the truth, and half the gradient of tr(Sigma H) at the mean."""

    @quick_jit
    def all_three(gaussian):
        sigma = checks.dense(gaussian)
        half = jax.grad(lambda x: 0.5 * jnp.sum(sigma * jax.hessian(f)(x)))(gaussian.mean)
        found = estimate(f, gaussian, jax.random.key(0), 1, estimator=estimator)
        return found, exact(gaussian), half

    with jax.enable_x64(True):
        return jax.tree.map(np.asarray, all_three(shrunk(family, factor)))


@pytest.mark.parametrize("family", ["isotropic", "low_rank"])
def test_at_mean_lacks_half_the_gradient_of_the_laplacian(family):
    # grad F - grad f = grad tr(Sigma H)/2 + O(scale^4): at a factor 0.02 the rest is 1e-3 of it.
    found, truth, half = without_noise("at_mean", family, 0.02)
    np.testing.assert_allclose(truth.mean - found.gradient.mean, half, rtol=2e-3)
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(found.gradient)[1:])
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(found.variance))


@pytest.mark.parametrize("family", ["diagonal", "full"])
def test_second_order_is_wrong_by_the_fourth_power_of_the_scale_to_the_mean(family):
    # And by the third to the scale. Halving the scale divides the errors by 16 and 8 but for the
    # next order, of relative size scale^2.
    gaps = []
    for factor in (0.1, 0.05):
        found, truth, _ = without_noise("second_order", family, factor)
        gaps.append(jax.tree.map(lambda x, y: np.linalg.norm(x - y), truth, found.gradient))
    at_full, at_half = map(jax.tree.leaves, gaps)
    assert at_full[0] > 1e-8
    np.testing.assert_allclose(np.divide(at_full, at_half), [16, 8], rtol=0.02)


def step_and_sine(x):
    return HEIGHT * jnp.sign(x[0]) + 0.5 * jnp.sin(x[0])


def mixtures(name, gamma, num_samples=1024, repeats=200):
    """Estimates to the mean, weights of pathwise, and the score function's radius in a half."""
    gaussian = Isotropic(np.array([MEAN]), np.array(SCALE))
    with jax.enable_x64(True):
        found = quick_jit(
            jax.vmap(
                lambda key: estimate(
                    step_and_sine,
                    gaussian,
                    key,
                    num_samples,
                    estimator=name,
                    options=Options(gamma=gamma),
                )
            )
        )(jax.random.split(jax.random.key(1), repeats))
    return np.asarray(found.gradient.mean)[:, 0], np.asarray(found.mixture.weight.mean)


def test_mixed_stays_within_its_bound_where_inverse_variance_misses_the_jump():
    jump = 2 * HEIGHT * norm.pdf(MEAN / SCALE) / SCALE
    truth = jump + 0.5 * np.cos(MEAN) * np.exp(-(SCALE**2) / 2)
    # The variance of (f(x) - f(m)) eps/scale, for sines small against the step.
    eps = np.linspace(-9, 9, 200_001)
    value = step_and_sine(MEAN + SCALE * eps[None]) - step_and_sine(np.array([MEAN]))
    score = np.asarray(value) * eps / SCALE
    weights = norm.pdf(eps) * (eps[1] - eps[0])
    spread = np.sqrt(np.sum(weights * score**2) - np.sum(weights * score) ** 2)
    radius = 2 * spread / np.sqrt(1024 / 2)

    naive, weight = mixtures("inverse_variance", None)
    assert weight.min() > 0.88
    assert naive.mean() < 0.2 * truth

    for gamma in (None, 0.75):
        estimates, weight = mixtures("mixed", gamma)
        error = 5 * estimates.std() / np.sqrt(len(estimates))
        room = radius if gamma is None else max(gamma - radius, 0.0)
        # 1.2: the radius is itself an estimate, and so is the gap that the room is divided by.
        assert abs(estimates.mean() - truth) < 1.2 * room + error
        assert weight.max() < 0.5
    assert radius < 0.5


def network(activation):
    """A random network 8-16-16-1 without biases whose last layer is negative, then a softplus."""
    keys = jax.random.split(jax.random.key(0), 3)
    sizes = (8, 16, 16, 1)
    w1, w2, w3 = (
        jax.random.normal(key, (rows, columns)) * (2.0 / rows) ** 0.5
        for key, rows, columns in zip(keys, sizes[:-1], sizes[1:], strict=True)
    )

    def f(x):
        hidden = activation(activation(x @ w1) @ w2)
        return jax.nn.softplus(-(hidden @ jnp.abs(w3))[0])

    return f


def slope_to_scale(activation, name, variate=None):
    gaussian, count = Isotropic(jnp.zeros(8), jnp.array(0.3)), 2**13
    found = quick_jit(
        lambda key: estimate(
            network(activation), gaussian, key, count, estimator=name, control_variate=variate
        )
    )(jax.random.key(2))
    return float(found.gradient.scale), float(jnp.sqrt(found.variance.scale / count))


def test_price_has_the_wrong_sign_for_a_network_with_kinks():
    path, path_error = slope_to_scale(jax.nn.leaky_relu, "pathwise")
    score, score_error = slope_to_scale(jax.nn.leaky_relu, "score_function", "leave_one_out")
    price, price_error = slope_to_scale(jax.nn.leaky_relu, "bonnet_price")
    assert abs(path - score) < 5 * np.hypot(path_error, score_error)
    assert path < -10 * path_error
    assert price > 10 * price_error


def test_price_is_right_for_a_smooth_network():
    path, path_error = slope_to_scale(jax.nn.softplus, "pathwise", "at_mean")
    price, price_error = slope_to_scale(jax.nn.softplus, "bonnet_price")
    assert abs(path) > 10 * path_error
    assert abs(path - price) < 5 * np.hypot(path_error, price_error)


def test_mixed_is_refused_where_a_half_has_no_variance():
    gaussian = Isotropic(jnp.zeros(2), jnp.ones(()))
    with pytest.raises(ValueError, match="estimator 'mixed' needs 4 independent draws"):
        estimate(jnp.sum, gaussian, jax.random.key(0), 3, estimator="mixed")
