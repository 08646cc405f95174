"""Residual networks without normalisation: of dense layers for vectors, of convolutions for images.

Every block is x + W2 act(W1 act(x)) with W2 = 0 at the start, so that a deep network begins as a
shallow one. Inputs may be given beside their sines and cosines, which tell a network of few layers
what is near on a small scale.

Source: Huang et al. 2024, "The GAN is dead; long live the GAN!" (R3GAN, arXiv 2501.05441), section
4, after Zhang, Dauphin, Ma 2019, "Fixup initialization", for blocks whose last layer begins at 0;
Tancik et al. 2020, "Fourier features let networks learn high frequency functions in low dimensional
domains", equation 5, for the waves.
"""

import math
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from sigmaprop.generators.networks.base import (
    LECUN,
    Dense,
    GeneratorOutput,
    Network,
    activation_named,
    check_positive,
    dtype_named,
    late_layer,
    network,
    output_named,
)

_ZEROS = nnx.initializers.zeros_init()


def with_waves(x: Float[Array, "B D"], frequencies: tuple[float, ...]) -> Float[Array, "B E"]:
    """``x`` beside the sine and cosine of 2 pi f x for each frequency f; E = D (1 + 2 F)."""
    angles = [2.0 * math.pi * frequency * x for frequency in frequencies]
    return jnp.concatenate([x, *map(jnp.sin, angles), *map(jnp.cos, angles)], axis=-1)


class Residual(nnx.Module):
    """A dense layer, blocks, an activation, a dense layer."""

    def __init__(
        self,
        in_dim: int,
        widths: tuple[int, ...],
        out_dim: int,
        *,
        waves: tuple[float, ...],
        activation: str,
        output: str = "linear",
        rngs: nnx.Rngs,
        dtype: str,
        late_dim: int = 0,
    ):
        self.activation, _, init = activation_named(activation)
        self.output_function = output_named(output)
        self.waves = waves
        self.depth = len(widths)
        width = widths[0]
        options: dict[str, Any] = {"rngs": rngs, "dtype": dtype_named(dtype)}
        self.stem = Dense(in_dim * (1 + 2 * len(waves)), width, **options)
        for block in range(self.depth):
            inner = Dense(width, width, kernel_init=init, **options)
            setattr(self, f"inner_{block}", inner)
            setattr(self, f"outer_{block}", Dense(width, width, kernel_init=_ZEROS, **options))
        self.output = Dense(width, out_dim, kernel_init=LECUN, **options)
        self.late_dim = late_dim
        if late_dim:
            self.late = late_layer(late_dim, width, **options)

    def layers(self, x: Array) -> tuple[Array, Array]:
        """The output [B, O] and what the last layer sees, [B, F]."""
        x, late = jnp.split(x, [x.shape[-1] - self.late_dim], axis=-1) if self.late_dim else (x, x)
        y = self.stem(with_waves(x, self.waves) if self.waves else x)
        for block in range(self.depth):
            inner = getattr(self, f"inner_{block}")(self.activation(y))
            y = y + getattr(self, f"outer_{block}")(self.activation(inner))
        if self.late_dim:
            y = y + self.late(late)
        features = self.activation(y)
        out = self.output(features).astype(jnp.float32)
        return self.output_function(out), features.astype(jnp.float32)


class _Generator(Residual):
    def __call__(self, z: Array) -> GeneratorOutput:
        return GeneratorOutput(*self.layers(z))


class _Discriminator(Residual):
    def __call__(self, x: Array, key: Array | None = None) -> Array:
        del key
        return self.layers(x)[0][:, 0]


def residual_generator(
    latent_dim: int,
    dim: int,
    *,
    widths: tuple[int, ...] = (64, 64),
    waves: tuple[float, ...] = (),
    activation: str = "leaky_relu",
    output: str = "linear",
    dtype: str = "float32",
    late_dim: int = 0,
) -> Network:
    """A generator of residual blocks; its features are what the last layer sees.

    Args:
        latent_dim: Z.
        dim: D.
        widths: one number for each block, all the same.
        waves: frequencies of the sines and cosines of z beside it, in periods per unit of z.
        activation: a name in ``ACTIVATIONS``.
        output: "linear", "sigmoid" or "tanh".
        dtype: in which products are computed, "float32" or "bfloat16".
        late_dim: K latents behind the first Z that enter before the last activation, see
            `base.late_layer`.

    Returns:
        A Network with ``apply(params, z [B, Z + K]) -> GeneratorOutput``.

    Raises:
        ValueError: a name or a size is unknown, or the widths differ.
    """
    check_positive("latent_dim", latent_dim)
    check_positive("dim", dim)
    _check(widths, waves)
    options = {"waves": tuple(waves), "activation": activation, "output": output, "dtype": dtype}
    output_named(output)
    dtype_named(dtype)
    return network(
        lambda rngs: _Generator(latent_dim, widths, dim, rngs=rngs, late_dim=late_dim, **options),
        name="residual",
        smoothness=activation_named(activation).smoothness,
        in_dim=latent_dim + late_dim,
        out_dim=dim,
        feature_dim=widths[0],
        late_dim=late_dim,
    )


def residual_discriminator(
    dim: int,
    *,
    widths: tuple[int, ...] = (64, 64),
    waves: tuple[float, ...] = (),
    activation: str = "leaky_relu",
    dtype: str = "float32",
) -> Network:
    """A discriminator of residual blocks; the options are those of `residual_generator`.

    Returns:
        A Network with ``apply(params, x [B, D], key=None) -> logits [B]``; it reads no key.

    Raises:
        ValueError: a name or a size is unknown, or the widths differ.
    """
    check_positive("dim", dim)
    _check(widths, waves)
    dtype_named(dtype)
    options = {"waves": tuple(waves), "activation": activation, "dtype": dtype}
    return network(
        lambda rngs: _Discriminator(dim, widths, 1, rngs=rngs, **options),
        name="residual",
        smoothness=activation_named(activation).smoothness,
        in_dim=dim,
    )


def _check(widths: tuple[int, ...], waves: tuple[float, ...]) -> None:
    """Refuses no block, blocks of different widths, and frequencies that are none."""
    check_positive("widths", *widths)
    if not widths or len(set(widths)) > 1:
        raise ValueError(
            f"widths is {tuple(widths)}; the network 'residual' takes one number for each block, "
            "all the same, such as (64, 64)"
        )
    if not all(math.isfinite(frequency) and frequency > 0 for frequency in waves):
        raise ValueError(f"waves is {tuple(waves)}; frequencies are finite numbers above 0")
