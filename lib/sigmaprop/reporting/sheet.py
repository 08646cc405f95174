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
_LEFT, _RIGHT, _BOTTOM, _TOP, _HEADER = 0.72, 0.12, 0.5, 0.32, 0.3
_ROW, _HANDLE, _LETTER = 0.165, 0.5, 0.071
_DEEPEST = 45
"""Most decades on an axis; closed forms near a kink reach 1e-300."""
_NOTHING = 1e-37
"""What lies below the smallest normal float32 is 0."""
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
    """Panels in rows, left to right; `finish` lays them out and adds title and legend.

    Args:
        title: of all.
        columns: panels in a row.
        height: of a panel, in inches.
        top: room above a panel for its title, in inches.
        left: room for tick labels left of a panel, in inches, for each column; empty: the usual.
    """

    def __init__(
        self,
        title: str,
        columns: int,
        height: float = 2.7,
        top: float = _TOP,
        left: Sequence[float] = (),
    ):
        self.left = left
        self.figure = Figure(figsize=(WIDTH, 4))
        self.title = title
        self.columns = columns
        self.height = height
        self.top = top
        self.panels: list[Axes] = []
        self.bars: list[Axes] = []
        self.legend: dict[str, Any] = {}

    def panel(self, title: str, x: str, y: str) -> Axes:
        """One more panel."""
        axes = self.figure.add_axes((0.1, 0.1, 0.8, 0.8), label=f"panel {len(self.panels)}")
        axes.set_title(title, fontsize=TEXT, color=INK, y=1.0)  # a set y needs no search
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
        below = lines * _ROW + (0.08 if lines else 0)
        row = self.top + self.height + _BOTTOM
        height = _HEADER + rows * row + below
        self.figure.set_size_inches(WIDTH, height)
        edge = WIDTH - (0.95 if self.bars else 0)
        lefts, width = self._across(edge)
        for i, axes in enumerate(self.panels):
            left = lefts[i % self.columns]
            bottom = height - _HEADER - (i // self.columns + 1) * row + _BOTTOM
            axes.set_position(_share(left, bottom, width, self.height, height))
        for axes in self.bars:
            tall = min(rows * row - self.top - _BOTTOM, 3.2)
            bottom = height - _HEADER - self.top - tall
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

    def _across(self, edge: float) -> tuple[list[float], float]:
        """Where the panels of a row start, and how wide each is."""
        if not self.left:
            column = edge / self.columns
            return [i * column + _LEFT for i in range(self.columns)], column - _LEFT - _RIGHT
        width = (edge - sum(self.left)) / self.columns - _RIGHT
        starts = [i * (width + _RIGHT) + sum(self.left[: i + 1]) for i in range(self.columns)]
        return starts, width


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
    place: int | None = None,
    positive: bool = True,
) -> Line2D:
    """Measured points, joined, with bars of two standard errors where they are wider than a marker.

    With a ``place``, every third point of a long curve bears a marker, others than those of the
    curves at the places beside it: curves that coincide are all seen.

    On a logarithmic axis a value of 0 that has an error is drawn as a triangle at two errors: it
    may lie anywhere below.
    """
    shown = np.where(value > _NOTHING, value, np.nan) if positive else value
    (line,) = axes.plot(
        x,
        shown,
        color=mark.colour,
        marker=mark.marker,
        linestyle=style.DASHES[run % len(style.DASHES)],
        markerfacecolor=mark.colour if run == 0 else PAPER,
        markeredgecolor=mark.colour,
        markeredgewidth=0.8,
        markevery=_every(shown, place),
        label=label,
    )
    if error is not None:
        _error_bars(axes, x, shown, error, mark.colour, positive)
    if positive:
        error = np.zeros_like(value) if error is None else np.nan_to_num(error)
        _limits(axes, x, value, error, mark.colour, label)
        _zeros(axes, x[(np.abs(value) <= _NOTHING) & (error <= _NOTHING)], mark.colour, label)
    return line


def _every(shown: np.ndarray, place: int | None) -> tuple[int, int] | None:
    """First point with a marker and the step to the next; all where a point could stand alone."""
    known = np.flatnonzero(np.isfinite(shown))
    if place is None or known.size < 9 or known[-1] - known[0] >= known.size:
        return None
    return (int(known[0]) + place % 3, 3)


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


