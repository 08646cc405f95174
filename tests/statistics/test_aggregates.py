"""The middle of many seeds, their profile, and P(better): against scipy, and by hand."""

import numpy as np
import pytest
import scipy.stats

from sigmaprop.statistics import (
    Scale,
    interquartile_mean,
    performance_profile,
    probability_better,
)

SMALL, LARGE = Scale("smaller"), Scale("larger")


@pytest.mark.parametrize("num", [4, 8, 12, 100])
def test_of_a_multiple_of_4_the_interquartile_mean_is_the_trimmed_mean(num):
    values = np.random.default_rng(num).normal(size=num)
    expected = scipy.stats.trim_mean(values, 0.25)
    np.testing.assert_allclose(interquartile_mean(values), expected, rtol=1e-13)
    np.testing.assert_allclose(interquartile_mean(values, "smallest"), expected, rtol=1e-13)


@pytest.mark.parametrize("num", [1, 2, 3, 5, 6, 7, 10, 30])
def test_runs_at_the_edges_count_by_a_fraction(num):
    """Each run stands for 4 equal ones, of which whole ones can be trimmed."""
    values = np.random.default_rng(num).normal(size=num)
    expected = scipy.stats.trim_mean(np.repeat(values, 4), 0.25)
    np.testing.assert_allclose(interquartile_mean(values), expected, rtol=1e-12)


def test_a_quarter_of_diverged_runs_changes_nothing_but_the_order():
    values = np.array([3.0, np.nan, 1.0, 2.0, np.inf, 5.0, 4.0, 0.0])
    assert interquartile_mean(values) == (2 + 3 + 4 + 5) / 4
    assert interquartile_mean(values, "smallest") == (0 + 1 + 2 + 3) / 4
    values[0] = np.nan
    assert interquartile_mean(values) == np.inf
    assert interquartile_mean(values, "smallest") == -np.inf
    assert interquartile_mean(np.full(3, np.nan)) == np.inf


def test_a_profile_counts_runs_up_to_each_threshold():
    values = np.array([0.1, 0.4, np.nan, 0.2])
    at = np.array([-1.0, 0.1, 0.3, np.inf])
    np.testing.assert_array_equal(performance_profile(values, at), [0, 0.25, 0.5, 0.75])
    at = np.array([-np.inf, 0.1, 0.2, 0.5])
    expected = [0.75, 0.75, 0.5, 0]
    np.testing.assert_array_equal(performance_profile(values, at, "smallest"), expected)


@pytest.mark.parametrize("sizes", [(10, 10), (7, 12)])
def test_the_share_is_mann_whitney_s_u(sizes):
    """Values are rounded, so that some are equal."""
    generator = np.random.default_rng(0)
    a, b = (np.round(generator.normal(size=size), 1) for size in sizes)
    assert np.isin(a, b).any()
    u = scipy.stats.mannwhitneyu(a, b).statistic / (len(a) * len(b))
    np.testing.assert_allclose(probability_better(a, b, LARGE).value, u, rtol=1e-13)
    np.testing.assert_allclose(probability_better(a, b, SMALL).value, 1 - u, rtol=1e-13)


def test_a_diverged_run_loses_against_all_but_its_like():
    a, b = np.array([0.0, np.nan, 2.0]), np.array([1.0, np.nan, 3.0])
    # 0 beats 1 and the lost one and 3; the lost one ties with its like; 2 beats the lost one and 3.
    assert probability_better(a, b, SMALL).value == (3 + 0.5 + 2) / 9
    # The larger is the better: 0 beats the lost one, 2 beats it and 1.
    assert probability_better(a, b, LARGE).value == (1 + 0.5 + 2) / 9
    near = Scale("target", target=1.0)
    # Distances 1, lost, 1 against 0, lost, 2: 1 beats the lost one and 2, twice.
    assert probability_better(a, b, near).value == (2 + 0.5 + 2) / 9


def test_two_arms_mirror_one_another():
    generator = np.random.default_rng(1)
    a, b = generator.normal(size=10), generator.normal(0.5, 1, size=10)
    one, other = probability_better(a, b, SMALL), probability_better(b, a, SMALL)
    np.testing.assert_allclose(one.value, 1 - other.value)
    # The runs are drawn by the same generator, first those of the first arm.
    np.testing.assert_allclose(one.error, other.error, rtol=0.1)
    assert one.low < one.value < one.high
    assert one == probability_better(a, b, SMALL)


def test_the_bootstrap_s_error_is_that_of_u_statistics():
    """Var = (q1 / S + q2 / T) of the placements' variances, with divisor S and T, as resampling
    has it, up to terms of order 1 / (S T): 40 runs, 2,000 resamples (1.6% each), 10% in all."""
    generator = np.random.default_rng(2)
    a, b = generator.normal(size=40), generator.normal(0.4, 1, size=40)
    wins = (a[:, None] < b).astype(float)
    expected = np.sqrt(wins.mean(axis=1).var() / 40 + wins.mean(axis=0).var() / 40)
    np.testing.assert_allclose(probability_better(a, b, SMALL).error, expected, rtol=0.1)


def test_intervals_cover_one_half_about_as_often_as_they_say():
    """Equal arms of 10 normal runs: 94% is documented; 300 intervals, 4 standard errors."""
    values = np.random.default_rng(3).normal(size=(300, 2, 10))
    found = [probability_better(a, b, SMALL, resamples=400) for a, b in values]
    covered = np.mean([one.low <= 0.5 <= one.high for one in found])
    assert abs(covered - 0.94) < 4 * np.sqrt(0.94 * 0.06 / 300)


def test_where_all_pairs_agree_there_is_no_interval():
    found = probability_better(np.zeros(5), np.ones(5), SMALL)
    assert found.value == 1
    assert np.isnan(found[1:]).all()
    assert np.isnan(probability_better(np.arange(2.0), np.arange(5.0), SMALL)[1:]).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: interquartile_mean(np.zeros(0)), "0 runs have no middle"),
        (lambda: interquartile_mean(np.ones(3), "largst"), "did you mean 'largest'"),
        (lambda: performance_profile(np.zeros(0), np.ones(1)), "0 runs have no profile"),
        (lambda: probability_better(np.zeros(0), np.ones(1), SMALL), "0 runs and 1 make no pair"),
        (lambda: probability_better(np.ones(1), np.ones(1), Scale("target")), "target = nan"),
        (lambda: probability_better(np.ones(1), np.ones(1), Scale("small")), "did you mean"),
    ],
)
@pytest.mark.unchecked
def test_bad_input_is_refused_in_one_sentence(call, message):
    with pytest.raises(ValueError, match=message):
        call()
