"""What the figures of the gap say in words, made of the numbers that they draw."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from sigmaprop.reporting.gan_gap_results import Gap
from sigmaprop.reporting.gan_parts import name
from sigmaprop.reporting.gan_results import Cell
from sigmaprop.reporting.gan_terminal import short
from sigmaprop.statistics import log_slope

_MOST_TOLD = 8
"""Cells that a caption tells of."""
_FEWEST = 3
"""Points that a slope is fitted to."""


def crossed(crossings: Mapping[float, tuple[float, float] | None]) -> str:
    """Where the bias takes over, at every sigma, in words."""
    told = [f"{short(at[0])} at sigma {sigma:.3g}" for sigma, at in crossings.items() if at]
    if not told:
        return "At no sigma is the bias seen to exceed the error of a batch."
    return f"The bias is larger than the error from a batch of {', '.join(told)}."


def slopes(gap: Gap, values: np.ndarray) -> str:
    """Of every cell over its smallest sigmas, in words."""
    told = []
    for cell, value in _told(gap, values):
        known = np.isfinite(value) & (value > 0)
        most = max(_FEWEST, (len(value) + 1) // 2)
        x, y = gap.sigma[known][:most], value[known][:most]
        if x.size < _FEWEST:
            told.append(("with too few points for a fit", name(cell)))
            continue
        slope = f"{log_slope(x, y):z.2f}".replace("-", "−")
        told.append((f"over sigma {x[0]:.3g} to {x[-1]:.3g}", f"{name(cell)} {slope}"))
    return _by_first(told)


def saved(gap: Gap, ratio: np.ndarray) -> str:
    """What the control variate divides the samples by at the smallest sigma, in words."""
    told = []
    for cell, value in _told(gap, ratio):
        known = np.flatnonzero(np.isfinite(value))
        if known.size:
            text = f"{name(cell)} {short(float(value[known[0]]))}"
            told.append((f"at sigma {gap.sigma[known[0]]:.3g}", text))
    return f"It divides the samples, {_by_first(told)}" if told else ""


def _by_first(told: Sequence[tuple[str, str]]) -> str:
    """The second texts joined behind each first one."""
    groups: dict[str, list[str]] = {}
    for first, second in told:
        groups.setdefault(first, []).append(second)
    return "; ".join(f"{first}: {', '.join(own)}" for first, own in groups.items()) + "."


def course(gap: Gap, values: np.ndarray) -> str:
    """From where to where every cell goes, in words."""
    words = []
    for cell, value in _told(gap, values):
        known = np.flatnonzero(np.isfinite(value) & (value > 0))
        ends = [
            f"{short(float(value[at]))} at sigma {gap.sigma[at]:.3g}"
            for at in known[[0, -1][: known.size]]
        ]
        words.append(f"{name(cell)}: {' to '.join(ends) or 'not resolved'}.")
    return " ".join(words)


def _told(gap: Gap, values: np.ndarray) -> Iterator[tuple[Cell, np.ndarray]]:
    """The cells that a caption tells of, with their values."""
    yield from zip(gap.cells[:_MOST_TOLD], values, strict=False)
