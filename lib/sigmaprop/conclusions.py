"""What a sweep shows: claims, each with what theory expects, the interval measured, a verdict.

A claim holds when its interval lies inside the range that theory allows, fails when it lies outside,
and is not resolved when the samples cannot tell or no sigma lies where theory can be measured.
Every range is derived from sizes of derivatives and from the rounding of the number format.

Theory, with g, H, T for grad f, its Hessian and the gradient of its Laplacian at x, as sigma -> 0:
the bias of grad f(x) is sigma^2/2 T; the variances of the estimators are in their docstrings.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from sigmaprop.limit import Sweep
from sigmaprop.statistics import (
    Interval,
    Verdict,
    interval,
    jackknife_interval,
    judge,
    log_slope,
    mean_and_error,
    squared_norm,
)
from sigmaprop.truth import Derivatives, Truth

SLOPE_TOLERANCE = 0.02
CONSTANT_TOLERANCE = 0.05
BATCH_SLOPE_TOLERANCE = 0.03
CURVATURE = 0.1
"""Largest sigma of a fit, in units of the length over which derivatives change: the next order of
the theory is then about 1%."""

LEAVE_ONE_OUT = "score_function+leave_one_out"


class Claim(NamedTuple):
    """One line of the conclusions.

    Attributes:
        objective: name of the objective.
        claim: what is claimed, in words.
        expected: what theory gives, a number.
        lowest, highest: the range that counts as agreement.
        measured: value with interval.
        verdict: "holds", "fails" or "not resolved".
        sigma_low, sigma_high: where it was measured.
    """

    objective: str
    claim: str
    expected: float
    lowest: float
    highest: float
    measured: Interval
    verdict: Verdict
    sigma_low: float
    sigma_high: float


class Evidence(NamedTuple):
    """All that the claims about one objective are made from."""

    objective: str
    smoothness: str
    truth: Truth
    derivatives: Derivatives
    sweep: Sweep
    dtype: str

    @property
    def rounding(self) -> float:
        """Machine epsilon of the dtype in which f was evaluated."""
        return float(jnp.finfo(self.dtype).eps)

    @property
    def bias(self) -> np.ndarray:
        """|grad E f(x + sigma eps) - grad f(x)|, exact (or of the reference sample), [S]."""
        return np.linalg.norm(self.truth.smoothed_mean - self.truth.gradient, axis=-1)

    @property
    def edge(self) -> float:
        """Distance of x to the nearest kink or jump, which lie at coordinates 0."""
        return float(np.abs(self.truth.point).min())


class Law(NamedTuple):
    """variance = constant x sigma^power as sigma -> 0, between two sigmas."""

    what: str
    estimator: str
    wrt: str
    power: int
    constant: Callable[[Derivatives, int], float]
    lowest: Callable[[Evidence], float]
    highest: Callable[[Evidence], float]


def conclude(evidence: Evidence) -> list[Claim]:
    """The claims that an objective of this smoothness supports, in the order of a report."""
    if evidence.smoothness == "kink":
        return [*_kink_claims(evidence), *_unbiased(evidence, at_edge=True)]
    if evidence.smoothness == "jump":
        return [*_jump_claims(evidence), *_unbiased(evidence, at_edge=True)]
    return [
        *_bias_claims(evidence),
        *_unbiased(evidence),
        *_variance_claims(evidence),
        *_batch_claims(evidence),
        *_learning_claims(evidence),
        *_floor_claims(evidence),
    ]


def coordinate_size(evidence: Evidence) -> float:
    """Root mean square coordinate of x: what x + sigma eps is rounded against."""
    return evidence.derivatives.point / np.sqrt(evidence.derivatives.dim)


def value_rounding(evidence: Evidence) -> float:
    """Rounding error of f(x + sigma eps): of f itself, and of x carried to f by its slope."""
    d = evidence.derivatives
    return evidence.rounding * (abs(d.value) + coordinate_size(evidence) * d.gradient)


def gradient_rounding(evidence: Evidence) -> float:
    """Rounding error of grad f: of itself, and of x carried to it by the Hessian."""
    d = evidence.derivatives
    return evidence.rounding * (d.gradient + coordinate_size(evidence) * d.hessian)


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator > 0 else np.inf


def _pathwise_highest(e: Evidence) -> float:
    d = e.derivatives
    return CURVATURE * _ratio(d.hessian, d.laplacian_gradient)


def _scale_highest(e: Evidence) -> float:
    d = e.derivatives
    return CURVATURE * min(_ratio(d.gradient, d.hessian), _ratio(d.gradient, abs(d.laplacian)))


def _difference_highest(e: Evidence) -> float:
    d = e.derivatives
    second = np.sqrt(d.hessian**2 / 2 + d.laplacian**2 / 4)
    third = np.sqrt(_ratio(d.gradient, d.laplacian_gradient))
    return CURVATURE * min(_ratio(d.gradient, second), third)


def _score_highest(e: Evidence) -> float:
    d = e.derivatives
    second = np.sqrt(_ratio(abs(d.value), abs(d.laplacian)))
    return CURVATURE * min(_ratio(abs(d.value), d.gradient), second)


def _pathwise_lowest(e: Evidence) -> float:
    d = e.derivatives
    return 10 * max(
        _ratio(gradient_rounding(e), d.hessian), e.rounding * coordinate_size(e)
    )


def _difference_lowest(e: Evidence) -> float:
    return 30 * _ratio(value_rounding(e), e.derivatives.gradient)


def _anywhere(e: Evidence) -> float:
    del e
    return 0.0


def _flat_mean(d: Derivatives, draws: int) -> float:
    del draws
    return (d.dim + 1) * d.gradient**2


def _flat_scale(d: Derivatives, draws: int) -> float:
    del draws
    return (2 * d.dim + 8) * d.gradient**2


def _leave_one_out_mean(d: Derivatives, draws: int) -> float:
    return _flat_mean(d, draws) * draws / (draws - 1)


def _leave_one_out_scale(d: Derivatives, draws: int) -> float:
    return _flat_scale(d, draws) + 2 * d.dim * d.gradient**2 / (draws - 1)


LAWS = (
    Law(
        "|Hess f|^2 s^2", "pathwise", "mean", 2,
        lambda d, n: d.hessian**2, _pathwise_lowest, _pathwise_highest,
    ),
    Law(
        "D f^2 / s^2", "score_function", "mean", -2,
        lambda d, n: d.dim * d.value**2, _anywhere, _score_highest,
    ),
    Law(
        "(D+1) |grad f|^2", LEAVE_ONE_OUT, "mean", 0,
        _leave_one_out_mean, _difference_lowest, _difference_highest,
    ),
    Law(
        "(D+1) |grad f|^2", "forward_difference", "mean", 0,
        _flat_mean, _difference_lowest, _difference_highest,
    ),
    Law(
        "(D+1) |grad f|^2", "antithetic_difference", "mean", 0,
        _flat_mean, _difference_lowest, _difference_highest,
    ),
    Law(
        "|grad f|^2", "pathwise", "scale", 0,
        lambda d, n: d.gradient**2, _anywhere, _scale_highest,
    ),
    Law(
        "2 D f^2 / s^2", "score_function", "scale", -2,
        lambda d, n: 2 * d.dim * d.value**2, _anywhere, _score_highest,
    ),
    Law(
        "(2D+8) |grad f|^2", LEAVE_ONE_OUT, "scale", 0,
        _leave_one_out_scale, _difference_lowest, _difference_highest,
    ),
    Law(
        "(2D+8) |grad f|^2", "forward_difference", "scale", 0,
        _flat_scale, _difference_lowest, _difference_highest,
    ),
)
"""Variance of one draw as sigma -> 0, noise iid."""


def variance_level(sweep: Sweep, estimator: str) -> int | None:
    """Index of the batch size from which the variance of one draw is measured.

    Single draws where they define an estimate; a baseline estimated from the batch needs at least
    two, and is measured at a larger batch, where more of the estimate is the draws' own.
    """
    smallest = 4 if estimator == LEAVE_ONE_OUT else 1
    enough = np.flatnonzero((sweep.batch_draws >= smallest) & (sweep.num_batches >= 256))
    return int(enough[0]) if enough.size else None


def variances(
    sweep: Sweep, truth: Truth, estimator: str, noise: str, wrt: str
) -> np.ndarray | None:
    """N x Var(estimate) by group, [G, S]; None where the estimator or batch size was not swept.

    Distances to the exact gradient are variances where the estimator is unbiased; the squared bias
    found in all samples is taken off, so that they are variances also where it is not.
    """
    if (estimator, noise) not in sweep.errors or (level := variance_level(sweep, estimator)) is None:
        return None
    from sigmaprop.limit import ERRORS

    column = ERRORS.index("to_smoothed" if wrt == "mean" else "scale_to_smoothed")
    squares = sweep.errors[estimator, noise][:, :, level, column]
    if wrt == "mean":
        apart = sweep.estimates[estimator, noise].mean - truth.smoothed_mean
    else:
        apart = (sweep.estimates[estimator, noise].scale - truth.smoothed_scale)[..., None]
    bias = np.maximum(squared_norm(apart), 0) if len(apart) > 1 else 0.0
    samples = 2 if noise == "antithetic" else 1
    return samples * sweep.batch_draws[level] * np.maximum(squares - bias, 0)


def _claim(
    e: Evidence,
    text: str,
    expected: float,
    tolerance: float,
    measured: Interval,
    sigmas: np.ndarray,
) -> Claim:
    lowest, highest = expected - tolerance, expected + tolerance
    low, high = (sigmas.min(), sigmas.max()) if sigmas.size else (np.nan, np.nan)
    verdict = judge(measured, lowest, highest)
    return Claim(
        e.objective, text, float(expected), float(lowest), float(highest), measured, verdict,
        float(low), float(high),
    )


_UNKNOWN = Interval(np.nan, np.nan, np.nan, np.nan)


def _power_law(
    e: Evidence, name: str, law: str, groups: np.ndarray, where: np.ndarray, power: int, constant: float
) -> Iterator[Claim]:
    """Two claims, on the slope of a quantity [G, S] in sigma and on the constant of its law."""
    sigmas = e.truth.sigmas[where]
    slope = factor = _UNKNOWN
    if sigmas.size >= 3 and len(groups) >= 3:
        chosen = groups[:, where]
        slope = jackknife_interval(lambda g: log_slope(sigmas, g.mean(axis=0)), chosen)
    if sigmas.size and len(groups) >= 3:
        chosen = groups[:, where] / sigmas**power
        factor = jackknife_interval(lambda g: g.mean() / constant, chosen)
    yield _claim(e, f"{name}: slope in sigma", power, SLOPE_TOLERANCE, slope, sigmas)
    yield _claim(e, f"{name} / ({law})", 1.0, CONSTANT_TOLERANCE, factor, sigmas)


def _between(e: Evidence, lowest: float, highest: float) -> np.ndarray:
    return (e.truth.sigmas >= lowest) & (e.truth.sigmas <= highest)


def _nothing(value: float, scale: float) -> bool:
    """Whether a derivative is zero but for the rounding of float64."""
    return value <= 1e-9 * scale


def bias_range(e: Evidence) -> np.ndarray:
    """Sigmas [S] at which theory lets the bias s^2/2 |T| be measured: within 1% of the exact
    bias above, and above the rounding of grad f below."""
    d = e.derivatives
    leading = e.truth.sigmas**2 / 2 * d.laplacian_gradient
    slack = 0.01 * leading + 3 * e.truth.mean_error
    return (np.abs(e.bias - leading) <= slack) & (e.truth.sigmas >= _bias_lowest(e))


def _bias_lowest(e: Evidence) -> float:
    """Sigma at which the bias is some 60 times the rounding of grad f."""
    return 8 * np.sqrt(2 * _ratio(gradient_rounding(e), e.derivatives.laplacian_gradient))


def _bias_claims(e: Evidence) -> Iterator[Claim]:
    label = ("pathwise", "antithetic")
    if label not in e.sweep.estimates or len(e.sweep.group_draws) < 3:
        return
    d = e.derivatives
    apart = e.sweep.estimates[label].mean - e.truth.gradient
    if _nothing(d.laplacian_gradient, d.gradient):
        yield from _no_bias(e, apart)
        return
    where = bias_range(e)
    sigmas = e.truth.sigmas[where]
    norm = lambda g: np.sqrt(np.maximum(squared_norm(g), 0))  # noqa: E731
    slope = factor = _UNKNOWN
    if sigmas.size >= 3:
        slope = jackknife_interval(lambda g: log_slope(sigmas, norm(g)), apart[:, where])
    if sigmas.size:
        scaled = apart[:, where] / (sigmas**2 * d.laplacian_gradient / 2)[:, None]
        factor = jackknife_interval(lambda g: norm(g).mean(), scaled)
    yield _claim(e, "bias of grad f(x): slope in sigma", 2.0, SLOPE_TOLERANCE, slope, sigmas)
    yield _claim(
        e, "bias of grad f(x) / (|grad Laplacian f| s^2/2)", 1.0, CONSTANT_TOLERANCE, factor, sigmas
    )


def _no_bias(e: Evidence, apart: np.ndarray) -> Iterator[Claim]:
    """grad Laplacian f = 0 everywhere: pairs give grad f(x) at every sigma, but for rounding."""
    where = _between(e, 0.0, _ratio(e.derivatives.gradient, e.derivatives.hessian))
    sigmas = e.truth.sigmas[where]
    allowed = 4 * gradient_rounding(e) / e.derivatives.gradient
    worst = np.linalg.norm(apart[:, where].mean(axis=0), axis=-1).max(initial=0.0)
    value = worst / e.derivatives.gradient
    measured = Interval(value, 0.0, value, value)
    yield _claim(e, "bias of grad f(x) / |grad f| (none)", 0.0, allowed, measured, sigmas)


def _unbiased(e: Evidence, at_edge: bool = False) -> Iterator[Claim]:
    """The mean of each estimator against the exact smoothed gradient, along the latter.

    At the largest sigma where the groups agree to 1%, else where they agree best (at an edge: at
    its distance). The choice looks at the scatter, not at the error.
    """
    if len(e.sweep.group_draws) < 3:
        return
    for (estimator, noise), estimate in e.sweep.estimates.items():
        if estimator == "at_mean" or (e.smoothness == "jump" and estimator == "pathwise"):
            continue
        exact = e.truth.smoothed_mean
        length = np.linalg.norm(exact, axis=-1)
        with np.errstate(invalid="ignore", divide="ignore"):
            along = np.sum((estimate.mean - exact) * exact, axis=-1) / length**2
            value, error = mean_and_error(along)
            error = np.hypot(error, e.truth.mean_error / length)
        index = _nearest(e.truth.sigmas, e.edge) if at_edge else _resolved_sigma(e, error)
        measured = interval(value[index], error[index], len(along))
        text = f"{_name(estimator, noise)}: relative error of its mean"
        yield _claim(e, text, 0.0, 0.1, measured, e.truth.sigmas[[index]])


def _name(estimator: str, noise: str) -> str:
    return estimator if noise == "iid" else f"{estimator} ({noise})"


def _resolved_sigma(e: Evidence, error: np.ndarray) -> int:
    lost = (e.truth.sigmas < _difference_lowest(e)) | np.isnan(error)
    usable = np.where(lost, np.inf, error)
    good = np.flatnonzero(usable <= 0.01)
    return int(good[np.argmax(e.truth.sigmas[good])]) if good.size else int(np.argmin(usable))


def _nearest(sigmas: np.ndarray, wanted: float) -> int:
    return int(np.argmin(np.abs(np.log(sigmas / wanted))))


def _typical_sigma(e: Evidence, estimator: str, noise: str) -> int | None:
    """The largest sigma at which the estimator's variance follows its law, if there is one."""
    lowest, highest = _difference_lowest(e), _difference_highest(e)
    if estimator == "score_function":
        lowest, highest = 0.0, _score_highest(e)
    if estimator == "pathwise":
        lowest = _pathwise_lowest(e)
    if (estimator, noise) == ("pathwise", "antithetic"):
        lowest = max(lowest, _bias_lowest(e))
    inside = np.flatnonzero(_between(e, lowest, highest))
    return int(inside[np.argmax(e.truth.sigmas[inside])]) if inside.size else None


