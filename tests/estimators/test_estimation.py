"""`estimate`: its noise stream, chunks and dtypes, behaviour under jit and vmap, and purity."""

import functools

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sigmaprop
from sigmaprop import MovingAverage, Options, estimate, estimators
from sigmaprop.estimators.base import AtMean, finite_origin
from sigmaprop.estimators.estimation import expectation
from sigmaprop.gaussians import Diagonal, Full, Isotropic, LowRank

from .gradient_checks import NOISES, quick_jit

GAUSSIAN = Isotropic(jnp.array([0.3, -0.7]), jnp.array(0.4))


def f(x):
    return jnp.sin(jnp.sum(x)) + jnp.sum(x**2) * x[0]


def gaussian_of(family, dim, dtype):
    draw = np.random.default_rng(dim)
    mean, scale = draw.normal(size=dim), draw.uniform(0.2, 1.0, size=dim)
    lower = np.tril(draw.normal(size=(dim, dim)), -1) + np.diag(scale)
    made = {
        "isotropic": lambda: Isotropic(mean, scale[0]),
        "diagonal": lambda: Diagonal(mean, scale),
        "full": lambda: Full(mean, lower),
        "low_rank": lambda: LowRank(mean, scale, draw.normal(size=(dim, 2))),
    }[family]()
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), made)


def whole(noise, units, noise_dim):
    """A number of samples of so many units, and the options that go with it."""
    match noise:
        case "antithetic":
            return 2 * units, Options()
        case "orthogonal":
            return units * noise_dim, Options()
        case "sobol":
            return 2 * 2 ** min(units, 5), Options(randomizations=2)
    return units, Options()


@pytest.mark.parametrize("noise", NOISES)
@hypothesis.settings(
    max_examples=2, deadline=None, derandomize=True, phases=[hypothesis.Phase.generate]
)
@hypothesis.given(
    family=st.sampled_from(["isotropic", "diagonal", "full", "low_rank"]),
    name=st.sampled_from(["pathwise", "score_function", "bonnet_price"]),
    dim=st.integers(1, 4),
    units=st.integers(1, 20),
    chunk=st.integers(1, 40),
    dtype=st.sampled_from([jnp.float32, jnp.float64]),
)
def test_a_chunk_size_never_changes_the_noise(noise, family, name, dim, units, chunk, dtype):
    with jax.enable_x64(dtype == jnp.float64):
        gaussian = gaussian_of(family, dim, dtype)
        num_samples, options = whole(noise, units, gaussian.noise_dim)
        key = jax.random.key(1)

        def at(size):
            return estimate(
                f, gaussian, key, num_samples, estimator=name, noise=noise, chunk=size,
                options=options,
            )  # fmt: skip

        found = quick_jit(lambda: (at(chunk), at(None)))()
    small, large = ((each.gradient, each.variance, each.value) for each in found)
    # The same draws summed in another order, and float32 noise to its last place: both 1e-7 of
    # terms of order f / scale^2, some 100, where another draw would be another number altogether.
    for left, right in zip(jax.tree.leaves(small), jax.tree.leaves(large), strict=True):
        assert left.dtype == right.dtype == dtype
        size = 1e-5 * (1.0 + np.max(np.abs(np.nan_to_num(right))))
        np.testing.assert_allclose(left, right, rtol=1e-4, atol=size, equal_nan=True)


@pytest.mark.parametrize("noise", NOISES)
def test_a_value_is_the_average_of_f_at_the_draws_whatever_the_estimator(noise):
    count, options = whole(noise, 4, 2)
    names = ("pathwise", "forward_difference")

    def values():
        key = jax.random.key(1)
        found = [
            estimate(f, GAUSSIAN, key, count, estimator=name, noise=noise, options=options).value
            for name in names
        ]
        average = expectation(f, GAUSSIAN, key, count, noise=noise, options=options)
        return *found, average

    found = np.array(quick_jit(values)())
    np.testing.assert_allclose(found, np.full(3, found[0]), rtol=1e-5)


