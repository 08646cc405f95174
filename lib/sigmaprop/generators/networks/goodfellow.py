"""The networks of the first GANs on MNIST: rectifiers against maxout with dropout.

Source: Goodfellow et al. 2014, "Generative adversarial nets", and the settings published with it:
https://github.com/goodfeli/adversarial/blob/master/mnist.yaml; Goodfellow et al. 2013, "Maxout
networks", for maxout.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.nn.initializers import Initializer
from jaxtyping import Array

from sigmaprop.generators.networks.base import Dense, Network, check_positive, dtype_named, network
from sigmaprop.generators.networks.mlp import build_generator

GENERATOR_WIDTHS = (1200, 1200)
MAXOUT_WIDTHS = (240, 240)
MAXOUT_PIECES = 5
KEEP_INPUT = 0.8
KEEP_HIDDEN = 0.5


class _Maxout(nnx.Module):
    """The largest of five affine functions, for each unit."""

    def __init__(self, in_dim: int, width: int, **options: Any):
        self.dense = Dense(in_dim, MAXOUT_PIECES * width, **options)

    def __call__(self, x: Array) -> Array:
        return self.dense(x).reshape(x.shape[0], MAXOUT_PIECES, -1).max(axis=1)


class _Discriminator(nnx.Module):
    def __init__(self, dim: int, *, dropout: bool, rngs: nnx.Rngs, dtype: Any):
        width_0, width_1 = MAXOUT_WIDTHS
        options: dict[str, Any] = {"rngs": rngs, "kernel_init": _uniform(0.005), "dtype": dtype}
        self.dropout = dropout
        self.hidden_0 = _Maxout(dim, width_0, **options)
        self.hidden_1 = _Maxout(width_0, width_1, **options)
        self.output = Dense(width_1, 1, **options)

    def __call__(self, x: Array, key: Array | None = None) -> Array:
        if key is None or not self.dropout:
            return self.output(self.hidden_1(self.hidden_0(x)))[:, 0].astype(jnp.float32)
        key_0, key_1, key_2 = jax.random.split(key, 3)
        h = self.hidden_0(drop(key_0, x, KEEP_INPUT))
        h = self.hidden_1(drop(key_1, h, KEEP_HIDDEN))
        return self.output(drop(key_2, h, KEEP_HIDDEN))[:, 0].astype(jnp.float32)


def drop(key: Array, x: Array, keep: float) -> Array:
    """``x`` with each entry kept with probability ``keep`` and divided by it, 0 otherwise."""
    return jnp.where(jax.random.bernoulli(key, keep, x.shape), x / keep, 0.0)


def goodfellow_generator(
    latent_dim: int = 100,
    dim: int = 784,
    *,
    output: str = "sigmoid",
    dtype: str = "float32",
) -> Network:
    """Two layers of 1200 rectifiers; kernels uniform on +-.05, biases 0.

    The published code begins the output's bias at the logit of each pixel's mean, which this does
    not.

    Args:
        latent_dim: Z; their z is uniform on +-sqrt(3).
        dim: D.
        output: "sigmoid" as published, "linear" or "tanh".
        dtype: in which products are computed, "float32" or "bfloat16".

    Returns:
        A Network with ``apply(params, z [B, Z]) -> GeneratorOutput``.

    Raises:
        ValueError: a name or a size is unknown.
    """
    init = _uniform(0.05)
    return build_generator(
        "goodfellow2014",
        (latent_dim, *GENERATOR_WIDTHS, dim),
        activation="relu",
        output=output,
        dtype=dtype,
        kernel_init=init,
        output_init=init,
    )


def goodfellow_discriminator(
    dim: int = 784, *, dropout: bool = True, dtype: str = "float32"
) -> Network:
    """Two layers of 240 maxout units of 5 pieces; kernels uniform on +-.005, biases 0.

    With a key, dropout keeps .8 of the inputs and .5 of the units of each hidden layer, dividing
    them by that; without one every entry stays as it is, which is their mean.

    Args:
        dim: D.
        dropout: whether a key means dropout.
        dtype: in which products are computed, "float32" or "bfloat16".

    Returns:
        A Network with ``apply(params, x [B, D], key=None) -> logits [B]``.

    Raises:
        ValueError: ``dim`` is no size, or ``dtype`` is unknown.
    """
    check_positive("dim", dim)
    compute = dtype_named(dtype)
    return network(
        lambda rngs: _Discriminator(dim, dropout=dropout, rngs=rngs, dtype=compute),
        name="goodfellow2014",
        smoothness="kink",
        in_dim=dim,
        uses_key=dropout,
    )


def _uniform(bound: float) -> Initializer:
    """Uniform on +-bound."""

    def init(key, shape, dtype=jnp.float32, out_sharding=None):
        del out_sharding
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return init
