"""The figures of bounds: on held-out examples at the end, by step, and reconstructions."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from sigmaprop.generators.results import measured
from sigmaprop.generators.vae_compare import BOUNDS, Comparison, from_json, last
from sigmaprop.reporting.charts import Lines
from sigmaprop.reporting.fmt import plain
from sigmaprop.reporting.frame import Run, odd, read_arrays
from sigmaprop.reporting.gan.series import (
    MOST_CELLS,
    STEP,
    Part,
    cells_with_examples,
    heading_of,
    left_out,
    means,
    real_examples,
    rows_of,
)
from sigmaprop.reporting.images import Grid, Images, Tile, sheet
from sigmaprop.reporting.marks import nth
from sigmaprop.reporting.points import tidy
from sigmaprop.reporting.rows import Intervals

NATS = "nats an example"
TITLES = {
    "held_out_elbo": "ELBO on test examples",
    "held_out_iwae": "IWAE bound on test examples",
    "held_out_mse": "mean square error of the mean",
}
_DIFFERENCE = "difference of the IWAE bound"
_COURSE = {
    "elbo": "ELBO of training batches",
    "held_out_elbo": "ELBO on validation examples",
    "kl": "KL(q(z|x) || p(z)) of training batches",
    "mse": "mean square error of training batches",
}
_DOWN, _ACROSS = 2, 10
"""Images in a block."""


def comparisons_of(run: Run) -> list[Comparison]:
    """The comparison of a complete run, in the order of its cells.

    Raises:
        RunError: ``comparison.json`` does not hold what a run writes.
    """
    try:
        return from_json(run.claims)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise odd(run.directory / "comparison.json", error) from error


def _likelihoods(runs: Sequence[Run]) -> pd.DataFrame | None:
    """Of every cell the differences to its reference, then bounds and errors, with every seed."""
    found = comparisons_of(runs[0])[:MOST_CELLS]
    if not found:
        return None
    run, rows = measured(runs[0].directory), []
    for one, cell in zip(found, run.cells, strict=False):
        value = one.difference.value if one.against else 0.0
        ends = {"low": one.difference.low, "high": one.difference.high}
        own = {"row": one.label, "look": nth(cell.number), "panel": _DIFFERENCE, "value": value}
        rows.append(own | ends)
    for metric in BOUNDS:
        for one, cell in zip(found, run.cells, strict=False):
            own = {"row": one.label, "look": nth(cell.number), "panel": TITLES[metric]}
            seeds = last(run, metric, "test", cell)
            rows += [
                own | {"kind": "seed", "value": value, "legend": "a seed"}
                for value in seeds[np.isfinite(seeds)]
            ]
            level = one.level(metric, "test")
            rows.append(own | {"value": level.value, "low": level.low, "high": level.high})
        if metric in run.ideal:
            line = {"kind": "line", "value": run.ideal[metric], "dashes": "--"}
            rows.append(line | {"panel": TITLES[metric], "legend": "the truth itself"})
    table = pd.DataFrame(rows)
    table.attrs = {"heading": heading_of(runs[0], "held-out likelihood at the end")}
    against = next((one.against for one in found if one.against), "")
    told = f" Differences are to {plain(against, 40)}." if against else ""
    table.attrs["caption"] = told + left_out(runs[0])
    return table


def _course(runs: Sequence[Run]) -> pd.DataFrame | None:
    """Bounds and their parts against the step."""
    run, tables = runs[0], []
    for metric, panel in _COURSE.items():
        held = metric in BOUNDS
        rows = rows_of(run, metric, "validation" if held else "", "last" if held else "")
        tables.append(means(rows, band=True).assign(panel=panel))
    return tidy(tables, heading=heading_of(run, "bounds by step"), caption=left_out(run))


def _inner(rows: pd.DataFrame) -> tuple[float, float]:
    """An axis that the first steps do not stretch."""
    low, high = np.nanpercentile(rows["value"].to_numpy(float), [8.0, 99.5])
    room = 0.08 * (high - low) or 0.1
    return float(low - room), float(high + room)


def _reconstructions(runs: Sequence[Run]) -> Grid | None:
    """Test images, and what each cell's first seed makes of them at the mean of q(z|x)."""
    run = runs[0]
    real, shape = real_examples(run)
    if len(shape) < 2 or not (cells := cells_with_examples(run)):
        return None
    ends = tuple(float(v) for v in np.percentile(real, [1.0, 99.0]))
    count = _DOWN * _ACROSS
    found: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    for path in sorted(run.directory.glob("samples-*.npz")):
        arrays = read_arrays(path)
        try:
            pairs = zip(arrays["given_last"], arrays["reconstruction_last"], strict=True)
            found |= dict(zip(arrays["replica"].tolist(), pairs, strict=True))
        except (KeyError, TypeError, ValueError) as error:
            raise odd(path, error) from error

    def block(values: np.ndarray) -> Tile:
        return Tile(sheet(values[:count].reshape(-1, *shape), _DOWN, _ACROSS), "", "Greys", ends)  # pyright: ignore

    rows = [
        (plain(label.replace(", ", "\n"), 60), [block(one) for one in found[first]])
        for _, label, _, first in cells
        if first in found
    ]
    wide = _ACROSS * shape[1] / (_DOWN * shape[0])
    words = {"caption": left_out(run)}
    heading = heading_of(run, "test images and their reconstructions")
    return Grid(heading, rows, ("x", "mu(z) at the mean of q(z|x)"), wide, None, words)


LIKELIHOOD = Part(
    "about-likelihood",
    "Likelihood",
    "How likely are held-out examples, and what are the bounds made of?",
    (
        Intervals(
            name="likelihood",
            title="Held-out likelihood",
            caption="Means over seeds with 95% intervals; of differences, between replicas of "
            "equal seed, with the intervals of the verdicts. Further right is better, but for the "
            "error of the mean.",
            rows=_likelihoods,
            x={
                TITLES["held_out_mse"]: "squared units of x",
                TITLES["held_out_elbo"]: NATS,
                TITLES["held_out_iwae"]: NATS,
                _DIFFERENCE: NATS,
            },
            log="",
            row=0.3,
        ),
        Lines(
            name="course",
            title="Bounds by step",
            caption="Means over seeds; bands are the range of the seeds. The first steps may lie "
            "outside the panel.",
            rows=_course,
            x=STEP,
            y={"mean square": "squared units of x", "KL": NATS, "ELBO": NATS},
            log="",
            height=2.2,
            steps=True,
            limits=_inner,
        ),
    ),
)
RECONSTRUCTION = Part(
    "about-reconstructions",
    "Reconstructions",
    "What does a code keep of an example?",
    (
        Images(
            name="reconstructions",
            title="Test images and their reconstructions",
            caption="Last iterate, first seed.",
            rows=_reconstructions,
        ),
    ),
)
