"""Noise on all that the discriminator sees: its level for each example, and its largest level.

Instance noise has one level for a step; practice draws a level for each example, tells it to the
discriminator, or raises the largest level while the discriminator overfits.

Source: Sonderby et al. 2017, "Amortised MAP inference for image super-resolution", section 3.3
(instance noise); Karras et al. 2022, "Elucidating the design space of diffusion-based generative
models", section 5, for log-normal levels; Wang et al. 2023, "Diffusion-GAN" (arXiv 2206.02262),
section 3.3, for levels that the discriminator is told and a maximum that follows the sign of its
outputs.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from sigmaprop.generators.networks.base import Network
from sigmaprop.names import unknown

LEVELS = ("constant", "uniform", "half_normal", "log_normal")
"""Laws of the factor between an example's std and the step's: 1; uniform from 0 to 1; |N(0, 1)|;
exp N(0, 1)."""

SMALLEST_SHARE = 0.05
"""Of the largest level, where it adapts: without noise no output could raise it again."""


class Instance(NamedTuple):
    """What one replica has of its own.

    Attributes:
        law: index into `LEVELS`, [].
        target: mean sign of the logits of real examples at which the largest level stays; 0 where
            it does not adapt, and is 1. []
        rate: what the largest level moves by in a step, as a share of it all, > 0. []
    """

    law: Int[Array, ""]
    target: Float[Array, ""]
    rate: Float[Array, ""]


def instance(
    law: str = "constant",
    target: float = 0.0,
    rate: float = 1e-3,
    *,
    array: Callable[..., Any] = jnp.asarray,
) -> Instance:
    """That of one replica.

    Args:
        law: one of `LEVELS`.
        target: see `Instance`.
        rate: see `Instance`.
        array: makes the arrays; `np.asarray` leaves them on the host, where those of thousands of
            replicas are stacked without a call to a device for each.

    Raises:
        ValueError: unknown law; the nearest is named.
    """
    if law not in LEVELS:
        raise unknown("instance level", law, LEVELS)
    number = array(LEVELS.index(law), jnp.int32)
    return Instance(number, array(target, jnp.float32), array(rate, jnp.float32))


def levels(law: Int[Array, ""], key: Key[Array, ""], num: int) -> Float[Array, "num 1"]:
    """The factor of each example, whose law is an array so that replicas may differ in it."""
    key_uniform, key_normal = jax.random.split(key)
    uniform = jax.random.uniform(key_uniform, (num, 1))
    normal = jax.random.normal(key_normal, (num, 1))
    each = jnp.stack([jnp.ones((num, 1)), uniform, jnp.abs(normal), jnp.exp(normal)])
    return each[law]


def adapted(share: Float[Array, ""], sign: Float[Array, ""], own: Instance) -> Float[Array, ""]:
    """The largest level after a step, as a share of what it may be.

    It rises while the discriminator is surer of real examples than the target, and falls else.

    Args:
        share: before it.
        sign: mean sign of the logits of real examples.
        own: the replica's.
    """
    moved = jnp.clip(share + own.rate * jnp.sign(sign - own.target), SMALLEST_SHARE, 1.0)
    return jnp.where(own.target > 0, moved, 1.0)


def told_shape(shape: tuple[int, ...], plane: bool) -> tuple[int, ...]:
    """The shape of what a discriminator sees that is told the level of each example.

    Args:
        shape: of an example.
        plane: whether the level is a plane of the image, as convolutions need it; else it is one
            more coordinate.
    """
    return (*shape[:-1], shape[-1] + 1) if plane else (math.prod(shape) + 1,)


def told(inner: Network, shape: tuple[int, ...], plane: bool) -> Network:
    """A discriminator that is given the level beside the example.

    Args:
        inner: of `told_shape`.
        shape: of an example.
        plane: see `told_shape`.

    Returns:
        A Network with ``apply(params, x [B, D], key=None, level=None) -> logits [B]``; the level
        is the std of the example's noise, [B, 1], and 0 where it is None.
    """

    def apply(params: Any, x: Array, key: Array | None = None, level: Array | None = None) -> Array:
        level = jnp.zeros((x.shape[0], 1)) if level is None else level
        if not plane:
            return inner.apply(params, jnp.concatenate([x, level], axis=-1), key)
        images = x.reshape(-1, *shape)
        planes = jnp.broadcast_to(level[..., None, None], (*images.shape[:-1], 1))
        both = jnp.concatenate([images, planes], axis=-1)
        return inner.apply(params, both.reshape(x.shape[0], -1), key)

    return inner._replace(apply=apply, in_dim=math.prod(shape))
