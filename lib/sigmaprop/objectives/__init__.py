"""Test functions f, with E f(x) under a Gaussian in closed form and a standard point to stand at.

``get("quartic")`` returns an Objective; ``names()`` lists them. The constants of every function are
float64 and are cast to the dtype of x, so f computes and answers in that dtype. They come from
fixed seeds, one for each name and purpose. To add a function, write a factory and name it in
`OBJECTIVES`; for a function of your own, build an Objective, or ``get`` it from a file as
``get("path/to/file.py:function", dim=3)``, which `sigmaprop.objectives.from_file` describes.

A closed form is a function of the mean [D] and the Covariance; under `LowRank` none forms a D x D
matrix but that of the quadratic, whose A is one. Those of smooth functions use variances alone and
hold at scale 0, where they are f; kinks and jumps need a standard deviation > 0, and one whose
square is a number of that dtype (above 1e-19 in float32).
"""

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from sigmaprop.names import Registry
from sigmaprop.objectives import edges, networks, polynomials, rectified, waves
from sigmaprop.objectives.base import Expectation, Function, Objective, Smoothness
from sigmaprop.objectives.constants import KINK_DISTANCE
from sigmaprop.objectives.networks import DIGIT_INDEX, NUM_UNITS

__all__ = [
    "DIGIT_INDEX",
    "KINK_DISTANCE",
    "NUM_UNITS",
    "OBJECTIVES",
    "Entry",
    "Expectation",
    "Function",
    "Objective",
    "Smoothness",
    "get",
    "names",
]


class Entry(NamedTuple):
    """A factory of the dim (and options), and the dims that it allows."""

    make: Callable[..., Objective]
    default_dim: int = 16
    smallest: int = 1
    largest: float = math.inf
    options: tuple[str, ...] = ()


OBJECTIVES = Registry(
    "objective",
    {
        "linear": Entry(polynomials.linear),
        "quadratic": Entry(polynomials.quadratic, options=("condition",)),
        "cubic": Entry(polynomials.cubic),
        "quartic": Entry(polynomials.quartic),
        "sine": Entry(waves.sine),
        "cosine": Entry(waves.cosine),
        "exponential": Entry(waves.exponential),
        "gaussian_bump": Entry(waves.gaussian_bump),
        "rosenbrock": Entry(polynomials.rosenbrock, smallest=2),
        "styblinski_tang": Entry(polynomials.styblinski_tang),
        "rastrigin": Entry(waves.rastrigin),
        "absolute": Entry(edges.absolute),
        "relu": Entry(edges.relu),
        "step": Entry(edges.step),
        "ridge_network": Entry(networks.ridge_network, default_dim=64, options=("units",)),
        "leaky_relu_network": Entry(rectified.leaky_relu_network, default_dim=8),
        "softplus_network": Entry(rectified.softplus_network, default_dim=8),
        "digit_classifier": Entry(
            networks.digit_classifier, default_dim=64, smallest=64, largest=64
        ),
    },
)


def names() -> tuple[str, ...]:
    """The names that ``get`` knows."""
    return tuple(OBJECTIVES)


def get(name: str, dim: int | None = None, **options: float) -> Objective:
    """The objective of that name.

    Args:
        name: one of ``names()``, or ``path/to/file.py:function``.
        dim: D; None takes the default of that objective.
        **options: ``condition`` (quadratic): the ratio of the largest to the smallest eigenvalue;
            ``units`` (ridge_network): the width of its hidden layer.

    Raises:
        ValueError: the name is unknown, the dim or an option is not allowed, or the file is
            refused.

    Example:
        >>> get("quartic", 2)(np.array([1.0, 2.0]))
        Array(17., dtype=float32)
    """
    from sigmaprop.objectives import from_file as own_objective  # which builds on this package

    if own_objective.is_own(name):
        if options:
            raise ValueError(f"objective {name!r} has no option {min(options)!r}; it takes none")
        return own_objective.load(name, dim)
    entry = OBJECTIVES[name]
    dim = entry.default_dim if dim is None else dim
    if not isinstance(dim, int | np.integer) or not entry.smallest <= dim <= entry.largest:
        allowed = f"at least {entry.smallest}"
        if entry.smallest == entry.largest:
            allowed = f"exactly {entry.smallest}"
        raise ValueError(f"objective {name!r} does not allow dim {dim}; it needs {allowed}")
    if strange := set(options) - set(entry.options):
        allowed = ", ".join(entry.options) or "none"
        raise ValueError(
            f"objective {name!r} has no option {min(strange)!r}; its options: {allowed}"
        )
    return _build(name, int(dim), **options)


@functools.lru_cache(maxsize=64)
def _build(name: str, dim: int, **options: float) -> Objective:
    """One object for one set of arguments, so that jit recognises it."""
    return OBJECTIVES[name].make(dim, **options)
