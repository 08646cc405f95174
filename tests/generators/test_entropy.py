"""The gradient of a generator's entropy: linear generators in closed form, others by quadrature."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import kstest, norm

from sigmaprop.generators import entropy, gan, networks, step
from sigmaprop.generators.entropy import HmcState

from . import small_games

DIM, LATENT, COUNT = 4, 2, 4096
WEIGHT = np.array([[1.0, 0.5], [0.0, -1.0], [0.7, 0.2], [0.3, 0.3]])
BIAS = np.array([1.0, 0.0, -1.0, 2.0])
X = np.array([2.0, 1.0, -1.5, 2.2])
SCALE = 0.5
SCALES = np.array([0.3, 0.5, 0.7, 0.9])
FACTOR = np.array([[0.4], [-0.4], [0.2], [0.0]])
# Two-sided normal quantile: each test has at most 8 comparisons, a false alarm in 10,000.
QUANTILE = norm.isf(0.5e-4 / 8)


def linear(z):
    return jnp.asarray(WEIGHT) @ z + jnp.asarray(BIAS)


def within(samples, exact):
    """Whether the mean over the first axis is the exact value, up to its standard error."""
    samples = np.asarray(samples, np.float64)
    error = samples.std(0, ddof=1) / np.sqrt(len(samples))
    return np.all(np.abs(samples.mean(0) - exact) < QUANTILE * error)


def posterior(noise_covariance):
    """Mean and Cholesky factor of p(z|X) of the linear generator."""
    precision = np.linalg.inv(noise_covariance)
    covariance = np.linalg.inv(np.eye(LATENT) + WEIGHT.T @ precision @ WEIGHT)
    return covariance @ WEIGHT.T @ precision @ (X - BIAS), np.linalg.cholesky(covariance)


@pytest.mark.parametrize(
    ("scale", "factor"),
    [
        (np.array(SCALE), None),
        (SCALES, None),
        (np.tile(SCALES, (COUNT, 1)), None),
        (lambda z: jnp.asarray(SCALES), None),
        (SCALES, FACTOR),
    ],
    ids=["one", "per coordinate", "per sample", "function", "with a factor"],
)
def test_the_score_of_a_linear_generator_is_exact_on_average(scale: Any, factor):
    known = SCALES if callable(scale) else np.broadcast_to(scale, (COUNT, DIM))[0]
    scale = scale if callable(scale) else jnp.asarray(scale)
    noise = np.diag(known**2) + (0 if factor is None else factor @ factor.T)
    mean, root = posterior(noise)
    z = mean + np.random.default_rng(0).standard_normal((COUNT, LATENT)) @ root.T
    found, _ = entropy.score(
        linear,
        jnp.tile(jnp.asarray(X), (COUNT, 1)),
        jnp.asarray(z),
        scale,
        jax.random.key(1),
        HmcState.start(LATENT),
        factor=None if factor is None else jnp.asarray(factor),
    )
    assert within(found, np.linalg.solve(WEIGHT @ WEIGHT.T + noise, X - BIAS))


def test_the_score_of_noise_that_depends_on_the_latent_agrees_with_quadrature():
    def mean(z):
        return jnp.tanh(2.0 * z)

    def scale(z):
        return jnp.exp(-1.0 + 0.5 * z)

    grid = np.linspace(-9.0, 9.0, 20_001)
    x = 0.6
    means, scales = np.tanh(2.0 * grid), np.exp(-1.0 + 0.5 * grid)
    density = norm.pdf(grid) * norm.pdf(x, means, scales)
    exact = np.average((x - means) / scales**2, weights=density)
    cumulative = np.cumsum(density) / density.sum()
    z = np.interp(np.random.default_rng(0).random(COUNT), cumulative, grid)
    found, _ = entropy.score(
        mean,
        jnp.full((COUNT, 1), x),
        jnp.asarray(z)[:, None],
        scale,
        jax.random.key(1),
        HmcState.start(1),
    )
    assert within(found, exact)


def pulled_back(state, key, **options: Any):
    """Draws of dH/dlog sigma of the linear generator, [COUNT], and the state."""
    key_z, key_eps, key_chain = jax.random.split(key, 3)
    z = jax.random.normal(key_z, (COUNT, LATENT))
    eps = jax.random.normal(key_eps, (COUNT, DIM))

    def sample(log_sigma):
        return jax.vmap(linear)(z) + jnp.exp(log_sigma) * eps

    log_sigma = jnp.log(SCALE)
    negative_score, state = entropy.score(
        linear, sample(log_sigma), z, jnp.exp(log_sigma), key_chain, state, **options
    )
    return jnp.sum(negative_score * jax.jvp(sample, (log_sigma,), (1.0,))[1], axis=-1), state


def test_the_gradient_of_the_entropy_to_log_sigma_is_that_of_half_the_log_determinant():
    def half_log_det(log_sigma):
        covariance = WEIGHT @ WEIGHT.T + np.exp(2.0 * log_sigma) * np.eye(DIM)
        return 0.5 * np.linalg.slogdet(covariance)[1]

    h, at = 1e-4, np.log(SCALE)
    exact = (half_log_det(at + h) - half_log_det(at - h)) / (2 * h)
    draw = jax.jit(functools.partial(pulled_back, num_burn_in=20))
    state = HmcState.start(LATENT)
    found, _ = draw(state, jax.random.key(0))
    assert within(found, exact)
    # A chain that has hardly left z gives the gradient of the entropy of p(x|z), which is DIM.
    stuck, _ = draw(state._replace(log_step_size=jnp.asarray(-12.0)), jax.random.key(0))
    assert within(stuck, DIM)
    assert exact < 0.7 * DIM


class Bias(NamedTuple):
    """Of dH/dlog sigma, relative, with its standard error."""

    value: float
    error: float


def bias_of(num_burn_in: int, calls: int) -> Bias:
    """Of x = W z + .3 eps with W [3, 2], against half the log determinant of its covariance.

    Two things of known mean are subtracted for less noise: the exact score, whose mean product
    with sigma eps is the exact gradient, and E[sigma eps | x] = sigma^2 times it, beside which the
    error of the chain is 0 on average, for the score of every x is unbiased.
    """
    weight, scale = WEIGHT[:3], 0.3
    precision = np.linalg.inv(weight @ weight.T + scale**2 * np.eye(3))
    exact = scale**2 * np.trace(precision)

    def call(state, key):
        key_z, key_eps, key_chain = jax.random.split(key, 3)
        z = jax.random.normal(key_z, (COUNT, LATENT))
        noise = scale * jax.random.normal(key_eps, (COUNT, 3))
        x = z @ jnp.asarray(weight.T, jnp.float32) + noise
        negative_score, state = entropy.score(
            lambda z: jnp.asarray(weight, jnp.float32) @ z,
            x,
            z,
            jnp.asarray(scale),
            key_chain,
            state,
            num_burn_in=num_burn_in,
        )
        exact_score = x @ jnp.asarray(precision, jnp.float32)
        left = (negative_score - exact_score) * (noise - scale**2 * exact_score)
        return state, jnp.mean(jnp.sum(left, axis=-1))

    adapting = 60
    keys = jax.random.split(jax.random.key(2), adapting + calls)
    _, found = jax.jit(lambda keys: jax.lax.scan(call, HmcState.start(LATENT), keys))(keys)
    found = np.asarray(found, np.float64)[adapting:] / exact
    return Bias(found.mean(), found.std(ddof=1) / np.sqrt(calls))


@pytest.mark.slow
def test_the_default_burn_in_leaves_less_than_one_percent_of_bias():
    """The .4% that the autocorrelation of the chain leaves come out as 1% at 4 standard errors, by
    chance in one run of 30,000; two moves leave 6%, 4 standard errors above 4%.
    """
    found = bias_of(entropy.NUM_BURN_IN, 120)
    assert found.error < 0.0015
    assert abs(found.value) < 0.01
    assert bias_of(2, 20).value > 0.04


@pytest.mark.slow
def test_a_chain_under_uniform_latents_follows_their_prior(monkeypatch):
    """x = z + .5 eps, z uniform, whose density is a difference of two normal distributions."""
    sigma = 0.5
    spec = small_games.make(
        networks.linear_generator(1, 1, use_bias=False, init=[[1.0]]),
        networks.mlp_discriminator(1, widths=(2,)),
        ("fixed",),
        batch_size=COUNT,
        latent="uniform",
        entropy=True,
        entropy_burn_in=3,
    )
    hypers = small_games.hypers(spec, "fixed", sigma=sigma)._replace(entropy_weight=jnp.ones(()))
    moves = []
    score = entropy.score

    def watched(*arguments, **options):
        moves.append(options["num_burn_in"])
        return score(*arguments, **options)

    monkeypatch.setattr(step.entropy, "score", watched)

    @jax.jit
    def run():
        state, keys = gan.init(spec, hypers), gan.streams(hypers.key)
        z = gan.latent(spec, keys["latent_generator"], COUNT)
        noise = gan.draws(spec, keys["noise_generator"], COUNT)

        def made(player, z):
            drawn = noise if len(z) == COUNT else gan.Draws(noise.eps[:1], None)
            return step.generate(spec, player, hypers, z, drawn, jnp.asarray(0))

        return z + sigma * noise.eps, step._entropy_cotangent(spec, hypers, state, made, z, keys)[0]

    x, push = (np.asarray(found, np.float64)[:, 0] for found in run())
    assert moves == [3]
    low, high = ((x + edge) / sigma for edge in (np.sqrt(3.0), -np.sqrt(3.0)))
    exact = -(norm.pdf(low) - norm.pdf(high)) / sigma / (norm.cdf(low) - norm.cdf(high))
    assert within((-push - exact) * np.sign(x), 0.0)


@pytest.mark.parametrize(
    ("arm", "sigma", "expected"),
    [("fixed", 1e-3, 1e-3), ("fixed", 0.5, 0.5), ("fixed", 0.0, 0.01), ("global", 1e-3, 0.01)],
)
def test_a_given_sigma_below_the_floor_of_learned_ones_is_taken_as_it_is(
    monkeypatch, arm, sigma, expected
):
    """The samples have it; a chain with another would follow a posterior that is not theirs."""
    spec = small_games.make(
        networks.linear_generator(1, 1),
        networks.mlp_discriminator(1, widths=(2,)),
        ("fixed", "global"),
        batch_size=2,
        entropy=True,
    )
    hypers = small_games.hypers(spec, arm, sigma=sigma, bounds=(0.01, 10.0))
    state = gan.init(spec, hypers)
    keys = gan.streams(hypers.key)
    found = []

    def watched(mean, x, z, scale, *arguments, **options):
        found.append(float(scale(z[0])))
        return x, state.hmc

    def made(player, z):
        drawn = gan.draws(spec, keys["noise_generator"], len(z))
        return step.generate(spec, player, hypers, z, drawn, jnp.asarray(0))

    monkeypatch.setattr(step.entropy, "score", watched)
    step._entropy_cotangent(spec, hypers, state, made, gan.latent(spec, keys["data"], 2), keys)
    assert found == [np.float32(expected)]


@pytest.mark.parametrize("latent", ["normal", "uniform"])
def test_latents_come_back_from_the_normal_variables_that_they_are_made_of(latent):
    spec = small_games.make(
        networks.linear_generator(1, 1), networks.mlp_discriminator(1, widths=(2,)), latent=latent
    )
    edge = np.sqrt(3.0)
    z = gan.latent(spec, jax.random.key(0), 1000).at[:2, 0].set(jnp.asarray([-edge, edge]))
    u = np.asarray(jax.jit(lambda z: gan.to_normal(spec, z))(z))
    assert np.all(np.isfinite(u))
    again = jax.jit(lambda u: gan.from_normal(spec, u))(u)
    np.testing.assert_allclose(again, z, atol=1e-5)
    if latent == "uniform":
        assert kstest(u[:, 0], "norm").pvalue > 1e-4


def acceptance_by_numpy(scale, largest_step, num_leapfrog=5):
    """Acceptance of each chain's first move, written out for the linear generator. [COUNT]"""
    rng = np.random.default_rng(0)
    z, momentum = rng.standard_normal((2, COUNT, LATENT))
    x = z @ WEIGHT.T + BIAS + scale * rng.standard_normal((COUNT, DIM))
    step = largest_step * rng.uniform(0.5, 1.0, (COUNT, 1))

    def energy(z, momentum):
        residual = (x - z @ WEIGHT.T - BIAS) / scale
        return 0.5 * (np.sum(residual**2, 1) + np.sum(z**2, 1) + np.sum(momentum**2, 1))

    def force(z):
        return (x - z @ WEIGHT.T - BIAS) @ WEIGHT / scale**2 - z

    before = energy(z, momentum)
    for _ in range(num_leapfrog):
        momentum = momentum + 0.5 * step * force(z)
        z = z + step * momentum
        momentum = momentum + 0.5 * step * force(z)
    return np.exp(np.minimum(before - energy(z, momentum), 0.0))


