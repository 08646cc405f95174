"""The claims hold for right gradients, and deliberately wrong ones make them fail."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sigmaprop import estimators, limit, objectives
from sigmaprop.limit import conclusions, truth
from sigmaprop.limit.conclusions import Evidence, conclude
from sigmaprop.noise import schedules

SIGMAS = schedules.sigmas("geometric", 1.0, 1e-8, 25)
CHOSEN = [
    estimators.get("pathwise"),
    estimators.get("pathwise", "antithetic"),
    estimators.get("score_function"),
    estimators.get("score_function", "iid", "leave_one_out"),
    estimators.get("forward_difference"),
    estimators.get("antithetic_difference"),
    estimators.get("at_mean"),
]
DIM = 6


def evidence_of(name, function=None, chosen=CHOSEN, dtype="float32", num_draws=2**15):
    """Evidence about ``function``, or the objective itself, against the objective's truth."""
    objective = objectives.get(name, DIM)
    point = np.asarray(objective.point, np.float32).astype(np.float64)
    exact = truth.closed_form(objective, point, SIGMAS)
    swept = limit.sweep(
        function or objective,
        exact,
        chosen,
        jax.random.key(0),
        num_draws,
        batch_sizes=schedules.powers(4, num_draws),
        dtype=dtype,
    )
    return Evidence(
        name, objective.smoothness, exact, truth.derivatives(objective, point), swept, dtype
    )


def with_gradient(name, gradient):
    """The objective, with ``gradient(x, right gradient)`` in place of its gradient."""
    objective = objectives.get(name, DIM)

    @jax.custom_vjp
    def function(x):
        return objective(x)

    def forward(x):
        value, right = jax.value_and_grad(objective)(x)
        return value, gradient(x, right)

    function.defvjp(forward, lambda wrong, cotangent: (cotangent * wrong,))
    return function


def verdicts(claims, containing):
    found = {claim.claim: claim.verdict for claim in claims if containing in claim.claim}
    assert found, f"no claim about {containing!r}"
    return found


@pytest.fixture(scope="module")
def right():
    return conclude(evidence_of("sine"))


def test_right_gradients_never_fail(right):
    # "fails" needs an interval at 99% that lies wholly outside a tolerance around the truth: the
    # chance is far below 1% a claim; the seed is fixed.
    assert not [claim.claim for claim in right if claim.verdict == "fails"]
    assert sum(claim.verdict == "holds" for claim in right) > 0.7 * len(right)


def test_the_bias_line_is_resolved(right):
    assert set(verdicts(right, "bias of grad f(x)").values()) == {"holds"}


WRONG = {
    "factor": lambda x, right: 1.5 * right,
    "sign": lambda x, right: -right,
    "term": lambda x, right: right.at[0].set(0.0),
    "small factor": lambda x, right: 1.01 * right,
    "extra term": lambda x, right: right + 0.01 * x**2,
    "detached": lambda x, right: jnp.zeros_like(right),
}


@pytest.mark.parametrize(
    "kind",
    [
        kind if kind == "term" else pytest.param(kind, marks=pytest.mark.slow)
        for kind in sorted(WRONG)
    ],
)
def test_a_wrong_gradient_fails(kind):
    chosen = CHOSEN[:2]
    claims = conclude(
        evidence_of("sine", with_gradient("sine", WRONG[kind]), chosen, num_draws=2**14)
    )
    assert "fails" in verdicts(claims, "bias of grad f(x): slope").values()
    assert "fails" in verdicts(claims, "bias of grad f(x) /").values()
    if kind not in ("small factor", "extra term"):
        assert "fails" in verdicts(claims, "variance of pathwise").values()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["factor", "sign", "term"])
def test_a_wrong_gradient_fails_where_there_is_no_bias(kind):
    function = with_gradient("quadratic", WRONG[kind])
    claims = conclude(evidence_of("quadratic", function, CHOSEN[:2], num_draws=2**14))
    assert set(verdicts(claims, "(none)").values()) == {"fails"}


def times(factor):
    return lambda right: right._replace(
        terms=lambda *args: right.terms(*args)._replace(
            gradient=jax.tree.map(lambda leaf: factor * leaf, right.terms(*args).gradient)
        )
    )


def without_leaving_one_out(right):
    """The plain mean baseline: biased by 1 - 1/N, so its variance law has no N/(N-1)."""

    def combine(terms, num_draws):
        del num_draws
        return jax.tree.map(
            lambda g, v, s: g - v * s,
            terms.gradient,
            jax.tree.map(
                lambda leaf: terms.value.reshape(
                    leaf.shape[:0] or terms.value.shape + (1,) * (leaf.ndim - terms.value.ndim)
                ),
                terms.gradient,
            ),
            terms.score,
        )

    return right._replace(combine=combine)


