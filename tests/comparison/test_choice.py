"""The figures of the grid, and which estimator they make one choose."""

import itertools

import numpy as np
import pytest

from sigmaprop.comparison import choice
from sigmaprop.reporting import comparison_results, efficiency_figures, style, variance_figures
from sigmaprop.statistics import interval

from ..reporting import test_estimators_made_up as made_up
from ..reporting.test_estimators_made_up import every, line, made_of

GRID = ("sine", "diagonal")


@pytest.fixture(autouse=True)
def _styled():
    with style.style():
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("comparison") / "run"
    table = list(made_up.grid(["sine"], ["diagonal"]))
    (found,) = comparison_results.read([made_up.make_run(path, table)])
    return found


@pytest.fixture(scope="module")
def drawn(run):
    with style.style():
        return every(run)


def test_ratios_are_to_the_best_unbiased_estimator(drawn):
    left, right = drawn["efficiency"].figure.axes
    labels = [text.get_text() for text in left.get_yticklabels()]
    assert labels == [
        "second_order", "pathwise (antithetic)", "pathwise", "measure_valued", "score_function",
        "at_mean, bias −100%", "mixed, bias −30%",
    ]  # fmt: skip
    for axes, part in itertools.product((left, right), ("mean", "scale")):
        for label, ratio in (
            ("pathwise (antithetic)", 1.0),
            ("pathwise", 0.5),
            ("measure_valued", 0.05 / (0.2 * 10)),
            ("score_function", 0.05 / 4),
        ):
            dot = line(axes, f"{part}: {label}")
            assert dot.get_xdata()[0] == pytest.approx(ratio)
            assert dot.get_markerfacecolor() == dot.get_markeredgecolor()
            assert labels[dot.get_ydata()[0]] == label


def test_biased_estimators_are_hollow_and_struck_through(drawn):
    axes = drawn["efficiency"].figure.axes[0]
    for part in ("mean", "scale"):
        assert line(axes, f"{part}: mixed").get_markerfacecolor() == style.PAPER
        struck = line(axes, f"struck: {part}: mixed")
        assert struck.get_xdata()[0] == pytest.approx(0.05 / (0.05 * 2))
    struck = [ln.get_label() for ln in axes.lines if ln.get_label().startswith("struck")]
    assert struck == ["struck: scale: at_mean", "struck: mean: mixed", "struck: scale: mixed"]
    assert "biased" in [text.get_text() for text in axes.figure.legends[0].get_texts()]


def test_what_is_biased_does_not_set_the_scale(tmp_path):
    table = list(made_up.grid(["sine"], ["diagonal"], sigmas=(1.0,)))
    for row in table:
        if row["estimator"] == "mixed" and row["metric"] == "efficiency":
            row["value"] *= 1e9
    (axes,) = efficiency_figures.efficiency(made_of(tmp_path, table), *GRID).figure.axes
    assert axes.get_xlim()[1] < 10
    assert line(axes, "mean: mixed").get_marker() == ">"


def test_what_has_no_noise_lies_at_the_edge(drawn):
    axes = drawn["efficiency"].figure.axes[0]
    dot = line(axes, "mean: second_order")
    assert dot.get_marker() == ">"
    assert dot.get_transform() != axes.transData


@pytest.mark.parametrize(
    ("bias", "error", "deviation", "expected"),
    [
        (0.06, 0.01, 1.0, True),
        (-0.06, 0.01, 1.0, True),
        (0.06, 0.03, 1.0, False),
        (0.04, 0.001, 9.0, False),
        (-1.0, 0.0, np.nan, True),
        (-1.0, np.nan, np.nan, True),
        (np.nan, np.nan, 9.0, True),
        (np.nan, np.nan, 2.0, False),
    ],
)
def test_a_bias_counts_beyond_three_errors_and_five_percent(
    tmp_path, bias, error, deviation, expected
):
    table = list(made_up.grid(["sine"], ["diagonal"], [("pathwise", "iid")], (1.0,)))
    for row in table:
        if row["metric"] == "bias":
            row["value"], row["error"] = bias, error
        if row["metric"] == "worst_deviation":
            row["value"] = deviation
    found = choice.scores(made_of(tmp_path, table), *GRID, 1.0)
    assert [score.biased for score in found] == [expected] * 2


