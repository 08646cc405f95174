"""Parts that the figures of generators share: a cell's mark, its seeds as lines, ticks, words."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.ticker import MaxNLocator, NullLocator

from sigmaprop.reporting.gan_results import Cell, GanRun, Measured
from sigmaprop.reporting.gan_series import Series
from sigmaprop.reporting.results import plain
from sigmaprop.reporting.sheet import Sheet, decades, handle
from sigmaprop.reporting.style import DASHES, GRID, INK, MUTED, PAPER, SKY, Mark, nth_mark

STEP = "step"
MOST_CELLS = 32
"""Cells told apart in a figure: pairs of colour and marker, and rows that can be read."""
MOST_LINES = 8
"""Seeds of a cell that are drawn line by line."""
_WIDE, _NARROW = 200.0, 5.0
"""Ends of a logarithmic axis whose ratio is above the one get powers of ten for ticks, and evenly
spaced ticks below the other."""
_TINY = 1e-12
"""A median below 0 has no place on a logarithmic axis."""


def mark(cell: Cell) -> Mark:
    """Colour and marker of a cell, the same in every figure."""
    return nth_mark(cell.number)


def name(cell: Cell, longest: int = 44) -> str:
    """A cell's label, as text that fits."""
    return plain(cell.label, longest)


def heading(cell: Cell, *, wide: int = 26) -> str:
    """A cell's label on as many lines as its options need."""
    return "\n".join(plain(part, wide) for part in cell.label.replace(", ", ",\n").split("\n"))


def room(cells: Sequence[Cell], more: int = 0) -> float:
    """Inches above a panel for headings, and more lines."""
    return 0.17 + 0.15 * (more + max(heading(cell).count("\n") + 1 for cell in cells))


def shown(run: GanRun) -> tuple[Cell, ...]:
    """The cells that figures show."""
    return run.cells[:MOST_CELLS]


def left_out(run: GanRun) -> str:
    """A sentence on the cells that figures do not show."""
    more = len(run.cells) - MOST_CELLS
    return f" {more} further cells are in the tables alone." if more > 0 else ""


def seed_lines(axes: Axes, cell: Cell, series: Series, run: int = 0) -> None:
    """One thin line a seed, a few markers on the first to tell it from those of other cells."""
    own = mark(cell)
    for place, value in enumerate(series.value[cell.replicas][:MOST_LINES]):
        axes.plot(
            series.step,
            value,
            color=own.colour,
            linestyle=DASHES[run % len(DASHES)],
            linewidth=1.0,
            alpha=0.75,
            marker=own.marker if place == 0 else "",
            markersize=4,
            markevery=_few(len(series.step), cell.number),
        )


def mean_line(
    axes: Axes, cell: Cell, series: Series, *, band: bool = False, dashed: bool = False
) -> None:
    """The mean over seeds that are alive, and the range that they span."""
    own, value = mark(cell), series.value[cell.replicas]
    known = np.isfinite(value).any(axis=0)
    step, value = series.step[known], value[:, known]
    if not step.size:
        return
    axes.plot(
        step,
        np.nanmean(value, axis=0),
        color=own.colour,
        linestyle=DASHES[2] if dashed else "-",
        marker=own.marker,
        markerfacecolor="none" if dashed else own.colour,
        markevery=_few(len(step), cell.number),
    )
    if band and len(value) > 1:
        low, high = np.nanmin(value, axis=0), np.nanmax(value, axis=0)
        axes.fill_between(step, low, high, color=own.colour, alpha=0.15, linewidth=0)


