"""Spectral normalisation against numpy's singular values and the gradient of a ratio."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sigmaprop.generators import spectral
from sigmaprop.generators.networks import dcgan_discriminator, mlp_discriminator

FLOAT64 = np.finfo(np.float64).eps


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def kernel_with(values, rows=6, seed=0):
    """A matrix [rows, len(values)] of these singular values, and its vectors."""
    rng = np.random.default_rng(seed)
    left, _ = np.linalg.qr(rng.standard_normal((rows, len(values))))
    right, _ = np.linalg.qr(rng.standard_normal((len(values), len(values))))
    return left * np.asarray(values) @ right.T, left[:, 0], right[:, 0]


def tree(kernel):
    return {"hidden_0": {"kernel": jnp.asarray(kernel), "bias": jnp.full(kernel.shape[-1], 2.0)}}


def largest(kernel):
    kernel = np.asarray(kernel, np.float64)
    return np.linalg.svd(kernel.reshape(-1, kernel.shape[-1]), compute_uv=False)[0]


def test_the_largest_singular_value_becomes_one():
    params = tree(kernel_with([3.0, 1.5, 0.2])[0])
    state = spectral.init(params, jax.random.key(0))
    # The error of sigma contracts by (1.5/3)^4 an iteration: 2^-80 after 20.
    got, _ = spectral.normalise(params, state, num_iterations=20)
    assert abs(largest(got["hidden_0"]["kernel"]) - 1.0) < 100 * FLOAT64
    np.testing.assert_array_equal(got["hidden_0"]["bias"], 2.0)


def test_iterations_add_up_over_calls_and_the_estimate_comes_from_below():
    params = tree(kernel_with([3.0, 2.5, 0.2])[0])
    state = spectral.init(params, jax.random.key(0))
    at_once, state_at_once = spectral.normalise(params, state, num_iterations=4)
    estimates, got = [], params
    for _ in range(4):
        got, state = spectral.normalise(params, state)
        # |W / sigma_hat| is above 1 as long as sigma_hat is below |W|.
        estimates.append(largest(got["hidden_0"]["kernel"]))
    assert estimates == sorted(estimates, reverse=True)
    assert estimates[-1] > 1.0
    np.testing.assert_allclose(state.u[0], state_at_once.u[0], rtol=0, atol=100 * FLOAT64)
    np.testing.assert_allclose(
        got["hidden_0"]["kernel"], at_once["hidden_0"]["kernel"], rtol=0, atol=100 * FLOAT64
    )


def test_the_gradient_is_that_of_the_ratio():
    """Of f = <C, W/sigma>: (C - <C, W/sigma> v u') / sigma, v and u the leading vectors."""
    kernel, v, u = kernel_with([3.0, 0.5, 0.2])
    weights = np.random.default_rng(1).standard_normal(kernel.shape)
    state = spectral.init(tree(kernel), jax.random.key(0))

    def f(kernel):
        got, _ = spectral.normalise(tree(kernel), state, num_iterations=20)
        return jnp.sum(weights * got["hidden_0"]["kernel"])

    exact = (weights - np.sum(weights * kernel) / 3.0 * np.outer(v, u)) / 3.0
    np.testing.assert_allclose(jax.grad(f)(jnp.asarray(kernel)), exact, atol=1e3 * FLOAT64)


def test_the_vectors_are_constants():
    """One iteration is far from converged, and yet the gradient has the form of the fixed point."""
    kernel, *_ = kernel_with([3.0, 2.5, 0.2])
    start = spectral.init(tree(kernel), jax.random.key(0))
    v = kernel @ np.asarray(start.u[0])
    v /= np.linalg.norm(v)
    u = kernel.T @ v
    sigma = np.linalg.norm(u)
    u /= sigma
    weights = np.random.default_rng(1).standard_normal(kernel.shape)

    def f(kernel):
        got, _ = spectral.normalise(tree(kernel), start)
        return jnp.sum(weights * got["hidden_0"]["kernel"])

    exact = (weights - np.sum(weights * kernel) / sigma * np.outer(v, u)) / sigma
    np.testing.assert_allclose(jax.grad(f)(jnp.asarray(kernel)), exact, atol=1e3 * FLOAT64)
    start_gradient = jax.grad(
        lambda u: jnp.sum(
            spectral.normalise(tree(kernel), spectral.SpectralState((u,)))[0]["hidden_0"]["kernel"]
        )
    )(start.u[0])
    np.testing.assert_array_equal(start_gradient, 0.0)


def test_a_kernel_of_zeros_stays_one_and_can_leave():
    params = tree(np.zeros((4, 3)))
    state = spectral.init(params, jax.random.key(0))
    got, after = spectral.normalise(params, state)
    np.testing.assert_array_equal(got["hidden_0"]["kernel"], 0.0)
    np.testing.assert_array_equal(after.u[0], state.u[0])

    def f(kernel):
        return jnp.sum(spectral.normalise(tree(kernel), state)[0]["hidden_0"]["kernel"])

    assert np.isfinite(jax.grad(f)(jnp.zeros((4, 3)))).all()
    moved = tree(kernel_with([2.0, 0.5, 0.1], rows=4)[0])
    got, _ = spectral.normalise(moved, after, num_iterations=20)
    assert abs(largest(got["hidden_0"]["kernel"]) - 1.0) < 100 * FLOAT64


def settle(params, state):
    """The state after many steps of one iteration, the parameters standing still."""
    step = lambda state, _: (spectral.normalise(params, state)[1], None)  # noqa: E731
    return jax.lax.scan(step, state, length=200)[0]


@pytest.mark.slow
def test_networks_of_dense_and_convolutional_kernels():
    for net in (mlp_discriminator(5, widths=(8, 4)), dcgan_discriminator((28, 28, 1), width=2)):
        params = jax.jit(net.init)(jax.random.key(0))
        state = spectral.init(params, jax.random.key(1))
        state = jax.jit(settle)(params, state)
        got, state = jax.jit(spectral.normalise)(params, state)
        assert jax.tree.structure(got) == jax.tree.structure(params)
        kernels = [leaf for leaf in jax.tree.leaves(got) if leaf.ndim >= 2]
        assert len(kernels) == len(state.u) == 3
        for kernel in kernels:
            # Parameters are float32 here, whatever the mode.
            assert abs(largest(kernel) - 1.0) < 100 * np.finfo(np.float32).eps


def test_replicas_under_vmap():
    net = mlp_discriminator(5, widths=(8,))
    keys = jax.random.split(jax.random.key(0), 3)
    params = jax.jit(jax.vmap(net.init))(keys)
    state = jax.jit(jax.vmap(spectral.init))(params, keys)
    got, _ = jax.jit(jax.vmap(spectral.normalise))(params, state)
    for replica in range(3):
        own = jax.tree.map(lambda leaf: leaf[replica], (params, state))  # noqa: B023
        alone, _ = spectral.normalise(*own)
        for leaf, other in zip(jax.tree.leaves(got), jax.tree.leaves(alone), strict=True):
            np.testing.assert_allclose(leaf[replica], other, rtol=0, atol=100 * 2.0**-24)


@pytest.mark.parametrize("count", [0, 1.5, True])
def test_iterations_are_whole_numbers(count):
    params = tree(np.eye(2))
    state = spectral.init(params, jax.random.key(0))
    with pytest.raises(ValueError, match=f"not {count}"):
        spectral.normalise(params, state, num_iterations=count)
