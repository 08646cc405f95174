"""`advise` finds jumps and kinks, says nothing of them where there are none, and repeats itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sigmaprop import Isotropic, advise, estimators, objectives

KEY = jax.random.key(5)
BUDGET = 60_000


def at(objective, scale):
    return Isotropic(jnp.asarray(objective.point, jnp.float32), jnp.asarray(scale))


@pytest.fixture(scope="module")
def smooth():
    objective = objectives.get("sine", 3)
    return advise(objective, at(objective, 0.1), KEY, BUDGET)


def test_a_smooth_function_shows_no_jump_and_no_kink(smooth):
    assert smooth.jump is not None
    assert smooth.kink is not None
    assert not smooth.jump.found
    assert not smooth.kink.found
    assert all(not one.trouble for one in smooth.evidence)
    assert smooth.chosen is smooth.evidence[0]


def test_the_choice_can_be_made(smooth):
    chosen = estimators.get(smooth.estimator, smooth.noise, smooth.control_variate, smooth.options)
    assert chosen.label == smooth.chosen.label


def test_differentiating_beats_values_on_a_smooth_function(smooth):
    work = {one.name: one.work for one in smooth.evidence}
    for part in ("mean", "scale"):
        assert work[smooth.chosen.name][part] < work["score_function+leave_one_out"][part]


def test_without_a_clock_advice_repeats_to_the_bit(smooth):
    objective = objectives.get("sine", 3)
    again = advise(objective, at(objective, 0.1), KEY, BUDGET)
    assert [one.name for one in again.evidence] == [one.name for one in smooth.evidence]
    assert [one.work for one in again.evidence] == [one.work for one in smooth.evidence]


def test_expected_errors_follow_from_the_variance(smooth):
    size = float(np.linalg.norm(smooth.chosen.gradient.mean))
    expected = np.sqrt(smooth.chosen.variance["mean"] / 400) / size
    assert abs(smooth.relative_error(400)["mean"] / expected - 1) < 1e-12


def test_a_jump_is_found_and_whatever_differentiates_is_left_out():
    def f(x):
        return jnp.sum(jnp.where(x > 0, 1.0, 0.0)) + jnp.sum(x)

    found = advise(f, Isotropic(jnp.array([0.1, -0.2]), jnp.array(0.3)), KEY, BUDGET)
    assert found.jump is not None
    assert found.jump.found
    assert found.estimator in ("score_function", "forward_difference", "measure_valued")
    assert {one.label for one in found.evidence if one.trouble} >= {"pathwise", "bonnet_price"}
    assert "jumps" in found.reasons[0]


def test_a_kink_rules_out_price():
    def f(x):  # it does not say that it has kinks
        return jnp.sum(jnp.abs(x))

    found = advise(f, Isotropic(jnp.array([0.1, -0.2]), jnp.array(0.3)), KEY, BUDGET)
    assert found.jump is not None
    assert found.kink is not None
    assert not found.jump.found
    assert found.kink.found
    (price,) = [one for one in found.evidence if one.label == "bonnet_price"]
    assert price.trouble == "kink"
    assert any("kinks" in reason for reason in found.reasons)


def test_what_cannot_be_differentiated_is_advised_on_by_its_values():
    def f(x):
        shape = jax.ShapeDtypeStruct((), x.dtype)
        return jax.pure_callback(lambda y: np.sum(np.sin(y)), shape, x, vmap_method="sequential")

    found = advise(f, Isotropic(jnp.array([0.1, -0.2]), jnp.array(0.3)), KEY, 10_000)
    assert found.jump is None
    assert all("pathwise" not in one.label for one in found.evidence)
    assert "cannot be differentiated" in found.reasons[0]


def test_a_pytree_may_be_the_point():
    from sigmaprop import Diagonal

    point = {"w": jnp.ones((2, 2)), "b": jnp.zeros(1)}
    scale = jax.tree.map(lambda leaf: jnp.full_like(leaf, 0.2), point)
    found = advise(
        lambda x: jnp.sum(jnp.sin(x["w"])) + x["b"][0] ** 2, Diagonal(point, scale), KEY, 30_000
    )
    assert found.estimator in estimators.names()


def test_a_small_budget_is_refused():
    with pytest.raises(ValueError, match="budget is 100;"):
        advise(lambda x: jnp.sum(x), Isotropic(jnp.zeros(2), jnp.ones(())), KEY, 100)
