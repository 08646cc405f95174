"""How good the examples are: distances with intervals, along the run, and modes."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from sigmaprop.reporting.gan_parts import (
    STEP,
    dots,
    explain_band,
    explain_cells,
    explain_dots,
    left_out,
    log_scale,
    mark,
    mean_line,
    name,
    real_band,
    rows_axis,
    shown,
    step_axis,
)
from sigmaprop.reporting.gan_results import GanRun
from sigmaprop.reporting.gan_scores import METRICS
from sigmaprop.reporting.gan_series import Key
from sigmaprop.reporting.gan_terminal import short
from sigmaprop.reporting.results import plain
from sigmaprop.reporting.sheet import Drawing, Sheet, handle
from sigmaprop.reporting.style import DASHES, INK

_DISTANCES = ("mmd2", "sliced_wasserstein")
_MODES = ("num_modes", "high_quality", "variance_ratio", "log_likelihood")
_LOW = {"mmd2": 0.3}
"""MMD^2 is drawn down to this share of its 95th percentile for real data; it may be below 0."""
_ROW, _LETTER = 0.34, 0.066
UNITS = {"mmd2": "MMD²", "sliced_wasserstein": "sliced Wasserstein (units of x)"}


def scores(run: GanRun, weights: str = "last") -> Drawing | None:
    """Both distances of every cell: of the mean and of x, seeds, interval, real against real."""
    if not any(one.score("mmd2", "x", weights) for one in run.comparisons):
        return None
    told = {"last": "last iterate", "average": "moving average of the weights"}[weights]
    sheet = _sheet(run, f"distance to held-out data, {told}", 2)
    for metric in _DISTANCES:
        axes = sheet.panel(METRICS[metric].title, UNITS[metric], "")
        values = _rows(axes, run, metric, weights, _lowest(run, metric))
        if real_band(axes, run.measured, metric, across=True):
            explain_band(sheet)
        real = run.measured.real.get(metric, {}).get("percentile_95", np.nan)
        known = [value for value in (*values, real) if np.isfinite(value) and value > 0]
        if known:
            log_scale(axes, min(known), max(known), x=True)
    _label_rows(sheet, run, 2)
    explain_dots(sheet)
    return Drawing(
        f"scores_{weights}" if weights != "last" else "scores",
        f"Distance to held-out data: {told}",
        "Mean over the evaluations in the last fifth of the run, logarithmic axes, left is "
        "better. What lies in the band, or left of it, cannot be told from real data with this "
        "many examples. An MMD² below the axis is drawn at its left end."
        + _medians(run)
        + left_out(run),
        f"Dots with intervals, {told}. {_told(run, weights)}",
        sheet.finish(),
    )


def coverage(run: GanRun) -> Drawing | None:
    """Modes, share of high quality, variance within modes and likelihood, of mixtures."""
    if not any(one.score("num_modes", "x", "last") for one in run.comparisons):
        return None
    sheet = _sheet(run, "modes and quality, last iterate", 2)
    told = False
    for metric in _MODES:
        axes = sheet.panel(METRICS[metric].title, METRICS[metric].title, "")
        values = _rows(axes, run, metric, "last", -np.inf)
        values += [run.measured.ideal[metric]] if metric in run.measured.ideal else []
        low, high = min(values, default=0.0), max(values, default=1.0)
        room = max(0.06 * (high - low), 1e-2 * max(abs(high), 0.1))
        axes.set_xlim(low - room, high + room)
        axes.locator_params(axis="x", nbins=5, integer=metric == "num_modes")
        axes.grid(True, axis="x")
        told |= _truth(axes, run, metric)
    _label_rows(sheet, run, 2)
    explain_dots(sheet)
    if told:
        sheet.explain("the truth itself", handle(INK, linestyle=DASHES[1]))
    return Drawing(
        "coverage",
        "Modes and quality",
        "High quality is within 3 std of the nearest mode. A generator that collapses onto the "
        "modes scores more quality and more log-likelihood under the mixture than the truth has, "
        "and too small a variance ratio: these two are best where they equal the truth's."
        + _medians(run)
        + left_out(run),
        "Dots with intervals of four scores. "
        + " ".join(
            f"{name(cell)}: {_level(run, place, 'num_modes')} modes, "
            f"{_level(run, place, 'high_quality')} of high quality."
            for place, cell in enumerate(shown(run)[:8])
        ),
        sheet.finish(),
    )


def _truth(axes: Axes, run: GanRun, metric: str) -> bool:
    """A line at what the truth itself scores, where that is known."""
    ideal = run.measured.ideal.get(metric)
    if ideal is None:
        return False
    axes.axvline(ideal, color=INK, linestyle=DASHES[1], linewidth=1.0, zorder=0.6)
    return True


def _medians(run: GanRun) -> str:
    """A sentence on cells whose dots are medians."""
    if not any(one.diverged for one in run.comparisons):
        return ""
    return (
        " Where seeds diverged the dot is the median over all of them, diverged ones last, "
        "without an interval; there is none where half or more diverged."
    )


def along(run: GanRun) -> Drawing | None:
    """Distances against the step, of the mean and of x; last iterate and moving average."""
    sheet = Sheet(f"{plain(run.config['dataset'])}: distance to held-out data by step", 2, 2.2)
    averaged = False
    for metric in _DISTANCES:
        for of in ("mean", "x"):
            axes = sheet.panel(f"{METRICS[metric].title} of {_of(of)}", STEP, UNITS[metric])
            averaged |= _courses(axes, run, metric, of)
    if not sheet.panels[0].lines:
        return None
    _share(sheet.panels)
    explain_cells(sheet, shown(run))
    if any(
        _shows_band(axes, run, metric)
        for axes, metric in zip(sheet.panels[::2], _DISTANCES, strict=True)
    ):
        explain_band(sheet)
    if averaged:
        sheet.explain("moving average of the weights", handle(INK, linestyle=DASHES[2]))
    return Drawing(
        "along",
        "Distance along the run",
        "Mean over seeds, logarithmic axes; panels of a row share theirs. Comparisons use the last "
        "fifth of the run alone." + left_out(run),
        f"Four panels of distance by step. {_told(run, 'last')}",
        sheet.finish(),
    )


def _shows_band(axes: Axes, run: GanRun, metric: str) -> bool:
    """Whether real against real lies inside a panel."""
    real = run.measured.real.get(metric)
    return real is not None and real["percentile_95"] > axes.get_ylim()[0]


def _courses(axes: Axes, run: GanRun, metric: str, of: str) -> bool:
    """The lines of a panel; whether there are moving averages among them."""
    averaged = False
    for weights in ("last", "average"):
        series = run.measured.series.get(Key(metric, of, weights))
        if series is None:
            continue
        low = _lowest(run, metric)
        series = series._replace(value=np.maximum(series.value, low if low > 0 else 1e-300))
        for cell in shown(run):
            mean_line(axes, cell, series, dashed=weights == "average")
        averaged |= weights == "average"
    real_band(axes, run.measured, metric, across=False)
    step_axis(axes, run.measured.steps)
    return averaged


def _share(panels: Sequence[Axes]) -> None:
    """The same logarithmic axis for the panels of a row."""
    for row in (panels[:2], panels[2:]):
        data = [np.asarray(line.get_ydata(), float) for axes in row for line in axes.lines]
        known = np.concatenate(data) if data else np.array([1.0])
        known = known[np.isfinite(known) & (known > 0)]
        for axes in row if known.size else ():
            log_scale(axes, float(known.min()), float(known.max()))


def _sheet(run: GanRun, what: str, columns: int) -> Sheet:
    """Panels with a row for every cell, their names left of the first."""
    cells = shown(run)
    longest = max(len(name(cell, 30)) for cell in cells)
    return Sheet(
        f"{plain(str(run.config['dataset']))}: {what}",
        columns,
        height=max(1.0, _ROW * len(cells) + 0.2),
        left=(_LETTER * longest + 0.25, *[0.25] * (columns - 1)),
    )


def _label_rows(sheet: Sheet, run: GanRun, columns: int) -> None:
    names = [name(cell, 30) for cell in shown(run)]
    for place, axes in enumerate(sheet.panels):
        rows_axis(axes, names, labels=place % columns == 0)


def _rows(axes: Axes, run: GanRun, metric: str, weights: str, low: float) -> list[float]:
    """A row for every cell; all numbers that were drawn, those below ``low`` at it."""
    drawn: list[float] = []
    for place, cell in enumerate(shown(run)):
        for of, shift in (("mean", -0.16), ("x", 0.16)):
            score = run.comparisons[place].score(metric, of, weights)
            if score is None:
                continue
            late = run.measured.late(Key(metric, of, weights), cell)
            late = np.maximum(late[np.isfinite(late)], low)
            ends = (max(score.level.low, low), max(score.level.high, low))
            value = max(score.level.value, low)
            value = value if np.isfinite(value) else np.nan
            dots(axes, place + shift, late, value, ends, mark(cell), of == "x")
            drawn += [*late, *(one for one in (value, *ends) if np.isfinite(one))]
    return drawn


def _lowest(run: GanRun, metric: str) -> float:
    """What is not drawn below."""
    real = run.measured.real.get(metric, {}).get("percentile_95", np.nan)
    return _LOW[metric] * real if metric in _LOW and real > 0 else 1e-300


def _of(of: str) -> str:
    return "the mean" if of == "mean" else "x"


def _level(run: GanRun, place: int, metric: str) -> str:
    score = run.comparisons[place].score(metric, "x", "last")
    return "–" if score is None else short(score.level.value)


def _told(run: GanRun, weights: str) -> str:
    """The primary metric of the first cells in words."""
    words = []
    for one in run.comparisons[:8]:
        pair = [one.score("mmd2", of, weights) for of in ("mean", "x")]
        levels = [short(score.level.value) for score in pair if score is not None]
        if len(levels) == 2:
            words.append(f"{plain(one.label)}: MMD² {levels[0]} of the mean, {levels[1]} of x.")
    return " ".join(words)
