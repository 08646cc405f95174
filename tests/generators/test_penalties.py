"""The finite difference against closed forms, quadrature and a network written in NumPy."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sigmaprop.generators import penalties
from sigmaprop.generators.networks import bilinear_discriminator
from sigmaprop.generators.networks.base import Network
from sigmaprop.generators.regularizers import squared_difference

F32 = 2.0**-24
A = np.array([[1.0, 0.7], [-0.3, -2.0]])
S = (A + A.T) / 2
X = np.array([[0.5, -1.0], [2.0, 0.3], [-0.7, 1.1]])
NODES = np.sqrt(3.0) * np.array([-1.0, 0.0, 0.0, 0.0, 0.0, 1.0])
"""Gauss and Hermite's three nodes, as often as their weights say: exact up to degree 5."""


def every_pair():
    """Each point of X with each node in two dimensions: what to average over, [3 * 36, 2]."""
    eps = np.stack(np.meshgrid(NODES, NODES), axis=-1).reshape(-1, 2)
    x = np.repeat(X, len(eps), axis=0)
    return np.float32(x), np.float32(np.tile(eps, (len(X), 1)))


def quadratic(params, x):
    return jnp.einsum("bi,ij,bj->b", x, params, x) / 2


def of_quadratic(sigma):
    """E |D(x + s eps) - D(x)|^2 and its gradient to A, for D = x'Ax/2: s^2 |Sx|^2 + s^4 (...)/4."""
    fourth = np.trace(S) ** 2 + 2 * np.sum(S**2)
    value = sigma**2 * np.mean(np.sum((X @ S) ** 2, axis=1)) + sigma**4 / 4 * fourth
    outer = np.einsum("bi,bj->ij", X @ S, X) / len(X)
    slope = sigma**2 * (outer + outer.T)
    return value, slope + sigma**4 / 4 * (2 * np.trace(S) * np.eye(2) + 4 * S)


@pytest.mark.parametrize("sigma", [0.03, 1.0])
def test_the_finite_difference_of_a_quadratic_and_its_gradient(sigma):
    """The cancellation of the two logits, of size 5, leaves the error 5 F32 / s twice."""
    x, eps = every_pair()

    def penalty(params):
        near = jnp.asarray(x + np.float32(sigma) * eps)
        return squared_difference(lambda at: quadratic(params, at), jnp.asarray(x), near)

    value, gradient = jax.value_and_grad(penalty)(jnp.asarray(A, jnp.float32))
    expected, slope = of_quadratic(sigma)
    close = 16 * F32 * (1 + 5 / sigma)
    np.testing.assert_allclose(value, expected, rtol=close)
    np.testing.assert_allclose(gradient, slope, rtol=0, atol=close * np.abs(slope).max())


def test_the_gradient_of_a_linear_discriminator_is_that_of_s2_psi2():
    """Noise along the axes, +-sqrt(d) e_i, has the covariance I: the gradient is 2 s^2 psi."""
    psi, sigma, dim = np.array([0.5, -1.0, 2.0]), 0.25, 3
    net = bilinear_discriminator(dim, init=psi)
    eps = np.concatenate([np.eye(dim), -np.eye(dim)]) * np.sqrt(dim)
    x = jnp.zeros((6, dim))

    def penalty(psi):
        params = {"output": {"kernel": psi[:, None]}}
        near = x + sigma * jnp.asarray(eps, jnp.float32)
        return squared_difference(lambda at: net.apply(params, at), x, near)

    value, gradient = jax.value_and_grad(penalty)(jnp.asarray(psi, jnp.float32))
    np.testing.assert_allclose(value, sigma**2 * psi @ psi, rtol=16 * F32)
    np.testing.assert_allclose(gradient, 2 * sigma**2 * psi, rtol=16 * F32)


