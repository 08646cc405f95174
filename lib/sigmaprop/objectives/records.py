"""The objectives, one record each; nothing here imports JAX, so help and listings can read it."""

import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from sigmaprop.names import Registry


class Record(NamedTuple):
    """What there is to know of an objective without making it.

    Attributes:
        make: the function of the dim (and of ``options``) that makes its `Parts`, or its
            ``module:function``.
        formula: f in one line, at the default dim and options.
        smoothness: "smooth" (twice differentiable), "kink" (continuous) or "jump".
        closed: whether E f is known in closed form.
        default_dim: D where none is asked for.
        smallest, largest: the dims that it allows.
        options: names of the keyword arguments of ``make``.
    """

    make: str | Callable[..., Any]
    formula: str
    smoothness: Literal["smooth", "kink", "jump"] = "smooth"
    closed: bool = True
    default_dim: int = 16
    smallest: int = 1
    largest: float = math.inf
    options: tuple[str, ...] = ()


OBJECTIVES = Registry(
    "objective",
    {
        "linear": Record(".polynomials:linear", "b.x + 2, |b| = 1"),
        "quadratic": Record(
            ".polynomials:quadratic",
            "x'Ax/2 + b.x + 1, A with eigenvalues from 1 to 10, |b| = 1",
            options=("condition",),
        ),
        "cubic": Record(
            ".polynomials:cubic", "(a.x)^3 + sum_i c_i x_i^3 + 3, |a| = 1, c in [0.2, 0.6]"
        ),
        "quartic": Record(".polynomials:quartic", "sum_i x_i^4"),
        "sine": Record(".waves:sine", "sin(a.x + 0.7) + 0.2 sum_i cos(x_i) + 2, |a| = 1"),
        "cosine": Record(".waves:cosine", "sum_i cos(k_i x_i), k in [0.5, 1.5]"),
        "exponential": Record(".waves:exponential", "exp(a.x), |a| = 1"),
        "gaussian_bump": Record(".waves:gaussian_bump", "exp(-|x|^2 / 2)"),
        "rosenbrock": Record(
            ".polynomials:rosenbrock", "sum_i 100 (x_{i+1} - x_i^2)^2 + (1 - x_i)^2", smallest=2
        ),
        "styblinski_tang": Record(
            ".polynomials:styblinski_tang", "sum_i (x_i^4 - 16 x_i^2 + 5 x_i) / 2"
        ),
        "rastrigin": Record(".waves:rastrigin", "sum_i x_i^2 + 10 - 10 cos(2 pi x_i)"),
        "absolute": Record(".edges:absolute", "sum_i |x_i|", "kink"),
        "relu": Record(".edges:relu", "sum_i c_i max(x_i, 0), c in [0.5, 1.5]", "kink"),
        "step": Record(".edges:step", "sum_i 1[x_i > 0]", "jump"),
        "ridge_network": Record(
            ".networks:ridge_network",
            "sum_j c_j Phi(w_j.x + b_j), 128 units",
            default_dim=64,
            options=("units",),
        ),
        "leaky_relu_network": Record(
            ".rectified:leaky_relu_network",
            "softplus(-D(x)), D a leaky ReLU network 8-64-64-1",
            "kink",
            closed=False,
            default_dim=8,
        ),
        "softplus_network": Record(
            ".rectified:softplus_network",
            "softplus(-D(x)), D a softplus network 8-64-64-1",
            closed=False,
            default_dim=8,
        ),
        "digit_classifier": Record(
            ".networks:digit_classifier",
            "-log p(0 | pixels x), tanh network 64-32-10",
            closed=False,
            default_dim=64,
            smallest=64,
            largest=64,
        ),
    },
)
"""Every objective that has a name."""


def names() -> tuple[str, ...]:
    """The names that ``get`` knows."""
    return tuple(OBJECTIVES)
