"""Figures of exact variances in one dimension, with what was sampled on top of them."""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes

from sigmaprop.reporting.comparison_results import Comparison, Key, Series
from sigmaprop.reporting.estimator_marks import draw_curve, marker, ordered, sample
from sigmaprop.reporting.parts import fine_ticks
from sigmaprop.reporting.results import plain
from sigmaprop.reporting.sheet import Drawing, Sheet, decades, handle
from sigmaprop.reporting.style import INK, MUTED, PAPER, SMALL

_COSTS = {
    "quadratic": "f(x) = (x − k)²",
    "exponential": "f(x) = exp(−k x²)",
    "cosine": "f(x) = cos(k x)",
}
_DEEPEST = 1e-4
"""Share of a panel's median below which a variance leaves it: it may vanish at one k."""
_CROSSOVER = re.compile(r"(\S+) and (\S+) to (\S+): equal variance at k")
_EQUAL = "coupling stops to pay at |m - k| / s"


class Crossing(NamedTuple):
    """Where two estimators have the same variance."""

    objective: str
    first: str
    wrt: str
    x: float


def variance_curves(run: Comparison) -> Drawing | None:
    """Exact variance against k for three costs, sampled variances, crossovers."""
    found = run.find("variance_curves")
    costs = list(dict.fromkeys(key.objective for key in found))
    if not any(key.metric == "exact_variance" for key in found):
        return None
    sheet = Sheet("variance of one sample of x ~ N(1, 1) against k", 2, height=2.35)
    crossings = list(_crossovers(run.claims))
    for cost in costs:
        for wrt in ("mean", "scale"):
            text = _COSTS.get(cost, plain(cost))
            axes = sheet.panel(f"{text}: gradient to the {wrt}", "k", "variance")
            mine = {k: s for k, s in found.items() if (k.objective, k.wrt) == (cost, wrt)}
            _curves(sheet, axes, mine, cost == "quadratic")
            _mark_crossings(
                axes, [c for c in crossings if (c.objective, c.wrt) == (cost, wrt)], mine
            )
    _explain(sheet, bool(crossings))
    words = ", ".join(f"{c.objective} {c.x:.4g}" for c in crossings)
    return Drawing(
        "variance_curves",
        "Variance of every rule in one dimension",
        "No rule is best everywhere: look for where curves cross, marked by a tick with its k. "
        "Lines are exact; points with a rim were sampled, and lie on their lines. Pathwise wins "
        "where f is smooth over the width of x, and loses where f turns within it (large k of the "
        "cosine); a baseline removes most of the score function's variance; a measure-valued "
        "gradient vanishes with its cost's slope.",
        f"Panels of the variance against k for {', '.join(costs)}, to the mean and to the scale. "
        f"{_range(found)} Curves cross at k: {words or 'none was looked for'}.",
        sheet.finish(),
    )


def coupling(run: Comparison) -> Drawing | None:
    """Variance of a measure-valued gradient against the distance, coupled and not."""
    found = run.find("coupling")
    if not any(key.metric == "exact_variance" for key in found):
        return None
    sheet = Sheet("measure-valued gradient of (x − k)², x ~ N(m, s²): to couple or not", 2)
    (equal,) = [_measured(c) for c in run.claims if c["claim"] == _EQUAL][:1] or [np.nan]
    for wrt in ("mean", "scale"):
        axes = sheet.panel(f"gradient to the {wrt}", "|m − k| / s", "variance (s = 1)")
        mine = {key: series for key, series in found.items() if key.wrt == wrt}
        _curves(sheet, axes, mine, True)
        if wrt == "mean" and np.isfinite(equal):
            crossing = Crossing("quadratic", "measure_valued", wrt, equal)
            _mark_crossings(axes, [crossing], mine)
    _explain(sheet, np.isfinite(equal))
    return Drawing(
        "coupling",
        "What coupling is worth",
        "Coupled, both sides of a measure-valued sample share their random numbers. To the mean "
        "that pays near the minimum and costs far from it; the tick marks where it stops to pay. "
        "To the scale it pays at every distance. Lines are exact; points with a rim were sampled.",
        f"Two panels of the variance against the distance from the minimum. {_range(found)} The "
        f"curves to the mean cross at {equal:.4g}.",
        sheet.finish(),
    )


