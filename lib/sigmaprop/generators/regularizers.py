"""Penalties on the discriminator: on its gradient with respect to x, not to its parameters.

All take ``discriminate``: a batch of x [B, D] to logits [B], without dropout. Which penalties a
program holds is static; their weights belong to the replicas.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from sigmaprop.names import Registry
from sigmaprop.noise import normal_rows


class Points(NamedTuple):
    """Where the penalties are taken.

    Attributes:
        real: real examples, [B, D], without noise or as the discriminator saw them.
        fake: generated ones, [B, D], likewise.
        between: a point of each segment from a real to a generated example, [B, D]; None where no
            penalty asks for it.
        near_real: the real examples with a little noise, [B, D]; None likewise.
        near_fake: the generated ones with noise of their own, [B, D]; None likewise.
    """

    real: Float[Array, "B D"]
    fake: Float[Array, "B D"]
    between: Any = None
    near_real: Any = None
    near_fake: Any = None


def check(name: str) -> None:
    """Refuses an unknown penalty.

    Raises:
        ValueError: naming the nearest.
    """
    REGULARIZERS.check(name)


def points(
    names: tuple[str, ...],
    real: Float[Array, "B D"],
    fake: Float[Array, "B D"],
    key: Key[Array, ""],
    key_noise: Key[Array, ""],
    sigma: Float[Array, ""] | None = None,
) -> Points:
    """The points that penalties of these names are taken at.

    Args:
        names: of the penalties.
        real: real examples.
        fake: generated ones.
        key: of the points between them.
        key_noise: of the noise of the approximate penalties; each has a key of its own.
        sigma: its std, in units of x.

    Raises:
        ValueError: an approximate penalty without a sigma.
    """
    between = None
    if "gradient_penalty" in names:
        share = jax.random.uniform(key, (real.shape[0], 1))
        between = share * real + (1.0 - share) * fake
    near: list[Array | None] = [None, None]
    for number, (name, x) in enumerate((("approximate_r1", real), ("approximate_r2", fake))):
        if name in names:
            if sigma is None:
                raise ValueError(f"sigma is None; {name} needs the std of its noise")
            eps = normal_rows(jax.random.fold_in(key_noise, number), 0, *x.shape)
            near[number] = x + sigma * eps
    return Points(real, fake, between, *near)


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


def squared_difference(
    discriminate: Callable[[Array], Array], x: Float[Array, "B D"], near: Float[Array, "B D"]
) -> Float[Array, ""]:
    """E |logit(near) - logit(x)|^2, []: both branches carry the gradient to the parameters.

    With the gradient of one branch alone the linear term of the difference averages out, and what
    is left has nothing to do with |grad logit|^2.
    """
    logits = discriminate(jnp.concatenate([x, near]))
    size = x.shape[0]
    return jnp.mean((logits[size:] - logits[:size]) ** 2)


def approximate_r1(discriminate: Callable[[Array], Array], points: Points) -> Array:
    """E |logit(x + s eps) - logit(x)|^2 at real examples, about s^2 E |grad logit|^2.

    So the weight gamma / (2 s^2) stands for the weight gamma of `r1`. It is off by the curvature
    of the discriminator where s is large. Where s is small the two logits agree in their leading
    digits: if each is rounded with variance v, 2 v is added, and the penalty is of no use below
    s = sqrt(2 v) / |grad logit|. `sigmaprop penalties` measures both ends.

    Source: Lin et al. 2025, "Diffusion adversarial post-training for one-step video generation",
    https://arxiv.org/abs/2501.08316, equation 5 (weight 100, s = .01 for images, .1 for videos).
    """
    return squared_difference(discriminate, points.real, points.near_real)


def approximate_r2(discriminate: Callable[[Array], Array], points: Points) -> Array:
    """The same at generated examples.

    Source: the same.
    """
    return squared_difference(discriminate, points.fake, points.near_fake)


REGULARIZERS = Registry(
    "regularizer",
    {
        **{"r1": r1, "r2": r2, "gradient_penalty": gradient_penalty, "roth": roth},
        **{"approximate_r1": approximate_r1, "approximate_r2": approximate_r2},
    },
)
NAMES = tuple(REGULARIZERS)
