"""The error over the whole plane of sigma and batch size."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from sigmaprop.reporting.quantities import PATHWISE, gradient_size, heading, name_of
from sigmaprop.reporting.results import Results, Series, plain
from sigmaprop.reporting.sheet import BATCH, SIGMA, Drawing, Sheet, decades, handle, power
from sigmaprop.reporting.style import INK, PAPER

MAIN = (
    *PATHWISE,
    ("score_function", "iid"),
    ("score_function+leave_one_out", "iid"),
    ("forward_difference", "iid"),
    ("antithetic_difference", "iid"),
)
MOST_PANELS = 6
COLOURS = "viridis_r"
"""Light is little error; told apart by every kind of colour vision, and in grey."""
LOWEST, HIGHEST = -6.0, 1.0
"""log10 of the relative errors at the ends of the scale."""
ALIKE = 1.1
"""Errors within this factor of the least count as good."""


def heat(objective: str, runs: Sequence[Results]) -> Drawing | None:
    """Error to grad f(x) by sigma and batch size, a panel an estimator."""
    planes = [(run, which, plane) for run, which, plane in _planes(objective, runs)]
    if not planes:
        return None
    size = gradient_size(runs[0], objective)
    unit = "error / |grad f|" if size else "error (units of f/x)"
    sheet = Sheet(
        f"{heading(objective, runs)}: {unit} to grad f(x) by sigma and batch size",
        min(3, len(planes)),
        height=2.1,
        top=0.32 if len(runs) == 1 else 0.46,
    )
    typical = [plane[2] for _, which, plane in planes if which[0] != "score_function"]
    low, high = (LOWEST, HIGHEST) if size else _limits(typical or [planes[0][2][2]])
    for run, which, (sigmas, sizes, errors) in planes:
        title = name_of(which) if len(runs) == 1 else f"{name_of(which)}\n{plain(run.label, 34)}"
        axes = sheet.panel(title, BATCH, SIGMA)
        own = gradient_size(run, objective) if size else None
        with np.errstate(divide="ignore"):
            shown = np.log10(errors / (own or size or 1.0))
        axes.imshow(
            np.where(np.isnan(shown), np.nan, np.maximum(shown, low - 1)),
            cmap=COLOURS,
            vmin=low,
            vmax=high,
            aspect="auto",
            origin="lower",
            interpolation="none",
            extent=(-0.5, len(sizes) - 0.5, -0.5, len(sigmas) - 0.5),
        )
        _index_ticks(axes, sizes, sigmas)
        _mark_best(axes, errors)
    _scale(sheet.bar(), low, high, unit)
    sheet.explain(
        "least error at this N",
        handle(marker="o", markersize=5, markerfacecolor=PAPER, markeredgecolor=INK),
    )
    sheet.explain(f"within {ALIKE - 1:.0%} of it", handle(INK, linestyle="-", linewidth=1.6))
    names = ", ".join(name_of(which) for _, which, _ in planes)
    return Drawing(
        "heat",
        "Error by sigma and batch size",
        "Light is little error. For every batch size the dot marks the sigma with the least error "
        "and the line those hardly worse: the choice of sigma is free where the line is long. A "
        "dot at the foot of a dark column means that no sigma serves: rounding to 0 errs least.",
        f"Heat maps of the error to the gradient of {objective} for {names}. "
        + _best_words(planes[0]),
        sheet.finish(),
    )


def _planes(objective: str, runs: Sequence[Results]):
    """(run, estimator, (sigmas [S], sizes [N], errors [S, N])), at most a sheet of them."""
    each = max(1, MOST_PANELS // len(runs))
    for run in runs:
        found = run.estimators(objective)
        chosen = [which for which in MAIN if which in found]
        chosen += [w for w in found if w not in MAIN and w[0] != "at_mean"]
        for which in chosen[:each]:
            series = run.get(objective, which, "mean", "error_to_gradient")
            plane = None if series is None else _plane(series)
            if plane is not None:
                yield run, which, plane


def _plane(series: Series) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    series = series.where(series.sigma > 0)
    sigmas, rows = np.unique(series.sigma, return_inverse=True)
    sizes, columns = np.unique(series.batch_size, return_inverse=True)
    errors = np.full((len(sigmas), len(sizes)), np.nan)
    errors[rows, columns] = series.value
    return (sigmas, sizes, errors) if (np.isfinite(errors) & (errors > 0)).any() else None


def _limits(planes: Sequence[np.ndarray]) -> tuple[float, float]:
    values = np.concatenate([plane[np.isfinite(plane) & (plane > 0)] for plane in planes])
    high = float(np.ceil(np.log10(np.quantile(values, 0.98))))
    low = float(np.floor(np.log10(values.min())))
    return max(low, high - 6), max(high, low + 1)


def _index_ticks(axes: Axes, sizes: np.ndarray, sigmas: np.ndarray) -> None:
    """Powers of ten placed between the steps that were swept."""
    for values, put in ((sizes, axes.set_xticks), (sigmas, axes.set_yticks)):
        logs = np.log10(values.astype(float))
        if len(values) < 2:
            put([0], [f"{values[0]:.3g}"])
            continue
        ticks, labels = decades(float(values[0]), float(values[-1]), most=6)
        put(np.interp(np.log10(ticks), logs, np.arange(len(values))).tolist(), labels)
    axes.grid(False)


def _mark_best(axes: Axes, errors: np.ndarray) -> None:
    bars, best = [], []
    for column, values in enumerate(errors.T):
        values = np.where(np.isfinite(values), values, np.nan)
        if np.isnan(values).all():
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
    axes.plot(
        [x for x, _ in best],
        [y for _, y in best],
        linestyle="none",
        marker="o",
        markersize=3.6,
        markerfacecolor=PAPER,
        markeredgecolor=INK,
        markeredgewidth=0.8,
        label="least error",
    )


def _scale(axes: Axes, low: float, high: float, text: str) -> None:
    axes.imshow(
        np.linspace(low, high, 128)[:, None],
        cmap=COLOURS,
        aspect="auto",
        origin="lower",
        extent=(0, 1, low, high),
        interpolation="none",
    )
    axes.set_xticks([])
    axes.yaxis.tick_right()
    ticks = [int(t) for t in np.arange(np.ceil(low), np.floor(high) + 1)]
    labels = [power(t) for t in ticks]
    labels[0], labels[-1] = f"≤ {labels[0]}", f"≥ {labels[-1]}"
    axes.set_yticks(ticks, labels)
    axes.yaxis.set_label_position("right")
    axes.set_ylabel(text, fontsize=8)


def _best_words(plane) -> str:
    _, which, (sigmas, sizes, errors) = plane
    column = errors.shape[1] - 1
    if not np.isfinite(errors[:, column]).any():
        return ""
    best = sigmas[int(np.nanargmin(errors[:, column]))]
    return f"The best sigma for {name_of(which)} at batch size {sizes[column]} is {best:.2g}."
