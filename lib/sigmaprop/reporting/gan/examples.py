"""The figures of examples: images, points of a plane, densities on a line."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from sigmaprop.reporting.charts import Lines
from sigmaprop.reporting.fmt import count, plain
from sigmaprop.reporting.frame import Run
from sigmaprop.reporting.gan.series import (
    Part,
    cells_with_examples,
    heading_of,
    left_out,
    real_examples,
)
from sigmaprop.reporting.images import Grid, Images, Slides, Tile, sheet
from sigmaprop.reporting.marks import Mark, nth
from sigmaprop.reporting.points import tidy
from sigmaprop.reporting.style import MUTED

_DOWN, _ACROSS = 2, 10
"""Images in a block."""


def _samples(runs: Sequence[Run]) -> Grid | None:
    """A row for the real images and one for every cell: a block of means, a block of x."""
    run = runs[0]
    real, shape = real_examples(run)
    if len(shape) < 2 or not (cells := cells_with_examples(run)):
        return None
    ends = tuple(float(v) for v in np.percentile(real, [1.0, 99.0]))

    def block(values: np.ndarray) -> Tile:
        return Tile(sheet(values.reshape(-1, *shape), _DOWN, _ACROSS), "", "Greys", ends)  # pyright: ignore

    count = _DOWN * _ACROSS
    rows = [("real", [block(real[:count]), block(real[count : 2 * count])])]
    for _, label, _, first in cells:
        pair = [block(run.samples[of][first]) for of in ("mean", "x")]
        rows.append((plain(label.replace(", ", "\n"), 60), pair))
    wide = _ACROSS * shape[1] / (_DOWN * shape[0])
    heading = heading_of(run, _when(run))
    words = {"caption": left_out(run)}
    return Grid(heading, rows, ("mean mu(z)", "x = mu(z) + noise"), wide, None, words)


def _points(runs: Sequence[Run]) -> pd.DataFrame | None:
    """Examples in the plane of the first two coordinates, or their densities on a line."""
    run = runs[0]
    real, shape = real_examples(run)
    if len(shape) > 1 or not (cells := cells_with_examples(run)):
        return None
    low, high = real.min(axis=0), real.max(axis=0)
    room = 0.25 * np.maximum(high - low, 1e-6)
    low, high, tables = low - room, high + room, []
    grey, dots = Mark(MUTED, "o", "full", "none"), "none"
    for number, label, _, first in cells:
        replicas = run.replicas[run.replicas["cell"] == number].index
        for of in ("mean", "x"):
            values = run.samples[of][first] if shape[0] > 1 else run.samples[of][replicas]
            panel = {"panel": f"{plain(label, 30)}: {of}"}
            for name, own, look in (
                ("real", real, grey if shape[0] > 1 else Mark(MUTED)),
                ("generated", values.reshape(-1, shape[0]), nth(number)._replace(dashes=dots)),
            ):
                if shape[0] > 1:
                    own = own[((own >= low) & (own <= high)).all(axis=1)]
                    columns = {"x": own[:, 0], "value": own[:, 1]}
                else:
                    density, edges = np.histogram(own, 40, (low[0], high[0]), density=True)
                    columns = {"x": (edges[1:] + edges[:-1]) / 2, "value": density}
                    look = look._replace(dashes="-", marker="")
                looks = [look] * len(columns["x"])
                curve = name if name == "real" else plain(label, 30)
                tables.append(pd.DataFrame(columns | {"curve": curve, "look": looks} | panel))
    ends = list(zip(low.tolist(), high.tolist(), strict=True))
    frame = {"frame": ends[:2]} if shape[0] > 1 else {}
    return tidy(tables, heading=heading_of(run, _when(run)), **frame)


def _when(run: Run) -> str:
    at = "at the end of training" if run.step is None else f"after {count(run.step, 'step')}"
    return f"examples {at}"


def _moments(runs: Sequence[Run]) -> list[tuple[str, tuple[Sequence[Run]]]]:
    return [(count(step, "step"), ([runs[0].at(step)],)) for step in runs[0].moments]


_SPECS = (
    Images(
        name="samples",
        title="Examples: the mean, and x with its noise",
        caption="Last iterate, first seed, the same latents left and right and in every "
        "arm. Colours are those of the real images; values beyond them are cut.",
        rows=_samples,
    ),
    Lines(
        name="points",
        title="Examples: the mean, and x with its noise",
        caption="Last iterate; grey are real examples. Points beyond the frame are not drawn.",
        rows=_points,
        x="first coordinate",
        y="",
        log="",
        columns=4,
        height=1.5,
        sparse=False,
    ),
)
PART = Part(
    "about-examples",
    "Examples",
    "What do the mean and the sample look like?",
    (
        *_SPECS,
        Slides(
            name="moments",
            title="Examples in the course of training",
            caption="The same latents at every moment. Look for when modes or shapes appear, "
            "whether they vanish again, and what the noise covers early on.",
            specs=_SPECS,
            moments=_moments,
        ),
    ),
)
