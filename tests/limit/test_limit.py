"""The sweep against stored samples, against closed forms, and against itself cut otherwise."""

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from sigmaprop import estimate, estimators, limit, objectives
from sigmaprop.gaussians import Isotropic
from sigmaprop.limit import truth

ALL = (
    ("pathwise", "iid", None),
    ("pathwise", "antithetic", None),
    ("score_function", "iid", None),
    ("score_function", "antithetic", None),
    ("score_function", "iid", "leave_one_out"),
    ("score_function", "antithetic", "leave_one_out"),
    ("forward_difference", "iid", None),
    ("forward_difference", "antithetic", None),
    ("antithetic_difference", "iid", None),
    ("at_mean", "iid", None),
)
CHOSEN = [estimators.get(*one) for one in ALL]
SIGMAS = np.array([0.5, 0.1])


def truth_of(name, dim, sigmas=SIGMAS):
    objective = objectives.get(name, dim)
    point = np.asarray(objective.point, np.float32).astype(np.float64)
    return objective, truth.closed_form(objective, point, sigmas)


QUICK = ("quartic", "sine", "absolute", "step")
"""A polynomial, a wave, a kink and a jump; the others are slow to compile."""


@pytest.mark.parametrize(
    "name",
    [
        name if name in QUICK else pytest.param(name, marks=pytest.mark.slow)
        for name in objectives.names()
    ],
)
def test_every_estimator_agrees_with_the_closed_form(name):
    # 16 objectives x 10 estimators x (d + 1) components x 2 sigmas, fewer than 2,000 t tests with
    # 63 degrees of freedom, at an overall false-alarm rate of 1e-5 (Bonferroni).
    threshold = scipy.stats.t.isf(1e-5 / 2000 / 2, 63)
    objective = objectives.get(name, None if name == "digit_classifier" else 3)
    point = np.asarray(objective.point, np.float32).astype(np.float64)
    if objective.has_closed_form:
        exact = truth.closed_form(objective, point, SIGMAS)
    else:
        exact = limit.reference(objective, point, SIGMAS, jax.random.key(1), 2**14)
    found = limit.sweep(
        objective, exact, CHOSEN, jax.random.key(0), 2**15, num_groups=64, dtype="float64"
    )
    for (label, _), groups in found.estimates.items():
        if label == "at_mean":
            np.testing.assert_allclose(groups.mean[0], np.tile(exact.gradient, (2, 1)), rtol=1e-12)
            continue
        if objective.smoothness == "jump" and label == "pathwise":
            assert not groups.mean.any(), "a step has no pathwise gradient"
            continue
        assert_unbiased(groups.mean - exact.smoothed_mean, exact.mean_error[:, None], threshold)
        if label != "antithetic_difference":
            gap = groups.scale - exact.smoothed_scale
            assert_unbiased(gap, exact.scale_error, threshold)


def assert_unbiased(gaps, reference_error, threshold):
    """Group means centred on 0, within rounding where there is no sampling error."""
    mean = gaps.mean(axis=0)
    error = np.hypot(scipy.stats.sem(gaps, axis=0), reference_error)
    rounding = 1e-11 * max(1.0, np.abs(gaps).max())
    assert np.all(np.abs(mean) < threshold * error + rounding)


@pytest.mark.slow
def test_the_sweep_equals_estimates_from_materialised_noise():
    objective, exact = truth_of("sine", 5)
    key = jax.random.key(4)
    found = limit.sweep(objective, exact, CHOSEN, key, 96, batch_sizes=(8, 96), num_groups=1)
    for i, sigma in enumerate(SIGMAS):
        gaussian = Isotropic(jnp.asarray(exact.point, jnp.float32), jnp.float32(sigma))
        for name, noise, variate in ALL[:2] + ALL[4:5]:
            one = estimate(
                objective,
                gaussian,
                key,
                192 if noise == "antithetic" else 96,
                estimator=name,
                noise=noise,
                control_variate=variate,
            ).gradient
            label = estimators.get(name, noise, variate).label
            swept = found.estimates[label, noise]
            # The same draws in float32; terms of order f / sigma^2 <= 500.
            np.testing.assert_allclose(swept.mean[0, i], one.mean, rtol=1e-4, atol=1e-4)
            np.testing.assert_allclose(swept.scale[0, i], one.scale, rtol=1e-3, atol=1e-3)


