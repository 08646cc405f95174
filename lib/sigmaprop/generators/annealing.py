"""What a run lets go of on its way: rates, the penalties' weights, the length of Adam's memory.

Each moves from its first value to its last by half a cosine over the first part of the run, as an
absolute function of the step, and stays there.

Source: Huang et al. 2024, "The GAN is dead; long live the GAN! A modern baseline GAN" (R3GAN,
arXiv 2501.05441), the table of hyperparameters: rates, gamma, beta2 and the half-life of the moving
average change over the first part of training.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int


class Annealing(NamedTuple):
    """How one replica anneals.

    Attributes:
        steps: from the first values to the last, >= 1. []
        warm_up: steps over which the networks' rates rise from 0, before all else; 0 is none. []
        rate_fall: divisor of the networks' rates at the end, >= 1. []
        penalty_fall: divisor of the penalties' weights at the end, >= 1; by a cosine of their
            logarithm. []
        b2_last: Adam's decay of the second moment at the end. []
        half_life: of the moving average, as a share of the steps so far; 0 leaves the rule of
            `step`. []
    """

    steps: Int[Array, ""]
    warm_up: Int[Array, ""]
    rate_fall: Float[Array, ""]
    penalty_fall: Float[Array, ""]
    b2_last: Float[Array, ""]
    half_life: Float[Array, ""]

    def progress(self, t: Int[Array, ""]) -> Float[Array, ""]:
        """0 at the first step, 1 from ``steps`` on, half a cosine between."""
        share = jnp.clip(t / self.steps, 0.0, 1.0).astype(jnp.float32)
        return 0.5 * (1.0 - jnp.cos(jnp.pi * share))

    def rate_factor(self, t: Int[Array, ""]) -> Float[Array, ""]:
        """What the networks' rates are multiplied by."""
        rising = jnp.clip((t + 1) / jnp.maximum(self.warm_up, 1), 0.0, 1.0).astype(jnp.float32)
        return rising * (1.0 + (1.0 / self.rate_fall - 1.0) * self.progress(t))

    def penalty_factor(self, t: Int[Array, ""]) -> Float[Array, ""]:
        """What the penalties' weights are multiplied by."""
        return jnp.exp(-jnp.log(self.penalty_fall) * self.progress(t))

    def b2(self, first: float, t: Int[Array, ""]) -> Float[Array, ""]:
        """Adam's decay of the second moment."""
        return first + (self.b2_last - first) * self.progress(t)

    def average_decay(self, decay: Float[Array, ""], t: Int[Array, ""]) -> Float[Array, ""]:
        """The decay of the moving average after step ``t``, at most ``decay``."""
        asked = self.half_life > 0
        life = jnp.where(asked, self.half_life, 1.0) * (t + 1.0)
        return jnp.where(asked, jnp.minimum(decay, 0.5 ** (1.0 / life)), ramped(decay, t))


def ramped(decay: Float[Array, ""], t: Int[Array, ""]) -> Float[Array, ""]:
    """A decay whose memory is at first no longer than a tenth of the run so far.

    At first it is (1 + t) / (10 + t): else the initial weights would count for thousands of steps.
    """
    return jnp.minimum(decay, (1.0 + t) / (10.0 + t))