def test_the_leapfrog_sees_the_likelihood():
    scale = 0.05
    step = 0.7 * scale
    rng = np.random.default_rng(1)
    z = rng.standard_normal((COUNT, LATENT))
    x = z @ WEIGHT.T + BIAS + scale * rng.standard_normal((COUNT, DIM))

    def acceptance(mean_fn):
        state = HmcState(jnp.log(step), jnp.zeros(()))
        options: Any = {"num_burn_in": 0, "num_samples": 1}
        inputs = jnp.asarray(x), jnp.asarray(z), jnp.asarray(scale)
        return entropy.score(mean_fn, *inputs, jax.random.key(0), state, **options)[1].acceptance

    expected = acceptance_by_numpy(scale, step)
    # The same distribution on both sides, so the difference of two means.
    error = QUANTILE * np.sqrt(2.0) * expected.std() / np.sqrt(COUNT)
    assert abs(acceptance(linear) - expected.mean()) < error
    blind = acceptance(lambda z: jax.lax.stop_gradient(linear(z)))
    assert blind < expected.mean() - 10 * error


def test_the_acceptance_comes_to_its_target_from_both_sides():
    def step(state, key):
        _, state = pulled_back(state, key, num_burn_in=0)
        return state, state

    @jax.jit
    def run(log_step_size):
        start = HmcState(log_step_size, jnp.zeros(()))
        return jax.lax.scan(step, start, jax.random.split(jax.random.key(0), 200))[1]

    low, high = run(jnp.log(0.01)), run(jnp.log(5.0))
    for states in (low, high):
        late = states.acceptance[100:]
        # Acceptance lies in [0, 1], so its std is at most 1/2, even if a chain's moves all agree;
        # twice that, for the step size follows the acceptance of the call before.
        assert np.all(np.abs(late - 0.67) < 2 * QUANTILE * 0.5 / np.sqrt(COUNT))
    assert low.log_step_size[0] < low.log_step_size[-1]
    assert high.log_step_size[0] > high.log_step_size[-1]


def test_no_gradient_flows_through_the_score():
    z = jnp.ones((2, LATENT))

    def total(scale):
        x = jax.vmap(linear)(z) + scale
        found, _ = entropy.score(linear, x, z, scale, jax.random.key(0), HmcState.start(LATENT))
        return jnp.sum(found)

    assert jax.jit(jax.grad(total))(SCALE) == 0.0
