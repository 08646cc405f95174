"""Estimators against second implementations: derivatives of sample averages and of log_prob."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sigmaprop import estimate
from sigmaprop.gaussians import Diagonal, Isotropic

from .gradient_checks import GAUSSIANS, quick_jit
from .gradient_checks import f as entries

KEY, NUM_SAMPLES = 3, 24
FAMILIES = ("full", "low_rank")


def f(x):
    return jnp.sum(entries(x)[:2]) + x[0] ** 3


def found(name, gaussian, variate=None, noise="iid"):
    key = jax.random.key(KEY)
    return estimate(
        f, gaussian, key, NUM_SAMPLES, estimator=name, noise=noise, control_variate=variate
    ).gradient


def rows(gaussian):
    """The noise that `estimate` uses, from JAX itself."""
    eps = jax.random.normal(jax.random.key(KEY), (NUM_SAMPLES, gaussian.noise_dim), jnp.float32)
    return eps.astype(gaussian.mean.dtype)


def assert_both(make, family):
    """Equal to the last place of float32 noise; all else is float64."""
    with jax.enable_x64(True):
        gaussian = jax.tree.map(jnp.asarray, GAUSSIANS[family])
        one, other = quick_jit(make)(gaussian)
        for left, right in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
            np.testing.assert_allclose(left, right, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("family", FAMILIES)
def test_pathwise_is_the_derivative_of_the_sample_average(family):
    def both(gaussian):
        eps = rows(gaussian)
        average = lambda g: jnp.mean(jax.vmap(lambda e: f(g.from_noise(e)))(eps))  # noqa: E731
        return found("pathwise", gaussian), jax.grad(average)(gaussian)

    assert_both(both, family)


@pytest.mark.parametrize("family", FAMILIES)
def test_score_function_is_f_times_the_derivative_of_log_prob(family):
    def both(gaussian):
        points = jax.vmap(gaussian.from_noise)(rows(gaussian))
        slopes = jax.vmap(lambda x: jax.grad(lambda g: g.log_prob(x))(gaussian))(points)
        values = jax.vmap(f)(points)
        weighted = jax.tree.map(lambda s: jnp.tensordot(values, s, 1) / NUM_SAMPLES, slopes)
        return found("score_function", gaussian), weighted

    assert_both(both, family)


def test_leave_one_out_is_the_average_with_each_sample_left_out():
    def both(gaussian):
        eps = rows(gaussian)
        values = jax.vmap(lambda e: f(gaussian.from_noise(e)))(eps)
        others = (jnp.sum(values) - values) / (NUM_SAMPLES - 1)
        weighted = jax.tree.map(
            lambda s: jnp.tensordot(values - others, s, 1) / NUM_SAMPLES,
            jax.vmap(gaussian.score)(eps),
        )
        return found("score_function", gaussian, "leave_one_out"), weighted

    assert_both(both, "full")


def test_leave_one_out_leaves_pairs_out_whole():
    def both(gaussian):
        eps = rows(gaussian)[: NUM_SAMPLES // 2]
        pairs = [jax.vmap(lambda e, s=s: f(gaussian.from_noise(s * e)))(eps) for s in (1, -1)]
        half = 0.5 * (pairs[0] + pairs[1])
        others = (jnp.sum(half) - half) / (len(eps) - 1)
        sides = [
            jax.tree.map(
                lambda score, v=value: jnp.tensordot(v - others, score, 1) / NUM_SAMPLES,
                jax.vmap(gaussian.score)(sign * eps),
            )
            for value, sign in zip(pairs, (1, -1), strict=True)
        ]
        return (
            found("score_function", gaussian, "leave_one_out", "antithetic"),
            jax.tree.map(jnp.add, *sides),
        )

    assert_both(both, "isotropic")


def test_bonnet_price_is_the_average_of_gradients_and_hessians():
    def both(gaussian):
        points = jax.vmap(gaussian.from_noise)(rows(gaussian))
        slopes = jax.vmap(jax.grad(f))(points)
        hessians = jnp.mean(jax.vmap(jax.hessian(f))(points), axis=0)
        expected = (
            jnp.mean(slopes, axis=0),
            jnp.diagonal(hessians) * gaussian.scale,
            hessians @ gaussian.factor,
        )
        estimated = found("bonnet_price", gaussian)
        return (estimated.mean, estimated.scale, estimated.factor), expected

    assert_both(both, "low_rank")


def test_at_mean_is_the_gradient_at_the_mean():
    mean = jnp.array([0.3, -0.7, 0.2])
    for gaussian in (Isotropic(mean, jnp.array(0.4)), Diagonal(mean, jnp.array([0.4, 0.1, 0.6]))):
        estimated, slope = quick_jit(lambda g: (found("at_mean", g), jax.grad(f)(g.mean)))(gaussian)
        np.testing.assert_allclose(estimated.mean, slope, rtol=1e-6)
        assert not np.any(estimated.scale)
