"""Penalties against closed forms of small discriminators."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sigmaprop.generators import regularizers
from sigmaprop.generators.networks import bilinear_discriminator, mlp_discriminator
from sigmaprop.generators.regularizers import Points

DIM, BATCH, WIDTH = 3, 6, 4
PSI = np.array([0.5, -1.0, 2.0])


def points():
    real, fake, share = (
        np.random.default_rng(seed).standard_normal((BATCH, DIM)).astype(np.float32)
        for seed in range(3)
    )
    between = real + np.abs(share) * (fake - real)
    near = (
        x + 0.1 * np.random.default_rng(seed).standard_normal((BATCH, DIM)).astype(np.float32)
        for seed, x in ((3, real), (4, fake))
    )
    return Points(*map(jnp.asarray, (real, fake, between, *near)))


def tanh_network():
    """A network, its parameters, and in float64 its logits and gradients, written out."""
    net = mlp_discriminator(DIM, widths=(WIDTH,), activation="tanh")
    params = net.init(jax.random.key(0))
    f64 = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
    first, last = f64["hidden_0"], f64["output"]

    def exact(x):
        h = np.tanh(np.asarray(x, np.float64) @ first["kernel"] + first["bias"])
        gradient = ((1 - h**2) * last["kernel"][:, 0]) @ first["kernel"].T
        return (h @ last["kernel"] + last["bias"])[:, 0], np.sum(gradient**2, axis=1)

    return net, params, exact


def exact_penalties(exact, at):
    """Each penalty in terms of logits and squared gradients."""
    (real, g_real), (fake, g_fake), (_, g_between), (near_real, _), (near_fake, _) = map(exact, at)
    sigmoid = lambda logit: 1 / (1 + np.exp(-logit))  # noqa: E731
    return {
        "r1": g_real.mean() / 2,
        "r2": g_fake.mean() / 2,
        "gradient_penalty": np.mean((np.sqrt(g_between) - 1) ** 2),
        "roth": np.mean((1 - sigmoid(real)) ** 2 * g_real) / 2
        + np.mean(sigmoid(fake) ** 2 * g_fake) / 2,
        "approximate_r1": np.mean((near_real - real) ** 2),
        "approximate_r2": np.mean((near_fake - fake) ** 2),
    }


@pytest.mark.parametrize("name", regularizers.NAMES)
def test_penalties_of_a_smooth_network_are_their_formulas(name):
    net, params, exact = tanh_network()
    weights = {name: jnp.asarray(0.7)}
    found = regularizers.penalty(weights, lambda x: net.apply(params, x), points())
    expected = 0.7 * exact_penalties(exact, points())[name]
    np.testing.assert_allclose(found, expected, rtol=64 * 2.0**-24)


def test_squared_gradients_are_those_of_the_jacobian():
    net, params, _ = tanh_network()
    x = points().real
    logits, squared = regularizers.squared_gradient(lambda x: net.apply(params, x), x)
    jacobian = jax.jacobian(lambda x: net.apply(params, x))(x)
    assert np.all(np.asarray(jacobian)[~np.eye(BATCH, dtype=bool)] == 0.0)
    own = np.asarray(jacobian, np.float64)[np.arange(BATCH), np.arange(BATCH)]
    np.testing.assert_allclose(squared, np.sum(own**2, axis=1), rtol=16 * 2.0**-24)
    np.testing.assert_array_equal(logits, net.apply(params, x))


def bilinear_gradient(name, weight=1.0):
    """d penalty / d psi by the engine's code."""
    net = bilinear_discriminator(DIM, init=PSI)

    def total(psi):
        params = {"output": {"kernel": psi[:, None]}}
        return regularizers.penalty(
            {name: jnp.asarray(weight)}, lambda x: net.apply(params, x), points()
        )

    return jax.grad(total)(jnp.asarray(PSI, jnp.float32))


def test_gradients_of_the_penalties_of_a_bilinear_discriminator():
    """|grad D| = |psi| everywhere: r1 = |psi|^2 / 2, and the penalty (|psi| - 1)^2."""
    norm = np.linalg.norm(PSI)
    for name in ("r1", "r2"):
        np.testing.assert_allclose(bilinear_gradient(name, 0.3), 0.3 * PSI, rtol=16 * 2.0**-24)
    expected = 2 * (norm - 1) * PSI / norm
    np.testing.assert_allclose(bilinear_gradient("gradient_penalty"), expected, rtol=1e-6)


def test_the_gradient_of_roths_penalty_of_a_bilinear_discriminator():
    """(|psi|^2 / 2) (mean s(-l)^2 + mean s(l)^2), with s' = s (1 - s)."""
    real, fake = (np.asarray(x, np.float64) for x in points()[:2])
    s_real, s_fake = 1 / (1 + np.exp(real @ PSI)), 1 / (1 + np.exp(-fake @ PSI))
    weight = np.mean(s_real**2) + np.mean(s_fake**2)
    slope = -2 * np.mean((s_real**2 * (1 - s_real))[:, None] * real, axis=0) + 2 * np.mean(
        (s_fake**2 * (1 - s_fake))[:, None] * fake, axis=0
    )
    expected = weight * PSI + PSI @ PSI / 2 * slope
    np.testing.assert_allclose(bilinear_gradient("roth"), expected, rtol=1e-5)


def test_the_gradient_penalty_has_a_finite_gradient_where_the_discriminator_is_flat():
    net = bilinear_discriminator(DIM)

    def total(psi):
        params = {"output": {"kernel": psi[:, None]}}
        return regularizers.gradient_penalty(lambda x: net.apply(params, x), points())

    value, gradient = jax.value_and_grad(total)(jnp.zeros(DIM))
    assert value == 1.0
    np.testing.assert_array_equal(gradient, np.zeros(DIM))


def test_penalties_add_up_with_their_weights():
    net, params, exact = tanh_network()
    weights = dict(zip(regularizers.NAMES, (0.1, 0.2, 0.3, 0.4, 5.0, 6.0), strict=True))
    total = regularizers.penalty(
        {name: jnp.asarray(weight) for name, weight in weights.items()},
        lambda x: net.apply(params, x),
        points(),
    )
    each = exact_penalties(exact, points())
    expected = sum(weights[name] * each[name] for name in weights)
    np.testing.assert_allclose(total, expected, rtol=64 * 2.0**-24)


def test_an_approximate_penalty_without_its_sigma_is_refused():
    real, fake, *_ = points()
    keys = jax.random.split(jax.random.key(0))
    with pytest.raises(ValueError, match="approximate_r2 needs the std of its noise"):
        regularizers.points(("approximate_r2",), real, fake, *keys)


def test_an_unknown_penalty_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match="unknown regularizer 'r3'"):
        regularizers.check("r3")
