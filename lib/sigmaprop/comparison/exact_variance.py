"""Exact variance of one sample of a gradient estimator in one dimension, by quadrature.

x ~ N(mean, scale^2), and a sample estimates dE f(x)/dmean or dE f(x)/dscale. With x = mean +
scale z every sample is a function of standard variables: z normal, R Rayleigh, M double-sided
Maxwell (density z^2 phi(z)), U uniform on [0, 1].

======================  ========================================  =================================
estimator               to the mean                               to the scale
======================  ========================================  =================================
pathwise                f'(x)                                     f'(x) z
score_function          (f(x) - b) z / scale                      (f(x) - b) (z^2 - 1) / scale
measure_valued          (f(+R) - f(-R)) / (scale sqrt(2 pi))      (f(M) - f(M U)) / scale
======================  ========================================  =================================

In the last row f(z) stands for f(mean + scale z). The suffix says which constant b is subtracted:
none, E f (``+mean``), or the one of least variance, E[f s^2] / E[s^2] with s the score
(``+optimal``). The sides of a measure-valued sample share R, or (M, U), unless they are drawn
independently (``+uncoupled``, where a normal draw replaces M U): one sample, two evaluations of f.

>>> round(variance("cosine", 5.0, "pathwise", "mean"), 6)
12.5

Source: Mohamed, Rosca, Figurnov, Mnih 2020, "Monte Carlo gradient estimation in machine learning",
JMLR 21(132), whose figures draw these variances against k: https://jmlr.org/papers/v21/19-346.html
"""

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float

from sigmaprop.names import unknown

Wrt = Literal["mean", "scale"]
Values = Float[np.ndarray, "..."]


class Cost(NamedTuple):
    """A function f(x; k) on the line.

    Attributes:
        name: its key in `COSTS`.
        function: maps the array x and the number k to f, of x's shape.
        derivative: maps the same to df/dx.
        sharpness: maps k to the frequency, or the inverse width, of f^2, in units of 1/x: nodes
            further apart than that may miss all of f.
    """

    name: str
    function: Callable[[Values, float], Values]
    derivative: Callable[[Values, float], Values]
    sharpness: Callable[[float], float]


COSTS: dict[str, Cost] = {
    cost.name: cost
    for cost in (
        Cost("quadratic", lambda x, k: (x - k) ** 2, lambda x, k: 2 * (x - k), lambda k: 0.0),
        Cost(
            "exponential",
            lambda x, k: np.exp(-k * x**2),
            lambda x, k: -2 * k * x * np.exp(-k * x**2),
            lambda k: 2 * abs(k) ** 0.5,
        ),
        Cost(
            "cosine",
            lambda x, k: np.cos(k * x),
            lambda x, k: -k * np.sin(k * x),
            lambda k: 2 * abs(k),
        ),
    )
}

ESTIMATORS: tuple[str, ...] = (
    "pathwise",
    "score_function",
    "score_function+mean",
    "score_function+optimal",
    "measure_valued",
    "measure_valued+uncoupled",
)


_SHARPEST = 64.0
"""Up to this sharpness, in units of 1/z, both rules see f, and disagree where they fail."""


class _Term(NamedTuple):
    """A random variable on the nodes of a quadrature rule, and the rule's weights."""

    values: Values
    weights: Values


class _Rules(NamedTuple):
    """Nodes of one resolution, and the weights that make sums over them expectations.

    Attributes:
        normal: nodes z, [Q]; equidistant, so that sums converge geometrically.
        normal_weights: [Q].
        maxwell_weights: of the same nodes, [Q].
        rayleigh: nodes R, [P].
        rayleigh_weights: [P].
        uniform: nodes U, [L].
        uniform_weights: [L].
    """

    normal: Values
    normal_weights: Values
    maxwell_weights: Values
    rayleigh: Values
    rayleigh_weights: Values
    uniform: Values
    uniform_weights: Values


@lru_cache
def _rules(reach: int, per_unit: int, order: int) -> _Rules:
    """Rules on |z| <= reach with ``per_unit`` nodes a unit, and ``order`` nodes for U."""
    z = np.arange(-reach * per_unit, reach * per_unit + 1) / per_unit
    weights = np.exp(-(z**2) / 2) / (np.sqrt(2 * np.pi) * per_unit)
    # R exp(-R^2/2) has a kink at 0, where equidistant nodes lose their convergence.
    nodes, panel = _gauss_legendre(per_unit)  # on each of the unit intervals
    r = (np.arange(reach)[:, None] + nodes).ravel()
    rayleigh = np.tile(panel, reach) * r * np.exp(-(r**2) / 2)
    return _Rules(z, weights, weights * z**2, r, rayleigh, *_gauss_legendre(order))


