"""Encoders: from an example to a diagonal Gaussian over its latent, q(z|x)."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from sigmaprop.generators.networks.base import Network, check_positive, network
from sigmaprop.generators.networks.mlp import Mlp, mlp_smoothness

LOWEST, HIGHEST = -10.0, 2.0
"""Where log scale may be. No posterior of a Gaussian likelihood around a linear mean is wider than
the prior, whose scale is 1."""


class EncoderOutput(NamedTuple):
    """q(z|x) = N(mean, diag(scale^2)) of a batch.

    Attributes:
        mean: [B, Z].
        log_scale: [B, Z], between `LOWEST` and `HIGHEST`.
    """

    mean: Float[Array, "B Z"]
    log_scale: Float[Array, "B Z"]


class _MlpEncoder(Mlp):
    def __call__(self, x: Array) -> EncoderOutput:
        mean, raw = jnp.split(self.layers(x)[0], 2, axis=-1)
        return EncoderOutput(mean, bounded(raw))


def bounded(raw: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """A smooth, increasing map to (`LOWEST`, `HIGHEST`), nearly the identity in between.

    Its slope is nowhere 0, so a scale at a bound can come back.

    Source: Rybkin, Daniilidis, Levine 2021, "Simple and effective VAE training with calibrated
    decoders", whose code bounds log sigma from below so,
    https://arxiv.org/abs/2006.13202.
    """
    below = HIGHEST - jax.nn.softplus(HIGHEST - raw)
    return LOWEST + (HIGHEST - LOWEST) * jax.nn.softplus(below - LOWEST) / _WIDEST


_WIDEST = math.log1p(math.exp(HIGHEST - LOWEST))
"""What softplus makes of the largest input, which is to be `HIGHEST`."""


def mlp_encoder(
    dim: int,
    latent_dim: int,
    *,
    widths: tuple[int, ...] = (256, 256),
    activation: str = "relu",
    dtype: str = "float32",
) -> Network:
    """An encoder of dense layers.

    Args:
        dim: D.
        latent_dim: Z.
        widths: of the hidden layers; none of them makes mean and raw log scale linear in x, which
            holds the exact posterior of a linear decoder.
        activation: a name in ``ACTIVATIONS``.
        dtype: in which products are computed, "float32" or "bfloat16"; parameters and outputs are
            float32.

    Returns:
        A Network with ``apply(params, x [B, D]) -> EncoderOutput``.

    Raises:
        ValueError: a name or a size is unknown.
    """
    check_positive("dim", dim)
    check_positive("latent_dim", latent_dim)
    sizes = (dim, *widths, 2 * latent_dim)
    return network(
        lambda rngs: _MlpEncoder(sizes, rngs=rngs, activation=activation, dtype=dtype),
        name="mlp",
        smoothness=mlp_smoothness(sizes, {"activation": activation}),
        in_dim=dim,
        out_dim=2 * latent_dim,
    )