def naive_errors(objective, exact, estimator, key, num_draws, size, sigma_index):
    """Errors of every batch, from `estimate`'s own pieces, one batch at a time in float64."""
    eps = np.asarray(jax.random.normal(key, (num_draws, len(exact.point)), jnp.float32), np.float64)
    from sigmaprop.estimators.base import evaluate, from_mean

    gaussian = Isotropic(jnp.asarray(exact.point), jnp.asarray(exact.sigmas[sigma_index]))
    at_mean = estimators.AtMean(*jax.value_and_grad(objective)(gaussian.mean))

    def terms(one):
        seen = from_mean(evaluate(objective, gaussian, one, estimator.needs), at_mean)
        return estimator.terms(gaussian, one, seen, at_mean)

    all_terms = jax.vmap(terms)(jnp.asarray(eps))
    rows = []
    for start in range(0, num_draws - size + 1, size):
        part = jax.tree.map(lambda t: np.asarray(t)[start : start + size].mean(axis=0), all_terms)  # noqa: B023
        average = estimator.combine(part, size)
        average = jax.tree.map(np.add, average, estimator.origin(gaussian, at_mean))
        mean, scale = np.asarray(average.mean), float(average.scale)
        smooth, limit_gradient = exact.smoothed_mean[sigma_index], exact.gradient
        rows.append(
            [
                np.sum((mean - smooth) ** 2),
                np.sum((mean - limit_gradient) ** 2),
                mean @ limit_gradient / np.linalg.norm(mean) / np.linalg.norm(limit_gradient),
                (scale - exact.smoothed_scale[sigma_index]) ** 2,
                scale**2,
            ]
        )
    return np.mean(rows, axis=0)


def test_f_may_have_no_derivative_at_the_point():
    # A norm at 0: E |sigma eps| has the slope sqrt(pi/2) to sigma, and none to the mean.
    zeros, sigmas = np.zeros(2), np.array([0.5, 0.1])
    slope = np.full(2, np.sqrt(np.pi / 2))
    exact = truth.Truth(zeros, zeros * np.nan, sigmas, np.zeros((2, 2)), slope, zeros, zeros)
    labels = ("pathwise", "pathwise+at_mean", "score_function+leave_one_out", "at_mean")
    chosen = [estimators.of_label(label) for label in labels]
    found = limit.sweep(jnp.linalg.norm, exact, chosen, jax.random.key(4), 2**12, batch_sizes=(16,))
    for estimator in chosen[:3]:
        mean, scale = found.estimates[estimator.key]
        assert np.isfinite(mean).all()
        error = np.maximum(scipy.stats.sem(scale, axis=0), 1e-6)
        assert np.all(np.abs(scale.mean(axis=0) - slope) < 5 * error)
        to_smoothed = found.errors[estimator.key][..., [0, 3]]
        assert np.isfinite(to_smoothed).all()
    # The rule whose answer is that derivative has none, and says so.
    assert np.isnan(found.estimates[chosen[3].key].mean).all()
    assert np.isnan(found.at_mean.gradient).all()


@pytest.mark.parametrize(
    "chunk", [16, *(pytest.param(c, marks=pytest.mark.slow) for c in (None, 5))]
)
def test_errors_of_nested_batches_are_those_of_separate_batches(chunk):
    # 100 draws: ragged last chunk, batches inside and outside of chunks, a batch left incomplete.
    objective, exact = truth_of("sine", 3)
    key, sizes = jax.random.key(8), (1, 2, 10, 50)
    with jax.enable_x64(True):
        found = limit.sweep(
            objective,
            exact,
            CHOSEN,
            key,
            103,
            batch_sizes=sizes,
            dtype="float64",
            chunk=chunk,
            num_groups=4,
        )
        assert found.num_batches.tolist() == [103, 51, 10, 2]
        for estimator in CHOSEN:
            errors = found.errors[estimator.label, estimator.noise]
            for level, size in enumerate(sizes):
                if size < estimator.min_draws:
                    assert np.isnan(errors[:, :, level]).all()
                    continue
                expected = naive_errors(objective, exact, estimator, key, 103, size, 0)
                weights = found.group_batches[:, level] / found.num_batches[level]
                held = found.group_batches[:, level] > 0
                got = (errors[held, 0, level] * weights[held, None]).sum(axis=0)
                # float64, but for the last place of the float32 noise, which another program may
                # round otherwise.
                np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-12)


@hypothesis.settings(max_examples=60, deadline=None)
@hypothesis.given(
    factors=st.lists(st.integers(2, 12), min_size=0, max_size=5),
    extra=st.integers(0, 1000),
    dim=st.sampled_from([1, 64, 1000, 10_000]),
    chunk=st.sampled_from([None, 1, 7, 64, 5000]),
)
def test_plans_nest(factors, extra, dim, chunk):
    sizes = tuple(int(s) for s in np.cumprod([1, *factors]))
    plan = limit.make_plan(sizes[-1] + extra, sizes, dim, chunk=chunk)
    assert plan.inside + plan.outside == sizes
    assert all(plan.chunk % size == 0 for size in plan.inside)
    assert all(size % plan.chunk == 0 for size in plan.outside)
    assert plan.chunk * plan.num_chunks >= plan.num_draws
    assert plan.num_groups <= max(plan.num_chunks, 1)


