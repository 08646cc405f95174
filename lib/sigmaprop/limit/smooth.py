"""Where f is smooth: the bias line, unbiased means, variances, batches, and learning sigma."""

from collections.abc import Iterator

import numpy as np

from sigmaprop.limit.claims import (
    CONSTANT_TOLERANCE,
    SLOPE_TOLERANCE,
    name_of,
    power_law,
)
from sigmaprop.limit.evidence import (
    Evidence,
    between,
    bias_range,
    coordinate_size,
    difference_lowest,
    gradient_rounding,
    nearest,
    noiseless,
    nothing,
    ratio,
    scale_highest,
    typical_sigma,
)
from sigmaprop.limit.laws import LAWS, LEAVE_ONE_OUT, variance_level, variances
from sigmaprop.statistics import (
    UNKNOWN,
    Claim,
    claim,
    exact,
    interval,
    jackknife_interval,
    log_slope,
    mean_and_error,
    norm_of_mean,
    squared_norm,
)

BATCH_SLOPE_TOLERANCE = 0.03


def bias_claims(e: Evidence) -> Iterator[Claim]:
    """The bias of grad f(x): sigma^2/2 |grad Laplacian f|, seen by antithetic pairs."""
    label = ("pathwise", "antithetic")
    if label not in e.sweep.estimates or len(e.sweep.group_draws) < 3:
        return
    d = e.derivatives
    apart = e.sweep.estimates[label].mean - e.truth.gradient
    if nothing(d.laplacian_gradient, d.gradient):
        yield from _no_bias(e, apart)
        return
    where = bias_range(e)
    sigmas = e.truth.sigmas[where]
    slope = factor = UNKNOWN
    if sigmas.size >= 3:
        slope = jackknife_interval(lambda g: log_slope(sigmas, norm_of_mean(g)), apart[:, where])
    if sigmas.size:
        scaled = apart[:, where] / (sigmas**2 * d.laplacian_gradient / 2)[:, None]
        factor = jackknife_interval(lambda g: norm_of_mean(g).mean(), scaled)
    about = {"study": "bias", "estimator": name_of(*label), "wrt": "mean"}
    text = "bias of grad f(x): slope in sigma"
    yield claim(e.objective, text, 2.0, SLOPE_TOLERANCE, slope, sigmas, quantity="slope", **about)
    text = "bias of grad f(x) / (|grad Laplacian f| s^2/2)"
    yield claim(
        e.objective, text, 1.0, CONSTANT_TOLERANCE, factor, sigmas, quantity="constant", **about
    )


def _no_bias(e: Evidence, apart: np.ndarray) -> Iterator[Claim]:
    """grad Laplacian f = 0 everywhere: pairs give grad f(x) at every sigma, but for rounding."""
    where = between(e, 0.0, ratio(e.derivatives.gradient, e.derivatives.hessian))
    sigmas = e.truth.sigmas[where]
    allowed = 4 * gradient_rounding(e) / e.derivatives.gradient
    worst = np.linalg.norm(apart[:, where].mean(axis=0), axis=-1).max(initial=0.0)
    measured = exact(worst / e.derivatives.gradient)
    text = "bias of grad f(x) / |grad f| (none)"
    yield claim(e.objective, text, 0.0, allowed, measured, sigmas, study="bias", quantity="none")


def unbiased_claims(e: Evidence, at_edge: bool = False) -> Iterator[Claim]:
    """The mean of each estimator against the exact smoothed gradient, along the latter.

    At the largest sigma where the groups agree to 1%, else where they agree best (at an edge: at
    its distance). The choice looks at the scatter, not at the error.
    """
    if len(e.sweep.group_draws) < 3:
        return
    for (estimator, noise), estimate in e.sweep.estimates.items():
        if estimator == "at_mean" or (e.smoothness == "jump" and estimator == "pathwise"):
            continue
        smoothed = e.truth.smoothed_mean
        length = np.linalg.norm(smoothed, axis=-1)
        with np.errstate(invalid="ignore", divide="ignore"):
            along = np.sum((estimate.mean - smoothed) * smoothed, axis=-1) / length**2
            value, error = mean_and_error(along)
            error = np.hypot(error, e.truth.mean_error / length)
        index = nearest(e.truth.sigmas, e.edge) if at_edge else _resolved_sigma(e, error)
        measured = interval(value[index], error[index], len(along))
        text = f"{name_of(estimator, noise)}: relative error of its mean"
        yield claim(
            e.objective,
            text,
            0.0,
            0.1,
            measured,
            e.truth.sigmas[index],
            study="bias",
            quantity="unbiased",
            estimator=name_of(estimator, noise),
            wrt="mean",
        )


