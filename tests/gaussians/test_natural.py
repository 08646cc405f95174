"""`natural_gradient` against the dense Fisher matrix and the published algorithms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from sigmaprop import estimate, kl_divergence, natural_gradient
from sigmaprop.gaussians import Diagonal, Full, Isotropic, LowRank

from ..estimators import gradient_checks as checks
from ..estimators.gradient_checks import GAUSSIANS, quick_jit


def gradient_like(gaussian):
    """Any gradient; that of Full has nothing above the diagonal."""
    draw = np.random.default_rng(1)
    leaves, structure = jax.tree.flatten(gaussian)
    made = [draw.normal(size=np.shape(leaf)) for leaf in leaves]
    if isinstance(gaussian, Full):
        made[1] = np.tril(made[1])
    return jax.tree.unflatten(structure, made)


def dense_natural(gradient, gaussian):
    """The pseudo-inverse of the Hessian of KL(N_theta || N) at theta, times the gradient."""
    flat, unravel = ravel_pytree(gaussian)
    fisher = jax.hessian(lambda theta: kl_divergence(unravel(theta), gaussian))(flat)
    inverse = jnp.linalg.pinv(0.5 * (fisher + fisher.T), rtol=1e-9, hermitian=True)
    return unravel(inverse @ ravel_pytree(gradient)[0])


def change_of_covariance(gaussian, direction):
    return jax.jvp(checks.dense, (gaussian,), (direction,))[1]


@pytest.mark.parametrize("family", GAUSSIANS)
def test_it_is_the_inverse_of_the_fisher_matrix(family):
    # A low-rank factor has directions that change nothing, where solutions differ: only the change
    # of mean and covariance is defined.
    def both(gaussian, gradient):
        if family == "low_rank":  # A gradient of something: of a function of mean and covariance.
            weights = jnp.asarray(checks.Q) + jnp.eye(3)
            gradient = jax.grad(lambda g: jnp.sum(jnp.sin(weights * checks.dense(g))))(gaussian)
        found, dense = (solve(gradient, gaussian) for solve in (natural_gradient, dense_natural))
        changes = [change_of_covariance(gaussian, step) for step in (found, dense)]
        return found, dense, changes

    with jax.enable_x64(True):
        gaussian = jax.tree.map(jnp.asarray, GAUSSIANS[family])
        gradient = jax.tree.map(jnp.asarray, gradient_like(gaussian))
        found, dense, changes = quick_jit(both)(gaussian, gradient)
    # Conjugate gradients stop at a residual of 1e-6; all else is exact.
    tolerance = 1e-4 if family == "low_rank" else 1e-8
    np.testing.assert_allclose(found.mean, dense.mean, rtol=tolerance, atol=1e-10)
    np.testing.assert_allclose(*changes, rtol=tolerance, atol=tolerance)
    if family != "low_rank":
        np.testing.assert_allclose(found.scale, dense.scale, rtol=tolerance, atol=1e-10)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_low_rank_factor_may_be_far_larger_than_the_scale(dtype):
    # The information of the plain parameters has a condition of (factor/scale)^2, some 1e4 here.
    draw = np.random.default_rng(2)
    gaussian = LowRank(
        draw.normal(size=6), draw.uniform(0.1, 2.0, size=6), 30.0 * draw.normal(size=(6, 2))
    )

    def slope(g):
        return jax.grad(lambda g: jnp.sum(checks.A @ jnp.tanh(checks.dense(g)[:3] / 1e4)))(g)

    def change(solve, g):
        return change_of_covariance(g, solve(slope(g), g))

    with jax.enable_x64(True):
        wide = jax.tree.map(jnp.asarray, gaussian)
        dense = np.asarray(quick_jit(lambda g: change(dense_natural, g))(wide))
    with jax.enable_x64(dtype == np.float64):
        typed = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), gaussian)
        found = np.asarray(quick_jit(lambda g: change(natural_gradient, g))(typed))
    tolerance = 100 * np.finfo(dtype).eps ** 0.75
    assert np.linalg.norm(found - dense) < tolerance * np.linalg.norm(dense)


def test_a_factor_of_zeros_gets_no_step():
    gaussian = LowRank(jnp.zeros(4), jnp.full(4, 0.5), jnp.zeros((4, 2)).at[:, 0].set(1.0))
    gradient = LowRank(jnp.ones(4), jnp.ones(4), jnp.ones((4, 2)))
    found = quick_jit(natural_gradient)(gradient, gaussian)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(found))
    assert np.any(found.factor[:, 0])
    assert not np.any(np.abs(found.factor[:, 1]) > 1e-6)


def test_snes():
    # Wierstra et al. 2014, table 1: m + eta s sum u eps, s exp(eta/2 sum u (eps^2 - 1)).
    gaussian, count = GAUSSIANS["diagonal"], 16

    def both():
        key = jax.random.key(0)
        found = estimate(lambda x: checks.f(x)[0], gaussian, key, count, estimator="score_function")
        eps = jax.random.normal(key, (count, 3), jnp.float32).astype(jnp.float64)
        utilities = jax.vmap(lambda e: checks.f(gaussian.from_noise(e))[0])(eps) / count
        mean = gaussian.scale * (utilities @ eps)
        scale = gaussian.scale * (utilities @ (eps**2 - 1)) / 2
        return natural_gradient(found.gradient, gaussian), Diagonal(mean, scale)

    assert_both(both)


def test_xnes():
    # With A the factor: m + eta A sum u eps, A exp(eta/2 sum u (eps eps' - I)). To first order the
    # covariance changes by A M A', M = sum u (eps eps' - I).
    gaussian, count = GAUSSIANS["full"], 16

    def both():
        key = jax.random.key(0)
        found = estimate(lambda x: checks.f(x)[0], gaussian, key, count, estimator="score_function")
        step = natural_gradient(found.gradient, gaussian)
        eps = jax.random.normal(key, (count, 3), jnp.float32).astype(jnp.float64)
        utilities = jax.vmap(lambda e: checks.f(gaussian.from_noise(e))[0])(eps) / count
        second = jnp.einsum("n,ni,nj->ij", utilities, eps, eps) - jnp.sum(utilities) * jnp.eye(3)
        factor = jnp.asarray(gaussian.scale)
        mine = (step.mean, step.scale @ factor.T + factor @ step.scale.T)
        return mine, (factor @ (utilities @ eps), factor @ second @ factor.T)

    assert_both(both)


def assert_both(make):
    with jax.enable_x64(True):
        one, other = quick_jit(make)()
    for left, right in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(left, right, rtol=2e-6, atol=2e-6)


def test_it_is_blind_to_the_units_of_x():
    # x -> 10 x: a gradient shrinks by 10, a natural gradient grows by 10.
    gaussian = Isotropic(jnp.array([0.3, -0.7]), jnp.array(0.4))
    gradient = Isotropic(jnp.array([1.0, 2.0]), jnp.array(-3.0))
    tenfold = jax.tree.map(lambda leaf: 10 * leaf, gaussian)
    tenth = jax.tree.map(lambda leaf: leaf / 10, gradient)
    for one, ten in zip(
        jax.tree.leaves(natural_gradient(gradient, gaussian)),
        jax.tree.leaves(natural_gradient(tenth, tenfold)),
        strict=True,
    ):
        np.testing.assert_allclose(10 * one, ten, rtol=1e-5)


def test_it_keeps_the_shape_of_a_pytree():
    mean = {"a": jnp.ones((2, 1)), "b": jnp.array(0.5)}
    gaussian = Diagonal(mean, jax.tree.map(lambda leaf: 0.5 + 0.0 * leaf, mean))
    gradient = Diagonal(mean, mean)
    found = natural_gradient(gradient, gaussian)
    assert jax.tree.structure(found) == jax.tree.structure(gaussian)
    np.testing.assert_allclose(found.mean["a"], 0.25 * mean["a"])
    np.testing.assert_allclose(found.scale["b"], 0.125 * mean["b"])


def test_two_families_are_refused():
    one, other = Isotropic(jnp.zeros(2), jnp.array(1.0)), Diagonal(jnp.zeros(2), jnp.ones(2))
    with pytest.raises(ValueError, match="a Isotropic, the Gaussian a Diagonal"):
        natural_gradient(one, other)
