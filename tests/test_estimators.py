"""Names, identities that hold draw by draw, and meaningless combinations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sigmaprop import estimate, estimators
from sigmaprop.gaussian import Diagonal, Isotropic

MEAN = jnp.array([0.3, -0.7, 0.2])
GAUSSIANS = (Isotropic(MEAN, jnp.array(0.4)), Diagonal(MEAN, jnp.array([0.4, 0.1, 0.6])))
KEY = jax.random.key(3)
NUM_SAMPLES = 64


def f(x):
    return jnp.sin(x[0] + 2 * x[1]) + x[2] ** 3 + jnp.sum(x) ** 2


@pytest.fixture(params=GAUSSIANS, ids=["isotropic", "diagonal"])
def gaussian(request):
    return request.param


def noise_of(num_rows):
    """The noise that `estimate` uses, from JAX itself."""
    return jax.random.normal(KEY, (num_rows, 3))


def assert_close(found, expected):
    """Equal but for the order of a sum of NUM_SAMPLES float32 numbers of order 100."""
    tolerance = 100 * np.finfo(np.float32).eps
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=tolerance * 10, atol=tolerance)


def average(rows):
    return jax.tree.map(lambda leaf: leaf.mean(axis=0), rows)


def test_pathwise_is_the_derivative_of_the_sample_average(gaussian):
    def sample_average(g):
        return jax.vmap(lambda eps: f(g.from_noise(eps)))(noise_of(NUM_SAMPLES)).mean()

    found = estimate(f, gaussian, KEY, NUM_SAMPLES).gradient
    assert_close(found, jax.grad(sample_average)(gaussian))


def test_score_function_is_f_times_the_derivative_of_log_prob(gaussian):
    def one(eps):
        x = gaussian.from_noise(eps)
        return jax.tree.map(lambda s: f(x) * s, jax.grad(lambda g: g.log_prob(x))(gaussian))

    expected = average(jax.vmap(one)(noise_of(NUM_SAMPLES)))
    found = estimate(f, gaussian, KEY, NUM_SAMPLES, estimator="score_function").gradient
    assert_close(found, expected)


def test_leave_one_out_is_the_average_with_each_sample_left_out(gaussian):
    eps = noise_of(NUM_SAMPLES)
    values = jax.vmap(lambda e: f(gaussian.from_noise(e)))(eps)
    others = (values.sum() - values) / (NUM_SAMPLES - 1)
    rows = jax.vmap(lambda v, e: jax.tree.map(lambda s: v * s, gaussian.score(e)))(
        values - others, eps
    )
    found = estimate(
        f, gaussian, KEY, NUM_SAMPLES, estimator="score_function", control_variate="leave_one_out"
    )
    assert_close(found.gradient, average(rows))


def test_forward_difference_is_the_score_function_with_baseline_f_of_the_mean(gaussian):
    base = f(gaussian.mean)
    difference = estimate(f, gaussian, KEY, NUM_SAMPLES, estimator="forward_difference")
    baseline = estimate(
        lambda x: f(x) - base, gaussian, KEY, NUM_SAMPLES, estimator="score_function"
    )
    assert_close(difference.gradient, baseline.gradient)


def test_antithetic_difference_is_the_score_function_with_antithetic_noise(gaussian):
    difference = estimate(f, gaussian, KEY, NUM_SAMPLES, estimator="antithetic_difference")
    pairs = estimate(
        f, gaussian, KEY, 2 * NUM_SAMPLES, estimator="score_function", noise="antithetic"
    )
    assert_close(difference.gradient.mean, pairs.gradient.mean)
    assert np.all(np.isnan(difference.gradient.scale))


def test_antithetic_pathwise_is_exact_for_a_quadratic():
    matrix = jnp.array([[2.0, 0.5, 0.0], [0.5, 1.0, 0.3], [0.0, 0.3, 3.0]])
    gaussian = GAUSSIANS[0]
    found = estimate(lambda x: x @ matrix @ x / 2, gaussian, KEY, 2, noise="antithetic")
    np.testing.assert_allclose(
        found.gradient.mean, matrix @ MEAN, rtol=20 * np.finfo(np.float32).eps
    )


def test_at_mean_is_the_gradient_at_the_mean(gaussian):
    found = estimate(f, gaussian, KEY, 3, estimator="at_mean")
    np.testing.assert_array_equal(found.gradient.mean, jax.grad(f)(MEAN))
    assert not np.any(found.gradient.scale)
    assert not np.any(found.variance.mean)


def test_the_derivative_of_f_is_not_used_by_estimators_of_values():
    @jax.custom_jvp
    def undifferentiable(x):
        return f(x)

    @undifferentiable.defjvp
    def refuse(primals, tangents):
        raise AssertionError("differentiated")

    for label in ("score_function", "score_function+leave_one_out", "forward_difference"):
        chosen = estimators.get(*_split(label))
        assert "gradient" not in chosen.needs
    gaussian = GAUSSIANS[0]
    at_mean = estimators.AtMean(f(MEAN), jnp.zeros(3))
    from sigmaprop.estimation import evaluate, from_mean

    chosen = estimators.get("forward_difference")
    seen = from_mean(evaluate(undifferentiable, gaussian, jnp.ones(3), chosen.needs), at_mean)
    assert np.all(np.isfinite(chosen.terms(gaussian, jnp.ones(3), seen, at_mean).gradient.mean))


def _split(label):
    name, variate, _ = estimators.parse(label)
    return name, "iid", variate


def test_names_and_labels_round_trip():
    for label in estimators.labels():
        name, variate, options = estimators.parse(label)
        assert estimators.get(name, "iid", variate, options).label == label
        assert name in estimators.names()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("pathwize",), ("estimator 'pathwize'", "'pathwise'")),
        (("pathwise", "sobl"), ("noise 'sobl'", "did you mean")),
        (("score_function", "iid", "leave_two_out"), ("'leave_two_out'", "'leave_one_out'")),
        (("pathwise", "iid", "leave_one_out"), ("'leave_one_out'", "'pathwise'")),
        (("antithetic_difference", "antithetic"), ("'antithetic'", "'antithetic_difference'")),
        (("at_mean", "antithetic"), ("'antithetic'", "'at_mean'")),
    ],
)
def test_unknown_and_meaningless_names_are_refused(arguments, words):
    with pytest.raises(ValueError, match=r"\w") as caught:
        estimators.get(*arguments)
    assert all(word in str(caught.value) for word in words)
    assert "\n" not in str(caught.value)


def test_unknown_labels_name_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'score_function"):
        estimators.parse("score_fn")