@pytest.mark.parametrize(
    ("index", "mutate", "about"),
    [
        (2, times(2.0), "score_function: relative error"),
        (2, times(-1.0), "score_function: relative error"),
        (4, times(0.5), "forward_difference: relative error"),
        (4, times(2.0), "variance of forward_difference to the mean /"),
        (5, times(2.0), "antithetic_difference: relative error"),
        (3, without_leaving_one_out, "variance of score_function+leave_one_out to the mean /"),
    ],
)
def test_a_wrong_estimator_fails(index, mutate, about):
    chosen = [mutate(CHOSEN[index])]
    claims = conclude(evidence_of("sine", None, chosen))
    assert set(verdicts(claims, about).values()) == {"fails"}


@pytest.mark.slow
def test_kinks_and_jumps_have_no_limit_near_them():
    kink = conclude(evidence_of("absolute"))
    assert set(verdicts(kink, "near").values()) == {"holds"}
    slope = next(c for c in kink if "slope in sigma (not 2)" in c.claim)
    assert slope.measured.high < 1
    jump = conclude(evidence_of("step"))
    assert set(verdicts(jump, "misses the jump").values()) == {"holds"}
    growth = next(c for c in jump if "no limit" in c.claim)
    assert growth.measured.high < 0
    assert growth.verdict != "fails"


@pytest.mark.slow
def test_a_smoothed_kink_would_not_pass_for_one():
    # relu's gradient taken for absolute's: the share of the bias at the kink's distance is wrong.
    relu = lambda x: 2 * jnp.sum(jax.nn.relu(x))  # noqa: E731
    claims = conclude(evidence_of("absolute", relu, CHOSEN[:2]))
    assert "fails" in verdicts(claims, "kink's distance").values()


@pytest.mark.parametrize("dtype", ["bfloat16", pytest.param("float64", marks=pytest.mark.slow)])
def test_other_precisions_do_not_fail(dtype):
    claims = conclude(evidence_of("quartic", dtype=dtype, num_draws=2**14))
    assert not [claim.claim for claim in claims if claim.verdict == "fails"]
    resolved = verdicts(claims, "bias of grad f(x): slope").values()
    assert set(resolved) == ({"holds"} if dtype == "float64" else {"not resolved"})


@pytest.mark.parametrize("name", ["quartic", "quadratic"])
@pytest.mark.parametrize("num_draws", [1, 3, 16])
def test_few_samples_fail_nothing(name, num_draws):
    """One sample decides nothing, and noise that hides the bias is not taken for rounding."""
    claims = conclude(evidence_of(name, chosen=CHOSEN[:2], num_draws=num_draws))
    assert not [claim.claim for claim in claims if claim.verdict == "fails"]
    if num_draws == 1:
        assert {claim.verdict for claim in claims} == {"not resolved"}


def test_floors_have_no_interval_and_say_their_range(right):
    found = [claim for claim in right if "precision floor" in claim.claim]
    assert {claim.verdict for claim in found} == {"holds"}
    for claim in found:
        assert np.isnan([claim.measured.low, claim.measured.high]).all()
        assert claim.lowest <= claim.measured.value <= claim.highest
        assert f"a factor of {1 / claim.lowest:.0f}" in claim.claim


@pytest.mark.slow
def test_floors_move_with_the_precision():
    def floor(dtype):
        found = conclusions.floors(evidence_of("sine", None, [CHOSEN[4]], dtype, 2**13))
        return next(one for one in found if "lost" in one.what)

    single, half = floor("float32"), floor("bfloat16")
    assert 0.1 < single.measured / single.predicted < 5
    assert 0.1 < half.measured / half.predicted < 5
    assert half.measured > 1e3 * single.measured


def test_claims_are_complete_records(right):
    for claim in right:
        assert claim.lowest <= claim.expected <= claim.highest
        assert claim.measured._fields == ("value", "error", "low", "high")
        assert dataclasses.is_dataclass(objectives.get("sine", DIM))


def test_a_claim_on_an_exact_number_has_no_interval():
    from sigmaprop.statistics import claim, interval

    for value, verdict in ((0.8703, "holds"), (0.9, "fails")):
        found = claim("cosine", "equal variance at k", 0.87, 0.001, interval(value, 0.0, 2), 1.0)
        assert (found.measured.value, found.verdict) == (value, verdict)
        assert np.isnan([found.measured.low, found.measured.high]).all()
    alone = claim("cosine", "one replicate", 0.87, 0.001, interval(0.87, np.nan, 1), 1.0)
    assert alone.verdict == "not resolved"
