"""What of a learned noise the data determine, and what they leave to where it started.

docs/generators.md states the numbers; `-s` prints them.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from sigmaprop.generators import gan, networks, replicas
from sigmaprop.generators.networks.base import GeneratorOutput, Network, network
from sigmaprop.generators.step import model

from . import small_games

pytestmark = pytest.mark.slow

RATE, STEPS, BATCH, ROWS = 1e-3, 6000, 128, 65_536
SLOPE, LEVEL = 0.6, 0.4
WEIGHT = np.array([1.0, 0.5, 0.0, -0.5])
FACTOR = np.array([0.0, 0.5, 1.0, 0.5])
STD = 0.3


class Start(NamedTuple):
    """Where a replica begins: its seed, the raw parameters of its noise, and those of its mean."""

    seed: int
    noise: Any
    network: Any = None


def trained(
    generator: Network, arm: str, x: np.ndarray, starts: list[Start], *, rank: int = 1
) -> list[gan.GeneratorParams]:
    """The generators after all steps, as their moving averages. A given mean begins there."""
    spec = small_games.make(
        generator,
        networks.mlp_discriminator(x.shape[1], widths=(64, 64)),
        (arm,),
        rank=rank,
        batch_size=BATCH,
        penalties=("r1",),
        average=True,
    )
    engine = replicas.engine(model(spec), len(starts), every=STEPS, max_windows=1)
    each = [small_games.hypers(spec, arm, seed=s.seed, penalties={"r1": 0.1}) for s in starts]
    own = engine.place(replicas.stack(each))
    state = engine.init(own)
    drawn = [jax.tree.map(lambda leaf, r=r: leaf[r], state.player) for r in range(len(starts))]
    begun = [
        gan.GeneratorParams(one.network if start.network is None else start.network, start.noise)
        for one, start in zip(drawn, starts, strict=True)
    ]
    player = engine.place(jax.tree.map(lambda *a: jnp.stack(a).astype(jnp.float32), *begun))
    state = state._replace(player=player, average=jax.tree.map(jnp.copy, player))
    state, _ = engine.run(state, own, engine.replicate(x.astype(np.float32)), 0, STEPS)
    assert np.all(np.asarray(state.diverged_at) == gan.NOT_DIVERGED)
    average = jax.device_get(state.average)
    return [jax.tree.map(lambda leaf, r=r: leaf[r], average) for r in range(len(starts))]


class _Flexible(nnx.Module):
    """A mean that is a network of z; its head of the noise sees z itself."""

    def __init__(self, rngs: nnx.Rngs):
        self.first = nnx.Linear(1, 64, rngs=rngs)
        self.second = nnx.Linear(64, 64, rngs=rngs)
        self.last = nnx.Linear(64, 1, kernel_init=nnx.initializers.zeros, rngs=rngs)

    def __call__(self, z):
        hidden = jnp.tanh(self.second(jnp.tanh(self.first(z))))
        return GeneratorOutput(z + self.last(hidden), z)


def flexible() -> Network:
    return network(
        _Flexible, name="flexible", smoothness="smooth", in_dim=1, out_dim=1, feature_dim=1
    )


def sigma_of_z() -> np.ndarray:
    """x0 = z + sigma(z) eps0 and x1 = sigma(z) eps1 with sigma(z) = .4 exp(.6 z)."""
    rng = np.random.default_rng(0)
    z, eps = rng.standard_normal((ROWS, 1)), rng.standard_normal((ROWS, 2))
    return LEVEL * np.exp(SLOPE * z) * eps + z * np.array([1.0, 0.0])


def slopes(generator: Network, x: np.ndarray) -> np.ndarray:
    """Of log sigma in z, from starts with the slopes 0 and 1, two seeds each: [2, 2, D]."""
    dim = x.shape[1]
    bias = jnp.full(dim, np.log(LEVEL))
    starts = [
        Start(seed, {"heteroscedastic": {"kernel": jnp.full((1, dim), slope), "bias": bias}})
        for slope in (0.0, 1.0)
        for seed in (0, 1)
    ]
    found = trained(generator, "heteroscedastic", x, starts)
    return np.stack([one.noise["heteroscedastic"]["kernel"][0] for one in found]).reshape(2, 2, dim)


def test_sigma_of_z_is_found_where_the_mean_does_not_carry_z():
    """From both starts: another coordinate tells which z it was."""
    linear = networks.linear_generator(1, 2, use_bias=False, init=[[1.0, 0.0]])
    found = slopes(linear, sigma_of_z())
    print("slope of .6 beside a coordinate that shows z:", found[..., 1])
    assert np.abs(found[..., 1] / SLOPE - 1).max() < 0.04


def test_sigma_of_z_is_left_to_its_start_where_the_mean_carries_z():
    """One coordinate alone, whose mean is a network: many pairs of mean and sigma(z) have its
    density.
    """
    found = slopes(flexible(), sigma_of_z()[:, :1])[..., 0]
    print("slope of .6 of one coordinate alone, by start and seed:", found)
    assert found[1].min() - found[0].max() > 0.06
    assert np.abs(found / SLOPE - 1).max() > 0.1


def distance(found: np.ndarray, exact: np.ndarray) -> float:
    """Of matrices, by Frobenius's norm, relative."""
    return float(np.linalg.norm(found - exact) / np.linalg.norm(exact))