def _gauss_legendre(order: int) -> tuple[Values, Values]:
    """Gauss-Legendre nodes and weights on [0, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(order)
    return (nodes + 1) / 2, weights / 2


def _coarse_rules() -> _Rules:
    return _rules(11, 24, 128)


def _fine_rules() -> _Rules:
    return _rules(12, 32, 160)


def variance(
    cost: str, k: float, estimator: str, wrt: Wrt, mean: float = 1.0, scale: float = 1.0
) -> float:
    """Variance of one sample of a gradient estimator.

    Args:
        cost: a key of `COSTS`.
        k: the cost's parameter.
        estimator: an entry of `ESTIMATORS`.
        wrt: the parameter that the derivative is taken to.
        mean: of x.
        scale: standard deviation of x, in units of x, > 0.

    Returns:
        Var(sample), good to nine digits unless it is lost in the rounding of f (a variance
        below 1e-23 E f^2 / scale^2).

    Raises:
        ValueError: a name is unknown, the scale is not positive, or the variance is infinite or
            not resolved: two rules of different reach and resolution disagree.

    Source: see the module.
    """
    _check(cost, k, estimator, wrt, scale)
    with np.errstate(over="ignore", invalid="ignore"):
        fine, coarse = (
            sum(map(_variance_of, _terms(COSTS[cost], k, estimator, wrt, mean, scale, rules)))
            for rules in (_fine_rules(), _coarse_rules())
        )
        square = _mean_square(COSTS[cost], k, mean, scale)  # 0 where f underflows at every node
        tolerance = 1e-9 * fine + 1e-23 * square / scale**2
        if not (square > 0 and abs(fine - coarse) <= tolerance):
            raise ValueError(
                f"the variance of {estimator!r} to the {wrt} is infinite or beyond the quadrature "
                f"for {cost!r} with k = {k}, mean = {mean}, scale = {scale}: two rules give "
                f"{fine:.6g} and {coarse:.6g}; take a smaller |k|, |mean| / scale or scale"
            )
    return float(fine)


def curve(
    cost: str,
    ks: Iterable[float],
    estimator: str,
    wrt: Wrt,
    mean: float = 1.0,
    scale: float = 1.0,
) -> Float[np.ndarray, " K"]:
    """`variance` at every k of ``ks``, [K].

    Source: see the module.
    """
    return np.array([variance(cost, float(k), estimator, wrt, mean, scale) for k in ks])


def crossover(
    cost: str,
    first: str,
    second: str,
    wrt: Wrt,
    low: float,
    high: float,
    mean: float = 1.0,
    scale: float = 1.0,
) -> float:
    """The k in [low, high] at which two estimators have the same variance.

    Args:
        cost: a key of `COSTS`.
        first: an entry of `ESTIMATORS`.
        second: another one.
        wrt: the parameter that the derivative is taken to.
        low: a k at which one of the two has less variance.
        high: a k at which the other one has.
        mean: of x.
        scale: standard deviation of x, > 0.

    Returns:
        The k at which the logarithm of the ratio of the variances changes sign.

    Raises:
        ValueError: as `variance`, or the same estimator has less variance at both ends.

    Source: see the module.
    """
    from scipy.optimize import brentq

    def log_ratio(k: float) -> float:
        both = [variance(cost, k, name, wrt, mean, scale) for name in (first, second)]
        # A variance may vanish, as that of measure_valued does for the quadratic at k = mean.
        return float(np.subtract(*np.log(np.maximum(both, np.finfo(np.float64).tiny))))

    at_low, at_high = log_ratio(low), log_ratio(high)
    if at_low * at_high > 0:
        raise ValueError(
            f"no crossover between k = {low} and {high}: the variance of {first!r} over that of "
            f"{second!r} is {np.exp(at_low):.6g} and {np.exp(at_high):.6g}; widen the bracket"
        )
    return float(brentq(log_ratio, low, high, xtol=1e-13))  # pyright: ignore[reportArgumentType]


def _check(cost: str, k: float, estimator: str, wrt: str, scale: float) -> None:
    """Raise on a name that is not known, a scale that is none, or a k too large for the nodes."""
    for kind, name, known in (
        ("cost", cost, COSTS),
        ("estimator", estimator, ESTIMATORS),
        ("parameter", wrt, ("mean", "scale")),
    ):
        if name not in known:
            raise unknown(kind, name, known)
    if not scale > 0:
        raise ValueError(f"scale = {scale} is not a standard deviation; it must be > 0")
    if not COSTS[cost].sharpness(k) * scale <= _SHARPEST:
        raise ValueError(
            f"{cost!r} with k = {k} is too sharp for the quadrature at scale = {scale}; "
            "take a smaller |k| or scale"
        )


def _terms(
    cost: Cost, k: float, estimator: str, wrt: str, mean: float, scale: float, rules: _Rules
) -> list[_Term]:
    """The independent random variables whose sum (or difference) is one sample."""

    def f(z: Values) -> Values:
        return cost.function(mean + scale * z, k) / scale

    z, weights = rules.normal, rules.normal_weights
    if estimator == "pathwise":
        return [_Term(cost.derivative(mean + scale * z, k) * (z if wrt == "scale" else 1), weights)]
    if estimator.startswith("score_function"):
        score = z if wrt == "mean" else z**2 - 1
        return [_Term((f(z) - _baseline(estimator, f(z), score, weights)) * score, weights)]
    if wrt == "mean":
        sides = [f(side * rules.rayleigh) / np.sqrt(2 * np.pi) for side in (1, -1)]
        if estimator == "measure_valued":
            return [_Term(sides[0] - sides[1], rules.rayleigh_weights)]
        return [_Term(side, rules.rayleigh_weights) for side in sides]
    if estimator == "measure_valued":
        column = z[:, None]
        joint = rules.maxwell_weights[:, None] * rules.uniform_weights
        return [_Term(f(column) - f(column * rules.uniform), joint)]
    return [_Term(f(z), rules.maxwell_weights), _Term(f(z), weights)]


def _baseline(estimator: str, f: Values, score: Values, weights: Values) -> float:
    """The constant that an estimator of the score function's family subtracts from f."""
    if estimator == "score_function":
        return 0.0
    if estimator == "score_function+mean":
        return float(weights @ f)
    return float((weights * score**2) @ f / (weights @ score**2))


def _variance_of(term: _Term) -> float:
    """Variance of a term: centred, not a difference of moments, which would cancel."""
    mean = np.sum(term.weights * term.values)
    return float(np.sum(term.weights * (term.values - mean) ** 2))


def _mean_square(cost: Cost, k: float, mean: float, scale: float) -> float:
    """E f(x)^2."""
    rules = _fine_rules()
    return float(rules.normal_weights @ cost.function(mean + scale * rules.normal, k) ** 2)
