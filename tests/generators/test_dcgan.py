"""Convolutions against XLA's own, and the scale of what a fresh generator makes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sigmaprop.generators.networks import dcgan_discriminator, dcgan_generator, num_params
from sigmaprop.generators.networks.dcgan import convolve, convolve_transposed

KERNEL = 4 * 4


def reference(x, kernel):
    return jax.lax.conv_general_dilated(
        x, kernel, (2, 2), ((1, 1), (1, 1)), dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def normal(seed, *shape):
    return jax.random.normal(jax.random.key(seed), shape)


@pytest.mark.parametrize("size", [(4, 4), (6, 2)])
def test_a_convolution_is_that_of_xla(size):
    with jax.enable_x64(True):
        x, kernel = normal(0, 2, *size, 3), normal(1, 4, 4, 3, 5)
        got = jax.jit(convolve)(x, kernel)
        # Sums of 48 products of order 1, in float64.
        np.testing.assert_allclose(got, reference(x, kernel), rtol=0, atol=1e3 * 2.0**-52)
    assert got.shape == (2, size[0] // 2, size[1] // 2, 5)


@pytest.mark.parametrize("size", [(2, 2), (3, 1)])
def test_a_transposed_convolution_is_the_transpose(size):
    """Against reverse-mode differentiation of XLA's convolution, which is linear in x."""
    with jax.enable_x64(True):
        x, kernel = normal(0, 2, *size, 3), normal(1, 4, 4, 3, 5)
        image = jnp.zeros((2, 2 * size[0], 2 * size[1], 5))
        forward = lambda image: reference(image, kernel.swapaxes(2, 3))  # noqa: E731
        (exact,) = jax.vjp(forward, image)[1](x)
        got = jax.jit(convolve_transposed)(x, kernel)
        np.testing.assert_allclose(got, exact, rtol=0, atol=1e3 * 2.0**-52)
    assert got.shape == image.shape


@pytest.mark.parametrize("shape", [(28, 28, 1), (32, 32, 3), (28, 28, 3)])
@pytest.mark.parametrize("width", [4, 64])
def test_sizes_and_counts(shape, width):
    w, channels = width, shape[2]
    generator = dcgan_generator(10, shape, width=width)
    discriminator = dcgan_discriminator(shape, width=width)
    first = 10 * 4 * w + 4 * w
    if shape[0] == 28:
        stem, deep = 7 * 7 * 2 * w, KERNEL * 2 * w * w
        made = deep + w
        judged = deep + 2 * w + stem + 1
    else:
        stem, deep = 4 * 4 * 4 * w, KERNEL * (4 * w * 2 * w + 2 * w * w)
        made = deep + 3 * w
        judged = deep + 6 * w + stem + 1
    image = KERNEL * w * channels
    params = jax.eval_shape(generator.init, jax.random.key(0))
    assert num_params(params) == first + 4 * w * stem + stem + made + image + channels
    out = jax.eval_shape(generator.apply, params, jnp.zeros((2, 10)))
    assert out.mean.shape == (2, shape[0] * shape[1] * channels)
    assert out.features.shape == (2, 4 * w)
    params = jax.eval_shape(discriminator.init, jax.random.key(0))
    assert num_params(params) == image + w + judged
    x = jnp.zeros((2, discriminator.in_dim))
    assert jax.eval_shape(discriminator.apply, params, x).shape == (2,)


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(28, 28, 1), (32, 32, 3)])
def test_a_linear_generator_starts_with_unit_variance(shape):
    """Kernels give a pixel of four taps a variance that sums to 1, away from the border."""
    net = dcgan_generator(8, shape, width=2, activation="identity", output="linear")

    def second_moment(key):
        key_init, key_latent = jax.random.split(key)
        z = jax.random.normal(key_latent, (16, 8))
        images = net.apply(net.init(key_init), z).mean.reshape(-1, *shape)
        margin = 8  # the border of each layer, as wide as it has become in the last
        return jnp.mean(images[:, margin:-margin, margin:-margin] ** 2)

    moments = np.asarray(jax.jit(jax.vmap(second_moment))(jax.random.split(jax.random.key(0), 200)))
    error = moments.std() / np.sqrt(moments.size)
    assert error < 0.1
    assert abs(moments.mean() - 1.0) < 5 * error


def test_images_are_flattened_row_after_row_channels_last():
    """A change of one pixel reaches the logit by the kernel's entry of that channel alone."""
    shape = (28, 28, 3)
    net = dcgan_discriminator(shape, width=2)
    params = jax.jit(net.init)(jax.random.key(0))
    kernel = params["convolution_0"]["kernel"].at[:, :, 1].set(0.0)
    params = {**params, "convolution_0": {**params["convolution_0"], "kernel": kernel}}
    gradient = jax.jit(jax.grad(lambda x: net.apply(params, x)[0]))(normal(1, 1, net.in_dim))
    image = np.asarray(gradient).reshape(shape)
    np.testing.assert_array_equal(image[:, :, 1], 0.0)
    assert (image[:, :, [0, 2]] != 0.0).any()


@pytest.mark.slow
def test_replicas_under_vmap_are_the_replicas_one_by_one():
    net = dcgan_discriminator((28, 28, 1), width=2)
    stacked = jax.jit(jax.vmap(net.init))(jax.random.split(jax.random.key(0), 2))
    x = normal(1, 3, net.in_dim)
    together = jax.jit(jax.vmap(net.apply, (0, None)))(stacked, x)
    apply = jax.jit(net.apply)
    alone = [apply(jax.tree.map(lambda leaf: leaf[r], stacked), x) for r in range(2)]  # noqa: B023
    # Sums of 196 products of order 1.
    np.testing.assert_allclose(together, np.stack(alone), rtol=0, atol=196 * 2.0**-24)