def _variance_claims(e: Evidence) -> Iterator[Claim]:
    for law in LAWS:
        found = variances(e.sweep, e.truth, law.estimator, "iid", law.wrt)
        if found is None:
            continue
        level = variance_level(e.sweep, law.estimator)
        draws = int(e.sweep.batch_draws[level]) if level is not None else 1
        constant = law.constant(e.derivatives, draws)
        name = f"variance of {law.estimator} to the {law.wrt}"
        if _nothing(constant, e.derivatives.gradient**2):
            continue
        where = _between(e, law.lowest(e), law.highest(e))
        yield from _power_law(e, name, law.what, found, where, law.power, constant)


def _batch_claims(e: Evidence) -> Iterator[Claim]:
    """Root mean square error against batch size, at one sigma: slope -1/2."""
    sweep = e.sweep
    for (estimator, noise), errors in sweep.errors.items():
        smallest = 64 if estimator == LEAVE_ONE_OUT else 1
        groups = len(sweep.group_draws)
        levels = (sweep.batch_draws >= smallest) & (sweep.num_batches >= groups)
        index = _typical_sigma(e, estimator, noise)
        if levels.sum() < 3 or groups < 3 or _noiseless(e, estimator, noise):
            continue
        text = f"{_name(estimator, noise)}: slope of its error in batch size"
        if index is None:
            yield _claim(e, text, -0.5, BATCH_SLOPE_TOLERANCE, _UNKNOWN, np.array([]))
            continue
        sizes = sweep.batch_draws[levels]
        chosen = errors[:, index, levels, 0]
        measured = jackknife_interval(
            lambda g, sizes=sizes: log_slope(sizes, np.sqrt(g.mean(axis=0))), chosen
        )
        yield _claim(e, text, -0.5, BATCH_SLOPE_TOLERANCE, measured, e.truth.sigmas[index : index + 1])


