"""From options to specs and hypers: cells, groups, pairing by seed, what is a replica's own."""

import dataclasses
import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.distance import pdist
from sigmaprop.experiments.gan import plan as gan_plan
from sigmaprop.experiments.gan import players
from sigmaprop.experiments.gan import programs as gan_work
from sigmaprop.experiments.gan import run as gan
from sigmaprop.experiments.gan import tables as gan_tables
from sigmaprop.experiments.gan import train as gan_training
from sigmaprop.experiments.gan.config import SWEEPABLE, GanConfig, GanSweep
from sigmaprop.experiments.gan.presets import GAN_PRESETS
from sigmaprop.experiments.training import groups
from sigmaprop.experiments.training.sweep import swept

from sigmaprop.data import store
from sigmaprop.generators import arms, entropy
from sigmaprop.metrics import distances, mmd
from sigmaprop.runs import configs

ARMS = [name for name, arm in arms.ARMS.items() if arm.shares]


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
    assert group.spec.observation.components == ()
    assert (group.spec.penalties, group.spec.shared, group.spec.entropy) == ((), False, False)
    sweep = {"arm": ("zero", "low_rank"), "r1": (0.0, 1.0), "placement": ("model", "shared")}
    (group,) = gan_plan.prepare(config(sweep=sweep, roth=0.1)).groups
    assert group.spec.observation.components == ("low_rank",)
    assert group.spec.penalties == ("r1", "roth")
    assert group.spec.shared


def test_replicas_of_a_seed_share_their_key_whatever_runs_beside():
    alone = gan_plan.prepare(config(arm="global", seeds=1))
    many = gan_plan.prepare(config(sweep={"arm": ("zero", "global"), "r1": (0.0, 1.0)}, seeds=3))
    root = jax.random.key(0)
    (own,) = (gan_plan.hypers(one, alone.groups[0].spec, 100, root) for one in alone.replicas)
    keys = [gan_plan.hypers(one, many.groups[0].spec, 100, root).key for one in many.replicas]
    data = [tuple(jax.random.key_data(key).tolist()) for key in keys]
    assert len(set(data)) == 3
    assert data[0::3] == [data[0]] * 4
    assert tuple(jax.random.key_data(own.key).tolist()) == data[0]


def test_sigma_is_given_only_to_the_arms_that_do_not_learn():
    plan = gan_plan.prepare(config(sweep={"arm": tuple(ARMS)}, sigma=0.5, sigma_last=0.1, seeds=1))
    (group,) = plan.groups
    found = {
        one.cell.options.arm: gan_plan.hypers(one, group.spec, 100, jax.random.key(0)).noise
        for one in plan.replicas
    }
    assert float(found["zero"].schedule.first) == 0.0
    assert float(found["fixed"].schedule.first) == float(found["fixed"].schedule.last) == 0.5
    assert float(found["scheduled"].schedule.last) == np.float32(0.1)
    for arm in ("global", "per_pixel", "heteroscedastic", "low_rank"):
        assert float(found[arm].schedule.first) == 0.0
        assert [name for name, gate in found[arm].gates.items() if gate] == [arm]


def by_hand(replica, steps, root, rows):
    """Some of what each replica has of its own, one array of a device at a time."""
    own = replica.cell.options
    learns = arms.ARMS[own.arm].learns
    sigma = {"zero": 0.0, "fixed": own.sigma, "scheduled": own.sigma}.get(own.arm, 0.0)
    last = own.sigma_last if own.arm == "scheduled" else sigma
    return {
        "key": jax.random.key_data(jax.random.fold_in(root, replica.seed)),
        "first": jnp.asarray(sigma, jnp.float32),
        "last": jnp.asarray(last, jnp.float32),
        "steps": jnp.asarray(steps, jnp.int32),
        "gate": jnp.asarray(learns and own.arm == "global"),
        "start": jnp.asarray(own.sigma_start, jnp.float32),
        "floor": jnp.asarray(own.sigma_floor, jnp.float32),
        "shared": jnp.asarray(own.placement == "shared"),
        "rate": jnp.asarray(own.learning_rate, jnp.float32),
        "log_decay": jnp.asarray(math.log(own.learning_rate_decay), jnp.float32),
        "r1": jnp.asarray(own.r1, jnp.float32),
        "entropy_weight": jnp.asarray(own.entropy_weight, jnp.float32),
        "warm_up": jnp.asarray(own.warm_up, jnp.int32),
        "rows": jnp.asarray(rows, jnp.int32),
    }