def test_float64_estimates_use_the_same_noise():
    narrow = Diagonal(jnp.array([0.3, -0.7]), jnp.array([0.4, 0.1]))
    single = quick_jit(lambda: estimate(f, narrow, jax.random.key(1), 100).gradient)()
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf), jnp.float64), narrow)
        double = quick_jit(lambda: estimate(f, wide, jax.random.key(1), 100).gradient)()
        assert all(leaf.dtype == jnp.float64 for leaf in jax.tree.leaves(double))
    np.testing.assert_allclose(double.mean, single.mean, rtol=1e-5)
    np.testing.assert_allclose(double.scale, single.scale, rtol=1e-4)


@pytest.mark.parametrize(
    "label",
    [
        "pathwise+delta+fitted",
        "score_function+mean",
        "score_function+delta",
        "score_function+moving_average",
        "measure_valued",
        "bonnet_price",
        "mixed",
        "second_order",
        "quadrature",
    ],
)
def test_every_kind_of_estimator_keeps_the_dtype_of_the_gaussian(label):
    # Whatever f's constants are: a float64 one must not promote a float32 Gaussian.
    name, variate, options = estimators.parse(label)
    count = 81 if name == "quadrature" else 6
    constant = np.float64(2.0)
    with jax.enable_x64(True):
        shapes = jax.eval_shape(
            functools.partial(
                estimate,
                lambda x: f(x) * constant,
                gaussian_of("diagonal", 2, jnp.float32),
                num_samples=count,
                estimator=name,
                control_variate=variate,
                options=options,
            ),
            jax.random.key(0),
        )
    for tree in (shapes.gradient, shapes.variance):
        assert {leaf.dtype for leaf in jax.tree.leaves(tree)} == {jnp.dtype(jnp.float32)}


@pytest.mark.parametrize("family", ["low_rank"])
def test_a_batch_of_gaussians_by_vmap_is_one_by_one(family):
    one = gaussian_of(family, 2, jnp.float32)

    def run(gaussian):
        found = estimate(
            f,
            gaussian,
            jax.random.key(1),
            50,
            estimator="score_function",
            control_variate="leave_one_out",
        )
        return found.gradient, found.variance

    def both():
        batch = jax.tree.map(lambda leaf: jnp.stack([leaf, 1.5 * leaf]), one)
        return jax.vmap(run)(batch), run(jax.tree.map(lambda leaf: 1.5 * leaf, one))

    together, alone = quick_jit(both)()
    for left, right in zip(jax.tree.leaves(together), jax.tree.leaves(alone), strict=True):
        np.testing.assert_allclose(left[1], right, rtol=1e-4, atol=1e-4)


def test_jit_changes_nothing():
    def run(gaussian):
        return estimate(f, gaussian, jax.random.key(1), 50).gradient

    for plain, compiled in zip(
        jax.tree.leaves(run(GAUSSIAN)), jax.tree.leaves(jax.jit(run)(GAUSSIAN)), strict=True
    ):
        np.testing.assert_allclose(plain, compiled, rtol=1e-5, atol=1e-6)


def test_one_key_gives_a_stream_that_starts_alike():
    # The first rows are the same for any number of samples.
    def of(count):
        return count * estimate(lambda x: x[0], GAUSSIAN, jax.random.key(2), count).value

    whole_sum, part, eps = quick_jit(
        lambda: (of(5), of(4), jax.random.normal(jax.random.key(2), (5, 2)))
    )()
    fifth = GAUSSIAN.mean[0] + GAUSSIAN.scale * eps[4, 0]
    np.testing.assert_allclose(whole_sum - part, fifth, rtol=1e-5)


@jax.custom_jvp
def undifferentiable(x):
    return f(x)


@undifferentiable.defjvp
def refuse(primals, tangents):
    raise AssertionError("differentiated")


def discrete(x):
    """A loop of unknown length, which reverse mode refuses, and a jump."""
    steps, _ = jax.lax.while_loop(
        lambda carry: (carry[1] > 0.5) & (carry[0] < 20.0),
        lambda carry: (carry[0] + 1.0, 0.7 * carry[1]),
        (0.0, jnp.sum(x**2)),
    )
    return steps + jnp.sum(jnp.sign(x))


