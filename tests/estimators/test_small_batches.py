"""Batches of one to eight draws: no bias of order 1/N.

A bias of 1/N of the gradient, as the plain mean baseline has, would be over 100 standard errors at
these numbers of keys. z-scores of all comparisons are held to one level by Bonferroni: 58 cases x 6
numbers, a false alarm below 1e-4 (with the skewness of 1 draw, below 1e-3).
"""

import jax
import numpy as np
import pytest

from sigmaprop import MovingAverage, estimate, estimators

from . import gradient_checks as checks
from .gradient_checks import SMOOTH, Case, quick_jit

REPEATS = 40_000
VARIATES = [
    label for label in estimators.labels() if estimators.parse(label).control_variate is not None
]
FAST = {
    ("score_function+mean", 2),
    ("score_function+leave_one_out", 2),
    ("score_function+leave_one_out+fitted", 8),
    ("score_function+delta+fitted", 8),
    ("pathwise+at_mean+fitted", 2),
    ("score_function+moving_average", 1),
}
NEEDS_TWO = ("score_function+mean", "score_function+leave_one_out")


def smooth(x):
    return checks.f(x)[SMOOTH] + 2.0


def cases():
    for label in VARIATES:
        for count in (2, 8) if label in NEEDS_TWO else (1, 2, 8):
            marks = () if (label, count) in FAST else pytest.mark.slow
            yield pytest.param(label, count, marks=marks)


@pytest.mark.parametrize(("label", "num_samples"), list(cases()))
def test_no_control_variate_biases_a_small_batch(label, num_samples):
    case = Case(label, "iid", "diagonal")
    found = checks.run(case, function=smooth, num_samples=num_samples, repeats=REPEATS)
    known = jax.tree.map(lambda leaf: leaf[SMOOTH], checks.expectation_of(case))
    checks.check_unbiased(found.gradient, known)


@pytest.mark.parametrize(
    ("label", "noise", "num_samples"),
    [
        ("score_function+leave_one_out", "antithetic", 4),
        ("score_function+leave_one_out", "orthogonal", 6),
        ("pathwise+delta+fitted", "antithetic", 4),
        ("score_function+at_mean+fitted", "orthogonal", 12),
    ],
)
@pytest.mark.slow
def test_nor_one_of_few_dependent_draws(label, noise, num_samples):
    case = Case(label, noise, "diagonal")
    found = checks.run(case, function=smooth, num_samples=num_samples, repeats=REPEATS)
    known = jax.tree.map(lambda leaf: leaf[SMOOTH], checks.expectation_of(case))
    checks.check_unbiased(found.gradient, known)


def test_moving_average_with_one_draw_a_step_is_unbiased_and_lowers_the_variance():
    # f is 2 and a little: without a baseline the variance is that of 2 eps/s. 20 steps of one draw.
    steps, gaussian = 20, checks.GAUSSIANS["diagonal"]

    def run(key):
        def step(state, step_key):
            found = estimate(
                smooth,
                gaussian,
                step_key,
                1,
                estimator="score_function",
                control_variate="moving_average",
                state=state,
            )
            return found.state, found.gradient

        return jax.lax.scan(step, MovingAverage.empty(), jax.random.split(key, steps))

    with jax.enable_x64(True):
        state, gradients = jax.tree.map(
            np.asarray, quick_jit(jax.vmap(run))(jax.random.split(jax.random.key(3), 20_000))
        )
        gradients = jax.tree.map(np.asarray, gradients)
    known = jax.tree.map(lambda leaf: leaf[SMOOTH], checks.truth("diagonal").gradient)
    for index in (0, 1, 2, steps - 1):
        checks.check_unbiased(jax.tree.map(lambda leaf, i=index: leaf[:, i], gradients), known)
    first, last = (np.var(gradients.mean[:, index], axis=0) for index in (0, steps - 1))
    assert np.all(last < 0.5 * first)
    baseline = state.total / state.weight
    truth = checks.truth("diagonal").value[SMOOTH] + 2.0
    assert abs(baseline.mean() - truth) < 5 * baseline.std() / np.sqrt(len(baseline))
