"""Jackknife, slopes and verdicts against closed forms and simulation."""

import numpy as np
import pytest
import scipy.stats

from sigmaprop import statistics
from sigmaprop.statistics import Interval


def test_jackknife_of_a_mean_is_its_standard_error():
    groups = np.random.default_rng(0).normal(size=(20, 4))
    value, error = statistics.jackknife(lambda g: g.mean(axis=0), groups)
    np.testing.assert_allclose(value, groups.mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(error, scipy.stats.sem(groups), rtol=1e-12)
    np.testing.assert_allclose(statistics.mean_and_error(groups)[1], error, rtol=1e-12)


def test_mean_and_error_skip_what_is_not_known():
    groups = np.array([[1.0, np.nan], [3.0, np.nan], [5.0, 2.0], [np.nan, np.nan]])
    mean, error = statistics.mean_and_error(groups)
    assert mean.tolist() == [3.0, 2.0]
    assert error[0] == pytest.approx(scipy.stats.sem([1.0, 3.0, 5.0]))
    assert np.isnan(error[1])


def test_two_groups_have_no_error():
    assert np.isnan(statistics.jackknife(np.mean, np.array([1.0, 2.0]))[1])


def test_squared_norm_is_unbiased_where_the_plain_one_is_not():
    # |mean|^2 = 0.01 under noise of variance 1/8 a coordinate: 4,000 repeats, 5 standard errors.
    rng = np.random.default_rng(1)
    truth = np.array([0.1, 0.0, 0.0])
    groups = truth + rng.normal(size=(4000, 8, 3))
    found = np.array([statistics.squared_norm(g) for g in groups])
    plain = np.sum(groups.mean(axis=1) ** 2, axis=-1)
    assert abs(found.mean() - 0.01) < 5 * scipy.stats.sem(found)
    assert plain.mean() - 0.01 > 5 * scipy.stats.sem(plain)


def test_slope_of_a_power_law():
    x = np.geomspace(1e-3, 1, 7)
    assert statistics.log_slope(x, 5 * x**-1.5) == pytest.approx(-1.5, abs=1e-13)
    assert np.isnan(statistics.log_slope(x, np.zeros(7)))


def test_interval_covers_at_its_level():
    # 2,000 intervals at 99%: the count of misses is binomial; 5 standard deviations around 20.
    rng = np.random.default_rng(2)
    draws = rng.normal(size=(2000, 12))
    found = [statistics.jackknife_interval(np.mean, row) for row in draws]
    misses = sum(not one.low <= 0 <= one.high for one in found)
    assert abs(misses - 20) < 5 * np.sqrt(2000 * 0.01 * 0.99)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (-0.5, 0.5, "holds"),
        (-1.0, 1.0, "holds"),
        (-1.5, 0.5, "not resolved"),
        (0.5, 1.5, "not resolved"),
        (-9.0, 9.0, "not resolved"),
        (1.1, 1.5, "fails"),
        (-3.0, -1.1, "fails"),
        (np.nan, np.nan, "not resolved"),
    ],
)
def test_verdicts_follow_the_interval(low, high, verdict):
    assert statistics.judge(Interval((low + high) / 2, 0.1, low, high), -1.0, 1.0) == verdict


@pytest.mark.parametrize(("value", "verdict"), [(0.5, "holds"), (1.5, "fails")])
def test_a_number_without_sampling_error_is_judged_itself(value, verdict):
    assert statistics.judge(Interval(value, 0.0, np.nan, np.nan), -1.0, 1.0) == verdict
    assert statistics.judge(Interval(value, np.nan, np.nan, np.nan), -1.0, 1.0) == "not resolved"
