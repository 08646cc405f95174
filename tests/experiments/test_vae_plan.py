"""From the options of `sigmaprop vae` to programs; what is refused, in one sentence."""

import dataclasses
from typing import get_args

import numpy as np
import pytest
from sigmaprop.experiments.options import VaeArm, groups
from sigmaprop.experiments.training.sweep import swept
from sigmaprop.experiments.vae import plan as vae_plan
from sigmaprop.experiments.vae.config import VAE_PRESETS, VaeConfig, VaeOptions, VaeSweep

from sigmaprop.data import DataOptions
from sigmaprop.generators.arms import ARMS, VAE_ARMS
from sigmaprop.generators.parameterisation import LIKELIHOOD_PARAMETERISATIONS


def config(**options):
    """Of a small data set."""
    sweep = VaeSweep(**options.pop("sweep", {}))
    data = DataOptions(dequantise=True)
    return VaeConfig(
        **{"widths": (8,), "encoder_widths": (8,), "data": data, "sweep": sweep} | options
    )


def test_replicas_share_a_program_unless_a_static_option_differs():
    arms = {"arm": ("unit", "fixed", "global", "optimal", "per_pixel", "low_rank")}
    plan = vae_plan.prepare(config(sweep=arms | {"beta": (0.0, 1.0)}, seeds=2))
    assert len(plan.replicas) == 24
    assert [len(group.replicas) for group in plan.groups] == [20, 4]  # a factor has its own
    plan = vae_plan.prepare(config(sweep={"kl": ("analytic", "monte_carlo")}, seeds=2))
    assert [group.spec.kl for group in plan.groups] == ["analytic", "monte_carlo"]


def test_equal_seeds_are_paired_and_arms_are_what_they_say():
    import jax

    plan = vae_plan.prepare(config(sweep={"arm": ("unit", "fixed", "optimal")}, sigma=0.2, seeds=2))
    (group,) = plan.groups
    every = [vae_plan.hypers(one, group.spec, jax.random.key(0)) for one in group.replicas]
    keys = [tuple(np.asarray(jax.random.key_data(one.key))) for one in every]
    assert keys[0::2] == [keys[0]] * 3
    assert keys[0] != keys[1]
    assert [float(one.noise.schedule.first) for one in every[::2]] == [1.0, np.float32(0.2), 0.0]
    assert [bool(one.optimal) for one in every[::2]] == [False, False, True]


def test_each_seed_has_its_own_rows_where_they_are_redrawn():
    plan = vae_plan.prepare(config(redraw_split=True, seeds=2))
    first, second = plan.splits
    np.testing.assert_array_equal(first.test, second.test)
    assert not np.array_equal(first.train, second.train)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"sigma": 0.0}, "--sigma is 0"),
        ({"sigma_floor": 0.5}, "--sigma-start 0.3 lies outside"),
        ({"beta": 1.5}, "--beta is 1.5"),
        ({"seeds": 0}, "--seeds is 0"),
        ({"sweep": {"arm": ("unit", "unit")}}, "--sweep.arm names unit twice"),
        ({"deterministic": True, "replica_chunk": 4}, "exclude each other"),
    ],
)
def test_what_needs_no_data_is_refused_at_once(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        config(**options)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"objective": "beta_nll", "arm": "low_rank"}, "--arm low_rank does not have"),
        ({"parameterisation": "inverse", "arm": "heteroscedastic"}, "not on --arm heteroscedastic"),
        ({"parameterisation": "inverse"}, "give --sigma-optimizer sgd"),
        (
            {"parameterisation": "inverse", "sigma_optimizer": "sgd", "objective": "beta_nll"},
            "exclude each other",
        ),
        ({"generator": "mpl"}, "did you mean 'mlp'"),
        ({"arm": "zero"}, "--arm zero has no density"),
        ({"arm": "globl"}, "did you mean 'global'"),
        ({"arm": "low_rank", "rank": 65}, "--rank is 65"),
        ({"dataset": "digit"}, "did you mean 'digits'"),
    ],
)
def test_what_has_no_meaning_is_refused_before_training(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        vae_plan.prepare(config(**options))


def test_sigma_zero_is_no_arm_of_a_likelihood(sigmaprop):
    ended = sigmaprop("vae", "--arm", "zero")
    assert ended.status == 2
    assert "zero" in ended.err
    assert "global" in ended.err


def test_arms_and_parameterisations_are_options():
    assert get_args(VaeArm) == tuple(VAE_ARMS)
    assert set(VAE_ARMS) - set(ARMS) == {"unit", "optimal"}
    of_gans = {"zero", "scheduled", "more_latents", "post_hoc", "oracle", "frozen"}
    assert set(ARMS) - set(VAE_ARMS) == of_gans
    kind = VaeOptions.__annotations__["parameterisation"]
    assert get_args(kind) == tuple(LIKELIHOOD_PARAMETERISATIONS)


def test_every_option_is_in_one_group_of_the_help(sigmaprop):
    grouped = [field for fields in groups(VaeConfig).values() for field in fields]
    fields = sorted(f.name for f in dataclasses.fields(VaeConfig))
    assert sorted([*grouped, "sweep", "cells"]) == fields
    ended = sigmaprop("vae", "--help")
    assert ended.status == 0
    assert max(map(len, ended.out.splitlines())) <= 80
    for field in grouped:
        assert f"--{field.replace('_', '-')}" in ended.out
    assert "--sweep.kl" in sigmaprop("vae", "--help-all").out


@pytest.mark.parametrize("name", [name for name in VAE_PRESETS if name != "fashion"])
def test_presets_are_plans(name):
    plan = vae_plan.prepare(VAE_PRESETS[name])
    assert len(plan.cells) == len(swept(VAE_PRESETS[name].sweep)["arm"])