def _curves(sheet: Sheet, axes: Axes, found: dict[Key, Series], linear: bool) -> None:
    """Exact lines, each with a few of its markers, below sampled points."""
    exact = {k.estimator: s for k, s in found.items() if k.metric == "exact_variance"}
    names = ordered(exact)
    low, high = _limits([series.value for series in exact.values()])
    for place, name in enumerate(names):
        series = exact[name]
        # What vanishes at one k goes straight down there, however small it is.
        shown = np.where(series.value < 1e-6 * low, 0.1 * low, series.value)
        line = draw_curve(axes, series.x, shown, None, name, positive=False)
        count = series.x.size
        line.set(markersize=3.6, markevery=(place * count // (6 * len(names)), max(1, count // 6)))
        dashes = _DASHES.get(name.partition("+")[2], "-")
        line.set_linestyle(dashes)
        sheet.explain(name, sample(name, linestyle=dashes, linewidth=1.3))
    for key, series in found.items():
        if key.metric == "variance":
            _sampled(axes, key, series)
    x = np.concatenate([series.x for series in found.values()] or [np.ones(1)])
    _scale(axes, x[np.isfinite(x)], (low, high), linear)


_DASHES = {"mean": (0, (5, 1.6)), "optimal": (0, (1.4, 1.2)), "uncoupled": (0, (5, 1.6))}
"""Of those that share a colour."""


def _sampled(axes: Axes, key: Key, series: Series) -> None:
    look = marker(key.estimator, key.noise, 6.5) | {"markeredgecolor": INK, "markeredgewidth": 0.8}
    axes.errorbar(
        series.x,
        series.value,
        2 * series.error,
        linestyle="none",
        ecolor=INK,
        elinewidth=0.9,
        capsize=2,
        zorder=3,
        label=f"sampled: {key.estimator}",
        **look,
    )


def _limits(values: list[np.ndarray]) -> tuple[float, float]:
    """Of the y axis; a variance that vanishes leaves it."""
    joined = np.concatenate(values) if values else np.ones(1)
    known = joined[np.isfinite(joined) & (joined > 0)]
    if not known.size:
        return 0.1, 1.0
    low = max(float(known.min()), _DEEPEST * float(np.median(known)))
    return low / 1.6, float(known.max()) * 1.6


def _scale(axes: Axes, x: np.ndarray, limits: tuple[float, float], linear: bool) -> None:
    """Logarithmic but for a linear x axis."""
    axes.set_yscale("log")
    axes.set_ylim(*limits)
    axes.set_yticks(*decades(*limits, most=6))
    left, right = x.min(initial=np.inf), x.max(initial=-np.inf)
    if not left < right:
        return
    if not linear and left > 0:
        axes.set_xscale("log")
        fine_ticks(axes, left, right)
    axes.set_xlim(left, right)
    axes.minorticks_off()
    axes.grid(True)


def _mark_crossings(axes: Axes, crossings: list[Crossing], found: dict[Key, Series]) -> None:
    """A tick across the curves where they meet, with its k."""
    exact = {k.estimator: s for k, s in found.items() if k.metric == "exact_variance"}
    previous = -1.0
    for crossing in sorted(crossings, key=lambda c: c.x):
        series = exact.get(crossing.first)
        if series is None or not series.x[0] <= crossing.x <= series.x[-1]:
            continue
        y = np.exp(np.interp(crossing.x, series.x, np.log(np.maximum(series.value, 1e-300))))
        place = axes.transAxes.inverted().transform(axes.transData.transform((crossing.x, y)))
        axes.plot(
            [place[0]] * 2,
            [place[1] - 0.045, place[1] + 0.045],
            color=INK,
            linewidth=1.3,
            zorder=4,
            transform=axes.transAxes,
            label=f"crossing: {crossing.x:.6g}",
        )
        near = previous >= 0 and place[0] - previous < 0.12
        axes.annotate(
            f"{crossing.x:.4g}".replace("-", "−"),
            (place[0], place[1] + (-0.05 if near else 0.05)),
            xycoords="axes fraction",
            ha="center",
            va="top" if near else "bottom",
            fontsize=SMALL - 0.5,
            color=INK,
            zorder=5,
            bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 0.6, "alpha": 0.8},
        )
        previous = place[0]


def _explain(sheet: Sheet, crossings: bool) -> None:
    sheet.explain(
        "sampled",
        handle(marker="o", markersize=6, markerfacecolor=MUTED, markeredgecolor=INK),
    )
    if crossings:
        sheet.explain("equal variance", handle(INK, marker="|", markersize=8, markeredgewidth=1.3))


def _crossovers(claims: Iterable[dict]) -> Iterator[Crossing]:
    """From the conclusions, which know them to more digits than a curve's points."""
    for claim in claims:
        match = _CROSSOVER.fullmatch(claim["claim"])
        if match and np.isfinite(_measured(claim)):
            yield Crossing(claim["objective"], match[1], match[3], _measured(claim))


def _measured(claim: dict) -> float:
    return float(claim["measured"]["value"])


def _range(found: dict[Key, Series]) -> str:
    exact = [s.value for key, s in found.items() if key.metric == "exact_variance"]
    values = np.concatenate(exact)
    known = values[np.isfinite(values) & (values > 0)]
    if not known.size:
        return "No variance is known."
    return f"Variances lie between {known.min():.2g} and {known.max():.2g}."