def test_bias_and_variance_of_a_quadratic():
    """The ratio is 1 + s^2 (tr^2 + 2 |S|^2) / (4 E |Sx|^2); as s -> 0 a draw varies by 2 g^4."""
    net = Network("quadratic", lambda key: None, quadratic, "smooth", 2, 1)
    judge = penalties.Judge(net, jnp.asarray(A, jnp.float32), quadratic)
    sigmas = np.array([0.01, 0.1, 1.0])
    with jax.enable_x64(True):
        found = penalties.ratios(judge, *map(jnp.asarray, every_pair()), jnp.asarray(sigmas))
    mean = np.mean(np.sum((X @ S) ** 2, axis=1))
    expected = [of_quadratic(sigma)[0] / sigma**2 / mean for sigma in sigmas]
    np.testing.assert_allclose(found.exact, expected, rtol=64 * F32)  # nodes are float32
    np.testing.assert_allclose(found.ratio, expected, rtol=16 * F32 * (1 + 5 / 0.01))
    squares = np.sum((X @ S) ** 2, axis=1)
    limit = 2 * np.mean(squares**2) / mean**2
    np.testing.assert_allclose(found.variance[0], limit, rtol=0.01)  # s^2 = 1e-4 of its size


DIM, WIDTHS, NUM = 16, (24, 24), 256


@functools.cache
def network(kind, dtype="float32", num=NUM):
    """A random discriminator with examples and noise."""
    judge = penalties.judge(kind, DIM, WIDTHS, jax.random.key(0), dtype)
    x, eps = (jax.random.normal(jax.random.key(n), (num, DIM), jnp.float32) for n in (1, 2))
    return judge, x, eps


def in_numpy(params, activation, x):
    """Logits of two hidden layers in float64."""
    for name in ("hidden_0", "hidden_1"):
        own = {k: np.asarray(v, np.float64) for k, v in params[name].items()}
        x = activation(x @ own["kernel"] + own["bias"])
    own = {k: np.asarray(v, np.float64) for k, v in params["output"].items()}
    return (x @ own["kernel"] + own["bias"])[:, 0]


def test_the_networks_ratio_is_that_of_numpy():
    """The plain estimate in NumPy, with central differences for the gradient."""
    judge, x, eps = network("softplus")
    softplus = lambda a: np.logaddexp(0.0, a)  # noqa: E731
    see = lambda at: in_numpy(judge.params, softplus, at)  # noqa: E731
    at, noise, h = np.asarray(x, np.float64), np.asarray(eps, np.float64), 1e-5
    slope = [(see(at + h * e) - see(at - h * e)) / (2 * h) for e in np.eye(DIM)]
    squared = np.sum(np.square(slope), axis=0)
    along = np.sum(np.transpose(slope) * noise, axis=1) ** 2
    sigmas = np.array([0.03, 0.3])
    with jax.enable_x64(True):
        found = penalties.ratios(judge, x, eps, jnp.asarray(sigmas))
    for place, sigma in enumerate(sigmas):
        plain = ((see(at + sigma * noise) - see(at)) / sigma) ** 2
        expected = np.mean(plain - along + squared) / squared.mean()
        np.testing.assert_allclose(found.exact[place], expected, rtol=1e-7)
        np.testing.assert_allclose(found.ratio[place], expected, rtol=100 * F32 / sigma)


def test_a_linear_discriminator_has_no_bias_and_its_rounding_grows_as_s_falls():
    """A quarter of s has 4 to 16 times the excess, by how x is rounded.

    Roundings of variance v that are independent add 2 v / s^2. If x itself is rounded and s is far
    below its spacing, a coordinate moves at all with a probability of order s: of order 1 / s. Some
    1,600 of the coordinates of 4,096 examples move then, so 5 errors are 20%.
    """
    judge, x, eps = network("linear", "bfloat16", 4096)
    sigmas = jnp.asarray([1e-4, 4e-4])
    with jax.enable_x64(True):
        found = penalties.ratios(judge, x, eps, sigmas)
    np.testing.assert_allclose(found.exact, 1.0, rtol=1e-9)
    excess = np.asarray(found.ratio) - 1
    assert excess[1] > 1
    assert 4 * 0.8 < excess[0] / excess[1] < 16 * 1.2


def is_r1(match):
    """The test that a gradient has to pass: in direction and in size that of R1, within 1%."""
    found = penalties.pooled(*(np.asarray(leaf)[None].repeat(3) for leaf in match))
    return found.cosine.value > 0.99 and abs(found.size.value - 1) < 0.01


