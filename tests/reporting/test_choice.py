"""Which estimator the grid makes one choose: scores, ranks, and the figures and table of them."""

import numpy as np
import pytest

from sigmaprop.comparison import choice
from sigmaprop.reporting import estimators, frame, style
from sigmaprop.reporting.estimators import report
from sigmaprop.statistics import interval

from . import made_up_estimators as made_up

GRID = ("sine", "diagonal")


@pytest.fixture(autouse=True)
def _styled():
    with style.style():
        yield


def made_of(path, table, **config):
    return frame.load(made_up.make_run(path / "run", table, (), **config))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    table = list(made_up.grid(["sine"], ["diagonal"]))
    return made_of(tmp_path_factory.mktemp("comparison"), table)


def rows_of(run, name):
    return next(spec for spec in estimators.GRID if spec.name == name).rows(run, *GRID)


def test_ratios_are_to_the_best_unbiased_estimator_and_the_best_stand_at_the_top(run):
    rows = rows_of(run, "efficiency")
    dots = rows[rows["value"].notna() & (rows["series"].notna())]
    assert set(dots["panel"]) == {"sigma = 1", "sigma = 0.01"}
    first = dots[dots["panel"] == "sigma = 1"]
    assert list(dict.fromkeys(first["row"])) == [
        "second_order", "pathwise (antithetic)", "pathwise", "measure_valued", "score_function",
        "at_mean, bias −100%", "mixed, bias −30%",
    ]  # fmt: skip
    for part in ("mean", "scale"):
        own = first[first["series"] == f"gradient to the {part}"].set_index("row")["value"]
        assert own["pathwise (antithetic)"] == pytest.approx(1.0)
        assert own["pathwise"] == pytest.approx(0.5)
        assert own["measure_valued"] == pytest.approx(0.05 / (0.2 * 10))
        assert own["score_function"] == pytest.approx(0.05 / 4)
        assert np.isinf(own["second_order"])


def test_biased_estimators_are_hollow_struck_through_and_below_a_line(run):
    rows = rows_of(run, "efficiency")
    struck = rows[rows["struck"].eq(True) & (rows["panel"] == "sigma = 1")]
    found = set(zip(struck["row"].str.split(",").str[0], struck["series"].str[16:], strict=True))
    assert found == {("at_mean", "scale"), ("mixed", "mean"), ("mixed", "scale")}
    assert (struck["hollow"]).all()
    (below,) = rows[(rows["kind"] == "below") & (rows["panel"] == "sigma = 1")]["row"]
    assert below.startswith("at_mean")


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
def test_a_bias_counts_beyond_three_errors_and_five_percent(bias, error, deviation, expected):
    assert choice.misses(bias, error, deviation) == expected


def test_noise_of_rounding_is_none():
    assert choice.is_rounding(np.array(1e-8), "float32", 16)
    assert not choice.is_rounding(np.array(1e-8), "float64", 16)


def test_the_best_three_and_the_fastest_biased_one(run):
    found = estimators.scores(run, *GRID, 1.0)
    mean = [score for score in found if score.wrt == "mean"]
    best, warning = choice.best(mean)
    assert [score.which for score in best] == [
        ("at_mean", "iid"), ("second_order", "iid"), ("pathwise", "antithetic"),
    ]  # fmt: skip
    assert warning is not None
    assert warning.estimator == "mixed"
    assert choice.reference(mean) == pytest.approx(1 / (0.05 * 1e-6))
    table = report._choices(run, "sine", ["diagonal"])
    assert [row[2].text for row in table.rows] == ["mean", "scale"] * 2
    assert table.rows[0][3].text == "at_mean (no noise)"
    assert "bias −30%" in table.rows[0][6].text


def test_of_several_sample_sizes_the_largest_is_shown(tmp_path):
    table = list(made_up.grid(["sine"], ["diagonal"], made_up.SMALL, counts=(64, 256)))
    for row in table:
        if row["num_samples"] == 64 and row["metric"] in ("variance", "bias"):
            row["value"] = 7.0
    run = made_of(tmp_path, table)
    assert "256 samples each" in rows_of(run, "efficiency").attrs["heading"]
    rows = rows_of(run, "variance")
    own = rows[(rows["curve"] == "pathwise") & rows["panel"].str.startswith("to the mean, iid")]
    np.testing.assert_allclose(own["value"], [1e-3, 1e-2, 1e-1])
    assert {score.num_samples for score in estimators.scores(run, *GRID, 1.0)} == {256}
    rows = rows_of(run, "samples")
    own = rows[(rows["curve"] == "pathwise") & rows["panel"].str.startswith("to the mean, iid")]
    np.testing.assert_array_equal(own["x"], [64, 256])
    np.testing.assert_allclose(own["value"], [7.0, 0.1])


def test_variance_has_a_column_a_part_and_a_row_a_noise_scheme(run):
    rows = rows_of(run, "variance")
    assert list(dict.fromkeys(rows["panel"])) == [
        "to the mean, iid noise", "to the scale, iid noise",
        "to the mean, antithetic noise", "to the scale, antithetic noise",
    ]  # fmt: skip
    assert rows.attrs["columns"] == 2
    for part, factor in (("mean", 1), ("scale", 2)):
        for name in ("pathwise", "score_function", "measure_valued", "mixed"):
            own = rows[(rows["panel"] == f"to the {part}, iid noise") & (rows["curve"] == name)]
            expected = factor * made_up.VARIANCE[name] * np.array([0.01, 0.1, 1.0])
            np.testing.assert_allclose(own["value"], expected)
    assert (rows[rows["curve"] == "second_order"]["value"] == 0).all()


def test_variance_against_sigma_takes_three_sigmas(tmp_path):
    table = list(made_up.grid(["sine"], ["diagonal"], made_up.SMALL, (1.0, 0.1)))
    assert rows_of(made_of(tmp_path, table), "variance") is None


def test_bias_is_drawn_with_its_interval_and_a_band_that_counts_as_none(run):
    rows = rows_of(run, "bias")
    mean = rows[rows["panel"] == "gradient to the mean"]
    (own,) = mean[mean["row"] == "mixed"].to_dict("records")
    expected = interval(-0.3, 0.01, made_up.REPLICATES)
    assert (own["value"], own["low"], own["high"]) == (-0.3, expected.low, expected.high)
    assert own["struck"]
    (band,) = mean[mean["kind"] == "band"].to_dict("records")
    assert (band["low"], band["high"]) == (-choice.LEAST_BIAS, choice.LEAST_BIAS)
