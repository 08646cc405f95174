"""`estimate`: its noise stream, chunks, variance, and behaviour under jit and vmap."""

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sigmaprop
from sigmaprop import estimate, estimators
from sigmaprop.gaussian import Diagonal, Isotropic

GAUSSIAN = Isotropic(jnp.array([0.3, -0.7]), jnp.array(0.4))


def f(x):
    return jnp.sin(x[0] + 2 * x[1]) + x[1] ** 2


def combinations():
    for label in estimators.labels():
        name, variate, _ = estimators.parse(label)
        for noise in ("iid", "antithetic"):
            if noise == "iid" or name not in ("at_mean", "antithetic_difference"):
                yield name, noise, variate


@hypothesis.settings(max_examples=3, deadline=None)
@hypothesis.given(num_draws=st.integers(2, 60), chunk=st.integers(1, 80))
@pytest.mark.parametrize("which", [0, 4])
def test_a_chunk_size_never_changes_the_noise(which, num_draws, chunk):
    name, noise, variate = list(combinations())[which]
    num_samples = num_draws * (2 if noise == "antithetic" else 1)

    def at(size):
        return estimate(
            f,
            GAUSSIAN,
            jax.random.key(1),
            num_samples,
            estimator=name,
            noise=noise,
            control_variate=variate,
            chunk=size,
        )

    # The same draws summed in another order: a few eps of terms that are of order f / scale^2.
    for one, other in zip(jax.tree.leaves(at(chunk)), jax.tree.leaves(at(None)), strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=2e-4, equal_nan=True)


def repeated(name, noise, variate, num_samples, repeats, gaussian):
    def one(key):
        return estimate(
            f, gaussian, key, num_samples, estimator=name, noise=noise, control_variate=variate
        )

    return jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(7), repeats))


@pytest.mark.parametrize("combination", list(combinations()), ids=lambda c: "-".join(map(str, c)))
def test_reported_variance_is_the_variance_of_the_estimate(combination):
    # Over R independent estimates, both N Var(estimate) and the mean reported variance are known to
    # about sqrt(kurtosis / R); 11 estimators x 3 components at 5 standard errors of the ratio, with
    # the errors bootstrapped from the estimates themselves: false alarm below 1e-4 in all.
    repeats, num_samples = 4000, 32
    found = repeated(*combination, num_samples, repeats, GAUSSIAN)
    for estimates, reported in zip(
        jax.tree.leaves(found.gradient), jax.tree.leaves(found.variance), strict=True
    ):
        estimates = np.asarray(estimates, np.float64).reshape(repeats, -1)
        reported = np.asarray(reported, np.float64).reshape(repeats, -1)
        for e, r in zip(estimates.T, reported.T, strict=True):
            if np.isnan(e).any() or not r.any():
                assert np.isnan(e).all() == np.isnan(r).all()
                continue
            squares = num_samples * (e - e.mean()) ** 2
            gap = squares.mean() - r.mean()
            error = np.sqrt(squares.var() / repeats + r.var() / repeats)
            assert abs(gap) < 5 * error


@pytest.mark.parametrize("num_samples", [2, 8])
def test_leave_one_out_is_unbiased_in_small_batches(num_samples):
    # E f in closed form: d/dm of sin and square under N(m, s^2). 2 sizes x 3 components at 5 sem.
    repeats = 20_000
    found = repeated(
        "score_function", "iid", "leave_one_out", num_samples, repeats, GAUSSIAN
    ).gradient
    m, s = np.asarray(GAUSSIAN.mean, np.float64), float(GAUSSIAN.scale)
    damped = np.cos(m[0] + 2 * m[1]) * np.exp(-5 * s**2 / 2)
    mean = np.array([damped, 2 * damped + 2 * m[1]])
    scale = -5 * s * np.sin(m[0] + 2 * m[1]) * np.exp(-5 * s**2 / 2) + 2 * s
    for estimates, exact in ((found.mean, mean), (found.scale[:, None], scale)):
        error = np.std(np.asarray(estimates), axis=0) / np.sqrt(repeats)
        assert np.all(np.abs(np.asarray(estimates).mean(axis=0) - exact) < 5 * error)


def test_one_sample_has_no_variance_and_no_baseline():
    plain = estimate(f, GAUSSIAN, jax.random.key(0), 1)
    assert np.all(np.isfinite(plain.gradient.mean))
    assert np.all(np.isnan(plain.variance.mean))
    alone = estimate(
        f,
        GAUSSIAN,
        jax.random.key(0),
        1,
        estimator="score_function",
        control_variate="leave_one_out",
    )
    assert np.all(np.isnan(alone.gradient.mean))


def test_a_batch_of_gaussians_by_vmap():
    means = jnp.array([[0.1, 0.2], [0.3, -0.7], [2.0, 1.0]])
    scales = jnp.array([0.1, 0.4, 1.0])
    batch = jax.vmap(lambda m, s: estimate(f, Isotropic(m, s), jax.random.key(1), 100))(
        means, scales
    )
    alone = estimate(f, Isotropic(means[1], scales[1]), jax.random.key(1), 100)
    np.testing.assert_allclose(batch.gradient.mean[1], alone.gradient.mean, rtol=1e-5)


def test_float64_estimates_use_the_same_noise():
    with jax.enable_x64(True):
        wide = Diagonal(jnp.array([0.3, -0.7], jnp.float64), jnp.array([0.4, 0.1], jnp.float64))
        found = estimate(f, wide, jax.random.key(1), 100)
        assert found.gradient.mean.dtype == jnp.float64
    narrow = Diagonal(jnp.array([0.3, -0.7]), jnp.array([0.4, 0.1]))
    single = estimate(f, narrow, jax.random.key(1), 100)
    np.testing.assert_allclose(found.gradient.mean, single.gradient.mean, rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"num_samples": 0}, "num_samples is 0"),
        ({"num_samples": 3, "noise": "antithetic"}, "even"),
        ({"num_samples": 4, "chunk": 0}, "chunk is 0"),
        ({"num_samples": 4, "estimator": "patwise"}, "pathwise"),
    ],
)
def test_bad_arguments_are_refused(options, words):
    count = options.pop("num_samples")
    with pytest.raises(ValueError, match=words):
        estimate(f, GAUSSIAN, jax.random.key(0), count, **options)


def test_the_package_exports_what_the_readme_names():
    for name in sigmaprop.__all__:
        assert getattr(sigmaprop, name) is not None
    assert callable(sigmaprop.estimate)
    assert callable(sigmaprop.limit.sweep)
    assert callable(sigmaprop.objectives.get)
    with pytest.raises(AttributeError):
        sigmaprop.nothing  # noqa: B018