VALUES_ALONE = (
    "score_function",
    "score_function+mean",
    "score_function+mean+fitted",
    "score_function+leave_one_out",
    "score_function+leave_one_out+fitted",
    "score_function+at_mean",
    "score_function+at_mean+fitted",
    "score_function+moving_average",
    "measure_valued",
    "measure_valued+uncoupled",
    "forward_difference",
    "antithetic_difference",
    "quadrature",
)


@pytest.mark.parametrize("label", VALUES_ALONE)
def test_the_derivative_of_f_is_not_used_by_estimators_of_values(label):
    name, variate, options = estimators.parse(label)
    for function in (undifferentiable, discrete):
        for noise in NOISES:
            if noise != "iid" and label != "score_function":
                continue
            jax.eval_shape(
                lambda function=function, noise=noise: estimate(
                    function, GAUSSIAN, jax.random.key(0), 128, estimator=name, noise=noise,
                    control_variate=variate, options=options,
                )
            )  # fmt: skip


def test_the_others_use_it():
    for label in set(estimators.labels()) - set(VALUES_ALONE):
        name, variate, options = estimators.parse(label)
        with pytest.raises(AssertionError, match="differentiated"):
            jax.eval_shape(
                lambda name=name, variate=variate, options=options: estimate(
                    undifferentiable, GAUSSIAN, jax.random.key(0), 128, estimator=name,
                    control_variate=variate, options=options,
                )
            )  # fmt: skip


def log_product(x):
    return jnp.sum(jnp.log(jnp.abs(x)))


AT_ORIGIN = [
    label
    for label in estimators.labels()
    if "delta" not in label and label not in ("at_mean", "second_order", "antithetic_difference")
]


@pytest.mark.parametrize("label", AT_ORIGIN)
def test_f_may_have_no_derivative_at_the_mean(label):
    # A norm at 0: E |x| = s sqrt(pi/2) in two dimensions. 20 rules at 5 standard errors.
    name, variate, options = estimators.parse(label)
    gaussian, count = Isotropic(jnp.zeros(2), jnp.array(0.1)), 1000
    found = quick_jit(
        lambda key: estimate(
            jnp.linalg.norm, gaussian, key, count, estimator=name, control_variate=variate,
            options=options,
        )
    )(jax.random.key(0))  # fmt: skip
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(found[:2]))
    scale_error = 5 * np.sqrt(found.variance.scale / count)
    value_error = 5 * 0.1 * np.sqrt((2 - np.pi / 2) / count)
    if name == "quadrature":  # over a kink it errs by the square of its step, (18/30)^2/12
        scale_error, value_error = 0.03, 0.003
    assert abs(found.gradient.scale - np.sqrt(np.pi / 2)) < scale_error
    assert abs(found.value - 0.1 * np.sqrt(np.pi / 2)) < value_error


def test_a_norm_at_the_origin_has_the_gradient_of_its_expectation():
    found = estimate(jnp.linalg.norm, Isotropic(jnp.zeros(2), 0.1), jax.random.key(0), 1000)
    # Pathwise: the average length of eps, whose variance is 2 - pi/2.
    assert abs(found.gradient.scale - np.sqrt(np.pi / 2)) < 5 * np.sqrt((2 - np.pi / 2) / 1000)
    assert np.all(np.abs(found.gradient.mean) < 5 * np.sqrt(0.5 / 1000))


def test_f_may_be_infinite_at_the_mean():
    # E log|eps| = -(gamma + log 2)/2 = -0.63518, variance pi^2/8; x df/dx = 1: 2 to a scale of 1.
    gaussian, count = Isotropic(jnp.zeros(2), 1.0), 1000
    found = estimate(log_product, gaussian, jax.random.key(0), count)
    assert abs(found.value - -1.27036) < 5 * np.sqrt(np.pi**2 / 4 / count)
    np.testing.assert_allclose(found.gradient.scale, 2.0, rtol=1e-6)
    assert np.isfinite(found.variance.scale)
    values = estimate(log_product, gaussian, jax.random.key(0), count, estimator="score_function")
    error = 5 * np.sqrt(values.variance.scale / count)
    assert abs(values.gradient.scale - 2.0) < error


