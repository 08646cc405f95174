"""Images: heat maps over two axes, and grids of pictures, each in one panel."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from sigmaprop.reporting.canvas import WIDTH, Canvas, Drawing, log_ticks
from sigmaprop.reporting.fmt import short
from sigmaprop.reporting.style import INK, MUTED, PAPER, SMALL, TEXT

ALIKE = 1.1
"""Values within this factor of the least count as good."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Heat:
    """Heat maps of positive values over a grid of ``x`` and ``y``, a panel each.

    The dot of a column marks its least value, the line those within 10% of it. The table has
    columns ``panel``, ``x``, ``y``, ``value``; its ``attrs`` may hold ``range``, the ends of the
    colours as powers of ten, and ``unit``.

    Attributes:
        name, title, caption, rows: as of a `charts.Lines`.
        x, y: labels of the axes.
    """

    name: str
    title: str
    caption: str
    rows: Callable[..., pd.DataFrame | None]
    x: str
    y: str
    cmap: str = "viridis_r"
    columns: int = 3
    height: float = 2.1

    def draw(self, *arguments: Any, runs: Sequence[str] = ()) -> Drawing | None:
        """The figure, or None where there is nothing to draw."""
        rows = self.rows(*arguments)
        if rows is None or rows.empty:
            return None
        words: dict[str, Any] = {str(k): v for k, v in rows.attrs.items()}
        panels = list(dict.fromkeys(rows["panel"]))
        top = 0.17 + 0.15 * max(1 + panel.count("\n") for panel in panels)
        across = min(self.columns, len(panels))
        canvas = Canvas(words.get("heading", self.title), across, self.height, top)
        low, high = words.get("range") or _range(rows["value"].to_numpy(float))
        told = ""
        for panel in panels:
            own = rows[rows["panel"] == panel]
            plane = own.pivot_table("value", "y", "x", dropna=False).sort_index()
            axes = canvas.panel(panel, self.x, self.y)
            _shade(axes, plane.to_numpy(float), self.cmap, low, high)
            x, y = plane.columns.to_numpy(float), plane.index.to_numpy(float)
            for values, put in ((x, axes.set_xticks), (y, axes.set_yticks)):
                _index_ticks(values, put)
            best = _mark_best(axes, plane.to_numpy(float))
            if best and not told:
                told = f" In the first, the least value at {self.x} {short(x[best[-1][0]])} stands"
                told += f" at {self.y} {short(y[best[-1][1]])}."
        canvas.scale(self.cmap, low, high, words.get("unit", ""), open_ends=True)
        dot = {"marker": "o", "markersize": 5, "markerfacecolor": PAPER, "markeredgecolor": INK}
        canvas.explain("least in its column", dot)
        canvas.explain(f"within {ALIKE - 1:.0%} of it", {"linestyle": "-", "color": INK})
        figure, _ = canvas.finish()
        alt = f"{canvas.title}. Heat maps of {', '.join(panels[:6])} over {self.x} and {self.y}."
        caption = self.caption + words.get("caption", "")
        return Drawing(self.name, self.title.format(**words), caption, alt + told, figure, {})


class Tile(NamedTuple):
    """One picture of a grid.

    Attributes:
        image: [H, W] or, of colours in [0, 1], [H, W, 3].
        words: below it.
        cmap: of an image without colours of its own.
        ends: what the ends of the colours stand for; None: symmetric about 0, to its own largest.
    """

    image: np.ndarray
    words: str = ""
    cmap: str = "PuOr_r"
    ends: tuple[float, float] | None = None


class Grid(NamedTuple):
    """Pictures in rows under headings.

    Attributes:
        heading: of the figure.
        rows: each with its name and its pictures; None leaves a gap.
        columns: headings.
        wide: width of a picture in units of its height; of all.
        scale: a colour scale to draw: cmap, ends (powers of ten) and unit.
        words: fill in the title and go behind the caption, as the ``attrs`` of a table.
    """

    heading: str
    rows: Sequence[tuple[str, Sequence[Tile | None]]]
    columns: Sequence[str]
    wide: float = 1.0
    scale: tuple[str, float, float, str] | None = None
    words: dict[str, str] = {}  # noqa: RUF012  # never changed


