"""Sigma schedules at steps 0, 1, 2, in the middle, at the last step and beyond."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sigmaprop.generators import schedule

FIRST, LAST, STEPS = 0.7, 0.03, 20
TIMES = (0, 1, 2, 10, 19, 20, 21, 10**6)
CURVES = {
    "constant": lambda t: FIRST + 0 * t,
    "linear": lambda t: FIRST + (LAST - FIRST) * t,
    "cosine": lambda t: LAST + (FIRST - LAST) * (1 + np.cos(np.pi * t)) / 2,
    "exponential": lambda t: FIRST * (LAST / FIRST) ** t,
}


def values(kind, first=FIRST, last=LAST):
    given = schedule.sigma_schedule(kind, first, last, STEPS)
    return np.asarray(
        jax.jit(jax.vmap(schedule.select_sigma, (None, 0)))(given, jnp.asarray(TIMES))
    )


def test_every_kind_is_tested():
    assert tuple(CURVES) == schedule.KINDS


@pytest.mark.parametrize("kind", schedule.KINDS)
def test_schedules_follow_their_formula(kind):
    exact = CURVES[kind](np.minimum(np.array(TIMES) / STEPS, 1.0))
    # A few roundings of numbers below 1; log(.03) = -3.5 multiplies those of the exponent.
    np.testing.assert_allclose(values(kind), exact, rtol=16 * 2.0**-24, atol=4 * 2.0**-24)


@pytest.mark.parametrize("kind", schedule.KINDS)
def test_both_ends_are_met_without_rounding(kind):
    found = values(kind)
    assert found[0] == np.float32(FIRST)
    end = FIRST if kind == "constant" else LAST
    assert set(found[5:]) == {np.float32(end)}


def test_a_constant_schedule_has_the_number_itself_at_every_step():
    assert set(values("constant")) == {np.float32(FIRST)}
    assert set(values("constant", 0.0)) == {np.float32(0.0)}


@pytest.mark.parametrize("kind", ["linear", "cosine"])
def test_schedules_may_end_at_zero(kind):
    found = values(kind, FIRST, 0.0)
    assert np.all(found[5:] == 0.0)
    assert np.all(found[:5] > 0.0)


def test_schedules_may_rise():
    assert np.all(np.diff(values("exponential", LAST, FIRST)[:6]) > 0.0)


def test_replicas_of_one_program_follow_different_schedules():
    each = [schedule.sigma_schedule(kind, FIRST, LAST, STEPS) for kind in schedule.KINDS]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *each)
    together = jax.vmap(schedule.select_sigma, (0, None))(stacked, jnp.asarray(7))
    alone = [schedule.select_sigma(given, jnp.asarray(7)) for given in each]
    np.testing.assert_allclose(together, jnp.stack(alone), rtol=2.0**-22)


def test_bad_schedules_are_refused():
    with pytest.raises(ValueError, match="sigma schedule 'cosin'; did you mean 'cosine'"):
        schedule.sigma_schedule("cosin", FIRST, LAST, STEPS)
    with pytest.raises(ValueError, match="positive sigmas"):
        schedule.sigma_schedule("exponential", FIRST, 0.0, STEPS)
    with pytest.raises(ValueError, match="at least 1"):
        schedule.sigma_schedule("linear", FIRST, LAST, 0)