def _noiseless(e: Evidence, estimator: str, noise: str) -> bool:
    """Whether an estimator of the mean's gradient has no sampling error at all on this f."""
    d = e.derivatives
    if estimator == "pathwise":
        size = d.hessian if noise == "iid" else d.laplacian_gradient
        return _nothing(size, d.gradient)
    return estimator == "at_mean"


def _learning_claims(e: Evidence) -> Iterator[Claim]:
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
        _ratio(gradient_rounding(e) * np.sqrt(d.dim), abs(d.laplacian)),
        e.rounding * coordinate_size(e),
    )
    where = _between(e, lowest, _scale_highest(e))
    slack = 0.01 * np.abs(leading) + 3 * e.truth.scale_error
    where &= np.abs(e.truth.smoothed_scale - leading) <= slack
    sigmas = e.truth.sigmas[where]
    if not sigmas.size:
        return

    def batch(v: np.ndarray, s: np.ndarray) -> np.ndarray:
        return v.mean(axis=0) / np.maximum(squared_norm(s[..., None]), 1e-300)

    slope = _UNKNOWN
    if sigmas.size >= 3:
        slope = jackknife_interval(
            lambda v, s: log_slope(sigmas, batch(v, s)), spread[:, where], signal[:, where]
        )
    constant = (d.gradient / d.laplacian) ** 2
    factor = jackknife_interval(
        lambda v, s: (batch(v, s) * sigmas**2).mean() / constant, spread[:, where], signal[:, where]
    )
    yield _claim(e, "batch needed to learn sigma: slope", -2.0, SLOPE_TOLERANCE, slope, sigmas)
    yield _claim(
        e, "batch needed to learn sigma / (|grad f|^2 / (s Laplacian f)^2)", 1.0,
        2 * CONSTANT_TOLERANCE, factor, sigmas,
    )