def test_noise_of_rounding_is_none(tmp_path):
    table = list(made_up.grid(["sine"], ["diagonal"], [("pathwise", "iid")], (1.0,)))
    for row in table:
        if row["metric"] == "bias":
            row["value"], row["error"] = 1e-8, 1e-8
    (score, _) = choice.scores(made_of(tmp_path, table), *GRID, 1.0)
    assert score.exact
    table = made_of(tmp_path / "wide", table, dtype="float64")
    assert not choice.scores(table, *GRID, 1.0)[0].exact


def test_advice_is_the_best_three_and_the_fastest_biased_one(run):
    rows = choice.advice(run, *GRID)
    assert [(row.sigma, row.wrt) for row in rows] == [
        (1.0, "mean"), (1.0, "scale"), (0.01, "mean"), (0.01, "scale"),
    ]  # fmt: skip
    names = [score.which for score in rows[0].best]
    assert names == [("at_mean", "iid"), ("second_order", "iid"), ("pathwise", "antithetic")]
    assert [score.which[0] for score in rows[1].best][1:] == ["pathwise", "pathwise"]
    assert [row.warning.which[0] for row in rows] == ["mixed", "at_mean"] * 2
    assert rows[0].reference == pytest.approx(1 / (0.05 * 1e-6))


def test_of_several_sample_sizes_the_largest_is_shown(tmp_path):
    table = list(made_up.grid(["sine"], ["diagonal"], made_up.SMALL, counts=(64, 256)))
    for row in table:
        if row["num_samples"] == 64 and row["metric"] in ("variance", "bias"):
            row["value"] = 7.0
    run = made_of(tmp_path, table)
    assert (
        "256 samples each" in efficiency_figures.efficiency(run, *GRID).figure.texts[0].get_text()
    )
    axes = variance_figures.variance(run, *GRID).figure.axes[0]
    np.testing.assert_allclose(line(axes, "pathwise").get_ydata(), [1e-3, 1e-2, 1e-1])
    assert {score.num_samples for score in choice.scores(run, *GRID, 1.0)} == {256}
    axes = variance_figures.samples(run, *GRID).figure.axes[0]
    np.testing.assert_array_equal(line(axes, "pathwise").get_xdata(), [64, 256])
    np.testing.assert_allclose(line(axes, "pathwise").get_ydata(), [7.0, 0.1])


def test_variance_has_a_column_a_part_and_a_row_a_noise_scheme(drawn):
    panels = drawn["variance"].figure.axes
    assert [axes.get_title(loc="left") for axes in panels] == [
        "to the mean, iid noise", "to the scale, iid noise",
        "to the mean, antithetic noise", "to the scale, antithetic noise",
    ]  # fmt: skip
    for axes, factor in zip(panels[:2], (1, 2), strict=True):
        for name in ("pathwise", "score_function", "measure_valued", "mixed"):
            expected = factor * made_up.VARIANCE[name] * np.array([0.01, 0.1, 1.0])
            np.testing.assert_allclose(line(axes, name).get_ydata(), expected)
        assert len(line(axes, "zero: second_order").get_xdata()) == 3
    assert panels[0].get_ylim() == panels[2].get_ylim()


def test_variance_against_sigma_takes_three_sigmas(tmp_path):
    table = list(made_up.grid(["sine"], ["diagonal"], made_up.SMALL, (1.0, 0.1)))
    assert variance_figures.variance(made_of(tmp_path, table), *GRID) is None


def test_bias_is_drawn_with_its_interval(drawn):
    axes = drawn["bias"].figure.axes[0]
    labels = [text.get_text() for text in axes.get_yticklabels()]
    point = line(axes, "mixed")
    assert (point.get_xdata()[0], labels[point.get_ydata()[0]]) == (-0.3, "mixed")
    bar = line(axes, "level: mixed")
    expected = interval(-0.3, 0.01, made_up.REPLICATES)
    np.testing.assert_allclose(bar.get_xdata(), [expected.low, expected.high])
    assert line(axes, "struck: mixed").get_xdata()[0] == -0.3
