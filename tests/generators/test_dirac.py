"""The Dirac-GAN through the engine's losses and penalties, beside a loop in float64.

One parameter each: the generator is the point theta, the discriminator D(x) = psi x, the data are
x = 0. Theory knows which of these games circle, diverge or contract.

Source: Mescheder, Geiger, Nowozin 2018, "Which training methods for GANs do actually converge?".
"""

import functools
import math
from typing import NamedTuple

import jax
import numpy as np
import pytest

from sigmaprop.generators import networks, optimizers

from . import small_games

RATE, STEPS, NODES, STD = 0.2, 500, 32, 0.7


class Case(NamedTuple):
    """A game; weights of R1 run side by side."""

    loss: str
    simultaneous: bool
    r1: tuple[float, ...] = (0.0,)
    std: float = 0.0
    r2: float = 0.0


@functools.cache
def trained(case):
    """(theta, psi) of each weight of R1."""
    spec = small_games.make(
        networks.constant_generator(1),
        networks.bilinear_discriminator(1),
        ("zero",),
        loss=case.loss,
        optimizer=optimizers.get("sgd"),
        batch_size=1,
        simultaneous=case.simultaneous,
        penalties=(*(["r1"] if any(case.r1) else []), *(["r2"] if case.r2 else [])),
        instance_noise=case.std > 0,
        instance_nodes=NODES if case.std else 0,
    )
    each = [
        small_games.hypers(
            spec,
            "zero",
            rate=RATE,
            penalties={"r1": r1, "r2": case.r2},
            instance_noise=case.std,
        )
        for r1 in case.r1
    ]
    state, _ = small_games.run(spec, each, np.zeros((1, 1), np.float32), (STEPS,))
    theta, (psi,) = state.player.network["mean"], jax.tree.leaves(state.discriminator)
    return np.stack([np.ravel(theta), np.ravel(psi)], axis=1).astype(np.float64)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def by_hand(loss, simultaneous, r1, std):
    """(theta, psi), from derivatives by hand; noise by Gauss-Hermite quadrature."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(64)
    nodes, weights = std * nodes, weights / math.sqrt(2 * math.pi)
    mean = lambda values: float(weights @ values)  # noqa: E731
    # Slopes of real, fake and generator, as functions of the logit.
    one, falling = np.ones_like, lambda logit: -sigmoid(-logit)
    real, fake, generator = {
        "wasserstein": (lambda logit: -one(logit), one, lambda logit: -one(logit)),
        "minimax": (falling, sigmoid, lambda logit: -sigmoid(logit)),
        "non_saturating": (falling, sigmoid, falling),
        # A pair's real logit is 0, so its difference is the other's logit with either sign.
        "relativistic": (lambda logit: 0 * logit, sigmoid, falling),
    }[loss]
    theta = psi = 1.0
    for _ in range(STEPS):
        slope = mean(real(psi * nodes) * nodes)
        slope += mean(fake(psi * (theta + nodes)) * (theta + nodes)) + r1 * psi
        moved = psi - RATE * slope
        judge = psi if simultaneous else moved
        theta -= RATE * mean(generator(judge * (theta + nodes)) * judge)
        psi = moved
    return np.array([theta, psi])


CASES = {
    "wasserstein alternating": (Case("wasserstein", False), [1.40]),
    "wasserstein simultaneous": (Case("wasserstein", True), [25_636]),
    "minimax simultaneous": (Case("minimax", True), [3.35]),
    "non-saturating simultaneous": (Case("non_saturating", True), [0.640]),
    "non-saturating alternating": (Case("non_saturating", False), [0.284]),
    "r1": (Case("non_saturating", False, (0.3, 1.0)), [0.0, 0.0]),
    "relativistic": (Case("relativistic", False), [0.284]),
    "relativistic, r1 and r2": (Case("relativistic", False, (0.3, 1.0), r2=0.5), [0.0, 0.0]),
    "instance noise": (Case("non_saturating", False, std=STD), [0.0]),
}


@pytest.mark.parametrize("name", CASES)
def test_the_engine_follows_a_float64_loop(name):
    case, _ = CASES[name]
    for r1, found in zip(case.r1, trained(case), strict=True):
        exact = by_hand(case.loss, case.simultaneous, r1 + case.r2, case.std)
        # 500 steps of float32; the game that diverges, in units of its radius.
        assert np.abs(found - exact).max() < 1e-3 * max(1.0, np.linalg.norm(exact))


@pytest.mark.parametrize("name", CASES)
def test_radii_are_those_of_theory(name):
    case, radii = CASES[name]
    for radius, found in zip(radii, trained(case), strict=True):
        if radius:
            # Printed to three digits.
            assert abs(np.linalg.norm(found) / radius - 1) < 5e-3
        else:
            assert np.linalg.norm(found) < 1e-3