class Floor(NamedTuple):
    """Where precision ends the limit for one estimator.

    Attributes:
        estimator, noise: which.
        what: the quantity, in words.
        predicted: from the rounding of the number format; an upper estimate, since noise much wider
            than the spacing of the numbers averages rounding errors out (but not the error of
            the approximation that computes, say, a cosine).
        measured: found in the sweep; NaN where the sigmas do not reach it.
        lowest: the smallest log10(measured / predicted) that counts as agreement.
    """

    estimator: str
    noise: str
    what: str
    predicted: float
    measured: float
    lowest: float


def floors(e: Evidence) -> list[Floor]:
    """Predicted and measured floors of the estimators that were swept."""
    found = []
    d = e.derivatives
    for (estimator, noise), estimate in e.sweep.estimates.items():
        apart = np.linalg.norm(estimate.mean.mean(axis=0) - e.truth.smoothed_mean, axis=-1)
        if estimator in ("pathwise", "at_mean"):
            smallest = _least_error(e, apart, noise if estimator == "pathwise" else "none")
            found.append(
                Floor(estimator, noise, "least error", e.rounding * d.gradient, smallest, -1.5)
            )
        elif estimator != "score_function":
            sampling = np.sqrt(_flat_mean(d, 0) / e.sweep.group_draws.sum())
            lost = _largest_lost(e.truth.sigmas, apart > 2 * sampling, _difference_highest(e))
            predicted = _ratio(value_rounding(e), d.gradient)
            found.append(Floor(estimator, noise, "sigma where it is lost", predicted, lost, -1))
        if (estimator, noise) == ("pathwise", "antithetic") and not _nothing(
            d.laplacian_gradient, d.gradient
        ):
            lost = _largest_lost(e.truth.sigmas, apart > 0.5 * e.bias, np.inf)
            predicted = np.sqrt(2 * gradient_rounding(e) / d.laplacian_gradient)
            found.append(
                Floor(estimator, noise, "sigma where its bias is lost", predicted, lost, -2)
            )
    return found


