"""Figures against sigma: bias and error, variance, the batch that learning sigma needs."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from sigmaprop.reporting import style
from sigmaprop.reporting.parts import (
    close,
    explain_runs,
    explain_theory,
    explain_zeros,
    range_of,
    sample,
    slope_guide,
)
from sigmaprop.reporting.quantities import (
    MOST_CURVES,
    PATHWISE,
    UNIT,
    batch_needed,
    heading,
    name_of,
    pathwise_or_any,
    told_apart,
)
from sigmaprop.reporting.results import Results, Series
from sigmaprop.reporting.sheet import SIGMA, Drawing, Sheet, anything, curve, curves, handle, theory
from sigmaprop.reporting.style import INK, MUTED, THEORY, estimator_mark


def bias(objective: str, runs: Sequence[Results]) -> Drawing | None:
    """Bias of the pathwise gradient, and the error of every estimator at its largest batch."""
    sheet = Sheet(f"{heading(objective, runs)}: bias and error against sigma", 2)
    left = sheet.panel("bias: |mean of all samples − grad f(x)|", SIGMA, f"bias ({UNIT})")
    right = sheet.panel("rms error to grad f(x) at the largest batch", SIGMA, f"error ({UNIT})")
    for index, run in enumerate(runs):
        _biases(sheet, left, objective, run, index)
        _errors(sheet, right, objective, run, index, len(runs))
    if not curves(left) and not curves(right):
        return None
    close(left)
    close(right)
    _floors(sheet, left, objective, runs[0])
    _lost(sheet, right, objective, runs[0])
    explain_theory(sheet, "theory, leading order")
    explain_zeros(sheet)
    explain_runs(sheet, runs)
    return Drawing(
        "bias",
        "Bias and error against sigma",
        "Left: as sigma falls the bias follows the exact line until rounding ends it; dotted lines "
        "mark where rounding is predicted to do so, dash-dotted lines where it was found to. "
        "A hollow triangle is a bias not resolved from 0; it lies below. Right: what one batch "
        "gives; triangles at the foot mark the sigma below which differences of values are lost in "
        "rounding, hollow as predicted, full as found.",
        f"Two log-log panels against sigma for {objective}. {range_of(left, 'bias')} "
        f"{range_of(right, 'error at the largest batch')}",
        sheet.finish(),
    )


def variance(objective: str, runs: Sequence[Results]) -> Drawing | None:
    """Variance of one sample against sigma, to the mean and to the scale."""
    sheet = Sheet(f"{heading(objective, runs)}: variance of one sample against sigma", 2)
    for wrt in ("mean", "scale"):
        axes = sheet.panel(f"of the gradient to the {wrt}", SIGMA, f"variance ({UNIT})²")
        for index, run in enumerate(runs):
            for which in told_apart(run, objective, len(runs)):
                series = run.get(objective, which, wrt, "variance")
                if which[0] != "at_mean" and series is not None:
                    _against_sigma(sheet, axes, series, which, index)
        close(axes)
    if not any(anything(axes) for axes in sheet.panels):
        return None
    explain_theory(sheet, "theory, leading order")
    explain_zeros(sheet)
    explain_runs(sheet, runs)
    return Drawing(
        "variance",
        "Variance of one sample",
        "What the estimators differ in. Where f is smooth and sigma falls, pathwise falls as "
        "sigma² to the mean and stays level to the scale; the score function without a baseline "
        "grows as sigma⁻²; with a baseline, as with differences of values, it stays level until "
        "rounding takes over.",
        f"Two log-log panels of the variance of one sample for {objective}. "
        f"{range_of(sheet.panels[0], 'variance to the mean')}",
        sheet.finish(),
    )


def learning(objective: str, runs: Sequence[Results]) -> Drawing | None:
    """Batch at which the gradient to sigma equals its standard error."""
    sheet = Sheet(f"{heading(objective, runs)}: batch needed to learn sigma", 1)
    axes = sheet.panel(
        "variance of the gradient to sigma / its mean²", SIGMA, "batch for signal = noise (samples)"
    )
    for index, run in enumerate(runs):
        for which in told_apart(run, objective, len(runs)):
            needed = batch_needed(run, objective, which)
            if which[0] not in ("at_mean", "score_function") and needed is not None:
                _against_sigma(sheet, axes, needed, which, index)
    if not anything(axes):
        return None
    close(axes)
    if any(str(line.get_label()).startswith("theory: ") for line in axes.lines):
        slope_guide(sheet, axes, -2, "slope −2")
    explain_theory(sheet, "theory, leading order")
    explain_zeros(sheet)
    explain_runs(sheet, runs)
    return Drawing(
        "learning",
        "Batch needed to learn sigma",
        "Where f is smooth the gradient to sigma is itself of order sigma, its noise is not: with "
        "independent noise the batch that tells its sign grows as sigma⁻². Pairs eps, −eps cancel "
        "that noise.",
        f"Log-log plot of the batch at which the gradient of {objective} to sigma equals its "
        f"standard error. {range_of(axes, 'batch')}",
        sheet.finish(),
    )


def _biases(sheet: Sheet, axes: Axes, objective: str, run: Results, index: int) -> None:
    """Measured bias of the pathwise estimators and the exact one."""
    for place, which in enumerate(pathwise_or_any(run, objective)):
        series = run.get(objective, which, "mean", "bias")
        if series is None:
            continue
        mark, text = estimator_mark(which), name_of(which)
        at_zero = series.value[series.sigma == 0]
        if at_zero.size and at_zero[0] > 0:
            _at_left_edge(sheet, axes, float(at_zero[0]), mark.colour)
        series = series.where(series.sigma > 0)
        if not series.sigma.size:
            continue
        curve(axes, series.sigma, series.value, series.error, mark, label=text, run=index)
        sheet.explain(text, sample(mark))
        if place == 0 and index == 0 and (series.theory > 0).any():
            theory(axes, series.sigma, series.theory, INK, "exact")
            sheet.explain("exact bias", handle(INK, linestyle=THEORY))


def _at_left_edge(sheet: Sheet, axes: Axes, value: float, colour: str) -> None:
    """What sigma = 0 gave; a logarithmic axis has no place for it."""
    axes.plot(
        [0],
        [value],
        marker="<",
        markersize=6,
        color=colour,
        clip_on=False,
        transform=axes.get_yaxis_transform(),
        linestyle="none",
        label="edge: sigma = 0",
    )
    sheet.explain("sigma = 0 (at the left edge)", handle(MUTED, marker="<", markersize=6))


def _floors(sheet: Sheet, axes: Axes, objective: str, run: Results) -> None:
    """Levels and sigmas at which rounding is predicted, and was found, to end the bias."""
    for metric, draw in (
        ("floor: least error", axes.axhline),
        ("floor: sigma where its bias is lost", axes.axvline),
    ):
        found = (run.get(objective, which, "mean", metric) for which in PATHWISE)
        series = next((one for one in found if one is not None), None)
        if series is None:
            continue
        for value, dashes, text in (
            (series.theory[0], ":", "rounding, predicted"),
            (series.value[0], "-.", "rounding, found"),
        ):
            if np.isfinite(value) and value > 0:
                draw(
                    value,
                    color=MUTED,
                    linewidth=1.1,
                    linestyle=dashes,
                    zorder=1.4,
                    label=f"level: {text}",
                )
                sheet.explain(text, handle(MUTED, linestyle=dashes, linewidth=1.1))


def _errors(sheet: Sheet, axes: Axes, objective: str, run: Results, index: int, runs: int) -> None:
    """The error of every estimator at its largest batch."""
    for which in told_apart(run, objective, runs):
        series = run.get(objective, which, "mean", "error_to_gradient")
        if series is None:
            continue
        largest = series.where((series.batch_size == series.batch_size.max()) & (series.sigma > 0))
        if which[0] == "at_mean":  # it is grad f(x) itself, but for rounding
            largest = largest._replace(theory=np.zeros_like(largest.theory))
        _against_sigma(sheet, axes, largest, which, index)


def _lost(sheet: Sheet, axes: Axes, objective: str, run: Results) -> None:
    """At the foot: sigmas below which differences of values are lost in rounding."""
    height = 0.03
    for which in run.estimators(objective)[:MOST_CURVES]:
        series = run.get(objective, which, "mean", "floor: sigma where it is lost")
        if series is None:
            continue
        colour = estimator_mark(which).colour
        for value, full, text in (
            (series.theory[0], False, "lost below (predicted)"),
            (series.value[0], True, "lost below (found)"),
        ):
            if not np.isfinite(value) or value <= 0:
                continue
            axes.plot(
                [value],
                [height],
                marker="^",
                markersize=5,
                linestyle="none",
                transform=axes.get_xaxis_transform(),
                markeredgecolor=colour,
                markerfacecolor=colour if full else "none",
                label=f"level: {text}",
            )
            face = MUTED if full else "none"
            sheet.explain(
                text, handle(marker="^", markersize=5, markerfacecolor=face, markeredgecolor=MUTED)
            )
        height += 0.045


def _against_sigma(
    sheet: Sheet, axes: Axes, series: Series, which: tuple[str, str], index: int
) -> None:
    """One estimator's curve and, for the first run, its theory."""
    series = series.where(series.sigma > 0)
    if not series.sigma.size:
        return
    mark, text = estimator_mark(which), name_of(which)
    place = list(style.ESTIMATORS).index(which) if which in style.ESTIMATORS else 0
    x, value, error = series.sigma, series.value, series.error
    curve(axes, x, value, error, mark, label=text, run=index, place=place)
    if np.isfinite(value).any():
        sheet.explain(text, sample(mark))
    if index == 0 and (series.theory > 0).any():
        theory(axes, series.sigma, series.theory, mark.colour, text)
