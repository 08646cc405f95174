"""Numbers as JSON has them; `sigmaprop.generators.scores.known` reads them."""

import math
from typing import Any

import numpy as np

from sigmaprop.statistics import Interval


def number(value: float) -> float | str | None:
    """One that is not known is null, an infinite one a word."""
    if math.isfinite(value):
        return float(value)
    return None if math.isnan(value) else str(value)


def numbers(values: Any) -> list[float | str | None]:
    """All of an array."""
    return [number(value) for value in np.asarray(values, float).tolist()]


def interval(found: Interval) -> dict[str, float | str | None]:
    """A value with its ends."""
    return {name: number(value) for name, value in found._asdict().items()}