def test_what_all_replicas_have_is_made_at_once_with_the_bits_of_each():
    """Keys, numbers and rows, of every dtype; all but the keys are left on the host."""
    sweep = {
        "arm": ("zero", "fixed", "scheduled", "global"),
        "learning_rate": (1e-3, 1.7e-4),
        "r1": (0.0, 0.3),
        "placement": ("model", "shared"),
    }
    own = config(sweep=sweep, warm_up=7, learning_rate_decay=1.000004, first_seed=3)
    (group,) = gan_plan.prepare(own).groups
    root = jax.random.key(5)
    rows = np.arange(2 * len(group.replicas)).reshape(-1, 2) % 9
    found = gan_plan.all_hypers(group.replicas, group.spec, own.steps, root, rows)
    assert found.annealing is not None
    placed = {
        "key": jax.random.key_data(found.key),
        "first": found.noise.schedule.first,
        "last": found.noise.schedule.last,
        "steps": found.noise.schedule.steps,
        "gate": found.noise.gates["global"],
        "start": found.noise.start,
        "floor": found.noise.bounds.floor,
        "shared": found.shared,
        "rate": found.rates.generator.start,
        "log_decay": found.rates.discriminator.log_decay,
        "r1": found.penalties["r1"],
        "entropy_weight": found.entropy_weight,
        "warm_up": found.annealing.warm_up,
        "rows": found.rows,
    }
    each = [
        by_hand(one, own.steps, root, its) for one, its in zip(group.replicas, rows, strict=True)
    ]
    for name, value in placed.items():
        expected = np.stack([one[name] for one in each])
        assert np.asarray(value).dtype == expected.dtype, name
        assert np.array_equal(value, expected), name
    on_host = jax.tree.leaves(found._replace(key=None))
    assert all(isinstance(leaf, np.ndarray) and len(leaf) == len(each) for leaf in on_host)


def test_thousands_of_replicas_take_one_call_to_a_device(monkeypatch):
    """For their keys; a call for each number took 40 ms a replica: 160 s."""
    (group,) = gan_plan.prepare(config(sweep={"arm": ("zero", "global")}, seeds=2048)).groups
    calls, fold_in_each = [], groups._fold_in_each

    def counted(*words):
        calls.append(words)
        return fold_in_each(*words)

    monkeypatch.setattr(groups, "_fold_in_each", counted)
    found = gan_plan.all_hypers(group.replicas, group.spec, 100, jax.random.key(0))
    assert found.key.shape == (4096,)
    assert len(calls) == 1
    on_host = jax.tree.leaves(found._replace(key=None))
    assert all(isinstance(leaf, np.ndarray) and len(leaf) == 4096 for leaf in on_host)


def test_networks_that_cells_share_are_built_once_and_those_of_each_kind_are_checked(monkeypatch):
    """Once to be checked and once for the program, of 30 ms each: not for each of many cells."""
    built = []

    def generator_of(options, shape):
        built.append((options.arm, options.widths))
        return players.generator_of(options, shape)

    monkeypatch.setattr(gan_plan, "generator_of", generator_of)
    rates = tuple(1e-4 * (1 + place) for place in range(20))
    gan_plan.prepare(config(sweep={"arm": ("zero", "more_latents"), "learning_rate": rates}))
    assert sorted(arm for arm, _ in built) == ["more_latents"] * 2 + ["zero"] * 2
    with pytest.raises(ValueError, match="--rank is 7"):
        gan_plan.prepare(config(sweep={"arm": ("zero", "low_rank"), "rank": (2, 7)}))


def test_splits_are_redrawn_by_seed_on_request_only():
    plain = config(dataset="digits", seeds=3)
    dataset = gan_plan.prepare(plain).dataset
    same = list(gan_plan.training_rows(plain, dataset))
    assert all(split is dataset.splits for split in same)
    redrawn = list(gan_plan.training_rows(dataclasses.replace(plain, redraw_split=True), dataset))
    assert not np.array_equal(redrawn[0].train, redrawn[1].train)
    tested = set(dataset.splits.test)
    for split in redrawn:
        assert len(set(split.train) | set(split.validation) | set(split.test)) == 1797
        assert set(split.test) == tested
        assert not tested & (set(split.train) | set(split.validation))


def bandwidths_by_scipy(rows):
    """.05, .2, 1 and 4 times the median squared distance of all pairs."""
    squares = pdist(np.asarray(rows, np.float64), "sqeuclidean")
    return np.array([0.05, 0.2, 1.0, 4.0]) * np.median(squares)


REDRAWN = config(dataset="digits", seeds=3, eval_samples=64, redraw_split=True)


def test_each_seed_has_the_bandwidths_and_the_held_out_rows_of_its_own_split():
    plan = gan_plan.prepare(REDRAWN)
    expected = [bandwidths_by_scipy(plan.dataset.x[split.train]) for split in plan.splits]
    np.testing.assert_allclose(plan.squared_bandwidths, expected, rtol=1e-6)
    assert len({row[0] for row in plan.squared_bandwidths.tolist()}) == 3
    reference = gan_work.make_reference(REDRAWN, plan)
    work = gan_work.compile_group(REDRAWN, plan, plan.groups[0], reference)
    np.testing.assert_array_equal(
        np.asarray(work.held_out.squared_bandwidths)[:3], plan.squared_bandwidths
    )
    for rows, split in zip(np.asarray(work.held_out.rows), plan.splits, strict=False):
        np.testing.assert_array_equal(rows, split.validation[:64])


