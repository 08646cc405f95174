"""Cells as a list, by chance, and of a product in which options multiply what they concern."""

import collections
import dataclasses
import itertools
import json

import jax
import numpy as np
import pytest
from scipy import stats
from sigmaprop.experiments.gan import plan as gan_plan
from sigmaprop.experiments.gan.config import GanConfig, GanOptions, GanSweep
from sigmaprop.experiments.training.cells import cells, drawn, given, parse
from sigmaprop.experiments.vae import plan as vae_plan
from sigmaprop.experiments.vae.config import VaeConfig, VaeOptions, VaeSweep

from sigmaprop.generators.arms import ARMS
from sigmaprop.runs import configs

LIST = [
    {"name": "none", "arm": "zero"},
    {"name": "narrow", "arm": "global", "widths": [16, 8], "sigma_start": 0.2},
    {"name": "few latents", "arm": "global", "latent_dim": 3},
    {"name": "fast", "arm": "global", "learning_rate": 0.01},
]


def listed(content, **options) -> GanConfig:
    base = {"dataset": "ring", "steps": 100, "seeds": 2, "sweep": GanSweep()}
    return GanConfig(**(base | options), cells=parse(content, GanConfig))


def crossed(**options) -> GanConfig:
    sweep = GanSweep(**options.pop("sweep"))
    return GanConfig(**({"dataset": "ring", "steps": 100, "seeds": 2} | options), sweep=sweep)


def combinations(config) -> list[tuple]:
    return [tuple(cell.values.values()) for cell in cells(config, GanOptions)]


def test_a_list_runs_as_it_stands():
    plan = gan_plan.prepare(listed(LIST, learning_rate=0.002))
    assert [cell.label for cell in plan.cells] == [one["name"] for one in LIST]
    options = [cell.options for cell in plan.cells]
    assert [one.arm for one in options] == ["zero", "global", "global", "global"]
    assert [one.learning_rate for one in options] == [0.002, 0.002, 0.002, 0.01]
    assert [one.widths for one in options] == [(128, 128), (16, 8), (128, 128), (128, 128)]
    assert [one.latent_dim for one in options] == [32, 32, 3, 32]
    assert [(one.cell.number, one.seed) for one in plan.replicas] == [
        (cell, seed) for cell in range(4) for seed in range(2)
    ]
    programs = [[one.cell.label for one in group.replicas[::2]] for group in plan.groups]
    assert programs == [["none", "fast"], ["narrow"], ["few latents"]]


def test_a_cell_has_every_option_that_some_cell_names_and_that_concerns_it():
    found = cells(listed(LIST), GanOptions)
    named = {"arm", "widths", "sigma_start", "latent_dim", "learning_rate"}
    assert set(found[0].values) == named - {"sigma_start"}
    assert all(set(one.values) == named for one in found[1:])
    assert [one.values["latent_dim"] for one in found] == [32, 32, 3, 32]


def test_a_recorded_list_has_what_was_named_and_no_more(tmp_path):
    config = listed(LIST)
    text = configs.dump("gan", config)
    assert json.loads(text)["config"]["cells"] == LIST
    path = tmp_path / "config.json"
    path.write_text(text)
    assert configs.load_config(path, GanConfig) == config


WRONG = [
    ({"a": 1}, "the cells are", "give a list"),
    ([], "the cells are []", "one or more"),
    ("ab", "the cells are 'ab'", "give a list"),
    ([{"arm": "zero"}], "cell 1 is", 'with a "name"'),
    ([{"name": "a"}, {"name": "a"}], "two cells are called 'a'", "of its own"),
    ([{"name": " "}], "the name of cell 1", "1 to 80"),
    ([{"name": "a", "learning-rate": 1}], "cell a: unknown option", "learning_rate"),
    ([{"name": "a", "seeds": 3}], "cell a: seeds is one for all", "--seeds"),
    ([{"name": "a", "dataset": "grid"}], "cell a: dataset is one for all", "--dataset"),
    ([{"name": "a", "sigma": -1}], "cell a: --sigma is -1.0", "between 0"),
    ([{"name": "a", "sigma": "b"}], "cell a: option sigma is 'b'", "a finite number"),
    ([{"name": "a", "sigma": None}], "cell a: sigma is null", "leave it out"),
    ([{"name": "a", "arm": "globl"}], "cell a: option arm is 'globl'", "'global'"),
    ([{"name": "a", "latent_dim": 0}], "cell a: --latent-dim is 0", "between 1"),
    ([{"name": "a", "widths": [1.5]}], "cell a: option widths[0] is 1.5", "an integer"),
    ([{"name": "a", "sigma_start": 20.0}], "cell a: --sigma-start 20", "move one"),
    ([{"name": "a", "arm": "scheduled", "sigma_last": 0}], "cell a: --sigma-schedule", "above 0"),
]


