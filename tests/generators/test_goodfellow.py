"""Goodfellow's networks: the range of their kernels, maxout and dropout, counted."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from sigmaprop.generators.networks import goodfellow_discriminator, goodfellow_generator
from sigmaprop.generators.networks.goodfellow import drop

BATCH = 3
# A draw farther from its mean than this many standard errors has a chance below 1e-6.
ERRORS = 5.0


def normal(seed, *shape):
    return jax.random.normal(jax.random.key(seed), shape)


def parameters(net, seed=0):
    return jax.jit(net.init)(jax.random.key(seed))


def test_uniform_kernels_fill_their_range():
    for net, bound in ((goodfellow_generator(), 0.05), (goodfellow_discriminator(), 0.005)):
        for path, leaf in jax.tree_util.tree_leaves_with_path(parameters(net)):
            if path[-1].key == "bias":
                np.testing.assert_array_equal(leaf, 0.0)
                continue
            unit = np.asarray(leaf, np.float64) / bound
            assert abs(unit).max() <= 1.0 + 2.0**-23
            error = math.sqrt((1 / 5 - 1 / 9) / unit.size)
            assert abs(np.mean(unit**2) - 1 / 3) < ERRORS * error
            assert abs(np.mean(unit)) < ERRORS * math.sqrt(1 / 3 / unit.size)


def test_dropout_keeps_with_the_probability_it_divides_by():
    dropped = np.asarray(drop(jax.random.key(0), jnp.full(100_000, 3.0), 0.8))
    kept = np.mean(dropped != 0.0)
    assert abs(kept - 0.8) < ERRORS * math.sqrt(0.8 * 0.2 / dropped.size)
    np.testing.assert_array_equal(
        np.unique(dropped), np.array([0.0, np.float32(3.0) / np.float32(0.8)], np.float32)
    )


def counting(net):
    """Parameters with which the logit of an x of ones counts what three dropouts left, times 5."""
    params = parameters(net)
    identity = {"kernel": jnp.tile(jnp.eye(240), (1, 5)), "bias": jnp.zeros(1200)}
    output = {"kernel": jnp.ones((240, 1)), "bias": jnp.zeros(1)}
    hidden = {"dense": identity}
    counted = {"hidden_0": hidden, "hidden_1": hidden, "output": output}
    assert jax.tree.map(jnp.shape, counted) == jax.tree.map(jnp.shape, params)
    return counted


def test_dropout_of_three_layers_is_binomial():
    net = goodfellow_discriminator(240)
    params, ones = counting(net), jnp.ones((1000, 240))
    np.testing.assert_array_equal(net.apply(params, ones), 240.0)
    keep = 0.8 * 0.5 * 0.5
    counts = keep * np.asarray(net.apply(params, ones, jax.random.key(0)), np.float64)
    # Whole numbers, if it is by these probabilities that it divides.
    np.testing.assert_allclose(counts, np.round(counts), rtol=8 * 2.0**-24)
    variance = 240 * keep * (1 - keep)
    assert abs(counts.mean() - 240 * keep) < ERRORS * math.sqrt(variance / 1000)
    # The excess kurtosis of a binomial, below .01 here, is left out of the error.
    assert abs(counts.var() / variance - 1) < ERRORS * math.sqrt(2 / 1000)


def test_a_key_means_dropout_only_where_the_network_has_it():
    x, key = jnp.ones((BATCH, 240)), jax.random.key(0)
    without = goodfellow_discriminator(240, dropout=False)
    params = parameters(without)
    np.testing.assert_array_equal(without.apply(params, x, key), without.apply(params, x))
    net = goodfellow_discriminator(240)
    assert (net.uses_key, without.uses_key) == (True, False)
    assert (net.apply(params, x, key) != net.apply(params, x)).any()
    np.testing.assert_array_equal(net.apply(params, x, key), net.apply(params, x, key))


def test_maxout_is_the_largest_of_five():
    net = goodfellow_discriminator(6)
    params, x = parameters(net), np.asarray(normal(1, BATCH, 6), np.float64)
    for layer in ("hidden_0", "hidden_1"):
        kernel = np.asarray(params[layer]["dense"]["kernel"], np.float64)
        pieces = [x @ kernel[:, 240 * piece : 240 * (piece + 1)] for piece in range(5)]
        x = np.max(pieces, axis=0)
    exact = (x @ np.asarray(params["output"]["kernel"], np.float64))[:, 0]
    # 240 products of a hidden value below .1 and a weight below .005.
    got = net.apply(params, normal(1, BATCH, 6))
    np.testing.assert_allclose(got, exact, rtol=0, atol=240 * 5e-4 * 2.0**-24)
