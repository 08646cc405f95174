"""What a run of `sigmaprop gan` measured, as the rows of figures."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sigmaprop.generators.scores import Comparison, from_json
from sigmaprop.reporting.fmt import plain
from sigmaprop.reporting.frame import Run, odd, read_arrays
from sigmaprop.reporting.gan.words import data_name
from sigmaprop.reporting.marks import nth


class Part(NamedTuple):
    """A part of the page: its anchor, its heading, the question that it answers, its figures."""

    anchor: str
    heading: str
    question: str
    figures: tuple[Any, ...]


STEP, SIGMA = "step", "sigma (std, units of x)"

MOST_CELLS = 32
"""Cells told apart in a figure."""

_MOST_SEEDS = 8
"""Seeds of a cell that are drawn line by line."""


def rows_of(run: Run, metric: str, of: str = "", weights: str = "") -> pd.DataFrame:
    """A metric of every replica that is drawn, without what follows its divergence."""
    frame = run.frame
    rows = frame[(frame["metric"] == metric) & (frame["sigma"] == 0) & (frame["cell"] < MOST_CELLS)]
    rows = rows[(rows["of"].fillna("") == of) & (rows["weights"].fillna("") == weights)]
    stops = frame[frame["metric"] == "diverged_at"].groupby("replica")["value"].last()
    stop = rows["replica"].map(stops).fillna(-1)
    looks = [nth(int(cell)) for cell in rows["cell"]]
    curve = [plain(str(label), 44) for label in rows["label"]]
    return rows[(stop < 0) | (rows["step"] <= stop)].assign(
        curve=pd.Series(curve, rows.index), look=pd.Series(looks, rows.index), x=rows["step"]
    )


def means(rows: pd.DataFrame, *, band: bool = False) -> pd.DataFrame:
    """The mean over seeds that are alive, and the range that they span."""
    rows = rows[np.isfinite(rows["value"].to_numpy(float))].sort_values(["cell", "step"])
    keys = ["cell", "curve", "x"]
    found = rows.groupby(keys, sort=False, as_index=False).agg(
        value=("value", "mean"), low=("value", "min"), high=("value", "max"), look=("look", "first")
    )
    return found if band else found.drop(columns=["low", "high"])


def seed_lines(rows: pd.DataFrame) -> pd.DataFrame:
    """A thin line a seed: seeds of a cell behind each other, with gaps between them."""
    drawn = np.sort(rows["seed"].unique())[:_MOST_SEEDS]
    rows = rows[rows["seed"].isin(drawn)].sort_values(["cell", "seed", "step"])
    gaps = rows.groupby(["cell", "seed"], sort=False).tail(1).assign(value=np.nan)
    joined = pd.concat([rows, gaps]).sort_values(["cell", "seed", "step"], kind="stable")
    return joined[["cell", "curve", "look", "x", "value"]].assign(kind="ghost")


def heading_of(run: Run, what: str) -> str:
    """The heading of a figure: the data set, and what is drawn."""
    return f"{plain(data_name(run.config))}: {what}"


def left_out(run: Run) -> str:
    """A sentence on the cells that figures do not show."""
    more = run.replicas["cell"].nunique() - MOST_CELLS
    return f" {more} further cells are in the tables alone." if more > 0 else ""


def real_examples(run: Run) -> tuple[np.ndarray, list[int]]:
    """Training examples and the shape of one."""
    path = run.directory / "real.npz"
    arrays = read_arrays(path)
    try:
        x, shape = arrays["x"], [int(size) for size in arrays["shape"]]
        return x.reshape(len(x), -1).astype(np.float32), shape
    except (KeyError, TypeError, ValueError) as error:
        raise odd(path, error) from error


def cells_with_examples(run: Run) -> list[tuple[int, str, str, int]]:
    """Number, label, arm and first replica of the cells that are drawn and have examples."""
    firsts = run.replicas.reset_index().sort_values(["cell", "seed"]).groupby("cell").first()
    known = run.samples.get("mean")
    return [
        (int(cell), str(row["label"]), str(row["arm"]), int(row["replica"]))
        for cell, row in zip(firsts.index.tolist(), firsts.to_dict("records"), strict=True)
        if known is not None and np.isfinite(known[int(row["replica"])]).all()
    ][:MOST_CELLS]


def comparisons_of(run: Run) -> list[Comparison]:
    """The comparison of a complete run, in the order of its cells.

    Raises:
        RunError: ``comparison.json`` does not hold what a run writes.
    """
    try:
        return from_json(run.claims)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise odd(run.directory / "comparison.json", error) from error
