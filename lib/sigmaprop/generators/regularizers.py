"""Penalties on the discriminator: on its gradient with respect to x, not to its parameters.

All take ``discriminate``: a batch of x [B, D] to logits [B], without dropout. Which penalties a
program holds is static; their weights belong to the replicas.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from sigmaprop.names import Registry


class Points(NamedTuple):
    """Where the penalties are taken.

    Attributes:
        real: real examples, [B, D], without noise or as the discriminator saw them.
        fake: generated ones, [B, D], likewise.
        between: a point of each segment from a real to a generated example, [B, D]; None where no
            penalty asks for it.
    """

    real: Float[Array, "B D"]
    fake: Float[Array, "B D"]
    between: Any = None


def check(name: str) -> None:
    """Refuses an unknown penalty.

    Raises:
        ValueError: naming the nearest.
    """
    REGULARIZERS.check(name)


def penalty(
    weights: dict[str, Float[Array, ""]],
    discriminate: Callable[[Array], Array],
    points: Points,
) -> Float[Array, ""]:
    """The weighted sum of the penalties that ``weights`` names, []."""
    total = jnp.zeros(())
    for name in REGULARIZERS:
        if name in weights:
            total = total + weights[name] * REGULARIZERS[name](discriminate, points)
    return total


def squared_gradient(
    discriminate: Callable[[Array], Array], x: Float[Array, "B D"]
) -> tuple[Float[Array, " B"], Float[Array, " B"]]:
    """Logits and |grad_x logit|^2 of each example."""
    logits, pull = jax.vjp(discriminate, x)
    (gradient,) = pull(jnp.ones_like(logits))
    return logits, jnp.sum(gradient**2, axis=-1)


def r1(discriminate: Callable[[Array], Array], points: Points) -> Array:
    """E |grad logit|^2 / 2 at real examples.

    Source: Mescheder, Geiger, Nowozin 2018, "Which training methods for GANs do actually
    converge?", equation 9.
    """
    return 0.5 * jnp.mean(squared_gradient(discriminate, points.real)[1])


def r2(discriminate: Callable[[Array], Array], points: Points) -> Array:
    """The same at generated examples.

    Source: the same, equation 10.
    """
    return 0.5 * jnp.mean(squared_gradient(discriminate, points.fake)[1])


def gradient_penalty(discriminate: Callable[[Array], Array], points: Points) -> Array:
    """E (|grad logit| - 1)^2 between real and generated examples.

    Source: Gulrajani et al. 2017, "Improved training of Wasserstein GANs", equation 3.
    """
    squared = squared_gradient(discriminate, points.between)[1]
    positive = squared > 0
    norm = jnp.where(positive, jnp.sqrt(jnp.where(positive, squared, 1.0)), 0.0)
    return jnp.mean((norm - 1.0) ** 2)


def roth(discriminate: Callable[[Array], Array], points: Points) -> Array:
    """(E (1-D)^2 |grad logit|^2 at real + E D^2 |grad logit|^2 at generated examples) / 2.

    Its weight is the variance of the noise that it stands for.

    Source: Roth et al. 2017, "Stabilizing training of generative adversarial networks through
    regularization", equation 20.
    """
    real, at_real = squared_gradient(discriminate, points.real)
    fake, at_fake = squared_gradient(discriminate, points.fake)
    return 0.5 * (
        jnp.mean(jax.nn.sigmoid(-real) ** 2 * at_real)
        + jnp.mean(jax.nn.sigmoid(fake) ** 2 * at_fake)
    )


REGULARIZERS = Registry(
    "regularizer", {"r1": r1, "r2": r2, "gradient_penalty": gradient_penalty, "roth": roth}
)
NAMES = tuple(REGULARIZERS)
