"""The bias of every estimator of the grid, with its interval."""

import numpy as np
from matplotlib.axes import Axes

from sigmaprop.comparison import choice
from sigmaprop.reporting.comparison_results import Comparison, Which
from sigmaprop.reporting.estimator_marks import NOISES, marker, ordered
from sigmaprop.reporting.quantities import name_of
from sigmaprop.reporting.results import plain
from sigmaprop.reporting.sheet import Drawing, Sheet
from sigmaprop.reporting.style import INK, MUTED, SMALL
from sigmaprop.statistics import interval

_ROW, _LETTER = 0.15, 0.0585
"""Inches: of a row, and of a letter of its label."""
_LINEAR, _WIDEST = 0.01, 10.0
"""Bias below which the axis is linear; bias at its ends."""
_TICKS = (-10.0, -1.0, -0.1, 0.0, 0.1, 1.0, 10.0)
_NAMES = ("−10", "−1", "−0.1", "0", "0.1", "1", "10")


def bias(run: Comparison, objective: str, gaussian: str) -> Drawing | None:
    """Relative bias of every estimator with its 99% interval, at the largest sigma."""
    sigmas = choice.sigmas(run, objective, gaussian)
    if not sigmas.size:
        return None
    found = choice.scores(run, objective, gaussian, float(sigmas[0]))
    found = [score for score in found if np.isfinite(score.bias)]
    parts, rows = choice.parts_of(found), _in_order([score.which for score in found])
    if not rows:
        return None
    left = 0.2 + _LETTER * max(len(name_of(which)) for which in rows)
    sheet = Sheet(
        f"{plain(f'{objective}, {gaussian}')}: bias at sigma = {sigmas[0]:g}, with 99% intervals",
        len(parts),
        height=_ROW * (len(rows) + 1),
        left=(left, *(0.2,) * (len(parts) - 1)),
    )
    for place, part in enumerate(parts):
        axes = sheet.panel(f"gradient to the {part}", "bias / exact gradient", "")
        _frame(axes, [name_of(which) for which in rows], place == 0)
        for score in found:
            if score.wrt == part:
                _interval(axes, rows.index(score.which), score, run)
    return Drawing(
        "bias",
        f"Bias of every estimator, {gaussian} Gaussian",
        "An unbiased estimator's interval holds 0. The axis is linear inside ± 0.01, logarithmic "
        f"outside; the grey band is ± {choice.LEAST_BIAS:g}, and −1 is a gradient that is missed "
        "altogether. An interval that reaches beyond the band says that the replicates cannot "
        "tell; an estimator that is struck through has a bias.",
        f"Intervals of the relative bias for {objective} under a {gaussian} Gaussian. "
        + " ".join(_words(found, part) for part in parts),
        sheet.finish(),
    )


def _in_order(found: list[Which]) -> list[Which]:
    """By family, then control variate, then noise."""
    schemes = list(NOISES)
    place = {name: i for i, name in enumerate(ordered(name for name, _ in found))}

    def rank(which: Which) -> tuple[int, int, str]:
        known = schemes.index(which[1]) if which[1] in schemes else len(schemes)
        return place[which[0]], known, which[1]

    return sorted(dict.fromkeys(found), key=rank)


def _frame(axes: Axes, labels: list[str], named: bool) -> None:
    axes.set_xscale("symlog", linthresh=_LINEAR, linscale=0.7)
    axes.set_xlim(-1.6 * _WIDEST, 1.6 * _WIDEST)
    axes.set_xticks(_TICKS, _NAMES)
    axes.minorticks_off()
    axes.tick_params(axis="x", labelsize=SMALL - 0.5)
    axes.set_ylim(len(labels) - 0.4, -0.7)
    axes.set_yticks(range(len(labels)), labels if named else [], fontsize=SMALL - 0.7)
    axes.tick_params(axis="y", length=0)
    axes.grid(True, linewidth=0.5)
    axes.axvspan(-choice.LEAST_BIAS, choice.LEAST_BIAS, color=MUTED, alpha=0.13, linewidth=0)
    axes.axvline(0, color=INK, linewidth=0.9, label="level: 0")


def _interval(axes: Axes, y: int, score: choice.Score, run: Comparison) -> None:
    """A point with its interval; at the edge where it lies outside."""
    name, noise = score.which
    found = interval(score.bias, score.error, int(run.config.get("replicates") or 2))
    look = marker(name, noise, 4.2)
    colour = look["color"]
    low, high = np.clip([found.low, found.high], -1.6 * _WIDEST, 1.6 * _WIDEST)
    axes.plot([low, high], [y, y], color=colour, linewidth=1.3, label=f"level: {name}")
    value = float(np.clip(score.bias, -1.5 * _WIDEST, 1.5 * _WIDEST))
    axes.plot([value], [y], linestyle="none", zorder=3, label=name_of(score.which), **look)
    if score.biased:
        strike = {"marker": "x", "markersize": 6.5, "markeredgewidth": 0.9, "color": INK}
        axes.plot([value], [y], zorder=4, label=f"struck: {name_of(score.which)}", **strike)


def _words(found: list[choice.Score], part: str) -> str:
    mine = [score for score in found if score.wrt == part]
    low, high = (end(mine, key=lambda score: score.bias) for end in (min, max))
    return (
        f"To the {part} from {choice.percent(low.bias)} ({name_of(low.which)}) to "
        f"{choice.percent(high.bias)} ({name_of(high.which)})."
    )
