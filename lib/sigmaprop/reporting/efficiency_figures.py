"""Which estimator is worth its time: a row an estimator, the best at the top."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.transforms import Transform

from sigmaprop.comparison import choice
from sigmaprop.comparison.choice import Row, Score
from sigmaprop.reporting.comparison_results import Comparison
from sigmaprop.reporting.quantities import name_of
from sigmaprop.reporting.results import plain
from sigmaprop.reporting.sheet import Drawing, Sheet, decades, handle
from sigmaprop.reporting.style import BLUE, GRID, INK, MUTED, ORANGE, PAPER, SMALL, VERMILLION

_PARTS = {"mean": (BLUE, "o", 7.0), "scale": (VERMILLION, "D", 4.6), "factor": (ORANGE, "s", 2.4)}
"""Colour, marker and size of a gradient's part: where dots coincide all are seen."""
_OTHER = (MUTED, "^", 4.4)
_ROW, _LETTER = 0.155, 0.0585
"""Inches: of a row, and of a letter of its label."""
_SMALLEST = 1e-30
"""Ratios below it are drawn there."""
_FARTHEST = 100.0
"""Biased estimators with a larger ratio are drawn at the edge."""


def efficiency(run: Comparison, objective: str, gaussian: str) -> Drawing | None:
    """Efficiency relative to the best unbiased estimator, at the largest and smallest sigma."""
    sigmas = choice.ends(choice.sigmas(run, objective, gaussian))
    found = [choice.scores(run, objective, gaussian, sigma) for sigma in sigmas]
    tables = [_drawable(choice.rows(scores)) for scores in found]
    if not any(tables):
        return None
    longest = max(len(_label(row)) for table in tables for row in table)
    left = 0.2 + _LETTER * longest
    sheet = Sheet(
        f"{plain(f'{objective}, {gaussian}')}: efficiency of every estimator, "
        f"{_samples(found)} samples each",
        len(tables),
        height=_ROW * (max(map(len, tables)) + 0.6),
        left=(left,) * len(tables),
    )
    for sigma, table in zip(sigmas, tables, strict=True):
        axes = sheet.panel(f"sigma = {sigma:g}", "efficiency / best unbiased", "")
        _scale(axes, table)
        _dots(axes, table)
    _explain(sheet, tables)
    return Drawing(
        "efficiency",
        f"Which estimator: efficiency, {gaussian} Gaussian",
        "Choose from the top. Efficiency is 1 / (variance of a sample × its seconds), here over "
        "that of the best unbiased estimator of the same part: 10⁻² means a hundred times the "
        "computing time for the same accuracy. Rows are ranked by the geometric mean over the "
        "parts; steps of less than a factor of two are within the noise of a clock."
        + _warnings([row for table in tables for row in table]),
        f"Dot plots of relative efficiency for {objective} under a {gaussian} Gaussian. "
        + " ".join(_words(*pair) for pair in zip(sigmas, tables, strict=True)),
        sheet.finish(),
    )


def _warnings(rows: list[Row]) -> str:
    """What the caption says of biased estimators, and of those without noise."""
    text = ""
    if biased := any(row.biased for row in rows):
        text += (
            " Below the line are estimators that miss the gradient: hollow and struck through "
            f"where the bias exceeds {choice.LEAST_BIAS:.0%} and three standard errors, however "
            "efficient they look."
        )
    if any(ratio > _FARTHEST for row in rows for ratio in row.ratios.values()):
        text += " An arrow at the right edge is an estimate without noise but for rounding"
        text += ", or a biased one whose ratio lies far beyond it." if biased else "."
    return text


def _drawable(table: list[Row]) -> list[Row]:
    return [row for row in table if any(ratio > 0 for ratio in row.ratios.values())]


def _label(row: Row) -> str:
    return f"{name_of(row.which)}, {row.told}" if row.told else name_of(row.which)


def _samples(found: list[list[Score]]) -> str:
    counts = sorted({score.num_samples for scores in found for score in scores})
    return f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"


def _dots(axes: Axes, table: list[Row]) -> None:
    """A line of dots an estimator, the best at the top."""
    good = sum(not row.biased for row in table)
    for y, row in enumerate(table):
        _row(axes, y, row)
    axes.set_ylim(len(table) - 0.4, -0.7)
    axes.set_yticks(range(len(table)), [_label(row) for row in table], fontsize=SMALL - 0.7)
    axes.tick_params(axis="y", length=0)
    for text, row in zip(axes.get_yticklabels(), table, strict=True):
        text.set_color(MUTED if row.biased else INK)
    if 0 < good < len(table):
        axes.axhline(good - 0.5, color=MUTED, linewidth=0.8, label="level: biased below")


