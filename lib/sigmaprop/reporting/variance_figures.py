"""Variance over the grid: against sigma, and against the number of samples."""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes

from sigmaprop.comparison import choice
from sigmaprop.reporting.comparison_results import Comparison, Key, Series
from sigmaprop.reporting.estimator_marks import NOISES, draw_curve, ordered, sample
from sigmaprop.reporting.parts import range_of
from sigmaprop.reporting.quantities import UNIT
from sigmaprop.reporting.results import plain
from sigmaprop.reporting.sheet import (
    SIGMA,
    Drawing,
    Sheet,
    anything,
    curves,
    decades,
    handle,
    log_axes,
    note,
)


def variance(run: Comparison, objective: str, gaussian: str) -> Drawing | None:
    """Variance of a sample against sigma: a column a part, a row a noise scheme."""
    if len(choice.sigmas(run, objective, gaussian)) < 3:
        return None
    found = {key: _most_samples(s) for key, s in _variances(run, objective, gaussian).items()}
    parts = _parts(found)
    sheet = Sheet(
        f"{plain(f'{objective}, {gaussian}')}: variance of one sample, ({UNIT})²",
        len(parts),
        height=2.1 if len(parts) < 3 else 1.9,
    )
    _panels(sheet, found, (SIGMA, "variance"), lambda series: series.sigma)
    if not any(anything(axes) for axes in sheet.panels):
        return None
    _share_scale(sheet.panels, len(parts))
    _explain_zeros(sheet)
    return Drawing(
        "variance",
        f"Variance against sigma, {gaussian} Gaussian",
        "Panels of a column share their axis: down a column the noise scheme changes, and nothing "
        "else. As sigma falls, a score function without a baseline grows as sigma⁻² and one with a "
        "baseline stays level; where f is smooth pathwise falls as sigma² to the mean and stays "
        "level to the scale, unless pairs ±eps or a control variate take the leading term away. "
        "Where f jumps, a pathwise gradient has no variance and no meaning.",
        f"Log-log panels of the variance of a sample for {objective} under a {gaussian} Gaussian. "
        f"{range_of(sheet.panels[0], 'variance to the mean')}",
        sheet.finish(),
    )


def samples(run: Comparison, objective: str, gaussian: str) -> Drawing | None:
    """Number of samples x variance of an estimate, against that number, at the largest sigma."""
    sigmas = choice.sigmas(run, objective, gaussian)
    found = {
        key: series.where(series.sigma == sigmas[0])
        for key, series in _variances(run, objective, gaussian).items()
    }
    if not any(len(np.unique(series.num_samples)) > 1 for series in found.values()):
        return None
    parts = _parts(found)
    sheet = Sheet(
        f"{plain(f'{objective}, {gaussian}')}: N × variance of an estimate, sigma {sigmas[0]:g}",
        len(parts),
        height=2.1 if len(parts) < 3 else 1.9,
    )
    labels = "samples N", "N × variance"
    _panels(sheet, found, labels, lambda series: series.num_samples.astype(float))
    if not any(anything(axes) for axes in sheet.panels):
        return None
    _share_scale(sheet.panels, len(parts))
    for axes in sheet.panels:
        if lines := curves(axes):
            counts = np.unique(np.concatenate([np.asarray(ln.get_xdata()) for ln in lines]))
            axes.set_xticks(counts, [f"{count:g}" for count in counts])
    _explain_zeros(sheet)
    return Drawing(
        "samples",
        f"What more samples buy, {gaussian} Gaussian",
        "Level is the rate of Monte Carlo, variance 1 / N. A curve that falls does better: "
        "randomized nets (sobol) where f is smooth and the dimension is small.",
        f"Log-log panels of N times the variance of an estimate for {objective} under a {gaussian} "
        f"Gaussian. {range_of(sheet.panels[0], 'number to the mean')}",
        sheet.finish(),
    )


def _variances(run: Comparison, objective: str, gaussian: str) -> dict[Key, Series]:
    """The variances of a grid; what is but rounding is 0."""
    found = run.find("grid", objective=objective, gaussian=gaussian)
    made = {}
    for key, series in found.items():
        if key.metric != "variance":
            continue
        bias = found.get(key._replace(metric="bias"))
        if bias is not None and bias.value.size == series.value.size:
            shown = ~choice.is_rounding(run, bias.error)
            series = series._replace(value=shown * series.value, error=shown * series.error)
        made[key] = series
    return made


def _explain_zeros(sheet: Sheet) -> None:
    labels = [str(line.get_label()) for axes in sheet.panels for line in axes.lines]
    if any(label.startswith("zero: ") for label in labels):
        sheet.explain("no noise but rounding (at the foot)", handle(marker="|", markersize=6))


def _most_samples(series: Series) -> Series:
    return series.where(series.num_samples == series.num_samples.max())


def _parts(found: dict[Key, Series]) -> Sequence[str]:
    """The parts of the Gaussian that were measured."""
    return [part for part in choice.PARTS if any(key.wrt == part for key in found)]


def _panels(
    sheet: Sheet,
    found: dict[Key, Series],
    labels: tuple[str, str],
    x_of: Callable[[Series], np.ndarray],
) -> None:
    """A panel for every noise scheme and part, a curve an estimator."""
    noises = [noise for noise in NOISES if any(key.noise == noise for key in found)]
    noises += [noise for noise in dict.fromkeys(k.noise for k in found) if noise not in NOISES]
    for noise in noises:
        for part in _parts(found):
            axes = sheet.panel(f"to the {part}, {noise} noise", *labels)
            mine = {k.estimator: s for k, s in found.items() if (k.wrt, k.noise) == (part, noise)}
            for place, name in enumerate(ordered(mine)):
                x, value, error = x_of(mine[name]), mine[name].value, mine[name].error
                draw_curve(axes, x, value, error, name, noise, place=place)
                sheet.explain(name, sample(name))


def _share_scale(panels: list[Axes], columns: int) -> None:
    """The same logarithmic axes for all panels of a column."""
    for column in range(columns):
        mine = [axes for axes in panels[column::columns] if anything(axes)]
        for axes in mine:
            log_axes(axes)
        if not mine:
            continue
        limits = np.array([axes.get_ylim() for axes in mine])
        low, high = limits[:, 0].min(), limits[:, 1].max()
        for axes in mine:
            axes.set_ylim(low, high)
            axes.set_yticks(*decades(low, high))
            axes.minorticks_off()
    for axes in panels:
        if not anything(axes):
            axes.set_xticks([])
            axes.set_yticks([])
            note(axes, "every variance is 0" if curves(axes) else "not measured")
