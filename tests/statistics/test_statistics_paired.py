"""Paired comparisons over seeds against SciPy, worked examples and simulation."""

import numpy as np
import pytest
import scipy.stats

from sigmaprop import statistics


def pair(num=12, seed=0):
    a, b = np.random.default_rng(seed).normal(size=(2, num))
    return a + 0.3, b


def misses(method, draws, level, truth=0.0):
    """How many intervals of the mean of each row leave out the truth."""
    zero = np.zeros(draws.shape[1])
    found = [statistics.paired_difference(row, zero, level, method=method) for row in draws]
    return sum(not one.low <= truth <= one.high for one in found)


@pytest.mark.parametrize("level", [0.9, 0.95])
def test_t_interval_and_p_value_are_those_of_scipy(level):
    a, b = pair()
    test = scipy.stats.ttest_rel(a, b)
    expected = test.confidence_interval(level)
    found = statistics.paired_difference(a, b, level)
    assert found.value == pytest.approx(np.mean(a - b), rel=1e-13)
    assert found.error == pytest.approx(scipy.stats.sem(a - b), rel=1e-13)
    assert found.low == pytest.approx(expected.low, rel=1e-10)
    assert found.high == pytest.approx(expected.high, rel=1e-10)
    assert statistics.paired_p_value(a, b) == pytest.approx(test.pvalue, rel=1e-10)


def test_t_interval_covers_at_its_level():
    # 2,000 data sets of 8 seeds: the count of misses is binomial, once in 10^4 outside.
    draws = np.random.default_rng(1).normal(size=(2000, 8))
    low, high = scipy.stats.binom(2000, 0.05).interval(1 - 1e-4)
    assert low <= misses("t", draws, 0.95) <= high


def test_bootstrap_interval_covers_skewed_differences():
    # BCa at n = 40 misses 5% to O(1/n); 150 sets, once in 10^4 above what 8% would give.
    draws = np.random.default_rng(2).exponential(size=(150, 40))
    assert misses("bca", draws, 0.95, truth=1.0) <= scipy.stats.binom(150, 0.08).ppf(1 - 1e-4)


def test_bootstrap_interval_is_fixed_and_near_the_t_interval_of_many_normal_pairs():
    a, b = pair(200)
    first, second = (statistics.paired_difference(a, b, method="bca") for _ in range(2))
    assert first == second
    by_t = statistics.paired_difference(a, b)
    assert first.value == by_t.value
    # They differ in O(1/n) of the width, and by the noise of 9,999 resamples: 2% of an error.
    assert abs(first.low - by_t.low) < 0.15 * by_t.error
    assert abs(first.high - by_t.high) < 0.15 * by_t.error


def test_bootstrap_interval_leans_to_the_long_tail():
    skewed = np.random.default_rng(3).exponential(size=30)
    found = statistics.paired_difference(skewed, np.zeros(30), method="bca")
    assert found.high - found.value > found.value - found.low


@pytest.mark.parametrize("method", ["t", "bca"])
def test_one_pair_has_no_interval(method):
    value, *rest = statistics.paired_difference(np.ones(1), np.zeros(1), method=method)
    assert value == 1
    assert np.isnan(rest).all()
    assert np.isnan(statistics.paired_p_value(np.ones(1), np.zeros(1)))


@pytest.mark.parametrize("method", ["t", "bca"])
def test_equal_differences_have_no_interval(method):
    value, error, *ends = statistics.paired_difference(
        np.full(5, 3.0), np.full(5, 1.0), method=method
    )
    assert (value, error) == (2.0, 0.0)
    assert np.isnan(ends).all()
    # Not certain either: five pairs of one sign.
    assert statistics.paired_p_value(np.full(5, 3.0), np.full(5, 1.0)) == 2 / 2**5


def test_a_diverged_run_is_behind_every_finite_one_of_both_arms():
    a, b = np.array([1.0, np.nan, 9.0, np.inf]), np.array([2.0, 3.0, np.nan, -np.inf])
    assert statistics.differences(a, b).tolist() == [-1, np.inf, -np.inf, 0]
    assert statistics.differences(a, b, "smallest").tolist() == [-1, -np.inf, np.inf, 0]


def test_where_runs_diverged_the_middle_is_the_median_without_an_interval():
    a, b = np.array([1.0, np.nan, 4.0, 5.0, 7.0]), np.array([2.0, 3.0, 3.5, 3.0, 4.0])
    value, *rest = statistics.paired_difference(a, b)
    assert value == 2.0  # of -1, .5, 2, 3 and infinity
    assert np.isnan(rest).all()
    assert statistics.log_ratio(a, b, 1e-9).value == pytest.approx(5 / 3)
    assert statistics.paired_difference(np.full(3, np.nan), np.ones(3)).value == np.inf


