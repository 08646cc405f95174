"""What an option is said to concern, by the bits of training; seeds with an offset likewise."""

import dataclasses

import jax
import numpy as np
import pytest
from sigmaprop.experiments.gan import plan as gan_plan
from sigmaprop.experiments.gan import programs as gan_work
from sigmaprop.experiments.gan.config import GanConfig, GanOptions, GanSweep
from sigmaprop.experiments.training.cells import parse
from sigmaprop.experiments.training.sweep import concerns

STEPS = 20
ARMS = ("zero", "fixed", "scheduled", "global", "per_pixel", "heteroscedastic", "low_rank")
CHANGED = {
    "placement": "shared",
    "sigma": 0.3,
    "sigma_last": 0.05,
    "sigma_schedule": "cosine",
    "sigma_start": 0.2,
    "sigma_floor": 0.0999,  # so near that sigma meets it at once, as the ceiling
    "sigma_ceiling": 0.1001,
    "sigma_learning_rate": 0.05,
}
"""Options of numbers, each with another value than the default."""
COMPILED = {
    "gradient": "at_mean",
    "sigma_gradient": "pathwise+at_mean",
    "parameterisation": "softplus",
    "rank": 1,
    "sigma_optimizer": "sgd",
}
"""Options of a program, likewise."""
SMALL = {
    **{"dataset": "ring", "steps": STEPS, "widths": (8,), "discriminator_widths": (8,)},
    **{"latent_dim": 2, "batch_size": 8, "metrics_every": STEPS, "eval_samples": 32},
}


def train(config: GanConfig) -> dict[tuple[str, int], list[np.ndarray]]:
    """Of every replica by label and seed its last networks and averages of metrics.

    Without what makes sigma, which arms that do not learn it carry along.
    """
    plan = gan_plan.prepare(config)
    reference = gan_work.make_reference(config, plan)
    found = {}
    for group in plan.groups:
        work = gan_work.compile_group(config, plan, group, reference)
        state = work.engine.init(work.hypers)
        state, windows = work.engine.run(state, work.hypers, work.data, 0, STEPS)
        nets = (state.player.network, state.discriminator)
        leaves = jax.tree.leaves(jax.device_get(nets))
        for row, one in enumerate(group.replicas):
            own = [*(leaf[row] for leaf in leaves), np.asarray(windows)[row]]
            found[one.cell.label, one.seed] = own
    return found


def same(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return all(np.array_equal(a, b, equal_nan=True) for a, b in zip(one, other, strict=True))


@pytest.fixture(scope="module")
def every():
    """Each arm as it is, and with each option changed, side by side."""
    content = [{"name": arm, "arm": arm} for arm in ARMS]
    content += [
        {"name": f"{arm} {name}", "arm": arm, name: value}
        for arm in ARMS
        for name, value in CHANGED.items()
    ]
    return train(GanConfig(**SMALL, seeds=1, sweep=GanSweep(), cells=parse(content, GanConfig)))


@pytest.mark.parametrize("arm", ARMS)
def test_an_option_changes_bits_of_the_arms_that_it_concerns_and_of_no_other(every, arm):
    for name in CHANGED:
        changed = not same(every[arm, 0], every[f"{arm} {name}", 0])
        if name == "sigma_ceiling" and arm != "per_pixel":  # where some sigmas rise, most fall
            assert not changed or concerns(GanOptions, name, arm), (arm, name)
        else:
            assert changed == concerns(GanOptions, name, arm), (arm, name)


@pytest.mark.slow
@pytest.mark.parametrize("name", COMPILED)
def test_a_compiled_option_changes_the_arms_that_it_concerns_and_no_other(name):
    config = GanConfig(**SMALL, seeds=1, sweep=GanSweep(arm=ARMS))
    before, after = train(config), train(dataclasses.replace(config, **{name: COMPILED[name]}))
    for arm in ARMS:
        unlike = not same(before[arm, 0], after[arm, 0])
        assert unlike == concerns(GanOptions, name, arm), (arm, name)


def test_seeds_with_an_offset_have_the_bits_of_their_numbers():
    config = GanConfig(**SMALL, seeds=4, sweep=GanSweep(arm=("global",)), redraw_split=True)
    every = train(config)
    own = train(dataclasses.replace(config, seeds=2, first_seed=1))
    assert set(own) == {("global", 1), ("global", 2)}
    assert all(same(leaves, every[which]) for which, leaves in own.items())
    assert not same(every["global", 0], every["global", 1])
