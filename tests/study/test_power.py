"""Power by simulation, against the noncentral t, quadrature, and the families themselves."""

import math

import numpy as np
import pytest
import scipy.stats
from scipy.integrate import quad

from sigmaprop.statistics import (
    Pair,
    Scale,
    smallest_detectable,
    smallest_detectable_by_ranks,
    spread_limit,
)
from sigmaprop.study import Test, judge_tests, smallest_effect, smallest_margin
from sigmaprop.study.detectable import detectable
from sigmaprop.study.power import power

PLAIN, RATIO = Scale("smaller"), Scale("smaller", "ratio", margin=1.25)
DRAWS = 500


def of_t(num, shift, level):
    """P(a t statistic of n - 1 degrees of freedom shows a mean of ``shift`` errors above 0)."""
    return float(scipy.stats.nct.sf(scipy.stats.t.isf((1 - level) / 2, num - 1), num - 1, shift))


def of_two_one_sided_tests(num, spread, margin, level):
    """P(the t interval of numbers of mean 0 lies within the margin), an integral over the std."""
    critical = scipy.stats.t.isf((1 - level) / 2, num - 1)
    error = spread / math.sqrt(num)

    def given(ratio):
        room = (margin - critical * ratio * error) / error
        inside = max(0.0, 2 * scipy.stats.norm.cdf(room) - 1)
        return inside * scipy.stats.chi.pdf(ratio * math.sqrt(num - 1), num - 1)

    return quad(given, 0, 5)[0] * math.sqrt(num - 1)


def agrees(found, expected):
    """Within 4 binomial standard errors."""
    return abs(found.value - expected) < 4 * math.sqrt(expected * (1 - expected) / DRAWS)


@pytest.mark.parametrize(
    ("expect", "scale"),
    [
        ("better", RATIO),
        ("worse", PLAIN),
        ("better", Scale("larger")),
        ("worse", Scale("target", target=3.0)),
        ("better", Scale("target", "ratio", target=3.0)),
    ],
)
def test_power_of_one_comparison_is_that_of_the_noncentral_t(expect, scale):
    found = power(expect, 10, 0.4, 0.35, 1, scale, DRAWS)
    assert agrees(found, of_t(10, 0.35 / 0.4 * math.sqrt(10), 0.95))
    assert found.low < found.value < found.high


def test_holm_s_later_steps_add_a_little():
    """Between the level of the first step alone, and that plus the 5% of studies with another."""
    effect = smallest_detectable(0.4, 10, 1 - 0.05 / 6)
    found = power("better", 10, 0.4, effect, 6, RATIO, DRAWS)
    error = 4 * math.sqrt(0.16 / DRAWS)
    assert 0.8 - error < found.value < 0.8 + 0.05 + error


def test_families_are_judged_as_a_whole():
    """The short cut for members that cannot be decided gives what judging all of them gives."""
    generator = np.random.default_rng(3)
    own = generator.normal(size=(100, 6))
    others = generator.normal(size=(100, 4, 6))
    count = 0
    for mine, rest in zip(own, others, strict=True):
        pairs = [Pair(row, np.zeros(6), PLAIN) for row in (mine - 1.5, *rest)]
        judged = judge_tests([Test("", "f", "", "better", pair) for pair in pairs])
        count += judged[0].answer == "as expected"
    assert power("better", 6, 1.0, 1.5, 5, PLAIN, 100, seed=3).value == count / 100


@pytest.mark.parametrize(("size", "spread"), [(1, 0.2), (4, 0.15)])
def test_power_of_equivalence_is_that_of_two_one_sided_tests(size, spread):
    found = power("equivalent", 10, spread, 0.0, size, RATIO, DRAWS)
    expected = of_two_one_sided_tests(10, spread, math.log(1.25), 1 - 0.05 / size)
    assert 0.3 < expected < 0.95
    assert agrees(found, expected)


def test_power_of_non_inferiority_is_that_of_one_one_sided_test():
    found = power("non_inferior", 10, 0.2, 0.05, 2, RATIO, DRAWS)
    shift = (math.log(1.25) - 0.05) / 0.2 * math.sqrt(10)
    assert agrees(found, of_t(10, shift, 1 - 0.05 / 2))


def test_power_of_a_range_that_is_open_at_one_end():
    found = power("within", 10, 0.4, 0.3, 3, PLAIN, DRAWS, low=-0.1)
    expected = of_t(10, 0.4 / 0.4 * math.sqrt(10), 1 - 0.05 / 3)
    assert agrees(found, expected)
    mirrored = power("outside", 10, 0.4, 0.3, 3, PLAIN, DRAWS, high=-0.1)
    assert agrees(mirrored, expected)
    ratio = power("within", 10, 0.4, 0.3, 3, RATIO, DRAWS, low=math.exp(-0.1))
    assert ratio.value == found.value


@pytest.mark.parametrize(("num", "size"), [(4, 1), (10, 6)])
def test_the_smallest_effect_is_the_smallest_detectable_one(num, size):
    """4 binomial errors of the power, by the slope of the noncentral t's, and .05 of Holm."""
    level = 1 - 0.05 / size
    found = smallest_effect("worse", num, 0.4, size, RATIO, draws=DRAWS)
    expected = smallest_detectable(0.4, num, level)
    error = 4 * math.sqrt(0.16 / DRAWS)
    lowest, highest = (
        smallest_detectable(0.4, num, level, aim) for aim in (0.8 - error - 0.05, 0.8 + error)
    )
    assert lowest < found < highest
    assert abs(found / expected - 1) < 0.1
    assert power("worse", num, 0.4, found, size, RATIO, DRAWS).value >= 0.8
    assert power("worse", num, 0.4, 0.99 * found, size, RATIO, DRAWS).value < 0.8


