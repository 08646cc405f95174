"""Parts that several figures share: guides, samples for legends, words about ranges."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from sigmaprop.reporting.results import Results
from sigmaprop.reporting.sheet import Sheet, anything, curves, handle, log_axes, note
from sigmaprop.reporting.style import DASHES, INK, MUTED, PAPER, Mark


def slope_guide(sheet: Sheet, axes: Axes, slope: float, text: str) -> None:
    """A wide line of a slope, above the curves where they start."""
    ends = [_first(line) for line in curves(axes)]
    ends = [end for end in ends if end is not None]
    if not ends:
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
    """Scales a panel around its measurements, or says that it has none."""
    if anything(axes):
        log_axes(axes)
        return
    for line in axes.lines:
        line.set_visible(False)
    note(axes, "nothing above 0 was measured")


def sample(mark: Mark) -> Line2D:
    """A legend's sample of a curve, as in the first run."""
    return handle(mark.colour, marker=mark.marker, linestyle="-", markersize=4)


def explain_runs(sheet: Sheet, runs: Sequence[Results]) -> None:
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


def _first(line: Line2D) -> tuple[float, float] | None:
    """A curve's point of smallest x."""
    x, y = np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)
    known = np.isfinite(y) & (y > 0)
    if not known.any() or str(line.get_label()).startswith("theory"):
        return None
    index = int(np.argmin(x[known]))
    return float(x[known][index]), float(y[known][index])
