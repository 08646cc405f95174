"""Examples: the mean mu(z), and x = mu(z) + noise, of every cell's first seed."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sigmaprop.reporting.gan_parts import heading, left_out, mark, name, room, shown
from sigmaprop.reporting.gan_results import Cell, GanRun
from sigmaprop.reporting.results import plain
from sigmaprop.reporting.sheet import WIDTH, Drawing, Sheet, handle
from sigmaprop.reporting.style import GRID, INK, MUTED, SMALL, TEXT

ACROSS, DOWN = 10, 2
"""Images in a block."""
_LEFT, _GAP, _HEADER, _BETWEEN = 1.25, 0.18, 0.62, 0.14
"""Inches: room for names, between blocks, above the first row, between rows."""
_TAIL = 1.0
"""Percent of the real values at either end of the grey scale that may be cut."""
_BINS = 40
_REACH = 0.25
"""Share of the real points' extent that is drawn beyond it."""


def samples(run: GanRun) -> Drawing:
    """Images as grids, points in a plane, or histograms: whatever suits the data."""
    if run.is_image:
        figure = _images(run)
    elif run.shape[0] == 1:
        figure = _histograms(run)
    else:
        figure = _planes(run)
    return Drawing(
        "samples",
        "Examples: the mean, and x with its noise",
        _caption(run) + left_out(run),
        f"Examples of {', '.join(name(cell) for cell in shown(run)[:8])}, means beside samples. "
        + _spreads(run),
        figure,
    )


def _caption(run: GanRun) -> str:
    """How to read them."""
    if run.is_image:
        return (
            "Last iterate, first seed, the same latents left and right and in every arm. The grey "
            "or colour scale is that of the real images; values beyond it are cut."
        )
    if run.shape[0] == 1:
        return "Last iterate, all seeds together; filled is the real data."
    rest = ", of the first two coordinates" if run.shape[0] > 2 else ""
    return (
        f"Last iterate, first seed{rest}; grey are real examples. Points beyond the frame are not "
        "drawn."
    )


def _spreads(run: GanRun) -> str:
    """The standard deviations in words."""
    words = [f"Std of the real values {np.std(run.real):.2g}"]
    for cell in shown(run)[:8]:
        spread = [np.nanstd(run.examples[of][cell.replicas]) for of in ("mean", "x")]
        words.append(f"of {name(cell)} {spread[0]:.2g} in the mean and {spread[1]:.2g} in x")
    return ", ".join(words) + "."


def _title(run: GanRun) -> str:
    return f"{plain(str(run.config['dataset']))}: examples at the end of training"


def _images(run: GanRun) -> Figure:
    """A row for the real images and one for every cell: a block of means, a block of x."""
    cells = shown(run)
    low, high = np.percentile(run.real, [_TAIL, 100 - _TAIL])
    block = (WIDTH - _LEFT - _GAP - 0.1) / 2
    tall = block * DOWN / ACROSS * run.shape[0] / run.shape[1]
    row = tall + _BETWEEN
    height = _HEADER + (len(cells) + 1) * row
    figure = Figure(figsize=(WIDTH, height))
    figure.text(
        0.1 / WIDTH, 1 - 0.12 / height, _title(run), va="top", fontsize=TEXT + 1, weight="bold"
    )
    rows = [("real", (run.real[:20], run.real[20:40]))]
    rows += [(heading(cell, wide=18), _pair(run, cell)) for cell in cells]
    for column, text in enumerate(("mean mu(z)", "x = mu(z) + noise")):
        left = _LEFT + column * (block + _GAP)
        figure.text(left / WIDTH, 1 - (_HEADER - 0.1) / height, text, fontsize=SMALL, color=MUTED)
        for place, (_, pair) in enumerate(rows):
            bottom = height - _HEADER - place * row - tall - (0.05 if place else 0)
            axes = figure.add_axes(
                (left / WIDTH, bottom / height, block / WIDTH, tall / height),
                label=f"block {place} {column}",
            )
            _block(axes, pair[column], run.shape, low, high)
    for place, (text, _) in enumerate(rows):
        middle = height - _HEADER - place * row - tall / 2
        figure.text(0.1 / WIDTH, middle / height, text, va="center", fontsize=SMALL, color=INK)
    return figure