def _least_error(e: Evidence, apart: np.ndarray, noise: str) -> float:
    """The error at the smallest sigma, if rounding is the larger part of it; else NaN."""
    index = int(np.argmin(e.truth.sigmas))
    sampling = e.truth.sigmas[index] * e.derivatives.hessian / np.sqrt(e.sweep.group_draws.sum())
    own = {"iid": sampling, "antithetic": 0.0, "none": e.bias[index]}[noise]
    reached = own < 0.3 * e.rounding * e.derivatives.gradient
    return float(apart[index]) if reached else np.nan


def _largest_lost(sigmas: np.ndarray, lost: np.ndarray, highest: float) -> float:
    """Where, coming from above, an estimator is lost and stays so; between two sigmas."""
    order = np.argsort(sigmas)
    bad = (lost & (sigmas <= highest))[order]
    if bad.size == 0 or not bad[0]:
        return np.nan
    last = int(np.argmin(bad)) - 1 if not bad.all() else bad.size - 1
    upper = sigmas[order][min(last + 1, bad.size - 1)]
    return float(np.sqrt(sigmas[order][last] * upper))


def _floor_claims(e: Evidence) -> Iterator[Claim]:
    """Floors are orders of magnitude: log10(measured / predicted) from ``lowest`` to 0.7."""
    sigma = float(e.truth.sigmas.min())
    for floor in floors(e):
        ratio = np.log10(floor.measured / floor.predicted) if floor.measured > 0 else np.nan
        measured = Interval(ratio, 0.0, ratio, ratio) if np.isfinite(ratio) else _UNKNOWN
        verdict = judge(measured, floor.lowest, 0.7)
        name = _name(floor.estimator, floor.noise)
        text = f"precision floor of {name}: {floor.what}, log10(measured/predicted)"
        yield Claim(e.objective, text, 0.0, floor.lowest, 0.7, measured, verdict, sigma, sigma)


