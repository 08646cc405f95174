"""Multilayer perceptrons."""

import itertools
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax.nn.initializers import Initializer
from jaxtyping import Array

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


class Mlp(nnx.Module):
    """Dense layers; the activation after all but the last, the output function after that."""

    def __init__(
        self,
        sizes: tuple[int, ...],
        *,
        rngs: nnx.Rngs,
        activation: str = "identity",
        output: str = "linear",
        dtype: str = "float32",
        kernel_init: Initializer | None = None,
        output_init: Initializer = LECUN,
        use_bias: bool = True,
        late_dim: int = 0,
    ):
        *hidden, last = itertools.pairwise(sizes)
        self.activation, _, default_init = activation_named(activation)
        self.output_function = output_named(output)
        self.depth = len(hidden)
        options: dict[str, Any] = {"rngs": rngs, "dtype": dtype_named(dtype)}
        for layer, pair in enumerate(hidden):
            dense = Dense(*pair, kernel_init=kernel_init or default_init, **options)
            setattr(self, f"hidden_{layer}", dense)
        self.output = Dense(*last, kernel_init=output_init, use_bias=use_bias, **options)
        self.late_dim = late_dim
        if late_dim:
            self.late = late_layer(late_dim, last[0], **options)

    def layers(self, x: Array) -> tuple[Array, Array]:
        """The output [B, O] and the last hidden layer [B, F], which is x if there is none."""
        x, late = jnp.split(x, [x.shape[-1] - self.late_dim], axis=-1) if self.late_dim else (x, x)
        for layer in range(self.depth):
            x = getattr(self, f"hidden_{layer}")(x)
            if self.late_dim and layer == self.depth - 1:
                x = x + self.late(late)
            x = self.activation(x)
        y = self.output(x).astype(jnp.float32)
        return self.output_function(y), x.astype(jnp.float32)


class _MlpGenerator(Mlp):
    def __call__(self, z: Array) -> GeneratorOutput:
        return GeneratorOutput(*self.layers(z))


class _MlpDiscriminator(Mlp):
    def __call__(self, x: Array, key: Array | None = None) -> Array:
        del key
        return self.layers(x)[0][:, 0]


def build_generator(
    name: str, sizes: tuple[int, ...], *, late_dim: int = 0, **options: Any
) -> Network:
    """The generator of that name with layers of these sizes, the first Z and the last D.

    ``late_dim`` further latents enter at its last hidden layer.
    """
    check_positive("latent_dim", sizes[0])
    check_positive("dim", sizes[-1])
    if late_dim and len(sizes) == 2:
        raise ValueError(
            f"late_dim is {late_dim}; latents enter at a hidden layer, and the generator {name!r} "
            "has none: give it widths"
        )
    return network(
        lambda rngs: _MlpGenerator(sizes, rngs=rngs, late_dim=late_dim, **options),
        name=name,
        smoothness=mlp_smoothness(sizes, options),
        in_dim=sizes[0] + late_dim,
        out_dim=sizes[-1],
        feature_dim=sizes[-2],
        late_dim=late_dim,
    )


def build_discriminator(name: str, sizes: tuple[int, ...], **options: Any) -> Network:
    """The discriminator of that name with layers of these sizes, the first D and the last 1."""
    check_positive("dim", sizes[0])
    return network(
        lambda rngs: _MlpDiscriminator(sizes, rngs=rngs, **options),
        name=name,
        smoothness=mlp_smoothness(sizes, options),
        in_dim=sizes[0],
    )


def mlp_smoothness(sizes: tuple[int, ...], options: dict[str, Any]) -> Any:
    """That of the activation where there is a hidden layer."""
    check_positive("widths", *sizes[1:-1])
    return "smooth" if len(sizes) == 2 else activation_named(options["activation"]).smoothness


def mlp_generator(
    latent_dim: int,
    dim: int,
    *,
    widths: tuple[int, ...] = (256, 256),
    activation: str = "relu",
    output: str = "linear",
    dtype: str = "float32",
    late_dim: int = 0,
) -> Network:
    """A generator of dense layers.

    Kernels begin as He's (2015) normal before relu, leaky_relu, silu and gelu, as LeCun's (1998)
    before the others and the output; biases begin at 0.

    Args:
        latent_dim: Z.
        dim: D.
        widths: of the hidden layers; none of them makes it linear, with z as its features.
        activation: a name in ``ACTIVATIONS``.
        output: "linear", "sigmoid" or "tanh".
        dtype: in which products are computed, "float32" or "bfloat16"; parameters and outputs are
            float32.
        late_dim: K latents behind the first Z that enter at the last hidden layer, see
            `base.late_layer`.

    Returns:
        A Network with ``apply(params, z [B, Z + K]) -> GeneratorOutput``.

    Raises:
        ValueError: a name or a size is unknown.
    """
    sizes = (latent_dim, *widths, dim)
    options = {"activation": activation, "output": output, "dtype": dtype}
    return build_generator("mlp", sizes, late_dim=late_dim, **options)


def mlp_discriminator(
    dim: int,
    *,
    widths: tuple[int, ...] = (256, 256),
    activation: str = "leaky_relu",
    dtype: str = "float32",
) -> Network:
    """A discriminator of dense layers; the options are those of `mlp_generator`.

    Returns:
        A Network with ``apply(params, x [B, D], key=None) -> logits [B]``; it reads no key.

    Raises:
        ValueError: a name or a size is unknown.
    """
    return build_discriminator("mlp", (dim, *widths, 1), activation=activation, dtype=dtype)
