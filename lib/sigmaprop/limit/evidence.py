"""What claims are made from, and the sigmas between which theory can be measured."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from sigmaprop.limit import Sweep
from sigmaprop.limit.truth import Derivatives, Truth

CURVATURE = 0.1
"""Largest sigma of a fit, in units of the length over which derivatives change: the next order of
the theory is then about 1%."""


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


def ratio(numerator: float, denominator: float) -> float:
    """The quotient, infinite where the denominator is 0."""
    return numerator / denominator if denominator > 0 else np.inf


def pathwise_highest(e: Evidence) -> float:
    """Largest sigma at which the pathwise variance to the mean follows its law."""
    d = e.derivatives
    return CURVATURE * ratio(d.hessian, d.laplacian_gradient)


def scale_highest(e: Evidence) -> float:
    """Largest sigma at which the pathwise variance to the scale follows its law."""
    d = e.derivatives
    return CURVATURE * min(ratio(d.gradient, d.hessian), ratio(d.gradient, abs(d.laplacian)))


def difference_highest(e: Evidence) -> float:
    """Largest sigma at which the differences and baselines follow their laws."""
    d = e.derivatives
    second = np.sqrt(d.hessian**2 / 2 + d.laplacian**2 / 4)
    third = np.sqrt(ratio(d.gradient, d.laplacian_gradient))
    return CURVATURE * min(ratio(d.gradient, second), third)


def score_highest(e: Evidence) -> float:
    """Largest sigma at which the plain score function follows its law."""
    d = e.derivatives
    second = np.sqrt(ratio(abs(d.value), abs(d.laplacian)))
    return CURVATURE * min(ratio(abs(d.value), d.gradient), second)


def pathwise_lowest(e: Evidence) -> float:
    """Smallest sigma at which rounding leaves the pathwise variance alone."""
    d = e.derivatives
    return 10 * max(ratio(gradient_rounding(e), d.hessian), e.rounding * coordinate_size(e))


def difference_lowest(e: Evidence) -> float:
    """Smallest sigma at which rounding leaves the differences alone."""
    return 30 * ratio(value_rounding(e), e.derivatives.gradient)


def anywhere(e: Evidence) -> float:
    """For laws that rounding does not end."""
    del e
    return 0.0


def bias_range(e: Evidence) -> np.ndarray:
    """Sigmas [S] at which theory lets the bias s^2/2 |T| be measured: within 1% of the exact
    bias above, and above the rounding of grad f below."""
    d = e.derivatives
    leading = e.truth.sigmas**2 / 2 * d.laplacian_gradient
    slack = 0.01 * leading + 3 * e.truth.mean_error
    return (np.abs(e.bias - leading) <= slack) & (e.truth.sigmas >= bias_lowest(e))


def bias_lowest(e: Evidence) -> float:
    """Sigma at which the bias is some 60 times the rounding of grad f."""
    return 8 * np.sqrt(2 * ratio(gradient_rounding(e), e.derivatives.laplacian_gradient))


def between(e: Evidence, lowest: float, highest: float) -> np.ndarray:
    """Which sigmas [S] lie between two, ends included."""
    return (e.truth.sigmas >= lowest) & (e.truth.sigmas <= highest)


def nothing(value: float, scale: float) -> bool:
    """Whether a derivative is zero but for the rounding of float64."""
    return value <= 1e-9 * scale


def noiseless(e: Evidence, estimator: str, noise: str) -> bool:
    """Whether an estimator of the mean's gradient has no sampling error at all on this f."""
    d = e.derivatives
    if estimator == "pathwise":
        size = d.hessian if noise == "iid" else d.laplacian_gradient
        return nothing(size, d.gradient)
    return estimator == "at_mean"


def nearest(sigmas: np.ndarray, wanted: float) -> int:
    """Index of the sigma nearest to the one wanted, in ratio."""
    return int(np.argmin(np.abs(np.log(sigmas / wanted))))


def typical_sigma(e: Evidence, estimator: str, noise: str) -> int | None:
    """The largest sigma at which the estimator's variance follows its law, if there is one."""
    lowest, highest = difference_lowest(e), difference_highest(e)
    if estimator == "score_function":
        lowest, highest = 0.0, score_highest(e)
    if estimator == "pathwise":
        lowest = pathwise_lowest(e)
    if (estimator, noise) == ("pathwise", "antithetic"):
        lowest = max(lowest, bias_lowest(e))
    inside = np.flatnonzero(between(e, lowest, highest))
    return int(inside[np.argmax(e.truth.sigmas[inside])]) if inside.size else None