@pytest.mark.parametrize("test", ["t", "signed_rank"])
def test_ranks_decide_where_runs_diverged(test):
    a, b = pair(9)
    a[[2, 5]] = np.nan
    # Ranks do not ask how much larger than all others infinity is.
    far = scipy.stats.wilcoxon(np.where(np.isnan(a), 1e3 + np.arange(9), a) - b).pvalue
    with_ties = statistics.paired_p_value(a, b, test=test)
    assert with_ties == pytest.approx(far, rel=0.3)
    signs = np.array(np.meshgrid(*[[-1, 1]] * 9)).reshape(9, -1)
    sizes = scipy.stats.rankdata(np.abs(statistics.differences(a, b)))
    every = sizes @ signs
    found = sizes @ np.sign(statistics.differences(a, b))
    assert with_ties == pytest.approx(np.mean(np.abs(every) >= abs(found)), rel=1e-12)


def test_signed_rank_test_is_that_of_scipy_without_ties():
    for seed, num in enumerate((3, 6, 9, 14)):
        values = np.random.default_rng(seed).normal(0.3, size=num)
        expected = scipy.stats.wilcoxon(values).pvalue
        assert statistics.signed_rank_p_value(values) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("num", "smallest"), [(3, 0.25), (4, 0.125), (5, 0.0625), (6, 0.03125)])
def test_smallest_signed_rank_p_value(num, smallest):
    lost, ended = np.full(num, np.nan), np.arange(1.0, num + 1)
    assert statistics.paired_p_value(lost, ended) == smallest
    assert statistics.paired_p_value(ended, lost) == smallest


def test_two_arms_that_always_diverge_do_not_differ():
    lost = np.full(8, np.nan)
    assert statistics.paired_difference(lost, lost).value == 0
    assert statistics.paired_p_value(lost, lost) == 1


def test_log_ratio_is_the_geometric_mean():
    b = np.random.default_rng(4).lognormal(size=9)
    factors = np.random.default_rng(5).lognormal(-0.5, 0.1, size=9)
    found = statistics.log_ratio(factors * b, b, 1e-9)
    expected = scipy.stats.ttest_1samp(np.log(factors), 0).confidence_interval(0.95)
    assert found.value == pytest.approx(scipy.stats.gmean(factors), rel=1e-12)
    assert found.error == pytest.approx(scipy.stats.sem(np.log(factors)), rel=1e-10)
    assert (found.low, found.high) == pytest.approx(tuple(np.exp(expected)), rel=1e-9)


def test_log_ratio_counts_what_lies_below_the_floor_as_the_floor():
    a, b = np.array([-1e-4, 2e-3, 2e-3]), np.array([1e-3, 1e-3, 4e-3])
    found = statistics.log_ratio(a, b, 1e-3)
    # Ratios 1, 2 and 1/2.
    assert found.value == pytest.approx(1.0, rel=1e-12)
    value, error, *ends = statistics.log_ratio(a, b, np.array([1e-3, 4e-3, 4e-3]))
    assert (value, error) == (1.0, 0.0)
    assert np.isnan(ends).all()


def test_signed_rank_test_is_exact_for_few_seeds():
    # All six differences of one sign: 2 of the 2^6 sign patterns.
    a = np.array([1.0, 2.5, 3.2, 4.1, 5.7, 6.3])
    assert statistics.paired_p_value(a, np.zeros(6), test="signed_rank") == 2 / 64


@pytest.mark.parametrize("test", ["t", "signed_rank"])
def test_no_difference_at_all_is_never_significant(test):
    assert statistics.paired_p_value(np.ones(8), np.ones(8), test=test) == 1


def test_smallest_detectable_difference_is_found_with_its_power():
    # 1,000 studies of 9 pairs with that difference: rejections are binomial around 80%.
    num = 9
    shift = statistics.smallest_detectable(2.0, num)
    draws = np.random.default_rng(6).normal(shift, 2.0, size=(1000, num))
    found = sum(statistics.paired_p_value(row, np.zeros(num)) < 0.05 for row in draws)
    low, high = scipy.stats.binom(1000, 0.8).interval(1 - 1e-4)
    assert low <= found <= high


def test_smallest_detectable_difference_of_many_pairs_is_the_normal_one():
    normal = scipy.stats.norm.ppf(0.975) + scipy.stats.norm.ppf(0.8)
    # Student's t with f degrees of freedom departs from the normal by O(1/f).
    assert statistics.smallest_detectable(1.0, 10_000) == pytest.approx(normal / 100, rel=1e-3)