SIGMAS = (0.1, 0.05, 0.01)


@functools.cache
def gradients(kind):
    """The right way and the wrong one at each of SIGMAS."""
    judge, x, eps = network(kind)
    with jax.enable_x64(True):
        return jax.jit(lambda: penalties.gradients(judge, x, eps, jnp.asarray(SIGMAS)))()


@pytest.mark.parametrize("kind", ["silu", pytest.param("softplus", marks=pytest.mark.slow)])
def test_gradients_are_those_of_r1_and_a_stopped_branch_is_refused(kind):
    true, wrong = ([leaf[-1] for leaf in match] for match in gradients(kind))
    assert is_r1(true)
    assert not is_r1(wrong)
    assert abs(penalties.pooled(*(np.full(3, leaf) for leaf in wrong)).cosine.value) < 0.5


def test_the_gradients_bias_falls_as_s2():
    """Errors of a smooth network at s and s/2: a factor of 4; the next order is s^2 of that.

    The deviation on these draws counts here, not that from the expectation over all.
    """
    true, _ = gradients("silu")
    error = np.sqrt(np.asarray(true.squared_error) + np.asarray(true.noise) ** 2)
    assert 3.8 < error[0] / error[1] < 4.2
    assert error[0] < 0.05


def test_what_sampling_adds_is_taken_out():
    """Blocks of unit noise around the right gradient: no error in the mean over 400 of them."""
    rng = np.random.default_rng(0)
    right = np.tile(rng.standard_normal(50), (8, 1))
    with jax.enable_x64(True):
        noisy = [jnp.asarray(right + rng.standard_normal(right.shape)) for _ in range(400)]
        found = [penalties.match(one, jnp.asarray(right)) for one in noisy]
    squared = np.array([one.squared_error for one in found])
    assert abs(squared.mean()) < 5 * squared.std() / np.sqrt(400)
    noise = np.mean([one.noise**2 for one in found])
    np.testing.assert_allclose(noise, 50 / 8 / np.sum(right[0] ** 2), rtol=5 * 0.1 / np.sqrt(50))


def test_pooled_numbers_of_a_parallel_gradient():
    size = np.array([1.1, 1.2, 1.3])
    found = penalties.pooled(size, (size - 1) ** 2, np.zeros(3))
    assert found.size.value == pytest.approx(1.2)
    assert found.error.value == pytest.approx(np.sqrt(np.mean((size - 1) ** 2)))
    assert found.cosine.value == pytest.approx(1.0, abs=0.01)
    hidden = penalties.pooled(size, (size - 1) ** 2, np.full(3, 2.0))
    assert np.isnan(hidden.cosine.value)
    assert np.isnan(hidden.error.value)


TWO = 10**0.301029995663981


@pytest.mark.parametrize(
    ("off", "expected"),
    [
        ([1.0, 0.1, 0.01, 0.1, 1.0], (1 / TWO, TWO)),
        ([0.01, 0.01, 0.01, 0.1, 1.0], (0.0, TWO)),
        ([1.0, 0.1, 0.01, 0.001, 0.01], (1 / TWO, np.inf)),
        ([1.0, 0.1, np.nan, 0.1, 1.0], (np.nan, np.nan)),
        ([1.0, 1.0, 1.0, 1.0, 1.0], (np.nan, np.nan)),
    ],
)
def test_where_a_penalty_leaves(off, expected):
    """Two are allowed where a decade of x is a decade of off, from .01 at x = 1."""
    x = np.array([0.01, 0.1, 1.0, 10.0, 100.0])
    np.testing.assert_allclose(penalties.leaves(x, np.array(off), 0.02), expected, rtol=1e-9)


def test_unknown_kinds_are_refused():
    with pytest.raises(ValueError, match="unknown activation 'swish'"):
        penalties.judge("swish", 2, (3,), jax.random.key(0))
    with pytest.raises(ValueError, match="unknown dtype 'float16'"):
        penalties.judge("relu", 2, (3,), jax.random.key(0), "float16")