def _few(num: int, place: int) -> tuple[int, int]:
    """About five markers along a curve, at other points than those of its neighbours."""
    every = max(1, num // 5)
    return (place * max(1, every // 4)) % every, every


def explain_cells(sheet: Sheet, cells: Sequence[Cell]) -> None:
    """A legend entry for each."""
    for cell in cells:
        own = mark(cell)
        line = handle(own.colour, marker=own.marker, linestyle="-", markersize=4)
        sheet.explain(name(cell), line)


def real_band(axes: Axes, run: Measured, metric: str, *, across: bool) -> bool:
    """The range from the median to the 95th percentile of real against real, if it is known."""
    if (real := run.real.get(metric)) is None:
        return False
    draw = axes.axvspan if across else axes.axhspan
    draw(
        max(real["median"], _TINY),
        real["percentile_95"],
        color=SKY,
        alpha=0.35,
        linewidth=0,
        zorder=0.5,
    )
    return True


def explain_band(sheet: Sheet) -> None:
    """Its legend entry."""
    sample: dict[str, Any] = {"linewidth": 6, "alpha": 0.35, "linestyle": "-"}
    sheet.explain("real against real: median to 95th percentile", handle(SKY, **sample))


def step_axis(axes: Axes, steps: int) -> None:
    """All steps of the run, with a few round ticks."""
    axes.set_xlim(0, steps * 1.01)
    axes.locator_params(axis="x", nbins=5)
    axes.xaxis.set_major_formatter(lambda value, place: f"{value:,.0f}")
    axes.grid(True)


def log_scale(axes: Axes, low: float, high: float, *, x: bool = False) -> None:
    """A logarithmic axis around a range, with ticks that it can hold."""
    room = max((high / low) ** 0.06, 1.12)
    low, high = low / room, high * room
    axis, put = (axes.xaxis, axes.set_xlim) if x else (axes.yaxis, axes.set_ylim)
    (axes.set_xscale if x else axes.set_yscale)("log")
    put(low, high)
    axis.set_ticks(*log_ticks(low, high))
    axis.set_minor_locator(NullLocator())
    axes.grid(True)


def log_ticks(low: float, high: float) -> tuple[list[float], list[str]]:
    """Ticks for a logarithmic axis: powers of ten, 1, 2, 5 of them, or evenly spaced ones."""
    if high / low > _WIDE:
        return decades(low, high)
    if high / low > _NARROW:
        first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
        ticks = [m * 10.0**p for p in range(first, last + 1) for m in (1, 2, 5)]
    else:
        ticks = [float(tick) for tick in MaxNLocator(5).tick_values(low, high)]
    ticks = [tick for tick in ticks if low <= tick <= high]
    return ticks, [f"{tick:.4g}" for tick in ticks]


def dots(
    axes: Axes,
    place: float,
    seeds: np.ndarray,
    value: float,
    ends: tuple[float, float],
    own: Mark,
    filled: bool,
) -> None:
    """A mean with its interval at a height, and a tick for each seed."""
    axes.plot(
        seeds, np.full(len(seeds), place), color=own.colour, linestyle="none", marker="|",
        markersize=5, markeredgewidth=0.8, alpha=0.6,
    )  # fmt: skip
    if np.isfinite(ends).all():
        bar = LineCollection([[(ends[0], place), (ends[1], place)]], colors=own.colour)
        bar.set_linewidth(1.6)
        axes.add_collection(bar, autolim=False)
    axes.plot(
        [value], [place], color=own.colour, linestyle="none", marker="o", markersize=5.5,
        markerfacecolor=own.colour if filled else PAPER, markeredgewidth=1.2, zorder=3,
    )  # fmt: skip


def explain_dots(sheet: Sheet) -> None:
    """What filled and open dots, bars and ticks mean."""
    sheet.explain("x, with its noise", handle(INK, marker="o", markersize=5.5))
    hollow: dict[str, Any] = {"marker": "o", "markersize": 5.5, "markerfacecolor": PAPER}
    sheet.explain("its mean", handle(INK, **hollow))
    sheet.explain("95% interval over seeds", handle(INK, linestyle="-", linewidth=1.6))
    sheet.explain("a seed", handle(MUTED, marker="|", markersize=6))


def rows_axis(axes: Axes, names: Sequence[str], labels: bool) -> None:
    """A row for every cell, the first on top."""
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_yticks(range(len(names)), names if labels else [""] * len(names))
    axes.tick_params(axis="y", length=0)
    for place in range(1, len(names)):
        axes.axhline(place - 0.5, color=GRID, linewidth=0.6, zorder=0.3)
