"""Networks against their formulas written out, counts by hand, and moments of their first draws."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sigmaprop.generators import networks
from sigmaprop.generators.networks import (
    bilinear_discriminator,
    constant_generator,
    get_discriminator,
    get_generator,
    goodfellow_discriminator,
    goodfellow_generator,
    linear_generator,
    mlp_discriminator,
    mlp_generator,
    num_params,
)
from sigmaprop.generators.networks.base import ACTIVATIONS

BATCH = 3
SHAPE = (28, 28, 1)
LATENT_DIMS = {"wu10": 10, "wu50": 50}
# A draw farther from its mean than this many standard errors has a chance below 1e-6.
ERRORS = 5.0


def normal(seed, *shape):
    return jax.random.normal(jax.random.key(seed), shape)


def parameters(net, seed=0):
    return jax.jit(net.init)(jax.random.key(seed))


def from_registry(kind, name):
    if kind == "generator":
        return get_generator(name, LATENT_DIMS.get(name, 8), SHAPE)
    return get_discriminator(name, SHAPE)


@pytest.fixture(
    params=[("generator", name) for name in networks.generator_names()]
    + [("discriminator", name) for name in networks.discriminator_names()],
    ids="-".join,
)
def listed(request):
    return request.param[0], from_registry(*request.param)


def outputs(kind, net, params, x):
    return net.apply(params, x).mean if kind == "generator" else net.apply(params, x)


def test_every_listed_network_has_the_shapes_it_says(listed):
    kind, net = listed
    params = parameters(net)
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype("float32")}
    got = jax.eval_shape(net.apply, params, jnp.zeros((BATCH, net.in_dim)))
    if kind == "discriminator":
        assert net.in_dim == 784
        assert net.out_dim == 1
        assert (got.shape, got.dtype) == ((BATCH,), jnp.float32)
    else:
        assert net.out_dim == 784
        assert (got.mean.shape, got.mean.dtype) == ((BATCH, 784), jnp.float32)
        assert (got.features.shape, got.features.dtype) == ((BATCH, net.feature_dim), jnp.float32)
        assert net.feature_dim <= 1200


def test_every_listed_network_has_finite_gradients(listed):
    kind, net = listed

    def loss(params, x):
        return jnp.sum(outputs(kind, net, params, x) ** 2)

    gradients = jax.jit(jax.grad(loss, (0, 1)))(parameters(net), normal(1, BATCH, net.in_dim))
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(gradients))
    assert any(bool((leaf != 0.0).any()) for leaf in jax.tree.leaves(gradients))


def dense(*sizes):
    return sum(i * o + o for i, o in itertools.pairwise(sizes))


@pytest.mark.parametrize(
    ("net", "count"),
    [
        (mlp_generator(32, 64), 32 * 256 + 256 + 256 * 256 + 256 + 256 * 64 + 64),
        (mlp_discriminator(64, widths=(16,)), 64 * 16 + 16 + 16 + 1),
        (linear_generator(3, 5), 3 * 5 + 5),
        (linear_generator(3, 5, use_bias=False), 3 * 5),
        (bilinear_discriminator(4), 4),
        (constant_generator(4), 4),
        (goodfellow_generator(), 2_503_984),
        (goodfellow_discriminator(), 784 * 1200 + 1200 + 240 * 1200 + 1200 + 240 + 1),
        (get_generator("wu10", 10, SHAPE), dense(10, 64, 256, 256, 1024, 784)),
        (get_generator("wu50", 50, SHAPE), dense(50, 1024, 1024, 1024, 784)),
    ],
)
def test_parameter_counts(net, count):
    params = jax.eval_shape(net.init, jax.random.key(0))
    assert num_params(params) == count


def by_hand(params, x):
    for layer in ("hidden_0", "hidden_1"):
        x = jax.nn.relu(x @ params[layer]["kernel"] + params[layer]["bias"])
    return x @ params["output"]["kernel"] + params["output"]["bias"]


def test_an_mlp_has_the_bits_of_its_formula():
    net = mlp_generator(32, 64)
    params, z = parameters(net), normal(1, 64, 32)

    def value_and_gradient(mean):
        loss = lambda params: jnp.sum(jnp.tanh(mean(params, z)))  # noqa: E731
        return jax.jit(lambda params: (mean(params, z), jax.grad(loss)(params)))(params)

    ours = value_and_gradient(lambda params, z: net.apply(params, z).mean)
    jax.tree.map(np.testing.assert_array_equal, ours, value_and_gradient(by_hand))
    assert str(jax.make_jaxpr(lambda p: net.apply(p, z).mean)(params)) == str(
        jax.make_jaxpr(lambda p: by_hand(p, z))(params)
    )


def test_a_discriminator_is_its_formula_and_reads_no_key():
    net = mlp_discriminator(4, widths=(5,), activation="tanh")
    params, x = parameters(net), normal(1, BATCH, 4)
    first, last = params["hidden_0"], params["output"]
    h = np.tanh(np.asarray(x, np.float64) @ first["kernel"] + first["bias"])
    exact = (h @ np.asarray(last["kernel"], np.float64) + last["bias"])[:, 0]
    np.testing.assert_allclose(net.apply(params, x), exact, rtol=0, atol=20 * 2.0**-24)
    np.testing.assert_array_equal(net.apply(params, x, jax.random.key(0)), net.apply(params, x))
    assert not net.uses_key


@pytest.mark.parametrize(
    ("output", "function"),
    [("linear", lambda x: x), ("sigmoid", lambda x: 1 / (1 + np.exp(-x))), ("tanh", np.tanh)],
)
def test_the_output_function_comes_last(output, function):
    net = mlp_generator(2, 3, widths=(4,), output=output)
    params, z = parameters(net), 3.0 * normal(1, BATCH, 2)
    linear = mlp_generator(2, 3, widths=(4,)).apply(params, z)
    got = net.apply(params, z)
    exact = function(np.asarray(linear.mean, np.float64))
    np.testing.assert_allclose(got.mean, exact, rtol=8 * 2.0**-24)
    np.testing.assert_array_equal(got.features, linear.features)


def test_a_generator_without_hidden_layers_is_linear_and_its_features_are_z():
    net = mlp_generator(2, 3, widths=(), activation="relu")
    params, z = parameters(net), normal(1, BATCH, 2)
    np.testing.assert_array_equal(net.apply(params, z).features, z)
    doubled, once = (net.apply(params, s * z).mean for s in (2.0, 1.0))
    np.testing.assert_array_equal(doubled, 2.0 * once)
    assert net.smoothness == "smooth"


def test_linear_networks_begin_where_they_are_told():
    kernel = np.arange(6.0).reshape(2, 3)
    z = np.array([[1.0, 2.0], [0.5, -1.0]], np.float32)
    net = linear_generator(2, 3, init=kernel, use_bias=False)
    np.testing.assert_array_equal(net.apply(parameters(net), z).mean, z @ kernel)
    net = constant_generator(2, init=[3.0, 4.0])
    np.testing.assert_array_equal(net.apply(parameters(net), z).mean, [[3, 4], [3, 4]])
    net = bilinear_discriminator(2, init=[3.0, 4.0])
    np.testing.assert_array_equal(net.apply(parameters(net), z), [11.0, -2.5])


def test_replicas_under_vmap_are_the_replicas_one_by_one():
    net = mlp_generator(4, 3, widths=(8,), activation="tanh")
    keys = jax.random.split(jax.random.key(0), 3)
    stacked, z = jax.vmap(net.init)(keys), normal(1, BATCH, 4)
    together = jax.jit(jax.vmap(net.apply, (0, None)))(stacked, z).mean
    for replica, key in enumerate(keys):
        params = jax.tree.map(lambda leaf: leaf[replica], stacked)  # noqa: B023
        jax.tree.map(np.testing.assert_array_equal, params, net.init(key))
        alone = net.apply(params, z).mean
        np.testing.assert_allclose(together[replica], alone, rtol=0, atol=20 * 2.0**-24)


@pytest.mark.parametrize(("activation", "gain"), [("relu", 2.0), ("silu", 2.0), ("tanh", 1.0)])
def test_kernels_begin_with_the_variance_of_their_activation(activation, gain):
    params = parameters(mlp_generator(64, 32, widths=(128,), activation=activation))
    for layer, fan, expected in (("hidden_0", 64, gain), ("output", 128, 1.0)):
        kernel = np.asarray(params[layer]["kernel"], np.float64)
        # The fourth moment of a truncated normal is below that of a normal: Var s^2 < 2 s^4 / n.
        error = expected * math.sqrt(2 / kernel.size)
        assert abs(fan * np.mean(kernel**2) - expected) < ERRORS * error


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_smooth_means_a_continuous_second_derivative(name):
    """A kink jumps in its slope; of a smooth one the second derivative does not jump either."""
    function, smoothness, _ = ACTIVATIONS[name]
    with jax.enable_x64(True):
        slope = jax.grad(function)
        step = 1e-6
        jump = abs(float(slope(step) - slope(-step)))
        bend = abs(float(jax.grad(slope)(step) - jax.grad(slope)(-step)))
    if smoothness == "kink":
        assert jump > 0.5
    else:
        # Second and third derivatives of all are below 2.
        assert jump < 4 * step
        assert bend < 4 * step


@pytest.mark.parametrize(
    ("net", "smoothness"),
    [
        (mlp_discriminator(2, widths=(8,)), "kink"),
        (mlp_discriminator(2, widths=(8,), activation="softplus"), "smooth"),
        (goodfellow_discriminator(2), "kink"),
    ],
)
def test_a_kinked_discriminator_shows_autodiff_no_curvature(net, smoothness):
    params = parameters(net)
    hessian = jax.hessian(lambda x: net.apply(params, x[None])[0])(normal(1, 2))
    assert net.smoothness == smoothness
    assert bool((hessian == 0.0).all()) == (smoothness == "kink")


def test_bfloat16_is_in_the_products_alone():
    net = linear_generator(8, 4, dtype="bfloat16")
    params, z = parameters(net), normal(1, BATCH, 8)
    assert params["output"]["kernel"].dtype == jnp.float32
    got = net.apply(params, z).mean
    assert got.dtype == jnp.float32
    # Two operands and eight partial sums are rounded, each by at most 2^-9 of the magnitude.
    magnitude = np.abs(z) @ np.abs(params["output"]["kernel"])
    error = np.abs(got - np.asarray(z) @ np.asarray(params["output"]["kernel"]))
    assert (error <= 2 * 10 * 2.0**-9 * magnitude).all()
    assert error.max() > 2.0**-16
    assert "bf16" in str(jax.make_jaxpr(net.apply)(params, z))
    assert "bf16" not in str(jax.make_jaxpr(linear_generator(8, 4).apply)(params, z))


@pytest.mark.parametrize("name", ["goodfellow2014", "dcgan", "mlp"])
def test_bfloat16_networks_answer_in_float32(name):
    discriminator = get_discriminator(name, SHAPE, dtype="bfloat16")
    generator = get_generator(name, 4, SHAPE, dtype="bfloat16")
    x, z = jnp.ones((BATCH, 784)), jnp.ones((BATCH, 4))
    params, key = parameters(discriminator), jax.random.key(0)
    assert jax.eval_shape(discriminator.apply, params, x, key).dtype == jnp.float32
    answer = jax.eval_shape(generator.apply, parameters(generator), z)
    assert (answer.mean.dtype, answer.features.dtype) == (jnp.float32, jnp.float32)
