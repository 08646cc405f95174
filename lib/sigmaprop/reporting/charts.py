"""Curves with their theory and their errors, drawn from a tidy table: the chart of most figures.

A figure is a `Lines`: words, axes, and a function that makes its rows. Every row is one point with

* ``panel`` and ``curve``: where it stands, in the words that name panel and curve;
* ``run``: 0 for the first run; further ones are overlaid in other dashes, with hollow markers;
* ``x``, ``value``, and where they are known ``error`` (standard error) and ``theory``;
* ``low`` and ``high``: the ends of a band around the curve;
* ``look``: a `marks.Mark`; without one curves are told apart by their number;
* ``kind``: "measured"; or "level" (a line across at ``value``), "vertical" (one at ``x``), "foot"
  and "top" (marks at an edge at ``x``; full where ``value`` is 1), "left" (a mark at the left edge
  at ``value``), "star" (at ``x``, ``value``), "cross" (a tick at ``x``, ``value`` with its x in
  words), "sampled" (a point with a rim and its error), "ghost" (a thin line that a legend does not
  name where others are). They are explained by ``legend``, and take ``dashes``.

On a logarithmic axis a value of 0 that has an error is a triangle at two errors: it may lie
anywhere below. One without an error is a tick at the foot.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.ticker import MaxNLocator

from sigmaprop.reporting.canvas import Canvas, Drawing, log_axis
from sigmaprop.reporting.fmt import count, plain, short
from sigmaprop.reporting.marks import RUNS, Mark, nth
from sigmaprop.reporting.points import filled
from sigmaprop.reporting.style import INK, MUTED, PAPER, SMALL, THEORY

_NOTHING = 1e-37
"""What lies below the smallest normal float32 is 0."""
_WIDE = {"linestyle": "-", "linewidth": 2.2, "alpha": 0.45}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Guide:
    """A wide line of a slope, above the curves of a panel, or below where it rises.

    Attributes:
        slope: in decades a decade.
        text: in the legend.
        panel: which panels have it: those whose title starts so.
        above: whether it lies above the curves; None: where it falls.
        share: of the curves' range of x, from its small end, that it spans.
    """

    slope: float
    text: str
    panel: str = ""
    share: float = 1.0
    above: bool | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Lines:
    """A figure of curves; see the module.

    Attributes:
        name: of its files.
        title: heading in a page; words in braces are filled in by the rows' ``attrs``.
        caption: what to look for; states no result.
        rows: ``(runs, ...) -> table``; None or an empty one: there is nothing to draw. Its
            ``attrs`` may hold ``frame``, the ends of x and of y of all panels.
        x, y: labels of the axes; they may differ by panel, by the start of its title.
        theory: in the legend, where theory is drawn.
        log: which axes are logarithmic: "xy", "x", "y" or ""; may differ by panel.
        columns: panels in a row, at most. height: of a panel, in inches.
        share: panels with one scale of values: "row", "column", or "" for none.
        guides: slopes to compare with.
        steps: whether x counts training steps.
        limits: ``rows of a panel -> (low, high)`` of a linear axis of values.
        sparse: whether of a long curve every third point bears a marker, others than its
            neighbours', so that curves that coincide are all seen.
        markers: whether curves have markers.
    """

    name: str
    title: str
    caption: str
    rows: Callable[..., pd.DataFrame | None]
    x: str | Mapping[str, str]
    y: str | Mapping[str, str]
    theory: str = "theory"
    log: str | Mapping[str, str] = "xy"
    columns: int = 2
    height: float = 2.7
    share: str = ""
    guides: Sequence[Guide] = ()
    steps: bool = False
    limits: Callable[[pd.DataFrame], tuple[float, float]] | None = None
    sparse: bool = True
    markers: bool = True

    def draw(self, *arguments: Any, runs: Sequence[str] = ()) -> Drawing | None:
        """The figure, or None where there is nothing to draw.

        Args:
            *arguments: of ``rows``.
            runs: labels of overlaid runs.
        """
        rows = self.rows(*arguments)
        if rows is None or rows.empty:
            return None
        words: dict[str, Any] = {str(k): v for k, v in rows.attrs.items()}
        rows = filled(rows)
        panels = list(dict.fromkeys(rows["panel"]))
        canvas = Canvas(
            words.get("heading", self.title),
            min(words.get("columns", self.columns), len(panels)),
            self.height,
        )
        looks = _looks(rows)
        for title in panels:
            axes = canvas.panel(title, _of_panel(self.x, title), _of_panel(self.y, title))
            _Panel(self, canvas, axes, rows[rows["panel"] == title], looks).draw()
            if frame := words.get("frame"):
                axes.set(xlim=frame[0], ylim=frame[1])
        if self.share:
            self._share(canvas, rows, panels)
        _explain(canvas, rows, self.theory, any("y" in _of_panel(self.log, p) for p in panels))
        explain_runs(canvas, runs)
        figure, hover = canvas.finish()
        title = self.title.format(**words)
        caption = self.caption + words.get("caption", "")
        return Drawing(
            self.name, title, caption, _alt(self, canvas.title, rows, panels), figure, hover
        )

    def _share(self, canvas: Canvas, rows: pd.DataFrame, panels: Sequence[str]) -> None:
        """One scale of values for the panels of a row or a column."""
        across = canvas.columns
        groups: dict[int, list[int]] = {}
        for place in range(len(panels)):
            key = place // across if self.share == "row" else place % across
            groups.setdefault(key, []).append(place)
        for places in groups.values():
            own = rows[rows["panel"].isin([panels[place] for place in places])]
            ends = _extent_y(own)
            for place in places if ends is not None else ():
                if canvas.panels[place].get_yscale() == "log":
                    log_axis(canvas.panels[place], "y", *ends)  # pyright: ignore


@dataclasses.dataclass(frozen=True)
class _Panel:
    """One panel being drawn."""

    spec: Lines
    canvas: Canvas
    axes: Axes
    rows: pd.DataFrame
    looks: Mapping[str, tuple[int, Mark]]

    @property
    def log(self) -> str:
        """Which of its axes are logarithmic."""
        return _of_panel(self.spec.log, self.axes.get_title(loc="left"))

    def draw(self) -> None:
        """Curves first, then what stands beside them, then the axes around both."""
        measured = self.rows[self.rows["kind"].isin(("measured", "ghost"))]
        for (run, curve, _), own in measured.groupby(["run", "curve", "kind"], sort=False):
            self._curve(int(run), str(curve), own)  # pyright: ignore
        self._scale(measured)
        for row in self.rows[~self.rows["kind"].isin(("measured", "ghost"))].itertuples():
            beside(self.canvas, self.axes, row, self.looks[str(row.curve)][1])
        for guide in self.spec.guides:
            if self.axes.get_title(loc="left").startswith(guide.panel):
                self._guide(guide, measured)

    def _curve(self, run: int, name: str, own: pd.DataFrame) -> None:
        """Points, joined, with bars of two standard errors where they are wider than a marker."""
        place, look = self.looks[name]
        x, value, error = (own[c].to_numpy(float) for c in ("x", "value", "error"))
        positive = "y" in self.log
        shown = np.where(value > _NOTHING, value, np.nan) if positive else value
        options = look.line(run)
        ghost = own["kind"].iloc[0] == "ghost"
        if ghost:
            options |= {"linewidth": 0.7, "alpha": 0.55, "marker": ""}
        if not self.spec.markers:
            options["marker"] = ""
        (line,) = self.axes.plot(
            x, shown, markevery=_every(shown, place) if self.spec.sparse else None, **options
        )
        key = f"k{place}"
        line.set_gid(f"{key}-{len(self.canvas.panels)}-{run}{'s' * ghost}")
        if np.isfinite(own["low"]).any():
            ends = own["low"].to_numpy(float), own["high"].to_numpy(float)
            self.axes.fill_between(x, *ends, color=look.colour, alpha=0.13, linewidth=0)
        else:
            _error_bars(self.axes, x, shown, error, look.colour, positive)
        if positive:
            _unresolved(self.axes, x, value, np.nan_to_num(error), look.colour)
        expected = own["theory"].to_numpy(float)
        if run == 0 and (expected > 0).any():
            expected = np.where(expected > 0, expected, np.nan)
            thin = {"color": look.colour, "linestyle": THEORY, "linewidth": 0.9, "zorder": 1.8}
            self.axes.plot(x, expected, **thin)
        if not ghost or not (self.rows["kind"] == "measured").any():
            self.canvas.explain(plain(name, 60), look.line(), key)
        if not ghost:
            numbers = {"x": x, "y": value, "e": error}
            numbers = {k: [_brief(v) for v in array] for k, array in numbers.items()}
            label = f"{name}, run {run + 1}" if run else name
            self.canvas.curves[-1].append({"n": label, "k": key} | numbers)

    def _scale(self, measured: pd.DataFrame) -> None:
        """Axes around what was measured."""
        spec, axes, log = self.spec, self.axes, self.log
        ends = _extent_y(self.rows) if "y" in log else _linear(spec, self.rows)
        if ends is None:
            words = "every measurement is 0" if not measured.empty else "not measured"
            self.canvas.note(axes, words)
            return
        if "y" in log:
            log_axis(axes, "y", *ends)
            if _positive(measured["value"]).size == 0 and not _limits(measured).size:
                axes.text(
                    *(0.05, 0.5, "every measurement is 0"),
                    **{"transform": axes.transAxes, "color": MUTED, "fontsize": SMALL},
                )
        else:
            axes.set_ylim(*ends)
            axes.yaxis.set_major_locator(MaxNLocator(6))
        x = measured["x"][np.isfinite(measured["x"])]
        if "x" in log and (x > 0).any():
            log_axis(axes, "x", float(x[x > 0].min()), float(x.max()))
        elif spec.steps:
            axes.set_xlim(0, float(x.max()) * 1.01 or 1.0)
            axes.locator_params(axis="x", nbins=5)
            axes.xaxis.set_major_formatter(lambda value, place: f"{value:,.0f}")
        axes.grid(True)

    def _guide(self, guide: Guide, measured: pd.DataFrame) -> None:
        """Drawn where any curve falls or rises by a factor of 3."""
        own = measured[(measured["value"] > _NOTHING) & (measured["x"] > 0)]
        spans = own.groupby(["run", "curve"])["value"].agg(lambda v: v.max() / v.min())
        if not (spans > 3).any():
            return
        first = own.sort_values("x").groupby(["run", "curve"]).head(1)
        levels = (first["value"] / first["x"] ** guide.slope).to_numpy(float)
        above = guide.slope < 0 if guide.above is None else guide.above
        level = levels.max() * 1.8 if above else levels.min() / 1.8
        x = own["x"].to_numpy(float)
        near = x <= np.quantile(np.unique(x), guide.share, method="higher")
        ends = np.array([x.min(), x[near].max()])
        free = {"scalex": False, "scaley": False}
        look: dict[str, Any] = {"color": MUTED, "zorder": 1.2} | _WIDE | free
        self.axes.plot(ends, level * ends**guide.slope, **look)
        self.canvas.explain(guide.text, _WIDE)


def _looks(rows: pd.DataFrame) -> dict[str, tuple[int, Mark]]:
    """Number and look of every curve, by its name."""
    looks: dict[str, tuple[int, Mark]] = {}
    for name, look in zip(rows["curve"], rows["look"], strict=True):
        if str(name) not in looks:
            number = len(looks)
            looks[str(name)] = (number, look if isinstance(look, Mark) else nth(number))
    return looks


def _of_panel(labels: str | Mapping[str, str], title: str) -> str:
    if isinstance(labels, str):
        return labels
    return next((text for start, text in labels.items() if title.startswith(start)), "")


def beside(canvas: Canvas, axes: Axes, row: Any, look: Mark) -> None:
    """A level, or a mark at an edge: see the module."""
    colour = look.colour if row.curve else MUTED
    line = {"color": colour, "linestyle": row.dashes, "linewidth": 1.2, "zorder": 1.5}
    face = colour if row.value == 1 else "none"
    mark = {"linestyle": "none", "markersize": 5.5, "markeredgecolor": colour, "color": colour}
    shapes = {"foot": "^", "top": "^", "left": "<", "star": "*", "cross": "|", "sampled": "o"}
    shape = shapes.get(row.kind, "")
    match row.kind:
        case "level" if row.value > 0 or axes.get_yscale() == "linear":
            axes.axhline(row.value, **line)
        case "vertical":
            axes.axvline(row.x, **line)
        case "foot" | "top":
            height = 0.98 if row.kind == "top" else 0.03
            mark |= {"transform": axes.get_xaxis_transform(), "markerfacecolor": face}
            axes.plot([row.x], [height], marker=shape, clip_on=False, **mark)
        case "left":
            mark |= {"transform": axes.get_yaxis_transform(), "clip_on": False}
            axes.plot([0], [row.value], marker=shape, **mark)
        case "star":
            size = {"markersize": 10, "markerfacecolor": PAPER, "zorder": 4}
            axes.plot([row.x], [row.value], marker=shape, **(mark | size))
        case "cross":
            axes.plot([row.x], [row.value], "|", color=INK, markersize=11, zorder=4)
            words = {"xytext": (0, 7), "textcoords": "offset points", "ha": "center"}
            text = f"{row.x:.4g}".replace("-", "−")
            axes.annotate(text, (row.x, row.value), fontsize=SMALL - 0.5, **words)
        case "sampled":
            rim = {
                "markeredgecolor": INK,
                "markersize": 6.5,
                "marker": look.marker,
                "color": colour,
            }
            bar = {"ecolor": INK, "elinewidth": 0.9, "capsize": 2, "linestyle": "none", "zorder": 3}
            axes.errorbar([row.x], [row.value], [2 * row.error], **rim, **bar)
        case _:
            return
    if row.legend:
        grey = {"color": MUTED, "markeredgecolor": MUTED, "markersize": 6}
        sample = {"marker": shape, "markerfacecolor": MUTED if row.value == 1 else "none", **grey}
        own = {"linestyle": row.dashes, "linewidth": 1.2, "color": colour if row.curve else MUTED}
        canvas.explain(row.legend, sample if shape else own)


def _explain(canvas: Canvas, rows: pd.DataFrame, theory: str, positive: bool) -> None:
    """Legend entries for theory, for ticks at the foot and for triangles, where there are any."""
    measured = rows[rows["kind"] == "measured"]
    if ((measured["theory"] > 0) & (measured["run"] == 0)).any():
        canvas.explain(theory, {"linestyle": THEORY})
    if not positive:
        return
    zero = measured["value"].abs() <= _NOTHING
    if (zero & ~(measured["error"] > _NOTHING)).any():
        canvas.explain("exactly 0 (at the foot)", {"marker": "|", "markersize": 6})
    if (zero & (measured["error"] > _NOTHING)).any():
        hollow = {"marker": "v", "markersize": 4.5, "markerfacecolor": "none"}
        canvas.explain("not resolved from 0, lies below", hollow | {"markeredgecolor": MUTED})


def explain_runs(canvas: Canvas, labels: Sequence[str]) -> None:
    """Legend entries for the runs of an overlay."""
    for index, label in enumerate(labels if len(labels) > 1 else ()):
        face = INK if index == 0 else PAPER
        look = {"color": INK, "linestyle": RUNS[index % len(RUNS)], "linewidth": 1.3}
        canvas.explain(label, look | {"marker": "o", "markersize": 4, "markerfacecolor": face})


def _every(shown: np.ndarray, place: int) -> tuple[int, int] | None:
    """First point with a marker and the step to the next; all where a point could stand alone."""
    known = np.flatnonzero(np.isfinite(shown))
    if known.size < 9 or known[-1] - known[0] >= known.size:
        return None
    step = max(3, known.size // 7)
    return (int(known[0]) + place * max(1, step // 3) % step, step)


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


def _unresolved(
    axes: Axes, x: np.ndarray, value: np.ndarray, error: np.ndarray, colour: str
) -> None:
    """Triangles for what is not resolved from 0, ticks at the foot for what is exactly 0."""
    nothing = np.abs(value) <= _NOTHING
    below, zero = nothing & (error > _NOTHING), nothing & (error <= _NOTHING)
    if below.any():
        look = {"marker": "v", "markersize": 4.5, "markerfacecolor": "none", "linestyle": "none"}
        look |= {"markeredgecolor": colour, "markeredgewidth": 0.8}
        axes.plot(x[below], 2 * error[below], **look)
    if zero.any():
        look = {"marker": "|", "markersize": 6, "linestyle": "none", "color": colour}
        transform = axes.get_xaxis_transform()
        axes.plot(x[zero], np.full(zero.sum(), 0.015), transform=transform, **look)


def _positive(values: pd.Series) -> np.ndarray:
    array = values.to_numpy(float)
    return array[np.isfinite(array) & (array > _NOTHING)]


def _limits(rows: pd.DataFrame) -> np.ndarray:
    """Where the triangles stand."""
    return 2 * _positive(rows["error"][rows["value"].abs() <= _NOTHING])


def _extent_y(rows: pd.DataFrame) -> tuple[float, float] | None:
    """The ends of a logarithmic axis; theory widens what was measured by a decade at most."""
    drawn = rows[rows["kind"].isin(("measured", "ghost", "left", "star"))]
    marks = rows[rows["kind"].isin(("left", "star"))]
    values = np.concatenate([_positive(drawn["value"]), _limits(drawn), _positive(marks["value"])])
    theory = _positive(drawn["theory"][drawn["run"] == 0])
    if not values.size:
        return (theory.max() / 1e6, theory.max()) if theory.size else None
    low, high = float(values.min()), float(values.max())
    if theory.size:
        low = max(min(low, theory.min()), low / 10)
        high = min(max(high, theory.max()), high * 10)
    return low, high


def _linear(spec: Lines, rows: pd.DataFrame) -> tuple[float, float] | None:
    """The ends of a linear axis."""
    measured = rows[rows["kind"].isin(("measured", "ghost"))]
    values = measured["value"].to_numpy(float)
    if not np.isfinite(values).any():
        return None
    if spec.limits is not None:
        return spec.limits(measured)
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    room = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
    return low - room, high + room


def _alt(spec: Lines, title: str, rows: pd.DataFrame, panels: Sequence[str]) -> str:
    """The chart in words: its axes, panels and curves, and where the first curve goes."""
    measured = rows[rows["kind"] == "measured"]
    curves = list(dict.fromkeys(measured["curve"]))
    scales = {"xy": "both axes logarithmic", "x": "x axis logarithmic", "y": "y axis logarithmic"}
    scale = scales.get(_of_panel(spec.log, panels[0]), "")
    text = (
        f"{title}. {count(len(panels), 'panel')} against {_of_panel(spec.x, panels[0])}"
        f"{', ' + scale if scale else ''}: {'; '.join(panels[:9])}. "
        f"Curves: {', '.join(map(str, curves[:16])) or 'none'}."
    )
    own = measured[(measured["panel"] == panels[0]) & np.isfinite(measured["value"])]
    own = own[own["curve"] == own["curve"].iloc[0]].sort_values("x") if len(own) else own
    if len(own):
        (x0, y0), (x1, y1) = own[["x", "value"]].iloc[[0, -1]].to_numpy(float)
        text += f" In the first, {own['curve'].iloc[0]} goes from {short(y0)} at {short(x0)}"
        text += f" to {short(y1)} at {short(x1)}."
    return text


def _brief(value: float) -> float | None:
    """Four digits, None for what JSON does not know."""
    return float(f"{value:.4g}") if np.isfinite(value) else None
