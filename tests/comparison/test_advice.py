"""`advise` finds jumps and kinks, says nothing of them where there are none, and repeats itself."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from sigmaprop import Isotropic, advise, estimators, objectives
from sigmaprop.comparison import advice, pilot
from sigmaprop.comparison.advice import Evidence

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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.parametrize("budget", [1e6, "20000", True])
def test_a_budget_that_is_no_count_is_refused(budget):
    with pytest.raises(ValueError, match=r"budget is .*; it must be a whole number of at least"):
        advise(jnp.sum, Isotropic(jnp.zeros(2), jnp.ones(())), KEY, budget)


@pytest.mark.parametrize("f", [jnp.sin, lambda x: (x[0], x[1]), lambda x: jnp.argmax(x)])
def test_what_is_no_scalar_is_refused(f):
    # It was called undifferentiable.
    with pytest.raises(ValueError, match="f must map x to a floating scalar"):
        advise(f, Isotropic(jnp.zeros(2), jnp.ones(())), KEY, BUDGET)


def evidence(label, variance, evaluations, seconds):
    one = Evidence(
        label, "iid", 10, 10, 10 * evaluations, 1.0, None, None, {"mean": variance}, {}, "", seconds
    )
    return one.at_cost(1.0)


STEADY = [
    evidence("pathwise", 2.0, 1, (1.0, 1.1, 0.9, 1.0, 1.0)),
    evidence("score_function", 1.0, 4, (1.5, 1.4, 1.6, 1.5, 1.7)),
]


def test_a_clock_whose_rounds_agree_decides():
    ranked, by, (told,) = advice._ranking(STEADY)
    assert [one.label for one in ranked] == ["score_function", "pathwise"]
    assert by == "time"
    assert ranked[0].cost == 1.5
    assert ranked[0].work == {"mean": 1.5}
    assert "all 5 rounds" in told


def test_a_clock_whose_rounds_disagree_does_not():
    # The median of the clock names the score function; one round of five does not.
    noisy = [STEADY[0], STEADY[1]._replace(seconds=(1.5, 1.4, 1.6, 9.0, 1.7))]
    ranked, by, (told,) = advice._ranking(noisy)
    assert [one.label for one in ranked] == ["pathwise", "score_function"]
    assert by == "evaluations"
    assert [one.cost for one in ranked] == [1.0, 4.0]
    assert [one.work["mean"] for one in ranked] == [2.0, 4.0]
    assert "score_function in 4, pathwise in 1 of 5 rounds" in told


def test_without_a_clock_operations_count():
    ranked, by, told = advice._ranking([one._replace(seconds=()) for one in STEADY])
    assert (by, told) == ("operations", [])
    assert ranked[0].label == "score_function"


def test_the_clock_times_every_candidate_once_a_round_and_nothing_else(monkeypatch):
    pair = [("pathwise", "iid"), ("score_function+leave_one_out", "iid")]
    monkeypatch.setattr(pilot, "candidates", lambda: pair)
    ticks, told = itertools.count(), []
    objective = objectives.get("sine", 3)
    found = advise(
        objective, at(objective, 0.1), KEY, 10_000,
        clock=lambda: float(next(ticks)), progress=told.append,
    )  # fmt: skip
    # Two candidates, 5 rounds, two readings each: compiling and the pilot are not timed.
    assert next(ticks) == 2 * 5 * 2
    assert told[2:] == [f"timing, round {number} of 5" for number in range(1, 6)]
    assert all(one.seconds == (1 / one.points,) * 5 for one in found.evidence)
    assert found.ranked_by == "time"


def test_advice_says_what_it_cannot_see(smooth):
    assert any("No kink was found; one that adds less than" in told for told in smooth.reasons)
    # P(eps > 3) = 0.00135 = 1/741.
    assert abs(1 / 741 - scipy.stats.norm.sf(3)) < 1e-6
    assert "3 standard deviations from the mean is passed by 1 draw in 741" in smooth.reasons[-1]
    assert smooth.ranked_by == "operations"


def test_a_part_without_a_gradient_has_no_share_to_speak_of():
    gap = advice.Disagreement(0.0, 4.0, float("inf"))
    told = advice._unseen(gap, "of the gradient")
    assert told == "as the gradient is 0 there is nothing to say how small a one would have been"
