"""The comparison of arms against numbers that are put into a made-up run, and against scipy."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from rich.console import Console
from scipy import stats

from sigmaprop.generators import compare as gan_comparison
from sigmaprop.generators import results as gan_results
from sigmaprop.generators import scores as gan_scores
from sigmaprop.reporting.gan import terminal
from sigmaprop.runs.files import RunError

from ..reporting import made_up_gan as made_up


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


def printed(directory, found, width=80):
    """The tables as a terminal shows them."""
    console = Console(width=width, file=io.StringIO())
    for table in terminal.tables(directory, found):
        console.print(table)
    return console.file.getvalue()


def shown(directory, found):
    """The words of the tables."""
    return " ".join(printed(directory, found).split())


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
    assert score.against.value == 1.0
    assert np.isnan([score.against.low, score.against.high, score.missed]).all()
    assert score.verdict == "not resolved"
    assert (score.floored, score.bound) == ((4, 4), "?")


def test_a_ratio_to_the_floor_is_a_bound(tmp_path):
    values = np.array([4.0, 3, 5, 4, 1.5, 2, -1, 0.2]) * made_up.REAL["mmd2"]["percentile_95"]
    found = compared(tmp_path, arms=("zero", "global"), change=with_values("mmd2", values))
    score = found[1].primary
    assert (score.floored, score.bound) == ((2, 0), "<=")
    expected = np.exp(np.mean(np.log([1.5 / 4, 2 / 3, 1 / 5, 1 / 4])))
    np.testing.assert_allclose(score.against.value, expected)
    assert np.isnan(score.missed)
    told = shown(tmp_path / "run", found)
    assert "≤ 0.33" in told
    assert "counted as there: global 2 of 4, zero 0." in told + "."


def test_other_scores_are_compared_by_differences(tmp_path):
    values = np.arange(8.0) ** 2
    change = with_values("high_quality", values, of="mean")
    found = compared(tmp_path, arms=("zero", "global"), mixture=True, change=change)
    score = found[1].score("high_quality", "mean", "last")
    differences = values[4:] - values[:4]
    half = stats.t.ppf(0.975, 3) * stats.sem(differences)
    np.testing.assert_allclose(score.against.value, differences.mean())
    np.testing.assert_allclose(score.against.high - score.against.low, 2 * half)
    assert (score.verdict, score.coverage) == ("", 0.95)


def test_a_likelihood_above_that_of_the_truth_is_no_better(tmp_path):
    """Distances to what the truth scores are compared: collapse is as far as its mirror image."""
    truth = made_up.IDEAL["log_likelihood"]
    values = truth + np.array([0.1, -0.1, 0.2, 0.1, 0.75, 0.7, 0.8, 0.75])
    change = with_values("log_likelihood", values)
    found = compared(tmp_path, arms=("zero", "global"), mixture=True, change=change)
    score = found[1].score("log_likelihood", "x", "last")
    np.testing.assert_allclose(score.level.value, values[4:].mean())
    assert score.against.value > 0.5
    assert score.against.low > 0


def test_an_older_run_records_no_truth_to_compare_with(tmp_path):
    directory = made_up.make_run(tmp_path / "run", mixture=True, compare=False)
    path = directory / "reference.json"
    path.write_text(path.read_text().replace('"ideal"', '"other"'))
    found = gan_comparison.compare(directory)
    score = found[1].score("log_likelihood", "x", "last")
    assert np.isfinite(score.level.value)
    assert np.isnan(score.against.value)
    assert found[1].primary.verdict == "better"


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


def test_a_diverged_replica_ranks_last_and_ranks_decide(tmp_path):
    found = compared(tmp_path, arms=("zero", "global"), seeds=6, diverged={8: 50})
    learned = found[1]
    assert (learned.diverged, learned.seeds) == (1, 6)
    late = np.array([85, 90, 95, 100])
    own, other = (
        np.array([made_up.score_of("mmd2", arm, "x", seed, late).mean() for seed in range(6)])
        for arm in ("global", "zero")
    )
    own[2] = 1e9
    score = learned.primary
    np.testing.assert_allclose(score.level.value, np.median(own))
    np.testing.assert_allclose(score.against.value, np.exp(np.median(np.log(own / other))))
    assert np.isnan([score.level.low, score.against.low]).all()
    expected = stats.wilcoxon(np.log(own) - np.log(other)).pvalue
    np.testing.assert_allclose(score.p_value, expected)
    assert expected == 2 / 2**6
    assert (score.verdict, score.diverged) == ("worse", (1, 0))


def test_a_lucky_survivor_is_no_winner(tmp_path):
    """9 of 10 diverged, and the last is a tenth of all others."""
    values = np.concatenate([np.linspace(0.02, 0.05, 10), np.full(10, 0.002)])
    change = with_values("mmd2", values)
    diverged = dict.fromkeys(range(10, 19), 50)
    arms = ("zero", "global")
    found = compared(tmp_path, arms=arms, seeds=10, change=change, diverged=diverged)
    assert found[1].primary.verdict == "worse"
    assert found[1].primary.against.value == np.inf
    told = shown(tmp_path / "run", found)
    assert "∞" in told
    assert "(9 of 10" in told


def test_a_cell_that_diverged_throughout_has_no_numbers(tmp_path):
    found = compared(tmp_path, arms=("zero", "global"), diverged=dict.fromkeys(range(4, 8), 3))
    learned = found[1]
    assert learned.diverged == 4
    assert np.isnan(learned.sigma.value)
    assert learned.primary.level.value == np.inf
    assert learned.primary.verdict == "too few seeds"
    assert learned.direction == ""
    assert "ranks need 6 seeds for one comparison" in shown(tmp_path / "run", found)


def test_two_seeds_are_too_few(tmp_path):
    found = compared(tmp_path, seeds=2)
    scores = [score for one in found[1:] for score in one.scores]
    assert all(np.isnan([s.against.low, s.against.high, s.level.low]).all() for s in scores)
    assert all(np.isfinite(score.against.value) for score in scores)
    assert {one.primary.verdict for one in found[1:]} == {"too few seeds"}


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
        "zero": "", "fixed": "", "global": "falling", "per_pixel": "at rest",
        "heteroscedastic": "rising", "low_rank": "at floor",
    }  # fmt: skip
    falls = made_up.FALL["global"] + made_up.MORE * np.arange(4)
    np.testing.assert_allclose(found["global"].trend.value, -1000 * falls.mean())
    at = np.array([85, 90, 95, 100])
    late = [made_up.sigma_of("global", at, seed).mean() for seed in range(4)]
    np.testing.assert_allclose(found["global"].sigma.value, np.mean(late))
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
    again = gan_scores.from_json(gan_scores.as_json(found))
    assert repr(again) == repr(found)


def test_older_files_are_read(tmp_path):
    """Before levels, bounds and counts stood in it, and with a number that is not read any more."""
    content = gan_scores.as_json(compared(tmp_path))
    for score in (score for one in content for score in one["scores"]):
        for name in ("coverage", "missed", "diverged", "floored"):
            del score[name]
        score["detectable"] = 1.3
    found = gan_scores.from_json(content)
    assert [one.primary.verdict for one in found] == ["", "better", "worse", "worse"]
    assert found[1].primary.coverage == 0.95
    assert "98.3% and 95% intervals" not in shown(tmp_path / "run", found)
    assert "95% intervals of paired ratios; verdicts by Holm's" in shown(tmp_path / "run", found)


def test_no_sentence_on_sigma_by_chance(tmp_path):
    """Random walks: of 300 reports of 6 learned cells 5% say that a sigma rises or falls.

    Each cell by itself would, in 26% of them.
    """
    generator = np.random.default_rng(5)
    swept = ("learning_rate", (1e-4, 1e-3, 1e-2))
    arms = ("zero", "global", "per_pixel")
    directory = made_up.make_run(tmp_path / "run", arms=arms, swept=swept, compare=False)
    run = gan_results.measured(directory)
    series = run.series[gan_results.Key("sigma")]
    found = gan_comparison.compare(directory)
    wrong = 0
    for _ in range(300):
        slopes = generator.normal(0, 0.01, (len(series.value), 1))
        value = np.exp(slopes * series.step)
        own = run._replace(
            series={**run.series, gan_results.Key("sigma"): series._replace(value=value)}
        )
        told = {one.direction for one in gan_comparison._with_directions(own, found)}
        assert told <= {"", "unclear", "falling", "rising"}
        wrong += bool(told & {"falling", "rising"})
    assert wrong <= stats.binom.isf(0.01, 300, 0.05)


@pytest.mark.parametrize("width", [80, 100])
def test_the_terminal_shows_all_of_the_usual_arms(width, tmp_path):
    directory = made_up.make_run(tmp_path / "run", mixture=True, diverged={9: 50})
    found = gan_comparison.compare(directory)
    text = printed(directory, found, width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    words = (*made_up.ARMS, "better", "worse", "too few", "falling", "at rest", "0.61", "(1 of 4")
    for word in (*words, "the truth", "(median)"):
        assert word in text
    told = " ".join(text.split())
    assert "Real against real: MMD² median -0.0001, 95% of draws below 0.001" in told
    assert "intervals at 98.3%, verdicts by Holm's method for 3 comparisons" in told
    assert "a smaller one may be missed" in told
    assert "ranks need 6 seeds for one comparison, 7 for these 3" in told


def test_a_missing_file_is_named(tmp_path):
    directory = made_up.make_run(tmp_path / "run", compare=False)
    for name in ("reference.json", "replicas.json"):
        (directory / name).unlink()
        with pytest.raises(RunError, match=name):
            gan_comparison.compare(directory)
        (directory / name).write_text("[]")
        with pytest.raises(RunError):
            gan_comparison.compare(directory)
