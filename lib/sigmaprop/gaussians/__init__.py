"""Gaussians as small pytrees of constrained values, over vectors and over pytrees.

* `families`: `Isotropic`, `Diagonal`, `Full`, `LowRank`, and the divergence of two.
* `flattening`: the same Gaussian over a vector, and the way back.
* `covariance`: what a closed form needs of one. `woodbury`: factors of low rank.
* `natural`: gradients in the metric of the Gaussian itself.
"""

from sigmaprop.gaussians.families import (
    Diagonal,
    Full,
    Gaussian,
    GaussianT,
    Isotropic,
    LowRank,
    kl_divergence,
)
from sigmaprop.gaussians.natural import natural_gradient

__all__ = [
    "Diagonal",
    "Full",
    "Gaussian",
    "GaussianT",
    "Isotropic",
    "LowRank",
    "kl_divergence",
    "natural_gradient",
]
