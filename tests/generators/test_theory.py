"""Where theory says that sigma goes, and the engine's replicas going there.

The data are N(0, 1) and the mean is mu(z) = v z. With noise on generated examples alone ("model")
the game is over at v^2 + sigma^2 = 1; with noise on both ("shared") log sigma rises where v is
below 1 and falls where it is above. All of it is one program, a replica for each v, start and seed.
"""

import functools
import itertools
from typing import NamedTuple

import jax
import numpy as np
import pytest
from scipy.stats import t as student

from sigmaprop.generators import gan, networks, replicas
from sigmaprop.generators.step import model

from . import small_games

pytestmark = pytest.mark.slow

RATE, STEPS, BATCH, EVERY = 1e-3, 6000, 128, 100
STARTS = (0.1, 1.0)
LEARNED_STARTS = (0.1, 0.5, 1.3)


class Case(NamedTuple):
    """Replicas that differ in their seed alone."""

    v: float
    start: float
    placement: str = "model"
    learned: bool = False
    seeds: int = 4


CASES = (
    *(Case(v, start) for v, start in itertools.product((0.5, 0.8, 0.95, 1.0, 1.2), STARTS)),
    *(Case(0.7, start, learned=True) for start in LEARNED_STARTS),
    *(Case(v, 0.5, "shared", seeds=8) for v in (0.5, 0.9, 1.2)),
)


class Ended(NamedTuple):
    """Sigma by window [seeds, W], and the last v [seeds]."""

    sigma: np.ndarray
    v: np.ndarray

    @property
    def end(self):
        """Sigma, averaged over the last fifth of the run. [seeds]"""
        return self.sigma[:, -(STEPS // EVERY // 5) :].mean(1)


def hypers(spec, case, seed):
    rates = (RATE if case.learned else 0.0, RATE, RATE)
    options = {"rates": rates, "penalties": {"r1": 0.1}, "shared": case.placement == "shared"}
    return small_games.hypers(spec, seed=seed, sigma=case.start, **options)


@functools.cache
def ended():
    """All cases after their run."""
    spec = small_games.make(
        networks.linear_generator(1, 1, use_bias=False, init=[[1.0]]),
        networks.mlp_discriminator(1, widths=(16, 16)),
        batch_size=BATCH,
        penalties=("r1",),
        shared=True,
    )
    runs = [(case, seed) for case in CASES for seed in range(case.seeds)]
    engine = replicas.engine(model(spec), len(runs), every=EVERY, max_windows=STEPS // EVERY)
    own = engine.place(replicas.stack([hypers(spec, *run) for run in runs]))
    state = engine.init(own)
    v = np.resize([case.v for case, _ in runs], engine.layout.padded(len(runs)))
    network = jax.tree.map(lambda leaf: leaf * v.reshape(-1, 1, 1), state.player.network)
    network = jax.device_put(jax.tree.map(np.float32, network), engine.layout.sharding)
    state = state._replace(player=state.player._replace(network=network))
    x = np.random.default_rng(0).standard_normal((65_536, 1)).astype(np.float32)
    state, windows = engine.run(state, own, engine.replicate(x), 0, STEPS)
    sigma = np.asarray(windows, np.float64)[..., gan.METRICS.index("sigma")]
    (kernel,) = jax.tree.leaves(state.player.network)
    last = np.abs(np.ravel(kernel))
    assert np.all(np.asarray(state.diverged_at) == gan.NOT_DIVERGED)
    edges = np.cumsum([0, *(case.seeds for case in CASES)])
    rows = itertools.starmap(slice, itertools.pairwise(edges))
    return {case: Ended(sigma[row], last[row]) for case, row in zip(CASES, rows, strict=True)}


@pytest.mark.parametrize(("v", "within"), [(0.5, 0.03), (0.8, 0.03), (0.95, 0.08)])
def test_model_noise_fills_what_the_mean_leaves(v, within):
    found = np.array([ended()[Case(v, start)].end.mean() for start in STARTS])
    assert np.abs(found / np.sqrt(1 - v**2) - 1).max() < within
    assert abs(found[0] / found[1] - 1) < 0.03


@pytest.mark.parametrize("v", [1.0, 1.2])
@pytest.mark.parametrize("start", STARTS)
def test_model_noise_dies_where_the_mean_is_as_wide_as_the_data(v, start):
    found = ended()[Case(v, start)]
    fifth = STEPS // EVERY // 5
    before = found.sigma[:, -2 * fifth : -fifth].mean()
    assert found.end.mean() < 0.15
    assert found.end.mean() < before


def test_a_mean_that_learns_leaves_sigma_where_it_started():
    found = [ended()[case] for case in CASES if case.learned]
    for each in found:
        assert np.all(np.abs(each.v**2 + each.end**2 - 1.01) < 0.07)
    assert np.diff([each.end.mean() for each in found]).min() > 0.3


@pytest.mark.parametrize(("v", "sign"), [(0.5, 1), (0.9, 1), (1.2, -1)])
def test_shared_noise_drifts_as_the_spreads_differ(v, sign):
    found = ended()[Case(v, 0.5, "shared", seeds=8)]
    drift = np.log(found.end) - np.log(0.5)
    half = student.ppf(0.975, 7) * drift.std(ddof=1) / np.sqrt(8)
    assert sign * drift.mean() > half
