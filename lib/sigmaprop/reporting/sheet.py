"""A sheet of panels with logarithmic axes, one title above and one legend below."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator

from sigmaprop.reporting import style
from sigmaprop.reporting.style import INK, MANY_POINTS, MUTED, PAPER, SMALL, TEXT, Mark

WIDTH = 9.2
"""Inches."""
_LEFT, _RIGHT, _BOTTOM, _TOP, _HEADER = 0.72, 0.12, 0.5, 0.34, 0.36
_ROW, _HANDLE, _LETTER = 0.19, 0.5, 0.071
_DEEPEST = 30
"""Most decades on an axis; closed forms near a kink reach 1e-300."""
SIGMA = "sigma (units of x)"
BATCH = "batch size N (samples)"


class Drawing(NamedTuple):
    """A finished figure.

    Attributes:
        name: of its files, without suffix.
        title: heading in the report.
        caption: what to look for.
        alt: what it shows, for those who do not see it.
        figure: the figure itself.
    """

    name: str
    title: str
    caption: str
    alt: str
    figure: Figure


class Sheet:
    """Panels in rows, left to right; `finish` lays them out and adds title and legend."""

    def __init__(self, title: str, columns: int, height: float = 2.7):
        self.figure = Figure(figsize=(WIDTH, 4))
        self.title = title
        self.columns = columns
        self.height = height
        self.panels: list[Axes] = []
        self.bars: list[Axes] = []
        self.legend: dict[str, Any] = {}

    def panel(self, title: str, x: str, y: str) -> Axes:
        """One more panel."""
        axes = self.figure.add_axes((0.1, 0.1, 0.8, 0.8), label=f"panel {len(self.panels)}")
        axes.set_title(title, fontsize=TEXT, color=INK)
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        self.panels.append(axes)
        return axes

    def bar(self) -> Axes:
        """A narrow panel on the right of all others, for a colour scale."""
        self.bars.append(self.figure.add_axes((0.95, 0.1, 0.02, 0.8), label="scale"))
        return self.bars[-1]

    def explain(self, label: str, handle: Any) -> None:
        """A legend entry; the first of a label counts."""
        self.legend.setdefault(label, handle)

    def finish(self) -> Figure:
        """Places the panels, title and legend."""
        rows = -(-len(self.panels) // self.columns)
        longest = max(map(len, self.legend), default=0)
        across = max(1, int((WIDTH - 0.2) / (_HANDLE + _LETTER * longest)))
        lines = -(-len(self.legend) // across)
        below = lines * _ROW + (0.14 if lines else 0)
        row = _TOP + self.height + _BOTTOM
        height = _HEADER + rows * row + below
        self.figure.set_size_inches(WIDTH, height)
        edge = WIDTH - (0.85 if self.bars else 0)
        column = edge / self.columns
        for i, axes in enumerate(self.panels):
            left = (i % self.columns) * column + _LEFT
            bottom = height - _HEADER - (i // self.columns + 1) * row + _BOTTOM
            width = column - _LEFT - _RIGHT
            axes.set_position(_share(left, bottom, width, self.height, height))
        for axes in self.bars:
            tall = min(rows * row - _TOP - _BOTTOM, 3.2)
            bottom = height - _HEADER - _TOP - tall
            axes.set_position(_share(edge + 0.1, bottom, 0.16, tall, height))
        self.figure.text(
            0.1 / WIDTH, 1 - 0.12 / height, self.title, va="top", fontsize=TEXT + 1, weight="bold"
        )
        if self.legend:
            self.figure.legend(
                list(self.legend.values()),
                list(self.legend),
                loc="lower left",
                bbox_to_anchor=(0.06 / WIDTH, 0.04 / height),
                ncols=across,
                borderaxespad=0,
                columnspacing=1.2,
                labelspacing=0.35,
            )
        _rasterize(self.figure)
        return self.figure


def _share(left: float, bottom: float, width: float, tall: float, height: float):
    """Inches as shares of the figure."""
    return (left / WIDTH, bottom / height, width / WIDTH, tall / height)


def _rasterize(figure: Figure) -> None:
    """Curves of very many points become an image inside the SVG."""
    count = sum(len(np.asarray(line.get_xdata())) for ax in figure.axes for line in ax.lines)
    if count > MANY_POINTS:
        for axes in figure.axes:
            for artist in (*axes.lines, *axes.collections):
                artist.set_rasterized(True)


def curve(
    axes: Axes,
    x: np.ndarray,
    value: np.ndarray,
    error: np.ndarray | None,
    mark: Mark,
    *,
    label: str,
    run: int = 0,
    positive: bool = True,
) -> Line2D:
    """Measured points, joined, with bars of two standard errors where they are wider than a marker.

    On a logarithmic axis a value of 0 that has an error is drawn as a triangle at two errors: it
    may lie anywhere below.
    """
    shown = np.where(value > 0, value, np.nan) if positive else value
    (line,) = axes.plot(
        x,
        shown,
        color=mark.colour,
        marker=mark.marker,
        linestyle=style.DASHES[run % len(style.DASHES)],
        markerfacecolor=mark.colour if run == 0 else PAPER,
        markeredgecolor=mark.colour,
        markeredgewidth=0.8,
        label=label,
    )
    if error is not None:
        _error_bars(axes, x, shown, error, mark.colour, positive)
        if positive:
            _limits(axes, x, value, error, mark.colour, label)
    return line


def _error_bars(
    axes: Axes, x: np.ndarray, value: np.ndarray, error: np.ndarray, colour: str, positive: bool
) -> None:
    size = np.abs(value) if positive else 1
    wide = np.isfinite(value) & np.isfinite(error) & (2 * error > 0.03 * size)
    if not wide.any():
        return
    low, high = (value - 2 * error)[wide], (value + 2 * error)[wide]
    low = np.maximum(low, value[wide] * 1e-3) if positive else low
    bars = [((a, b), (a, c)) for a, b, c in zip(x[wide], low, high, strict=True)]
    axes.add_collection(LineCollection(bars, colors=colour, linewidths=1.0), autolim=False)


def _limits(
    axes: Axes, x: np.ndarray, value: np.ndarray, error: np.ndarray, colour: str, label: str
) -> None:
    below = (value == 0) & (error > 0)
    if below.any():
        axes.plot(
            x[below],
            2 * error[below],
            linestyle="none",
            marker=7,
            markerfacecolor="none",
            markeredgecolor=colour,
            markeredgewidth=0.8,
            label=f"limit: {label}",
        )


def theory(axes: Axes, x: np.ndarray, value: np.ndarray, colour: str, label: str) -> Line2D:
    """A line without markers, thinner than measurements."""
    (line,) = axes.plot(
        x,
        np.where(value > 0, value, np.nan),
        color=colour,
        linestyle=style.THEORY,
        linewidth=0.9,
        zorder=1.8,
        label=f"theory: {label}",
    )
    return line


def log_axes(axes: Axes, *, x: bool = True, y: bool = True) -> None:
    """Logarithmic axes around what was measured, with ticks at powers of ten.

    Theory may leave them: it widens the range by a decade at most.
    """
    if x:
        _log_axis(axes, "x", *_extent([line.get_xdata() for line in curves(axes)]))
    if y:
        measured = [ln for ln in curves(axes) if not str(ln.get_label()).startswith("theory")]
        low, high = _extent([line.get_ydata() for line in measured])
        drawn = _extent([line.get_ydata() for line in curves(axes)])
        low, high = max(min(low, drawn[0]), low / 10), min(max(high, drawn[1]), high * 10)
        _log_axis(axes, "y", max(low, high * 10.0**-_DEEPEST), high)
    axes.grid(True)


def curves(axes: Axes) -> list[Line2D]:
    """The lines in units of the data, without levels that span the panel."""
    return [line for line in axes.lines if line.get_transform() == axes.transData]


def anything(axes: Axes) -> bool:
    """Whether a panel shows any measured number."""
    measured = [ln for ln in curves(axes) if not str(ln.get_label()).startswith("theory")]
    return any(np.isfinite(np.asarray(ln.get_ydata(), float)).any() for ln in measured)


def _extent(arrays: Sequence[Any]) -> tuple[float, float]:
    joined = np.concatenate([np.asarray(a, float) for a in arrays]) if arrays else np.array([])
    joined = joined[np.isfinite(joined) & (joined > 0)]
    return (float(joined.min()), float(joined.max())) if joined.size else (0.1, 1.0)


def _log_axis(axes: Axes, which: str, low: float, high: float) -> None:
    span = max(np.log10(high) - np.log10(low), 0.5)
    room = 0.03 * span if which == "x" else 0.06 * span
    low, high = 10 ** (np.log10(low) - room), 10 ** (np.log10(high) + room)
    axis = axes.xaxis if which == "x" else axes.yaxis
    (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    (axes.set_xlim if which == "x" else axes.set_ylim)(low, high)
    ticks, labels = decades(low, high, most=8 if which == "x" else 7)
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_ticklabels(labels)
    axis.set_minor_locator(NullLocator())


def decades(low: float, high: float, most: int = 7) -> tuple[list[float], list[str]]:
    """Ticks at powers of ten inside a range, or at 1, 2, 5 where it holds fewer than two."""
    first, last = int(np.ceil(np.log10(low) - 1e-9)), int(np.floor(np.log10(high) + 1e-9))
    if last - first < 1:
        fine = [m * 10.0**p for p in range(first - 2, last + 2) for m in (1, 2, 5)]
        ticks = [tick for tick in fine if low <= tick <= high] or [float(np.sqrt(low * high))]
        return ticks, [f"{tick:.2g}" for tick in ticks]
    step = next(s for s in (1, 2, 3, 4, 5, 6, 8, 10, 20, 50, 100) if (last - first) // s < most)
    powers = [p for p in range(first, last + 1) if p % step == 0]
    return [10.0**p for p in powers], [power(p) for p in powers]


_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def power(exponent: int) -> str:
    """A power of ten."""
    return {0: "1", 1: "10"}.get(exponent, f"10{str(exponent).translate(_RAISED)}")


def handle(colour: str = MUTED, **options: Any) -> Line2D:
    """A legend's sample."""
    return Line2D([], [], **{"color": colour, "linewidth": 1.0, "linestyle": "none"} | options)


def rule(axes: Axes, value: float, colour: str = MUTED, **options: Any) -> None:
    """A horizontal level."""
    options = {"linewidth": 0.9, "linestyle": ":", "zorder": 1.5} | options
    axes.axhline(value, color=colour, **options)


def note(axes: Axes, text: str) -> None:
    """Says in words why a panel is empty."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", color=MUTED, fontsize=SMALL)
    axes.set_xticks([])
    axes.set_yticks([])


__all__ = [
    "BATCH",
    "SIGMA",
    "Drawing",
    "Sheet",
    "anything",
    "curve",
    "curves",
    "decades",
    "handle",
    "log_axes",
    "note",
    "power",
    "rule",
    "theory",
]
