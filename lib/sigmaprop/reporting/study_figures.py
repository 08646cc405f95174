"""Figures of the studies in many dimensions: dimension, learning sigma, piecewise-linear networks.

Those that a clock goes into overlay several runs; the first is drawn in full lines and markers.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from sigmaprop.reporting.comparison_results import Comparison, Key, Series, Which
from sigmaprop.reporting.estimator_marks import draw_curve, marker, sample
from sigmaprop.reporting.parts import close, explain_runs, explain_zeros, fine_ticks, range_of
from sigmaprop.reporting.quantities import MOST_RUNS, name_of
from sigmaprop.reporting.results import plain
from sigmaprop.reporting.sheet import SIGMA, Drawing, Sheet, anything, curves, handle, rule
from sigmaprop.reporting.style import INK, MUTED, PAPER, SMALL
from sigmaprop.statistics import interval

_PANELS = (
    ("variance to the mean", "mean", "variance", "variance"),
    ("variance to the scale", "scale", "variance", "variance"),
    ("evaluations for a sample", "all", "evaluations", "evaluations of f, f′ or f″ v"),
    ("efficiency to the mean", "mean", "efficiency", "1 / (variance × seconds)"),
    ("efficiency to the scale", "scale", "efficiency", "1 / (variance × seconds)"),
    ("seconds for a sample", "all", "seconds", "seconds"),
)
_DIM = "dimension D"


def dimension(runs: Sequence[Comparison]) -> Drawing | None:
    """Variance, cost and efficiency against the dimension."""
    runs = list(runs[:MOST_RUNS])
    found = [run.find("dimension") for run in runs]
    if not found[0]:
        return None
    first = next(iter(found[0]))
    sheet = Sheet(
        plain(f"{first.objective}, isotropic, sigma {_sigma(found[0])}: what the dimension does"),
        3,
        height=2.1,
        left=(0.66,) * 3,
    )
    for title, wrt, metric, y in _PANELS:
        axes = sheet.panel(title, _DIM, y)
        for index, series_of in enumerate(found):
            mine = [i for i in series_of.items() if (i[0].wrt, i[0].metric) == (wrt, metric)]
            for place, (key, series) in enumerate(mine):
                _against_dim(sheet, axes, key, series, index, place)
        close(axes)
        _dims(axes, np.unique(np.concatenate([s.dim for s in found[0].values()])))
        if title == "variance to the mean" and anything(axes):
            _guide(axes, 1.0, "slope 1")
            sheet.explain("slope 1", handle(MUTED, linestyle="-", linewidth=2.2, alpha=0.45))
    explain_zeros(sheet)
    explain_runs(sheet, runs)
    return Drawing(
        "dimension",
        "What the dimension does",
        "Pathwise gradients hardly notice the dimension; the score function and differences of "
        "values pay D + 1 times |grad f|², as the grey slope. Measure-valued gradients keep a low "
        "variance, but take evaluations in proportion to D. So does Price's rule with its products "
        "with the Hessian, until it draws their directions at random: there its variance to the "
        "scale jumps. Seconds and efficiency tell what is cheaper.",
        f"Six log-log panels against the dimension. {range_of(sheet.panels[0], 'variance')} "
        f"{range_of(sheet.panels[5], 'time for a sample')}",
        sheet.finish(),
    )


def _sigma(found: dict[Key, Series]) -> str:
    known = [s.sigma[np.isfinite(s.sigma)] for s in found.values()]
    values = np.unique(np.concatenate(known))
    return " and ".join(f"{value:g}" for value in values)


def _against_dim(
    sheet: Sheet, axes: Axes, key: Key, series: Series, index: int, place: int
) -> None:
    """A curve, thinner than those before it, which are seen where it coincides with them."""
    series = series.where(np.argsort(series.dim, kind="stable"))
    line = draw_curve(axes, series.dim, series.value, series.error, *key.which, run=index)
    thin = max(0.0, 1 - 0.2 * place)
    line.set(linewidth=1.2 + 1.2 * thin, markersize=3.8 + 2.6 * thin)
    sheet.explain(name_of(key.which), sample(*key.which))


def _dims(axes: Axes, dims: np.ndarray) -> None:
    """Ticks at the dimensions measured, every other one where there are many."""
    shown = dims[:: -(-len(dims) // 6)]
    axes.set_xticks(shown, [f"{dim:d}" for dim in shown])


def _guide(axes: Axes, slope: float, text: str) -> None:
    """A wide line of a slope above all curves."""
    highest = max(
        curves(axes), key=lambda ln: np.nanmax(np.asarray(ln.get_ydata(), float), initial=0)
    )
    x, y = np.asarray(highest.get_xydata(), float).T
    x, y = x[y > 0], y[y > 0]
    if x.size > 1:
        ends = np.array([x.min(), x.max()])
        _line(axes, ends, 1.5 * np.max(y / x**slope) * ends**slope, text)


def _line(axes: Axes, x: np.ndarray, y: np.ndarray, text: str) -> None:
    axes.plot(
        x,
        y,
        color=MUTED,
        linewidth=2.2,
        alpha=0.45,
        zorder=1.2,
        label=f"theory: {text}",
        scalex=False,
        scaley=False,
    )


def learning_sigma(run: Comparison) -> Drawing | None:
    """Samples at which the gradient to sigma equals its standard error, against sigma."""
    found = run.find("learning_sigma", metric="samples_needed")
    sheet = Sheet("samples at which the gradient to sigma equals its standard error", 1, height=3.4)
    axes = sheet.panel("variance of a sample / mean²", SIGMA, "samples needed")
    for key, series in found.items():
        draw_curve(axes, series.sigma, series.value, series.error, *key.which)
        sheet.explain(name_of(key.which), sample(*key.which))
    if not anything(axes):
        return None
    close(axes)
    fine_ticks(axes, *axes.get_xlim())
    rule(axes, 1.0, INK, linestyle="-", linewidth=0.8)
    for slope in (-2, 0, 2):
        _slope_beside(axes, slope)
    sheet.explain("slope −2, 0, 2", handle(MUTED, linestyle="-", linewidth=2.2, alpha=0.45))
    sheet.explain("one sample", handle(INK, linestyle="-", linewidth=0.8))
    return Drawing(
        "learning_sigma",
        "Samples that learning sigma takes",
        "As sigma falls the gradient to sigma falls with it, its noise does not: pathwise and "
        "score function need samples in proportion to sigma⁻². Pairs ±eps, or subtracting "
        "grad f(mean), end that (slope 0); a control variate of second order, and Price's rule, "
        "turn it around (slope 2): below the line at 1 a single sample is enough.",
        f"Log-log panel of the samples needed against sigma. {range_of(axes, 'number')} "
        + _lowest(found),
        sheet.finish(),
    )


def _lowest(found: dict[Key, Series]) -> str:
    """The estimator that needs the fewest samples at the smallest sigma."""
    ends = {key: float(series.value[0]) for key, series in found.items()}
    key = min(ends, key=ends.__getitem__)
    return f"At the smallest sigma {name_of(key.which)} needs the fewest, {ends[key]:.2g}."


def _slope_beside(axes: Axes, slope: int) -> None:
    """A line of a slope above the first curve that has it, named at its left end."""
    for line in axes.lines:
        x, y = (np.asarray(data, float) for data in (line.get_xdata(), line.get_ydata()))
        if len(x) < 3 or not (y > 0).all():
            continue
        found = np.polyfit(np.log(x), np.log(y), 1)[0]
        if abs(found - slope) < 0.3:
            level = 1.8 * np.exp(np.mean(np.log(y) - slope * np.log(x)))
            _line(axes, x[[0, -1]], level * x[[0, -1]] ** slope, f"slope {slope}")
            axes.annotate(
                f"slope {slope}".replace("-", "−"),
                (x[-2], level * x[-2] ** slope),
                xytext=(0, 5),
                textcoords="offset points",
                fontsize=SMALL,
                color=MUTED,
                ha="center",
            )
            return


def piecewise_linear(run: Comparison) -> Drawing | None:
    """The gradient to sigma by three rules, on a network with kinks and a smooth one."""
    found = run.find("piecewise_linear", metric="gradient")
    names = list(dict.fromkeys(key.objective for key in found))
    if not names:
        return None
    rules = list(dict.fromkeys(key.which for key in found))
    longest = max(len(name_of(which)) for which in rules)
    left = (0.25 + 0.0655 * longest, *(0.25,) * (len(names) - 1))
    sheet = Sheet(
        "gradient of E f to sigma by rule, with 99% intervals",
        len(names),
        height=0.32 * len(rules) + 0.25,
        left=left,
    )
    for place, name in enumerate(names):
        text = f"{plain(name)}, sigma {_sigma(found)}"
        axes = sheet.panel(text, "gradient to sigma", "")
        mine = {key.which: series for key, series in found.items() if key.objective == name}
        places = [(y, which) for y, which in enumerate(rules) if which in mine]
        halves = [_interval(axes, y, which, mine[which], run) for y, which in places]
        axes.axvline(0, color=INK, linewidth=0.9, label="level: 0")
        axes.set_ylim(len(rules) - 0.4, -0.75)
        axes.set_yticks(range(len(rules)), [name_of(r) for r in rules] if place == 0 else [])
        axes.tick_params(axis="y", length=0)
        axes.margins(x=0.1)
        for (y, which), half in zip(places, halves, strict=True):
            _write_number(axes, y, mine[which], half)
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.grid(axis="x")
    return Drawing(
        "piecewise_linear",
        "Where Price's rule fails",
        "All rules estimate one number. On the smooth network they agree. On the network of "
        "leaky ReLUs the second derivative is 0 but on the kinks, which no sample hits: Price's "
        "rule misses them, and its gradient has the wrong sign.",
        "Intervals of the gradient to sigma. " + " ".join(_values(found)),
        sheet.finish(),
    )


def _interval(axes: Axes, y: int, which: Which, series: Series, run: Comparison) -> float:
    """A point with its interval; half of its width."""
    value, error = float(series.value[0]), float(series.error[0])
    found = interval(value, error, int(run.config.get("replicates") or 2))
    look = marker(*which, size=5.5)
    axes.plot(
        [found.low, found.high], [y, y], color=look["color"], linewidth=1.6, label="level: 99%"
    )
    axes.plot([value], [y], linestyle="none", zorder=3, label=name_of(which), **look)
    return found.high - value


def _write_number(axes: Axes, y: int, series: Series, half: float) -> None:
    """A number above its point, towards the middle of the panel."""
    value = float(series.value[0])
    digits = min(8, max(0, -int(np.floor(np.log10(half))))) if half > 0 else 4
    left, right = axes.get_xlim()
    inward = 1 if value < (left + right) / 2 else -1
    axes.annotate(
        f"{value:.{digits}f} ± {half:.{digits}f}".replace("-", "−"),
        (value, y),
        xytext=(-7 * inward, 6),
        textcoords="offset points",
        ha="left" if inward > 0 else "right",
        fontsize=SMALL,
        bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 0.4, "alpha": 0.85},
    )


def _values(found: dict[Key, Series]):
    for name in dict.fromkeys(key.objective for key in found):
        words = (
            f"{name_of(key.which)} {float(series.value[0]):.3g}"
            for key, series in found.items()
            if key.objective == name
        )
        yield f"{name}: {', '.join(words)}."
