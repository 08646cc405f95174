"""What a variational autoencoder minimises, against its formulas written out in float64."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize

from sigmaprop import gaussians
from sigmaprop.generators import vae, vae_step
from sigmaprop.generators.networks import EncoderOutput
from sigmaprop.generators.networks.encoder import HIGHEST, LOWEST, bounded
from sigmaprop.generators.observation import NoiseScale
from sigmaprop.generators.vae import Decoded

from . import small_vaes

B, D = 5, 4
RNG = np.random.default_rng(0)
X, MEAN = RNG.standard_normal((2, B, D))
SCALE = np.exp(0.5 * RNG.standard_normal((B, D)))
BETA, MEAN_SIGMA = 0.7, 1.6


def nll(mean, scale, weight=1.0):
    """The negative log-likelihood of coordinates, weighted, summed over all."""
    each = 0.5 * ((X - mean) / scale) ** 2 + np.log(scale) + 0.5 * np.log(2 * np.pi)
    return np.sum(weight * each)


def cost(objective, mean_gradient, mean, scale):
    """That of the library, summed over examples."""
    spec = small_vaes.make(D, 2, objective=objective, mean_gradient=mean_gradient)
    each = functools.partial(vae_step.objective, spec, jnp.float32(BETA))
    decoded = Decoded(mean, NoiseScale(scale, None, ()))
    x = jnp.asarray(X, jnp.float32)
    if mean_gradient == "detached":
        return jnp.sum(vae_step.detached(each, decoded, x, jnp.float32(MEAN_SIGMA)))
    return jnp.sum(each(decoded, x))


def difference(function, at):
    """The gradient by central differences in float64: off by some 1e-9 here."""
    found = np.empty_like(at)
    for i in np.ndindex(at.shape):
        step = np.zeros_like(at)
        step[i] = 1e-5
        found[i] = (function(at + step) - function(at - step)) / 2e-5
    return found


def written_out(objective, mean_gradient):
    """The gradients in mean and scale, by differences of the formula whose other factors stand."""
    weight = 1.0
    if objective == "beta_nll":
        weight = SCALE ** (2 * BETA) / np.mean(SCALE ** (2 * BETA))
    in_scale = difference(lambda s: nll(MEAN, s, weight), SCALE)
    if mean_gradient == "joint":
        return difference(lambda m: nll(m, SCALE, weight), MEAN), in_scale
    squares = difference(lambda m: np.sum((X - m) ** 2) / (2 * MEAN_SIGMA**2), MEAN)
    return squares, in_scale


@pytest.mark.parametrize("mean_gradient", ["joint", "detached"])
@pytest.mark.parametrize("objective", ["nll", "beta_nll"])
def test_gradients_are_those_of_the_formulas(objective, mean_gradient):
    grads = jax.grad(functools.partial(cost, objective, mean_gradient), argnums=(0, 1))
    found = grads(jnp.asarray(MEAN, jnp.float32), jnp.asarray(SCALE, jnp.float32))
    for own, exact in zip(found, written_out(objective, mean_gradient), strict=True):
        # A handful of float32 roundings of terms no larger than the largest entry.
        np.testing.assert_allclose(own, exact, rtol=1e-5, atol=1e-6 * np.abs(exact).max())


def test_the_gradients_of_the_four_objectives_differ():
    """So that a mutant which takes one for another is caught by the test above."""
    kinds = [(o, m) for o in ("nll", "beta_nll") for m in ("joint", "detached")]
    found = [np.concatenate([g.ravel() for g in written_out(*kind)]) for kind in kinds]
    for i in range(4):
        for j in range(i):
            assert np.abs(found[i] - found[j]).max() > 0.1


def test_every_beta_is_the_likelihood_under_one_sigma():
    scale = jnp.asarray(0.3)
    plain, weighted = (
        jax.grad(functools.partial(cost, objective, "joint"), argnums=(0, 1))(
            jnp.asarray(MEAN, jnp.float32), scale
        )
        for objective in ("nll", "beta_nll")
    )
    for own, other in zip(plain, weighted, strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-5)


def test_the_log_likelihood_of_a_factor_is_that_of_its_covariance():
    factor = RNG.standard_normal((D, 2))
    decoded = Decoded(
        jnp.asarray(MEAN, jnp.float32),
        NoiseScale(jnp.asarray(SCALE[0], jnp.float32), jnp.asarray(factor, jnp.float32), ()),
    )
    covariance = np.diag(SCALE[0] ** 2) + factor @ factor.T
    residual = X - MEAN
    distance = np.einsum("bi,ij,bj->b", residual, np.linalg.inv(covariance), residual)
    exact = -0.5 * (distance + np.linalg.slogdet(2 * np.pi * covariance)[1])
    found = vae.log_likelihood(decoded, jnp.asarray(X, jnp.float32))
    np.testing.assert_allclose(found, exact, rtol=2e-5)


def test_the_divergence_to_the_prior_is_that_of_two_gaussians():
    posterior = EncoderOutput(
        jnp.asarray(MEAN, jnp.float32), jnp.asarray(np.log(SCALE), jnp.float32)
    )
    prior = gaussians.Diagonal(jnp.zeros(D), jnp.ones(D))
    known = [
        gaussians.kl_divergence(gaussians.Diagonal(mean, jnp.exp(log_scale)), prior)
        for mean, log_scale in zip(*posterior, strict=True)
    ]
    np.testing.assert_allclose(vae.divergence_to_prior(posterior), known, rtol=1e-5)


@pytest.mark.slow
def test_the_drawn_divergence_is_unbiased_and_its_gradient_too():
    """Within 5 standard errors, of 20 numbers."""
    num = 4000
    eps = jax.random.normal(jax.random.key(1), (num, D))
    at = (jnp.asarray(MEAN[0], jnp.float32), jnp.asarray(np.log(SCALE[0]), jnp.float32))

    def drawn(mean, log_scale, eps):
        one = EncoderOutput(mean[None], log_scale[None])
        z = mean + jnp.exp(log_scale) * eps
        return vae.drawn_divergence(one, eps[None], z[None])[0]

    def exact(mean, log_scale):
        return vae.divergence_to_prior(EncoderOutput(mean[None], log_scale[None]))[0]

    both = jax.vmap(jax.value_and_grad(drawn, argnums=(0, 1)), (None, None, 0))(*at, eps)
    known = jax.value_and_grad(exact, argnums=(0, 1))(*at)
    for own, truth in zip(jax.tree.leaves(both), jax.tree.leaves(known), strict=True):
        error = np.std(own, axis=0) / np.sqrt(num)
        assert np.all(np.abs(np.mean(own, axis=0) - truth) <= 5 * error + 1e-6)


@pytest.mark.parametrize("point", [-3.0, -0.1, 0.0, 0.5, 40.0])
@pytest.mark.parametrize("step_size", [1e-6, 0.01, 2.0])
def test_the_proximal_step_minimises_what_it_says(point, step_size):
    found = float(vae_step.proximal_entropy_step(jnp.float32(point), jnp.float32(step_size)))

    def slope(inverse):
        return -1.0 / inverse + (inverse - point) / step_size

    exact = optimize.brentq(slope, 1e-12, 1e4, xtol=1e-15, rtol=1e-13)
    assert found == pytest.approx(exact, rel=1e-5)


@pytest.mark.slow
def test_gradient_and_proximal_steps_find_the_best_scale_from_everywhere():
    """On l^2 v / 2 - log l, convex with curvature v + 1 / l^2: at a rate r both steps together
    shrink the distance to l = 1 / sqrt v by 1 - r v or more, where r v < 1."""
    v, rate, steps = 0.04, 5.0, 120
    inverse = jnp.asarray([1e-3, 1.0, 300.0])
    first = np.abs(inverse - v**-0.5)
    for _ in range(steps):
        inverse = vae_step.proximal_entropy_step(inverse - rate * v * inverse, jnp.float32(rate))
    gap = np.abs(np.asarray(inverse) - v**-0.5)
    assert np.all(gap <= first * (1 - rate * v) ** steps + 1e-5)


def test_the_best_sigma_of_a_batch_is_its_root_mean_square_error():
    """And holding it fixed leaves the gradient as it is."""
    spec = small_vaes.make(D, 2, ("optimal",))
    own = small_vaes.hypers(spec, "optimal")
    params = vae.init(spec, own).params
    x, eps = jnp.asarray(X, jnp.float32), jnp.asarray(RNG.standard_normal((B, 2)), jnp.float32)
    total, parts = vae_step.loss(spec, own, params, x, eps, jnp.asarray(0))
    best = optimize.minimize_scalar(
        lambda s: D * (0.5 * float(parts.mse) / s**2 + np.log(s)), bounds=(0.01, 10)
    ).x
    assert float(parts.noise.scale) == pytest.approx(best, rel=1e-4)

    def through(params):
        _, parts = vae_step.loss(spec, own, params, x, eps, jnp.asarray(0))
        return 0.5 * D * (jnp.log(2 * jnp.pi * parts.mse) + 1.0) + jnp.mean(parts.kl)

    assert float(through(params)) == pytest.approx(float(total), rel=1e-6)
    fixed = jax.grad(lambda p: vae_step.loss(spec, own, p, x, eps, jnp.asarray(0))[0])(params)
    for one, other in zip(
        jax.tree.leaves(fixed), jax.tree.leaves(jax.grad(through)(params)), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_sigma_that_is_detached_does_not_move_decoder_and_encoder():
    """Not even through the features under sigma(z): their gradients do not depend on the head."""
    spec = small_vaes.make(D, 2, ("heteroscedastic",), widths=(8,), mean_gradient="detached")
    own = small_vaes.hypers(spec, "heteroscedastic", mean_sigma=MEAN_SIGMA)
    params = vae.init(spec, own).params
    x, eps = jnp.asarray(X, jnp.float32), jnp.asarray(RNG.standard_normal((B, 2)), jnp.float32)
    slope = jax.grad(lambda p: vae_step.loss(spec, own, p, x, eps, jnp.asarray(0))[0])
    head = {"kernel": jnp.asarray(RNG.standard_normal((8, D)), jnp.float32), "bias": jnp.zeros(D)}
    other = slope(params._replace(noise={"heteroscedastic": head}))
    for one, two in zip(
        jax.tree.leaves(slope(params)[:2]), jax.tree.leaves(other[:2]), strict=True
    ):
        np.testing.assert_array_equal(one, two)
    joint = spec._replace(mean_gradient="joint")
    moved = jax.grad(lambda p: vae_step.loss(joint, own, p, x, eps, jnp.asarray(0))[0])(
        params._replace(noise={"heteroscedastic": head})
    )
    pairs = zip(jax.tree.leaves(moved[:2]), jax.tree.leaves(other[:2]), strict=True)
    assert any(np.abs(np.asarray(a) - np.asarray(b)).max() > 1e-3 for a, b in pairs)


def test_the_scale_of_the_posterior_is_bounded_and_can_come_back():
    raw = jnp.asarray([-1e4, -30.0, -2.0, 0.0, 1.0, 30.0, 1e4])
    found = bounded(raw)
    assert np.all(np.diff(found) >= 0)
    assert np.all((found >= LOWEST) & (found <= HIGHEST + 1e-6))
    assert abs(float(found[3])) < 0.2
    slopes = jax.vmap(jax.grad(lambda r: bounded(r)))(jnp.asarray([-20.0, 0.0, 12.0]))
    assert np.all(slopes > 0)