def test_the_smallest_margin_is_shown_4_times_of_5():
    found = smallest_margin("equivalent", 10, 0.2, 3, RATIO, draws=DRAWS)
    expected = of_two_one_sided_tests(10, 0.2, found, 1 - 0.05 / 3)
    assert abs(expected - 0.8) < 4 * math.sqrt(0.16 / DRAWS)
    one_sided = smallest_margin("non_inferior", 10, 0.2, 3, RATIO, draws=DRAWS)
    assert one_sided < found
    shift = one_sided / 0.2 * math.sqrt(10)
    assert abs(of_t(10, shift, 1 - 0.05 / 3) - 0.8) < 4 * math.sqrt(0.16 / DRAWS)


def test_two_seeds_find_nothing():
    assert power("better", 2, 1.0, 100.0, 1, PLAIN, 50).value == 0
    assert math.isnan(smallest_effect("better", 1, 1.0, 1, PLAIN, draws=50))
    assert math.isnan(smallest_effect("better", 2, 1.0, 1, PLAIN, draws=50))


def test_a_diverged_baseline_takes_power_away():
    """Of 10 seeds in a family of 6, one pair of which b alone diverged outweighs nine in which a
    is worse: however large the effect, it is found where there is none, (1 - .1 x .9)^10."""
    found = power("worse", 10, 1.0, 50.0, 6, PLAIN, DRAWS, divergence=0.1)
    assert agrees(found, 0.91**10)
    assert math.isnan(smallest_effect("worse", 10, 1.0, 6, PLAIN, draws=100, divergence=0.1))


@pytest.mark.parametrize(("helping", "opposed"), [(0, 0), (2, 0), (0, 1), (1, 2)])
def test_what_ranks_detect_is_found_4_times_of_5(helping, opposed):
    """20 seeds at level .05, through `judge_tests`; 2,000 draws of its own have half that error."""
    num = 20 - helping - opposed
    shift = smallest_detectable_by_ranks(0.7, num, (helping, opposed))
    generator = np.random.default_rng(4)
    found = 0
    for _ in range(DRAWS):
        a, b = np.zeros((2, 20))
        a[:num] = shift + 0.7 * generator.normal(size=num)
        a[num : num + helping] = np.nan
        b[num + helping :] = np.nan
        if helping + opposed == 0:
            p = scipy.stats.wilcoxon(a).pvalue
            found += p < 0.05 and np.median(a) > 0
            continue
        (one,) = judge_tests([Test("", "f", "", "worse", Pair(a, b, PLAIN))])
        found += one.answer == "as expected"
    error = math.sqrt(0.16 / DRAWS + 0.16 / 2000)
    assert abs(found / DRAWS - 0.8) < 4 * error


def test_ranks_cannot_find_what_a_few_runs_outweigh():
    assert math.isinf(smallest_detectable_by_ranks(1.0, 9, (0, 1), 1 - 0.05 / 6))
    assert math.isinf(smallest_detectable_by_ranks(1.0, 5))
    assert math.isfinite(smallest_detectable_by_ranks(1.0, 6))
    assert math.isnan(smallest_detectable_by_ranks(1.0, 0, (3, 3)))


def test_detectable_effects_go_by_the_side_that_is_expected():
    generator = np.random.default_rng(5)
    a, b = np.exp(generator.normal(size=(2, 10)))
    pair = Pair(a, b, RATIO, 1e-9)
    both = np.log(a) - np.log(b)
    limit = spread_limit(float(both.std(ddof=1)), 10)
    plain = math.exp(smallest_detectable(limit, 10, 0.99))
    assert detectable(pair, 0.99) == pytest.approx(plain, rel=1e-12)
    a[3] = np.nan
    lost = Pair(a, b, RATIO, 1e-9)
    worse, better = (detectable(lost, 1 - 0.05 / 6, side) for side in (1, -1))
    assert worse < math.inf == better == detectable(lost, 1 - 0.05 / 6)
    larger = lost._replace(scale=Scale("larger", "ratio"))
    assert [detectable(larger, 1 - 0.05 / 6, side) for side in (1, -1)] == [worse, better]
    assert math.isnan(detectable(Pair(np.ones(5), np.ones(5), PLAIN), 0.95))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: power("better", 10, 0.0, 1.0, 1, PLAIN), "spread = 0 is none"),
        (lambda: power("better", 10, 1.0, 1.0, 0, PLAIN), "family_size = 0 is none"),
        (lambda: power("better", 10, 1.0, 1.0, 1, PLAIN, 0), "draws = 0 is none"),
        (lambda: power("beter", 10, 1.0, 1.0, 1, PLAIN, 1), "did you mean 'better'"),
        (lambda: power("within", 10, 1.0, 1.0, 1, PLAIN, 1), "no range"),
        (lambda: power("better", 10, 1.0, 1.0, 1, PLAIN, 1, divergence=1), "divergence = 1 is no"),
        (lambda: smallest_effect("within", 10, 1.0, 1, PLAIN), "'within' has no smallest effect"),
        (lambda: smallest_margin("better", 10, 1.0, 1, PLAIN), "'better' has no smallest margin"),
    ],
)
@pytest.mark.unchecked
def test_what_cannot_be_simulated_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