@pytest.mark.parametrize(
    ("num_draws", "sizes", "words"),
    [
        (0, (), "num_samples is 0"),
        (2**32, (), "2^32"),
        (1e4, (), "num_samples is 10000.0; it must be a whole number"),
        (8, (1, 16), "16"),
        (64, (2, 3), "nest"),
        (64, (2.0, 4), "a batch size is 2.0"),
    ],
)
def test_bad_plans_are_refused(num_draws, sizes, words):
    with pytest.raises(ValueError, match=words.replace("^", r"\^")):
        limit.make_plan(num_draws, sizes, 4)


def test_a_chunk_size_changes_nothing_but_rounding():
    objective, exact = truth_of("quartic", 4)
    key = jax.random.key(2)
    one, other = (
        limit.sweep(
            objective, exact, CHOSEN, key, 256, batch_sizes=(1, 4, 16), chunk=chunk, num_groups=2
        )
        for chunk in (128, 16)
    )
    for label in one.errors:
        np.testing.assert_allclose(
            one.errors[label].mean(axis=0), other.errors[label].mean(axis=0), rtol=1e-4, atol=1e-8
        )


def test_progress_counts_every_draw():
    objective, exact = truth_of("quartic", 4)
    seen = []
    limit.sweep(
        objective, exact, CHOSEN[:1], jax.random.key(0), 1000, chunk=64, progress=seen.append
    )
    assert seen[-1] == 1000
    assert seen == sorted(seen)


@pytest.mark.parametrize(("dtype", "digits"), [("float32", 6), ("bfloat16", 1.5)])
def test_f_is_evaluated_in_the_dtype_asked_for(dtype, digits):
    seen = []

    def watched(x):
        seen.append(x.dtype)
        return jnp.sum(jnp.sin(x))

    _, exact = truth_of("cosine", 4)
    found = limit.sweep(watched, exact, CHOSEN[:1], jax.random.key(0), 64, dtype=dtype)
    assert set(seen) == {jnp.dtype(dtype)}
    expected = np.cos(exact.point)
    gap = np.abs(found.at_mean.gradient - expected).max()
    assert gap < 10**-digits
    assert (gap > 1e-4) == (dtype == "bfloat16")


def test_shards_over_all_devices_give_the_same_numbers():
    objective, exact = truth_of("sine", 4)
    devices = jax.local_devices()
    assert len(devices) >= 2, "tests run with two CPU devices"
    one, many = (
        limit.sweep(
            objective, exact, CHOSEN, jax.random.key(0), 4096, batch_sizes=(1, 16), devices=some
        )
        for some in (devices[:1], devices)
    )
    for label in one.estimates:
        # The same draws; a device may sum its 128 rows in another order: a few float32 eps.
        for found, same in (
            (one.estimates[label].mean, many.estimates[label].mean),
            (one.errors[label], many.errors[label]),
        ):
            size = np.nanmax(np.abs(found), initial=1.0)
            np.testing.assert_allclose(found, same, rtol=1e-5, atol=1e-6 * size)


@pytest.mark.slow
def test_without_the_scale_its_gradients_are_unknown_and_the_mean_is_the_same():
    objective, exact = truth_of("sine", 4)
    both, mean = (
        limit.sweep(objective, exact, CHOSEN, jax.random.key(0), 512, batch_sizes=(1, 16), wrt=wrt)
        for wrt in (("mean", "scale"), ("mean",))
    )
    for label, estimate_of_both in both.estimates.items():
        if label[0] != "at_mean":
            assert np.isnan(mean.estimates[label].scale).all()
            assert np.isnan(mean.errors[label][..., 3:]).all()
        found = mean.estimates[label].mean
        np.testing.assert_allclose(found, estimate_of_both.mean, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="wrt"):
        limit.sweep(objective, exact, CHOSEN, jax.random.key(0), 512, wrt=("scale",))


def test_the_gradient_at_the_mean_needs_no_draws():
    objective, exact = truth_of("sine", 4)
    found = limit.sweep(
        objective, exact, CHOSEN[-1:], jax.random.key(0), 100, batch_sizes=(1, 10, 50), num_groups=4
    )
    assert found.num_batches.tolist() == [100, 10, 2]
    groups = found.estimates["at_mean", "iid"]
    gap = np.linalg.norm(groups.mean - exact.gradient, axis=-1)
    assert np.all(gap < 1e-5)
    bias = np.sum((exact.smoothed_mean - exact.gradient) ** 2, axis=-1)
    np.testing.assert_allclose(found.errors["at_mean", "iid"][0, :, 0, 0], bias, rtol=1e-3)
