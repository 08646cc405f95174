"""Many replicas in one program: divergence of one, padding, windows of metrics, layouts."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sigmaprop.generators import evaluation, gan, networks, observation, replicas
from sigmaprop.generators.layout import layout
from sigmaprop.generators.step import model

from . import small_games

DIM, STEPS, BAD = 3, 12, 1
DATA = np.random.default_rng(0).standard_normal((64, DIM)).astype(np.float32)


@functools.cache
def small():
    generator = networks.mlp_generator(2, DIM, widths=(8,))
    discriminator = networks.mlp_discriminator(DIM, widths=(8,))
    return small_games.make(generator, discriminator, ("global", "fixed"), average=True)


def four(bad=None):
    """Hypers of four replicas, of which one may have absurd rates."""
    spec = small()
    rates = [(1e-3, 1e-3, 1e-3)] * 4
    if bad is not None:
        rates[BAD] = bad
    return [
        small_games.hypers(spec, arm, seed=seed, rates=own)
        for seed, (arm, own) in enumerate(zip(("global", "fixed") * 2, rates, strict=True))
    ]


def replica(tree, number):
    return jax.tree.map(lambda leaf: np.asarray(leaf[number]), tree)


def same(first, second):
    jax.tree.map(np.testing.assert_array_equal, first, second)


ABSURD = {
    "discriminator": (1e-3, 1e30, 1e-3),
    "generator": (1e30, 1e-3, 1e-3),
    "both": (1e20, 1e20, 1e-3),
    "infinite": (1e-3, np.inf, 1e-3),
    "infinite generator": (np.inf, 1e-3, 1e-3),
}


@pytest.mark.parametrize("chunk", [1, pytest.param(4, marks=pytest.mark.slow)])
@pytest.mark.parametrize("bad", ABSURD)
def test_a_replica_that_diverges_is_frozen_and_harms_no_other(bad, chunk):
    options = {"replica_chunk": chunk, "every": 1}
    healthy, told = small_games.run(small(), four(), DATA, (STEPS,), **options)
    state, seen = small_games.run(small(), four(ABSURD[bad]), DATA, (STEPS,), **options)
    assert list(healthy.diverged_at) == [gan.NOT_DIVERGED] * 4
    for other in {0, 1, 2, 3} - {BAD}:
        same(replica((state, seen), other), replica((healthy, told), other))
    at = int(state.diverged_at[BAD])
    assert 0 <= at < STEPS
    frozen = replica(state._replace(window=None, diverged_at=None), BAD)
    parameters = jax.tree.leaves((frozen.player, frozen.discriminator))
    assert all(np.isfinite(leaf).all() for leaf in parameters)
    before, _ = small_games.run(small(), four(ABSURD[bad]), DATA, (at,), **options)
    same(frozen, replica(before._replace(window=None, diverged_at=None), BAD))
    assert int(before.diverged_at[BAD]) == gan.NOT_DIVERGED


def test_windows_average_the_metrics_of_their_steps():
    _, single = small_games.run(small(), four(), DATA, (STEPS,), every=1)
    _, whole = small_games.run(small(), four(), DATA, (STEPS,), every=4)
    mean = np.asarray(single[:, :STEPS], np.float64).reshape(4, 3, 4, -1).mean(2)
    np.testing.assert_allclose(whole[:, :3], mean, rtol=1e-5, atol=1e-6)


def test_a_window_may_be_cut_between_calls():
    _, whole = small_games.run(small(), four(), DATA, (STEPS,), every=4)
    _, cut = small_games.run(small(), four(), DATA, (6, STEPS), every=4)
    # The last call began in window 1.
    np.testing.assert_array_equal(cut[:, :2], whole[:, 1:3])


def test_metrics_are_those_of_their_names():
    state, told = small_games.run(small(), four(), DATA, (1,), every=1)
    row = dict(zip(gan.METRICS, np.asarray(told[1, 0]), strict=True))
    assert row["sigma"] == pytest.approx(0.2, rel=1e-6)
    assert row["sigma_slope"] == row["at_floor"] == row["at_ceiling"] == 0.0
    learned = dict(zip(gan.METRICS, np.asarray(told[0, 0]), strict=True))
    assert learned["sigma_slope"] != 0.0
    assert learned["sigma_slope_squared"] == pytest.approx(learned["sigma_slope"] ** 2, rel=1e-6)
    # Adam's first step has the length of the rate, against the slope.
    moved = float(state.player.noise["global"][0]) - np.log(np.float32(0.2))
    assert moved == pytest.approx(-1e-3 * np.sign(learned["sigma_slope"]), rel=1e-2)


def test_the_moving_average_is_that_of_the_generator_and_its_noise():
    # At first the decay is (1 + t) / (10 + t).
    decay = np.float32(STEPS / (STEPS + 9.0))
    before, _ = small_games.run(small(), four(), DATA, (STEPS - 1,))
    after, _ = small_games.run(small(), four(), DATA, (STEPS,))
    expected = jax.tree.map(
        lambda kept, new: decay * kept + (1 - decay) * new, before.average, after.player
    )
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7),
        after.average,
        expected,
    )


@pytest.mark.parametrize(
    ("num", "devices", "chunk", "padded"), [(3, 2, 1, 4), (1, 1, 1, 1), (5, 2, 4, 8), (8, 2, 2, 8)]
)
def test_replicas_fill_devices_and_groups(num, devices, chunk, padded):
    place = layout(num, chunk, jax.devices()[:devices])
    assert place.padded(num) == padded


def test_padding_repeats_the_last_replica():
    engine = replicas.engine(model(small()), 3, devices=jax.devices()[:2])
    placed = engine.place(replicas.stack(four()[:3]))
    assert placed.noise.start.shape == (4,)
    keys = jax.random.key_data(placed.key)
    np.testing.assert_array_equal(keys[2], keys[3])


def test_rows_restrict_a_replica_to_its_split():
    rows = jnp.asarray([5])
    spec = small()
    each = [
        small_games.hypers(spec, "fixed", rows=rows),
        small_games.hypers(spec, "fixed", rows=rows),
    ]
    restricted, _ = small_games.run(spec, each, DATA, (3,))
    alone, _ = small_games.run(spec, [own._replace(rows=None) for own in each], DATA[5:6], (3,))
    same(restricted.player, alone.player)


def test_samples_are_the_mean_and_noise_of_the_arm():
    spec, own = small(), four()[1]
    state = gan.init(spec, own)
    fakes = evaluation.sample(spec, state.player, own, jax.random.key(1), 4096, jnp.asarray(0))
    noise = np.asarray(fakes.x - fakes.mean, np.float64)
    # Var of a sample variance of normals is 2 sigma^4 / n.
    error = 0.2**2 * np.sqrt(2 / noise.size)
    assert abs(np.mean(noise**2) - 0.2**2) < 5 * error
    assert observation.rms_sigma(fakes.noise, DIM) == np.float32(0.2)