def _row(axes: Axes, y: int, row: Row) -> None:
    """A dot a part, joined; at the right edge, beside each other, what lies beyond it."""
    shown = {part: max(r, _SMALLEST) for part, r in row.ratios.items() if r > 0}
    highest = axes.get_xlim()[1]
    inside = [ratio for ratio in shown.values() if ratio < highest]
    if len(inside) > 1:
        axes.hlines(y, min(inside), max(inside), color=MUTED, linewidth=1.0, zorder=2)
    for place, (part, ratio) in enumerate(shown.items()):
        colour, shape, size = _PARTS.get(part, _OTHER)
        biased, beyond = row.scores[part].biased, ratio >= highest
        _mark(
            axes,
            (1.0 - 0.055 * place if beyond else ratio, y),
            axes.get_yaxis_transform() if beyond else axes.transData,
            (colour, ">" if beyond else shape, 4.6 if beyond else size, biased),
            f"{part}: {name_of(row.which)}",
        )


def _mark(
    axes: Axes,
    point: tuple[float, float],
    transform: Transform,
    look: tuple[str, str, float, bool],
    label: str,
) -> None:
    """A dot: full, or hollow and struck through where it is biased."""
    colour, shape, size, biased = look
    options = {"linestyle": "none", "transform": transform, "clip_on": False}
    axes.plot(
        *([value] for value in point),
        marker=shape,
        markersize=size,
        markerfacecolor=PAPER if biased else colour,
        markeredgecolor=colour,
        markeredgewidth=0.9,
        zorder=3,
        label=label,
        **options,
    )
    if biased:
        strike = {"marker": "x", "markersize": size + 1.4, "markeredgewidth": 0.8, "color": colour}
        axes.plot(
            *([value] for value in point), **strike, zorder=4, label=f"struck: {label}", **options
        )


def _scale(axes: Axes, table: list[Row]) -> None:
    """A logarithmic axis around the unbiased estimators, a line at 1, a thin line a row."""
    ratios = np.array([max(r, _SMALLEST) for row in table for r in row.ratios.values() if r > 0])
    finite = ratios[np.isfinite(ratios)]
    near = finite[(finite > 1) & (finite <= _FARTHEST)]
    low, high = np.log10(finite.min(initial=0.3)), np.log10(near.max(initial=1.0))
    room = 0.06 * (high - low)
    if (ratios > 10**high * 1.001).any():
        high += 2.5 * room
    low, high = 10 ** (low - room), 10 ** (high + room)
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.set_xticks(*decades(low, high, most=6))
    axes.minorticks_off()
    axes.grid(axis="x")
    axes.axvline(1, color=INK, linewidth=0.9, zorder=1.6, label="level: 1")
    axes.hlines(range(len(table)), low, high, color=GRID, linewidth=0.5, zorder=0.5)


def _explain(sheet: Sheet, tables: list[list[Row]]) -> None:
    parts = dict.fromkeys(part for table in tables for row in table for part in row.ratios)
    for part in parts:
        colour, shape, size = _PARTS.get(part, _OTHER)
        sheet.explain(f"gradient to the {part}", handle(colour, marker=shape, markersize=size))
    rows = [row for table in tables for row in table]
    if any(row.biased for row in rows):
        look = {"markersize": 5, "markerfacecolor": PAPER, "markeredgecolor": MUTED}
        struck = handle(marker="x", markersize=6.5, markeredgewidth=0.8)
        sheet.explain("biased", (handle(marker="o", **look), struck))
    if any(r > _FARTHEST for row in rows for r in row.ratios.values()):
        sheet.explain("hardly any noise, or none", handle(marker=">", markersize=5))


def _words(sigma: float, table: list[Row]) -> str:
    """The best and the worst of a panel."""
    good = [row for row in table if not row.biased]
    if not good:
        return f"At sigma {sigma:g} every estimator is biased."
    known = [r for row in good for r in row.ratios.values() if np.isfinite(r) and r > 0]
    first, last = (choice.times(end(known, default=1.0)) for end in (min, max))
    missed = [name_of(row.which) for row in table if row.biased]
    return (
        f"At sigma {sigma:g} the most efficient is {name_of(good[0].which)}, the least "
        f"{name_of(good[-1].which)}, ratios from {first} to {last}; "
        + (f"biased: {', '.join(missed)}." if missed else "none is biased.")
    )
