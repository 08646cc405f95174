"""The bar for baselines, on numbers of runs that are made up."""

import numpy as np
import pytest

from sigmaprop.generators import bars
from sigmaprop.generators.results import Cell, Key, Measured, Series

STEPS = np.array([100, 900, 1000])


def measured(scores, seeds=10, arm="zero", diverged=(), **config):
    """A run of one cell whose late scores of x are given, one number a seed."""
    options = {"dataset": "ring", "data": {"std": None}, "kernel": "coarse", "steps": 1000}
    series = {}
    for metric, values in scores.items():
        late = np.broadcast_to(np.asarray(values, float), (seeds,))
        whole = np.stack([np.full(seeds, 9.0), late - 0.001, late + 0.001], axis=1)
        series[Key(metric, "x", "average")] = Series(STEPS, whole)
        series[Key(metric, "x", "last")] = Series(STEPS, 0 * whole)
    at = np.full(seeds, -1)
    at[list(diverged)] = 5
    cell = Cell(0, arm, arm, {"arm": arm}, False, np.arange(seeds), tuple(range(seeds)))
    real = {"mmd2": {"percentile_95": 2.0, "median": 0.0, "mean": 0.0}}
    return Measured(options | config, (cell,), series, at, real, {})


GOOD = {"num_modes": 8.0, "high_quality": 0.93, "mmd2": 3.0, "variance_ratio": 0.7}


def only(run):
    (one,) = bars.judged(run)
    return one


def test_what_passes():
    one = only(measured(GOOD))
    assert one.verdict == "passed"
    assert one.weights == "average"
    found = {each.wanted.metric: each for each in one.found}
    assert found["mmd2"].median == pytest.approx(1.5)
    assert found["variance_ratio"].passed is None


@pytest.mark.parametrize(
    "worse", [{"num_modes": 7.0}, {"high_quality": 0.89}, {"mmd2": 4.1}], ids=str
)
def test_each_condition_counts(worse):
    assert only(measured(GOOD | worse)).verdict == "not passed"


def test_the_median_decides_and_its_interval_is_that_of_order_statistics():
    quality = [0.5, 0.6, 0.7, 0.8, 0.91, 0.92, 0.93, 0.94, 0.95, 0.99]
    found = {
        one.wanted.metric: one for one in only(measured(GOOD | {"high_quality": quality})).found
    }
    one = found["high_quality"]
    assert (one.median, one.low, one.high) == pytest.approx((0.915, 0.6, 0.95))
    assert one.passed


def test_a_run_that_diverged_is_the_worst():
    quality = [0.91] * 5 + [0.0] * 5
    alive = only(measured(GOOD | {"high_quality": [0.91] * 10}, diverged=range(4)))
    assert alive.verdict == "passed"
    assert only(measured(GOOD | {"high_quality": quality})).verdict == "not passed"
    assert only(measured(GOOD, diverged=range(6))).verdict == "not passed"


def test_few_seeds_are_not_judged():
    assert only(measured(GOOD, seeds=9)).verdict == "too few seeds"


def test_other_kernels_are_not_judged():
    assert only(measured(GOOD, kernel="finest")).verdict == "not judged"
    worse = GOOD | {"high_quality": 0.5}
    assert only(measured(worse, kernel="finest")).verdict == "not passed"


def test_each_data_set_has_its_own_bar():
    strict = measured(GOOD, data={"std": 0.05})
    assert only(strict).bar.std == 0.05
    assert only(strict).verdict == "not passed"  # .93 of .94
    assert list(bars.judged(measured(GOOD, data={"std": 0.02}))) == []
    assert list(bars.judged(measured(GOOD, dataset="spirals"))) == []
    assert list(bars.judged(measured(GOOD, data={"noise_std": 0.1}))) == []
    digits = measured({"mmd2": 9.0}, dataset="digits", kernel="finest")
    assert only(digits).verdict == "passed"


def test_only_the_arm_without_noise_is_a_baseline():
    assert list(bars.judged(measured(GOOD, arm="global"))) == []
