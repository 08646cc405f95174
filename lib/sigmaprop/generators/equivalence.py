"""Instance noise and the penalties that stand for it: their gradients to the discriminator.

For the logistic loss, F(l) = softplus(-l) + softplus(l) being what a logit l costs where real and
generated examples are equally likely, noise eps of std s on both sides adds

    E F(l(x + s eps)) - F(l) = convex part + smoothing,
    convex part = E [F(l') - F(l) - F'(l) (l' - l)],  l' = l(x + s eps),
    smoothing = F'(l) E (l' - l) = (2 D - 1) (s^2 / 2) laplacian(l) + ...

The convex part is s^2/2 F''(l) |grad l|^2 = s^2/4 |grad l|^2 near D = 1/2, where F'' = 1/2: the
weight gamma of R1 (gamma/2 E |grad l|^2) is s^2/2, that of R1 + R2 s^2/4, that of Roth's form s^2.
The smoothing is of the same order in s and in l: it vanishes for a discriminator whose laplacian is
0, a linear one say, and for no other at every parameter.

Source: Roth et al. 2017, section 2.3; Bishop 1995, "Training with noise is equivalent to Tikhonov
regularization"; An 1996, "The effects of adding noise during backpropagation training", who keeps
the smoothing.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Float64

from sigmaprop.generators import losses, regularizers
from sigmaprop.generators.penalties import Discriminate, Match, by_block, flat, match, slopes
from sigmaprop.generators.regularizers import Points

WEIGHTS = {"r1": 0.5, "r1_r2": 0.25, "roth": 1.0, "approximate": 0.125}
"""What stands for noise of std s: these times s^2; of "approximate", R1 and R2 with s as their own
sigma, these: gamma / (2 s^2)."""
TREATMENTS = {
    "noise": "instance noise",
    "noise_convex": "its convex part",
    "roth": "Roth's form",
    "r1_r2": "R1 + R2",
    "approximate": "approximate R1 + R2",
}
"""What is compared with R1, in words."""
REFERENCE = "r1"
ALIKE = 0.02
"""How far apart gradients are that are called the same, relative."""


class Game(NamedTuple):
    """What a treatment is evaluated with.

    Attributes:
        discriminate: ``(params, x) -> logits``.
        x: real and generated examples, which are the same, [B, D].
        eps: standard normal draws, [B, D]; each is used with both signs.
        sigma: std of the noise. []
    """

    discriminate: Discriminate
    x: Float64[Array, "B D"]
    eps: Float64[Array, "B D"]
    sigma: Float64[Array, ""]


def cost(logit: Float[Array, " B"]) -> Float[Array, " B"]:
    """F, what the discriminator pays for a logit of a real and of a generated example."""
    loss = losses.get("non_saturating")
    return loss.real(logit) + loss.fake(logit)


def value(name: str, game: Game, params: Any) -> Float64[Array, ""]:
    """What a treatment adds to the discriminator's loss.

    What is random has the control variate w s^2 ((grad l . eps)^2 - |grad l|^2), w its weight; its
    mean is 0, and the sampling error of the gradients is left with terms of higher order in s.

    Args:
        name: of a treatment, or "r1".
        game: the discriminator, where it is, and the noise.
        params: of the discriminator, float64.
    """
    see = lambda x: game.discriminate(params, x)  # noqa: E731
    squared = game.sigma**2
    if name in ("noise", "noise_convex"):
        return jnp.mean(_noise(name, game, see))
    near = [game.x + sign * game.sigma * game.eps for sign in (1, -1)]
    if name == "approximate":
        along, mean = slopes(see, game.x, game.eps)
        pairs = [regularizers.squared_difference(see, game.x, one) for one in near]
        plain = (pairs[0] + pairs[1]) / 2 - squared * jnp.mean(along - mean)
        return WEIGHTS[name] * 2 * plain  # at real and at generated examples
    at = Points(game.x, game.x)
    parts = {"r1": ("r1",), "r1_r2": ("r1", "r2"), "roth": ("roth",)}[name]
    weight = WEIGHTS[name] * squared
    return regularizers.penalty(dict.fromkeys(parts, weight), see, at)


def gradients(
    discriminate: Discriminate,
    params: Any,
    x: Float64[Array, "B D"],
    eps: Float64[Array, "B D"],
    sigma: Float64[Array, ""],
) -> dict[str, Match]:
    """Every treatment's gradient to the discriminator's parameters beside that of R1.

    Args:
        discriminate: ``(params, x) -> logits`` in the dtype of its arguments.
        params: float64.
        x: examples, real and generated ones alike, a multiple of `penalties.BLOCKS`.
        eps: standard normal draws.
        sigma: std of the noise, in units of x.
    """

    def of_block(name: str) -> Callable[[Array, Array], Array]:
        def gradient(x: Array, eps: Array) -> Array:
            game = Game(discriminate, x, eps, sigma)
            return flat(jax.grad(lambda params: value(name, game, params))(params))

        return gradient

    right = by_block(of_block(REFERENCE), x, eps)
    return {name: match(by_block(of_block(name), x, eps), right) for name in TREATMENTS}


def scaled(
    discriminate: Discriminate, params: Any, x: Float64[Array, "B D"], logit: Float64[Array, ""]
) -> Discriminate:
    """The discriminator times the constant that makes the root mean square logit ``logit``.

    The constant stands outside the parameters: all layers keep their share of the gradient.
    """
    factor = logit / jnp.sqrt(jnp.mean(discriminate(params, x) ** 2))
    return lambda params, x: factor * discriminate(params, x)


def _noise(name: str, game: Game, see: Callable[[Array], Array]) -> Float64[Array, " B"]:
    """What noise adds for each example, all of it or its convex part alone."""
    logit = see(game.x)
    slope, curvature = _derivatives(logit)
    along, mean = slopes(see, game.x, game.eps)
    total = -0.5 * curvature * game.sigma**2 * (along - mean)
    for sign in (1, -1):
        change = see(game.x + sign * game.sigma * game.eps) - logit
        added = cost(logit + change) - cost(logit)
        if name == "noise_convex":
            added = added - slope * change
        total = total + added / 2
    return total


def _derivatives(logit: Array) -> tuple[Array, Array]:
    """F' = 2 D - 1 and F'' = 2 D (1 - D)."""
    d = jax.nn.sigmoid(logit)
    return 2 * d - 1, 2 * d * (1 - d)
