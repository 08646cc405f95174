"""Variances as the scale goes to 0, against their closed forms, in float64.

The closed forms are the leading orders; at scale 1e-3 the next ones are 1e-6 of them, far below
the errors of sampling. Each variance is the average of R independent reported ones (which
`test_unbiased` compares with the variance of the estimates), so its standard error is known. All
comparisons are at 5 of them: 40 comparisons, a false alarm below 1e-4.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sigmaprop import Options, estimate, estimators
from sigmaprop.gaussians import Isotropic

from .gradient_checks import quick_jit

DIM, REPEATS, COUNT = 8, 100, 64
SIGMAS = (1e-3, 2e-3)
A = np.linspace(-1.0, 1.2, DIM)
MEAN = np.linspace(0.5, -0.4, DIM)


def f(x):
    return jnp.sin(A @ x + 0.7) + 0.2 * jnp.sum(jnp.cos(x)) + 2.0


@functools.cache
def at_the_mean():
    """f, |grad f|^2 and |Hess f|_F^2."""
    with jax.enable_x64(True):
        known = quick_jit(lambda x: (f(x), jax.grad(f)(x), jax.hessian(f)(x)))(MEAN)
    value, slope, hessian = map(np.asarray, known)
    return value, np.sum(slope**2), np.sum(hessian**2)


@functools.cache
def measured(label, noise="iid", radius="chi"):
    """Mean and standard error of the variance, summed over coordinates, at both scales."""
    name, variate, options = estimators.parse(label)
    if radius != "chi":
        options = Options(radius=radius)

    def one(key, sigma):
        found = estimate(
            f,
            Isotropic(MEAN, sigma),
            key,
            COUNT,
            estimator=name,
            noise=noise,
            control_variate=variate,
            options=options,
        )
        return jnp.sum(found.variance.mean), found.variance.scale

    with jax.enable_x64(True):
        many = quick_jit(jax.vmap(jax.vmap(one, (0, None)), (None, 0)))
        found = many(jax.random.split(jax.random.key(5), REPEATS), jnp.array(SIGMAS))
        found = jax.tree.map(np.asarray, found)
    return [(np.mean(rows, -1), np.std(rows, -1) / np.sqrt(REPEATS)) for rows in found]


FORMS = {
    "pathwise": (lambda s, v, g, h: s**2 * h, lambda s, v, g, h: g),
    "pathwise+at_mean": (lambda s, v, g, h: s**2 * h, lambda s, v, g, h: 2 * s**2 * h),
    "score_function": (
        lambda s, v, g, h: DIM * v**2 / s**2,
        lambda s, v, g, h: 2 * DIM * v**2 / s**2,
    ),
    "score_function+leave_one_out": (
        lambda s, v, g, h: (DIM + 1) * g + DIM * g / (COUNT - 1),
        lambda s, v, g, h: (2 * DIM + 8) * g + 2 * DIM * g / (COUNT - 1),
    ),
    "forward_difference": (
        lambda s, v, g, h: (DIM + 1) * g,
        lambda s, v, g, h: (2 * DIM + 8) * g,
    ),
    "antithetic_difference": (lambda s, v, g, h: (DIM + 1) * g, None),
}


@pytest.mark.parametrize("label", FORMS)
def test_the_leading_order_of_the_variance(label):
    for (mean, error), form in zip(measured(label), FORMS[label], strict=True):
        if form is None:
            assert np.isnan(mean).all()
            continue
        for index, sigma in enumerate(SIGMAS):
            gap = abs(mean[index] - form(sigma, *at_the_mean()))
            assert gap < 5 * error[index]


SLOPES = {
    ("pathwise", "antithetic", "chi"): (4, 2),
    ("pathwise+at_mean", "iid", "chi"): (2, 2),
    ("pathwise+delta", "iid", "chi"): (4, 4),
    ("score_function+delta", "iid", "chi"): (4, 4),
    ("forward_difference", "orthogonal", "chi"): (0, 0),
    ("forward_difference", "orthogonal", "fixed"): (2, None),
}


@pytest.mark.parametrize("which", SLOPES, ids="-".join)
def test_the_power_of_the_scale_in_the_variance(which):
    # The same keys at both scales: the ratio is that of the leading orders but for the next ones,
    # of relative size sigma or sigma^2, that is a few 1e-3.
    for (mean, _), slope in zip(measured(*which), SLOPES[which], strict=True):
        if slope is None:  # |eps|^2 - D = 0 but for the rounding of float32 rows.
            assert np.all(mean < 1e-10)
            continue
        assert abs(np.log2(mean[1] / mean[0]) - slope) < 0.02


@pytest.mark.parametrize("noise", ["iid", "antithetic"])
def test_pairs_pay_to_the_scale_of_a_quadratic_only_if_it_is_steep(noise):
    # f = x'Qx/2: iid |g0|^2 + 2 s^2 |Q|^2, pairs 4 s^2 |Q|^2, in variance per sample.
    draw = np.random.default_rng(0).normal(size=(DIM, DIM))
    q, sigma = draw + draw.T, 0.3

    def one(key):
        gaussian = Isotropic(MEAN, np.array(sigma))
        found = estimate(lambda x: 0.5 * x @ q @ x, gaussian, key, COUNT, noise=noise)
        return found.gradient.mean, found.variance.scale

    with jax.enable_x64(True):
        keys = jax.random.split(jax.random.key(5), 4 * REPEATS)
        means, variances = map(np.asarray, quick_jit(jax.vmap(one))(keys))
    curved, steep = sigma**2 * np.sum(q**2), np.sum((q @ MEAN) ** 2)
    expected = steep + 2 * curved if noise == "iid" else 4 * curved
    error = np.std(variances) / np.sqrt(4 * REPEATS)
    assert abs(np.mean(variances) - expected) < 5 * error
    if noise == "antithetic":
        np.testing.assert_allclose(means, np.broadcast_to(q @ MEAN, means.shape), rtol=1e-10)
