"""The distributions of latents, as functions of standard normal variables u.

All samplers move in u, whose density is N(0, I) under every prior, and a decoder sees z of u. So no
Jacobian of z(u) is part of any density, and no chain can leave the support of a bounded prior.
"""

import math

import jax.numpy as jnp
from jax.scipy.stats import norm
from jaxtyping import Array, Float

from sigmaprop.names import Registry

EDGE = math.sqrt(3.0)
"""Of the uniform latents, so that their variance is 1."""

PRIORS = Registry(
    "prior",
    {
        "normal": "N(0, I)",
        "uniform": "uniform between -sqrt(3) and sqrt(3), of variance 1",
    },
)
"""What latents may be, each in one line."""

_SMALLEST_SHARE = 2.0**-24
"""Half the spacing of uniform draws: the edge itself would be infinitely far out."""


def from_normal(prior: str, u: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """The latents of standard normal variables; the inverse of `to_normal`."""
    return u if prior == "normal" else EDGE * (2.0 * norm.cdf(u) - 1.0)


def to_normal(prior: str, z: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """The standard normal variables that latents are a function of."""
    if prior == "normal":
        return z
    share = 0.5 + 0.5 * z / EDGE
    return norm.ppf(jnp.clip(share, _SMALLEST_SHARE, 1.0 - _SMALLEST_SHARE))