@pytest.mark.slow
def test_scores_use_the_bandwidths_of_the_replica():
    plan = gan_plan.prepare(REDRAWN)
    reference = gan_work.make_reference(REDRAWN, plan)
    work = gan_work.compile_group(REDRAWN, plan, plan.groups[0], reference)
    state = work.engine.init(work.hypers)
    found = np.asarray(work.score(state, work.held_out, work.hypers, reference, 0))
    other = work.held_out._replace(squared_bandwidths=2 * work.held_out.squared_bandwidths)
    wider = np.asarray(work.score(state, other, work.hypers, reference, 0))
    assert np.all(found[..., 0] != wider[..., 0])
    assert np.array_equal(found[..., 1], wider[..., 1])


def test_images_that_are_all_alike_cannot_be_scored(tmp_path, monkeypatch):
    monkeypatch.setenv("SIGMAPROP_CACHE", str(tmp_path))
    images = np.full((40, 4, 4, 1), 7, np.uint8)
    store.write("mnist", store.Prepared(images, np.zeros(40, np.int32), 30))
    with pytest.raises(ValueError, match=r"mnist cannot be scored: .* is 0: .*another --dataset"):
        gan_plan.prepare(config(dataset="mnist"))


def test_without_redrawn_splits_all_seeds_share_the_bandwidths_of_the_set():
    plan = gan_plan.prepare(config(dataset="digits", seeds=3))
    x = plan.dataset.x[plan.dataset.splits.train]
    np.testing.assert_array_equal(
        plan.squared_bandwidths, np.tile(np.asarray(mmd.squared_bandwidths(x)), (3, 1))
    )


def test_bandwidths_reach_down_to_the_components_of_a_mixture():
    fine = gan_plan.prepare(config(dataset="ring"))
    coarse = gan_plan.prepare(config(dataset="ring", kernel="coarse"))
    assert fine.dataset.finest == pytest.approx(0.01)
    assert fine.squared_bandwidths.shape[1] == len(mmd.FINE_FACTORS) + 1
    assert fine.squared_bandwidths.min() == pytest.approx(0.25 * 0.01**2)
    assert coarse.squared_bandwidths.min() > 100 * 0.01**2
    x = coarse.dataset.x[coarse.dataset.splits.train]
    np.testing.assert_array_equal(coarse.squared_bandwidths[0], mmd.squared_bandwidths(x))


def test_a_run_that_was_begun_before_keeps_its_kernel(tmp_path):
    path = tmp_path / "config.json"
    content = json.loads(configs.dump("gan", config()))
    del content["config"]["kernel"]
    path.write_text(json.dumps(content))
    assert configs.load_config(path, GanConfig).kernel == "coarse"


@pytest.mark.slow
def test_real_against_real_has_a_line_for_each_split(monkeypatch):
    """And that of the run has the draws of all; a run of one split has that alone."""
    monkeypatch.setattr(gan, "_NULL_DRAWS", 10)
    small = config(dataset="digits", seeds=2, eval_samples=32, redraw_split=True)
    plan = gan_plan.prepare(small)
    reference = gan_work.make_reference(small, plan)
    found = gan.real_scores(small, plan, reference)
    assert (found["num_samples"], found["num_held_out"]) == (32, 32)
    assert [one["seed"] for one in found["per_seed"]] == [0, 1]
    for one, bandwidths in zip(found["per_seed"], plan.squared_bandwidths, strict=True):
        np.testing.assert_allclose(one["squared_bandwidths"], bandwidths)
    for name in distances():
        each = [one["distances"][name]["mean"] for one in found["per_seed"]]
        assert each[0] != each[1]
        assert found["distances"][name]["mean"] == pytest.approx(np.mean(each), abs=1e-7)
    plain = dataclasses.replace(small, redraw_split=False)
    assert set(gan.real_scores(plain, gan_plan.prepare(plain), reference)) == {
        "num_samples",
        "num_held_out",
        "distances",
        "ideal",
    }
    assert found["ideal"] == {}  # digits are no mixture of a known density


def test_burn_in_of_the_entropy_is_a_program_of_its_own():
    plan = gan_plan.prepare(config(sweep={"entropy_burn_in": (2, 7)}, entropy_weight=0.1))
    assert [group.spec.entropy_burn_in for group in plan.groups] == [2, 7]
    (group,) = gan_plan.prepare(config()).groups
    assert group.spec.entropy_burn_in == GanConfig().entropy_burn_in == entropy.NUM_BURN_IN


def test_a_config_older_than_the_burn_in_keeps_the_two_moves_of_its_time(tmp_path):
    written = json.loads(configs.dump("gan", config()))
    path = tmp_path / "config.json"
    path.write_text(json.dumps(written))
    assert configs.load_config(path, GanConfig).entropy_burn_in == entropy.NUM_BURN_IN
    del written["config"]["entropy_burn_in"], written["config"]["sweep"]["entropy_burn_in"]
    path.write_text(json.dumps(written))
    assert configs.load_config(path, GanConfig) == config(entropy_burn_in=2)


@pytest.mark.parametrize("name", ["digits", "ring", "grid", "r3_digits", "r3_ring", "r3_grid"])
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
