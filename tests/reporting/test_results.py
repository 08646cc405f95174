"""Reading runs back, and telling them apart."""

import numpy as np
import pyarrow as pa
import pytest

from sigmaprop.reporting import results
from sigmaprop.runs.files import RunError

ONE = ("pathwise", "antithetic")


def test_a_series_holds_its_rows_in_the_order_of_sigma_and_batch_size(make_run, tmp_path):
    shuffle = np.random.default_rng(0).permutation
    path = make_run(tmp_path / "a", change=lambda t: t.take(shuffle(t.num_rows)))
    (found,) = results.read([path])
    series = found.get("quartic", ONE, "mean", "error_to_gradient")
    assert series.sigma.size == 9 * 4
    order = np.lexsort((series.batch_size, series.sigma))
    assert (order == np.arange(order.size)).all()
    bias = found.get("quartic", ONE, "mean", "bias")
    np.testing.assert_allclose(bias.value, np.maximum(0.5 * bias.sigma**2, 1e-7))


def test_objectives_and_estimators_keep_the_order_of_the_run(run):
    (found,) = results.read([run])
    assert list(found.sizes) == ["quartic", "digit_classifier"]
    assert found.sizes["quartic"] == (16, "float32")
    assert found.estimators("quartic")[:3] == [
        ("pathwise", "iid"),
        ("pathwise", "antithetic"),
        ("score_function", "iid"),
    ]
    assert found.get("quartic", ("pathwise", "sobol"), "mean", "bias") is None


def test_nulls_are_not_a_number(make_run, tmp_path):
    def with_null(table):
        values = [None, *table["value"].to_pylist()[1:]]
        return table.set_column(table.column_names.index("value"), "value", pa.array(values))

    (found,) = results.read([make_run(tmp_path / "a", change=with_null)])
    bias = found.get("quartic", ("pathwise", "iid"), "mean", "bias")
    assert np.isnan(bias.value).sum() == 1
    assert found.claims[-1]["measured"]["value"] != found.claims[-1]["measured"]["value"]


def test_a_run_without_conclusions_or_picture(make_run, tmp_path):
    (found,) = results.read([make_run(tmp_path / "a", claims=None)])
    assert found.claims == []
    assert found.picture is None


def test_a_damaged_file_is_named(make_run, tmp_path):
    path = make_run(tmp_path / "a")
    (path / "environment.json").write_text("{")
    with pytest.raises(RunError, match=r"environment\.json"):
        results.read([path])


@pytest.mark.parametrize(
    ("configs", "expected"),
    [
        ([{"dtype": "float32"}], [""]),
        ([{"dtype": "float32"}, {"dtype": "float64"}], ["float32", "float64"]),
        (
            [{"seed": 0, "dtype": "float32"}, {"seed": 1, "dtype": "float64"}],
            ["float32, seed 0", "float64, seed 1"],
        ),
        ([{"dim": None}, {"dim": 4}], ["dim default", "dim 4"]),
        # Lists are long: only where nothing else tells the runs apart.
        ([{"seed": 0, "objective": ["a"]}, {"seed": 1, "objective": ["b"]}], ["seed 0", "seed 1"]),
        ([{"objective": ["a"]}, {"objective": ["b", "c"]}], ["objective a", "objective b c"]),
        ([{"seed": 0}, {"seed": 0}], ["run0", "run1"]),
        ([{"seed": 0}, {"seed": 0}, {"seed": 1}], ["seed 0, run0", "seed 0, run1", "seed 1, run2"]),
    ],
)
def test_a_run_is_labelled_by_what_differs(configs, expected):
    assert results.label(configs, [f"run{i}" for i in range(len(configs))]) == expected


def test_labels_are_short_and_never_equal():
    configs = [{"x": [0.0] * 100 + [float(i)]} for i in range(3)]
    labels = results.label(configs, ["same"] * 3)
    assert len(set(labels)) == 3
    assert max(map(len, labels)) <= results.LONGEST_LABEL + 3


def test_plain_text_has_only_glyphs_that_every_font_has():
    assert results.plain("a\x00b\U0001f4a9\n") == "a?b??"
    assert results.plain("é" * 9, 5) == "éééé…"
