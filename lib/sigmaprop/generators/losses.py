r"""Losses of the two players, as functions of the discriminator's logits.

Each is a mean over examples of a function of one logit, so the generator's loss of one sample is
the f of E f(mean + scale eps), and every estimator of this project applies to it.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from sigmaprop.names import Registry


class Loss(NamedTuple):
    r"""Three functions of logits l, entry by entry; every player minimises.

    Attributes:
        name: for the command line.
        real: what the discriminator pays for a real example.
        fake: what it pays for a generated one.
        generator: what the generator pays for its own.
        text: its formulas in one line, as listings show them.
    """

    name: str
    real: Callable[[Array], Array]
    fake: Callable[[Array], Array]
    generator: Callable[[Array], Array]
    text: str = ""

    def discriminator(self, real: Float[Array, " B"], fake: Float[Array, " B"]) -> Float[Array, ""]:
        """The discriminator's loss, from the logits of real and generated examples."""
        return jnp.mean(self.real(real)) + jnp.mean(self.fake(fake))


def names() -> tuple[str, ...]:
    """The losses' names."""
    return tuple(LOSSES)


def get(name: str) -> Loss:
    """The loss of this name.

    Raises:
        ValueError: unknown name; the nearest is named.

    Source: Goodfellow et al. 2014, "Generative adversarial nets", equation 1 (minimax) and section
    3 (non_saturating); Mao et al. 2017, "Least squares GANs", equation 9 with a = 0, b = c = 1;
    Lim, Ye 2017, "Geometric GAN", equations 13 and 14 (hinge); Arjovsky, Chintala, Bottou 2017,
    "Wasserstein GAN", equation 2.
    """
    return LOSSES[name]


def _softplus_of_negative(logit: Array) -> Array:
    """``-log D`` with D = sigmoid(l)."""
    return jax.nn.softplus(-logit)


LOSSES = Registry(
    "loss",
    {
        loss.name: loss
        for loss in (
            Loss(
                "non_saturating",
                _softplus_of_negative,
                jax.nn.softplus,
                _softplus_of_negative,
                "D: -log D(real) - log(1 - D(fake)); G: -log D(fake)",
            ),
            Loss(
                "minimax",
                _softplus_of_negative,
                jax.nn.softplus,
                lambda logit: -jax.nn.softplus(logit),
                "the same for D; G: log(1 - D(fake))",
            ),
            Loss(
                "least_squares",
                lambda logit: 0.5 * (logit - 1.0) ** 2,
                lambda logit: 0.5 * logit**2,
                lambda logit: 0.5 * (logit - 1.0) ** 2,
                "D: (l - 1)^2/2 + l^2/2; G: (l - 1)^2/2",
            ),
            Loss(
                "hinge",
                lambda logit: jax.nn.relu(1.0 - logit),
                lambda logit: jax.nn.relu(1.0 + logit),
                jnp.negative,
                "D: max(0, 1 - l) + max(0, 1 + l); G: -l",
            ),
            Loss(
                "wasserstein",
                jnp.negative,
                lambda logit: logit,
                jnp.negative,
                "D: l(fake) - l(real); G: -l",
            ),
        )
    },
)
