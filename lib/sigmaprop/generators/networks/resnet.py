"""Residual convolutional networks for images of 28x28 and 32x32 pixels, without normalisation.

A block is x + W2 act(W1 act(x)) of two 3x3 convolutions, W2 = 0 at the start. Between the sizes
there are average pooling or nearest-neighbour upsampling and a 1x1 convolution; next to the image
stands the 4x4 convolution of stride 2 of `dcgan`. Every product is one matrix product, as there.

Source: Huang et al. 2024, "The GAN is dead; long live the GAN!" (R3GAN, arXiv 2501.05441), section
4, of which this is a small relative: without groups, bottlenecks and resampling filters.
"""

import itertools
import math
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax.nn.initializers import Initializer
from jaxtyping import Array, Float

from sigmaprop.generators.networks.base import (
    LECUN,
    Dense,
    GeneratorOutput,
    Network,
    activation_named,
    check_positive,
    dtype_named,
    network,
    output_named,
)
from sigmaprop.generators.networks.dcgan import Convolution, Shape, pyramid

_ZEROS = nnx.initializers.zeros_init()


def convolve_same(
    x: Float[Array, "B H W C"], kernel: Float[Array, "3 3 C O"]
) -> Float[Array, "B H W O"]:
    """Convolution of stride 1 with one pixel of padding.

    ``y[i, j] = sum_ab x[i + a - 1, j + b - 1] kernel[a, b]``.
    """
    batch, height, width, channels = x.shape
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    shifts = itertools.product(range(3), repeat=2)
    patches = [padded[:, a : a + height, b : b + width] for a, b in shifts]
    rows = jnp.concatenate(patches, axis=-1).reshape(-1, 9 * channels)
    return (rows @ kernel.reshape(9 * channels, -1)).reshape(batch, height, width, -1)


class _Same(nnx.Module):
    """`convolve_same`, and a bias for each channel."""

    def __init__(self, channels: int, kernel_init: Initializer, rngs: nnx.Rngs, dtype: Any):
        shape = (3, 3, channels, channels)
        self.kernel = nnx.Param(kernel_init(rngs.params(), shape, jnp.float32))
        self.bias = nnx.Param(jnp.zeros(channels, jnp.float32))
        self.dtype = dtype

    def __call__(self, x: Array) -> Array:
        y = convolve_same(x.astype(self.dtype), self.kernel[...].astype(self.dtype))
        return y + self.bias[...].astype(self.dtype)


class _Blocks(nnx.Module):
    """What both networks share: a residual block for each size."""

    def __init__(self, channels: list[int], activation: str, rngs: nnx.Rngs, dtype: Any):
        self.activation, _, init = activation_named(activation)
        self.depth = len(channels)
        for level, size in enumerate(channels):
            setattr(self, f"inner_{level}", _Same(size, init, rngs, dtype))
            setattr(self, f"outer_{level}", _Same(size, _ZEROS, rngs, dtype))
        for level, pair in enumerate(itertools.pairwise(channels)):
            setattr(self, f"between_{level}", Dense(*pair, rngs=rngs, dtype=dtype))

    def block(self, level: int, x: Array) -> Array:
        """The residual block of one size."""
        inner = getattr(self, f"inner_{level}")(self.activation(x))
        return x + getattr(self, f"outer_{level}")(self.activation(inner))

    def to_next(self, level: int, x: Array) -> Array:
        """The 1x1 convolution to the channels of the next size."""
        return getattr(self, f"between_{level}")(x)


class _Generator(_Blocks):
    def __init__(
        self,
        latent_dim: int,
        shape: Shape,
        width: int,
        *,
        activation: str,
        output: str,
        rngs: nnx.Rngs,
        dtype: Any,
    ):
        smallest, (image, *channels) = pyramid("resnet", shape, width)
        super().__init__(channels[::-1], activation, rngs, dtype)
        init = activation_named(activation).kernel_init
        self.output_function = output_named(output)
        self.stem = (smallest, smallest, channels[-1])
        options: dict[str, Any] = {"rngs": rngs, "dtype": dtype}
        self.dense_0 = Dense(latent_dim, 4 * width, kernel_init=init, **options)
        self.dense_1 = Dense(4 * width, math.prod(self.stem), **options)
        self.output = Convolution(width, image, transposed=True, kernel_init=LECUN, **options)

    def __call__(self, z: Array) -> GeneratorOutput:
        features = self.activation(self.dense_0(z))
        x = self.dense_1(features).reshape(-1, *self.stem)
        for level in range(self.depth):
            x = self.block(level, x)
            if level < self.depth - 1:
                x = self.to_next(level, x).repeat(2, axis=1).repeat(2, axis=2)
        mean = self.output(self.activation(x)).reshape(z.shape[0], -1).astype(jnp.float32)
        return GeneratorOutput(self.output_function(mean), features.astype(jnp.float32))