def _zeros(axes: Axes, x: np.ndarray, colour: str, label: str) -> None:
    """Marks at the foot for what is exactly 0, which a logarithmic axis has no place for."""
    if x.size:
        axes.plot(
            x,
            np.full(len(x), 0.015),
            linestyle="none",
            marker="|",
            markersize=6,
            color=colour,
            transform=axes.get_xaxis_transform(),
            label=f"zero: {label}",
        )


def _limits(
    axes: Axes, x: np.ndarray, value: np.ndarray, error: np.ndarray, colour: str, label: str
) -> None:
    below = (np.abs(value) <= _NOTHING) & (error > _NOTHING)
    if below.any():
        axes.plot(
            x[below],
            2 * error[below],
            linestyle="none",
            marker="v",
            markersize=4.5,
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
        marks = curves(axes, "theory: ", "limit: ", "zero: ")
        _log_axis(axes, "x", *_extent([line.get_xdata() for line in marks]))
    if y:
        low, high = _extent([ln.get_ydata() for ln in curves(axes, "limit: ", "edge: ")])
        drawn = _extent([ln.get_ydata() for ln in curves(axes, "theory: ", "limit: ", "edge: ")])
        if not anything(axes):  # only theory: its upper part
            low, high = drawn[1] / 1e6, drawn[1]
        low, high = max(min(low, drawn[0]), low / 10), min(max(high, drawn[1]), high * 10)
        _log_axis(axes, "y", max(low, high * 10.0**-_DEEPEST), high)
    axes.grid(True)


def curves(axes: Axes, *others: str) -> list[Line2D]:
    """The measured curves of a panel and, of the other lines, those of these kinds.

    The label of any other line starts with its kind: "theory: ", "limit: ", "zero: ", "edge: " or
    "level: ".
    """
    kinds = ("theory: ", "limit: ", "zero: ", "edge: ", "level: ")
    labels = [(str(line.get_label()), line) for line in axes.lines]
    return [ln for label, ln in labels if not label.startswith(kinds) or label.startswith(others)]


def anything(axes: Axes) -> bool:
    """Whether a panel shows any measured number above 0."""
    lines = curves(axes, "limit: ", "edge: ")
    return any(np.isfinite(np.asarray(line.get_ydata(), float)).any() for line in lines)


def _extent(arrays: Sequence[Any]) -> tuple[float, float]:
    joined = np.concatenate([np.asarray(a, float) for a in arrays]) if arrays else np.array([])
    joined = joined[np.isfinite(joined) & (joined > 0)]
    return (float(joined.min()), float(joined.max())) if joined.size else (0.1, 1.0)


def _log_axis(axes: Axes, which: str, low: float, high: float) -> None:
    low, high = np.log10(low), np.log10(high)
    room = max(0.04 * (high - low), 0.3 - (high - low) / 2)
    low, high = 10 ** (low - room), 10 ** (high + room)
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
        fine = [(m, p) for p in range(first - 2, last + 2) for m in (1, 2, 5)]
        inside = [(m, p) for m, p in fine if low <= m * 10.0**p <= high]
        return [m * 10.0**p for m, p in inside], [_fine(m, p) for m, p in inside]
    step = next(s for s in (1, 2, 3, 4, 5, 6, 8, 10, 20, 50, 100) if (last - first) // s < most)
    powers = [p for p in range(first, last + 1) if p % step == 0]
    return [10.0**p for p in powers], [power(p) for p in powers]


def _fine(mantissa: int, exponent: int) -> str:
    if -3 <= exponent <= 3:
        return f"{mantissa * 10.0**exponent:g}"
    return power(exponent) if mantissa == 1 else f"{mantissa}·{power(exponent)}"


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
    axes.axhline(value, color=colour, label=f"level: {value:.3g}", **options)


def note(axes: Axes, text: str) -> None:
    """Says in words why a panel is empty."""
    axes.text(0.05, 0.5, text, transform=axes.transAxes, color=MUTED, fontsize=SMALL)


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