@dataclasses.dataclass(frozen=True, kw_only=True)
class Images:
    """A grid of pictures.

    Attributes:
        name, title, caption: as of a `charts.Lines`.
        rows: ``(...) -> Grid``, None where there is nothing to draw.
    """

    name: str
    title: str
    caption: str
    rows: Callable[..., Grid | None]

    def draw(self, *arguments: Any, runs: Sequence[str] = ()) -> Drawing | None:
        """The figure: one panel in which every picture is placed, far fewer parts than many."""
        grid = self.rows(*arguments)
        if grid is None or not grid.rows:
            return None
        name = max(len(text) for text, _ in grid.rows) * 0.062 + 0.2
        across = max(len(tiles) for _, tiles in grid.rows)
        room = WIDTH - name - (1.0 if grid.scale else 0.1)
        wide = min(room / across - 0.1, 1.4 * grid.wide)
        tall = wide / grid.wide
        below = 0.2 if any(t and t.words for _, ts in grid.rows for t in ts) else 0.08
        height = 0.62 + len(grid.rows) * (tall + below)
        figure = Figure(figsize=(WIDTH, height))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.text(0.1, 0.12, grid.heading, va="top", fontsize=TEXT + 1, weight="bold")
        for column, text in enumerate(grid.columns):
            x = name + column * (wide + 0.1) + wide / 2
            axes.text(x, 0.55, text, ha="center", fontsize=SMALL, color=MUTED)
        for row, (text, tiles) in enumerate(grid.rows):
            y = 0.6 + row * (tall + below)
            axes.text(0.1, y + tall / 2, text, va="center", fontsize=SMALL, color=INK)
            for column, tile in enumerate(tiles):
                if tile is not None:
                    x = name + column * (wide + 0.1)
                    _place(axes, tile, (x, x + wide, y + tall, y))
        axes.set_xlim(0, WIDTH)
        axes.set_ylim(height, 0)
        axes.set_aspect("auto")
        if grid.scale is not None:
            canvas = Canvas("", 1)
            canvas.figure = figure
            canvas.scale(*grid.scale, open_ends=False)
            assert canvas.bar is not None
            box = (
                1 - 0.85 / WIDTH,
                0.1 / height,
                0.16 / WIDTH,
                min(1 - 0.7 / height, 2.5 / height),
            )
            canvas.bar.set_position(box)
        names = ", ".join(text for text, _ in grid.rows[:12] if text)
        below = [t.words for _, ts in grid.rows for t in ts if t is not None and t.words]
        title = self.title.format(**grid.words)
        alt = f"{grid.heading}. Pictures in rows: {names or len(grid.rows)}; "
        alt += f"in columns: {', '.join(grid.columns[:12])}; named {', '.join(below[:8]) or 'so'}."
        caption = self.caption + grid.words.get("caption", "")
        return Drawing(self.name, title, caption, alt, figure, {})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Slides:
    """One figure at several moments of a run, behind a slider.

    Attributes:
        name, title, caption: as of a `charts.Lines`.
        specs: of the figure; the first that has something to show is drawn.
        moments: ``(...) ->`` for each moment its name and the arguments of the figure then.
    """

    name: str
    title: str
    caption: str
    specs: Sequence[Any]
    moments: Callable[..., Sequence[tuple[str, tuple[Any, ...]]]]

    def draw(self, *arguments: Any, runs: Sequence[str] = ()) -> Drawing | None:
        """The figures of all moments, the last one in front; None where there are not two."""
        drawn: list[tuple[str, Drawing]] = []
        for moment, then in self.moments(*arguments):
            found = (spec.draw(*then, runs=runs) for spec in self.specs)
            drawn += [(moment, drawing) for drawing in found if drawing is not None][:1]
        if len(drawn) < 2:
            return None
        last = drawn[-1][1]
        return last._replace(
            name=self.name,
            title=self.title,
            caption=self.caption,
            moments=drawn,
        )


