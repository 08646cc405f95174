"""Deliberate mistakes are caught by the very checks that the suite is made of.

Each mutant is a factor of 2, a sigma, a half, a sign, an N/(N - 1) or a transpose that one easily
gets wrong. It must fail `check_unbiased` or `check_variance`; what is right passes them, here on
the same cases and elsewhere on all.
"""

import importlib
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.linalg import solve_triangular

from sigmaprop import Options, estimators
from sigmaprop.estimators import averaging, registry, units
from sigmaprop.estimators.base import gradient_at_mean, no_origin, scaled, with_mean
from sigmaprop.gaussians import Diagonal, Full, Isotropic, LowRank
from sigmaprop.gaussians.woodbury import Woodbury
from sigmaprop.noise.sobol import Scramble

from . import gradient_checks as checks
from .gradient_checks import SMOOTH, Case

REAL_GET = estimators.get
# Modules that share their name with a function of the package.
antithetic, bonnet_price, fitting, measure_valued, score_function = (
    importlib.import_module(f"sigmaprop.estimators.{name}")
    for name in ("antithetic", "bonnet_price", "fitting", "measure_valued", "score_function")
)


def f(x):
    """Smooth, with E f far enough from f(m) for baselines to matter."""
    return checks.f(x)[SMOOTH] + 2.0 * jnp.sum(x**2)


def expected(case):
    """The truth of f: that of the smooth entry, and of the square."""
    known = jax.tree.map(lambda leaf: leaf[SMOOTH], checks.truth(case.family).gradient)
    with jax.enable_x64(True):
        gaussian = jax.tree.map(jnp.asarray, checks.GAUSSIANS[case.family])
        square = jax.grad(lambda g: 2.0 * (g.mean @ g.mean + jnp.trace(checks.dense(g))))(gaussian)
        return jax.tree.map(lambda one, other: one + np.asarray(other), known, square)


def bias(case, **changed):
    found = checks.run(case, function=f, repeats=1000, **changed)
    estimates, truth = found.gradient, expected(case)
    if case.label == "antithetic_difference":
        estimates, truth = estimates.mean, truth.mean
    checks.check_unbiased(estimates, truth)


def variance(case, **changed):
    count = changed.get("num_samples") or checks.samples(case)
    found = checks.run(case, function=f, repeats=4000, **changed)
    checks.check_variance(found.gradient, found.variance, count)


def change(**parts):
    """Estimators with some of their functions replaced, each made from the right one."""

    def apply(patch):
        def get(*arguments):
            right = REAL_GET(*arguments)
            return right._replace(**{name: make(right) for name, make in parts.items()})

        patch.setattr(registry, "get", get)

    return apply


def replace(owner, name, make):
    """A function of a module or class, replaced by what ``make`` makes of it."""

    def apply(patch):
        patch.setattr(owner, name, make(getattr(owner, name)))

    return apply


def times(factor, part=None):
    """Terms with their gradient, or one part of it, multiplied."""

    def make(right):
        def terms(*arguments):
            found = right.terms(*arguments)
            gradient = jax.tree.map(lambda leaf: factor * leaf, found.gradient)
            if part == "mean":
                gradient = with_mean(found.gradient, gradient.mean)
            return found._replace(gradient=gradient)

        return terms

    return make


def result(by):
    """A function whose result is changed."""
    return lambda right: lambda *arguments, **keywords: by(right(*arguments, **keywords))


def untransposed(right):
    del right

    def from_whitened(self, slope, diagonal, eps):
        g = jnp.outer(slope, eps)
        g = g - jnp.diag(jnp.diagonal(g)) + jnp.diag(diagonal)
        solved = solve_triangular(self.scale, jnp.c_[slope, g], lower=True)
        return Full(solved[:, 0], jnp.tril(solved[:, 1:]))

    return from_whitened


def own_value_kept(right):
    """The baseline of the batch itself: the gradient less the plain product of averages."""
    del right
    return lambda terms, n: jax.tree.map(
        jnp.subtract, terms.gradient, scaled(terms.value, terms.score)
    )


def unswapped(right):
    def cross_fitted(both, coefficients):
        return right(both, jax.tree.map(lambda leaf: leaf[::-1], coefficients))

    return cross_fitted


class Mutant(NamedTuple):
    """A mistake, the case in which it shows, and the check that must find it."""

    apply: Callable
    label: str
    noise: str = "iid"
    family: str = "isotropic"
    check: Callable = bias
    changed: dict = {}  # noqa: RUF012

    @property
    def case(self):
        return Case(self.label, self.noise, self.family)


