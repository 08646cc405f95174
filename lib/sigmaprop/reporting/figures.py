"""The figures of one objective, and the one over all objectives.

Every function takes the runs in which an objective was measured and returns a drawing, or None
where they hold nothing to draw. The first run is drawn in full lines and filled markers.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
from matplotlib.axes import Axes

from sigmaprop.reporting.batch_figures import batch, cosine
from sigmaprop.reporting.counting import Count
from sigmaprop.reporting.heat import heat
from sigmaprop.reporting.parts import (
    close,
    explain_runs,
    explain_theory,
    explain_zeros,
    range_of,
    sample,
)
from sigmaprop.reporting.picture import picture
from sigmaprop.reporting.quantities import MOST_CURVES, MOST_RUNS, biased, gradient_size, heading
from sigmaprop.reporting.results import Results, plain
from sigmaprop.reporting.sheet import SIGMA, Drawing, Sheet, anything, curve, rule, theory
from sigmaprop.reporting.sigma_figures import bias, learning, variance
from sigmaprop.reporting.style import INK, nth_mark

NEGLIGIBLE = 1e-12
"""Exact biases below this share of the largest: no ratio to them is drawn."""
_RATIOS = (0.1, 0.2, 0.5, 1, 2, 5, 10)


def draw(objective: str, runs: Sequence[Results], count: Count | None = None) -> Iterator[Drawing]:
    """Every figure of one objective that its runs have numbers for."""
    runs = [run for run in runs if objective in run.sizes][:MOST_RUNS]
    count = count or Count(len(FIGURES))
    yield from count.each(partial(make, objective, runs) for make in FIGURES)


def size(objective: str, runs: Sequence[Results]) -> str:
    """Dimension and number format of an objective, in words."""
    runs = [run for run in runs if objective in run.sizes]
    return heading(objective, runs).removeprefix(f"{plain(objective)}, ")


def overview(runs: Sequence[Results]) -> Drawing | None:
    """Bias of every objective, in units of its gradient and of the exact bias."""
    runs = list(runs[:MOST_RUNS])
    names = list(dict.fromkeys(name for run in runs for name in run.sizes))
    names = [n for n in names if any(biased(run, n) is not None for run in runs)][:MOST_CURVES]
    runs = runs[: max(1, MOST_CURVES // max(1, len(names)))]
    sheet = Sheet("bias of the pathwise gradient, all objectives", 2, height=3.0)
    left = sheet.panel("bias / |grad f(x)|", SIGMA, "relative bias")
    right = sheet.panel("measured bias / exact bias", SIGMA, "ratio")
    for place, name in enumerate(names):
        for index, run in enumerate(runs):
            _bias(sheet, left, right, name, place, run, index)
    if not anything(left) and not anything(right):
        return None
    close(left)
    close(right)
    if anything(left) and anything(right):
        right.set_xticks(left.get_xticks(), [t.get_text() for t in left.get_xticklabels()])
        right.set_yticks(list(_RATIOS), [f"{ratio:g}" for ratio in _RATIOS])
        right.set_xlim(left.get_xlim())
        right.set_ylim(0.9 * _RATIOS[0], 1.1 * _RATIOS[-1])
        rule(right, 1, INK, linestyle="-")
    explain_theory(sheet, "exact")
    explain_zeros(sheet)
    explain_runs(sheet, runs)
    return Drawing(
        "overview",
        "Bias of all objectives",
        "Left: the bias relative to the gradient: slope 2 where f is smooth, a bend near a kink. "
        "Right: measured over exact: 1 where theory holds, rising as sigma⁻² below the sigma at "
        "which rounding is larger than the bias.",
        f"Two panels against sigma for {', '.join(names)}. "
        f"{range_of(left, 'bias relative to the gradient')}",
        sheet.finish(),
    )


def _bias(
    sheet: Sheet, left: Axes, right: Axes, name: str, place: int, run: Results, index: int
) -> None:
    """One objective of one run in both panels."""
    if (series := biased(run, name)) is None:
        return
    mark = nth_mark(place)
    sheet.explain(plain(name), sample(mark))
    if (size := gradient_size(run, name)) is not None:
        value, error = series.value / size, series.error / size
        curve(left, series.sigma, value, error, mark, label=name, run=index, place=place)
        if index == 0:
            theory(left, series.sigma, series.theory / size, mark.colour, name)
    exact = series.where(series.theory > NEGLIGIBLE * series.theory.max())
    value, error = exact.value / exact.theory, exact.error / exact.theory
    error = np.where(value > _RATIOS[-1], np.nan, error)  # no bars of points outside the panel
    curve(right, exact.sigma, value, error, mark, label=name, run=index, place=place)


FIGURES: tuple[Callable[[str, Sequence[Results]], Drawing | None], ...] = (
    bias,
    batch,
    heat,
    variance,
    learning,
    cosine,
    picture,
)
"""Those of one objective, in the order of a report."""
