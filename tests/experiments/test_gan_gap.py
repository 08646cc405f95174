"""Rows of the gap: complete, of the first seeds, and a pure function of state, key and step."""

import dataclasses
import itertools

import jax
import numpy as np
import pytest
from sigmaprop.experiments.gan import gap as gan_gap
from sigmaprop.experiments.gan import plan as gan_plan
from sigmaprop.experiments.gan import programs as gan_work
from sigmaprop.experiments.gan import tables as gan_tables
from sigmaprop.experiments.gan.config import GanConfig, GanSweep

from sigmaprop.generators import gap

SMALL = GanConfig(
    dataset="ring",
    sweep=GanSweep(arm=("zero", "fixed", "global")),
    seeds=2,
    steps=20,
    widths=(8,),
    discriminator_widths=(8,),
    latent_dim=2,
    batch_size=8,
    eval_samples=16,
    gap_sigmas=(0.5, 1e-3),
    gap_samples=64,
)
SIZES = (1, 4, 16)


def rows(config: GanConfig, step: int = 7, times: int = 1) -> list[dict]:
    """The rows at the state before step 0, as if it were another step's."""
    plan = gan_plan.prepare(config)
    tables = []
    for group in plan.groups:
        work = gan_work.compile_group(config, plan, group, gan_work.make_reference(config, plan))
        state = work.engine.init(work.hypers)
        tables += [gan_gap.gap_rows(config, work, state, step) for _ in range(times)]
    assert all(table.schema == gan_tables.SCHEMA for table in tables)
    return [row for table in tables for row in table.to_pylist()]


@pytest.fixture(scope="module")
def found() -> list[dict]:
    return rows(SMALL, times=2)


def test_every_sigma_and_batch_size_has_its_rows_once(found):
    half = found[: len(found) // 2]
    by_sigma = itertools.product(gan_gap.BY_SIGMA, SMALL.gap_sigmas, (0,))
    by_batch = itertools.product(gan_gap.BY_BATCH, SMALL.gap_sigmas, SIZES)
    expected = {
        (replica, f"gap_{name}", sigma, size)
        for name, sigma, size in (*by_sigma, *by_batch)
        for replica in (0, 2, 4)  # the first of 2 seeds of 3 arms
    }
    keys = [(row["replica"], row["metric"], row["sigma"], row["batch_size"]) for row in half]
    assert len(keys) == len(expected)
    assert set(keys) == expected
    assert {(row["step"], row["of"], row["weights"]) for row in half} == {(7, "", "")}
    assert not np.isnan([row["value"] for row in half]).any()
    assert gap.batch_sizes(SMALL.gap_samples) == SIZES
    assert {f"gap_{name}" for name in gap.Gap._fields} == {row["metric"] for row in half}


def test_a_second_measurement_gives_the_same_bits(found):
    half = len(found) // 2
    assert found[:half] == found[half:]


def test_another_step_has_other_latents_and_noise(found):
    other = rows(SMALL, step=8)
    for before, after in zip(found, other, strict=False):
        if before["sigma"] == 0.5:  # at the other the cosines are 1
            assert before["value"] != after["value"]


@pytest.mark.slow
def test_what_runs_beside_changes_no_bit(found):
    """Three replicas on the devices that the tests have, and one alone."""
    alone = rows(dataclasses.replace(SMALL, sweep=GanSweep(arm=("fixed",)), seeds=1))
    beside = [row for row in found[: len(found) // 2] if row["replica"] == 2]
    assert jax.local_device_count() > 1
    assert [row["value"] for row in alone] == [row["value"] for row in beside]


@pytest.mark.slow
def test_groups_of_other_networks_each_have_their_rows():
    sweep = GanSweep(arm=("zero",), spectral_norm=(False, True))
    both = rows(dataclasses.replace(SMALL, sweep=sweep, seeds=1))
    values = {0: [], 1: []}
    for row in both:
        values[row["replica"]].append(row["value"])
    assert len(values[0]) == len(values[1]) == len(both) // 2
    assert values[0] != values[1]


def test_one_program_serves_all_steps_of_a_run(monkeypatch):
    traced = []
    measure = gap.measure

    def counted(*arguments, **options):
        traced.append(1)
        return measure(*arguments, **options)

    monkeypatch.setattr(gap, "measure", counted)
    plan = gan_plan.prepare(SMALL)
    reference = gan_work.make_reference(SMALL, plan)
    work = gan_work.compile_group(SMALL, plan, plan.groups[0], reference)
    state = work.engine.init(work.hypers)
    first = work.gap(state, work.hypers, 1)
    count = len(traced)
    second = work.gap(state, work.hypers, 2)
    assert len(traced) == count > 0
    assert not np.array_equal(first.bias_relative, second.bias_relative)
