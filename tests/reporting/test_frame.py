"""Reading runs back, and telling them apart."""

import numpy as np
import pandas as pd
import pytest

import sigmaprop
from sigmaprop.reporting import frame, page
from sigmaprop.runs.files import RunError

from . import made_up_gan


def test_a_run_is_its_config_claims_and_a_row_for_every_number(run):
    found = sigmaprop.load(run)
    assert (found.command, found.name, found.label, found.notice) == ("limit", "first", "", "")
    assert found.config["objective"] == ["quartic", "digit_classifier"]
    assert [claim["verdict"] for claim in found.claims] == ["holds", "fails", "not resolved"]
    assert np.isnan(found.claims[2]["measured"]["value"])
    assert isinstance(found.frame, pd.DataFrame)
    bias = found.frame.query("metric == 'bias' and estimator == 'pathwise' and wrt == 'mean'")
    bias = bias[bias["objective"] == "quartic"]
    np.testing.assert_allclose(bias["value"], np.maximum(0.5 * bias["sigma"] ** 2, 1e-7))


def test_a_run_of_generators_has_arm_seed_and_swept_options_as_columns(tmp_path):
    swept = ("learning_rate", (1e-3, 1e-2))
    directory = made_up_gan.make_run(tmp_path / "run", ("zero", "global"), 3, swept=swept)
    found = sigmaprop.load(directory)
    rows = found.frame[(found.frame["metric"] == "mmd2") & (found.frame["of"] == "x")]
    assert set(rows["arm"]) == {"zero", "global"}
    assert set(rows["seed"]) == {0, 1, 2}
    assert set(rows["learning_rate"]) == {1e-3, 1e-2}
    means = rows.groupby(["arm", "learning_rate"])["value"].mean()
    assert means["global", 1e-3] > 0
    assert found.samples["x"].shape == (12, 64, 64)
    assert [one["label"] for one in found.claims] == [
        f"{arm}, learning_rate={rate}" for arm in ("zero", "global") for rate in (1e-3, 1e-2)
    ]


def test_a_swept_option_that_is_a_column_already_gets_a_name_of_its_own(tmp_path):
    directory = made_up_gan.make_run(tmp_path / "run", ("zero",), 3, swept=("sigma", (0.1, 0.2)))
    found = frame.load(directory).frame
    assert set(found["sigma_option"]) == {0.1, 0.2}


def test_a_list_of_cells_is_told_apart_by_name_and_read_from_the_run(tmp_path):
    cells = [{"name": "slow", "learning_rate": 1e-4}, {"name": "narrow", "widths": [8]}]
    found = sigmaprop.load(made_up_gan.make_run(tmp_path / "run", cells=cells))
    flat = frame.flat(found.config)
    assert {name: flat[name] for name in flat if name.startswith("cells")} == {
        "cells.slow.learning_rate": 1e-4,
        "cells.narrow.widths": [8],
    }
    assert page.command(found) == "sigmaprop gan --config run"
    plain = sigmaprop.load(made_up_gan.make_run(tmp_path / "plain", cells=[]))
    assert "--cells" not in page.command(plain)


def test_overflow_is_not_known(make_run, tmp_path):
    def huge(table):
        values = [1e300, *table["value"].to_pylist()[1:]]
        return table.set_column(table.column_names.index("value"), "value", [values])

    assert np.isnan(frame.load(make_run(tmp_path / "a", change=huge)).frame["value"].iloc[0])


@pytest.mark.parametrize(
    ("configs", "labels"),
    [
        (({"dtype": "a"},), [""]),
        (({"dtype": "a", "n": 1}, {"dtype": "b", "n": 1}), ["a", "b"]),
        (({"n": 1, "dim": 2}, {"n": 3, "dim": None}), ["dim 2, n 1", "dim default, n 3"]),
        (({"o": ["x"]}, {"o": ["x", "y"]}), ["o x", "o x y"]),
        (({"n": 1}, {"n": 1}), ["first", "second"]),
    ],
)
def test_runs_are_told_apart_by_what_differs(configs, labels):
    assert frame.label(configs, ["first", "second"][: len(configs)]) == labels


def test_labels_that_would_be_cut_alike_are_numbered():
    names = ["n" * 100 + end for end in "ab"]
    first, second = frame.label([{}, {}], names)
    assert first.startswith("1: ")
    assert second.startswith("2: ")


@pytest.mark.parametrize("name", ["config.json", "environment.json", "metrics.parquet"])
def test_a_file_that_is_missing_or_damaged_is_named(make_run, tmp_path, name):
    directory = make_run(tmp_path / "run")
    (directory / name).write_bytes(b"{")
    with pytest.raises(RunError, match=name):
        frame.load(directory).frame  # noqa: B018
    (directory / name).unlink()
    with pytest.raises(RunError):
        frame.load(directory).frame  # noqa: B018


def test_a_claim_without_its_fields_is_refused_and_an_old_one_is_read(make_run, tmp_path):
    directory = make_run(tmp_path / "run")
    path = directory / "conclusions.json"
    text = path.read_text()
    path.write_text(text.replace('"study": "bias", ', "").replace('"quantity": "slope", ', ""))
    assert {claim["study"] for claim in frame.load(directory).claims} == {""}
    path.write_text(text.replace('"verdict"', '"vertict"'))
    with pytest.raises(RunError, match="without its usual content"):
        frame.load(directory)


def test_a_column_that_is_missing_is_named(make_run, tmp_path):
    directory = make_run(tmp_path / "run", change=lambda table: table.drop_columns(["noise"]))
    with pytest.raises(RunError, match="noise"):
        frame.load(directory).frame  # noqa: B018
