"""From options to games and knobs: cells, groups, pairing by seed, what is a replica's own."""

import dataclasses

import jax
import numpy as np
import pytest
from sigmaprop.experiments import gan_plan, gan_tables, gan_training
from sigmaprop.experiments.gan_config import GAN_PRESETS, SWEEPABLE, GanConfig, GanSweep, swept

from sigmaprop.generators.observation import ARMS


def config(**options) -> GanConfig:
    sweep = GanSweep(**options.pop("sweep", {}))
    return GanConfig(**({"dataset": "ring", "steps": 100, "seeds": 2} | options), sweep=sweep)


def test_every_combination_runs_with_every_seed():
    plan = gan_plan.prepare(config(sweep={"arm": ("zero", "global"), "r1": (0.0, 1.0, 2.0)}))
    found = [(one.cell.values["arm"], one.cell.values["r1"], one.seed) for one in plan.replicas]
    assert found == [(a, r, s) for a in ("zero", "global") for r in (0, 1, 2) for s in (0, 1)]
    assert [one.number for one in plan.replicas] == list(range(12))


def test_numbers_share_a_program_and_networks_do_not():
    numbers = {"arm": tuple(ARMS), "learning_rate": (1e-3, 1e-4), "placement": ("model", "shared")}
    assert len(gan_plan.prepare(config(sweep=numbers)).groups) == 1
    networks = {"loss": ("hinge", "minimax"), "batch_size": (8, 16)}
    assert len(gan_plan.prepare(config(sweep=networks)).groups) == 4


def test_a_program_holds_what_some_replica_needs_and_no_more():
    (group,) = gan_plan.prepare(config(sweep={"arm": ("zero", "fixed")})).groups
    assert group.game.observation.components == ()
    assert (group.game.penalties, group.game.shared, group.game.entropy) == ((), False, False)
    sweep = {"arm": ("zero", "low_rank"), "r1": (0.0, 1.0), "placement": ("model", "shared")}
    (group,) = gan_plan.prepare(config(sweep=sweep, roth=0.1)).groups
    assert group.game.observation.components == ("low_rank",)
    assert group.game.penalties == ("r1", "roth")
    assert group.game.shared


def test_replicas_of_a_seed_share_their_key_whatever_runs_beside():
    alone = gan_plan.prepare(config(arm="global", seeds=1))
    many = gan_plan.prepare(config(sweep={"arm": ("zero", "global"), "r1": (0.0, 1.0)}, seeds=3))
    root = jax.random.key(0)
    (own,) = (gan_plan.knobs(one, alone.groups[0].game, 100, root) for one in alone.replicas)
    keys = [gan_plan.knobs(one, many.groups[0].game, 100, root).key for one in many.replicas]
    data = [tuple(jax.random.key_data(key).tolist()) for key in keys]
    assert len(set(data)) == 3
    assert data[0::3] == [data[0]] * 4
    assert tuple(jax.random.key_data(own.key).tolist()) == data[0]


def test_sigma_is_given_only_to_the_arms_that_do_not_learn():
    plan = gan_plan.prepare(config(sweep={"arm": tuple(ARMS)}, sigma=0.5, sigma_last=0.1, seeds=1))
    (group,) = plan.groups
    found = {
        one.cell.options.arm: gan_plan.knobs(one, group.game, 100, jax.random.key(0)).noise
        for one in plan.replicas
    }
    assert float(found["zero"].given.first) == 0.0
    assert float(found["fixed"].given.first) == float(found["fixed"].given.last) == 0.5
    assert float(found["scheduled"].given.last) == np.float32(0.1)
    for arm in ("global", "per_pixel", "heteroscedastic", "low_rank"):
        assert float(found[arm].given.first) == 0.0
        assert [name for name, gate in found[arm].gates.items() if gate] == [arm]


def test_splits_are_redrawn_by_seed_on_request_only():
    plain = config(dataset="digits", seeds=3)
    dataset = gan_plan.prepare(plain).dataset
    same = list(gan_plan.training_rows(plain, dataset))
    assert all(split is dataset.splits for split in same)
    redrawn = list(gan_plan.training_rows(dataclasses.replace(plain, redraw_split=True), dataset))
    assert not np.array_equal(redrawn[0].train, redrawn[1].train)
    for split in redrawn:
        assert len(set(split.train) | set(split.validation) | set(split.test)) == 1797


@pytest.mark.parametrize("name", ["digits", "ring", "grid"])
def test_presets_that_learn_sigma_have_an_unbounded_output(name):
    preset = GAN_PRESETS[name]
    assert preset.output == "linear"
    assert {"zero", "global"} <= set(swept(preset.sweep)["arm"])
    gan_plan.prepare(preset)


def test_everything_that_is_one_number_or_word_can_be_swept():
    hints = {field.name for field in dataclasses.fields(GanSweep)}
    assert hints == set(SWEEPABLE)
    assert {"arm", "learning_rate", "loss", "sigma_start", "dtype"} <= hints


def test_scores_end_with_the_run_and_lie_in_its_last_fifth():
    steps = gan_training.evaluation_steps(config(steps=1000, evaluations=10))
    assert [step for step in steps if step > 800] == list(range(820, 1001, 20))
    assert len(steps) == 14
    assert gan_training.evaluation_steps(config(steps=1)) == (1,)
    assert gan_training.gap_steps(config(steps=1000, gap_evaluations=2)) == (500, 1000)
    assert gan_training.gap_steps(config(gap_evaluations=0)) == ()


def test_rows_are_one_per_replica_step_and_metric():
    values = np.arange(12.0).reshape(2, 3, 2)
    table = gan_tables.rows([4, 7], [10, 20, 30], ("a", "b"), values)
    assert table.num_rows == 12
    rows = table.to_pylist()
    assert [row["value"] for row in rows if row["replica"] == 7 and row["step"] == 20] == [8.0, 9.0]
    assert {row["metric"] for row in rows} == {"a", "b"}
