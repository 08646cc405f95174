"""One sentence for a count that is none."""

import operator
from typing import Any

import numpy as np
from jax.core import Tracer

from sigmaprop import names


def whole_number(name: str, value: Any, least: int, most: int | None = None) -> int:
    """The value as an int, if it is a whole number in its range.

    Args:
        name: of the argument, for the sentence.
        value: an int, or what stands for one without rounding, as NumPy's integers do.
        least, most: the range, both included; ``most`` None: no end.

    Raises:
        ValueError: it is of another type (a float, a bool, a traced value), or out of range.
    """
    number = index(value)
    if number is None or number < least or (most is not None and number > most):
        allowed = f"at least {least}" if most is None else f"{least} to {most}"
        kind = "it must be" if number is not None else "it must be a whole number of"
        raise ValueError(f"{name} is {shown(value)}; {kind} {allowed}")
    return number


def shown(value: Any) -> str:
    """The value for a sentence: shortened, in one line."""
    if isinstance(value, Tracer):
        return "a value that is known only when the program runs"
    return names.shown(value)


def index(value: Any) -> int | None:
    """The int that a value stands for; None for what is no whole number, as a float or a bool."""
    if isinstance(value, bool | np.bool_):
        return None
    try:
        return operator.index(value)
    except TypeError:
        return None
