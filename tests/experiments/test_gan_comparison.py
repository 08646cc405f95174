"""The comparison of arms against numbers that are put into a made-up run, and against scipy."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from rich.console import Console
from scipy import stats
from sigmaprop.experiments import gan_comparison

from sigmaprop.files import RunError
from sigmaprop.reporting import gan_results, gan_scores, gan_series

from ..reporting import test_gan_made_up as made_up


def with_values(metric, values, of="x", weights="last"):
    """Puts values [replica] in the place of a metric, a tenth higher and lower around each."""

    def change(table):
        wobble = {step: (-1) ** place for place, step in enumerate(made_up.EVALUATED)}
        rows = [
            row | {"value": values[row["replica"]] * (1 + 0.1 * wobble[row["step"]])}
            if (row["metric"], row["of"], row["weights"]) == (metric, of, weights)
            else row
            for row in table.to_pylist()
        ]
        return pa.Table.from_pylist(rows, table.schema)

    return change


def compared(path, **options):
    return gan_comparison.compare(made_up.make_run(path / "run", compare=False, **options))


MMD2 = np.exp(np.random.default_rng(3).normal(-3, 0.4, 8))
"""Of 4 seeds of the arm zero, then 4 of another."""


def test_ratio_and_interval_are_those_of_scipy(tmp_path):
    arms = ("zero", "global")
    zero, learned = compared(tmp_path, arms=arms, change=with_values("mmd2", MMD2))
    logs = np.log(MMD2[4:]) - np.log(MMD2[:4])
    low, high = stats.t.interval(0.95, 3, logs.mean(), stats.sem(logs))
    score = learned.primary
    np.testing.assert_allclose(score.against.value, np.exp(logs.mean()), rtol=1e-12)
    np.testing.assert_allclose([score.against.low, score.against.high], np.exp([low, high]))
    np.testing.assert_allclose(score.p_value, stats.ttest_rel(*np.log(MMD2).reshape(2, 4)).pvalue)
    np.testing.assert_allclose(score.level.value, MMD2[4:].mean(), rtol=1e-12)
    assert (zero.against, learned.against, learned.to_zero) == ("", "zero", True)
    assert zero.primary.verdict == ""


def test_what_cannot_be_told_from_real_data_counts_as_that(tmp_path):
    values = np.array([1e-4, -3e-4, 2e-4, 1e-5, 4e-4, -1e-4, 9e-4, 1e-6])
    floor = made_up.REAL["mmd2"]["percentile_95"]
    assert values.max() < floor
    found = compared(tmp_path, arms=("zero", "global"), change=with_values("mmd2", values))
    score = found[1].primary
    assert (score.against.value, score.against.low, score.against.high) == (1.0, 1.0, 1.0)
    assert score.verdict == "not resolved"
    assert np.isnan(score.detectable)


def test_other_scores_are_compared_by_differences(tmp_path):
    values = np.arange(8.0) ** 2
    change = with_values("high_quality", values, of="mean")
    found = compared(tmp_path, arms=("zero", "global"), mixture=True, change=change)
    score = found[1].score("high_quality", "mean", "last")
    differences = values[4:] - values[:4]
    half = stats.t.ppf(0.975, 3) * stats.sem(differences)
    np.testing.assert_allclose(score.against.value, differences.mean())
    np.testing.assert_allclose(score.against.high - score.against.low, 2 * half)
    assert score.verdict == ""


def test_verdicts_are_corrected_for_all_comparisons(tmp_path):
    found = compared(tmp_path)
    verdicts = [one.primary.verdict for one in found]
    assert verdicts == ["", "better", "worse", "worse"]
    logs = {
        arm: np.log([made_up.score_of("mmd2", arm, "x", seed, np.array([85, 90, 95, 100])).mean()
                     for seed in range(4)])
        for arm in made_up.ARMS
    }  # fmt: skip
    raw = [stats.ttest_rel(logs[arm], logs["zero"]).pvalue for arm in made_up.ARMS[1:]]
    adjusted = [one.primary.p_value for one in found[1:]]
    order = np.argsort(raw)
    steps = np.maximum.accumulate(np.array(raw)[order] * [3, 2, 1])
    np.testing.assert_allclose(np.array(adjusted)[order], steps, rtol=1e-6)


def test_a_diverged_replica_takes_the_worst_value_and_ranks_decide(tmp_path):
    found = compared(tmp_path, arms=("zero", "global"), seeds=6, diverged={8: 50})
    learned = found[1]
    assert (learned.diverged, learned.seeds) == (1, 6)
    late = np.array([85, 90, 95, 100])
    own, other = (
        np.array([made_up.score_of("mmd2", arm, "x", seed, late).mean() for seed in range(6)])
        for arm in ("global", "zero")
    )
    own[2] = np.delete(own, 2).max()
    np.testing.assert_allclose(learned.primary.level.value, own.mean())
    expected = stats.wilcoxon(np.log(own) - np.log(other)).pvalue
    np.testing.assert_allclose(learned.primary.p_value, expected)
    assert expected == 2 / 2**6


def test_a_cell_that_diverged_throughout_has_no_numbers(tmp_path):
    found = compared(tmp_path, arms=("zero", "global"), diverged=dict.fromkeys(range(4, 8), 3))
    learned = found[1]
    assert learned.diverged == 4
    assert np.isnan([learned.sigma.value, learned.primary.level.value]).all()
    assert learned.primary.verdict == "not resolved"
    assert learned.direction == ""


def test_two_seeds_resolve_nothing(tmp_path):
    found = compared(tmp_path, seeds=2)
    scores = [score for one in found[1:] for score in one.scores]
    assert all(np.isnan([s.against.low, s.against.high, s.level.low]).all() for s in scores)
    assert all(np.isfinite(score.against.value) for score in scores)
    assert {one.primary.verdict for one in found[1:]} == {"not resolved"}


def test_pairs_agree_in_all_but_the_arm(tmp_path):
    found = compared(tmp_path, arms=("zero", "global"), swept=("learning_rate", (1e-4, 1e-3)))
    assert [one.against for one in found] == [
        "", "", "zero, learning_rate=0.0001", "zero, learning_rate=0.001"
    ]  # fmt: skip


@pytest.mark.parametrize("arms", [("fixed", "global"), ("global",)])
def test_without_an_arm_zero_the_first_cell_stands_in(arms, tmp_path):
    found = compared(tmp_path, arms=arms)
    assert [(one.against, one.to_zero) for one in found[1:]] == [("fixed", False)] * (len(arms) - 1)
    assert found[0].against == ""


def test_where_sigma_went(tmp_path):
    """Slopes of log sigma are put in; a straight line's slope is exact."""
    arms = ("zero", "fixed", "global", "per_pixel", "heteroscedastic", "low_rank")
    found = {one.arm: one for one in compared(tmp_path, arms=arms)}
    directions = {arm: one.direction for arm, one in found.items()}
    assert directions == {
        "zero": "", "fixed": "", "global": "falling", "per_pixel": "settled",
        "heteroscedastic": "rising", "low_rank": "at floor",
    }  # fmt: skip
    np.testing.assert_allclose(found["global"].trend.value, -1000 * made_up.FALL["global"])
    late = made_up.sigma_of("global", np.array([85, 90, 95, 100]))
    np.testing.assert_allclose(found["global"].sigma.value, late.mean())
    assert found["low_rank"].at_floor == 1
    assert found["zero"].sigma.value == 0
    assert np.isnan(found["zero"].trend.value)


