r"""Losses of the two players, as functions of the discriminator's logits.

Each is a mean over examples of a function of one logit, so the generator's loss of one sample is
the f of E f(mean + scale eps), and every estimator of this project applies to it. A paired loss is
a function of the difference to the logit of one real example: f_i(x), with the example drawn beside
the sample, and all the same holds.
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
        paired: whether the logits come in pairs of a real and a generated example: ``real`` is then
            what the discriminator pays for l(real) - l(fake), ``generator`` what the generator pays
            for l(fake) - l(real), and ``fake`` is 0.
    """

    name: str
    real: Callable[[Array], Array]
    fake: Callable[[Array], Array]
    generator: Callable[[Array], Array]
    text: str = ""
    paired: bool = False

    def of_generated(
        self, logit: Float[Array, "*B"], rival: Float[Array, "*B"] | None
    ) -> Float[Array, "*B"]:
        """What the generator pays, entry by entry.

        Args:
            logit: of its examples.
            rival: of the real examples that they are paired with, None where the loss has no pairs.
        """
        return self.generator(logit if rival is None else logit - rival)

    def discriminator(self, real: Float[Array, " B"], fake: Float[Array, " B"]) -> Float[Array, ""]:
        """The discriminator's loss, from the logits of real and generated examples."""
        if self.paired:
            return jnp.mean(self.real(real - fake))
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
    "Wasserstein GAN", equation 2; Jolicoeur-Martineau 2019, "The relativistic discriminator",
    section 4.1, with the logistic function, as in R3GAN (arXiv 2501.05441, equation 2).
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
            Loss(
                "relativistic",
                _softplus_of_negative,
                jnp.zeros_like,
                _softplus_of_negative,
                "pairs; D: log(1 + exp(l(fake) - l(real))); G: log(1 + exp(l(real) - l(fake)))",
                paired=True,
            ),
        )
    },
)