@pytest.mark.parametrize(("content", "names", "remedy"), WRONG, ids=[one[1] for one in WRONG])
def test_a_wrong_list_is_refused_in_one_sentence(content, names, remedy):
    with pytest.raises(ValueError, match=r"^[^\n]*$") as caught:
        listed(content)
    assert names in str(caught.value)
    assert remedy in str(caught.value)


def test_what_takes_the_data_to_see_names_the_cell_too():
    for wrong, sentence in (
        ({"arm": "low_rank", "rank": 3}, "cell a: --rank is 3"),
        ({"widths": [0]}, "cell a: widths needs"),
        ({"arm": "zero", "entropy_weight": 0.1}, "cell a: --entropy-weight 0.1"),
    ):
        with pytest.raises(ValueError, match=sentence):
            gan_plan.prepare(listed([{"name": "a", **wrong}]))


def test_a_list_and_a_sweep_exclude_each_other():
    with pytest.raises(ValueError, match=r"cells and --sweep\.arm exclude each other"):
        listed(LIST, sweep=GanSweep(arm=("zero",)))


def test_an_option_multiplies_the_arms_that_it_concerns():
    arms, sigmas = ("zero", "fixed", "scheduled", "global"), (0.1, 0.2)
    found = combinations(crossed(sweep={"arm": arms, "sigma": sigmas}))
    assert found == [
        ("zero",), ("fixed", 0.1), ("fixed", 0.2), ("scheduled", 0.1), ("scheduled", 0.2),
        ("global",),
    ]  # fmt: skip
    swept = {"arm": tuple(ARMS), "sigma_start": (0.1, 0.2), "sigma_last": (0.01, 0.02)}
    counts = collections.Counter(one[0] for one in combinations(crossed(sweep=swept)))
    learned = dict.fromkeys(("global", "per_pixel", "heteroscedastic", "low_rank"), 2)
    once = dict.fromkeys(("zero", "fixed", "more_latents", "post_hoc", "oracle", "frozen"), 1)
    assert counts == once | {"scheduled": 2} | learned
    found = cells(crossed(sweep={"arm": ("zero", "low_rank"), "rank": (1, 2)}), GanOptions)
    assert [one.label for one in found] == ["zero", "low_rank, rank=1", "low_rank, rank=2"]


def test_an_arm_that_a_compiled_option_does_not_concern_shares_a_program():
    sweep = {"arm": ("zero", "global"), "parameterisation": ("softplus", "signed")}
    plan = gan_plan.prepare(crossed(sweep=sweep))
    assert [len(group.replicas) for group in plan.groups] == [4, 2]


def test_weights_of_an_entropy_leave_the_arm_without_one_alone():
    sweep = {"arm": ("zero", "global"), "entropy_weight": (0.1, 0.2)}
    found = gan_plan.prepare(crossed(sweep=sweep)).cells
    assert [one.options.entropy_weight for one in found] == [0.0, 0.1, 0.2]


def test_the_full_product_on_request_and_in_configs_of_before(tmp_path):
    sweep = {"arm": ("zero", "fixed"), "sigma": (0.1, 0.2)}
    every = list(itertools.product(*sweep.values()))
    assert combinations(crossed(sweep=sweep, crossing="full")) == every
    written = json.loads(configs.dump("gan", crossed(sweep=sweep)))
    for name in ("crossing", "cells", "first_seed"):
        del written["config"][name]
    path = tmp_path / "config.json"
    path.write_text(json.dumps(written))
    assert combinations(configs.load_config(path, GanConfig)) == every


def test_arms_of_an_autoencoder():
    sweep = VaeSweep(
        arm=("unit", "fixed", "optimal", "global"), sigma=(0.1, 0.2), sigma_floor=(1e-3, 1e-2)
    )
    found = cells(VaeConfig(sweep=sweep), VaeOptions)
    assert collections.Counter(one.options.arm for one in found) == {
        "unit": 1, "fixed": 2, "optimal": 2, "global": 2,
    }  # fmt: skip
    content = [{"name": "a", "encoder_widths": []}, {"name": "b", "latent_dim": 1}]
    config = VaeConfig(sweep=VaeSweep(), cells=parse(content, VaeConfig), dataset="ring", seeds=1)
    plan = vae_plan.prepare(config)
    assert [group.spec.decoder.in_dim for group in plan.groups] == [16, 1]
    assert [group.replicas[0].cell.options.encoder_widths for group in plan.groups] == [
        (), (128, 128),
    ]  # fmt: skip


COUNT = 400


def draws(seed=0, **lists):
    return drawn(GanSweep(**lists), GanOptions, "global", COUNT, seed)


