"""A record is all that an estimator or an objective needs to be known everywhere."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sigmaprop import estimators

ROOT = Path(__file__).resolve().parents[1]
TOYS = """
import jax.numpy as jnp

from sigmaprop.estimators import ESTIMATORS, Estimator, Record, Terms
from sigmaprop.estimators.base import gradient_at_mean, pull_back
from sigmaprop.objectives import OBJECTIVES, Parts
from sigmaprop.objectives import Record as ObjectiveRecord


def toy_rule():
    def terms(gaussian, eps, evaluations, at_mean):
        return Terms(pull_back(gaussian, eps, evaluations.gradient))

    return Estimator(
        "toy_rule", needs=("gradient",), knows=("gradient",), terms=terms, origin=gradient_at_mean
    )


def toy_bowl(dim):
    expectation = lambda mean, covariance: jnp.sum(mean**2 + covariance.variances())
    return Parts(lambda x: jnp.sum(x**2), expectation)


rule = Record(toy_rule, "a rule to play with", "toys", "1 toy", derivatives=1, sweeps=True)
ESTIMATORS.register("toy_rule", rule)
OBJECTIVES.register("toy_bowl", ObjectiveRecord(toy_bowl, "sum_i x_i^2", default_dim=2))
"""
PROGRAM = """
import contextlib, io, json, sys
from sigmaprop.experiments.cli.main import main

def told(*words):
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        main(list(words))
    return out.getvalue()

run = ("--studies", "grid", "--objective", "toy_bowl", "--estimators", "pathwise", "toy_rule")
run += ("--noise", "iid", "--sigmas", ".5", "--num-samples", "64", "--replicates", "16")
print(json.dumps({
    "names": estimators.names() + objectives.names(),
    "list": told("list"),
    "help": told("limit", "--help"),
    "run": told("estimators", *run, "--dim", "2", "--run-dir", "run"),
    "limit": told("limit", "--objective", "toy_bowl", "--estimators", "toy_rule", "--noise", "iid",
                  "--num-samples", "256", "--num-sigmas", "3", "--run-dir", "swept"),
}))
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory) -> dict:
    """What commands say in a process that registers two toys first."""
    directory = tmp_path_factory.mktemp("toys")
    code = f"{TOYS}\nfrom sigmaprop import estimators, objectives\n{PROGRAM}"
    command = [sys.executable, "-c", code]
    ended = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    pages = {one: (directory / one / "report.html").read_text() for one in ("run", "swept")}
    return json.loads(ended.stdout) | {"pages": pages}


@pytest.mark.parametrize("toy", ["toy_rule", "toy_bowl"])
def test_a_registered_toy_is_known_everywhere(told, toy):
    assert toy in told["names"]
    for where in ("list", "help", "run", "limit"):
        assert toy in told[where], where
    assert all(toy in page for page in told["pages"].values())


def test_a_listing_says_what_the_record_says(told):
    assert "a rule to play with" in told["list"]
    assert "1 toy" in told["list"]
    assert "sum_i x_i^2" in told["list"]


def test_what_records_say_of_an_estimator_is_true_of_it():
    for label in estimators.labels():
        chosen, record = estimators.of_label(label), estimators.record_of(label)
        assert chosen.label == label
        assert chosen.sweepable == (label in estimators.sweepable_labels())
        reads_gradients = "gradient" in chosen.needs
        assert not reads_gradients or record.derivatives > 0
        assert ("expansion" in chosen.knows) <= record.expands
        assert not record.single or label.endswith("+fitted") or chosen.min_draws == 1


def test_the_rules_have_a_row_of_every_name():
    rules = (ROOT / "docs" / "rules.md").read_text()
    rows = " ".join(re.findall(r"^\| (.*?)\|", rules, re.MULTILINE))
    for label in estimators.ESTIMATORS:
        name, _, variate = label.partition("+")
        assert f"`{name}`" in rows
        assert variate not in estimators.CONTROL_VARIATES or f"`{variate}`" in rules


def test_records_are_read_without_jax():
    code = (
        "import sys; from sigmaprop.estimators.records import labels;"
        "from sigmaprop.objectives.records import names; labels(), names();"
        "import sigmaprop.reporting.marks; sys.exit('jax' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
