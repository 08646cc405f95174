"""What another run learned, as the constants of the arm frozen."""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from sigmaprop import runs
from sigmaprop.generators import networks
from sigmaprop.generators.arms import ARMS
from sigmaprop.generators.results import Cell, Key, measured
from sigmaprop.runs.arrays import read_arrays
from sigmaprop.runs.files import exists
from sigmaprop.runs.own_sources import is_own

from ..training.groups import seed_numbers
from ..training.loop import model_name
from . import late
from .config import GanConfig
from .constants import FILE, MOST, Constants, load, of_generators, of_values
from .plan import Group, Plan, prepare


def resolved(config: GanConfig) -> GanConfig:
    """The config with the constants of ``frozen_from``, or their digest.

    A config that has them already keeps them where the run is gone.

    Raises:
        ValueError: one sentence that names the option, its value and what is allowed.
        RunError: a file of the run is missing or damaged.
    """
    known = config.frozen_values, config.frozen_sha256
    if config.frozen_from is None or (any(known) and not config.frozen_from.exists()):
        return config
    constants = learned(config.frozen_from, config.frozen_cell, seed_numbers(config))
    values, digest = (), None
    if constants.values is not None and constants.values.size <= MOST:
        values = tuple(constants.values.ravel().tolist())
    else:
        digest = constants.digest
    if any(known) and (values, digest) != known:
        flag = "values" if config.frozen_values else "sha256"
        raise ValueError(
            f"--frozen-{flag} is not what --frozen-from {config.frozen_from} learned; leave one of "
            "them out"
        )
    return dataclasses.replace(config, frozen_values=values, frozen_sha256=digest)


def stored(config: GanConfig, directory: Path | None = None) -> Constants | None:
    """The constants that the config has the digest of; None where it has none.

    Args:
        config: the options.
        directory: of the run, which holds them; a run that is about to begin, and one that was
            stopped before it kept them, reads ``frozen_from`` once more.

    Raises:
        ValueError: they are neither here nor there, or others.
        RunError: a file is damaged.
    """
    if config.frozen_sha256 is None:
        return None
    if directory is not None and exists(directory / FILE):
        constants, where = load(directory), str(directory / FILE)
    elif config.frozen_from is not None and config.frozen_from.exists():
        where = f"--frozen-from {config.frozen_from}"
        constants = learned(config.frozen_from, config.frozen_cell, seed_numbers(config))
    else:
        raise ValueError(
            "--frozen-sha256 stands for constants that another run learned, and neither that run "
            f"nor a file {FILE} is here; give --frozen-from RUN, or repeat the run that keeps them "
            "with `sigmaprop replay RUN`"
        )
    if constants.digest != config.frozen_sha256:
        raise ValueError(
            f"{where} holds other constants than --frozen-sha256 says; restore it, or leave "
            "--frozen-sha256 out"
        )
    return constants


