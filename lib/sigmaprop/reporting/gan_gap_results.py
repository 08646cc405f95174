"""The gap of Goodfellow's substitution as a run measured it last, in arrays: cell by sigma."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sigmaprop.reporting.gan_parts import MOST_CELLS
from sigmaprop.reporting.gan_results import Cell, measured
from sigmaprop.runs import read_metrics

ROUNDING = 4 * float(np.finfo(np.float32).eps)
"""A cosine this near to 1 cannot be told from 1."""
METRICS = (
    "bias_relative",
    "cosine",
    "batch_error",
    "batch_cosine",
    "sigma_batch",
    "sigma_batch_at_mean",
)
"""See `sigmaprop.generators.gap.Gap`."""


class Gap(NamedTuple):
    """One measurement; C cells, S sigmas, B batch sizes.

    Attributes:
        config: options of the run.
        step: after which it was taken.
        cells: whose first seed had not diverged.
        sigma: ascending. [S]
        sizes: ascending, the first is 0, where what has no batch size lies. [B]
        values: by metric, without "gap_"; NaN where it was not measured. [C, S, B]
        left_out: cells that are not among these.
    """

    config: dict[str, Any]
    step: int
    cells: tuple[Cell, ...]
    sigma: np.ndarray
    sizes: np.ndarray
    values: Mapping[str, np.ndarray]
    left_out: int

    def of(self, metric: str) -> np.ndarray:
        """A metric that has no batch size. [C, S]"""
        return self.values[metric][:, :, 0]

    @property
    def noise(self) -> np.ndarray:
        """Standard error of the bias at one latent, over |grad E f|, from all draws. [C, S]"""
        share = self.sizes[-1] / float(self.config["gap_samples"])
        return np.nan_to_num(self.values["batch_error"][:, :, -1] * np.sqrt(share), posinf=0.0)

    @property
    def bias(self) -> np.ndarray:
        """Relative bias, 0 where it is within two standard errors. [C, S]"""
        return above(self.of("bias_relative"), 2 * self.noise)

    @property
    def turn(self) -> np.ndarray:
        """1 - cosine, 0 where that is no more than noise or rounding. [C, S]"""
        return above(1 - self.of("cosine"), self.least_turn)

    @property
    def least_turn(self) -> np.ndarray:
        """The smallest 1 - cosine that is seen: twice what the noise adds. [C, S]"""
        return np.maximum(self.noise**2, ROUNDING)

    @property
    def where(self) -> str:
        """Which replicas this is about, as the start of a caption."""
        text = f"First seed of each cell at step {self.step:,}, the last measurement"
        return text + (f"; cells that are not drawn: {self.left_out}." if self.left_out else ".")


def read(directory: Path) -> Gap | None:
    """The last measurement of a run, None where there is none.

    Raises:
        RunError: a file is missing or damaged.
    """
    run = measured(directory)
    rows = _rows(directory)
    if not rows["step"].size:
        return None
    step = int(rows["step"].max())
    rows = {column: values[rows["step"] == step] for column, values in rows.items()}
    known = set(rows["replica"][np.isfinite(rows["value"])].tolist())
    stopped = run.diverged_at
    alive = [
        cell
        for cell in run.cells
        if (first := cell.replicas[0]) in known and not 0 <= stopped[first] <= step
    ]
    cells = tuple(alive[:MOST_CELLS])
    if not cells:
        return None
    return Gap(run.config, step, cells, *_arranged(rows, cells), len(run.cells) - len(cells))


def _rows(directory: Path) -> dict[str, np.ndarray]:
    """The rows of the gap, column by column."""
    import pyarrow as pa
    import pyarrow.compute as pc

    table = read_metrics(directory).filter(pc.field("sigma") > 0)
    numbers = ("step", "replica", "sigma", "batch_size", "value")
    words = np.array(table["metric"].cast(pa.string()).to_pylist(), dtype=str)
    return {column: table[column].to_numpy() for column in numbers} | {"metric": words}


def _arranged(
    rows: dict[str, np.ndarray], cells: Sequence[Cell]
) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Sigmas, batch sizes and the values of every metric at them, of the cells' first seeds."""
    sigma, s = np.unique(rows["sigma"], return_inverse=True)
    sizes, b = np.unique(np.append(rows["batch_size"], 0), return_inverse=True)
    values = {}
    for metric in METRICS:
        found = np.full((len(cells), len(sigma), len(sizes)), np.nan)
        for place, cell in enumerate(cells):
            own = (rows["metric"] == f"gap_{metric}") & (rows["replica"] == cell.replicas[0])
            found[place, s[own], b[:-1][own]] = rows["value"][own]
        values[metric] = found
    return sigma, sizes, values


def above(values: np.ndarray, least: np.ndarray | float) -> np.ndarray:
    """The values, 0 where they are not above the least that is seen, NaN where not finite."""
    return np.where(np.isfinite(values), np.where(values > least, values, 0), np.nan)
