"""What the runs of a study say to its tests: a number a seed, of an arm or of two."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sigmaprop import data, runs
from sigmaprop.data.linear_gaussian import LinearGaussian
from sigmaprop.generators.results import Cell, Key, Measured, measured, pair, sigma_key
from sigmaprop.statistics import Pair, Scale

from ..gan.config import GanConfig
from .registration import Block, Registration, Test

SIGMA = Key("sigma")


class Found(NamedTuple):
    """An arm in the run that holds it."""

    directory: Path
    run: Measured
    cell: Cell


class Evidence(NamedTuple):
    """The tested arms of one block.

    Attributes:
        block: which.
        arms: by name; an arm that was not run is not in it.
    """

    block: Block
    arms: Mapping[str, Found]


def gather(block: Block, directories: Sequence[Path]) -> Evidence:
    """The arms in finished runs of a block.

    Raises:
        RunError: a file is missing or damaged.
    """
    arms = {}
    for directory in directories:
        run = measured(directory)
        arms |= {cell.label: Found(directory, run, cell) for cell in run.cells}
    return Evidence(block, arms)


def values(found: Evidence, test: Test) -> np.ndarray:
    """The quantity of a test for each seed, in its unit; NaN where a run diverged. [S]"""
    assert test.quantity is not None
    each = [_QUANTITIES[test.quantity](found.arms[arm]) for arm in test.arms]
    if test.quantity == "spread_of_ends":
        return np.max(each, axis=0) / np.min(each, axis=0) / test.unit
    return each[0] / test.unit


def compared(registration: Registration, found: Evidence, test: Test) -> Pair:
    """The arms of a comparison, in pairs of equal seed.

    Raises:
        ValueError: the metric cannot be compared on these data.
    """
    own, other = found.arms[test.arms[0]], found.arms[test.against]
    own_values, other_values = (scores(one, found.block, test) for one in (own, other))
    both = pair(own.run, test.metric, own_values, other_values)
    if both is None:
        raise ValueError(f"{test.metric} has a target that {own.directory} does not record")
    if test.metric != registration.metric:
        return both
    return both._replace(scale=both.scale._replace(margin=registration.margin))


def scores(one: Found, block: Block, test: Test) -> np.ndarray:
    """A metric of an arm for each seed, over the checkpoints of the last fifth. [S]"""
    return one.run.late(Key(test.metric, test.of, test.weights or block.weights), one.cell)


def scale(registration: Registration) -> Scale:
    """How the primary metric compares."""
    return Scale(by="ratio", margin=registration.margin)


def sigma(one: Found) -> np.ndarray:
    """An arm's sigma for each seed, over the last fifth of the steps. [S]"""
    return one.run.late(sigma_key(one.run, one.cell), one.cell)


def _drift(one: Found) -> np.ndarray:
    """The slope of log sigma in the last fifth, a 1,000 steps, signed by the spreads."""
    late = one.run.series[SIGMA].end(one.run.steps)
    centred = late.step - late.step.mean()
    slopes = 1000 * np.log(late.value[one.cell.replicas]) @ centred / (centred @ centred)
    mean = _means(one)
    dataset = _dataset(one)
    real = dataset.x[dataset.splits.train].astype(np.float64).var(axis=0).sum()
    own = mean.astype(np.float64).var(axis=1).sum(axis=1)
    return _ended(one, slopes * np.sign(real - own))


def _total_noise(one: Found) -> np.ndarray:
    """The root of sigma^2 and the variance of the mean off the plane, a coordinate of it."""
    truth = _dataset(one).truth
    if not isinstance(truth, LinearGaussian):
        raise ValueError("total_noise is a quantity of linear_gaussian")
    mean = _means(one).astype(np.float64)
    off = np.eye(mean.shape[-1]) - truth.factor.astype(np.float64) @ truth.factor.T
    variance = ((mean - mean.mean(axis=1, keepdims=True)) @ off).var(axis=1).sum(axis=1)
    num = mean.shape[-1] - truth.factor.shape[1]
    return _ended(one, np.sqrt(sigma(one) ** 2 + variance / num))


_QUANTITIES: dict[str, Callable[[Found], np.ndarray]] = {
    "sigma": sigma,
    "total_noise": _total_noise,
    "spread_of_ends": sigma,
    "drift": _drift,
}


def _ended(one: Found, found: np.ndarray) -> np.ndarray:
    return np.where(one.run.diverged_at[one.cell.replicas] >= 0, np.nan, found)


def _means(one: Found) -> np.ndarray:
    """Means of the last iterate that the run keeps, [S, N, D]."""
    by_replica: dict[int, np.ndarray] = {}
    for path in sorted(one.directory.glob("samples-*.npz")):
        with np.load(path) as file:
            by_replica |= dict(zip(file["replica"].tolist(), file["mean_last"], strict=True))
    return np.stack([by_replica[number] for number in one.cell.replicas.tolist()])


def _dataset(one: Found) -> data.Dataset:
    config = runs.load_config(one.directory, GanConfig, command="gan")
    return data.load(config.dataset, config.data)