def learned(directory: Path, label: str | None, seeds: range) -> Constants:
    """The noise of one cell of a finished run, seed by seed.

    Of each seed one sigma, the mean over the last fifth of the steps; or one for each coordinate,
    and a factor's rows after them. Those are means over the last fifth too, see `late`; of a factor
    the std that it gives each coordinate is: its rows are those of the last step, of the moving
    average where one is kept, scaled to that std, for F and F R are the same noise and a mean of
    factors may be none. A run that kept no such means gives the scales of the last step. Of
    sigma(z) the generator after the last step, of the moving average where one is kept.

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
    component = ARMS[cell.arm].component
    if component in late.ARRAYS:
        return of_values(_arrays(directory, cell, rows))
    if component == "heteroscedastic":
        return _generators(directory, cell, rows)
    return of_values(run.late(Key("sigma"), cell)[rows][:, None])


def _cell(directory: Path, cells: Sequence[Cell], label: str | None) -> Cell:
    """The cell of this label, or the only one that learned."""
    own = [cell for cell in cells if cell.learns]
    chosen = [cell for cell in own if label in (None, cell.label)]
    if len(chosen) == 1:
        return chosen[0]
    if not own:
        raise ValueError(
            f"--frozen-from {directory} has no cell that learned its noise; choose another run"
        )
    named = ", ".join(repr(cell.label) for cell in own)
    if label is None:
        raise ValueError(
            f"--frozen-from {directory} has several cells; give --frozen-cell: {named}"
        )
    raise ValueError(f"--frozen-cell is {label!r}; {directory} has: {named}")


def _arrays(directory: Path, cell: Cell, rows: Sequence[int]) -> np.ndarray:
    """The scale of each coordinate, then the factor's rows, of some seeds of a cell, [S, N]."""
    groups = _plan(directory).groups
    found = []
    for index, place in _places(groups, cell.replicas[rows]):
        named = _ended_with(directory, index, f".noise['{cell.arm}']")
        raw, factor = (named.get(f"['{name}']") for name in ("raw", "factor"))
        raw = (named[""] if raw is None else raw)[place]
        scale_of = groups[index].spec.observation.parameterisation.scale
        scale = np.abs(np.asarray(scale_of(raw), np.float64))
        own = None if factor is None else factor[place].astype(np.float64)
        averages = directory / late.file_name(index)
        if averages.is_file():
            known = read_arrays(averages)
            scale = known[late.entry(cell.arm, "scale")][place]
            if own is not None:
                own = _of_size(own, known[late.entry(cell.arm, "factor")][place])
        found.append(np.concatenate([scale, *([] if own is None else [own.ravel()])]))
    return np.stack(found)


def _generators(directory: Path, cell: Cell, rows: Sequence[int]) -> Constants:
    """The generators of some seeds of a cell."""
    plan = _plan(directory)
    options = plan.cells[cell.number].options
    if is_own(options.generator) or networks.is_pair(options.generator):
        raise ValueError(
            f"--frozen-from {directory} learned sigma(z) with the generator {options.generator} of "
            "your own, which no copy can be kept of; choose a run with a --generator of "
            "`sigmaprop list`"
        )
    each = []
    for index, place in _places(plan.groups, cell.replicas[rows]):
        network = _ended_with(directory, index, ".network")
        head = _ended_with(directory, index, ".noise['heteroscedastic']")
        each.append(
            {f"['network']{name}": array[place] for name, array in network.items()}
            | {f"['head']{name}": array[place] for name, array in head.items()}
        )
    stacked = {name: np.stack([own[name] for own in each]) for name in each[0]}
    return of_generators(options, plan.dataset.shape, stacked)


def _plan(directory: Path) -> Plan:
    """That of a finished run."""
    config = runs.load_config(directory, GanConfig, command="gan")
    return prepare(config, stored(config, directory))


def _places(groups: Sequence[Group], numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    """The group of each replica, and its place there."""
    found = {
        one.number: (index, place)
        for index, group in enumerate(groups)
        for place, one in enumerate(group.replicas)
    }
    return (found[number] for number in numbers)


def _ended_with(directory: Path, group: int, part: str) -> dict[str, np.ndarray]:
    """A part of all generators of a group after the last step, by the names of its leaves."""
    arrays = read_arrays(directory / model_name(group))
    prefixes = (f"['{weights}']{part}" for weights in ("average", "last"))
    prefix = next(one for one in prefixes if any(name.startswith(one) for name in arrays))
    return {n.removeprefix(prefix): array for n, array in arrays.items() if n.startswith(prefix)}


def _of_size(factor: np.ndarray, std: np.ndarray) -> np.ndarray:
    """The factor, [D, R], whose rows are scaled so that it gives each coordinate this std, [D]."""
    own = np.linalg.norm(factor, axis=1)
    return factor * np.divide(std, own, out=np.zeros_like(own), where=own > 0)[:, None]
