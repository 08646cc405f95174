"""The approximate penalties in training: beside other penalties, in chunks, and as R1."""

import jax
import numpy as np
import pytest

from sigmaprop.generators import networks

from . import small_games

DIM = 4
DATA = np.random.default_rng(0).standard_normal((100, DIM)).astype(np.float32)
STEPS = 6


def game(*penalties):
    return small_games.make(
        networks.mlp_generator(2, DIM, widths=(8,)),
        networks.mlp_discriminator(DIM, widths=(8,)),
        ("zero", "global"),
        batch_size=8,
        penalties=penalties,
    )


def trained(spec, each, cuts=(STEPS,)):
    """Both players of all replicas after the steps."""
    hypers = [small_games.hypers(spec, "global", **one) for one in each]
    state, _ = small_games.run(spec, hypers, DATA, cuts)
    return jax.tree.leaves((state.player, state.discriminator))


def same(one, other):
    return [np.array_equal(a, b) for a, b in zip(one, other, strict=True)]


@pytest.fixture(scope="module")
def mixed():
    """A program with R1 and its approximation: one replica of each, and one with other noise."""
    spec = game("r1", "approximate_r1")
    each = (
        {"penalties": {"r1": 0.5}},
        {"penalties": {"approximate_r1": 100.0}},
        {"penalties": {"approximate_r1": 100.0}, "penalty_sigma": 0.2},
    )
    return spec, each, trained(spec, each)


def test_a_weight_of_zero_adds_nothing(mixed):
    """A replica with R1 trains as in a program without the other, but for rounding.

    Adam moves by 1e-3 a step, and what a gradient's rounding makes of that stays below 1e-4 of it.
    """
    _, each, both = mixed
    alone = trained(game("r1"), each[:1])
    for leaf, own in zip(both, alone, strict=True):
        np.testing.assert_allclose(leaf[:1], own, rtol=1e-5, atol=1e-7 * STEPS)


def test_weight_and_sigma_of_a_replica_are_its_own(mixed):
    """The discriminators differ; so does what the generators learn from them."""
    _, _, both = mixed
    for one, other in ((0, 1), (1, 2)):
        assert not any(same([leaf[one] for leaf in both[-2:]], [leaf[other] for leaf in both[-2:]]))


def test_the_cuts_between_calls_change_nothing(mixed):
    spec, each, whole = mixed
    assert all(same(trained(spec, each, (1, 4, STEPS)), whole))


def test_with_little_noise_training_is_that_of_r1():
    """lambda = gamma / (2 s^2): after one step of sgd the discriminators' moves are alike.

    A batch of 2,048 draws of relative variance 2 leaves some 3% of the penalty's part of the move
    open; half of all draws would have to lie on one side for the 20% that are allowed. The noise's
    own part of the move is seen against a step without penalty.
    """
    gamma, sigma, rate = 20.0, 0.01, 1e-3
    moved = {}
    for name, weight in (("r1", gamma), ("approximate_r1", gamma / (2 * sigma**2)), ("r1", 0.0)):
        spec = small_games.make(
            networks.mlp_generator(2, DIM, widths=(8,)),
            networks.mlp_discriminator(DIM, widths=(8,), activation="softplus"),
            ("zero",),
            batch_size=2048,
            optimizer=small_games.optimizers.get("sgd"),
            penalties=(name,),
        )
        own = small_games.hypers(spec, "zero", rate=rate, penalties={name: weight})
        state, _ = small_games.run(spec, [own], DATA, (1,))
        leaves = jax.tree.leaves(state.discriminator)
        moved[name, weight > 0] = np.concatenate([np.ravel(leaf) for leaf in leaves])
    right = moved["r1", True] - moved["r1", False]
    found = moved["approximate_r1", True] - moved["r1", False]
    assert np.linalg.norm(found - right) < 0.2 * np.linalg.norm(right)