def _kink_claims(e: Evidence) -> Iterator[Claim]:
    """Within sigma of a kink the bias is a fixed share of |grad f|, not of order sigma^2."""
    label = ("pathwise", "antithetic")
    if label not in e.sweep.estimates or len(e.sweep.group_draws) < 3:
        return
    index = _nearest(e.truth.sigmas, e.edge)
    apart = e.sweep.estimates[label].mean - e.truth.gradient
    size = np.linalg.norm(e.truth.gradient)
    expected = e.bias[index] / size
    measured = jackknife_interval(
        lambda g: np.sqrt(np.maximum(squared_norm(g[:, index]), 0)) / size, apart
    )
    text = "bias / |grad f| at the sigma nearest to the kink's distance"
    yield _claim(e, text, expected, CONSTANT_TOLERANCE * expected, measured, e.truth.sigmas[[index]])
    yield from _no_square_law(e, apart)


def _no_square_law(e: Evidence, apart: np.ndarray) -> Iterator[Claim]:
    """From the kink's distance upward the bias saturates: its slope is the closed form's, below 1."""
    where = _between(e, e.edge, np.inf)
    sigmas = e.truth.sigmas[where]
    if sigmas.size < 2:
        return
    expected = log_slope(sigmas, e.bias[where])
    measured = jackknife_interval(
        lambda g: log_slope(sigmas, np.sqrt(np.maximum(squared_norm(g), 0))), apart[:, where]
    )
    text = "bias near the kink: slope in sigma (not 2)"
    yield _claim(e, text, expected, SLOPE_TOLERANCE, measured, sigmas)


