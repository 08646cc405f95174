"""A figure of panels in rows: where they stand, their axes, one title above, one legend below."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from sigmaprop.reporting.fmt import plain, power
from sigmaprop.reporting.style import INK, MANY_POINTS, MUTED, SMALL, TEXT

WIDTH = 9.2
"""Inches."""
LETTER = 0.066
"""Inches that a letter of a row's name takes."""
_LEFT, _RIGHT, _BOTTOM, _HEADER = 0.72, 0.12, 0.5, 0.3
_ROW, _HANDLE, _LETTER = 0.165, 0.5, 0.071
_DEEPEST = 45
"""Most decades on an axis; closed forms near a kink reach 1e-300."""


class Drawing(NamedTuple):
    """A finished figure.

    Attributes:
        name: of its files, without suffix.
        title: heading in the report.
        caption: what to look for.
        alt: what it shows, for those who do not see it.
        figure: the figure itself.
        hover: the curves by panel, for a page that tells values under the pointer.
        moments: of what changes in the course of a run, a drawing by the name of each moment.
    """

    name: str
    title: str
    caption: str
    alt: str
    figure: Figure
    hover: dict[str, Any]
    moments: "Sequence[tuple[str, Drawing]]" = ()


class Canvas:
    """Panels in rows, left to right; `finish` lays them out and adds title and legend.

    Args:
        title: of all.
        columns: panels in a row.
        height: of a panel, in inches.
        top: room above a panel for its title, in inches.
        left: room left of the panels of each column, in inches; empty: the usual.
    """

    def __init__(
        self,
        title: str,
        columns: int,
        height: float = 2.7,
        top: float = 0.32,
        left: Sequence[float] = (),
    ):
        self.title, self.columns, self.height, self.top, self.left = (
            *(plain(title, 120), columns, height, top),
            left,
        )
        self.figure = Figure(figsize=(WIDTH, 4))
        self.panels: list[Axes] = []
        self.bar: Axes | None = None
        self.curves: list[list[dict[str, Any]]] = []
        self._legend: dict[str, tuple[Any, str]] = {}

    def panel(self, title: str, x: str = "", y: str = "") -> Axes:
        """One more panel."""
        axes = self.figure.add_axes((0.1, 0.1, 0.8, 0.8), label=f"panel {len(self.panels)}")
        axes.set_title(title, fontsize=TEXT, color=INK, y=1.0)  # a set y needs no search
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        self.panels.append(axes)
        self.curves.append([])
        return axes

    def scale(self, cmap: str, low: float, high: float, text: str, open_ends: bool) -> None:
        """A colour scale of powers of ten on the right of all panels."""
        axes = self.bar = self.figure.add_axes((0.95, 0.1, 0.02, 0.8), label="scale")
        shades = np.linspace(low, high, 128)[:, None]
        box = (0.0, 1.0, low, high)
        axes.imshow(
            shades, cmap=cmap, aspect="auto", origin="lower", extent=box, interpolation="none"
        )
        axes.set_xticks([])
        axes.yaxis.tick_right()
        ticks, labels = log_ticks(10**low, 10**high)
        if open_ends and len(labels) > 1:
            labels[0], labels[-1] = f"≤ {labels[0]}", f"≥ {labels[-1]}"
        axes.set_yticks(np.log10(ticks), labels)
        axes.yaxis.set_label_position("right")
        axes.set_ylabel(text, fontsize=SMALL)

    def explain(self, label: str, look: dict[str, Any] | tuple[Any, ...], key: str = "") -> None:
        """A legend entry; the first of a label counts.

        Args:
            label: its words.
            look: options of a line, or artists.
            key: of the curve that a click on the entry hides; empty for what is no curve.
        """
        if isinstance(look, dict):
            line = {"color": MUTED, "linewidth": 1.0, "linestyle": "none"} | look
            self._legend.setdefault(label, (Line2D([], [], **line), key))
        else:
            self._legend.setdefault(label, (look, key))

    def note(self, axes: Axes, text: str) -> None:
        """Says in words why a panel is empty."""
        axes.set_xticks([])
        axes.set_yticks([])
        axes.text(0.05, 0.5, text, transform=axes.transAxes, color=MUTED, fontsize=SMALL)

    def finish(self) -> tuple[Figure, dict[str, Any]]:
        """Places panels, title and legend; gives the figure and what a page needs to hover."""
        rows = -(-len(self.panels) // self.columns)
        longest = max(map(len, self._legend), default=0)
        across = max(1, int((WIDTH - 0.2) / (_HANDLE + _LETTER * longest)))
        lines = -(-len(self._legend) // across)
        row = self.top + self.height + _BOTTOM
        height = _HEADER + rows * row + (lines * _ROW + 0.08 if lines else 0)
        self.figure.set_size_inches(WIDTH, height)
        edge = WIDTH - (0.95 if self.bar else 0)
        lefts, width = self._across(edge)

        def place(axes: Axes, left: float, bottom: float, wide: float, tall: float) -> None:
            axes.set_position((left / WIDTH, bottom / height, wide / WIDTH, tall / height))

        for i, axes in enumerate(self.panels):
            bottom = height - _HEADER - (i // self.columns + 1) * row + _BOTTOM
            place(axes, lefts[i % self.columns], bottom, width, self.height)
        if self.bar:
            tall = min(rows * row - self.top - _BOTTOM, 3.2)
            place(self.bar, edge + 0.1, height - _HEADER - self.top - tall, 0.16, tall)
        self.figure.text(
            *(0.1 / WIDTH, 1 - 0.12 / height, self.title),
            **{"va": "top", "fontsize": TEXT + 1, "weight": "bold"},
        )
        if self._legend:
            self._add_legend(across, height)
        self._rasterize()
        return self.figure, self._hover(height)

    def _add_legend(self, across: int, height: float) -> None:
        legend = self.figure.legend(
            [look for look, _ in self._legend.values()],
            list(self._legend),
            loc="lower left",
            bbox_to_anchor=(0.06 / WIDTH, 0.04 / height),
            ncols=across,
            borderaxespad=0,
            columnspacing=1.2,
            labelspacing=0.35,
        )
        for text, (_, key) in zip(legend.get_texts(), self._legend.values(), strict=True):
            if key:
                text.set_gid(f"{key}-legend")

    def _across(self, edge: float) -> tuple[list[float], float]:
        """Where the panels of a row start, and how wide each is."""
        if not self.left:
            column = edge / self.columns
            return [i * column + _LEFT for i in range(self.columns)], column - _LEFT - _RIGHT
        width = (edge - sum(self.left)) / self.columns - _RIGHT
        starts = [i * (width + _RIGHT) + sum(self.left[: i + 1]) for i in range(self.columns)]
        return starts, width

    def _rasterize(self) -> None:
        """Curves of very many points become an image inside the SVG."""
        lines = [line for axes in self.figure.axes for line in axes.lines]
        if sum(len(np.asarray(line.get_xdata())) for line in lines) > MANY_POINTS:
            for axes in self.figure.axes:
                for artist in (*axes.lines, *axes.collections):
                    artist.set_rasterized(True)

    def _hover(self, height: float) -> dict[str, Any]:
        """Panels in points from the upper left corner, with axes and curves."""
        panels = []
        for axes, curves in zip(self.panels, self.curves, strict=True):
            box = axes.get_position()
            if curves:
                corner = (72 * WIDTH * box.x0, 72 * height * (1 - box.y1))
                size = (72 * WIDTH * box.width, 72 * height * box.height)
                ends = {
                    "x": [*axes.get_xlim(), axes.get_xscale() == "log"],
                    "y": [*axes.get_ylim(), axes.get_yscale() == "log"],
                }
                panels.append({"b": [round(v, 1) for v in (*corner, *size)], **ends, "c": curves})
        return {"w": round(72 * WIDTH), "h": round(72 * height), "p": panels} if panels else {}


def log_axis(axes: Axes, which: str, low: float, high: float) -> None:
    """A logarithmic axis around a range, with ticks that it can hold."""
    low, high = math.log10(max(low, high * 10.0**-_DEEPEST)), math.log10(high)
    room = max(0.04 * (high - low), 0.3 - (high - low) / 2 if which == "x" else 0.05)
    ends = 10 ** (low - room), 10 ** (high + room)
    axis, scale, limits = (
        (axes.xaxis, axes.set_xscale, axes.set_xlim)
        if which == "x"
        else (axes.yaxis, axes.set_yscale, axes.set_ylim)
    )
    scale("log")
    limits(*ends)
    ticks, labels = log_ticks(*ends, most=8 if which == "x" else 7)
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_ticklabels(labels)
    axis.set_minor_locator(NullLocator())


def log_ticks(low: float, high: float, most: int = 7) -> tuple[list[float], list[str]]:
    """Powers of ten; 1, 2, 5 of them where few fit; evenly spaced ticks where none do."""
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    if last - first >= 2 or (last - first == 1 and high / low > 60):
        step = next(s for s in (1, 2, 3, 4, 5, 6, 8, 10, 20, 50, 100) if (last - first) // s < most)
        powers = [p for p in range(first, last + 1) if p % step == 0]
        return [10.0**p for p in powers], [power(p) for p in powers]
    ticks = [m * 10.0**p for p in range(first - 2, last + 2) for m in (1, 2, 5)]
    if high / low < 4:
        ticks = [float(tick) for tick in MaxNLocator(5).tick_values(low, high)]
    ticks = [tick for tick in ticks if low <= tick <= high]
    return ticks, [fine(tick) for tick in ticks]


def fine(value: float) -> str:
    """A tick between powers of ten."""
    if value == 0 or 1e-3 <= abs(value) < 1e4:
        return f"{value:.4g}"
    mantissa, exponent = f"{value:.0e}".split("e")
    return power(int(exponent)) if mantissa == "1" else f"{mantissa}·{power(int(exponent))}"
