"""The generator's gradient by any estimator of the library.

The generator's loss of one sample is f(x) with x ~ N(mean(z), Sigma(z)). An estimator gives
dE f/d(mean, scale, factor) for the Gaussian of each latent; what remains is the chain rule to the
parameters that made these Gaussians, one vector-Jacobian product.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from sigmaprop.estimators import ESTIMATORS, of_label, parse
from sigmaprop.estimators.estimation import check_smoothness, estimate
from sigmaprop.gaussians import Diagonal, LowRank
from sigmaprop.generators.observation import NoiseScale
from sigmaprop.names import unknown

LABELS = tuple(label for label, record in ESTIMATORS.items() if record.single)
"""Estimators that can carry the gradient to the noise; all need one draw or more for a latent."""

GRADIENTS = ("pathwise", "at_mean")


class SampleLoss(NamedTuple):
    """The generator's loss of one sample, as estimators take it.

    Attributes:
        loss: x [D] to []; ``(x [D], beside) -> []`` where something belongs to each, see `at`.
        smoothness: "smooth" or "kink", of the discriminator.
        name: for messages.
    """

    loss: Callable[..., Array]
    smoothness: str
    name: str = "the discriminator"

    def __call__(self, x: Float[Array, " D"]) -> Float[Array, ""]:
        """f(x)."""
        return self.loss(x)

    def at(self, beside: Any) -> "SampleLoss":
        """The loss of one latent, given what belongs to it, if there is anything: f_i."""
        if not jax.tree.leaves(beside):
            return self
        return self._replace(loss=lambda x: self.loss(x, beside))


def check(sigma_gradient: str, smoothness: str, name: str) -> None:
    """Refuses an unknown estimator, and Price's rule where the discriminator has kinks.

    Raises:
        ValueError: naming the estimator and what forbids it.
    """
    if sigma_gradient not in LABELS:
        raise unknown("sigma-gradient", sigma_gradient, LABELS)
    if ESTIMATORS[sigma_gradient].derivatives == 2 and smoothness != "smooth":
        others = ", ".join(label for label in LABELS if ESTIMATORS[label].derivatives < 2)
        raise ValueError(
            f"--sigma-gradient {sigma_gradient} has no meaning with the discriminator {name}: its "
            "activation has kinks, and the second derivative in them is invisible to automatic "
            "differentiation; choose --discriminator-activation softplus, or another "
            f"--sigma-gradient ({others})"
        )


def gaussians(mean: Float[Array, "B D"], noise: NoiseScale) -> Diagonal | LowRank:
    """The Gaussian of each sample, stacked along the leading axis."""
    scale = jnp.broadcast_to(noise.scale, mean.shape)
    if noise.factor is None:
        return Diagonal(mean, scale)
    factor = jnp.broadcast_to(noise.factor, (mean.shape[0], *noise.factor.shape))
    return LowRank(mean, scale, factor)


def loss_and_gaussian_grads(
    sample_loss: SampleLoss,
    stacked: Diagonal | LowRank,
    key: Key[Array, ""],
    *,
    gradient: str,
    sigma_gradient: str,
    num_samples: int,
    beside: Any = None,
) -> tuple[Float[Array, " B"], Any]:
    """Losses and gradients of each sample's Gaussian.

    Args:
        sample_loss: f.
        stacked: one Gaussian for each latent, leading axis B.
        key: of the noise; each latent has its own.
        gradient: how the mean is differentiated, of `GRADIENTS`.
        sigma_gradient: how the rest is, of `LABELS`.
        num_samples: draws for each latent.
        beside: what belongs to each latent, arrays [B, ...], where ``sample_loss`` takes it.

    Returns:
        (E f of each Gaussian [B], Gaussian-shaped gradients [B, ...]). To a scale of exactly 0 the
        gradient is set to 0: an arm with that scale does not learn it.
    """
    check_smoothness(sample_loss, of_label(sigma_gradient))
    keys = jax.random.split(key, stacked.mean.shape[0])

    def by(label: str) -> Any:
        choice = parse(label)

        def one(gaussian: Any, key: Array, own: Any) -> tuple[Array, Any]:
            found = estimate(
                sample_loss.at(own),
                gaussian,
                key,
                num_samples,
                estimator=choice.name,
                control_variate=choice.control_variate,
            )
            return found.value, found.gradient

        return jax.vmap(one)(stacked, keys, beside)

    value, found = by(sigma_gradient)
    frozen = stacked.scale == 0
    scale = jnp.where(frozen, 0.0, found.scale)
    # A rule that is exact in the mean only on average would be a third estimator: the mean is
    # always differentiated as `gradient` says.
    mean = found.mean if _same_mean(gradient, sigma_gradient) else by(gradient)[1].mean
    if isinstance(found, LowRank):
        factor = jnp.where(frozen[..., None], 0.0, found.factor)
        return value, LowRank(mean, scale, factor)
    return value, Diagonal(mean, scale)


def _same_mean(gradient: str, sigma_gradient: str) -> bool:
    """Whether the estimator of the noise differentiates the mean in the way that is asked for."""
    return gradient == "pathwise" and sigma_gradient in ("pathwise", "pathwise+at_mean")
