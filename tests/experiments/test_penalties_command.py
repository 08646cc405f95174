"""`sigmaprop penalties` from the command line to the page."""

import json

import numpy as np
import pytest

import sigmaprop as package

SMALL = (
    *("--discriminators", "linear", "silu", "--dtypes", "float32", "--sigmas", "1", ".1", ".01"),
    *("--logits", ".01", "1", "--networks", "3", "--examples", "64", "--dim", "4"),
    *("--widths", "8"),
)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A run of two small discriminators."""
    from sigmaprop.experiments.cli.main import main

    directory = tmp_path_factory.mktemp("penalties") / "run"
    with pytest.raises(SystemExit) as caught:
        main(["penalties", *SMALL, "--run-dir", str(directory)])
    assert caught.value.code == 0
    return directory


def test_every_number_is_in_the_table(measured):
    frame = package.load(measured).frame
    assert set(frame["discriminator"]) == {"linear", "silu"}
    assert set(frame["dtype"]) == {"float32", "float64"}
    of_values = {"ratio", "exact", "variance", "lowest", "highest"}
    assert set(frame["quantity"]) == of_values | {"size", "cosine", "error"}
    linear = frame[frame["discriminator"] == "linear"]
    ratio = linear[linear["quantity"] == "ratio"]
    np.testing.assert_allclose(ratio["value"], 1.0, atol=1e-3)
    error = linear[(linear["quantity"] == "error") & (linear["logit"] == 0.01)]
    assert (error["value"] < 0.02).all()
    assert set(error["sigma"]) == {1.0, 0.1, 0.03, 0.01}


def test_the_report_explains_all_columns_and_quantities(measured):
    from sigmaprop.experiments.penalties import run as experiment

    from sigmaprop.reporting.penalties import report

    assert tuple(name for name, _ in report.COLUMNS) == experiment.KEYS + experiment.VALUES
    frame = package.load(measured).frame
    explained = {name for name, _ in report.QUANTITIES}
    assert set(frame["quantity"]) | set(frame["treatment"]) <= explained


def test_claims_have_the_verdicts_of_theory(measured):
    claims = json.loads((measured / "conclusions.json").read_text())
    verdict = {(one["objective"], one["claim"]): one["verdict"] for one in claims}
    near = "near D = 1/2: gradient of {} against that of R1".format
    assert verdict["linear", near("instance noise")] == "holds"
    assert verdict["silu", near("instance noise")] != "holds"
    assert verdict["silu", near("its convex part")] == "holds"
    assert verdict["silu", "float32, s = 0.01: cosine of its gradient with that of R1"] == "holds"


def test_the_page_answers_first(measured):
    page = (measured / "report.html").read_text()
    assert "linear: the finite difference is R1 within 5% in float32 from s ≤ 0.01 to ≥ 1." in page
    assert "noised branch" in page
    for name in ("difference", "equivalence", "gradient"):
        assert (measured / "figures" / f"all_{name}.svg").exists()


def test_a_run_that_was_stopped_goes_on_to_the_same_numbers(measured, sigmaprop, monkeypatch):
    from sigmaprop.experiments.penalties import run as experiment

    whole = experiment.penalties.judge

    def interrupted(kind, *arguments):
        if kind == "silu":
            raise KeyboardInterrupt
        return whole(kind, *arguments)

    monkeypatch.setattr(experiment.penalties, "judge", interrupted)
    assert sigmaprop("penalties", "--config", measured, "--run-dir", "again").status == 130
    monkeypatch.setattr(experiment.penalties, "judge", whole)
    ended = sigmaprop("resume", "again")
    assert ended.status == 0
    assert "linear, discriminator 1 of 2: measured before the run was stopped" in ended.out
    one, other = (package.load(path).frame for path in (measured, "again"))
    for name in one:
        np.testing.assert_array_equal(one[name].to_numpy(), other[name].to_numpy())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--discriminators", "swish"], "swish"),
        (["--sigmas", "0"], "--sigmas is 0.0; it must lie between 1e-12 and"),
        (["--sigmas", ".1", ".1"], "--sigmas names 0.1 twice"),
        (["--logits", "-1"], "--logits is -1.0; it must lie between"),
        (["--networks", "2"], "--networks is 2; it must lie between 3 and 1000"),
        (["--examples", "100"], "--examples is 100; give a multiple of 8"),
        (["--dtypes", "float16"], "float16"),
        (["--widths", "0"], "--widths is 0; it must lie between 1 and"),
    ],
)
def test_bad_options_are_one_sentence(sigmaprop, options, words):
    ended = sigmaprop("penalties", *options)
    assert ended.status == 2
    assert words in ended.err
    assert ended.err.count("\n") == 1


def test_a_dry_run_says_what_it_would_take(sigmaprop):
    ended = sigmaprop("penalties", "--dry-run")
    assert ended.status == 0
    assert "2 discriminators x 6 networks x 9 sigmas" in ended.out + ended.err


def test_the_weights_of_the_approximate_penalties_are_refused_where_they_mean_nothing(sigmaprop):
    for options, words in (
        (("--approximate-r1", "-1"), "--approximate-r1 is -1.0; it must lie between"),
        (("--penalty-sigma", "0"), "--penalty-sigma is 0.0; it must lie between"),
    ):
        ended = sigmaprop("gan", *options, "--dry-run")
        assert ended.status == 2
        assert words in ended.err
