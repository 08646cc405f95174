"""Schedules of sigma and of batch sizes.

A sigma schedule is a function of the step, as in optax: ``schedule(step) -> sigma``, with
``schedule(0)`` the first value and ``schedule(steps)`` the last. Values are float64 on the host:
1e-8 would lose digits in float32.
"""

import math
from collections.abc import Callable

import numpy as np

from sigmaprop.names import Registry

Schedule = Callable[[int], float]


def geometric(first: float, last: float, steps: int) -> Schedule:
    """sigma_t = first (last/first)^(t/steps): equal steps in log sigma. Both ends > 0."""
    if min(first, last) <= 0:
        raise ValueError(
            f"a geometric schedule runs between positive sigmas, not {first} and {last}"
        )
    return lambda step: first * (last / first) ** _progress(step, steps)


def linear(first: float, last: float, steps: int) -> Schedule:
    """sigma_t = first + (last - first) t/steps."""
    return lambda step: first + (last - first) * _progress(step, steps)


def cosine(first: float, last: float, steps: int) -> Schedule:
    """Half a cosine from first to last: slow at both ends.

    Source: Loshchilov, Hutter 2017, "SGDR", equation 5.
    """
    return lambda step: last + (first - last) * (1 + math.cos(math.pi * _progress(step, steps))) / 2


SCHEDULES = Registry("sigma schedule", {"geometric": geometric, "linear": linear, "cosine": cosine})


def names() -> tuple[str, ...]:
    """The sigma schedules' names."""
    return tuple(SCHEDULES)


def sigmas(name: str, first: float, last: float, num: int) -> np.ndarray:
    """The ``num`` values of a schedule from first to last, [num] float64.

    Raises:
        ValueError: unknown name (the nearest is named), or ends that the schedule excludes.
    """
    make = SCHEDULES[name]
    if num == 1:
        return np.array([first], np.float64)
    schedule = make(first, last, num - 1)
    return np.array([first, *(schedule(t) for t in range(1, num - 1)), last], np.float64)


def powers(base: int, largest: int) -> tuple[int, ...]:
    """Batch sizes 1, base, base^2, ... up to ``largest``."""
    sizes = [1]
    while sizes[-1] * base <= largest:
        sizes.append(sizes[-1] * base)
    return tuple(sizes)


def _progress(step: int, steps: int) -> float:
    return min(max(step / steps, 0.0), 1.0)
