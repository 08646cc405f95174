"""Every treatment of sigma, loss, penalty and network trains through the command's own path."""

import dataclasses

import numpy as np
import pytest
from sigmaprop.experiments.gan import plan as gan_plan
from sigmaprop.experiments.gan import programs as gan_work
from sigmaprop.experiments.gan.config import GanConfig, GanOptions, GanSweep

from sigmaprop.generators import arms
from sigmaprop.generators.gan import METRICS

STEPS = 30
ARMS = [name for name, arm in arms.ARMS.items() if not arm.borrows]
ALL = {"arm": tuple(ARMS)}
LEARNED = {"arm": ("fixed", "global", "per_pixel", "heteroscedastic", "low_rank")}
SMALL = GanConfig(
    steps=STEPS,
    seeds=1,
    widths=(12,),
    discriminator_widths=(12,),
    latent_dim=4,
    batch_size=16,
    eval_samples=32,
    metrics_every=STEPS,
)
CASES = {
    "shared": (ALL | {"placement": ("model", "shared")}, {}),
    "at_mean": (ALL, {"gradient": "at_mean"}),
    "pathwise+at_mean": (ALL, {"sigma_gradient": "pathwise+at_mean"}),
    "score_function+at_mean": (
        ALL,
        {"sigma_gradient": "score_function+at_mean", "noise_samples": 4},
    ),
    "bonnet_price": (
        ALL,
        {"sigma_gradient": "bonnet_price", "discriminator_activation": "softplus"},
    ),
    "entropy": (LEARNED, {"entropy_weight": 0.01}),
    "losses": ({"loss": ("minimax", "least_squares", "hinge", "wasserstein")}, {}),
    "penalties": (
        {"r1": (0.0, 1.0), "roth": (0.0, 0.1)},
        {"r2": 0.1, "gradient_penalty": 1.0, "penalty_points": "clean"},
    ),
    "approximate_penalties": (
        {"approximate_r1": (0.0, 100.0), "penalty_sigma": (0.01, 0.1)},
        {"approximate_r2": 100.0, "r1": 0.1},
    ),
    "pairs": (ALL, {"loss": "relativistic", "r1": 0.1, "r2": 0.1}),
    "pairs by an estimator": (
        {"arm": ("zero", "global")},
        {"loss": "relativistic", "sigma_gradient": "pathwise+at_mean", "noise_samples": 2},
    ),
    "annealed": (
        {"learning_rate_fall": (1.0, 100.0), "penalty_fall": (1.0, 10.0)},
        {"b2_last": 0.999, "warm_up": 5, "ema_half_life": 0.05, "r1": 0.1},
    ),
    "residual": (
        {"arm": ("zero", "heteroscedastic")},
        {
            "generator": "residual",
            "discriminator": "residual",
            "waves": (1.0, 2.0),
            "discriminator_waves": (0.5,),
        },
    ),
    "levels": (
        {"instance_level": ("constant", "uniform", "half_normal", "log_normal")},
        {"instance_noise": 0.3, "tell_level": True},
    ),
    "adaptive noise": ({"instance_target": (0.0, 0.6)}, {"instance_noise": 0.3}),
    "detached": (
        {"arm": ("global", "heteroscedastic"), "mean_gradient": ("joint", "detached")},
        {"sigma_learning_rate": 0.01},
    ),
    "the discriminator's noise": (
        {"arm": ("global", "per_pixel", "low_rank")},
        {"placement": "shared", "sigma_player": "discriminator"},
    ),
    "spectral_norm": ({}, {"spectral_norm": True, "discriminator_steps": 2}),
    "instance_noise": ({"instance_noise": (0.0, 0.5)}, {}),
    "sgd": (
        {},
        {
            "optimizer": "sgd",
            "sigma_optimizer": "sgd",
            "simultaneous": True,
            "momentum": 0.5,
            "momentum_last": 0.7,
            "momentum_steps": 20,
            "learning_rate_decay": 1.001,
        },
    ),
    "parameterisation": ({"parameterisation": ("softplus", "signed")}, {}),
    "goodfellow2014": (
        {"arm": ("zero",)},
        {"generator": "goodfellow2014", "discriminator": "goodfellow2014", "output": "sigmoid"},
    ),
    "bfloat16": ({"arm": ("zero", "global")}, {"dtype": "bfloat16"}),
    "redraw_split": ({"arm": ("zero", "global")}, {"redraw_split": True}),
    "vectorised": ({"arm": ("zero", "global", "fixed")}, {"replica_chunk": 2}),
}


def train(config: GanConfig) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The last averages of every metric by replica, and the scores, of all groups."""
    plan = gan_plan.prepare(config)
    reference = gan_work.make_reference(config, plan)
    told, scores = [], []
    for group in plan.groups:
        work = gan_work.compile_group(config, plan, group, reference)
        state = work.engine.init(work.hypers)
        state, windows = work.engine.run(state, work.hypers, work.data, 0, STEPS)
        count = len(group.replicas)
        told.append(np.asarray(windows)[:count, 0])
        scores.append(np.asarray(work.score(state, work.held_out, work.hypers, reference, STEPS)))
        assert np.all(np.asarray(state.diverged_at) == -1)
    names = plan.groups[0].spec.metrics
    assert names[: len(METRICS)] == METRICS
    return dict(zip(names, np.concatenate(told).T, strict=True)), np.concatenate(scores)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_option_trains(name):
    sweep, options = CASES[name]
    config = dataclasses.replace(SMALL, sweep=GanSweep(**sweep), **options)
    told, scores = train(config)
    assert all(np.isfinite(values).all() for values in told.values())
    assert np.isfinite(scores).all()
    learned = sum(
        cell.options.arm not in ("zero", "fixed", "scheduled")
        for cell in gan_plan.cells(config, GanOptions)
    )
    assert np.sum(told["sigma_slope_squared"] > 0) == learned * config.seeds


@pytest.mark.slow
def test_every_arm_has_the_sigma_that_it_says():
    """And those that learn move it; the mean of `zero` is its sample."""
    told, scores = train(
        dataclasses.replace(SMALL, sweep=GanSweep(**ALL), sigma_learning_rate=0.01)
    )
    sigma = dict(zip(ARMS, told["sigma"], strict=True))
    assert sigma["zero"] == 0.0
    assert sigma["fixed"] == pytest.approx(0.1, rel=STEPS * 2**-23)
    assert 0.01 < sigma["scheduled"] < 0.1
    slopes = dict(zip(ARMS, told["sigma_slope_squared"], strict=True))
    assert [arm for arm, slope in slopes.items() if slope > 0] == list(ARMS)[3:]
    mean, x = scores[0, 0]
    assert np.array_equal(mean, x)
    assert not np.array_equal(*scores[1, 0])
