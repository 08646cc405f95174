"""Figures against batch size: error and direction."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from sigmaprop.reporting.parts import (
    close,
    explain_runs,
    explain_theory,
    explain_zeros,
    range_of,
    sample,
    slope_guide,
)
from sigmaprop.reporting.quantities import UNIT, at, has, heading, name_of, spread, told_apart
from sigmaprop.reporting.results import Results
from sigmaprop.reporting.sheet import (
    BATCH,
    Drawing,
    Sheet,
    curve,
    curves,
    handle,
    log_axes,
    note,
    rule,
    theory,
)
from sigmaprop.reporting.style import MUTED, estimator_mark, nth_mark

MAIN = (("pathwise", "iid"), ("score_function+leave_one_out", "iid"))
"""Estimators whose error is drawn sigma by sigma."""


def batch(objective: str, runs: Sequence[Results]) -> Drawing | None:
    """Error against batch size at a handful of sigmas."""
    sigmas = spread(runs[0], objective, 5 if len(runs) == 1 else 3)
    measured = [w for w in runs[0].estimators(objective) if w[0] != "at_mean"]
    chosen = [w for w in MAIN if w in measured] or measured
    chosen = [w for w in chosen if has(runs, objective, w, "error_to_gradient")][:2]
    if not len(sigmas) or not chosen:
        return None
    sheet = Sheet(f"{heading(objective, runs)}: error against batch size", 2, height=2.3)
    for which in chosen:
        for metric, to in (("error_to_gradient", "grad f(x)"), ("error_to_smoothed", "grad E f")):
            axes = sheet.panel(f"{name_of(which)}: rms error to {to}", BATCH, f"error ({UNIT})")
            _curves(sheet, axes, objective, runs, which, metric, sigmas)
    explain_theory(sheet, "theory")
    explain_zeros(sheet)
    sheet.explain("bias at this sigma (exact)", handle(MUTED, linestyle=":", linewidth=1.3))
    explain_runs(sheet, runs)
    return Drawing(
        "batch",
        "Error against batch size",
        "Left: the error to grad f(x) falls as N^(-1/2) until it meets the bias of its sigma, a "
        "dotted level. Right: the error to the gradient of the smoothed function has no such level "
        "and falls until rounding ends it.",
        f"Log-log panels of the error of {' and '.join(map(name_of, chosen))} for {objective} "
        f"against batch size at sigma {', '.join(f'{s:.2g}' for s in sigmas)}. "
        f"{range_of(sheet.panels[0], 'error to grad f')}",
        sheet.finish(),
    )


def cosine(objective: str, runs: Sequence[Results]) -> Drawing | None:
    """Cosine with grad f(x) against batch size, a panel a sigma."""
    sigmas = spread(runs[0], objective, 3)
    sheet = Sheet(f"{heading(objective, runs)}: cosine with grad f(x)", 3, height=2.3)
    for sigma in sigmas:
        axes = sheet.panel(f"sigma = {sigma:.2g}", BATCH, "cosine with grad f(x)")
        for index, run in enumerate(runs):
            for which in told_apart(run, objective, len(runs)):
                _cosines(sheet, axes, objective, run, index, which, float(sigma))
        _close_cosines(axes)
    if not any(curves(axes) for axes in sheet.panels):
        return None
    explain_runs(sheet, runs)
    return Drawing(
        "cosine",
        "Direction of the gradient",
        "1 is the direction of grad f(x), whatever the length; 0 is none of it. From large sigma "
        "to small: smoothing bends the gradient, then no longer, then rounding ends differences of "
        "values while pathwise stays at 1.",
        f"Panels of the cosine between estimates and the gradient of {objective} against batch "
        f"size, at sigma {', '.join(f'{s:.2g}' for s in sigmas)}.",
        sheet.finish(),
    )


def _curves(
    sheet: Sheet,
    axes: Axes,
    objective: str,
    runs: Sequence[Results],
    which: tuple[str, str],
    metric: str,
    sigmas: np.ndarray,
) -> None:
    """Measurements, theory and bias level of one estimator, a colour a sigma."""
    for place, sigma in enumerate(sigmas):
        mark, text = nth_mark(place), f"sigma {sigma:.2g}"
        for index, run in enumerate(runs):
            series = at(run.get(objective, which, "mean", metric), sigma)
            if series is None:
                continue
            x, value, error = series.batch_size, series.value, series.error
            curve(axes, x, value, error, mark, label=text, run=index, place=place)
            sheet.explain(text, sample(mark))
            if index == 0:
                theory(axes, x, series.theory, mark.colour, text)
        exact = at(runs[0].get(objective, which, "mean", "bias"), sigma)
        if metric == "error_to_gradient" and exact is not None and exact.theory[0] > 0:
            rule(axes, float(exact.theory[0]), mark.colour)
    close(axes)
    slope_guide(sheet, axes, -0.5, "slope −1/2")


def _cosines(
    sheet: Sheet,
    axes: Axes,
    objective: str,
    run: Results,
    index: int,
    which: tuple[str, str],
    sigma: float,
) -> None:
    series = at(run.get(objective, which, "mean", "cosine"), sigma)
    if series is None or not np.nan_to_num(series.value).any():  # without a direction they are 0
        return
    mark, text = estimator_mark(which), name_of(which)
    x, value, error = series.batch_size, series.value, series.error
    curve(axes, x, value, error, mark, label=text, run=index, positive=False)
    sheet.explain(text, sample(mark))


def _close_cosines(axes: Axes) -> None:
    if not curves(axes):
        axes.set_xticks([])
        axes.set_yticks([])
        note(axes, "no direction to compare with")
        return
    lowest = min(float(np.nanmin(np.asarray(ln.get_ydata(), float))) for ln in curves(axes))
    log_axes(axes, y=False)
    rule(axes, 0, linestyle="-")
    axes.set_ylim(min(-0.06, 1.08 * lowest), 1.06)
