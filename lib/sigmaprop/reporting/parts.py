"""Parts that several figures share: guides, samples for legends, words about ranges."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from sigmaprop.reporting.sheet import Sheet, anything, curves, handle, log_axes, note
from sigmaprop.reporting.style import DASHES, INK, MUTED, PAPER, THEORY, Mark


def slope_guide(sheet: Sheet, axes: Axes, slope: float, text: str) -> None:
    """A wide line of a slope, above the curves where they start, unless none falls."""
    ends = [end for line in curves(axes) if (end := _first(line)) is not None]
    if not any(_falls(line) for line in curves(axes)):
        return
    low, high = axes.get_xlim()
    start = 2.5 * max(y * (x / low) ** -slope for x, y in ends)
    axes.plot(
        [low, high],
        [start, start * (high / low) ** slope],
        color=MUTED,
        linewidth=2.2,
        alpha=0.45,
        zorder=1.2,
        label=f"theory: {text}",
        scalex=False,
        scaley=False,
    )
    sheet.explain(text, handle(MUTED, linestyle="-", linewidth=2.2, alpha=0.45))


def close(axes: Axes) -> None:
    """Scales a panel around its measurements, or says that there are none above 0."""
    measured = curves(axes)
    if anything(axes) or curves(axes, "theory: ")[len(measured) :]:
        log_axes(axes)
    else:
        axes.set_xticks([])
        axes.set_yticks([])
    if not anything(axes):
        note(axes, "every measurement is 0" if measured else "not measured")


def fine_ticks(axes: Axes, low: float, high: float) -> None:
    """Ticks at 1, 2, 5 times powers of ten on a logarithmic x axis of a few decades."""
    found = [m * 10.0**p for p in range(-12, 13) for m in (1, 2, 5)]
    found = [tick for tick in found if low * 0.999 <= tick <= high * 1.001]
    axes.set_xticks(found, [f"{tick:g}" for tick in found])


def sample(mark: Mark) -> Line2D:
    """A legend's sample of a curve, as in the first run."""
    return handle(mark.colour, marker=mark.marker, linestyle="-", markersize=4)


def explain_theory(sheet: Sheet, text: str) -> None:
    """A legend entry for theory, if any panel shows some."""
    labels = [str(line.get_label()) for axes in sheet.panels for line in axes.lines]
    if any(label.startswith("theory: ") and "slope" not in label for label in labels):
        sheet.explain(text, handle(MUTED, linestyle=THEORY))


def explain_zeros(sheet: Sheet) -> None:
    """A legend entry for marks at the foot and for limits, if any panel shows some."""
    labels = [str(line.get_label()) for axes in sheet.panels for line in axes.lines]
    if any(label.startswith("zero: ") for label in labels):
        sheet.explain("exactly 0 (at the foot)", handle(MUTED, marker="|", markersize=6))
    if any(label.startswith("limit: ") for label in labels):
        sheet.explain(
            "not resolved from 0, lies below",
            handle(marker="v", markersize=4.5, markerfacecolor="none", markeredgecolor=MUTED),
        )


class Labelled(Protocol):
    """A run that is told from others."""

    @property
    def label(self) -> str:
        """What tells it from them."""
        ...


def explain_runs(sheet: Sheet, runs: Sequence[Labelled]) -> None:
    """Legend entries for the runs of an overlay."""
    if len(runs) < 2:
        return
    for index, run in enumerate(runs):
        sheet.explain(
            run.label,
            handle(
                INK,
                linestyle=DASHES[index],
                linewidth=1.3,
                marker="o",
                markersize=4,
                markerfacecolor=INK if index == 0 else PAPER,
            ),
        )


def range_of(axes: Axes, what: str) -> str:
    """One sentence with the extent of the first curve of a panel."""
    for line in curves(axes):
        x, y = np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)
        known = np.isfinite(y) & (y > 0)
        if known.any():
            x, y = x[known], y[known]
            low, high = np.argmin(x), np.argmax(x)
            return (
                f"The {what} of {line.get_label()} goes from {y[low]:.2g} at {x[low]:.2g} to "
                f"{y[high]:.2g} at {x[high]:.2g}."
            )
    return f"No {what} above 0 was measured."


def _falls(line: Line2D) -> bool:
    """Whether a curve's ends are a factor of 3 or more apart."""
    y = np.asarray(line.get_ydata(), float)
    y = y[np.isfinite(y) & (y > 0)]
    return y.size > 1 and max(y[0], y[-1]) > 3 * min(y[0], y[-1])


def _first(line: Line2D) -> tuple[float, float] | None:
    """A curve's point of smallest x."""
    x, y = np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)
    known = np.isfinite(y) & (y > 0)
    if not known.any():
        return None
    index = int(np.argmin(x[known]))
    return float(x[known][index]), float(y[known][index])
