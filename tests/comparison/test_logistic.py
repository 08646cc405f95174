"""Bayesian logistic regression: its exact bound, its gradient estimates, and its training."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sigmaprop import estimators
from sigmaprop.comparison import logistic
from sigmaprop.comparison.logistic import Params, Settings
from sigmaprop.data import breast_cancer
from sigmaprop.gaussians import Diagonal

DIM = 31
# The best diagonal posterior has this bound: `test_l_bfgs_finds_the_optimum` derives it.
OPTIMUM = -67.46337


def unbiased_labels():
    """All that draw noise and have a gradient to the scale."""
    for label in estimators.labels():
        name, variate, options = estimators.parse(label)
        chosen = estimators.get(name, "iid", variate, options)
        if chosen.exact is None and name != "antithetic_difference":
            yield label


FAST = ("pathwise", "score_function+leave_one_out")
LABELS = [
    pytest.param(label, marks=() if label in FAST else pytest.mark.slow)
    for label in unbiased_labels()
]


@functools.cache
def data():
    return breast_cancer.load()


def wide_bound(flat):
    """The bound of parameters [2 D], in float64."""
    signed = logistic.signed_features(data(), jnp.float64)
    return logistic.elbo(Params(flat[:DIM], flat[DIM:]).posterior, signed)


@functools.cache
def best():
    """The optimum of the exact bound by L-BFGS, parameters [2 D], and its bound."""
    from scipy.optimize import minimize

    with jax.enable_x64(True):
        both = jax.jit(jax.value_and_grad(lambda flat: -wide_bound(flat)))
        found = minimize(
            lambda flat: tuple(np.asarray(part, np.float64) for part in both(flat)),
            np.zeros(2 * DIM),
            jac=True,
            method="L-BFGS-B",
            options={"ftol": 1e-15, "gtol": 1e-6, "maxiter": 1000},
        )
    return found.x, -float(found.fun)


@functools.cache
def points():
    """Posteriors to compare gradients at, leaves [3, D]: start, random, and optimum."""
    generator = np.random.default_rng(11)
    random = np.stack([generator.normal(0, 1, DIM), generator.normal(-0.5, 0.3, DIM)])
    flat = np.stack([np.zeros((2, DIM)), random, best()[0].reshape(2, DIM)]).astype(np.float32)
    return Params(jnp.asarray(flat[:, 0]), jnp.asarray(flat[:, 1]))


def flatten(params):
    return np.concatenate([params.mean, params.log_scale], axis=-1).astype(np.float64)


@functools.cache
def ascents(label, num_keys=400):
    """The gradients of [3] posteriors for [num_keys] keys, and the traces of their variances."""
    signed, where = logistic.signed_features(data()), points()

    def one(params, key):
        seen = logistic.ascent(params, signed, key, label)
        return seen.gradient, jnp.sum(seen.variance.mean) + jnp.sum(seen.variance.log_scale)

    every = jax.vmap(lambda key: jax.vmap(one, in_axes=(0, None))(where, key))
    keys = jax.random.split(jax.random.key(2), num_keys)
    gradients, traces = jax.jit(lambda k: jax.lax.map(every, k))(keys.reshape(num_keys // 10, 10))
    flat = flatten(gradients).reshape(num_keys, 3, 2 * DIM)
    return flat, np.asarray(traces, np.float64).reshape(num_keys, 3)


@functools.cache
def exact_gradients():
    where = flatten(points())
    with jax.enable_x64(True):
        return np.asarray(jax.jit(jax.vmap(jax.grad(wide_bound)))(where))


@functools.cache
def minibatch_covariances():
    """Covariances of the exact gradient of a minibatch of 32, [3, 2 D, 2 D]."""

    def of_one_datum(flat, signed):
        posterior = Params(flat[:DIM], flat[DIM:]).posterior
        return logistic.expected_log_likelihood(posterior, signed[None])

    where = flatten(points())
    with jax.enable_x64(True):
        signed = logistic.signed_features(data(), jnp.float64)
        over_data = jax.vmap(jax.grad(of_one_datum), in_axes=(None, 0))
        rows = np.asarray(jax.jit(jax.vmap(over_data, in_axes=(0, None)))(where, signed))
    return np.stack([np.cov(569 * each.T, bias=True) / 32 for each in rows])


def test_the_bound_is_the_integral_of_every_datum():
    from scipy.integrate import quad
    from scipy.special import log_expit
    from scipy.stats import norm

    features, labels = data()
    rows = [0, 100, 212, 461]
    mean_of_weights, scale = np.linspace(-1, 1, DIM), np.linspace(0.2, 1.0, DIM)
    expected = 0.0
    for x, label in zip(features[rows].astype(np.float64), labels[rows], strict=True):
        mean, std = (2 * label - 1) * x @ mean_of_weights, np.sqrt(x**2 @ scale**2)
        integrand = lambda z, m, s: norm.pdf(z) * log_expit(m + s * z)  # noqa: E731
        expected += quad(integrand, -9, 9, args=(mean, std), epsabs=1e-12, points=[-mean / std])[0]
    kl = 0.5 * np.sum(mean_of_weights**2 + scale**2 - 1 - 2 * np.log(scale))
    few = breast_cancer.BreastCancer(features[rows], labels[rows])
    with jax.enable_x64(True):
        posterior = Diagonal(jnp.asarray(mean_of_weights), jnp.asarray(scale))
        # exp(-2 pi^2 / (spacing x std)) is 1e-9 for the widest of them, whose std is 11.
        np.testing.assert_allclose(logistic.exact_elbo(posterior, few), expected - kl, atol=1e-8)


def test_the_bound_in_float32_is_that_in_float64():
    # 110,000 terms summed pairwise: a few roundings of 6e-8 of the sum.
    for row in range(3):
        posterior = jax.tree.map(lambda leaf, row=row: leaf[row], points()).posterior
        narrow = jax.jit(logistic.elbo)(posterior, logistic.signed_features(data()))
        np.testing.assert_allclose(narrow, logistic.exact_elbo(posterior, data()), rtol=1e-6)


def test_l_bfgs_finds_the_optimum():
    flat, bound = best()
    with jax.enable_x64(True):
        gradient = np.asarray(jax.jit(jax.grad(wide_bound))(flat))
    # No curvature is below 1 near the optimum, so the bound is at most |gradient|^2 / 2 from it.
    assert np.sum(gradient**2) / 2 < 1e-6
    assert abs(bound - OPTIMUM) < 1e-5


@pytest.mark.parametrize("label", LABELS)
def test_gradients_agree_with_the_exact_ones(label):
    # 3 x 62 comparisons at 5 standard errors of 400 independent estimates: 1.5e-4 a label.
    gradients, _ = ascents(label)
    error = gradients.std(axis=0, ddof=1) / np.sqrt(len(gradients))
    assert np.all(np.abs(gradients.mean(axis=0) - exact_gradients()) < 5 * error)


@pytest.mark.parametrize("label", LABELS)
def test_reported_variance_and_that_of_minibatches_add_up(label):
    # Minibatches and samples are independent, so E Var(given the minibatch) + Var(of it) is all.
    gradients, reported = ascents(label)
    squares = np.sum((gradients - exact_gradients()) ** 2, axis=-1)
    gap = squares - reported
    error = gap.std(axis=0, ddof=1) / np.sqrt(len(gap))
    minibatch = np.trace(minibatch_covariances(), axis1=1, axis2=2)
    assert np.all(np.abs(gap.mean(axis=0) - minibatch) < 5 * error)


def test_the_schedule_is_a_quarter_of_a_cosine():
    rate = logistic.schedule(0.1, 3)
    expected = [0.1, 0.1 * np.sqrt(3) / 2, 0.05, 0.0]
    seen = np.asarray([rate(step) for step in range(4)])
    np.testing.assert_allclose(seen, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    ("label", "noise", "budget", "expected"),
    [
        ("pathwise", "iid", "samples", 50),
        ("pathwise", "iid", "evaluations", 50),
        ("pathwise+delta", "iid", "evaluations", 25),
        ("pathwise", "antithetic", "samples", 50),
        ("pathwise", "antithetic", "evaluations", 50),
        ("pathwise", "orthogonal", "samples", 31),
        ("score_function+leave_one_out", "orthogonal", "samples", 62),
        ("pathwise", "sobol", "samples", 32),
        ("measure_valued", "iid", "samples", 50),
        ("measure_valued", "iid", "evaluations", 1),
        ("measure_valued", "antithetic", "evaluations", 2),
        ("measure_valued", "sobol", "evaluations", 16),
        ("at_mean", "iid", "evaluations", 50),
    ],
)
def test_samples_are_whole_draws_within_the_budget(label, noise, budget, expected):
    settings = Settings(noise=noise, budget=budget)
    assert logistic.samples_drawn(label, settings, DIM) == expected


def test_what_has_no_meaning_is_refused():
    with pytest.raises(ValueError, match="did you mean 'samples'"):
        logistic.program("pathwise", Settings(budget="sample"))  # pyright: ignore
    with pytest.raises(ValueError, match="eval_every is 30; it must divide steps"):
        logistic.program("pathwise", Settings(steps=100, eval_every=30))
    with pytest.raises(ValueError, match="batch is 0"):
        logistic.program("pathwise", Settings(batch=0))
    with pytest.raises(ValueError, match="unknown estimator"):
        logistic.program("pathwize")


def test_a_short_run_rises_and_repeats_itself():
    def run(seed):
        key = jax.random.key(seed)
        return logistic.train("pathwise", key, num_replicas=2, steps=200, eval_every=50)

    trace = run(0)
    np.testing.assert_array_equal(trace.steps, [50, 100, 150, 200])
    for seen in (trace.elbo, trace.mean_variance, trace.log_scale_variance):
        assert seen.shape == (2, 4)
    start = logistic.exact_elbo(Diagonal(jnp.zeros(DIM), jnp.ones(DIM)), data())
    assert abs(start - -1226.59248) < 1e-4
    # Ascent along the exact gradient ends at -78.05 with this schedule; noise costs about a nat.
    assert np.all(np.abs(trace.elbo[:, -1] - -78.05) < 3)
    assert np.all(np.diff(trace.elbo, axis=1) > 0)
    assert np.all(trace.mean_variance > 0)
    assert np.all(trace.log_scale_variance > 0)
    assert not np.array_equal(trace.elbo[0], trace.elbo[1])
    last = jax.tree.map(lambda leaf: leaf[1], trace.posterior)
    np.testing.assert_allclose(logistic.exact_elbo(last, data()), trace.elbo[1, -1], rtol=1e-6)
    for left, right in zip(jax.tree.leaves(trace), jax.tree.leaves(run(0)), strict=True):
        np.testing.assert_array_equal(left, right)
    assert not np.any(trace.elbo == run(1).elbo)


def test_labels_share_their_minibatches():
    # At the optimum minibatches make nearly all the variance of pathwise (2390 of 2420) and half of
    # that of leave-one-out (2390 of 5270): the correlation is at least sqrt(2390 / 5270) = 0.67.
    # 62 independent estimates of a correlation of 0 would average to 1 / sqrt(400 x 62) = 0.006.
    both = [ascents(label)[0][:, 2] for label in FAST]
    left, right = [(each - each.mean(axis=0)) / each.std(axis=0) for each in both]
    assert np.mean(left * right) > 0.5


@pytest.mark.slow
def test_the_moving_average_is_carried_and_used():
    # The posterior hardly moves, so the first step, without a baseline, shows how large f is, and
    # the later ones how much it varies: 0.37 as much here, 1 if the state were lost. 64 replicas
    # know each step's mean to 0.03.
    trace = logistic.train(
        "score_function+moving_average",
        jax.random.key(5),
        num_replicas=64,
        steps=3,
        eval_every=1,
        learning_rate=1e-6,
    )
    average = trace.average
    assert average is not None
    np.testing.assert_allclose(average.weight, 1 - 0.9**3, rtol=1e-6)
    assert np.all(average.baseline < -500)
    assert average.baseline[0] != average.baseline[1]
    for variance in (trace.mean_variance, trace.log_scale_variance):
        first, *later = np.mean(variance, axis=0)
        assert np.all(np.array(later) < 0.6 * first)


def linear_theory(covariance):
    """Mean and std of how far from its optimum the bound ends, to first order in the noise.

    Near the optimum a step is x <- (I - rate H) x + rate noise, with H the curvature there; the
    bound lies x'Hx/2 below its best. The noise has the covariance that it has at the optimum.
    """
    with jax.enable_x64(True):
        curvature, basis = np.linalg.eigh(-np.asarray(jax.hessian(wide_bound)(best()[0])))
    noise = basis.T @ covariance @ basis
    spread = np.zeros_like(noise)
    rates = np.asarray(logistic.schedule(1e-3, 5000)(np.arange(5000)), np.float64)
    for rate in rates:
        keep = 1 - rate * curvature
        spread = np.outer(keep, keep) * spread + rate**2 * noise
    weighted = curvature[:, None] * spread
    return 0.5 * np.trace(weighted), np.sqrt(0.5 * np.trace(weighted @ weighted))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("label", "num_replicas"),
    [("pathwise", 16), ("score_function+leave_one_out", 16), ("measure_valued", 4)],
)
def test_training_ends_where_linear_theory_says(label, num_replicas):
    # The start is forgotten but for 3e-4 nats (exact gradient ascent ends there). What remains is
    # noise: minibatches alone make 0.067 nats, leave-one-out 0.28. The theory's covariance is known
    # to 1 / sqrt(400).
    covariance = np.cov(ascents(label)[0][:, 2].T)
    mean, std = linear_theory(covariance)
    trace = logistic.train(label, jax.random.key(1), num_replicas=num_replicas)
    gaps = OPTIMUM - np.asarray(trace.elbo[:, -1], np.float64)
    assert np.all(gaps > 0)
    assert abs(gaps.mean() - mean) < 5 * std / np.sqrt(num_replicas)


@pytest.mark.slow
def test_a_diverged_replica_leaves_the_others_alone():
    # With so few samples the score function throws most replicas out in their first steps.
    trace = logistic.train(
        "score_function", jax.random.key(3), num_replicas=16, num_samples=20, steps=400
    )
    lost = np.isnan(trace.elbo[:, -1])
    assert lost.any()
    assert not lost.all()
    assert np.isfinite(trace.elbo[~lost]).all()
    assert np.isnan(trace.posterior.mean[lost]).all(axis=1).all()


@pytest.mark.slow
@pytest.mark.parametrize("noise", ["antithetic", "orthogonal", "sobol"])
def test_every_noise_scheme_trains(noise):
    # 62 weights are two orthogonal blocks, the fewest that have a variance.
    trace = logistic.train("pathwise", jax.random.key(4), noise=noise, num_samples=62, steps=1000)
    assert trace.elbo[0, -1] > -70
    assert np.all(trace.mean_variance > 0)


@pytest.mark.slow
def test_a_replica_does_not_depend_on_how_many_there_are():
    # Their sums differ in order, so by some roundings a step, which ascent does not amplify.
    one, three = (
        logistic.train("pathwise", jax.random.key(6), num_replicas=count, steps=100)
        for count in (1, 3)
    )
    np.testing.assert_allclose(one.elbo[0], three.elbo[0], rtol=1e-4)
    assert abs(three.elbo[1, 0] / three.elbo[0, 0] - 1) > 1e-3
