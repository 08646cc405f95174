"""`sigmaprop list` names everything, in 80 columns, and trains nothing."""

import os

import pytest
from sigmaprop.experiments.cli import listing
from sigmaprop.experiments.estimators.config import ESTIMATORS_PRESETS
from sigmaprop.experiments.limit.config import LIMIT_PRESETS

from sigmaprop import estimators, noise, objectives
from sigmaprop.comparison import FAMILIES
from sigmaprop.noise import schedules
from sigmaprop.objectives import classifier


@pytest.fixture
def listed(sigmaprop, monkeypatch) -> str:
    def train(*arguments):
        raise AssertionError("trained")

    monkeypatch.setattr(classifier, "train", train)
    monkeypatch.setattr(classifier, "pretrained", train)
    ended = sigmaprop("list")
    assert ended.status == 0
    return ended.out


def test_everything_is_named_in_80_columns(listed):
    words = set(listed.split())
    names = (objectives.names(), estimators.labels(), noise.NAMES, schedules.names(), LIMIT_PRESETS)
    names += (FAMILIES, ESTIMATORS_PRESETS)
    assert words.issuperset(name for group in names for name in group)
    assert max(map(len, listed.splitlines())) <= 80
    assert "1[x_i > 0]" in listed


def test_nothing_is_left_on_disk(listed, tmp_path):
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", objectives.names())
def test_objectives_are_what_their_records_say(name):
    objective, record = objectives.get(name), objectives.OBJECTIVES[name]
    assert (objective.formula, objective.dim) == (record.formula, record.default_dim)
    assert objective.smoothness == record.smoothness
    assert objective.has_closed_form == record.closed


def test_dims_are_told_in_words():
    assert listing.dims("digit_classifier") == "64 only"
    assert listing.dims("rosenbrock") == "16, >= 2"


@pytest.mark.parametrize(
    ("label", "gradients", "cost"),
    [
        ("pathwise", "all", "1 grad f"),
        ("score_function", "all", "1 f"),
        ("score_function+leave_one_out", "all", "1 f"),
        ("score_function+delta", "all", "1 f, Hess f(m) y"),
        ("measure_valued", "all", "4 K f"),
        ("bonnet_price", "all", "K grad f, Hess f v"),
        ("antithetic_difference", "mean", "2 f"),
        ("at_mean", "mean", "1 grad f in all"),
    ],
)
def test_estimators_say_what_they_give_and_cost(label, gradients, cost):
    record = estimators.record_of(label)
    assert (record.to, record.cost) == (gradients, cost)
