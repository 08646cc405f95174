"""What changes over a run, against formulas in float64 and Adam written out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sigmaprop.generators import optimizers
from sigmaprop.generators.annealing import Annealing, ramped

STEPS = 40


def annealing(**given):
    """That of nothing, but for what is given."""
    whole = {"steps": STEPS, "warm_up": 0}
    plain = {"rate_fall": 1.0, "penalty_fall": 1.0, "b2_last": 0.99, "half_life": 0.0}
    values = {**whole, **plain, **given}
    return Annealing(
        **{
            name: jnp.asarray(value, jnp.int32 if name in whole else jnp.float32)
            for name, value in values.items()
        }
    )


def progress(t):
    return 0.5 * (1 - np.cos(np.pi * np.clip(t / STEPS, 0, 1)))


T = np.arange(0, 2 * STEPS)


@pytest.mark.parametrize(
    ("given", "method", "exact"),
    [
        ({"rate_fall": 30.0}, "rate_factor", 1 + (1 / 30 - 1) * progress(T)),
        ({"warm_up": 8}, "rate_factor", np.minimum(1, (T + 1) / 8)),
        ({"penalty_fall": 40.0}, "penalty_factor", 40.0 ** -progress(T)),
        ({}, "rate_factor", np.ones(2 * STEPS)),
        ({}, "penalty_factor", np.ones(2 * STEPS)),
    ],
)
def test_factors_are_their_formulas(given, method, exact):
    found = jax.vmap(getattr(annealing(**given), method))(jnp.asarray(T))
    # Half a unit in the last place of pi moves the cosine by 1e-7.
    np.testing.assert_allclose(found, exact, rtol=2e-6, atol=1e-7)


def test_the_second_moments_decay_moves_from_first_to_last():
    found = jax.vmap(lambda t: annealing(b2_last=0.99).b2(0.9, t))(jnp.asarray(T))
    np.testing.assert_allclose(found, 0.9 + 0.09 * progress(T), rtol=1e-6)
    assert found[0] == np.float32(0.9)
    np.testing.assert_allclose(found[STEPS:], 0.99, rtol=1e-7)


def test_the_half_life_of_the_average_is_a_share_of_the_steps_so_far():
    decay = annealing(half_life=0.05).average_decay(jnp.asarray(0.9999), jnp.asarray(999))
    # After 50 steps of this decay half is left.
    assert float(decay) ** 50 == pytest.approx(0.5, rel=1e-4)
    capped = annealing(half_life=0.5).average_decay(jnp.asarray(0.9), jnp.asarray(10**6))
    assert float(capped) == pytest.approx(0.9)
    own = annealing().average_decay(jnp.asarray(0.999), jnp.asarray(5))
    assert float(own) == float(ramped(jnp.asarray(0.999), jnp.asarray(5)))


def test_adam_takes_the_decay_of_each_step():
    """Written out in float64, the bias corrected with the decay of the step."""
    b1, eps, rate, own = 0.5, 1e-8, 3e-3, annealing(b2_last=0.99)
    optimizer = optimizers.get("adam", b1=b1, b2=0.9)
    params, state = jnp.asarray([1.0, -2.0]), optimizer.init(jnp.zeros(2))
    exact, first, second = np.array([1.0, -2.0]), np.zeros(2), np.zeros(2)
    gradients = np.random.default_rng(0).standard_normal((STEPS, 2))
    update = jax.jit(optimizer.update)
    for t, gradient in enumerate(gradients):
        now = own.b2(0.9, jnp.asarray(t))
        step = jnp.asarray(gradient, jnp.float32), state, params, rate, jnp.asarray(t), now
        params, state = update(*step)
        b2 = 0.9 + 0.09 * progress(t)
        first = b1 * first + (1 - b1) * gradient
        second = b2 * second + (1 - b2) * gradient**2
        corrected = first / (1 - b1 ** (t + 1)), second / (1 - b2 ** (t + 1))
        exact = exact - rate * corrected[0] / (np.sqrt(corrected[1]) + eps)
    np.testing.assert_allclose(params, exact, rtol=1e-5)