class _Discriminator(_Blocks):
    def __init__(self, shape: Shape, width: int, *, activation: str, rngs: nnx.Rngs, dtype: Any):
        smallest, (image, *channels) = pyramid("resnet", shape, width)
        super().__init__(channels, activation, rngs, dtype)
        self.shape = shape
        options: dict[str, Any] = {"rngs": rngs, "dtype": dtype}
        self.stem = Convolution(image, width, transposed=False, kernel_init=LECUN, **options)
        self.output = Dense(smallest**2 * channels[-1], 1, **options)

    def __call__(self, x: Array, key: Array | None = None) -> Array:
        del key
        y = self.stem(x.reshape(-1, *self.shape))
        for level in range(self.depth):
            y = self.block(level, y)
            if level < self.depth - 1:
                y = self.to_next(level, _halved(y))
        flat = self.activation(y).reshape(x.shape[0], -1)
        return self.output(flat)[:, 0].astype(jnp.float32)


def _halved(x: Float[Array, "B H W C"]) -> Float[Array, "B h w C"]:
    """Averages of 2x2 pixels."""
    batch, height, width, channels = x.shape
    return x.reshape(batch, height // 2, 2, width // 2, 2, channels).mean((2, 4))


def resnet_generator(
    latent_dim: int,
    shape: Shape,
    *,
    width: int = 64,
    activation: str = "leaky_relu",
    output: str = "tanh",
    dtype: str = "float32",
) -> Network:
    """Two dense layers, a residual block for each size, a transposed convolution to the image.

    Of 28x28 pixels the blocks have 7x7x2w and 14x14xw units, of 32x32 4x4x4w, 8x8x2w and 16x16xw.
    Its features are the first layer, of 4w units.

    Args:
        latent_dim: Z.
        shape: of an image (H, W, C), 28x28 or 32x32 with any C.
        width: w, channels of the block next to the image.
        activation: a name in ``ACTIVATIONS``.
        output: "tanh", "sigmoid" or "linear".
        dtype: in which products are computed, "float32" or "bfloat16".

    Returns:
        A Network with ``apply(params, z [B, Z]) -> GeneratorOutput``, whose mean is [B, H W C].

    Raises:
        ValueError: the shape is another, or a name or a size is unknown.
    """
    check_positive("latent_dim", latent_dim)
    pyramid("resnet", shape, width)
    output_named(output)
    options = {"activation": activation, "output": output, "dtype": dtype_named(dtype)}
    return network(
        lambda rngs: _Generator(latent_dim, shape, width, rngs=rngs, **options),
        name="resnet",
        smoothness=activation_named(activation).smoothness,
        in_dim=latent_dim,
        out_dim=math.prod(shape),
        feature_dim=4 * width,
    )


def resnet_discriminator(
    shape: Shape,
    *,
    width: int = 64,
    activation: str = "leaky_relu",
    dtype: str = "float32",
) -> Network:
    """The same the other way round: a convolution of stride 2, blocks, one dense layer.

    The options are those of `resnet_generator`.

    Returns:
        A Network with ``apply(params, x [B, H W C], key=None) -> logits [B]``; it reads no key.

    Raises:
        ValueError: the shape is another, or a name or a size is unknown.
    """
    pyramid("resnet", shape, width)
    options = {"activation": activation, "dtype": dtype_named(dtype)}
    return network(
        lambda rngs: _Discriminator(shape, width, rngs=rngs, **options),
        name="resnet",
        smoothness=activation_named(activation).smoothness,
        in_dim=math.prod(shape),
    )
