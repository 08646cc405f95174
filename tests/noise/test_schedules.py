"""Schedules against optax, and batch sizes."""

import numpy as np
import optax
import pytest

from sigmaprop.noise import schedules

STEPS = (0, 1, 2, 5, 9, 10)


def test_linear_agrees_with_optax():
    ours, theirs = schedules.linear(2.0, 0.5, 10), optax.linear_schedule(2.0, 0.5, 10)
    for step in STEPS:
        assert abs(ours(step) - float(theirs(step))) <= 4 * np.finfo(np.float32).eps


def test_cosine_agrees_with_optax():
    ours = schedules.cosine(2.0, 0.5, 10)
    theirs = optax.cosine_decay_schedule(2.0, 10, alpha=0.25)
    for step in STEPS:
        assert abs(ours(step) - float(theirs(step))) <= 8 * np.finfo(np.float32).eps


def test_geometric_agrees_with_optax():
    ours = schedules.geometric(2.0, 0.5, 10)
    theirs = optax.exponential_decay(2.0, 10, 0.25)
    for step in STEPS:
        assert abs(ours(step) - float(theirs(step))) <= 8 * np.finfo(np.float32).eps


@pytest.mark.parametrize("name", schedules.names())
def test_schedules_hit_both_ends_and_stay_there(name):
    values = schedules.sigmas(name, 1.0, 1e-8, 25)
    assert values.shape == (25,)
    assert values[0] == 1.0
    assert values[-1] == 1e-8
    assert np.all(np.diff(values) < 0)
    make = {"geometric": schedules.geometric, "linear": schedules.linear}.get(
        name, schedules.cosine
    )
    schedule = make(1.0, 0.1, 4)
    assert schedule(0) == 1.0
    assert abs(schedule(4) - 0.1) < 1e-15
    assert schedule(99) == schedule(4)
    assert schedules.sigmas(name, 0.3, 0.1, 1).tolist() == [0.3]


def test_bad_schedules_say_what_is_wrong():
    with pytest.raises(ValueError, match="did you mean 'cosine'"):
        schedules.sigmas("cosin", 1, 0.1, 3)
    with pytest.raises(ValueError, match="positive sigmas"):
        schedules.geometric(1.0, 0.0, 3)


def test_powers_of_any_base():
    assert schedules.powers(2, 9) == (1, 2, 4, 8)
    assert schedules.powers(10, 1000) == (1, 10, 100, 1000)
    assert schedules.powers(7, 6) == (1,)
