"""Where sigma went: its course, its values by coordinate, its time at the bounds."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from sigmaprop.reporting.gan_parts import (
    MOST_LINES,
    STEP,
    explain_cells,
    heading,
    left_out,
    log_scale,
    log_ticks,
    mark,
    mean_line,
    name,
    room,
    seed_lines,
    shown,
    step_axis,
)
from sigmaprop.reporting.gan_results import Cell, GanRun
from sigmaprop.reporting.gan_series import Key
from sigmaprop.reporting.parts import explain_runs
from sigmaprop.reporting.quantities import MOST_RUNS
from sigmaprop.reporting.results import plain
from sigmaprop.reporting.sheet import Drawing, Sheet, handle, rule
from sigmaprop.reporting.style import DASHES, MUTED, VERMILLION

SIGMA = "sigma (std, units of x)"
_NEAR = 3.0
"""A bound is drawn where sigma comes within this factor of it."""
_SEEN = 0.01
"""Shares of scales at a bound that are less than this are not worth a figure."""
_MAPPED = ("per_pixel", "heteroscedastic", "low_rank")
_MOST_MAPS = 12


def noise_std(run: GanRun) -> float | None:
    """The std of the noise that was put into the data, None where that is nothing."""
    given = (run.config.get("data") or {}).get("noise_std")
    if given is None and run.config.get("dataset") == "linear_gaussian":
        return 0.1
    return float(given) if given else None


def trajectories(runs: Sequence[GanRun]) -> Drawing | None:
    """Sigma against the step, a line a seed."""
    runs = runs[:MOST_RUNS]
    sheet = Sheet(_title(runs, "sigma by step"), 1, height=3.4)
    axes = sheet.panel("", STEP, SIGMA)
    values = []
    for index, run in enumerate(runs):
        series = run.measured.series[Key("sigma")]
        cells = [cell for cell in shown(run) if _largest(series.value[cell.replicas]) > 0]
        for cell in cells:
            seed_lines(axes, cell, series, index)
            values.append(series.value[cell.replicas])
        explain_cells(sheet, cells)
    if not values:
        return None
    _levels(sheet, axes, runs[0], np.concatenate([value.ravel() for value in values]))
    step_axis(axes, max(run.measured.steps for run in runs))
    explain_runs(sheet, runs)
    most = max(len(cell.seeds) for run in runs for cell in run.cells)
    seeds = f"the first {MOST_LINES} of {most} seeds" if most > MOST_LINES else "every seed"
    return Drawing(
        "sigma",
        "Where sigma goes",
        f"One line for {seeds} of every arm that has noise. The value is the root mean square over "
        "coordinates and latents. Under Adam the log of a global or per-pixel sigma moves by about "
        "its learning rate a step at most, so a line that falls straight to the end tells of the "
        f"time given, not of a level that was reached.{left_out(runs[0])}",
        f"Sigma by step on a logarithmic axis. {_ends(runs[0])}",
        sheet.finish(),
    )


def _levels(sheet: Sheet, axes: Axes, run: GanRun, values: np.ndarray) -> None:
    """Bounds that sigma comes near, the noise of the data, and an axis that shows them."""
    values = values[np.isfinite(values) & (values > 0)]
    low, high = float(values.min()), float(values.max())
    floor, ceiling = (float(run.config[f"sigma_{end}"]) for end in ("floor", "ceiling"))
    if low < _NEAR * floor:
        rule(axes, floor, linewidth=1.2)
        sheet.explain("floor, ceiling", handle(MUTED, linestyle=":", linewidth=1.2))
        low = min(low, floor)
    if high > ceiling / _NEAR:
        rule(axes, ceiling, linewidth=1.2)
        sheet.explain("floor, ceiling", handle(MUTED, linestyle=":", linewidth=1.2))
        high = max(high, ceiling)
    if (std := noise_std(run)) is not None:
        rule(axes, std, VERMILLION, linestyle=DASHES[3], linewidth=1.4)
        line = handle(VERMILLION, linestyle=DASHES[3], linewidth=1.4)
        sheet.explain(f"noise in the data, {std:g}", line)
        low, high = min(low, std), max(high, std)
    log_scale(axes, low, high)


def bounds(run: GanRun) -> Drawing | None:
    """The share of scales at floor and ceiling, where there is any."""
    learned = [cell for cell in shown(run) if cell.learns]
    sheet = Sheet(_title([run], "share of scales at a bound"), 2, height=2.2)
    found = False
    for key, bound in (("at_floor", "sigma_floor"), ("at_ceiling", "sigma_ceiling")):
        series = run.measured.series[Key(key)]
        text = key.replace("_", " the ")
        axes = sheet.panel(f"{text}, {run.config[bound]:g}", STEP, "share of scales")
        for cell in learned:
            mean_line(axes, cell, series)
            found |= _largest(series.value[cell.replicas]) > _SEEN
        step_axis(axes, run.measured.steps)
        axes.set_ylim(-0.03, 1.03)
    if not found:
        return None
    explain_cells(sheet, learned)
    return Drawing(
        "bounds",
        "Time at floor and ceiling",
        "Mean over seeds of the share of learned scales that stand at their smallest or largest "
        "allowed value. What stands at a bound says nothing of where it would have gone.",
        f"Share of learned scales at floor and ceiling by step for {_names(learned)}.",
        sheet.finish(),
    )


def maps(run: GanRun) -> Drawing | None:
    """Sigma of every pixel or coordinate at the end, of the first seed."""
    cells = [cell for cell in shown(run) if cell.arm in _MAPPED][:_MOST_MAPS]
    dim = int(np.prod(run.shape))
    if not cells or (not run.is_image and dim < 3):
        return None
    scale = [run.examples["scale"][cell.replicas[0]] for cell in cells]
    values = [np.sqrt(np.mean(one.astype(float) ** 2, axis=0)) for one in scale]
    values = [np.where(one > 0, one, np.nan) for one in values]
    if not np.isfinite(values).any():
        return None
    drawn = _pixels(run, cells, values) if run.is_image else _coordinates(run, cells, values)
    return Drawing(
        "sigma_maps",
        f"Sigma of every {'pixel' if run.is_image else 'coordinate'}",
        "At the end of training, first seed; where sigma depends on the latent, the root mean "
        f"square over {len(scale[0])} latents; of colours, over the channels.",
        "The standard deviation of the noise at the end of training. "
        + " ".join(
            f"{name(cell)}: from {np.nanmin(value):.2g} to {np.nanmax(value):.2g}."
            for cell, value in zip(cells, values, strict=True)
        ),
        drawn.finish(),
    )


def _pixels(run: GanRun, cells: Sequence[Cell], values: Sequence[np.ndarray]) -> Sheet:
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    if high < 1.05 * low:
        low, high = low / 1.5, high * 1.5
    columns = min(4, max(3, len(cells)))
    sheet = Sheet(_title([run], "sigma by pixel, at the end"), columns, 1.75, room(cells))
    for cell, value in zip(cells, values, strict=True):
        axes = sheet.panel(heading(cell), "", "")
        image = value.reshape(run.shape)
        if image.ndim == 3:
            image = np.sqrt(np.mean(image**2, axis=-1))
        axes.imshow(
            np.log10(image), cmap="viridis", vmin=np.log10(low), vmax=np.log10(high),
            interpolation="none",
        )  # fmt: skip
        axes.set_xticks([])
        axes.set_yticks([])
    _scale(sheet.bar(), low, high)
    return sheet


def _scale(axes: Axes, low: float, high: float) -> None:
    ends = (np.log10(low), np.log10(high))
    axes.imshow(
        np.linspace(*ends, 128)[:, None], cmap="viridis", aspect="auto", origin="lower",
        extent=(0, 1, *ends), interpolation="none",
    )  # fmt: skip
    axes.set_xticks([])
    axes.yaxis.tick_right()
    ticks, labels = log_ticks(low, high)
    axes.set_yticks(np.log10(ticks), labels)
    axes.yaxis.set_label_position("right")
    axes.set_ylabel(SIGMA, fontsize=8)


def _coordinates(run: GanRun, cells: Sequence[Cell], values: Sequence[np.ndarray]) -> Sheet:
    sheet = Sheet(_title([run], "sigma by coordinate, at the end"), 1, height=2.4)
    axes = sheet.panel("", "coordinate", SIGMA)
    for cell, value in zip(cells, values, strict=True):
        own = mark(cell)
        axes.plot(np.arange(value.size), value, color=own.colour, marker=own.marker)
    explain_cells(sheet, cells)
    _levels(sheet, axes, run, np.concatenate(values))
    axes.locator_params(axis="x", integer=True)
    return sheet


def _largest(values: np.ndarray) -> float:
    """Of the values that are known, 0 where none is."""
    return float(np.max(values, initial=0, where=np.isfinite(values)))


def _title(runs: Sequence[GanRun], what: str) -> str:
    return f"{plain(str(runs[0].config['dataset']))}: {what}"


def _names(cells: Sequence[Cell]) -> str:
    return ", ".join(name(cell) for cell in cells)


def _ends(run: GanRun) -> str:
    """Where the mean over seeds starts and ends, in words."""
    series = run.measured.series[Key("sigma")]
    words = []
    for cell in shown(run)[:8]:
        value = series.value[cell.replicas]
        known = np.flatnonzero(np.isfinite(value).any(axis=0))
        if known.size and _largest(value) > 0:
            first, last = (float(np.nanmean(value[:, place])) for place in known[[0, -1]])
            words.append(f"{name(cell)} goes from {first:.2g} to {last:.2g}")
    return "; ".join(words) + "."