MUTANTS = {
    "score twice": Mutant(change(terms=times(2.0)), "score_function"),
    "score with the sign of a cost": Mutant(change(terms=times(-1.0)), "forward_difference"),
    "score without sigma": Mutant(
        replace(
            Isotropic,
            "score",
            lambda right: (
                lambda self, eps: jax.tree.map(lambda s: self.scale * s, right(self, eps))
            ),
        ),
        "score_function",
    ),
    "score of the scale without its -1": Mutant(
        replace(
            Diagonal,
            "score",
            lambda right: lambda self, e: Diagonal(e / self.scale, e**2 / self.scale),
        ),
        "score_function+at_mean",
        family="diagonal",
    ),
    "L^-1 for L^-T": Mutant(
        replace(Full, "_from_whitened", untransposed), "score_function", family="full"
    ),
    "LowRank score without Woodbury": Mutant(
        replace(Woodbury, "unexplained", result(jnp.ones_like)), "score_function", family="low_rank"
    ),
    "LowRank mean without Woodbury": Mutant(
        replace(
            LowRank,
            "_solve_spread",
            lambda right: lambda self, k, e: (self.spread(e) / self.scale, right(self, k, e)[1]),
        ),
        "score_function",
        family="low_rank",
    ),
    "pathwise without its origin": Mutant(change(origin=lambda right: no_origin), "pathwise"),
    "pathwise twice to the mean": Mutant(
        change(terms=times(2.0, "mean")), "pathwise", noise="sobol"
    ),
    "delta without Price's rule at the mean": Mutant(
        change(origin=lambda right: gradient_at_mean), "pathwise+delta"
    ),
    "delta without the half of the quadratic": Mutant(
        replace(score_function, "hessian_times", result(lambda h: 2.0 * h)), "score_function+delta"
    ),
    "Price's rule with the half of dSigma": Mutant(
        replace(bonnet_price, "_curvature", result(lambda g: jax.tree.map(lambda x: x / 2, g))),
        "bonnet_price",
    ),
    "a weak derivative without sqrt(2 pi)": Mutant(
        replace(measure_valued, "_terms", lambda right: lambda g, e, d, x: right(g, e, 2.5 * d, x)),
        "measure_valued",
    ),
    "Rayleigh draws of sigma 2": Mutant(
        replace(measure_valued, "_rayleigh", result(lambda r: np.sqrt(2.0) * r)), "measure_valued"
    ),
    "a Maxwell draw of one side": Mutant(
        replace(measure_valued, "_maxwell", result(jnp.abs)), "measure_valued"
    ),
    "pairs added, not averaged": Mutant(
        lambda patch: patch.setattr(
            antithetic,
            "_pair",
            lambda one, other: antithetic.as_unit(jax.tree.map(jnp.add, one, other)),
        ),
        "score_function",
        "antithetic",
    ),
    "a central difference over sigma": Mutant(
        change(terms=times(2.0, "mean")), "antithetic_difference"
    ),
    "the mean baseline without N/(N-1)": Mutant(
        change(combine=own_value_kept), "score_function+mean", changed={"num_samples": 4}
    ),
    "leave-one-out with all in": Mutant(
        change(combine=own_value_kept), "score_function+leave_one_out", changed={"num_samples": 4}
    ),
    "an unshifted net": Mutant(
        replace(units, "scramble", result(lambda net: Scramble(net.directions, 0 * net.shift))),
        "score_function",
        "sobol",
    ),
    "rows of one length": Mutant(
        lambda patch: None,
        "forward_difference",
        "orthogonal",
        changed={"options": Options(radius="fixed")},
    ),
    "pairs counted as one sample": Mutant(
        replace(
            averaging, "_variance_per_unit", result(lambda g: jax.tree.map(lambda x: x / 2, g))
        ),
        "score_function",
        "antithetic",
        check=variance,
    ),
    "a baseline that is not correlated": Mutant(
        replace(
            averaging,
            "_left_out",
            lambda right: (
                lambda n, v, vs, vp, sp, vg, gs, gp: right(n, v, vs, vp, sp, vg, 0 * gs, gp)
            ),
        ),
        "score_function+leave_one_out",
        "orthogonal",
        check=variance,
    ),
    "a variance over N, not N - 1": Mutant(
        replace(
            averaging.moments,
            "variance",
            lambda right: lambda m: jax.tree.map(lambda s: s / m.rows, m.squares),
        ),
        "pathwise",
        check=variance,
        changed={"num_samples": 4},
    ),
}


NAMES = [
    pytest.param(name, marks=pytest.mark.slow if i % 2 else ()) for i, name in enumerate(MUTANTS)
]


@pytest.mark.parametrize("name", NAMES)
def test_a_mutant_is_caught(name, monkeypatch):
    mutant = MUTANTS[name]
    mutant.apply(monkeypatch)
    with pytest.raises(checks.Off):
        mutant.check(mutant.case, **mutant.changed)


RIGHT = {
    (m.case, m.check, *m.changed.items()): m for m in MUTANTS.values() if "options" not in m.changed
}


@pytest.mark.slow
@pytest.mark.parametrize("mutant", RIGHT.values(), ids=lambda m: "-".join(m.case))
def test_what_is_right_passes(mutant):
    mutant.check(mutant.case, **mutant.changed)


@pytest.mark.slow
def test_coefficients_fitted_on_their_own_half_are_caught(monkeypatch):
    # A bias of order 1/N: it takes 40 000 batches to be sure of it.
    case = Case("score_function+leave_one_out+fitted", "iid", "isotropic")
    monkeypatch.setattr(fitting, "cross_fitted", unswapped(fitting.cross_fitted))
    found = checks.run(case, function=f, num_samples=32, repeats=40_000)
    with pytest.raises(checks.Off):
        checks.check_unbiased(found.gradient, expected(case))
