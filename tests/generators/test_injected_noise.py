"""Known noise on a plane: a linear mean leaves it to sigma, a flexible one makes some itself."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sigmaprop import data
from sigmaprop.generators import gan, networks, replicas
from sigmaprop.generators.step import model

from . import small_games

pytestmark = pytest.mark.slow

DIM, PLANE, STEPS, BATCH, EVERY = 8, 2, 10_000, 128, 200
LEVELS, SEEDS = (0.05, 0.1, 0.2), 4
STARTS, INJECTED = (0.02, 0.2, 0.5), 0.2


def trained(generator, examples, options):
    """Engine, hypers, states, and sigma over the last fifth of the run, for options of replicas."""
    spec = small_games.make(
        generator,
        networks.mlp_discriminator(DIM, widths=(64, 64)),
        batch_size=BATCH,
        penalties=("r1",),
    )
    each = [small_games.hypers(spec, penalties={"r1": 1.0}, **own) for own in options]
    engine = replicas.engine(model(spec), len(each), every=EVERY, max_windows=STEPS // EVERY)
    own = engine.place(replicas.stack(each))
    state, windows = engine.run(engine.init(own), own, engine.replicate(examples), 0, STEPS)
    assert np.all(np.asarray(state.diverged_at) == gan.NOT_DIVERGED)
    sigma = np.asarray(windows, np.float64)[: len(each), :, gan.METRICS.index("sigma")]
    return spec, state, sigma[:, -(STEPS // EVERY // 5) :].mean(1)


def noisy_plane(level):
    return data.load("linear_gaussian", data.DataOptions(noise_std=level))


@functools.cache
def linear_ends():
    """Sigma at the end by level and seed; the levels' data lie one behind the other."""
    sets = [noisy_plane(level).x for level in LEVELS]
    rows = [jnp.arange(len(x)) + i * len(x) for i, x in enumerate(sets)]
    options = [
        {"seed": seed, "rows": rows[i], "sigma": 0.3}
        for i, seed in itertools.product(range(len(LEVELS)), range(SEEDS))
    ]
    ends = trained(networks.linear_generator(PLANE, DIM), np.concatenate(sets), options)[2]
    return dict(zip(LEVELS, ends.reshape(len(LEVELS), SEEDS), strict=True))


@pytest.mark.parametrize(("level", "within"), [(0.05, 0.08), (0.1, 0.03), (0.2, 0.03)])
def test_a_linear_mean_recovers_injected_noise(level, within):
    assert abs(linear_ends()[level].mean() / level - 1) < within


@functools.cache
def flexible_ends():
    """By start and seed: sigma, and the std of mu off the plane, root mean square by coordinate."""
    dataset = noisy_plane(INJECTED)
    generator = networks.mlp_generator(16, DIM, widths=(64, 64))
    options = [{"seed": seed, "sigma": start} for start in STARTS for seed in range(2)]
    spec, state, sigma = trained(generator, dataset.x, options)
    z = gan.latent(spec, jax.random.key(1), 10_000)
    means = jax.vmap(lambda params: generator.apply(params, z).mean)(
        jax.device_get(state.player.network)
    )
    truth = dataset.truth
    assert isinstance(truth, data.LinearGaussian)
    off_plane = np.eye(DIM) - truth.factor @ truth.factor.T
    variance = (np.asarray(means, np.float64) @ off_plane).var(1).sum(1) / (DIM - PLANE)
    return sigma.reshape(-1, 2), np.sqrt(variance).reshape(-1, 2)


def test_a_flexible_mean_leaves_only_the_sum_determined():
    sigma, in_mean = flexible_ends()
    assert np.abs(np.hypot(sigma, in_mean) / INJECTED - 1).max() < 0.2


def test_with_a_flexible_mean_sigma_ends_by_its_start():
    """Below the noise it stays below, in every seed; the mean learns the rest before sigma can."""
    (low, *others), _ = flexible_ends()
    assert low.max() < 0.75 * np.min(others)
