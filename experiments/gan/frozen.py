"""What another run learned, as the constants of the arm frozen."""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from sigmaprop import runs
from sigmaprop.generators.arms import ARMS
from sigmaprop.generators.results import Cell, Key, measured
from sigmaprop.runs.arrays import read_arrays

from ..training.groups import seed_numbers
from ..training.loop import model_name
from . import late
from .config import GanConfig
from .plan import Group, prepare

MOST = 2**20
"""Constants that a config takes."""


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
    and a factor's rows after them. Those are means over the last fifth too, see `late`; of a factor
    the std that it gives each coordinate is: its rows are those of the last step, of the moving
    average where one is kept, scaled to that std, for F and F R are the same noise and a mean of
    factors may be none. A run that kept no such means gives the scales of the last step.

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
    if ARMS[cell.arm].component in late.ARRAYS:
        found = _arrays(directory, cell, rows)
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


def _arrays(directory: Path, cell: Cell, rows: Sequence[int]) -> np.ndarray:
    """The scale of each coordinate, then the factor's rows, of some seeds of a cell, [S, N]."""
    config = runs.load_config(directory, GanConfig, command="gan")
    groups = prepare(config).groups
    found = []
    for index, place in _places(groups, cell.replicas[rows]):
        raw, factor = _ended_with(directory, index, place, cell.arm)
        scale_of = groups[index].spec.observation.parameterisation.scale
        scale = np.abs(np.asarray(scale_of(raw), np.float64))
        averages = directory / late.file_name(index)
        if averages.is_file():
            known = read_arrays(averages)
            scale = known[late.entry(cell.arm, "scale")][place]
            if factor is not None:
                factor = _of_size(factor, known[late.entry(cell.arm, "factor")][place])
        found.append(np.concatenate([scale, *([] if factor is None else [factor.ravel()])]))
    return np.stack(found)


def _places(groups: Sequence[Group], numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    """The group of each replica, and its place there."""
    found = {
        one.number: (index, place)
        for index, group in enumerate(groups)
        for place, one in enumerate(group.replicas)
    }
    return (found[number] for number in numbers)


def _ended_with(
    directory: Path, group: int, place: int, component: str
) -> tuple[np.ndarray, np.ndarray | None]:
    """Raw scale and factor of a replica, told by its place, after the last step."""
    arrays = read_arrays(directory / model_name(group))
    kept = (f"['{weights}'].noise['{component}']" for weights in ("average", "last"))
    names = next(found for prefix in kept if (found := [n for n in arrays if n.startswith(prefix)]))
    own = [arrays[name][place] for name in names]
    factors = [array.astype(np.float64) for array in own if array.ndim == 2]
    return next(array for array in own if array.ndim == 1), factors[0] if factors else None


def _of_size(factor: np.ndarray, std: np.ndarray) -> np.ndarray:
    """The factor, [D, R], whose rows are scaled so that it gives each coordinate this std, [D]."""
    own = np.linalg.norm(factor, axis=1)
    return factor * np.divide(std, own, out=np.zeros_like(own), where=own > 0)[:, None]
