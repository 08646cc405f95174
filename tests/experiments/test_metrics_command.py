"""`sigmaprop metrics` from the command line to the page."""

import json

import numpy as np
import pytest

import sigmaprop as package
from sigmaprop.metrics import METRICS

SMALL = ("--repeats", "16", "--draws", "20")


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A run of two metrics on Gaussian data and on digits."""
    from sigmaprop.experiments.cli.main import main

    directory = tmp_path_factory.mktemp("metrics") / "run"
    with pytest.raises(SystemExit) as caught:
        main(
            [
                *("metrics", "--metrics", "energy", "coverage", "--sizes", "32x8"),
                *("--dataset", "digits", "--num-samples", "60", "--num-held-out", "50"),
                *(*SMALL, "--run-dir", str(directory)),
            ]
        )
    assert caught.value.code == 0
    return directory


def test_every_number_is_in_the_table(measured):
    frame = package.load(measured).frame
    assert set(frame["metric"]) == {"energy", "coverage"}
    assert set(frame["data"]) == {"gaussian", "digits"}
    assert set(frame["quantity"]) == {"curve", "preferred", "grown", "shrunk", "change"}
    best = frame[frame["quantity"] == "preferred"].set_index(["metric", "data"])["value"]
    assert best["coverage", "gaussian"] < 0.9
    assert 0.8 < best["energy", "gaussian"] < 1.25
    power = frame[frame["quantity"].isin(["grown", "shrunk"])]["value"]
    assert power.between(0, 1).all()
    own = frame[frame["data"] == "digits"]
    assert set(own[own["quantity"] == "grown"]["num_held_out"]) == {50}


def test_claims_are_those_of_the_gate(measured):
    claims = json.loads((measured / "conclusions.json").read_text())
    assert len(claims) == 6
    coverage = [one for one in claims if one["quantity"] == "coverage"]
    assert {one["verdict"] for one in coverage if one["study"] == "preferred"} == {"fails"}


def test_the_page_answers_first(measured):
    page = (measured / "report.html").read_text()
    assert "may judge sigma" in page
    assert METRICS["coverage"].title in page
    assert (measured / "figures" / "all_preferred.svg").exists()
    assert json.loads((measured / "features.json").read_text()) == {"name": "pixels"}


def test_a_run_that_was_stopped_goes_on_to_the_same_numbers(measured, sigmaprop, monkeypatch):
    from sigmaprop.experiments.metrics import run as experiment

    whole = experiment.preferred_scale

    def interrupted(name, *arguments, **options):
        if name == "coverage":
            raise KeyboardInterrupt
        return whole(name, *arguments, **options)

    command = ("metrics", "--config", measured, "--run-dir", "again")
    monkeypatch.setattr(experiment, "preferred_scale", interrupted)
    assert sigmaprop(*command).status == 130
    monkeypatch.setattr(experiment, "preferred_scale", whole)
    ended = sigmaprop("resume", "again")
    assert ended.status == 0
    assert "energy, metric 1 of 2: measured before the run was stopped" in ended.out
    one, other = (package.load(path).frame for path in (measured, "again"))
    for name in one:
        np.testing.assert_array_equal(one[name].to_numpy(), other[name].to_numpy())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--sizes", "192"], "--sizes holds '192'; write rows and dimension as 192x16"),
        (["--sizes", "2x3"], "rows must lie between 8 and 100000"),
        (["--metrics", "mmd"], "unknown metric 'mmd'; did you mean 'mmd2'"),
        (["--features", "classifier"], "--features and options of the data belong to a data set"),
        (["--dataset", "digits", "--num-samples", "1790"], "take --num-samples 1489 or less"),
        (["--dataset", "ring", "--features", "no.py:f"], "no.py"),
        (["--sizes", "9x1", "9x1"], "--sizes names 9x1 twice"),
    ],
)
def test_bad_options_are_one_sentence(sigmaprop, options, words):
    ended = sigmaprop("metrics", *options)
    assert ended.status == 2
    assert words in ended.err
    assert ended.err.count("\n") == 1


def test_a_dry_run_says_what_it_would_take(sigmaprop):
    ended = sigmaprop("metrics", "--dry-run")
    assert ended.status == 0
    assert "23 metrics x 2 cases" in ended.out + ended.err