def sheet(images: np.ndarray, down: int, across: int) -> np.ndarray:
    """Images [N, H, W] or [N, H, W, C] side by side as one, a line of NaN between them."""
    tall, wide, *colours = images.shape[1:]
    canvas = np.full((down * (tall + 1) - 1, across * (wide + 1) - 1, *colours), np.nan)
    for place, image in enumerate(images[: down * across]):
        y, x = divmod(place, across)
        canvas[y * (tall + 1) :, x * (wide + 1) :][:tall, :wide] = image
    return canvas[..., 0] if colours == [1] else canvas


def _place(axes: Axes, tile: Tile, box: tuple[float, float, float, float]) -> None:
    """One picture, framed, with its words below."""
    image = np.asarray(tile.image, float)
    size = float(np.nanmax(np.abs(image), initial=0)) or 1.0
    low, high = tile.ends or (-size, size)
    if image.ndim == 3:
        image = np.nan_to_num(np.clip((image - low) / (high - low), 0, 1), nan=1.0)
    shades = {"cmap": tile.cmap, "vmin": low, "vmax": high, "interpolation": "none"}
    axes.imshow(image, extent=box, **shades)
    left, right, bottom, top = box
    x, y = [left, right, right, left, left], [top, top, bottom, bottom, top]
    axes.plot(x, y, color=MUTED, linewidth=0.5)
    if tile.words:
        words = tile.words.replace("-", "−")
        axes.text((left + right) / 2, bottom + 0.02, words, ha="center", va="top", fontsize=SMALL)


def _shade(axes: Axes, values: np.ndarray, cmap: str, low: float, high: float) -> None:
    with np.errstate(divide="ignore", invalid="ignore"):
        shown = np.log10(values)
    shown = np.where(np.isnan(shown), np.nan, np.maximum(shown, low - 1))
    box = (-0.5, values.shape[1] - 0.5, -0.5, values.shape[0] - 0.5)
    shades = {"cmap": cmap, "vmin": low, "vmax": high, "interpolation": "none"}
    axes.imshow(shown, aspect="auto", origin="lower", extent=box, **shades)


def _range(values: np.ndarray) -> tuple[float, float]:
    known = values[np.isfinite(values) & (values > 0)]
    if not known.size:
        return -1.0, 0.0
    high = float(np.ceil(np.log10(np.quantile(known, 0.98))))
    low = float(np.floor(np.log10(known.min())))
    return max(low, high - 6), max(high, low + 1)


def _index_ticks(values: np.ndarray, put: Callable[..., Any]) -> None:
    """Powers of ten placed between the steps that were swept."""
    if len(values) < 2:
        put([0], [f"{values[0]:.3g}"])
        return
    ticks, labels = log_ticks(float(values[0]), float(values[-1]), most=6)
    put(np.interp(np.log10(ticks), np.log10(values), np.arange(len(values))).tolist(), labels)


def _mark_best(axes: Axes, errors: np.ndarray) -> list[tuple[int, int]]:
    """A dot at the least value of a column, a line along those hardly larger."""
    bars, best = [], []
    for column, values in enumerate(errors.T):
        if not np.isfinite(values).any():
            continue
        row = int(np.flatnonzero(values == np.nanmin(values))[-1])
        good = values <= ALIKE * values[row]
        low = high = row
        while low > 0 and good[low - 1]:
            low -= 1
        while high < len(values) - 1 and good[high + 1]:
            high += 1
        best.append((column, row))
        if high > low:
            bars.append([(column, low - 0.3), (column, high + 0.3)])
    for colour, width in ((PAPER, 3.0), (INK, 1.4)):  # seen on light and dark
        axes.add_collection(LineCollection(bars, colors=colour, linewidths=width), autolim=False)
    dot = {"marker": "o", "markersize": 3.6, "markerfacecolor": PAPER, "markeredgecolor": INK}
    axes.plot(*zip(*best, strict=True), linestyle="none", markeredgewidth=0.8, **dot)
    axes.grid(False)
    return best
