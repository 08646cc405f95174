"""What combines with what: everything else is refused in one line that names both sides."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sigmaprop
from sigmaprop import MovingAverage, Options, estimate, estimators
from sigmaprop.estimators.estimation import expectation
from sigmaprop.gaussians import Diagonal, Full, Isotropic, LowRank
from sigmaprop.noise.sobol import scramble

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
        ("decay", "a"),
        ("probes", 1.5),
        ("probes", True),
        ("gamma", "a"),
        ("randomizations", 16.0),
        ("radius", 3),
        ("fitted", "no"),
        ("coupled", None),
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
        (0, {}, ("num_samples is 0", "1 to 4294967295")),
        (2**32, {}, ("num_samples is 4294967296", "1 to 4294967295")),
        (1e4, {}, ("num_samples is 10000.0", "a whole number")),
        ("8", {}, ("num_samples is '8'", "a whole number")),
        (True, {}, ("num_samples is True", "a whole number")),
        (jnp.ones(2, int), {}, ("num_samples is [1 1]", "a whole number")),
        (2**30 + 1, {"estimator": "quadrature"}, ("num_samples is 1073741825", "2^30")),
        (-4, {"noise": "sobol"}, ("num_samples is -4",)),
        (3, {"noise": "antithetic"}, ("num_samples is 3", "even")),
        (3, {"noise": "orthogonal"}, ("num_samples is 3", "a multiple of 2")),
        (0, {"noise": "orthogonal"}, ("num_samples is 0",)),
        (40, {"noise": "sobol"}, ("num_samples is 40", "16 nets", "as 32")),
        (48, {"noise": "sobol"}, ("num_samples is 48", "power of two")),
        (80, {"estimator": "quadrature"}, ("num_samples is 80", "9^2 = 81 nodes")),
        (4, {"chunk": 0}, ("chunk is 0",)),
        (4, {"chunk": -1}, ("chunk is -1",)),
        (4, {"chunk": 2.5}, ("chunk is 2.5", "a whole number")),
    ],
)
def test_a_count_that_is_not_of_whole_units_is_refused(num_samples, keywords, words):
    refused(call(num_samples, **keywords), *words)


@pytest.mark.parametrize(
    ("num_samples", "keywords", "words"),
    [
        (1, {"control_variate": "leave_one_out"}, ("num_samples is 1", "at least 2", "2 indep")),
        (1, {"control_variate": "mean"}, ("num_samples is 1", "'mean' needs 2 independent draws")),
        (
            2,
            {"control_variate": "leave_one_out", "noise": "antithetic"},
            ("num_samples is 2", "at least 4", "2 independent pairs"),
        ),
        (
            2,
            {"control_variate": "leave_one_out", "noise": "orthogonal"},
            ("num_samples is 2", "at least 4", "2 independent blocks of 2"),
        ),
        (3, {"estimator": "mixed"}, ("num_samples is 3", "at least 4", "'mixed'")),
        (2, {"estimator": "inverse_variance"}, ("num_samples is 2", "at least 4")),
        (6, {"estimator": "mixed", "noise": "antithetic"}, ("at least 8", "4 independent pairs")),
        (
            4,
            {"estimator": "mixed", "noise": "sobol", "options": Options(randomizations=2)},
            ("randomizations is 2", "4 independent nets"),
        ),
    ],
)
def test_fewer_units_than_define_an_estimate_are_refused(num_samples, keywords, words):
    refused(call(num_samples, **{"estimator": "score_function", **keywords}), *words)


def test_the_fewest_units_are_taken():
    for num_samples, keywords in (
        (np.int64(2), {"estimator": "score_function", "control_variate": "leave_one_out"}),
        (jnp.int32(4), {"estimator": "mixed"}),
    ):
        jax.eval_shape(call(num_samples, **keywords))


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({"estimator": None}, ("estimator is None", "a name")),
        ({"noise": 1}, ("noise is 1", "a name")),
        ({"control_variate": ["mean"]}, ("control_variate is ['mean']", "a name")),
        ({"options": {"fitted": True}}, ("options is {'fitted': True}", "sigmaprop.Options")),
        ({"f": 3.0}, ("f is 3.0", "a function of x")),
        ({"f": lambda x: x[:0]}, ("f maps x to an array of shape (0,)", "an entry")),
        (
            {"estimator": "score_function", "control_variate": "moving_average", "state": 0.5},
            ("state is 0.5", "MovingAverage"),
        ),
        (
            {
                "estimator": "score_function",
                "control_variate": "moving_average",
                "state": MovingAverage(jnp.zeros(3), jnp.zeros(3)),
            },
            ("state has the shape (3,), f ()",),
        ),
    ],
)
def test_arguments_of_another_kind_are_refused(keywords, words):
    refused(call(8, **keywords), *words)


KEYS = jax.random.split(jax.random.key(0), 2)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (KEYS, ("key has the shape (2,)", "one key", "jax.vmap")),
        (jax.random.key_data(KEYS[0]), ("uint32 of shape (2,)", "jax.random.key(seed)")),
        (0, ("key is ", "jax.random.key(seed)")),
        (None, ("key is None",)),
    ],
)
@pytest.mark.parametrize(
    "take",
    [
        lambda key: sigmaprop.estimate(jnp.sum, GAUSSIAN, key, 8),
        lambda key: sigmaprop.estimate(
            jnp.sum, GAUSSIAN, key, 32, noise="sobol", options=Options(randomizations=2)
        ),
        lambda key: sigmaprop.smooth(jnp.sum, num_samples=8)(GAUSSIAN, key),
        lambda key: expectation(jnp.sum, GAUSSIAN, key, 8),
        lambda key: sigmaprop.advise(jnp.sum, GAUSSIAN, key, 10_000),
        lambda key: sigmaprop.limit.sweep(jnp.sum, None, (), key, 8),
        lambda key: sigmaprop.noise.normal_rows(key, 0, 2, 2),
        lambda key: sigmaprop.noise.orthogonal_blocks(key, 0, 2, 2),
        lambda key: scramble(key, 2, 4),
    ],
)
@pytest.mark.unchecked
def test_what_is_not_one_key_is_refused(key, words, take):
    # The words of two keys would pass for those of one.
    refused(lambda: take(key), *words)


def test_a_batch_of_keys_goes_by_vmap():
    found = jax.eval_shape(
        jax.vmap(lambda key: sigmaprop.estimate(jnp.sum, GAUSSIAN, key, 8).value), KEYS
    )
    assert found.shape == (2,)


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
        (Isotropic(jnp.zeros(0), jnp.array(1.0)), ("mean", "no numbers")),
        ((jnp.zeros(2), jnp.array(1.0)), ("Isotropic, Diagonal, Full or LowRank", "tuple")),
    ],
)
def test_shapes_that_do_not_fit_are_refused(gaussian, words):
    refused(call(gaussian=gaussian), *words)


@pytest.mark.parametrize("result", [lambda x: jnp.argmax(x), lambda x: (x, x)])
def test_a_function_that_returns_no_floating_array_is_refused(result):
    refused(call(f=result), "f must map x to a floating scalar or array")
