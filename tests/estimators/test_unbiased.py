"""Every estimator x noise scheme x Gaussian family against closed forms, on f with all three ills.

Each case is run once; its estimates, its values of E f, and the variance that it reports are
checked together. The fast tests take each label once, over all schemes and families in turn; the
slow ones take the rest of the cross product.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate
from scipy.stats import norm

from sigmaprop import Options, estimate, estimators

from . import gradient_checks as checks
from .gradient_checks import ENTRIES, GAUSSIANS, JUMP, KINK, MIXTURES, Case

CASES = checks.cases()
LABELS = tuple(dict.fromkeys(case.label for case in CASES))


def each_label_once():
    """Labels that stand for the very same functions take the same case, and share a run."""
    kinds = list(dict.fromkeys(map(checks.functions, LABELS)))
    for label in LABELS:
        own = [case for case in CASES if case.label == label]
        yield own[5 * kinds.index(checks.functions(label)) % len(own)]


FAST = tuple(each_label_once())
SLOW = tuple(case for case in CASES if case not in FAST)


def without_nan(tree):
    """A family's parts that an estimator defines."""
    return [leaf for leaf in jax.tree.leaves(tree) if not np.isnan(leaf).all()]


def check(case):
    found = checks.found(case)
    estimates, mixes = found.gradient, found.mixture is not None
    if mixes:
        estimates = checks.debiased(case, estimates, found.mixture)
    expected = checks.expectation_of(case)
    if case.label == "antithetic_difference":
        assert all(np.isnan(leaf).all() for leaf in jax.tree.leaves(estimates)[1:])
        estimates, expected = estimates.mean, expected.mean
    checks.check_unbiased(estimates, expected)
    checks.check_unbiased(found.value, checks.truth(case.family).value)
    # Across a jump a mixture's weight moves its expectation, which no half of the draws can see.
    entries = ENTRIES[:JUMP] if mixes else ENTRIES
    rows, variances = ([leaf[:, entries] for leaf in without_nan(tree)] for tree in found[:2])
    checks.check_variance(rows, variances, checks.samples(case))


@pytest.mark.parametrize("case", FAST, ids="-".join)
def test_each_label_is_unbiased_and_knows_its_variance(case):
    check(case)


@pytest.mark.slow
@pytest.mark.parametrize("case", SLOW, ids="-".join)
def test_every_label_with_every_noise_and_family(case):
    check(case)


def test_the_fast_cases_take_every_scheme_family_and_label():
    assert {case.label for case in FAST} >= set(estimators.labels()) - {*checks.WITHOUT_NOISE}
    assert {case.noise for case in FAST} == set(checks.NOISES)
    assert {case.family for case in FAST} == set(GAUSSIANS)
    # The bound on the number of comparisons, from which the level follows.
    numbers = sum(leaf.size for leaf in jax.tree.leaves(GAUSSIANS["low_rank"])) + 1
    assert len(CASES) * len(ENTRIES) * numbers < checks.COMPARISONS


@pytest.mark.slow
@pytest.mark.parametrize(("noise", "probes", "family"), [("antithetic", 2, "full")])
def test_random_probes_of_the_hessian_are_unbiased(noise, probes, family):
    case = Case("bonnet_price", noise, family)
    found = checks.run(case, options=Options(probes=probes))
    checks.check_unbiased(found.gradient, checks.expectation_of(case))
    checks.check_variance(found.gradient, found.variance, checks.samples(case))


def test_pathwise_sees_nothing_of_a_jump_and_the_score_function_all():
    known = checks.truth("full")
    missed = known.gradient.scale[JUMP] - known.no_jump.scale[JUMP]
    assert np.abs(missed).max() > 0.3
    assert np.abs(known.gradient.scale[KINK] - known.no_kink.scale[KINK]).max() > 0.3
    with pytest.raises(checks.Off):
        checks.check_unbiased(
            checks.found(Case("pathwise", "iid", "full")).gradient, known.gradient
        )


@pytest.mark.parametrize("family", ["low_rank"])
def test_quadrature_agrees_with_the_closed_forms(family):
    # 21 nodes a side, 7.9 standard deviations: the smooth entry to rounding; a kink to 1/nodes^2.
    found = checks.run(Case("quadrature", "iid", family), num_samples=21**3, repeats=1)
    found = jax.tree.map(lambda leaf: leaf[0], found)
    known = checks.truth(family)
    for index, tolerance in ((checks.SMOOTH, 1e-9), (KINK, 0.05), (JUMP, 0.5)):
        np.testing.assert_allclose(found.value[index], known.value[index], rtol=0, atol=tolerance)
        for leaf, exact in zip(
            jax.tree.leaves(found.gradient), jax.tree.leaves(known.gradient), strict=True
        ):
            np.testing.assert_allclose(leaf[index], exact[index], rtol=0, atol=tolerance)
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(found.variance))


@pytest.mark.parametrize("dim", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_quadrature_agrees_with_scipy(dim):
    scales = np.array([0.7, 1.3])[:dim]
    mean = np.array([0.4, -0.2])[:dim]

    def g(x, xp=jnp):
        return xp.exp(-(x[0] ** 2)) * xp.cos(x[-1]) + x[0]

    def times_score(*eps):
        x = mean + scales * np.array(eps)
        return g(x, np) * (eps[0] ** 2 - 1) / scales[0] * np.prod(norm.pdf(eps))

    exact, _ = integrate.nquad(times_score, [(-9, 9)] * dim, opts={"epsabs": 1e-10})
    with jax.enable_x64(True):
        gaussian, key = checks.Diagonal(mean, scales), jax.random.key(0)
        found = estimate(g, gaussian, key, 60**dim, estimator="quadrature").gradient
        assert abs(found.scale[0] - exact) < 1e-8


def test_the_closed_forms_agree_with_scipy():
    # Each part but the quadratic is a function of u = a.x + shift alone, N(m, v).
    gaussian = GAUSSIANS["low_rank"]
    with jax.enable_x64(True):
        known = np.asarray(checks.expected_parts(jax.tree.map(jnp.asarray, gaussian)))
    sigma = np.diag(gaussian.scale**2) + gaussian.factor @ gaussian.factor.T
    m, s = checks.A @ gaussian.mean + checks.SHIFT, np.sqrt(checks.A @ sigma @ checks.A)
    for index, g in ((0, np.sin), (2, np.abs), (3, np.sign)):
        exact, _ = integrate.quad(
            lambda z, g=g: g(m + s * z) * norm.pdf(z), -12, 12, points=[-m / s], epsabs=1e-12
        )
        assert abs(known[index] - exact) < 1e-10


def test_a_mixture_is_as_biased_as_its_weight_says_and_says_so():
    for label in MIXTURES:
        case = Case(label, *next((c.noise, c.family) for c in FAST if c.label == label))
        found, known = checks.found(case), checks.truth(case.family)
        weight = found.mixture.weight.mean[:, JUMP]
        assert np.all((weight >= 0) & (weight <= 1))
        missed = np.linalg.norm(known.gradient.mean[JUMP] - known.no_jump.mean[JUMP])
        # The reported bias is weight x |pathwise - score|, a norm: too large by its noise, if any.
        assert found.mixture.bias.mean[:, JUMP].mean() > 0.9 * weight.mean() * missed