def _resolved_sigma(e: Evidence, error: np.ndarray) -> int:
    lost = (e.truth.sigmas < difference_lowest(e)) | np.isnan(error)
    usable = np.where(lost, np.inf, error)
    good = np.flatnonzero(usable <= 0.01)
    return int(good[np.argmax(e.truth.sigmas[good])]) if good.size else int(np.argmin(usable))


def variance_claims(e: Evidence) -> Iterator[Claim]:
    """The variance of each estimator: its power of sigma and its constant."""
    for law in LAWS:
        found = variances(e.sweep, e.truth, law.estimator, "iid", law.wrt)
        if found is None:
            continue
        level = variance_level(e.sweep, law.estimator)
        draws = int(e.sweep.batch_draws[level]) if level is not None else 1
        constant = law.constant(e.derivatives, draws)
        name = f"variance of {law.estimator} to the {law.wrt}"
        if nothing(constant, e.derivatives.gradient**2):
            continue
        where = between(e, law.lowest(e), law.highest(e))
        about = {"study": "variance", "estimator": law.estimator, "wrt": law.wrt}
        yield from power_law(e, name, law.what, found, where, law.power, constant, **about)


def batch_claims(e: Evidence) -> Iterator[Claim]:
    """Root mean square error against batch size, at one sigma: slope -1/2."""
    sweep = e.sweep
    for (estimator, noise), errors in sweep.errors.items():
        smallest = 64 if estimator == LEAVE_ONE_OUT else 1
        groups = len(sweep.group_draws)
        levels = (sweep.batch_draws >= smallest) & (sweep.num_batches >= groups)
        index = typical_sigma(e, estimator, noise)
        if levels.sum() < 3 or groups < 3 or noiseless(e, estimator, noise):
            continue
        text = f"{name_of(estimator, noise)}: slope of its error in batch size"
        about = {"study": "batch", "quantity": "slope", "estimator": name_of(estimator, noise)}
        if index is None:
            yield claim(e.objective, text, -0.5, BATCH_SLOPE_TOLERANCE, UNKNOWN, **about)
            continue
        sizes = sweep.batch_draws[levels]
        chosen = errors[:, index, levels, 0]
        measured = jackknife_interval(
            lambda g, sizes=sizes: log_slope(sizes, np.sqrt(g.mean(axis=0))), chosen
        )
        sigma = e.truth.sigmas[index]
        yield claim(e.objective, text, -0.5, BATCH_SLOPE_TOLERANCE, measured, sigma, **about)


def learning_claims(e: Evidence) -> Iterator[Claim]:
    """Batch at which one pathwise gradient to sigma has a signal-to-noise ratio of one."""
    d = e.derivatives
    spread = variances(e.sweep, e.truth, "pathwise", "iid", "scale")
    if spread is None or ("pathwise", "antithetic") not in e.sweep.estimates:
        return
    if abs(d.laplacian) < 0.05 * d.hessian or len(e.sweep.group_draws) < 3:
        return
    signal = e.sweep.estimates["pathwise", "antithetic"].scale
    leading = e.truth.sigmas * d.laplacian
    lowest = 10 * max(
        ratio(gradient_rounding(e) * np.sqrt(d.dim), abs(d.laplacian)),
        e.rounding * coordinate_size(e),
    )
    where = between(e, lowest, scale_highest(e))
    slack = 0.01 * np.abs(leading) + 3 * e.truth.scale_error
    where &= np.abs(e.truth.smoothed_scale - leading) <= slack
    sigmas = e.truth.sigmas[where]
    if not sigmas.size:
        return

    def batch(v: np.ndarray, s: np.ndarray) -> np.ndarray:
        return v.mean(axis=0) / np.maximum(squared_norm(s[..., None]), 1e-300)

    slope = UNKNOWN
    if sigmas.size >= 3:
        slope = jackknife_interval(
            lambda v, s: log_slope(sigmas, batch(v, s)), spread[:, where], signal[:, where]
        )
    constant = (d.gradient / d.laplacian) ** 2
    factor = jackknife_interval(
        lambda v, s: (batch(v, s) * sigmas**2).mean() / constant, spread[:, where], signal[:, where]
    )
    about = {"study": "learning", "estimator": "pathwise", "wrt": "scale"}
    text = "batch needed to learn sigma: slope"
    yield claim(e.objective, text, -2.0, SLOPE_TOLERANCE, slope, sigmas, quantity="slope", **about)
    text = "batch needed to learn sigma / (|grad f|^2 / (s Laplacian f)^2)"
    tolerance = 2 * CONSTANT_TOLERANCE
    yield claim(e.objective, text, 1.0, tolerance, factor, sigmas, quantity="constant", **about)
