"""Convolutional networks for images of 28x28 and 32x32 pixels, without batch normalisation.

Batch normalisation would tie the images of a batch together, and then neither a derivative at one x
nor a sampler at one z means anything; what it does for the scale of activations at the start is
left to the kernels. Every product is one matrix product: replicas become batched products, and on a
CPU a transposed convolution takes a fraction of the time of a dilated one.

Source: Radford, Metz, Chintala 2016, "Unsupervised representation learning with deep convolutional
generative adversarial networks", for the shape; Chen et al. 2016, "InfoGAN", appendix C, for the
kernels of 4x4 and the dense layer that begins the generator.
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

Shape = tuple[int, int, int]

# Pixels of the image: pixels of the smallest layer.
_SMALLEST = {28: 7, 32: 4}

# A kernel of 4x4 is four blocks of 2x2, and so is the patch of the image that it meets.
_CORNERS = tuple(itertools.product((0, 1), repeat=2))


def convolve(
    x: Float[Array, "B H W C"], kernel: Float[Array, "4 4 C O"]
) -> Float[Array, "B h w O"]:
    """Convolution of stride 2 with one pixel of padding; h = H/2, w = W/2, both even before.

    ``y[i, j] = sum_ab x[2i + a - 1, 2j + b - 1] kernel[a, b]``.
    """
    batch, height, width, channels = x.shape
    h, w = height // 2, width // 2
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    blocks = padded.reshape(batch, h + 1, 2, w + 1, 2, channels).swapaxes(2, 3)
    blocks = blocks.reshape(batch, h + 1, w + 1, 4 * channels)
    corners = [blocks[:, a : a + h, b : b + w] for a, b in _CORNERS]
    patches = jnp.concatenate(corners, axis=-1).reshape(batch * h * w, 16 * channels)
    return (patches @ _by_block(kernel)).reshape(batch, h, w, -1)


def convolve_transposed(
    x: Float[Array, "B h w C"], kernel: Float[Array, "4 4 C O"]
) -> Float[Array, "B H W O"]:
    """The linear map transposed to `convolve` of O channels to C; H = 2h, W = 2w.

    ``y[2i + a - 1, 2j + b - 1] += x[i, j] kernel[a, b]``.
    """
    batch, h, w, channels = x.shape
    flat = x.reshape(batch * h * w, channels) @ _by_block(kernel.swapaxes(2, 3)).T
    patches = flat.reshape(batch, h, w, 4, -1)
    blocks = sum(
        jnp.pad(patches[:, :, :, corner], ((0, 0), (a, 1 - a), (b, 1 - b), (0, 0)))
        for corner, (a, b) in enumerate(_CORNERS)
    )
    padded = jnp.reshape(blocks, (batch, h + 1, w + 1, 2, 2, -1)).swapaxes(2, 3)
    padded = padded.reshape(batch, 2 * h + 2, 2 * w + 2, -1)
    return padded[:, 1:-1, 1:-1]


def _by_block(kernel: Array) -> Array:
    """``kernel`` [4, 4, C, O] as a matrix [16 C, O], block after block."""
    channels, out = kernel.shape[2:]
    return kernel.reshape(2, 2, 2, 2, channels, out).swapaxes(1, 2).reshape(16 * channels, out)


class Convolution(nnx.Module):
    """`convolve` or `convolve_transposed`, and a bias for each channel."""

    def __init__(
        self,
        in_dim: int,
        out_dim: int,
        *,
        transposed: bool,
        kernel_init: Initializer,
        rngs: nnx.Rngs,
        dtype: Any,
    ):
        shape = (4, 4, in_dim, out_dim)
        # A pixel sums over 16 C products, after a transposed convolution over 4 C: draw that fan.
        drawn = (4 * in_dim, 4 * out_dim) if transposed else shape
        self.kernel = nnx.Param(kernel_init(rngs.params(), drawn, jnp.float32).reshape(shape))
        self.bias = nnx.Param(jnp.zeros(out_dim, jnp.float32))
        self.convolve = convolve_transposed if transposed else convolve
        self.dtype = dtype

    def __call__(self, x: Array) -> Array:
        """The map of a batch [B, H, W, I], in the compute dtype."""
        y = self.convolve(x.astype(self.dtype), self.kernel[...].astype(self.dtype))
        return y + self.bias[...].astype(self.dtype)


class _Generator(nnx.Module):
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
        self.activation, _, init = activation_named(activation)
        self.output_function = output_named(output)
        smallest, channels = pyramid("dcgan", shape, width)
        *inner, last = itertools.pairwise(reversed(channels))
        self.stem = (smallest, smallest, channels[-1])
        self.depth = len(inner)
        options: dict[str, Any] = {"rngs": rngs, "dtype": dtype}
        self.dense_0 = Dense(latent_dim, 4 * width, kernel_init=init, **options)
        self.dense_1 = Dense(4 * width, math.prod(self.stem), kernel_init=init, **options)
        options["transposed"] = True
        for layer, pair in enumerate(inner):
            convolution = Convolution(*pair, kernel_init=init, **options)
            setattr(self, f"convolution_{layer}", convolution)
        self.output = Convolution(*last, kernel_init=LECUN, **options)

    def __call__(self, z: Array) -> GeneratorOutput:
        features = self.activation(self.dense_0(z))
        x = self.activation(self.dense_1(features)).reshape(-1, *self.stem)
        for layer in range(self.depth):
            x = self.activation(getattr(self, f"convolution_{layer}")(x))
        mean = self.output(x).reshape(z.shape[0], -1).astype(jnp.float32)
        return GeneratorOutput(self.output_function(mean), features.astype(jnp.float32))


class _Discriminator(nnx.Module):
    def __init__(self, shape: Shape, width: int, *, activation: str, rngs: nnx.Rngs, dtype: Any):
        self.activation, _, init = activation_named(activation)
        self.shape = shape
        smallest, channels = pyramid("dcgan", shape, width)
        self.depth = len(channels) - 1
        options: dict[str, Any] = {"rngs": rngs, "dtype": dtype}
        for layer, pair in enumerate(itertools.pairwise(channels)):
            convolution = Convolution(*pair, transposed=False, kernel_init=init, **options)
            setattr(self, f"convolution_{layer}", convolution)
        self.output = Dense(smallest**2 * channels[-1], 1, **options)

    def __call__(self, x: Array, key: Array | None = None) -> Array:
        del key
        y = x.reshape(-1, *self.shape)
        for layer in range(self.depth):
            y = self.activation(getattr(self, f"convolution_{layer}")(y))
        return self.output(y.reshape(x.shape[0], -1))[:, 0].astype(jnp.float32)


def dcgan_generator(
    latent_dim: int,
    shape: Shape,
    *,
    width: int = 64,
    activation: str = "relu",
    output: str = "tanh",
    dtype: str = "float32",
) -> Network:
    """Two dense layers, then transposed convolutions of 4x4 and stride 2.

    Of 28x28 pixels: Z - 4w - 7x7x2w - 14x14xw - 28x28xC; of 32x32: Z - 4w - 4x4x4w - 8x8x2w -
    16x16xw - 32x32xC. Its features are the first layer, of 4w units. No batch normalisation.

    Args:
        latent_dim: Z.
        shape: of an image (H, W, C), 28x28 or 32x32 with any C.
        width: w, channels of the layer next to the image.
        activation: a name in ``ACTIVATIONS``.
        output: "tanh", "sigmoid" or "linear".
        dtype: in which products are computed, "float32" or "bfloat16".

    Returns:
        A Network with ``apply(params, z [B, Z]) -> GeneratorOutput``, whose mean is [B, H W C].

    Raises:
        ValueError: the shape is another, or a name or a size is unknown.
    """
    check_positive("latent_dim", latent_dim)
    pyramid("dcgan", shape, width)
    compute = dtype_named(dtype)
    return network(
        lambda rngs: _Generator(
            latent_dim,
            shape,
            width,
            activation=activation,
            output=output,
            rngs=rngs,
            dtype=compute,
        ),
        name="dcgan",
        smoothness=activation_named(activation).smoothness,
        in_dim=latent_dim,
        out_dim=math.prod(shape),
        feature_dim=4 * width,
    )


def dcgan_discriminator(
    shape: Shape,
    *,
    width: int = 64,
    activation: str = "leaky_relu",
    dtype: str = "float32",
) -> Network:
    """Convolutions of 4x4 and stride 2, w channels in the first and twice as many in each next.

    The options are those of `dcgan_generator`; no batch normalisation.

    Returns:
        A Network with ``apply(params, x [B, H W C], key=None) -> logits [B]``; it reads no key.

    Raises:
        ValueError: the shape is another, or a name or a size is unknown.
    """
    pyramid("dcgan", shape, width)
    compute = dtype_named(dtype)
    return network(
        lambda rngs: _Discriminator(shape, width, activation=activation, rngs=rngs, dtype=compute),
        name="dcgan",
        smoothness=activation_named(activation).smoothness,
        in_dim=math.prod(shape),
    )


def pyramid(name: str, shape: tuple[int, ...], width: int) -> tuple[int, list[int]]:
    """Pixels of the smallest layer, and the channels of each, from the image on.

    Raises:
        ValueError: the network of that name takes no such image.
    """
    check_positive("width", width)
    if len(shape) != 3 or shape[0] != shape[1] or shape[0] not in _SMALLEST or shape[2] < 1:
        raise ValueError(
            f"{name} takes images of shape (28, 28, channels) or (32, 32, channels), "
            f"not {tuple(shape)}; for others take the network 'mlp'"
        )
    doublings = int(math.log2(shape[0] // _SMALLEST[shape[0]]))
    return _SMALLEST[shape[0]], [shape[2], *(width * 2**layer for layer in range(doublings))]
