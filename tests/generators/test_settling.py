"""Two-sided starts and reach, on made-up runs whose ends of sigma are put in."""

import numpy as np
import pyarrow as pa
import pytest

from sigmaprop.generators import compare as gan_comparison
from sigmaprop.generators import results, scores, settling
from sigmaprop.reporting.gan import words

from ..reporting import made_up_gan as made_up

REACHING = {"sigma_learning_rate": 0.3}
"""Of 100 steps: 30, three times ln 10^4 = 9.2, the farthest way between 1e-3 and 10, is 27.6."""


def run(path, ends, starts=(0.02, 0.5), **options):
    """A run of the arm global with these starts, whose sigma stands at ``ends``: its cells."""

    def change(table):
        rows = [
            row | {"value": value(row)} if row["metric"] == "sigma" else row
            for row in table.to_pylist()
        ]
        return pa.Table.from_pylist(rows, table.schema)

    def value(row):
        cell, seed = divmod(row["replica"], 4)
        return ends[cell] * np.exp(-1e-6 * seed * (row["step"] - 92.5))

    swept = ("sigma_start", starts)
    options = REACHING | options
    directory = made_up.make_run(
        path / "run", arms=("per_pixel",), swept=swept, change=change, **options
    )
    return directory, gan_comparison.compare(directory)


CASES = {
    "both sides meet": ((0.115, 0.125), (0.02, 0.5), True, "settled at 0.115 from 0.02 and 0.5"),
    "they end apart": (
        (0.05, 0.3),
        (0.02, 0.5),
        False,
        "starts disagree: 0.05 and 0.3 from 0.02 and 0.5",
    ),
    "just too far": ((0.1, 0.1101), (0.02, 0.5), False, "starts disagree"),
    "just near enough": ((0.1, 0.1099), (0.02, 0.5), True, "settled at 0.1 from"),
    "one start": ((0.1,), (0.1,), False, "not tested: one start only"),
    "both from above": ((0.1, 0.1), (0.2, 0.5), False, "not tested: 0.2 and 0.5 all lie above 0.1"),
    "both from below": (
        (0.1, 0.1),
        (0.01, 0.05),
        False,
        "not tested: 0.01 and 0.05 all lie below 0.1",
    ),
    "three starts": (
        (0.1, 0.104, 0.1),
        (0.02, 0.1, 0.5),
        True,
        "settled at 0.1 from 0.02, 0.1 and 0.5",
    ),
    "one of three is off": ((0.1, 0.1, 0.2), (0.02, 0.1, 0.5), False, "starts disagree"),
}


@pytest.mark.parametrize("case", CASES)
def test_settled_means_that_starts_on_both_sides_end_there(case, tmp_path):
    ends, starts, settled, sentence = CASES[case]
    _, found = run(tmp_path, ends, starts)
    assert {one.direction for one in found} == {"settled" if settled else "at rest"}
    assert found[0].settling.startswith(sentence)


def test_a_reach_that_is_too_short_cannot_settle(tmp_path):
    """From .1 to 1e-3 or 10 is ln 100 = 4.61; 100 steps of 1e-3 make .1."""
    directory, found = run(tmp_path, (0.12, 0.12), sigma_learning_rate=None)
    assert {one.direction for one in found} == {"at rest"}
    way = np.log(0.5 / 1e-3)  # from the upper start to the farther bound
    expected = f"rate x steps is 0.1, the bounds are {way:.3g} away, needs {3 * way:.3g}"
    assert found[1].settling == f"cannot settle: {expected}"
    told = list(words.found(results.measured(directory), found))
    assert any(f"at rest, but cannot settle: {expected}." in one for one in told)


@pytest.mark.parametrize(
    ("options", "way"),
    [
        ({}, np.log(100)),
        ({"sigma_start": 1.0}, np.log(1000)),
        ({"sigma_floor": 0.05, "sigma_ceiling": 0.3}, np.log(3)),
        ({"parameterisation": "softplus"}, np.log(np.expm1(10)) - np.log(np.expm1(0.1))),
        ({"parameterisation": "signed"}, 9.9),
    ],
)
def test_the_reach_is_three_ways_to_the_farther_bound(options, way):
    base = {"sigma_start": 0.1, "sigma_floor": 1e-3, "sigma_ceiling": 10.0}
    base |= {"learning_rate": 1e-3, "sigma_learning_rate": None} | options
    steps = 3 * way / 1e-3
    assert settling.shortfall(base, int(1.001 * steps)) == ""
    told = settling.shortfall(base, int(0.999 * steps))
    assert told.endswith(f"the bounds are {way:.3g} away, needs {3 * way:.3g}")
    assert settling.shortfall(base | {"sigma_learning_rate": 0.01}, int(0.5 * steps)) == ""
    assert settling.shortfall(base | {"sigma_optimizer": "sgd"}, 1) == ""


def test_a_sigma_that_moves_or_lies_at_a_bound_is_said_to_do_that(tmp_path):
    directory = made_up.make_run(tmp_path / "run", arms=("zero", "global", "low_rank"), **REACHING)
    found = {one.arm: one for one in gan_comparison.compare(directory)}
    assert [found[arm].direction for arm in ("global", "low_rank")] == ["falling", "at floor"]
    assert {one.settling for one in found.values()} == {""}


def test_starts_that_agree_do_not_make_an_unclear_trend_settled(tmp_path):
    def change(table):
        rows = [
            row | {"value": 0.1 * np.exp((-1) ** row["replica"] * 2e-3 * (row["step"] - 92.5))}
            if row["metric"] == "sigma"
            else row
            for row in table.to_pylist()
        ]
        return pa.Table.from_pylist(rows, table.schema)

    swept = ("sigma_start", (0.02, 0.5))
    directory = made_up.make_run(
        tmp_path / "run", arms=("global",), swept=swept, change=change, **REACHING
    )
    found = gan_comparison.compare(directory)
    assert {one.direction for one in found} == {"unclear"}
    assert {one.settling for one in found} == {"starts agree on 0.1 from 0.02 and 0.5"}


def test_cells_that_differ_in_more_than_the_start_do_not_count(tmp_path):
    """Two learning rates, one start each: neither is tested by the other."""
    directory = made_up.make_run(
        tmp_path / "run", arms=("per_pixel",), swept=("learning_rate", (0.3, 0.4))
    )
    found = gan_comparison.compare(directory)
    assert {one.settling for one in found} == {"not tested: one start only"}


def test_the_page_says_how_it_is_known(tmp_path):
    directory, found = run(tmp_path, (0.12, 0.12))
    again = scores.from_json(scores.as_json(found))
    told = list(words.found(results.measured(directory), again))
    assert any("run, settled at 0.12 from 0.02 and 0.5." in one for one in told)
    (older,) = (one._replace(settling="") for one in again[:1])
    assert "where it has settled" in words._sigma(
        results.measured(directory), results.measured(directory).cells[0], older
    )
