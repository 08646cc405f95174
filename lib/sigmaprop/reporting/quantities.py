"""What is drawn of a run: derived quantities, and which sigmas and estimators."""

from collections.abc import Sequence

import numpy as np

from sigmaprop.reporting.results import Results, Series, plain
from sigmaprop.reporting.style import DASHES

MOST_RUNS = len(DASHES)
"""Runs told apart in one panel."""
MOST_CURVES = 16
PATHWISE = (("pathwise", "antithetic"), ("pathwise", "iid"))
NO_BIAS = 1e-9
"""An exact bias that stays below this share of the gradient is the rounding of a closed form."""
UNIT = "units of f / units of x"


def heading(objective: str, runs: Sequence[Results]) -> str:
    """Objective, dimension and number format."""
    dims = dict.fromkeys(str(run.sizes[objective][0]) for run in runs)
    dtypes = dict.fromkeys(run.sizes[objective][1] for run in runs)
    return plain(f"{objective}, dim {' and '.join(dims)}, {' and '.join(dtypes)}")


def gradient_size(run: Results, objective: str) -> float | None:
    """|grad f(x)|: the variance of the pathwise gradient to the scale as sigma -> 0.

    From theory, else measured where it no longer depends on sigma; None where it does, or is 0.
    """
    series = run.get(objective, ("pathwise", "iid"), "scale", "variance")
    if series is None or not (series := series.where(series.sigma > 0)).sigma.size:
        return None
    if series.theory[0] > 0:
        return float(np.sqrt(series.theory[0]))
    value, error = series.value, series.error
    level = abs(value[-1 if value.size == 1 else 1] - value[0]) <= 0.02 * value[0]
    known = value.size > 1 and value[0] > 0 and level and error[0] < 0.05 * value[0]
    return float(np.sqrt(value[0])) if known else None


def batch_needed(run: Results, objective: str, which: tuple[str, str]) -> Series | None:
    """Variance of one gradient to sigma over its mean squared, measured and in theory."""
    spread = run.get(objective, which, "scale", "variance")
    means = (run.get(objective, w, "scale", "bias") for w in (*PATHWISE, which))
    mean = next((found for found in means if found is not None), None)
    if spread is None or mean is None:
        return None
    sigma, rows, columns = np.intersect1d(spread.sigma, mean.sigma, return_indices=True)
    spread, mean = Series(*(c[rows] for c in spread)), Series(*(c[columns] for c in mean))
    keep = (sigma > 0) & (mean.value > 3 * np.nan_to_num(mean.error)) & (spread.value > 0)
    spread, mean = spread.where(keep), mean.where(keep)
    if not spread.sigma.size:
        return None
    value = spread.value / mean.value**2
    error = value * np.hypot(spread.error / spread.value, 2 * mean.error / mean.value)
    with np.errstate(divide="ignore"):
        exact = np.where(mean.theory > 0, spread.theory / mean.theory**2, np.nan)
    return spread._replace(value=value, error=error, theory=exact)


def spread(run: Results, objective: str, number: int) -> np.ndarray:
    """A few of the positive sigmas, largest first, evenly apart on a logarithmic scale."""
    sigmas = {
        sigma
        for key, series in run.series.items()
        if key.objective == objective and key.metric == "error_to_gradient"
        for sigma in np.unique(series.sigma).tolist()
        if sigma > 0
    }
    if not sigmas:
        return np.array([])
    ordered = np.array(sorted(sigmas, reverse=True))
    wanted = np.linspace(np.log(ordered[0]), np.log(ordered[-1]), number)
    nearest = np.abs(np.log(ordered)[:, None] - wanted).argmin(axis=0)
    return ordered[sorted(set(nearest.tolist()))]


def at(series: Series | None, sigma: float) -> Series | None:
    """The rows at a sigma, or None."""
    if series is None:
        return None
    near = np.isclose(series.sigma, sigma, rtol=1e-6, atol=0)
    return series.where(near) if near.any() else None


def biased(run: Results, objective: str) -> Series | None:
    """The bias of pathwise, antithetic if it was measured, at sigmas where there is one."""
    for which in PATHWISE:
        series = run.get(objective, which, "mean", "bias")
        if series is not None:
            series = series.where((series.sigma > 0) & (series.theory > 0))
            least = NO_BIAS * (gradient_size(run, objective) or 0)
            shown = (series.value > 0).any() and series.theory.max() > least
            return series if shown else None
    return None


def has(runs: Sequence[Results], objective: str, which: tuple[str, str], metric: str) -> bool:
    """Whether any run measured a metric of the gradient to the mean."""
    return any(run.get(objective, which, "mean", metric) is not None for run in runs)


def pathwise_or_any(run: Results, objective: str) -> Sequence[tuple[str, str]]:
    """The pathwise estimators that were measured, or a few others where there are none."""
    found = run.estimators(objective)
    pathwise = [which for which in PATHWISE if which in found]
    return pathwise or [which for which in found if which[0] != "at_mean"][:4]


def told_apart(run: Results, objective: str, runs: int) -> list[tuple[str, str]]:
    """Estimators, the most important first, as many as a panel of several runs can bear."""
    found = run.estimators(objective)
    if runs == 1:
        return found[:MOST_CURVES]
    main = (*PATHWISE, ("score_function+leave_one_out", "iid"), ("forward_difference", "iid"))
    ordered = [which for which in dict.fromkeys(main) if which in found]
    ordered += [which for which in found if which not in ordered]
    return ordered[: max(1, MOST_CURVES // runs)]


def name_of(which: tuple[str, str]) -> str:
    """An (estimator, noise) in words."""
    estimator, noise = which
    return plain(estimator if noise == "iid" else f"{estimator} ({noise})", 50)
