"""Training a Bayesian logistic regression with each estimator: what it reaches, and when."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from sigmaprop.reporting.comparison_results import Comparison, Key, Series
from sigmaprop.reporting.estimator_marks import draw_curve, mark_of, ordered, sample
from sigmaprop.reporting.parts import explain_runs, fine_ticks
from sigmaprop.reporting.quantities import MOST_RUNS, name_of
from sigmaprop.reporting.results import plain
from sigmaprop.reporting.sheet import Drawing, Sheet, anything, curves, decades, handle, log_axes
from sigmaprop.reporting.style import MUTED, SMALL

_LATE = 0.3
"""Share of training after which the y axis must hold the curves of those that learn."""
_FARTHEST = 5.0
"""A curve ends outside the panel if its gap to the best is so many times the median gap."""


def logistic(runs: Sequence[Comparison]) -> Drawing | None:
    """ELBO against steps and seconds, and the variance of a step's gradient."""
    runs = list(runs[:MOST_RUNS])
    found = [run.find("logistic") for run in runs]
    elbos = {key: series for key, series in found[0].items() if key.metric == "elbo"}
    if not any(np.isfinite(series.value).any() for series in elbos.values()):
        return None
    seeds = runs[0].config.get("seeds", "several")
    sheet = Sheet(f"Bayesian logistic regression, mean of {seeds} seeds", 2, height=2.5)
    against_steps = sheet.panel("ELBO against steps", "steps", "ELBO (nats)")
    against_time = sheet.panel("ELBO against time", "seconds", "")
    variances = [
        sheet.panel(f"variance of a step's gradient to the {text}", "steps", "variance (nats²)")
        for text in ("mean", "log scale")
    ]
    for index, series_of in enumerate(found):
        for place, key in enumerate(_in_order(series_of)):
            _elbo(against_steps, against_time, key, series_of, index, place)
            for axes, wrt in zip(variances, ("mean", "scale"), strict=True):
                _variance(axes, key._replace(wrt=wrt, metric="variance_of_step"), series_of, index)
            sheet.explain(name_of(key.which), sample(*key.which))
    lowest = _zoom([against_steps, against_time], elbos)
    _close_time(against_time)
    for axes in variances:
        if anything(axes):
            log_axes(axes, x=False)
    sheet.explain("± 2 standard errors", handle(MUTED, linestyle="-", linewidth=6, alpha=0.25))
    explain_runs(sheet, runs)
    _name_those_below(against_steps, elbos, lowest)
    return Drawing(
        "logistic",
        "Training with each estimator",
        "Above: the evidence lower bound of the whole data set, higher is better, from where the "
        "curves can be told apart. Against steps, estimators of little noise lie together; against "
        "seconds, what a step costs moves them. Below: the variance behind the difference, given "
        "the minibatch. Bands are two standard errors over the seeds.",
        "ELBO at the end, in nats: " + _last(elbos) + ".",
        sheet.finish(),
    )


def _in_order(found: dict[Key, Series]) -> list[Key]:
    keys = {key.estimator: key for key in found if key.metric == "elbo"}
    return [keys[name] for name in ordered(keys)]


def _elbo(
    against_steps: Axes,
    against_time: Axes,
    key: Key,
    found: dict[Key, Series],
    index: int,
    place: int,
) -> None:
    """One curve in both panels, and its band."""
    series = found[key]
    seconds = found.get(key._replace(metric="seconds"))
    times = np.nan if seconds is None else float(seconds.value[0])
    for axes, x in ((against_steps, series.x), (against_time, series.x * times)):
        options = {"run": index, "place": place, "positive": False}
        draw_curve(axes, x, series.value, None, *key.which, **options)
        low, high = series.value - 2 * series.error, series.value + 2 * series.error
        if index == 0:
            _band(axes, x, low, high, key.estimator)


def _variance(axes: Axes, key: Key, found: dict[Key, Series], index: int) -> None:
    series = found.get(key)
    if series is None:
        return
    place = ordered({k.estimator for k in found}).index(key.estimator)
    draw_curve(axes, series.x, series.value, None, *key.which, run=index, place=place)
    if index > 0:
        return
    known = series.where((series.value > 0) & (series.error >= 0))
    factor = np.exp(np.minimum(2 * known.error / known.value, 20.0))  # interval of the logarithm
    _band(axes, known.x, known.value / factor, known.value * factor, key.estimator)


def _band(axes: Axes, x: np.ndarray, low: np.ndarray, high: np.ndarray, estimator: str) -> None:
    colour = mark_of(estimator).colour
    axes.fill_between(x, low, high, color=colour, alpha=0.13, linewidth=0)


def _zoom(panels: list[Axes], elbos: dict[Key, Series]) -> float:
    """The y axis that later training needs; its lower end."""
    ends = np.array([_end(series) for series in elbos.values()])
    best = np.nanmax(ends) if np.isfinite(ends).any() else np.nan
    gaps = best - ends
    far = _FARTHEST * np.fmax(_median(gaps), 0.001 * abs(best))
    late = [
        series.value[series.x >= _LATE * series.x.max()]
        for series, gap in zip(elbos.values(), gaps, strict=True)
        if not gap > far
    ]
    values = np.concatenate(late)
    values = values[np.isfinite(values)]
    if not values.size:  # diverged before
        values = np.concatenate([s.value[np.isfinite(s.value)] for s in elbos.values()])
    low, high = float(values.min()), float(values.max())
    room = max(0.06 * (high - low), 1e-3 * abs(high), 1e-3)
    for axes in panels:
        axes.set_ylim(low - room, high + room)
        axes.yaxis.set_major_locator(MaxNLocator(6))
        axes.grid(True)
    return low - room


def _median(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else 0.0


def _end(series: Series) -> float:
    """The last value."""
    return float(series.value[-1])


def _close_time(axes: Axes) -> None:
    """A logarithmic time axis from where the first curve comes into sight."""
    low, high = axes.get_ylim()
    seen = [
        x[(y >= low) & (y <= high)]
        for line in curves(axes)
        for x, y in [np.asarray(line.get_xydata(), float).T]
    ]
    joined = np.concatenate(seen)
    if (joined := joined[joined > 0]).size:
        left, right = 0.85 * joined.min(), 1.15 * joined.max()
        axes.set_xscale("log")
        axes.set_xlim(left, right)
        if right > 100 * left:
            axes.set_xticks(*decades(left, right))
        else:
            fine_ticks(axes, left, right)
        axes.minorticks_off()
    axes.set_ylim(low, high)


def _name_those_below(axes: Axes, elbos: dict[Key, Series], lowest: float) -> None:
    """What ends below the panel, or nowhere, is told in words."""
    below = [
        f"{plain(key.estimator)}: {'diverged' if np.isnan(_end(s)) else f'{_end(s):.3g}'}"
        for key, s in elbos.items()
        if not _end(s) >= lowest
    ]
    if below:
        text = "below, at the end:\n" + "\n".join(below).replace("-", "−")
        axes.text(
            0.03,
            0.96,
            text,
            transform=axes.transAxes,
            va="top",
            fontsize=SMALL,
            color=MUTED,
        )


def _last(elbos: dict[Key, Series]) -> str:
    return ", ".join(f"{name_of(key.which)} {_end(series):.4g}" for key, series in elbos.items())
