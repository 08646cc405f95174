"""Dots with intervals, a row for each thing that is compared.

The rows of the table of an `Intervals` are dots: ``panel``, ``row`` (its name), ``series`` (in the
legend), ``value``, ``low`` and ``high`` (the interval, NaN without one), ``look`` (a `marks.Mark`),
``hollow`` and ``struck`` (whether it is struck through). Rows of another ``kind`` stand beside
them: "seed" (a tick at ``value``), "line" (down the panel at ``value``), "band" (from ``low`` to
``high``), "below" (a line above ``row``, from which on rows are of another sort).
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from sigmaprop.reporting.canvas import LETTER, Canvas, Drawing, log_axis
from sigmaprop.reporting.fmt import plain, short
from sigmaprop.reporting.marks import Mark
from sigmaprop.reporting.style import GRID, INK, MUTED, PAPER, SMALL

_DEFAULTS: dict[str, Any] = {
    **{"series": "", "value": np.nan, "low": np.nan, "high": np.nan, "look": Mark(INK, "o")},
    **{"hollow": False, "struck": False, "kind": "dot", "legend": "", "row": "", "dashes": "-"},
}
_SHIFT = 0.32
"""Rows between the first and the last series of a row."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Intervals:
    """A figure of dots with intervals; see the module.

    Attributes:
        name, title, caption, rows: as of a `charts.Lines`.
        x: label of the axis; may differ by panel, by the start of its title.
        log: "x": logarithmic; "": linear; "sym": linear within ``linear``, logarithmic outside.
        linear: of "sym".
        ticks: of "sym", with their names.
        columns: panels in a row, at most.
        row: height of a row, in inches.
        shift: whether the series of a row stand below each other.
        join: whether they are joined by a line.
        each: whether every panel has rows of its own, with their names.
        edge: dots beyond it are drawn at the right edge as arrows; NaN for none.
        numbers: whether the number stands beside its dot.
    """

    name: str
    title: str
    caption: str
    rows: Callable[..., pd.DataFrame | None]
    x: str | Mapping[str, str]
    log: str = "x"
    linear: float = 0.01
    ticks: Mapping[float, str] = dataclasses.field(default_factory=dict)
    columns: int = 2
    row: float = 0.16
    shift: bool = False
    join: bool = False
    each: bool = False
    edge: float = np.nan
    numbers: bool = False

    def draw(self, *arguments: Any, runs: Sequence[str] = ()) -> Drawing | None:
        """The figure, or None where there is nothing to draw."""
        rows = self.rows(*arguments)
        if rows is None or rows.empty:
            return None
        words: dict[str, Any] = {str(k): v for k, v in rows.attrs.items()}
        fills = {k: v for k, v in _DEFAULTS.items() if k not in rows}
        rows = rows.assign(**{k: [v] * len(rows) for k, v in fills.items()})
        rows["look"] = [v if isinstance(v, Mark) else _DEFAULTS["look"] for v in rows["look"]]
        for name in ("kind", "legend", "series", "dashes"):
            rows[name] = [_DEFAULTS[name] if v is None or v != v else v for v in rows[name]]
        panels = list(dict.fromkeys(rows["panel"]))
        names = {
            panel: list(dict.fromkeys(own["row"]))
            for panel, own in _dots(rows).groupby("panel", sort=False)
        }
        everything = list(dict.fromkeys(_dots(rows)["row"]))
        names = {panel: names.get(panel, []) if self.each else everything for panel in panels}
        left = 0.2 + 0.9 * LETTER * max((len(plain(n, 50)) for n in everything), default=1)
        columns = min(self.columns, len(panels))
        lefts = (left,) * columns if self.each else (left, *(0.25,) * (columns - 1))
        height = self.row * (max(map(len, names.values())) + 0.7)
        canvas = Canvas(words.get("heading", self.title), columns, max(height, 0.6), left=lefts)
        for place, panel in enumerate(panels):
            label = self.x if isinstance(self.x, str) else self.x.get(panel, panel)
            axes = canvas.panel(panel, label)
            own = rows[rows["panel"] == panel]
            self._panel(canvas, axes, own, names[panel], place % columns == 0 or self.each)
        figure, hover = canvas.finish()
        title = self.title.format(**words)
        caption = self.caption + words.get("caption", "")
        return Drawing(self.name, title, caption, _alt(canvas.title, rows, panels), figure, hover)

    def _panel(
        self, canvas: Canvas, axes: Axes, rows: pd.DataFrame, names: list[str], named: bool
    ) -> None:
        """One panel: its axes, then a line of dots a row."""
        self._scale(axes, rows)
        axes.set_ylim(len(names) - 0.4, -0.7)
        texts = [plain(name, 50) for name in names] if named else []
        axes.set_yticks(range(len(names)), texts or [""] * len(names), fontsize=SMALL - 0.5)
        axes.tick_params(axis="y", length=0)
        axes.grid(True, axis="x", linewidth=0.5)
        for place in range(len(names)):
            axes.axhline(place, color=GRID, linewidth=0.5, zorder=0.3)
        series = list(dict.fromkeys(_dots(rows)["series"]))
        limits = axes.get_xlim()
        for row in rows.itertuples():
            y: float = names.index(str(row.row)) if row.row in names else 0
            if self.shift and len(series) > 1 and row.series in series:
                y += _SHIFT * (series.index(row.series) / (len(series) - 1) - 0.5)
            self._beside(canvas, axes, row, y)
        for name, own in _dots(rows).groupby("row", sort=False):
            inside = own["value"][own["value"].between(*limits)]
            if self.join and len(inside) > 1:
                ends = (inside.min(), inside.max())
                axes.hlines(names.index(str(name)), *ends, color=MUTED, linewidth=1.0, zorder=2)

    def _beside(self, canvas: Canvas, axes: Axes, row: Any, y: float) -> None:
        """A dot, a tick of a seed, a line or a band."""
        look, line = row.look, {"color": row.look.colour, "zorder": 1.6}
        match row.kind:
            case "seed":
                tick = {"marker": "|", "markersize": 5, "markeredgewidth": 0.8, "alpha": 0.6}
                axes.plot([row.value], [y], linestyle="none", color=look.colour, **tick)
            case "line":
                axes.axvline(row.value, linestyle=row.dashes, linewidth=1.0, **line)
            case "band":
                ends = (row.low, row.high)
                axes.axvspan(*ends, color=look.colour, alpha=0.3, linewidth=0, zorder=0.5)
            case "below":
                axes.axhline(y - 0.5, color=MUTED, linewidth=0.8)
            case _:
                self._dot(canvas, axes, row, y)
        if row.legend and row.kind != "dot":
            sample = {
                "seed": {"marker": "|", "markersize": 6},
                "band": {"linestyle": "-", "linewidth": 6, "alpha": 0.3, "color": look.colour},
            }.get(row.kind, {"linestyle": row.dashes, "color": look.colour})
            canvas.explain(row.legend, sample)

    def _dot(self, canvas: Canvas, axes: Axes, row: Any, y: float) -> None:
        """A dot with its interval; at the edge where it lies beyond; struck through if so told."""
        if np.isnan(row.value):
            return
        look, limits = row.look, axes.get_xlim()
        beyond = row.value >= self.edge or row.value > limits[1]
        if np.isfinite([row.low, row.high]).all() and row.low < row.high:
            ends = np.clip([row.low, row.high], *limits)
            axes.plot(ends, [y, y], color=look.colour, linewidth=1.4, zorder=2)
        options = look.line(size=5.5) | {"linestyle": "none", "clip_on": False, "zorder": 3}
        if row.hollow:
            options |= {"fillstyle": "full", "markerfacecolor": PAPER}
        x = 0.99 if beyond else max(row.value, limits[0])
        if beyond:
            options |= {"marker": ">", "transform": axes.get_yaxis_transform()}
        axes.plot([x], [y], **options)
        if row.struck:
            cross = options | {"marker": "x", "markersize": 7, "zorder": 4}
            axes.plot([x], [y], **(cross | {"color": INK, "markeredgecolor": INK}))
            canvas.explain("biased", {"marker": "x", "markersize": 6.5})
        if self.numbers:
            _write(axes, row, y)
        if row.series:
            sample = look.line(size=5) | {"linestyle": "none"}
            if row.hollow and not row.struck:
                sample |= {"fillstyle": "full", "markerfacecolor": PAPER}
            canvas.explain(row.legend or row.series, sample)
        if beyond:
            canvas.explain("beyond the axis", {"marker": ">", "markersize": 5})
        known = [float(f"{v:.4g}") if np.isfinite(v) else None for v in (row.value, y)]
        name = f"{row.row}{', ' if row.series else ''}{row.series}"
        half = (row.high - row.low) / 2
        bars = [float(f"{half / 2:.3g}") if np.isfinite(half) else None]
        curve = {"n": name, "k": "", "x": [known[0]], "y": [known[1]], "e": bars, "h": 1}
        canvas.curves[canvas.panels.index(axes)].append(curve)

    def _scale(self, axes: Axes, rows: pd.DataFrame) -> None:
        """The axis of values around what is drawn."""
        inside = rows[["value", "low", "high"]].to_numpy(float).ravel()
        inside = inside[np.isfinite(inside)]
        if self.log == "sym":
            widest = max(map(abs, self.ticks))
            axes.set_xscale("symlog", linthresh=self.linear, linscale=0.7)
            axes.set_xlim(-1.6 * widest, 1.6 * widest)
            axes.set_xticks(list(self.ticks), list(self.ticks.values()))
            axes.tick_params(axis="x", labelsize=SMALL - 0.5)
            axes.minorticks_off()
        elif self.log == "x":
            inside = inside[inside > 0]
            if not np.isnan(self.edge):
                inside = inside[inside < self.edge]
            low, high = (inside.min(), inside.max()) if inside.size else (0.1, 1.0)
            log_axis(axes, "x", float(low), float(high))
        else:
            low, high = (inside.min(), inside.max()) if inside.size else (0.0, 1.0)
            room = max(0.08 * (high - low), 1e-2 * max(abs(high), abs(low), 0.1))
            axes.set_xlim(low - room, high + room)
            axes.xaxis.set_major_locator(MaxNLocator(4))