def test_draws_are_log_uniform_between_positive_ends_and_uniform_from_0():
    """Kolmogorov and Smirnov, three tests at 10^-4 each; draws are cut to four digits."""
    found = draws(learning_rate=(1e-2, 1e-4, 1e-3), r1=(0.0, 2.0), batch_size=(8, 64))
    assert len(found) == COUNT
    rates = np.log([one["learning_rate"] for one in found])
    width = np.log(100)
    assert stats.kstest(rates, "uniform", args=(np.log(1e-4), width)).pvalue > 1e-4
    assert stats.kstest([one["r1"] for one in found], "uniform", args=(0, 2)).pvalue > 1e-4
    sizes = np.array([one["batch_size"] for one in found])
    assert sizes.dtype.kind == "i"
    assert (sizes.min(), sizes.max()) >= (8, 8)
    assert sizes.max() <= 64
    below = (sizes <= 22).sum()  # log-uniform: a half lies below the root of 8 x 64, 22.6
    assert stats.binomtest(int(below), COUNT, 0.5).pvalue > 1e-4
    assert abs(np.corrcoef(rates, [one["r1"] for one in found])[0, 1]) < 5 / np.sqrt(COUNT)


def test_draws_of_words_take_each_equally_often():
    found = draws(loss=("hinge", "minimax"), learning_rate=(1e-4, 1e-2))
    hinges = sum(one["loss"] == "hinge" for one in found)
    assert stats.binomtest(hinges, COUNT, 0.5).pvalue > 1e-4


def test_every_arm_has_its_cells_with_options_of_its_own_and_equal_tuning():
    lists = {"learning_rate": (1e-4, 1e-2), "sigma": (0.01, 0.3)}
    sweep = GanSweep(arm=("zero", "fixed", "global"), **lists)
    found = drawn(sweep, GanOptions, "global", 5, 0)
    by_arm = {
        arm: [one for one in found if one["arm"] == arm] for arm in ("zero", "fixed", "global")
    }
    assert {arm: len(own) for arm, own in by_arm.items()} == {"zero": 5, "fixed": 5, "global": 5}
    assert all("sigma" in one for one in by_arm["fixed"])
    assert not any("sigma" in one for arm in ("zero", "global") for one in by_arm[arm])
    rates = [[one["learning_rate"] for one in own] for own in by_arm.values()]
    assert rates[0] == rates[1] == rates[2]
    assert len(set(rates[0])) == 5
    assert found == drawn(sweep, GanOptions, "global", 5, 0)
    other = drawn(sweep, GanOptions, "global", 5, 1)
    assert not {one["name"] for one in found} & {one["name"] for one in other}
    alone = drawn(dataclasses.replace(sweep, sigma=None), GanOptions, "global", 7, 0)
    assert [one["learning_rate"] for one in alone if one["arm"] == "zero"][:5] == rates[0]


def test_cells_that_would_repeat_are_left_out():
    sweep = GanSweep(arm=("zero", "fixed"), sigma=(0.01, 0.3))
    found = drawn(sweep, GanOptions, "global", 6, 0)
    assert [one["arm"] for one in found] == ["zero", *["fixed"] * 6]
    assert [given(one) for one in parse(found, GanConfig)] == [
        {name: value for name, value in one.items() if name != "name"} for one in found
    ]


@pytest.mark.parametrize(
    ("lists", "count"), [({}, 3), ({"arm": ("zero", "global")}, 3), ({"sigma": (0.1, 0.2)}, 0)]
)
def test_what_cannot_be_drawn_is_refused(lists, count):
    with pytest.raises(ValueError, match=r"^--search (draws from|is 0)"):
        drawn(GanSweep(**lists), GanOptions, "fixed", count, 0)


def test_seeds_with_an_offset_have_the_keys_splits_and_bandwidths_of_their_numbers():
    """And the gap is measured at the first of them."""
    all_of_them = crossed(sweep={"arm": ("zero", "global")}, seeds=4, redraw_split=True)
    plan = gan_plan.prepare(all_of_them)
    own = gan_plan.prepare(dataclasses.replace(all_of_them, seeds=2, first_seed=1))
    assert [one.seed for one in own.replicas] == [1, 2, 1, 2]
    root = jax.random.key(0)
    keys = {
        one.seed: gan_plan.hypers(one, group.spec, 100, root).key
        for group in plan.groups
        for one in group.replicas
    }
    for replica in own.replicas:
        found = gan_plan.hypers(replica, own.groups[0].spec, 100, root).key
        assert (
            jax.random.key_data(found).tolist() == jax.random.key_data(keys[replica.seed]).tolist()
        )
    for expected, split in zip(plan.splits[1:3], own.splits, strict=True):
        np.testing.assert_array_equal(split.train, expected.train)
    np.testing.assert_array_equal(own.squared_bandwidths, plan.squared_bandwidths[1:3])
    assert own.groups[0].firsts == [0, 2]
