"""What another run learned, as the constants of the arm frozen."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sigmaprop import runs
from sigmaprop.generators import parameterisation
from sigmaprop.generators.arms import ARMS
from sigmaprop.generators.results import Cell, Key, measured
from sigmaprop.runs.arrays import read_arrays

from ..training.groups import seed_numbers
from ..training.loop import model_name
from .config import GanConfig
from .plan import prepare

MOST = 2**20
"""Constants that a config takes."""
_ARRAYS = ("per_pixel", "low_rank")


def resolved(config: GanConfig) -> GanConfig:
    """The config with the constants of ``frozen_from``, which it needs no longer then.

    A config that has constants already keeps them where the run is gone.

    Raises:
        ValueError: one sentence that names the option, its value and what is allowed.
        RunError: a file of the run is missing or damaged.
    """
    if config.frozen_from is None:
        return config
    if config.frozen_values and not config.frozen_from.exists():
        return config
    found = constants(config.frozen_from, config.frozen_cell, seed_numbers(config))
    if config.frozen_values and found != config.frozen_values:
        raise ValueError(
            f"--frozen-values are not what --frozen-from {config.frozen_from} learned; leave one "
            "of them out"
        )
    return dataclasses.replace(config, frozen_values=found)


def constants(directory: Path, label: str | None, seeds: range) -> tuple[float, ...]:
    """The noise of one cell of a finished run, seed by seed.

    Of each seed one sigma, the mean over the last fifth of the steps; or one for each coordinate,
    and a factor's rows after them: those of the last step, of the moving average where one is kept.

    Args:
        directory: a complete run of `gan`.
        label: of the cell; None: the only one that learned.
        seeds: their numbers.

    Raises:
        ValueError: it is no such run, has no such cell or seed, or a replica diverged.
        RunError: a file is missing or damaged.
    """
    command = runs.load_command(directory)
    if command != "gan" or runs.state(directory) != "complete":
        raise ValueError(f"--frozen-from {directory} is no complete run of gan; give one")
    run = measured(directory)
    cell = _cell(directory, run.cells, label)
    if missing := sorted({*seeds} - {*cell.seeds}):
        raise ValueError(
            f"--frozen-from {directory} has no seed {missing[0]}; it has {min(cell.seeds)} to "
            f"{max(cell.seeds)}: choose --seeds and --first-seed among them, or another run"
        )
    rows = [cell.seeds.index(seed) for seed in seeds]
    if stopped := [
        seed
        for seed, row in zip(seeds, rows, strict=True)
        if run.diverged_at[cell.replicas[row]] >= 0
    ]:
        raise ValueError(
            f"seed {stopped[0]} of --frozen-from {directory} diverged; choose another run"
        )
    if ARMS[cell.arm].component in _ARRAYS:
        found = np.stack([_arrays(directory, cell, cell.replicas[row]) for row in rows])
    else:
        found = run.late(Key("sigma"), cell)[rows]
    if found.size > MOST:
        raise ValueError(
            f"--frozen-from {directory} has {found.size:,} numbers for {len(seeds)} seeds, and a "
            f"config takes {MOST:,}; lower --seeds, or choose a cell of the arm global"
        )
    return tuple(found.ravel().tolist())


def _cell(directory: Path, cells: Sequence[Cell], label: str | None) -> Cell:
    """The cell of this label, or the only one that learned."""
    learned = [cell for cell in cells if cell.learns and cell.arm != "heteroscedastic"]
    chosen = [cell for cell in learned if label in (None, cell.label)]
    if len(chosen) == 1:
        return chosen[0]
    if not learned:
        raise ValueError(
            f"--frozen-from {directory} has no cell that learned a number, one for each "
            "coordinate or a factor; choose another run"
        )
    named = ", ".join(repr(cell.label) for cell in learned)
    if label is None:
        raise ValueError(
            f"--frozen-from {directory} has several cells; give --frozen-cell: {named}"
        )
    raise ValueError(f"--frozen-cell is {label!r}; {directory} has: {named}")


def _arrays(directory: Path, cell: Cell, number: int) -> np.ndarray:
    """The scale of each coordinate, then the factor's rows, of one replica; flat."""
    config = runs.load_config(directory, GanConfig, command="gan")
    groups = [[one.number for one in group.replicas] for group in prepare(config).groups]
    index = next(index for index, numbers in enumerate(groups) if number in numbers)
    arrays, row = read_arrays(directory / model_name(index)), groups[index].index(number)
    kept = (f"['{weights}'].noise['{cell.arm}']" for weights in ("average", "last"))
    names = next(found for prefix in kept if (found := [n for n in arrays if n.startswith(prefix)]))
    own = [arrays[name][row] for name in names]
    scale_of = parameterisation.get(config.parameterisation).scale
    raw = next(array for array in own if array.ndim == 1)
    factor = [array.ravel() for array in own if array.ndim == 2]
    return np.concatenate([np.abs(np.asarray(scale_of(raw))), *factor])
