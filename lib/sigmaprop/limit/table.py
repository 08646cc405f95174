"""The sweep as a tidy table: one row for every objective, estimator, sigma, batch size and metric.

Columns: objective, dim, dtype, estimator, noise, wrt ("mean" or "scale"), metric, sigma, batch_size
(points x in a batch), num_batches, value, error (standard error), theory (what is expected; NaN
where nothing is known).

Metrics, each of the gradient to the mean and to the scale:

* ``bias``: |average of all samples - grad f(x)|, the noise's own share removed; the limit of the
  gradient to the scale is 0. Theory: of the exact smoothed gradient.
* ``deviation``: |average of all samples - exact smoothed gradient|. Theory: sampling alone.
* ``variance``: num_samples x Var(estimate), summed over coordinates. Theory: leading order.
* ``error_to_gradient``, ``error_to_smoothed``: root mean square over batches.
* ``cosine``: mean cosine of the batches' gradients with grad f(x).
* ``floor: ...``: where precision ends the limit; sigma is NaN.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from sigmaprop.limit.conclusions import LAWS, Evidence, variance_level, variances
from sigmaprop.limit.floors import floors
from sigmaprop.limit.program import ERRORS
from sigmaprop.statistics import jackknife, mean_and_error, squared_norm

KEYS = (
    "objective",
    "dim",
    "dtype",
    "estimator",
    "noise",
    "wrt",
    "metric",
    "sigma",
    "batch_size",
    "num_batches",
)
VALUES = ("value", "error", "theory")
COLUMNS = (*KEYS, *VALUES)


class _Series(NamedTuple):
    """One metric over all sigmas, at one batch size."""

    metric: str
    batch_size: int
    num_batches: int
    value: np.ndarray
    error: np.ndarray
    theory: np.ndarray


def columns(e: Evidence, dim: int) -> dict[str, list[Any]]:
    """All rows of one objective, column by column."""
    table: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    for estimator, noise in e.sweep.estimates:
        for wrt in ("mean", "scale"):
            for series in _series(e, estimator, noise, wrt):
                _extend(table, e, dim, (estimator, noise, wrt), series, e.truth.sigmas)
    for floor in floors(e) if e.smoothness == "smooth" else []:
        one = lambda x: np.array([x])  # noqa: E731
        series = _Series(
            f"floor: {floor.what}",
            int(e.sweep.group_draws.sum()),
            1,
            one(floor.measured),
            one(np.nan),
            one(floor.predicted),
        )
        _extend(table, e, dim, (floor.estimator, floor.noise, "mean"), series, one(np.nan))
    return table


def _extend(
    table: dict[str, list[Any]],
    e: Evidence,
    dim: int,
    which: tuple[str, str, str],
    series: _Series,
    sigmas: np.ndarray,
) -> None:
    size = len(sigmas)
    row = (e.objective, dim, e.dtype, *which, series.metric)
    for name, entry in zip(KEYS, row, strict=False):
        table[name].extend([entry] * size)
    table["sigma"].extend(sigmas.tolist())
    table["batch_size"].extend([series.batch_size] * size)
    table["num_batches"].extend([series.num_batches] * size)
    for name in VALUES:
        table[name].extend(np.asarray(getattr(series, name), np.float64).tolist())


def _series(e: Evidence, estimator: str, noise: str, wrt: str) -> Iterator[_Series]:
    """The metrics of one estimator."""
    samples = 2 if noise == "antithetic" else 1
    total = samples * int(e.sweep.group_draws.sum())
    variance = variance_theory(e, estimator, noise, wrt)
    yield from _of_all_samples(e, estimator, noise, wrt, total, variance)
    found = variances(e.sweep, e.truth, estimator, noise, wrt)
    if found is not None and (level := variance_level(e.sweep, estimator)) is not None:
        batches = int(e.sweep.num_batches[level])
        yield _Series("variance", total, batches, *mean_and_error(found), variance)
    errors = e.sweep.errors[estimator, noise]
    exact = _limit_theory(e, estimator, wrt)
    prefix = "" if wrt == "mean" else "scale_"
    for level, draws in enumerate(e.sweep.batch_draws):
        size, batches = int(samples * draws), int(e.sweep.num_batches[level])
        sampling = variance / size
        apart = e.bias**2 if (estimator, wrt) == ("at_mean", "mean") else 0.0
        for metric, square in (
            ("to_smoothed", sampling + apart),
            ("to_gradient", sampling + exact**2),
        ):
            column = errors[:, :, level, ERRORS.index(prefix + metric)]
            value, error = _root(*mean_and_error(column))
            yield _Series(f"error_{metric}", size, batches, value, error, np.sqrt(square))
        if wrt == "mean":
            value, error = mean_and_error(errors[:, :, level, ERRORS.index("cosine")])
            yield _Series("cosine", size, batches, value, error, np.full(len(value), np.nan))


def _of_all_samples(
    e: Evidence, estimator: str, noise: str, wrt: str, total: int, variance: np.ndarray
) -> Iterator[_Series]:
    estimate = e.sweep.estimates[estimator, noise]
    if wrt == "mean":
        found, limit, exact = estimate.mean, e.truth.gradient, e.truth.smoothed_mean
    else:
        found, exact = estimate.scale[..., None], e.truth.smoothed_scale[:, None]
        limit = np.zeros(1)
    bias, error = _norm(found - limit)
    yield _Series("bias", total, 1, bias, error, _limit_theory(e, estimator, wrt))
    deviation = np.linalg.norm(found.mean(axis=0) - exact, axis=-1)
    unknown = np.full(len(deviation), np.nan)
    yield _Series("deviation", total, 1, deviation, unknown, np.sqrt(variance / total))


def _limit_theory(e: Evidence, estimator: str, wrt: str) -> np.ndarray:
    """Distance of what the estimator tends to, as samples grow, from the limit sigma -> 0."""
    if estimator == "at_mean":
        return np.zeros(len(e.truth.sigmas))
    return e.bias if wrt == "mean" else np.abs(e.truth.smoothed_scale)


def _norm(groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Norm of the mean of groups of vectors, the noise's own share removed, and its error."""
    if len(groups) < 3 or np.ptp(groups, axis=0).max() == 0:
        value = np.linalg.norm(groups.mean(axis=0), axis=-1)
        return value, np.zeros_like(value) if len(groups) >= 3 else np.full_like(value, np.nan)
    square, error = jackknife(squared_norm, groups)
    return _root(np.maximum(square, 0), error)


def _root(square: np.ndarray, error: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Square root, and its standard error to first order (to second where the square is noise)."""
    value = np.sqrt(np.maximum(square, 0))
    spread = np.where(square > error, error / (2 * np.where(value > 0, value, 1)), np.sqrt(error))
    return value, spread


def variance_theory(e: Evidence, estimator: str, noise: str, wrt: str) -> np.ndarray:
    """Leading order of the variance at every sigma, [S]; NaN where there is none."""
    if estimator == "at_mean":
        return np.zeros(len(e.truth.sigmas))
    for law in LAWS:
        smooth = e.smoothness == "smooth"
        if (law.estimator, law.wrt, noise) == (estimator, wrt, "iid") and smooth:
            return law.constant(e.derivatives, 2**40) * e.truth.sigmas**law.power
    return np.full(len(e.truth.sigmas), np.nan)
