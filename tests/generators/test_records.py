"""Records of arms and metrics: what reads them knows a new one at once."""

import io
from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console
from sigmaprop.experiments.cli import gan_listing
from sigmaprop.experiments.gan import plan as gan_plan
from sigmaprop.experiments.gan import programs as gan_programs
from sigmaprop.experiments.gan.config import GanConfig, GanSweep
from sigmaprop.experiments.options import Arm as ArmOption

from sigmaprop import metrics
from sigmaprop.data import Mixture
from sigmaprop.generators import arms, evaluation, networks, observation
from sigmaprop.generators.arms import ARMS, Arm
from sigmaprop.generators.evaluation import Reference
from sigmaprop.generators.observation import COMPONENTS, Component
from sigmaprop.metrics import METRICS, Metric
from sigmaprop.statistics import Scale

from . import small_games

STEPS = 3
CONFIG = GanConfig(
    dataset="ring",
    steps=STEPS,
    seeds=1,
    widths=(4,),
    discriminator_widths=(4,),
    latent_dim=2,
    batch_size=8,
    eval_samples=32,
    metrics_every=STEPS,
    sweep=GanSweep(arm=("zero", "halves")),
)


def distance_of_means(x, held_out, reference):
    del reference
    return jnp.linalg.norm(jnp.mean(x, axis=0) - jnp.mean(held_out, axis=0))


def scale_of_halves(observation, raw, features, gate, bounds):
    del features, gate, bounds
    second = jnp.arange(observation.dim) >= observation.dim // 2
    return observation.parameterisation.scale(raw)[second.astype(int)]


@pytest.fixture
def toys(monkeypatch):
    """An arm and a metric that the library does not have."""
    component = Component(
        lambda observation, start, _: jnp.tile(observation.parameterisation.raw(start), 2),
        scale_of_halves,
    )
    record = Metric(
        "distance of means",
        Scale("smaller"),
        "between the mean of the examples and that of held-out data",
        f"{__name__}:distance_of_means",
        needs="data",
        unit="units of x",
    )
    monkeypatch.setitem(ARMS, "halves", Arm("one for each half", component="halves", maps=True))
    monkeypatch.setitem(COMPONENTS, "halves", component)
    monkeypatch.setitem(METRICS, "distance_of_means", record)


def test_every_component_is_learned_by_an_arm_and_every_arm_is_an_option():
    assert {arm.component for arm in ARMS.values() if arm.learns} == set(COMPONENTS)
    assert all(arm.given == "nothing" for arm in ARMS.values() if arm.learns)
    assert get_args(ArmOption) == tuple(ARMS)


def test_records_need_no_jax():
    """Help and listings read them."""
    import subprocess
    import sys

    code = (
        "import sys, sigmaprop.generators.arms, sigmaprop.metrics;"
        "sys.exit(sorted(name for name in ('jax', 'jaxlib') if name in sys.modules) or 0)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_unknown_names_are_refused_with_the_nearest():
    with pytest.raises(ValueError, match="unknown arm 'globl'; did you mean 'global'"):
        arms.get("globl")
    with pytest.raises(ValueError, match="unknown metric 'mmd'; did you mean 'mmd2'"):
        metrics.get("mmd")


@pytest.mark.parametrize("name", METRICS)
def test_each_metric_is_the_number_that_its_function_gives_under_its_name(name):
    """Alone or among all: one pass serves the metrics of one function."""
    rng = np.random.default_rng(0)
    x, y, train = (jnp.asarray(rng.standard_normal((64, 2)), jnp.float32) for _ in range(3))
    mixture = Mixture(np.asarray([[0.0, 0.0], [1.0, 1.0]]), 0.5)
    bandwidths = jnp.asarray([0.5, 1.0, 2.0, 4.0])
    reference = Reference(y, bandwidths, jax.random.key(1), mixture, train)
    (alone,) = evaluation.scores(x, y, reference, (name,))
    both = ("mmd2", name, *(one for one in METRICS if METRICS[one].score == METRICS[name].score))
    assert alone == evaluation.scores(x, y, reference, both)[1]
    result = METRICS[name].function(x, y, reference)
    value = getattr(result, name) if isinstance(result, tuple) else result
    np.testing.assert_array_equal(alone, np.float32(value))


def test_a_new_arm_and_a_new_metric_are_known_to_listing_plan_and_scores(toys):
    console = Console(file=io.StringIO(), width=100)
    console.print(gan_listing.tables()[0])
    assert "one for each half" in console.file.getvalue()

    plan = gan_plan.prepare(CONFIG)
    (group,) = plan.groups
    assert group.spec.observation.components == ("halves",)
    reference = gan_programs.make_reference(CONFIG, plan)
    compiled = gan_programs.compile_group(CONFIG, plan, group, reference)
    state = compiled.engine.init(compiled.hypers)
    first = np.asarray(state.player.noise["halves"])
    state, _ = compiled.engine.run(state, compiled.hypers, compiled.data, 0, STEPS)
    moved = np.asarray(state.player.noise["halves"]) - first
    assert np.all(moved[0] == 0.0)
    assert np.all(moved[1] != 0.0)

    scores = np.asarray(compiled.score(state, compiled.held_out, compiled.hypers, reference, STEPS))
    names = evaluation.names(reference)
    assert names[-1] == "distance_of_means"
    assert names == metrics.tracked()
    assert np.all(scores[..., -1] > 0.0)
    assert "distance_of_means" in metrics.distances()


def test_the_scale_of_a_new_component_starts_where_it_is_told(toys):
    spec = small_games.make(
        networks.linear_generator(1, 3), networks.mlp_discriminator(3, widths=(2,)), ("halves",)
    )
    hypers = small_games.hypers(spec, "halves", sigma=0.5)
    params = observation.init(spec.observation, hypers.noise, jax.random.key(0))
    noise = observation.noise_scale(
        spec.observation, params, jnp.zeros((1, 1)), jnp.zeros(()), hypers.noise
    )
    np.testing.assert_allclose(noise.scale, [0.5] * 3, rtol=4 * 2.0**-24)
