"""What combines with what: everything else is refused in one line that names both sides."""

import itertools

import jax
import jax.numpy as jnp
import pytest

from sigmaprop import MovingAverage, Options, estimate, estimators
from sigmaprop.gaussian import Diagonal, Full, Isotropic, LowRank

from . import gradient_checks as checks

GAUSSIAN = Isotropic(jnp.array([0.3, -0.7]), jnp.array(0.4))
VARIATES = {
    "pathwise": {"at_mean", "delta"},
    "score_function": {"mean", "leave_one_out", "at_mean", "delta", "moving_average"},
}


def allowed(name, noise, variate):
    """The table as the documentation gives it, not as the code does."""
    if variate is not None and variate not in VARIATES.get(name, ()):
        return False
    if noise == "iid":
        return True
    if name in ("at_mean", "second_order", "quadrature") or variate == "mean":
        return False
    return (name, noise) not in {
        ("antithetic_difference", "antithetic"),
        ("measure_valued", "orthogonal"),
    }


def refused(call, *words):
    with pytest.raises(ValueError, match=r"\w") as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message
    return message


def f(x):
    return jnp.sum(x**2)


def call(num_samples=4, gaussian=GAUSSIAN, f=f, **keywords):
    return lambda: estimate(f, gaussian, jax.random.key(0), num_samples, **keywords)


EVERY = itertools.product(estimators.names(), checks.NOISES, (None, *estimators.CONTROL_VARIATES))


@pytest.mark.parametrize(("name", "noise", "variate"), list(EVERY))
def test_a_combination_works_or_is_refused_by_both_names(name, noise, variate):
    if allowed(name, noise, variate):
        chosen = estimators.get(name, noise, variate)
        assert (chosen.name, chosen.noise, chosen.control_variate) == (name, noise, variate)
        return
    message = refused(lambda: estimators.get(name, noise, variate), "has no meaning with")
    assert sum(repr(word) in message for word in (name, noise, variate)) >= 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("pathwize",), ("unknown estimator 'pathwize'", "did you mean 'pathwise'")),
        (("pathwise", "sobl"), ("unknown noise 'sobl'", "did you mean 'sobol'")),
        (
            ("score_function", "iid", "leave_two_out"),
            ("unknown control variate 'leave_two_out'", "did you mean 'leave_one_out'"),
        ),
        (
            ("pathwise", "iid", "leave_one_out"),
            ("'leave_one_out'", "it is one of 'score_function'"),
        ),
        (("mixed", "iid", "delta"), ("'delta'", "'mixed'", "'pathwise' and 'score_function'")),
    ],
)
def test_unknown_names_give_the_nearest(arguments, words):
    refused(lambda: estimators.get(*arguments), *words)


def test_unknown_labels_give_the_nearest():
    refused(lambda: estimators.parse("score_fn"), "did you mean 'score_function")
    refused(lambda: estimators.parse("pathwise+leave_one_out"), "unknown estimator")
    refused(lambda: estimators.parse("score_function+moving_average+fitted"), "unknown")


def test_labels_are_unique_and_round_trip():
    labels = estimators.labels()
    assert len(set(labels)) == len(labels)
    for label in labels:
        name, variate, options = estimators.parse(label)
        assert estimators.get(name, "iid", variate, options).label == label
        assert name in estimators.names()


@pytest.mark.parametrize(
    ("option", "value", "reader"),
    [
        ("fitted", True, {"estimator": "pathwise", "control_variate": "delta"}),
        ("coupled", False, {"estimator": "measure_valued"}),
        ("probes", 2, {"estimator": "bonnet_price"}),
        ("gamma", 0.5, {"estimator": "mixed"}),
        ("randomizations", 2, {"noise": "sobol"}),
        ("radius", "fixed", {"noise": "orthogonal"}),
        ("decay", 0.5, {"estimator": "score_function", "control_variate": "moving_average"}),
    ],
)
def test_an_option_that_nothing_reads_is_refused(option, value, reader):
    options = Options(**{option: value})
    refused(call(options=options), f"option {option} = {value!r}", "'pathwise'", "'iid'")
    found = jax.eval_shape(call(4, options=options, **reader))
    assert found.gradient.mean.shape == (2,)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("probes", 0),
        ("gamma", -1.0),
        ("gamma", float("nan")),
        ("gamma", float("inf")),
        ("randomizations", 1),
        ("radius", "chy"),
        ("decay", 1.0),
        ("decay", -0.1),
    ],
)
def test_an_option_out_of_its_range_is_refused(option, value):
    refused(lambda: Options(**{option: value}), option, str(value))


