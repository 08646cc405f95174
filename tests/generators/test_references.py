"""Which cell of arm zero the others are compared with, in products and in lists."""

import numpy as np

from sigmaprop.generators import results

from ..reporting import made_up_gan as made_up


def references(path, *described, listed=False):
    """Labels of what each cell is compared with; a cell is a label, its arm and what is swept."""
    run = results.measured(made_up.make_run(path / "run", compare=False))
    cells = tuple(
        results.Cell(number, label, arm, {"arm": arm, **swept}, False, np.array([0]), (0,))
        for number, (label, arm, swept) in enumerate(described)
    )
    config = run.config | {"cells": [{"name": label} for label, _, _ in described if listed]}
    run = run._replace(cells=cells, config=config)
    return [results.reference(run, cell, "zero").label for cell in cells]


SLOW, FAST = {"learning_rate": 1e-4}, {"learning_rate": 1e-3}


def test_zero_is_the_reference_of_cells_with_options_that_do_not_concern_it(tmp_path):
    found = references(
        tmp_path,
        ("zero slow", "zero", SLOW),
        ("zero fast", "zero", FAST),
        ("fixed slow", "fixed", SLOW | {"sigma": 0.1}),
        ("fixed fast", "fixed", FAST | {"sigma": 0.2}),
        ("global fast", "global", FAST | {"sigma_start": 0.2}),
    )
    assert found == ["zero slow", "zero fast", "zero slow", "zero fast", "zero fast"]


def test_a_list_is_compared_with_the_cell_of_zero_that_agrees_else_with_the_first(tmp_path):
    found = references(
        tmp_path,
        ("a", "global", FAST | {"widths": [8]}),
        ("b", "zero", SLOW | {"widths": [8]}),
        ("c", "zero", FAST | {"widths": [8]}),
        ("d", "global", FAST | {"widths": [8, 8]}),
        listed=True,
    )
    assert found == ["c", "b", "b", "b"]


def test_without_an_arm_zero_the_first_cell_is_it(tmp_path):
    cells = (("a", "fixed", {}), ("b", "global", SLOW), ("c", "global", FAST))
    assert references(tmp_path / "list", *cells, listed=True) == ["a", "a", "a"]
    assert references(tmp_path / "product", *cells) == ["a", "a", "a"]


def test_values_of_an_option_are_those_of_the_cells_it_concerns(tmp_path):
    directory = made_up.make_run(tmp_path / "run", swept=("placement", ("shared", "model")))
    run = results.measured(directory)
    assert run.taken("placement") == ("shared", "model")
    assert run.taken("widths") == ((128, 128),)
