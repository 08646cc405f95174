"""The objectives, one record each; nothing here imports JAX, so help and listings can read it."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from sigmaprop.names import Registry


class Record(NamedTuple):
    """How to make an objective, and of which dims.

    Attributes:
        make: the function of the dim (and of ``options``) that makes it, or ``module:function``.
        default_dim: D where none is asked for.
        smallest, largest: the dims that it allows.
        options: names of the keyword arguments of ``make``.
        told: formula, smoothness and whether E f is known, where making it takes long.
    """

    make: str | Callable[..., Any]
    default_dim: int = 16
    smallest: int = 1
    largest: float = math.inf
    options: tuple[str, ...] = ()
    told: tuple[str, str, bool] | None = None


OBJECTIVES = Registry(
    "objective",
    {
        "linear": Record(".polynomials:linear"),
        "quadratic": Record(".polynomials:quadratic", options=("condition",)),
        "cubic": Record(".polynomials:cubic"),
        "quartic": Record(".polynomials:quartic"),
        "sine": Record(".waves:sine"),
        "cosine": Record(".waves:cosine"),
        "exponential": Record(".waves:exponential"),
        "gaussian_bump": Record(".waves:gaussian_bump"),
        "rosenbrock": Record(".polynomials:rosenbrock", smallest=2),
        "styblinski_tang": Record(".polynomials:styblinski_tang"),
        "rastrigin": Record(".waves:rastrigin"),
        "absolute": Record(".edges:absolute"),
        "relu": Record(".edges:relu"),
        "step": Record(".edges:step"),
        "ridge_network": Record(".networks:ridge_network", 64, options=("units",)),
        "leaky_relu_network": Record(".rectified:leaky_relu_network", 8),
        "softplus_network": Record(".rectified:softplus_network", 8),
        "digit_classifier": Record(
            ".networks:digit_classifier",
            default_dim=64,
            smallest=64,
            largest=64,
            told=("-log p(0 | pixels x), tanh network 64-32-10", "smooth", False),
        ),
    },
)
"""Every objective that has a name."""


def names() -> tuple[str, ...]:
    """The names that ``get`` knows."""
    return tuple(OBJECTIVES)