def _dots(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["kind"] == "dot"]


def _write(axes: Axes, row: Any, y: float) -> None:
    """A number above its dot, towards the middle of the panel."""
    half = (row.high - row.low) / 2
    digits = min(8, max(0, -int(np.floor(np.log10(half))))) if half > 0 else 4
    inward = 1 if row.value < sum(axes.get_xlim()) / 2 else -1
    axes.annotate(
        f"{row.value:.{digits}f} ± {half:.{digits}f}".replace("-", "−"),
        (row.value, y),
        xytext=(-7 * inward, 6),
        textcoords="offset points",
        ha="left" if inward > 0 else "right",
        fontsize=SMALL,
    )


def _alt(title: str, rows: pd.DataFrame, panels: list[str]) -> str:
    """The chart in words: its panels, and the ends of its rows."""
    text = f"{title}. Dots with intervals in {len(panels)} panels: {'; '.join(panels[:6])}."
    for panel, own in list(_dots(rows).groupby("panel", sort=False))[:3]:
        own = own[np.isfinite(own["value"].to_numpy(float))]
        if len(own):
            low, high = (own.loc[own["value"].astype(float).agg(f)] for f in ("idxmin", "idxmax"))
            text += f" {panel}: from {short(float(low['value']))} ({low['row']}) to "
            text += f"{short(float(high['value']))} ({high['row']})."
    return text