def test_fitting_what_has_no_control_variate_is_refused():
    refused(call(options=Options(fitted=True)), "option fitted", "'pathwise'")
    refused(
        call(
            estimator="score_function",
            control_variate="moving_average",
            options=Options(fitted=True),
        ),
        "option fitted",
        "'moving_average'",
    )


@pytest.mark.parametrize(
    ("num_samples", "keywords", "words"),
    [
        (0, {}, ("num_samples is 0", "positive")),
        (-4, {"noise": "sobol"}, ("num_samples is -4",)),
        (3, {"noise": "antithetic"}, ("num_samples is 3", "even")),
        (3, {"noise": "orthogonal"}, ("num_samples is 3", "a multiple of 2")),
        (0, {"noise": "orthogonal"}, ("num_samples is 0",)),
        (40, {"noise": "sobol"}, ("num_samples is 40", "16 nets", "as 32")),
        (48, {"noise": "sobol"}, ("num_samples is 48", "power of two")),
        (80, {"estimator": "quadrature"}, ("num_samples is 80", "9^2 = 81 nodes")),
        (4, {"chunk": 0}, ("chunk is 0",)),
        (4, {"chunk": -1}, ("chunk is -1",)),
    ],
)
def test_a_count_that_is_not_of_whole_units_is_refused(num_samples, keywords, words):
    refused(call(num_samples, **keywords), *words)


def test_quadrature_in_many_dimensions_is_refused():
    wide = Isotropic(jnp.zeros(5), jnp.array(1.0))
    refused(call(10**6, wide, estimator="quadrature"), "at most 4 dimensions, not 5")


class Kinked:
    """Like an Objective: a function that knows its smoothness."""

    name = "absolute"

    def __init__(self, smoothness):
        self.smoothness = smoothness

    def __call__(self, x):
        return jnp.sum(jnp.abs(x))


@pytest.mark.parametrize("smoothness", ["kink", "jump"])
def test_price_refuses_what_says_it_has_a_kink(smoothness):
    refused(
        call(f=Kinked(smoothness), estimator="bonnet_price"),
        "'bonnet_price'",
        "'absolute'",
        smoothness,
    )
    jax.eval_shape(call(f=Kinked("smooth"), estimator="bonnet_price"))
    jax.eval_shape(call(f=Kinked(smoothness), estimator="score_function"))


def test_a_state_belongs_to_moving_average_alone():
    refused(
        call(estimator="score_function", state=MovingAverage.empty()), "state", "'moving_average'"
    )


def test_orthogonal_rows_do_not_go_with_random_probes():
    refused(
        call(estimator="bonnet_price", noise="orthogonal", options=Options(probes=1)),
        "'orthogonal'",
        "'bonnet_price'",
    )


@pytest.mark.parametrize(
    ("gaussian", "words"),
    [
        (Isotropic(jnp.zeros(2), jnp.ones(2)), ("scale", "Isotropic", "()", "(2,)")),
        (Diagonal(jnp.zeros(2), jnp.ones(3)), ("scale", "Diagonal", "(2,)", "(3,)")),
        (Full(jnp.zeros(2), jnp.ones(2)), ("scale", "Full", "(2, 2)", "(2,)")),
        (LowRank(jnp.zeros(2), jnp.ones(2), jnp.ones((3, 1))), ("factor", "(2, 1)", "(3, 1)")),
        (LowRank(jnp.zeros(2), jnp.ones(2), jnp.array(1.0)), ("factor", "last axis R")),
        (Isotropic(jnp.zeros(2, jnp.int32), jnp.array(1.0)), ("floating", "int32")),
        (Isotropic(jnp.zeros(0), jnp.array(1.0)), ("mean", "(0,)")),
        ((jnp.zeros(2), jnp.array(1.0)), ("Isotropic, Diagonal, Full or LowRank", "tuple")),
    ],
)
def test_shapes_that_do_not_fit_are_refused(gaussian, words):
    refused(call(gaussian=gaussian), *words)


@pytest.mark.parametrize("result", [lambda x: jnp.argmax(x), lambda x: (x, x)])
def test_a_function_that_returns_no_floating_array_is_refused(result):
    refused(call(f=result), "f must map x to a floating scalar or array")