COVARIANCE = np.outer(WEIGHT, WEIGHT) + np.outer(FACTOR, FACTOR) + STD**2 * np.eye(4)


def gaussian() -> np.ndarray:
    """Draws of N(0, COVARIANCE)."""
    return np.random.default_rng(1).multivariate_normal(np.zeros(4), COVARIANCE, ROWS)


def of_noise(player: gan.GeneratorParams) -> np.ndarray:
    """Covariance of low-rank noise."""
    noise = player.noise["low_rank"]
    return noise["factor"] @ noise["factor"].T + np.diag(np.exp(2 * noise["raw"]))


def test_a_factor_beside_a_linear_mean_is_known_only_together_with_it():
    """W and f turned into each other by an angle are the same data, and stay as they began."""
    generator = networks.linear_generator(1, 4, use_bias=False)
    structure = jax.tree.structure(generator.init(jax.random.key(0)))
    starts = []
    for angle in (0.0, 1.0):
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        w, f = jnp.asarray(0.5 * turn @ np.stack([WEIGHT, FACTOR]))
        noise = {"low_rank": {"raw": jnp.full(4, np.log(0.5)), "factor": f[:, None]}}
        mean = jax.tree.unflatten(structure, [w[None]])
        starts += [Start(seed, noise, mean) for seed in (0, 1)]
    found = trained(generator, "low_rank", gaussian(), starts)
    kernels = [jax.tree.leaves(one.network)[0][0] for one in found]
    means = [np.outer(kernel, kernel) for kernel in kernels]
    sums = [
        distance(mean + of_noise(one), COVARIANCE) for mean, one in zip(means, found, strict=True)
    ]
    own = [distance(mean, np.outer(WEIGHT, WEIGHT)) for mean in means]
    print("error of WW' + ff' + S:", sums, "of WW':", own)
    assert max(sums) < 0.04
    assert max(own[:2]) < 0.1
    assert min(own[2:]) > 0.8


def test_a_factor_beside_a_constant_mean_is_found():
    def start(seed: int, std: float, size: float) -> Start:
        factor = size * jax.random.normal(jax.random.key(seed), (4, 2))
        return Start(seed, {"low_rank": {"raw": jnp.full(4, np.log(std)), "factor": factor}})

    starts = [start(seed, *sizes) for seed in (0, 1) for sizes in ((0.1, 0.1), (1.0, 0.5))]
    generator = networks.constant_generator(4, init=0.0)
    found = trained(generator, "low_rank", gaussian(), starts, rank=2)
    errors = [distance(of_noise(one), COVARIANCE) for one in found]
    print("error of Sigma beside a constant mean:", errors)
    assert max(errors) < 0.04
