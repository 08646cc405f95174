"""Entropic transport against POT."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from sigmaprop.metrics import sinkhorn

measure = jax.jit(sinkhorn.transport, static_argnames=("regularisation", "num_iterations", "chunk"))


def samples(num=60, dim=3):
    rng = np.random.default_rng(0)
    return 0.7 * rng.normal(size=(num, dim)) + 0.3, rng.normal(size=(num + 20, dim))


def dual(ot, x, y, epsilon):
    """The value of the entropic problem with the product measure as reference, and its plan."""
    a, b = np.full(len(x), 1 / len(x)), np.full(len(y), 1 / len(y))
    cost = cdist(x, y) ** 2 / 2
    plan = ot.bregman.sinkhorn_log(a, b, cost, epsilon, numItermax=20_000, stopThr=1e-13)
    entropy = np.sum(plan * np.log(np.maximum(plan, 1e-300) / np.outer(a, b)))
    return np.sum(plan * cost) + epsilon * entropy, np.sum(plan * cost)


@pytest.mark.filterwarnings("ignore")
def test_it_is_what_pot_finds():
    ot = pytest.importorskip("ot")
    x, y = samples()
    epsilon = 0.1 * (cdist(x, y) ** 2 / 2).mean()
    between, cost = dual(ot, x, y, epsilon)
    debiased = between - (dual(ot, x, x, epsilon)[0] + dual(ot, y, y, epsilon)[0]) / 2
    found = measure(
        jnp.asarray(x, jnp.float32),
        jnp.asarray(y, jnp.float32),
        regularisation=0.1,
        num_iterations=300,
    )
    assert float(found.sinkhorn) == pytest.approx(debiased, rel=1e-3, abs=1e-5)
    assert float(found.entropic_transport) == pytest.approx(np.sqrt(2 * cost), rel=1e-3)


def test_little_regularisation_gives_the_assignment():
    x, y = samples()
    y = y[: len(x)]
    squares = cdist(x, y) ** 2
    exact = np.sqrt(squares[linear_sum_assignment(squares)].mean())
    found = measure(
        *(jnp.asarray(rows, jnp.float32) for rows in (x, y)),
        regularisation=0.005,
        num_iterations=2000,
    )
    # The entropy of the plan is at most log N, the excess at most epsilon log N.
    excess = 0.005 * (squares / 2).mean() * np.log(len(x))
    assert exact - 1e-3 < float(found.entropic_transport)
    assert float(found.entropic_transport) ** 2 / 2 < exact**2 / 2 + excess


def test_one_point_a_side_by_hand():
    found = measure(jnp.array([[0.0, 0.0]]), jnp.array([[3.0, 4.0]]))
    assert float(found.entropic_transport) == pytest.approx(5, rel=1e-6)
    assert float(found.sinkhorn) == pytest.approx(12.5, rel=1e-6)


def test_equal_samples_have_no_divergence():
    x = jnp.asarray(samples()[0], jnp.float32)
    assert abs(float(measure(x, x).sinkhorn)) < 1e-5