def test_smallest_detectable_difference_of_an_interval_or_a_std():
    a, b = pair()
    found = statistics.paired_difference(a, b)
    by_std = statistics.smallest_detectable(float(np.std(a - b, ddof=1)), len(a))
    assert statistics.smallest_detectable(found, len(a)) == pytest.approx(by_std, rel=1e-12)
    assert statistics.smallest_detectable(found, 2) > by_std
    assert np.isnan(statistics.smallest_detectable(1.0, 1))


@pytest.mark.parametrize(
    ("num", "alone", "of_3", "of_6"),
    [(4, 2.13, 3.12, 3.96), (5, 1.68, 2.29, 2.76), (10, 1.00, 1.22, 1.37), (30, 0.53, 0.62, 0.68)],
)
def test_smallest_detectable_difference_knows_the_family(num, alone, of_3, of_6):
    levels = (1 - 0.05 / family for family in (1, 3, 6))
    found = [statistics.smallest_detectable(1.0, num, level) for level in levels]
    np.testing.assert_allclose(found, [alone, of_3, of_6], atol=0.005)


def test_the_first_rejection_of_a_family_has_its_power():
    # The difference found 4 times of 5 alone is found .48 and .31 of the time after Holm of 3, 6.
    generator = np.random.default_rng(9)
    draws = generator.normal(size=(20_000, 4))
    size = draws.mean(axis=1) * 2 / draws.std(axis=1, ddof=1)
    freedom, shift = 3, 2.13 * 2
    t = (draws.mean(axis=1) * 2 + shift) / draws.std(axis=1, ddof=1)
    for family, power in ((1, 0.8), (3, 0.48), (6, 0.31)):
        critical = scipy.stats.t.isf(0.025 / family, freedom)
        assert np.mean(t > critical) == pytest.approx(power, abs=0.015)
        # Two-sided level, 4 standard errors.
        level = 0.05 / family
        assert abs(np.mean(np.abs(size) > critical) - level) < 4 * np.sqrt(level / 20_000)


@pytest.mark.parametrize("num", [4, 10])
def test_the_limit_of_a_spread_is_missed_once_in_twenty(num):
    # 20,000 stds of normal numbers: the count of limits below the truth, 4 standard errors.
    stds = np.random.default_rng(10).normal(size=(20_000, num)).std(axis=1, ddof=1)
    below = np.mean([statistics.spread_limit(std, num) < 1 for std in stds[:4000]])
    assert abs(below - 0.05) < 4 * np.sqrt(0.05 * 0.95 / 4000)
    assert np.isnan(statistics.spread_limit(1.0, 1))


def test_holm_steps_down():
    # By hand: .01 x 4, .02 x 3 (= .06), .03 x 2 (raised to .06), .04 x 1 (raised to .06).
    found = statistics.holm(np.array([0.03, 0.01, 0.04, 0.02]))
    np.testing.assert_allclose(found, [0.06, 0.04, 0.06, 0.06], rtol=1e-14)
    np.testing.assert_allclose(statistics.holm(np.array([0.6, 0.9, np.nan])), 1.0)
    assert statistics.holm(np.array([])).shape == (0,)


def test_holm_agrees_with_statsmodels():
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    p_values = np.random.default_rng(7).uniform(size=30) ** 3
    expected = multitest.multipletests(p_values, method="holm")[1]
    np.testing.assert_allclose(statistics.holm(p_values), expected, rtol=1e-13)


def test_holm_keeps_the_level_of_the_family():
    # 2,000 families of 6 true hypotheses: one or more rejected in at most 5% of them.
    families = np.random.default_rng(8).uniform(size=(2000, 6))
    wrong = sum(bool(np.any(statistics.holm(row) < 0.05)) for row in families)
    # Independent ones: exactly 1 - (1 - .05 / 6)^6 = 4.90%.
    low, high = scipy.stats.binom(2000, 1 - (1 - 0.05 / 6) ** 6).interval(1 - 1e-4)
    assert low <= wrong <= high


@pytest.mark.parametrize(
    ("call", "arguments", "options", "message"),
    [
        (statistics.paired_difference, (np.ones(3), np.ones(4)), {}, "one value a seed"),
        (statistics.paired_difference, (np.ones(0), np.ones(0)), {}, "one value a seed"),
        (statistics.paired_difference, pair(), {"method": "bcq"}, "did you mean 'bca'"),
        (statistics.paired_p_value, pair(), {"test": "signed"}, "did you mean 'signed_rank'"),
        (statistics.differences, (*pair(), "large"), {}, "did you mean 'largest'"),
        (statistics.log_ratio, (*pair(), 0.0), {}, r"floor = 0\.0 has no logarithm"),
        (statistics.holm, (np.array([0.1, 1.2]),), {}, r"p_values holds 1\.2"),
    ],
)
@pytest.mark.unchecked
def test_bad_input_is_refused_in_one_sentence(call, arguments, options, message):
    with pytest.raises(ValueError, match=message):
        call(*arguments, **options)
