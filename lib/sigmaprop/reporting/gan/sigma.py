"""The figures of sigma: where it goes, its bounds, and its value in every coordinate."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from sigmaprop.generators.arms import ARMS
from sigmaprop.reporting.charts import Lines
from sigmaprop.reporting.fmt import plain
from sigmaprop.reporting.frame import Run
from sigmaprop.reporting.gan.series import (
    SIGMA,
    STEP,
    Part,
    cells_with_examples,
    heading_of,
    left_out,
    means,
    real_examples,
    rows_of,
    seed_lines,
)
from sigmaprop.reporting.gan.words import noise_std
from sigmaprop.reporting.images import Grid, Images, Tile
from sigmaprop.reporting.marks import Mark, nth
from sigmaprop.reporting.points import tidy
from sigmaprop.reporting.style import VERMILLION


def _sigmas(run: Run) -> pd.DataFrame:
    """Sigma of every replica: of windows, or of fits behind its means where there are some."""
    rows, fitted = rows_of(run, "sigma"), rows_of(run, "sigma", weights="last")
    return pd.concat([rows[~rows["cell"].isin(fitted["cell"])], fitted])


def _trajectories(runs: Sequence[Run]) -> pd.DataFrame | None:
    """Sigma against the step: means, and every seed."""
    tables = []
    for index, run in enumerate(runs):
        rows = _sigmas(run)
        alive = rows.groupby("cell")["value"].transform("max") > 0
        rows = rows[alive]
        tables += [means(rows).assign(run=index), seed_lines(rows).assign(run=index)]
    rows = tidy(tables)
    if rows is None:
        return None
    extra, values = [], rows["value"][rows["value"] > 0]
    ends = {name: float(runs[0].config[f"sigma_{name}"]) for name in ("floor", "ceiling")}
    near = {
        "floor": values.min() < 3 * ends["floor"],
        "ceiling": values.max() > ends["ceiling"] / 3,
    }
    extra += [
        {"kind": "level", "value": ends[name], "legend": "floor, ceiling"}
        for name, close in near.items()
        if close
    ]
    if (std := noise_std(runs[0].config)) is not None:
        look = {"curve": "noise in the data", "look": Mark(VERMILLION), "dashes": "-."}
        extra.append(
            {"kind": "level", "value": std, "legend": f"noise in the data, {std:g}"} | look
        )
    attrs = {"heading": heading_of(runs[0], "sigma by step"), "caption": left_out(runs[0])}
    return tidy([rows, pd.DataFrame(extra)], **attrs).assign(panel="sigma, mean over seeds")  # pyright: ignore


def _bounds(runs: Sequence[Run]) -> pd.DataFrame | None:
    """The share of learned scales at floor and ceiling, where there is any."""
    run, tables = runs[0], []
    for key, bound in (("at_floor", "sigma_floor"), ("at_ceiling", "sigma_ceiling")):
        rows = rows_of(run, key)
        panel = f"{key.replace('_', ' the ')}, {run.config[bound]:g}"
        tables.append(means(rows[rows["learns"].astype(bool)]).assign(panel=panel))
    rows = tidy(tables, heading=heading_of(run, "share of scales at a bound"))
    return rows if rows is not None and rows["value"].max() > 0.01 else None


def _maps(runs: Sequence[Run]) -> list[tuple[int, str, np.ndarray]]:
    """Sigma of every coordinate at the end, of the first seed of each arm that has a map."""
    run, found = runs[0], []
    for number, label, arm, first in cells_with_examples(run):
        scale = run.samples["scale"][first].astype(float)
        value = np.sqrt(np.mean(scale**2, axis=0))
        if arm in ARMS and ARMS[arm].maps and (value > 0).any():
            found.append((number, label, np.where(value > 0, value, np.nan)))
    return found[:12]


def _pixels(runs: Sequence[Run]) -> Grid | None:
    """Sigma of every pixel as a picture, all on one scale."""
    _, shape = real_examples(runs[0])
    found = _maps(runs)
    if len(shape) < 2 or not found:
        return None
    values = np.stack([value for *_, value in found])
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    if high < 1.05 * low:
        low, high = low / 1.5, high * 1.5
    ends = (math.log10(low), math.log10(high))
    tiles = []
    for _, label, value in found:
        image = value.reshape(shape)
        image = np.sqrt(np.mean(image**2, axis=-1)) if image.ndim == 3 else image
        tiles.append(Tile(np.log10(image), plain(label, 24), "viridis", ends))
    rows = [("", tiles[start : start + 4]) for start in range(0, len(tiles), 4)]
    heading = heading_of(runs[0], "sigma by pixel, at the end")
    return Grid(heading, rows, (), shape[1] / shape[0], ("viridis", *ends, SIGMA))


def _coordinates(runs: Sequence[Run]) -> pd.DataFrame | None:
    """Sigma of every coordinate, where an example is a vector of some length."""
    _, shape = real_examples(runs[0])
    if len(shape) > 1 or shape[0] < 3:
        return None
    tables = [
        pd.DataFrame(
            {"x": np.arange(value.size), "value": value, "curve": plain(label, 40)}
        ).assign(
            look=pd.Series([nth(number)] * value.size, dtype=object),
            panel="root mean square over latents",
        )
        for number, label, value in _maps(runs)
    ]
    return tidy(tables, heading=heading_of(runs[0], "sigma by coordinate, at the end"))


PART = Part(
    "about-sigma",
    "Sigma",
    "Where does sigma go, how fast, and is it the same for every coordinate?",
    (
        Lines(
            name="sigma",
            title="Where sigma goes",
            caption="The root mean square over coordinates and latents; thin lines are seeds. "
            "Under Adam the log of sigma moves by about its learning rate a step at most: ask "
            "of a straight line whether it tells of a level, or of the time given.",
            rows=_trajectories,
            x=STEP,
            y=SIGMA,
            log="y",
            columns=1,
            height=3.2,
            steps=True,
        ),
        Images(
            name="sigma_maps",
            title="Sigma of every pixel",
            caption="At the end of training, first seed; where sigma depends on the latent, "
            "the root mean square over latents; of colours, over the channels.",
            rows=_pixels,
        ),
        Lines(
            name="sigma_coordinates",
            title="Sigma of every coordinate",
            caption="At the end of training, first seed; the root mean square over latents.",
            rows=_coordinates,
            x="coordinate",
            y=SIGMA,
            log="y",
        ),
        Lines(
            name="bounds",
            title="Time at floor and ceiling",
            caption="Mean over seeds of the share of learned scales at their smallest or "
            "largest allowed value. What stands at a bound does not say where it would have "
            "gone.",
            rows=_bounds,
            x=STEP,
            y="share of scales",
            log="",
            height=2.2,
            steps=True,
            limits=lambda rows: (-0.03, 1.03),
        ),
    ),
)