def _pair(run: GanRun, cell: Cell) -> tuple[np.ndarray, np.ndarray]:
    first = cell.replicas[0]
    return run.examples["mean"][first], run.examples["x"][first]


def _block(axes: Axes, values: np.ndarray, shape: tuple[int, ...], low: float, high: float) -> None:
    """Images side by side, a line between them."""
    tall, wide, *colours = shape
    size = (DOWN, ACROSS)
    canvas = np.full((DOWN * (tall + 1) - 1, ACROSS * (wide + 1) - 1, *colours), np.nan)
    for place, image in enumerate(values[: DOWN * ACROSS].reshape(-1, *shape)):
        y, x = np.unravel_index(place, size)
        canvas[y * (tall + 1) :, x * (wide + 1) :][:tall, :wide] = image
    canvas = np.clip((canvas - low) / (high - low), 0, 1)
    if colours == [1]:
        canvas = canvas[..., 0]
    if canvas.ndim == 3:
        canvas = np.nan_to_num(canvas, nan=1.0)
    axes.imshow(canvas, cmap="Greys", vmin=0, vmax=1, interpolation="none", aspect="auto")
    axes.set_axis_off()


def _planes(run: GanRun) -> Figure:
    """A panel of means and one of x for every cell."""
    sheet = Sheet(_title(run), 4, 1.46, room(shown(run), 1))
    limits = _limits(run.real[:, :2])
    for cell in shown(run):
        for values, text in zip(_pair(run, cell), ("mean", "x"), strict=True):
            axes = sheet.panel(f"{heading(cell)}\n{text}", "", "")
            axes.plot(*run.real[:, :2].T, color=MUTED, marker="o", markersize=5, linestyle="none",
                      markeredgewidth=0, alpha=0.45)  # fmt: skip
            own = mark(cell)
            axes.plot(*values[:, :2].T, color=own.colour, marker="o", markersize=2.6,
                      markeredgewidth=0, linestyle="none")  # fmt: skip
            axes.set_xlim(*limits[0])
            axes.set_ylim(*limits[1])
            axes.locator_params(nbins=4)
            axes.grid(True, color=GRID)
    sheet.explain("real", handle(MUTED, marker="o", markersize=5, alpha=0.45))
    sheet.explain("generated, in the colour of the arm", handle(INK, marker="o", markersize=3))
    return sheet.finish()


def _limits(real: np.ndarray) -> list[tuple[float, float]]:
    low, high = real.min(axis=0), real.max(axis=0)
    room = _REACH * np.maximum(high - low, 1e-6)
    return list(zip((low - room).tolist(), (high + room).tolist(), strict=True))


def _histograms(run: GanRun) -> Figure:
    """A panel for every cell: real, mean and x."""
    sheet = Sheet(_title(run), 3, 1.75, room(shown(run)))
    ((low, high),) = _limits(run.real[:, :1])
    bins = np.linspace(low, high, _BINS).tolist()
    for cell in shown(run):
        axes = sheet.panel(heading(cell), "x", "density")
        axes.hist(run.real[:, 0], bins, density=True, color=MUTED, alpha=0.35)
        for of, style in (("mean", ":"), ("x", "-")):
            _outline(axes, run.examples[of][cell.replicas], bins, mark(cell).colour, style)
        axes.set_xlim(low, high)
    sheet.explain("real", handle(MUTED, linestyle="-", linewidth=6, alpha=0.35))
    sheet.explain("mean mu(z)", handle(INK, linestyle=":"))
    sheet.explain("x = mu(z) + noise", handle(INK, linestyle="-"))
    return sheet.finish()


def _outline(
    axes: Axes, values: np.ndarray, bins: Sequence[float], colour: str, style: str
) -> None:
    values = values[np.isfinite(values)]
    inside = values[(values >= bins[0]) & (values <= bins[-1])]
    if inside.size:
        axes.hist(
            inside, list(bins), density=True, histtype="step", color=colour, linestyle=style,
            linewidth=1.2,
        )  # fmt: skip
