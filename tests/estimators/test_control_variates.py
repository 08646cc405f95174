"""What control variates do for the variance, and the state of a moving average."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sigmaprop import MovingAverage, Options, estimate, estimators
from sigmaprop.estimators import fitting
from sigmaprop.gaussians import Isotropic

from . import gradient_checks as checks
from .gradient_checks import GAUSSIANS, KINK, SMOOTH, quick_jit

COUNT = 2048


def lifted(x):
    return checks.f(x)[SMOOTH] + 3.0


def variances(labels, gaussian, f=lifted, noise="iid"):
    """The reported variance of each, summed over all parts, from one key."""

    def one(label):
        name, variate, options = estimators.parse(label)
        found = estimate(
            f,
            gaussian,
            jax.random.key(0),
            COUNT,
            estimator=name,
            noise=noise,
            control_variate=variate,
            options=options,
        )
        return sum(jnp.sum(leaf) for leaf in jax.tree.leaves(found.variance))

    with jax.enable_x64(True):
        return [float(v) for v in quick_jit(lambda: [one(label) for label in labels])()]


def test_each_control_variate_of_the_score_function_lowers_its_variance():
    plain, *others = variances(
        [
            "score_function",
            "score_function+mean",
            "score_function+leave_one_out",
            "score_function+at_mean",
            "score_function+delta",
        ],
        GAUSSIANS["diagonal"],
    )
    assert all(other < 0.5 * plain for other in others)
    assert others[-1] < 0.5 * min(others[:-1])


def test_each_control_variate_of_pathwise_lowers_its_variance_at_a_small_scale():
    small = Isotropic(checks.MEAN, np.array(0.05))
    plain, at_mean, delta = variances(["pathwise", "pathwise+at_mean", "pathwise+delta"], small)
    assert at_mean < 0.1 * plain
    assert delta < 0.1 * at_mean


@pytest.mark.parametrize(
    ("label", "bare"),
    [("pathwise+delta", "pathwise"), ("score_function+delta", "score_function+at_mean")],
)
def test_a_fitted_coefficient_does_no_harm_far_from_the_mean(label, bare):
    # At a scale where the quadratic at the mean says little, the plain control adds variance; a
    # fitted one can take the control away. COUNT/2 draws fit it to less than 1% of the variance.
    wide = Isotropic(checks.MEAN, np.array(3.0))

    def wave(x):
        return jnp.sin(checks.A @ x) + jnp.cos(x[0])

    without, plain, fitted = variances([bare, label, f"{label}+fitted"], wide, wave)
    assert plain > 1.2 * without
    assert fitted < 1.05 * without


def test_a_fitted_coefficient_is_the_regression_of_the_other_half():
    draw = np.random.default_rng(0)
    control = draw.normal(size=400)
    gradient = 2.0 * control + 0.1 * draw.normal(size=400)

    def fit(x, z):
        rows = fitting.fold_rows(x, z)
        index, valid = jnp.arange(400), jnp.ones(400, bool)
        both = fitting.folds(fitting.fold_moments(rows, index, valid))
        coefficients = jax.vmap(fitting.coefficient)(both)
        return coefficients, fitting.cross_fitted(both, coefficients)

    with jax.enable_x64(True):
        found = jax.tree.map(np.asarray, quick_jit(fit)(gradient, control))
    coefficients, (estimated, variance) = found
    halves = [slice(0, None, 2), slice(1, None, 2)]
    expected = [np.cov(gradient[h], control[h])[0, 1] / np.var(control[h], ddof=1) for h in halves]
    np.testing.assert_allclose(coefficients, expected, rtol=1e-10)
    residuals = [gradient[h] - c * control[h] for h, c in zip(halves, expected[::-1], strict=True)]
    np.testing.assert_allclose(estimated, np.mean([r.mean() for r in residuals]), rtol=1e-10)
    np.testing.assert_allclose(variance, np.mean([r.var(ddof=1) for r in residuals]), rtol=1e-8)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_control_that_is_nothing_has_no_coefficient(dtype):
    # Rounding gives a covariance of 1e-16 with a control that is 0 but for rounding, or wholly.
    eps = np.finfo(dtype).eps
    tiny = np.array([0.0, eps**2, 1e-3 * eps**2], dtype)
    with jax.enable_x64(True):
        fold = fitting.Fold(
            jnp.array(1000.0, dtype),
            *(jnp.zeros(3, dtype),) * 2,
            jnp.ones(3, dtype),
            jnp.asarray(tiny),
            jnp.full(3, 2 * eps, dtype),
        )
        assert not np.any(np.asarray(fitting.coefficient(fold)))


def test_a_fitted_control_that_is_zero_is_not_a_nan():
    # To the mean the control of pathwise+at_mean is 0, whatever the compiler makes of it.
    gaussian = GAUSSIANS["full"]
    with jax.enable_x64(True):
        found = jax.jit(
            lambda key: estimate(
                lambda x: checks.f(x)[KINK],
                gaussian,
                key,
                128,
                noise="sobol",
                control_variate="at_mean",
                options=Options(fitted=True),
            )
        )(jax.random.key(0))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(found.gradient))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(found.variance))


def test_a_moving_average_is_one_and_leaves_out_what_is_not_finite():
    values = [2.0, 4.0, np.nan, -1.0, np.inf]
    state, weights, total = MovingAverage.empty(), 0.0, 0.0
    assert float(state.baseline) == 0.0
    for value in values:
        state = state.updated(jnp.array(value), 0.9)
        if np.isfinite(value):
            total, weights = 0.9 * total + 0.1 * value, 0.9 * weights + 0.1
        np.testing.assert_allclose(state.baseline, total / weights, rtol=1e-6)


def test_the_state_is_the_baseline_of_the_next_call_and_not_of_its_own():
    gaussian = Isotropic(jnp.array([0.3, -0.7]), jnp.array(0.4))

    def calls():
        key_first, key_next = jax.random.split(jax.random.key(0))

        def call(key, state, f=lambda x: jnp.sum(x**2)):
            return estimate(
                f, gaussian, key, 4, estimator="score_function",
                control_variate="moving_average", state=state, options=Options(decay=0.5),
            )  # fmt: skip

        first = call(key_first, None)
        second = call(key_next, first.state)
        shifted = lambda x: jnp.sum(x**2) - first.state.baseline  # noqa: E731
        plain = estimate(shifted, gaussian, key_next, 4, estimator="score_function")
        raw = estimate(lambda x: jnp.sum(x**2), gaussian, key_first, 4, estimator="score_function")
        return first, second, plain, raw

    first, second, plain, raw = quick_jit(calls)()
    for one, other in ((first, raw), (second, plain)):
        for left, right in zip(
            jax.tree.leaves(one.gradient), jax.tree.leaves(other.gradient), strict=True
        ):
            np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(first.state.baseline, first.value, rtol=1e-6)
    np.testing.assert_allclose(
        second.state.baseline, (0.25 * first.value + 0.5 * second.value) / 0.75, rtol=1e-6
    )


def test_each_entry_of_a_vector_has_a_state_of_its_own():
    gaussian = Isotropic(jnp.array([0.3, -0.7]), jnp.array(0.4))

    def call(state):
        return estimate(
            lambda x: jnp.stack([x[0], 10.0 + x[1]]),
            gaussian,
            jax.random.key(0),
            4,
            estimator="score_function",
            control_variate="moving_average",
            state=state,
        )

    found = quick_jit(lambda: call(call(MovingAverage.empty()).state))()
    assert found.state.baseline.shape == (2,)
    np.testing.assert_allclose(found.state.baseline, found.value, rtol=1e-5)
