"""Which configuration of an arm is tested: by the primary metric, on validation examples."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from sigmaprop.generators.results import Key, Measured, floor, measured

from .registration import Block, Preset, Registration
from .stages import configurations


def choose(
    registration: Registration, preset: Preset, block: Block, search: Path
) -> dict[str, dict[str, Any]]:
    """The options of the best configuration of every arm.

    The best has the fewest runs that diverged, then the least geometric mean of the metric over the
    selection seeds, values below real against real counting as that.

    Args:
        search: the finished run of the block's search.

    Raises:
        RunError: a file of it is missing or damaged.
    """
    run = measured(search)
    found = {}
    for arm in block.arms:
        if not arm.frozen:
            own = configurations(preset, block, arm)
            found[arm.name] = own[_best(run, registration.metric, block.weights, own)]
    return found


def as_registered(block: Block) -> dict[str, dict[str, Any]]:
    """Every arm's options where there is no search."""
    return {arm.name: dict(arm.options) for arm in block.arms if not arm.frozen}


def _best(run: Measured, metric: str, weights: str, names: Iterable[str]) -> str:
    by_name = {cell.label: cell for cell in run.cells}

    def score(name: str) -> tuple[int, float]:
        values = run.late(Key(metric, "x", weights), by_name[name])
        ended = np.isfinite(values)
        least = np.broadcast_to(floor(run), values.shape)[ended]
        if not ended.any():
            return int((~ended).sum()), np.inf
        return int((~ended).sum()), float(np.log(np.maximum(values[ended], least)).mean())

    return min(names, key=score)
