"""Identities between estimators, draw by draw: the same noise, the same numbers to rounding.

Everything is float64 but the noise, whose float32 numbers may differ in their last place (1e-7)
from one piece of a program to the next.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sigmaprop import estimate, estimators
from sigmaprop.gaussians import Diagonal, Full, LowRank

from . import gradient_checks as checks
from .gradient_checks import GAUSSIANS, quick_jit

KEY, COUNT = 3, 12
DIAGONAL = GAUSSIANS["diagonal"]


def of(label, gaussian, noise="iid", f=checks.f, num_samples=COUNT):
    """The gradient from one fixed key, in a function of its own to be compiled with others."""
    name, variate, options = estimators.parse(label)
    return estimate(
        f,
        gaussian,
        jax.random.key(KEY),
        num_samples,
        estimator=name,
        noise=noise,
        control_variate=variate,
        options=options,
    )


def together(make):
    """All that ``make()`` returns, from one program."""
    with jax.enable_x64(True):
        return jax.tree.map(np.asarray, quick_jit(make)())


def assert_same(left, right, rtol=2e-6):
    for one, other in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True):
        np.testing.assert_allclose(one, other, rtol=rtol, atol=rtol)


@pytest.mark.slow
def test_score_function_in_all_its_forms():
    gaussian = GAUSSIANS["low_rank"]

    def estimates():
        start = checks.f(gaussian.mean)
        labels = (
            "forward_difference",
            "score_function+at_mean",
            "score_function+mean",
            "score_function+leave_one_out",
        )
        plain = [of(label, gaussian).gradient for label in labels]
        less = of("score_function", gaussian, f=lambda x: checks.f(x) - start).gradient
        pairs = of("score_function", gaussian, "antithetic", num_samples=2 * COUNT).gradient
        return *plain, less, pairs, of("antithetic_difference", gaussian).gradient

    forward, at_mean, mean, leave_one_out, less, pairs, difference = together(estimates)
    assert_same(forward, at_mean)
    assert_same(forward, less)
    assert_same(mean, leave_one_out)
    assert_same(difference.mean, pairs.mean)
    assert all(np.isnan(leaf).all() for leaf in jax.tree.leaves(difference)[1:])


def test_fitted_constants_are_one_estimator():
    # Mean, leave-one-out and f(m) are constants; a fitted one is the constant of least variance.
    labels = ("mean", "leave_one_out", "at_mean")
    kinds = [checks.functions(f"score_function+{label}+fitted") for label in labels]
    assert kinds[0] == kinds[1] == kinds[2]


@pytest.mark.parametrize(
    "label",
    ["pathwise", "score_function", "measure_valued", "bonnet_price"],
)
def test_a_diagonal_factor_gives_the_diagonal_gaussian(label):
    full = Full(DIAGONAL.mean, np.diag(DIAGONAL.scale))

    def both():
        return of(label, DIAGONAL).gradient, of(label, full).gradient

    diagonal, whole = together(both)
    assert_same(diagonal.mean, whole.mean)
    assert_same(diagonal.scale, np.diagonal(whole.scale, axis1=-2, axis2=-1))
    assert not np.any(np.triu(whole.scale, 1))


@pytest.mark.parametrize(
    "label", ["score_function", pytest.param("measure_valued", marks=pytest.mark.slow)]
)
def test_a_factor_of_zeros_gives_the_diagonal_gaussian(label):
    # It draws more noise, so the agreement is one of distributions: means within 5 standard errors,
    # variances within 5 of theirs (2 + 2 comparisons of 3 entries x 3 numbers).
    low_rank = LowRank(DIAGONAL.mean, DIAGONAL.scale, np.zeros((3, 1)))
    repeats, count = 500, 16
    name = estimators.parse(label).name

    def both(key):
        keys = jax.random.split(key)
        return tuple(
            estimate(checks.f, gaussian, one, count, estimator=name)
            for one, gaussian in zip(keys, (DIAGONAL, low_rank), strict=True)
        )

    with jax.enable_x64(True):
        keys = jax.random.split(jax.random.key(KEY), repeats)
        found = jax.tree.map(np.asarray, quick_jit(jax.vmap(both))(keys))
    for part in ("mean", "scale"):
        for quantity in ("gradient", "variance"):
            one, other = (getattr(getattr(each, quantity), part) for each in found)
            error = np.sqrt((one.var(0) + other.var(0)) / repeats)
            assert np.all(abs(one.mean(0) - other.mean(0)) <= 5 * error)


def test_one_low_rank_sample_is_the_derivative_of_log_prob():
    # The marginal score: of x, not of the noise behind it.
    gaussian = GAUSSIANS["low_rank"]

    def both():
        eps = jax.random.normal(jax.random.key(1), (5, gaussian.noise_dim))

        def slope(e):
            x = gaussian.from_noise(e)
            return jax.grad(lambda g: g.log_prob(x))(jax.tree.map(jnp.asarray, gaussian))

        return jax.vmap(gaussian.score)(eps), jax.vmap(slope)(eps)

    assert_same(*together(both), rtol=1e-10)


def test_antithetic_pairs_are_exact_to_the_mean_for_a_quadratic():
    gaussian = GAUSSIANS["low_rank"]

    def exact():
        found = of("pathwise", gaussian, "antithetic", lambda x: checks.parts(x)[1], 2)
        return found.gradient.mean, checks.Q @ gaussian.mean

    assert_same(*together(exact))


def test_delta_is_exact_for_a_quadratic():
    gaussian = GAUSSIANS["full"]

    def both():
        return [
            of(f"{name}+delta", gaussian, f=lambda x: checks.parts(x)[1], num_samples=3)
            for name in ("pathwise", "score_function")
        ]

    exact = jax.tree.map(lambda leaf: leaf[checks.SMOOTH], checks.truth("full").gradient)
    sine = together(
        lambda: jax.grad(lambda g: checks.expected_parts(g)[0])(jax.tree.map(jnp.asarray, gaussian))
    )
    for found in together(both):
        assert_same(found.gradient, jax.tree.map(np.subtract, exact, sine))
        assert all(np.all(np.abs(leaf) < 1e-20) for leaf in jax.tree.leaves(found.variance))


def smooth(x):
    return checks.f(x)[checks.SMOOTH]


def test_common_random_numbers_cancel_in_differences():
    # One key: a difference of neighbours has a variance of order of their distance squared.
    shift = 1e-3
    near = Diagonal(DIAGONAL.mean + shift, DIAGONAL.scale * (1 + shift))

    def gaps(key):
        mine, other = jax.random.split(key)
        return tuple(
            estimate(smooth, DIAGONAL, mine, COUNT).value
            - estimate(smooth, near, theirs, COUNT).value
            for theirs in (mine, other)
        )

    with jax.enable_x64(True):
        keys = jax.random.split(jax.random.key(KEY), 200)
        common, independent = map(np.asarray, quick_jit(jax.vmap(gaps))(keys))
    assert common.var() < 1e-4 * independent.var()