def test_only_the_last_fifth_counts(tmp_path):
    def change(table):
        early = pc.less_equal(table["step"], int(0.8 * made_up.STEPS))
        value = pc.if_else(early, 1e6, table["value"])
        return table.set_column(table.column_names.index("value"), "value", value)

    for one, two in zip(
        compared(tmp_path / "a", arms=("zero", "global")),
        compared(tmp_path / "b", arms=("zero", "global"), change=change),
        strict=True,
    ):
        assert repr(one) == repr(two)


def test_the_comparison_survives_json(tmp_path):
    found = compared(tmp_path, diverged=dict.fromkeys(range(4, 8), 3), mixture=True)
    again = gan_scores.from_json(gan_comparison.as_json(found))
    assert repr(again) == repr(found)


def test_no_verdict_is_better_by_chance(tmp_path):
    """Seeds alone: of 60 studies without any effect few find one (binomial, 1 in 10^4)."""
    generator = np.random.default_rng(5)
    directory = made_up.make_run(tmp_path / "run", arms=("zero", "global"), compare=False)
    run = gan_results.measured(directory)
    series = run.series[gan_series.Key(*gan_scores.PRIMARY)]
    rejected = 0
    for _ in range(60):
        values = np.exp(generator.normal(-3, 0.4, (8, 1)))
        value = np.broadcast_to(values, series.value.shape)
        key = gan_series.Key(*gan_scores.PRIMARY)
        own = run._replace(series={**run.series, key: series._replace(value=value)})
        found = [
            gan_comparison._compare(own, cell, gan_comparison._reference(own.cells, cell))
            for cell in own.cells
        ]
        judged = gan_comparison._with_verdicts(own, found)
        rejected += judged[1].primary.verdict != "not resolved"
    assert rejected <= stats.binom.isf(1e-4, 60, 0.05)


@pytest.mark.parametrize("width", [80, 100])
def test_the_terminal_shows_all_of_the_usual_arms(width, tmp_path):
    directory = made_up.make_run(tmp_path / "run", mixture=True, diverged={9: 50})
    console = Console(width=width, file=io.StringIO())
    for table in gan_comparison.terminal_tables(directory, gan_comparison.compare(directory)):
        console.print(table)
    text = console.file.getvalue()
    assert "…" not in text
    for word in (*made_up.ARMS, "better", "worse", "not", "falling", "settled", "0.61", "(1 of 4"):
        assert word in text
    told = " ".join(text.split())
    assert "Real against real: MMD² median -0.0001, 95% of draws below 0.001" in told
    assert "95% intervals of paired ratios; verdicts by Holm's method for 3 comparisons" in told


def test_a_missing_file_is_named(tmp_path):
    directory = made_up.make_run(tmp_path / "run", compare=False)
    for name in ("reference.json", "replicas.json"):
        (directory / name).unlink()
        with pytest.raises(RunError, match=name):
            gan_comparison.compare(directory)
        (directory / name).write_text("[]")
        with pytest.raises(RunError):
            gan_comparison.compare(directory)