def _jump_claims(e: Evidence) -> Iterator[Claim]:
    """The pathwise gradient misses a jump at every sigma; the exact one grows as 1/sigma near it."""
    near = _between(e, e.edge / 2, np.inf)
    sigmas = e.truth.sigmas[near]
    size = np.linalg.norm(e.truth.smoothed_mean, axis=-1)
    groups = len(e.sweep.group_draws)
    if ("pathwise", "iid") in e.sweep.estimates and groups >= 3 and sigmas.size:
        apart = e.sweep.estimates["pathwise", "iid"].mean - e.truth.smoothed_mean
        share = np.linalg.norm(apart[:, near], axis=-1) / size[near]
        measured = jackknife_interval(lambda g: g.mean(), share)
        text = "pathwise: error / |exact gradient| (it misses the jump)"
        yield _claim(e, text, 1.0, CONSTANT_TOLERANCE, measured, sigmas)
    if (LEAVE_ONE_OUT, "iid") in e.sweep.estimates and groups >= 3 and sigmas.size >= 2:
        found = e.sweep.estimates[LEAVE_ONE_OUT, "iid"].mean[:, near]
        expected = log_slope(sigmas, size[near])
        measured = jackknife_interval(
            lambda g: log_slope(sigmas, np.sqrt(np.maximum(squared_norm(g), 0))), found
        )
        text = "exact gradient near the jump: slope in sigma (no limit; -1 far from it)"
        yield _claim(e, text, expected, 5 * SLOPE_TOLERANCE, measured, sigmas)
