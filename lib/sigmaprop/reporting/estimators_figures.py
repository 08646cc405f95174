"""The figures of a comparison of estimators, section by section.

Every function takes runs and returns a drawing, or None where they hold nothing to draw.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from sigmaprop.reporting.bias_figures import bias
from sigmaprop.reporting.comparison_results import Comparison
from sigmaprop.reporting.counting import Count
from sigmaprop.reporting.efficiency_figures import efficiency
from sigmaprop.reporting.exact_figures import coupling, variance_curves
from sigmaprop.reporting.logistic_figures import logistic
from sigmaprop.reporting.sheet import Drawing
from sigmaprop.reporting.study_figures import dimension, learning_sigma, piecewise_linear
from sigmaprop.reporting.variance_figures import samples, variance

OVERLAID = ("dimension", "logistic")
"""Studies that a clock goes into: their figures show every run."""
_GRID: tuple[Callable[[Comparison, str, str], Drawing | None], ...] = (
    efficiency,
    variance,
    samples,
    bias,
)
_STUDIES: dict[str, Callable[[Sequence[Comparison]], Drawing | None]] = {
    "variance_curves": lambda runs: variance_curves(runs[0]),
    "coupling": lambda runs: coupling(runs[0]),
    "dimension": dimension,
    "learning_sigma": lambda runs: learning_sigma(runs[0]),
    "piecewise_linear": lambda runs: piecewise_linear(runs[0]),
    "logistic": logistic,
}


def most(run: Comparison) -> int:
    """How many figures there may be."""
    return len(_GRID) * len(list(run.grids())) + len(_STUDIES)


def draw_grid(
    run: Comparison, objective: str, gaussian: str, count: Count | None = None
) -> Iterator[Drawing]:
    """Every figure of one objective under one Gaussian."""
    count = count or Count(len(_GRID))
    yield from count.each(partial(make, run, objective, gaussian) for make in _GRID)


def draw_study(
    study: str, runs: Sequence[Comparison], count: Count | None = None
) -> Iterator[Drawing]:
    """The figure of a study other than the grid, if it has one."""
    count = count or Count(1)
    yield from count.each([partial(_STUDIES[study], runs)])
