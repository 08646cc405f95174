"""What tests of a study measure, against numbers that are known: noise of a plane, drift, ends."""

import dataclasses

import numpy as np
import pytest
from sigmaprop.experiments.gan.config import GanConfig
from sigmaprop.experiments.study import evidence, gates, registration
from sigmaprop.experiments.study.registration import Block

from sigmaprop import data
from sigmaprop.data.options import DataOptions
from sigmaprop.generators.results import Cell, Key, Measured, Series
from sigmaprop.runs import configs

SEEDS, ROWS, STEPS = 4, 4096, 100
BLOCK = Block("b", "text", "digits", (registration.Arm("one"), registration.Arm("other")))
CONFIG = dataclasses.replace(
    GanConfig(), dataset="linear_gaussian", data=DataOptions(noise_std=0.2), steps=STEPS
)


def found(directory, name, sigma, means, first=0):
    """An arm whose sigmas [S, T] and means [S, N, D] are known."""
    directory.mkdir(exist_ok=True)
    (directory / "config.json").write_text(configs.dump("gan", CONFIG))
    replicas = np.arange(first, first + SEEDS)
    np.savez(directory / f"samples-{first}.npz", replica=replicas, mean_last=means)
    steps = np.arange(1, STEPS + 1)
    values = np.full((2 * SEEDS, STEPS), np.nan)
    values[replicas] = sigma
    series = {Key("sigma"): Series(steps, values)}
    cell = Cell(first, name, "global", {}, True, replicas, tuple(range(SEEDS)))
    config = {"steps": STEPS, "dataset": "linear_gaussian"}
    run = Measured(config, (cell,), series, np.full(2 * SEEDS, -1), {}, {})
    return evidence.Found(directory, run, cell)


def value(arms, **test):
    named = {arm.cell.label: arm for arm in arms}
    return evidence.values(
        evidence.Evidence(BLOCK, named), registration.Test("b", tuple(named), "within", **test)
    )


def plane(off, spread=1.0):
    """Means in the plane of the data, with noise of std ``off`` in all directions off it."""
    truth = data.load("linear_gaussian", CONFIG.data).truth
    generator = np.random.default_rng(0)
    inside = spread * generator.standard_normal((SEEDS, ROWS, 2)) @ truth.factor.T
    noise = off * generator.standard_normal((SEEDS, ROWS, 8))
    return inside + noise - noise @ truth.factor @ truth.factor.T


def test_total_noise_is_that_of_sigma_and_of_the_mean_off_the_plane(tmp_path):
    """6 x 4,096 normals a seed: a relative standard error of .45% of the std, 4 of them allowed."""
    arm = found(tmp_path / "a", "one", np.full((SEEDS, STEPS), 0.16), plane(0.12))
    total = value([arm], quantity="total_noise", unit=0.2)
    np.testing.assert_allclose(total, 1.0, rtol=4 * 0.0045)
    alone = found(tmp_path / "b", "one", np.full((SEEDS, STEPS), 0.16), plane(0.0))
    np.testing.assert_allclose(value([alone], quantity="total_noise"), 0.16, rtol=1e-5)


def test_sigma_is_the_mean_of_the_last_fifth(tmp_path):
    course = np.where(np.arange(1, STEPS + 1) > 80, 0.3, 9.0) * np.ones((SEEDS, 1))
    arm = found(tmp_path / "a", "one", course, plane(0.0))
    np.testing.assert_allclose(value([arm], quantity="sigma", unit=0.3), 1.0)


@pytest.mark.parametrize(("spread", "slope", "agrees"), [(0.5, 1, 1), (0.5, -1, -1), (2, -1, 1)])
def test_drift_is_positive_where_sigma_moves_towards_what_the_means_lack(
    tmp_path, spread, slope, agrees
):
    """Half of the data's spread asks for more noise, twice the spread for less."""
    course = 0.1 * np.exp(slope * 0.002 * np.arange(1, STEPS + 1)) * np.ones((SEEDS, 1))
    arm = found(tmp_path / "a", "one", course, plane(0.0, spread))
    np.testing.assert_allclose(value([arm], quantity="drift"), 2.0 * agrees, rtol=1e-6)


def test_ends_of_different_starts_are_compared_seed_by_seed(tmp_path):
    ends = np.array([[0.1], [0.2], [0.3], [0.4]]) * np.ones(STEPS)
    one = found(tmp_path / "a", "one", ends, plane(0.0))
    other = found(tmp_path / "a", "other", ends * np.array([[2], [0.5], [1], [4]]), plane(0.0), 4)
    apart = value([one, other], quantity="spread_of_ends")
    np.testing.assert_allclose(apart, [2, 2, 1, 4])


def test_a_diverged_run_has_no_quantity(tmp_path):
    arm = found(tmp_path / "a", "one", np.full((SEEDS, STEPS), 0.16), plane(0.12))
    arm.run.diverged_at[2] = 50
    for quantity in ("sigma", "total_noise", "drift"):
        assert np.isnan(value([arm], quantity=quantity)).tolist() == [False, False, True, False]


def test_the_spread_of_a_baseline_is_that_of_a_log_ratio():
    """That of two independent runs: sqrt 2 times one log's; below the floor values count as it."""
    logs = np.array([0.0, 0.2, 0.4, -9.0])
    series = {Key("mmd2", "x", "last"): Series(np.array([100]), np.exp(logs)[:, None])}
    cell = Cell(0, "zero", "zero", {}, False, np.arange(4), (0, 1, 2, 3))
    real = {"mmd2": {"percentile_95": 1.0}}
    run = Measured({"steps": 100}, (cell,), series, np.full(4, -1), real, {})
    study, _ = registration.read()
    expected = np.sqrt(2) * np.std([0.0, 0.2, 0.4, 0.0], ddof=1)
    assert gates.spread(study, BLOCK, run) == pytest.approx(expected)
