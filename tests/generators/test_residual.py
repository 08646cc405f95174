"""Residual networks against NumPy and XLA's own convolution, and how they begin."""

import itertools
import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sigmaprop.generators.networks import (
    num_params,
    residual_discriminator,
    residual_generator,
    resnet_discriminator,
    resnet_generator,
)
from sigmaprop.generators.networks.residual import with_waves
from sigmaprop.generators.networks.resnet import convolve_same


def normal(seed, *shape):
    return jax.random.normal(jax.random.key(seed), shape)


def shaken(params, size=0.3):
    """The same parameters with every number moved, so that no layer is 0."""
    leaves, tree = jax.tree.flatten(params)
    moved = [leaf + size * normal(i, *leaf.shape) for i, leaf in enumerate(leaves)]
    return jax.tree.unflatten(tree, moved)


def leaky(x):
    return np.where(x > 0, x, 0.2 * x)


def by_hand(params, x, waves):
    """Blocks of dense layers in float64."""
    params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
    dense = lambda name, x: x @ params[name]["kernel"] + params[name]["bias"]  # noqa: E731
    angles = [2 * math.pi * frequency * x for frequency in waves]
    x = np.concatenate([x, *map(np.sin, angles), *map(np.cos, angles)], axis=1)
    y = dense("stem", x)
    for block in range(2):
        y = y + dense(f"outer_{block}", leaky(dense(f"inner_{block}", leaky(y))))
    return dense("output", leaky(y)), leaky(y)


@pytest.mark.parametrize("waves", [(), (0.5, 2.0)])
def test_a_network_of_blocks_is_its_formula(waves):
    net = residual_generator(3, 4, widths=(6, 6), waves=waves)
    params = shaken(net.init(jax.random.key(0)))
    z = normal(1, 5, 3)
    found = net.apply(params, z)
    mean, features = by_hand(params, np.asarray(z, np.float64), waves)
    np.testing.assert_allclose(found.mean, mean, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.features, features, rtol=1e-4, atol=1e-5)
    judge = residual_discriminator(3, widths=(6, 6), waves=waves)
    own = shaken(judge.init(jax.random.key(2)))
    expected = by_hand(own, np.asarray(z, np.float64), waves)[0][:, 0]
    np.testing.assert_allclose(judge.apply(own, z), expected, rtol=1e-4, atol=1e-5)


def test_waves_have_their_frequencies():
    x = jnp.asarray([[0.25, 0.5]])
    found = with_waves(x, (1.0,))
    np.testing.assert_allclose(found, [[0.25, 0.5, 1.0, 0.0, 0.0, -1.0]], atol=1e-6)


def test_blocks_begin_as_nothing():
    """The last layer of each is 0, so that depth makes no difference at the start."""
    deep, shallow = (residual_generator(3, 4, widths=(6,) * depth) for depth in (4, 1))
    params = deep.init(jax.random.key(0))
    z = normal(1, 5, 3)
    kept = {name: own for name, own in params.items() if not name.endswith(("_1", "_2", "_3"))}
    np.testing.assert_array_equal(deep.apply(params, z).mean, shallow.apply(kept, z).mean)


def test_a_convolution_is_that_of_xla():
    with jax.enable_x64(True):
        x, kernel = normal(0, 2, 5, 4, 3), normal(1, 3, 3, 3, 6)
        exact = jax.lax.conv_general_dilated(
            x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        # Sums of 27 products of order 1, in float64.
        np.testing.assert_allclose(convolve_same(x, kernel), exact, rtol=0, atol=1e3 * 2.0**-52)


@pytest.mark.parametrize(("shape", "levels"), [((28, 28, 1), 2), ((32, 32, 3), 3)])
def test_sizes_and_counts_of_convolutional_ones(shape, levels):
    w, smallest = 4, 7 if shape[0] == 28 else 4
    channels = [w * 2**level for level in range(levels)]
    blocks = sum(2 * (9 * c * c + c) for c in channels)
    between = sum(a * b for a, b in itertools.pairwise(channels))
    image = 16 * w * shape[2]
    stem = smallest**2 * channels[-1]
    generator, discriminator = (
        resnet_generator(10, shape, width=w),
        resnet_discriminator(shape, width=w),
    )
    made = 10 * 4 * w + 4 * w + (4 * w + 1) * stem
    made += blocks + between + sum(channels[:-1]) + image + shape[2]
    judged = image + w + blocks + between + sum(channels[1:]) + stem + 1
    for net, count in ((generator, made), (discriminator, judged)):
        assert num_params(jax.eval_shape(net.init, jax.random.key(0))) == count


def test_a_convolutional_discriminator_sees_every_pixel():
    net = resnet_discriminator((28, 28, 1), width=4)
    params = shaken(net.init(jax.random.key(0)), 0.05)
    slope = jax.grad(lambda x: net.apply(params, x[None])[0])(normal(1, 784))
    assert bool((slope != 0).all())


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: residual_generator(2, 3, widths=()), "widths is (); the network 'residual'"),
        (lambda: residual_discriminator(3, widths=(8, 16)), "widths is (8, 16)"),
        (lambda: residual_generator(2, 3, waves=(1.0, -1.0)), "waves is (1.0, -1.0)"),
        (lambda: resnet_generator(2, (8, 8, 1)), "resnet takes images of shape (28, 28, channels)"),
    ],
)
def test_what_is_refused_is_named(build, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        build()