def test_only_the_coordinates_that_are_not_finite_lose_their_origin():
    known = AtMean(jnp.array(-jnp.inf), jnp.array([2.0, jnp.nan, jnp.inf]), expansion=jnp.nan)
    origin = finite_origin(known)
    assert origin.value == 0
    np.testing.assert_array_equal(origin.gradient, [2.0, 0.0, 0.0])
    assert np.isnan(origin.expansion)


@pytest.mark.parametrize("label", ["at_mean", "second_order", "pathwise+delta"])
def test_rules_that_are_derivatives_at_the_mean_have_none_there(label):
    name, variate, _ = estimators.parse(label)
    gaussian = Isotropic(jnp.zeros(2), 0.1)
    found = estimate(
        jnp.linalg.norm, gaussian, jax.random.key(0), 8, estimator=name, control_variate=variate
    )
    assert np.isnan(found.gradient.mean).all()


@pytest.mark.parametrize(
    ("dtype", "label", "noise"),
    [
        (jnp.float16, "pathwise", "iid"),
        (jnp.bfloat16, "pathwise", "iid"),
        (jnp.float16, "score_function+leave_one_out", "iid"),
        (jnp.float16, "mixed", "iid"),
        pytest.param(jnp.float16, "pathwise", "sobol", marks=pytest.mark.slow),
    ],
)
def test_many_samples_of_few_bits(dtype, label, noise):
    # A float16 ends at 65,504, a bfloat16 counts to 256. f is of 1; its rounding is relative, x's
    # too: 4 roundings of f, its slope, x and the result.
    name, variate, options = estimators.parse(label)
    if noise == "sobol":
        options = Options(randomizations=32)
    mean = jnp.array([0.5, -0.25])

    def run(gaussian):
        return estimate(
            lambda x: jnp.sum(x**2), gaussian, jax.random.key(1), 2**17, estimator=name,
            noise=noise, control_variate=variate, options=options,
        )  # fmt: skip

    narrow = quick_jit(run)(Isotropic(mean.astype(dtype), jnp.asarray(0.5, dtype)))
    wide = quick_jit(run)(Isotropic(mean, jnp.asarray(0.5)))
    rounding = float(jnp.finfo(dtype).eps)
    for part in ("gradient", "value"):
        for left, right in zip(
            jax.tree.leaves(getattr(narrow, part)),
            jax.tree.leaves(getattr(wide, part)),
            strict=True,
        ):
            assert left.dtype == dtype
            np.testing.assert_allclose(np.asarray(left, float), right, rtol=0, atol=4 * rounding)
    if noise != "sobol":  # whose variance is but rounding
        for left, right in zip(*(jax.tree.leaves(r.variance) for r in (narrow, wide)), strict=True):
            np.testing.assert_allclose(np.asarray(left, float), right, rtol=4 * rounding)


@pytest.mark.parametrize("noise", ["iid", "sobol"])
def test_an_expectation_of_few_bits_is_summed_in_float32(noise):
    # The sum of 2^17 ones is beyond float16.
    gaussian = Isotropic(jnp.zeros(2, jnp.float16), jnp.ones((), jnp.float16))
    found = expectation(lambda x: 0 * x[0] + 1, gaussian, jax.random.key(0), 2**17, noise=noise)
    assert found.dtype == jnp.float16
    assert found == 1.0


def test_more_samples_than_an_int32_counts_can_be_returned():
    found = jax.eval_shape(lambda key: estimate(f, GAUSSIAN, key, 2**32 - 1), jax.random.key(0))
    assert found.num_samples.dtype == jnp.uint32


def test_only_moving_average_returns_a_state():
    def states():
        key = jax.random.key(0)
        carried = estimate(
            f, GAUSSIAN, key, 4, estimator="score_function", control_variate="moving_average"
        )
        return estimate(f, GAUSSIAN, key, 4).state, carried.state

    none, state = jax.eval_shape(states)
    assert none is None
    assert isinstance(state, MovingAverage)


def test_the_package_exports_what_the_readme_names():
    for name in sigmaprop.__all__:
        assert getattr(sigmaprop, name) is not None
    assert callable(sigmaprop.estimate)
    assert callable(sigmaprop.limit.sweep)
    assert callable(sigmaprop.objectives.get)
    with pytest.raises(AttributeError):
        sigmaprop.nothing  # noqa: B018
