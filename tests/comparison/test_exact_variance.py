"""Exact variances against closed forms, claims from the literature, and plain Monte Carlo."""

import doctest

import numpy as np
import pytest
from scipy.special import dawsn

from sigmaprop.comparison import exact_variance
from sigmaprop.comparison.exact_variance import COSTS, ESTIMATORS, Wrt, crossover, curve, variance

PARAMETERS = ("mean", "scale")
POINTS = [(0.3, 1.0, 1.0), (1.0, 1.0, 1.0), (-2.5, 1.0, 0.4), (10.0, -0.7, 2.0), (1.2, 0.5, 0.05)]
"""(k, mean, scale)."""
WAVES = [(0.3, 1.0, 1.0), (1.0, 1.0, 1.0), (-2.5, 1.0, 0.4), (5.0, 0.2, 1.0), (10.0, -0.7, 1.0)]
BELLS = [(0.05, 1.0, 1.0), (0.5, 1.0, 1.0), (3.0, -0.4, 0.3), (10.0, 1.0, 1.0), (2.0, 0.1, 2.5)]

# Var(sample) for (x - k)^2, with d = mean - k and s the scale. With R ~ Rayleigh(1) a coupled
# measure-valued sample to the mean is 4 d R / sqrt(2 pi), and Var R = 2 - pi/2. Uncoupled, its
# sides are (2 d s R +- s^2 R^2) / (s sqrt(2 pi)), and Var R^2 = 4.
VAR_R = 2 - np.pi / 2
QUADRATIC = {
    ("pathwise", "mean"): lambda d, s: 4 * s**2,
    ("score_function", "mean"): lambda d, s: d**4 / s**2 + 14 * d**2 + 15 * s**2,
    ("score_function+mean", "mean"): lambda d, s: 8 * d**2 + 10 * s**2,
    ("score_function+optimal", "mean"): lambda d, s: 8 * d**2 + 6 * s**2,
    ("measure_valued", "mean"): lambda d, s: 16 * d**2 * VAR_R / (2 * np.pi),
    ("measure_valued+uncoupled", "mean"): lambda d, s: (4 * VAR_R * d**2 + 4 * s**2) / np.pi,
    ("pathwise", "scale"): lambda d, s: 4 * d**2 + 8 * s**2,
    ("score_function", "scale"): lambda d, s: 2 * d**4 / s**2 + 60 * d**2 + 74 * s**2,
    ("score_function+mean", "scale"): lambda d, s: 40 * d**2 + 56 * s**2,
    ("score_function+optimal", "scale"): lambda d, s: 40 * d**2 + 24 * s**2,
    ("measure_valued", "scale"): lambda d, s: 4 * d**2 + 4 * s**2,
    ("measure_valued+uncoupled", "scale"): lambda d, s: 16 * d**2 + 8 * s**2,
}


def test_the_example_of_the_module_is_true():
    assert doctest.testmod(exact_variance) == (0, 1)


@pytest.mark.parametrize("wrt", PARAMETERS)
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_quadratic(estimator, wrt):
    for k, mean, scale in POINTS:
        exact = QUADRATIC[estimator, wrt](mean - k, scale)
        found = variance("quadratic", k, estimator, wrt, mean, scale)
        assert found == pytest.approx(exact, rel=1e-9, abs=1e-20)


def test_constants_of_the_measure_valued_quadratic():
    assert 16 * VAR_R / (2 * np.pi) == pytest.approx(1.0930, abs=5e-5)
    assert 4 * VAR_R / np.pi == pytest.approx(0.5465, abs=5e-5)
    assert 4 / np.pi == pytest.approx(1.2732, abs=5e-5)


def cosine_moments(a: float, t: float) -> np.ndarray:
    """E z^n cos(a + t z) for n = 0, ..., 4, from derivatives of exp(-t^2/2) in t."""
    bell = np.exp(-(t**2) / 2)
    even = np.array([1, 0, 1 - t**2, 0, t**4 - 6 * t**2 + 3]) * bell
    odd = np.array([0, t, 0, 3 * t - t**3, 0]) * bell
    return np.cos(a) * even - np.sin(a) * odd


@pytest.mark.parametrize(("k", "mean", "scale"), WAVES)
def test_cosine_of_one_normal_draw(k, mean, scale):
    a, t = k * mean, k * scale
    once, twice = cosine_moments(a, t), cosine_moments(2 * a, 2 * t)
    plain = cosine_moments(0, 0)
    sine = np.sin(a) * np.exp(-(t**2) / 2)
    to_mean, to_scale = -k * sine, (once[2] - once[0]) / scale
    # f'^2 = k^2 (1 - cos 2 k x) / 2 and f^2 = (1 + cos 2 k x) / 2.
    slope, square = k**2 * (plain - twice) / 2, (plain + twice) / 2
    fourth = square[4] - 2 * square[2] + square[0]
    optimal = once[2], (once[4] - 2 * once[2] + once[0]) / 2
    baselines = {"score_function": (0, 0), "score_function+mean": (once[0],) * 2}
    exact: dict[tuple[str, Wrt], float] = {
        ("pathwise", "mean"): slope[0] - to_mean**2,
        ("pathwise", "scale"): slope[2] - to_scale**2,
    }
    for name, (b, c) in {**baselines, "score_function+optimal": optimal}.items():
        # E[(f - b)^2 s^2] = E[f^2 s^2] - 2 b E[f s^2] + b^2 E[s^2], and E[s^2] is 1 or 2.
        exact[name, "mean"] = (square[2] - 2 * b * optimal[0] + b**2) / scale**2 - to_mean**2
        left = fourth - 4 * c * optimal[1] + 2 * c**2
        exact[name, "scale"] = left / scale**2 - to_scale**2
    for (estimator, wrt), value in exact.items():
        found = variance("cosine", k, estimator, wrt, mean, scale)
        assert found == pytest.approx(value, rel=1e-9), (estimator, wrt)


def rayleigh_moments(t: float) -> tuple[float, float]:
    """E cos(t R) and E sin(t R)."""
    cosine = 1 - np.sqrt(2) * t * dawsn(t / np.sqrt(2))
    return cosine, np.sqrt(np.pi / 2) * t * np.exp(-(t**2) / 2)


@pytest.mark.parametrize(("k", "mean", "scale"), WAVES)
def test_cosine_measure_valued_to_the_mean(k, mean, scale):
    a, t = k * mean, k * scale
    (c, s), (cc, ss) = rayleigh_moments(t), rayleigh_moments(2 * t)
    unit = 1 / (2 * np.pi * scale**2)
    # f(R) - f(-R) = -2 sin(k mean) sin(t R).
    coupled = 4 * np.sin(a) ** 2 * ((1 - cc) / 2 - s**2) * unit
    uncoupled = unit * sum(
        (1 + np.cos(2 * a) * cc - sign * np.sin(2 * a) * ss) / 2
        - (np.cos(a) * c - sign * np.sin(a) * s) ** 2
        for sign in (1, -1)
    )
    found = variance("cosine", k, "measure_valued", "mean", mean, scale)
    assert found == pytest.approx(coupled, rel=1e-9)
    found = variance("cosine", k, "measure_valued+uncoupled", "mean", mean, scale)
    assert found == pytest.approx(uncoupled, rel=1e-9)


@pytest.mark.parametrize(("k", "mean", "scale"), WAVES)
def test_cosine_measure_valued_to_the_scale(k, mean, scale):
    a, t = k * mean, k * scale
    once, twice = cosine_moments(a, t), cosine_moments(2 * a, 2 * t)
    squares = (1 + twice[2]) / 2, (1 + twice[0]) / 2
    # The mean of cos(a + t M U) over U is (sin(a + t M) - sin a) / (t M).
    product = np.cos(2 * a) * np.exp(-2 * t**2) + np.sin(a) ** 2 * np.exp(-(t**2) / 2)
    coupled = (sum(squares) - 2 * product - (once[2] - once[0]) ** 2) / scale**2
    uncoupled = (sum(squares) - once[2] ** 2 - once[0] ** 2) / scale**2
    found = variance("cosine", k, "measure_valued", "scale", mean, scale)
    assert found == pytest.approx(coupled, rel=1e-9)
    found = variance("cosine", k, "measure_valued+uncoupled", "scale", mean, scale)
    assert found == pytest.approx(uncoupled, rel=1e-9)


def bell_moments(a: float, mean: float, scale: float) -> np.ndarray:
    """E z^n exp(-a x^2) for n = 0, ..., 4: the moments of a normal of lower variance."""
    var = 1 / (1 + 2 * a * scale**2)
    nu = -2 * a * mean * scale * var
    raw = [1, nu, nu**2 + var, nu**3 + 3 * nu * var, nu**4 + 6 * nu**2 * var + 3 * var**2]
    return np.sqrt(var) * np.exp(-a * mean**2 * var) * np.array(raw)


@pytest.mark.parametrize(("k", "mean", "scale"), BELLS)
def test_exponential(k, mean, scale):
    once, twice = bell_moments(k, mean, scale), bell_moments(2 * k, mean, scale)
    to_mean, to_scale = once[1] / scale, (once[2] - once[0]) / scale
    line = np.array([mean**2, 2 * mean * scale, scale**2])  # x^2 in powers of z
    exact: dict[tuple[str, Wrt], float] = {
        ("pathwise", "mean"): 4 * k**2 * line @ twice[:3] - to_mean**2,
        ("pathwise", "scale"): 4 * k**2 * line @ twice[2:] - to_scale**2,
        ("score_function", "mean"): twice[2] / scale**2 - to_mean**2,
        ("score_function", "scale"): (twice[4] - 2 * twice[2] + twice[0]) / scale**2 - to_scale**2,
        # f(M) and f(z) are independent.
        ("measure_valued+uncoupled", "scale"): (
            (twice[2] - once[2] ** 2 + twice[0] - once[0] ** 2) / scale**2
        ),
    }
    for (estimator, wrt), value in exact.items():
        found = variance("exponential", k, estimator, wrt, mean, scale)
        assert found == pytest.approx(value, rel=1e-9), (estimator, wrt)


def test_measure_valued_quadratic_beats_pathwise_near_the_minimum():
    distance = np.sqrt(4 / (8 * VAR_R / np.pi))
    arguments = ("quadratic", "measure_valued", "pathwise", "mean")
    # The variance of measure_valued is 0 at k = 1.
    ends = [crossover(*arguments, -5.0, 1.0), crossover(*arguments, 1.0, 5.0)]
    assert ends == pytest.approx([1 - distance, 1 + distance], rel=1e-9)
    assert ends == pytest.approx([-0.913, 2.913], abs=5e-4)


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
def test_coupling_loses_far_from_the_minimum(scale):
    found = crossover(
        "quadratic",
        *("measure_valued", "measure_valued+uncoupled", "mean"),
        *(1.0, 1 + 4 * scale),
        scale=scale,
    )
    assert (found - 1) / scale == pytest.approx(1 / np.sqrt(VAR_R), rel=1e-9)
    assert (found - 1) / scale == pytest.approx(1.526, abs=5e-4)


@pytest.mark.parametrize(
    ("cost", "estimator", "at"),
    [
        ("exponential", "score_function", 0.8699),
        ("exponential", "score_function+mean", 0.4477),
        ("exponential", "score_function+optimal", 0.3580),
        ("cosine", "score_function", 1.0638),
        ("cosine", "score_function+mean", 1.1375),
        ("cosine", "score_function+optimal", 1.0624),
    ],
)
def test_score_function_beats_pathwise_from(cost, estimator, at):
    k = crossover(cost, estimator, "pathwise", "mean", 0.1, 5.0)
    assert k == pytest.approx(at, abs=6e-5)
    before, after = np.linspace(0.01, k - 1e-3, 40), np.linspace(k + 1e-3, 10, 200)
    for ks, sign in ((before, 1), (after, -1)):
        ratio = curve(cost, ks, estimator, "mean") / curve(cost, ks, "pathwise", "mean")
        assert np.all(sign * np.log(ratio) > 0)


def test_cosine_pathwise_grows_and_score_function_does_not():
    # e^-25 and e^-50 are what is left of the oscillating terms.
    assert variance("cosine", 5.0, "pathwise", "mean") == pytest.approx(12.5, abs=1e-9)
    assert variance("cosine", 5.0, "score_function", "mean") == pytest.approx(0.5, abs=1e-9)
    # Without a baseline it starts from f^2/s^2 = 1; it stays below 1/(2 s^2) from k = .458 on.
    ks = np.linspace(0, 10, 501)
    plain, mean, optimal = (curve("cosine", ks, name, "mean") for name in ESTIMATORS[1:4])
    assert plain.max() == plain[0] == pytest.approx(1)
    assert plain[ks < 0.457].min() > 0.5
    assert plain[ks > 0.458].max() <= 0.5 * (1 + 1e-9)
    assert mean.max() == pytest.approx(0.5101, abs=1e-4)
    assert optimal.max() <= 0.5 * (1 + 1e-9)


@pytest.mark.parametrize("cost", ["exponential", "cosine"])
def test_coupled_measure_valued_to_the_mean_beats_all_others_at_unit_scale(cost):
    ks = np.geomspace(0.01, 10, 100)
    best = curve(cost, ks, "measure_valued", "mean")
    for other in ESTIMATORS[:4]:
        assert np.all(best < curve(cost, ks, other, "mean"))


@pytest.mark.parametrize("wrt", PARAMETERS)
@pytest.mark.parametrize("cost", COSTS)
def test_optimal_baseline_is_best(cost, wrt):
    ks = np.geomspace(0.1, 10, 20)
    plain, mean, optimal = (curve(cost, ks, name, wrt) for name in ESTIMATORS[1:4])
    assert np.all(optimal <= np.minimum(plain, mean) * (1 + 1e-9))


def samples(cost, k, estimator, wrt, mean, scale, rng) -> np.ndarray:
    """200,000 draws of the estimator, written out from its definition."""
    size = 200_000

    def f(z):
        return COSTS[cost].function(mean + scale * z, k)

    z, r = rng.normal(size=size), rng.rayleigh(size=size)
    m = np.linalg.norm(rng.normal(size=(3, size)), axis=0) * rng.choice([-1, 1], size=size)
    score = (z if wrt == "mean" else z**2 - 1) / scale
    fresh = rng.normal(size=(2, size * 5))
    squared = (fresh[0] if wrt == "mean" else fresh[0] ** 2 - 1) ** 2
    match estimator, wrt:
        case "pathwise", _:
            slope = (f(z + 1e-5) - f(z - 1e-5)) / (2e-5 * scale)
            return slope * (z if wrt == "scale" else 1)
        case "score_function", _:
            return f(z) * score
        case "score_function+mean", _:
            return (f(z) - f(fresh[0]).mean()) * score
        case "score_function+optimal", _:
            return (f(z) - (f(fresh[0]) * squared).mean() / squared.mean()) * score
        case "measure_valued", "mean":
            return (f(r) - f(-r)) / (scale * np.sqrt(2 * np.pi))
        case "measure_valued+uncoupled", "mean":
            return (f(r) - f(-rng.rayleigh(size=size))) / (scale * np.sqrt(2 * np.pi))
        case "measure_valued", "scale":
            return (f(m) - f(m * rng.uniform(size=size))) / scale
        case _:
            return (f(m) - f(z)) / scale


@pytest.mark.parametrize("wrt", PARAMETERS)
@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize(("cost", "k"), [("quadratic", -0.5), ("exponential", 0.7), ("cosine", 2)])
def test_monte_carlo_agrees(cost, k, estimator, wrt):
    # 36 comparisons at 5 standard errors: about 2e-5 that a correct one fails.
    rng = np.random.default_rng(3)
    draws = samples(cost, k, estimator, wrt, 0.8, 0.6, rng)
    squares = (draws - draws.mean()) ** 2
    error = squares.std() / np.sqrt(len(draws))
    exact = variance(cost, float(k), estimator, wrt, 0.8, 0.6)
    assert abs(squares.mean() - exact) < 5 * error


def test_unknown_names_are_answered_with_the_nearest():
    with pytest.raises(ValueError, match="unknown cost 'cosin'; did you mean 'cosine'"):
        variance("cosin", 1.0, "pathwise", "mean")
    with pytest.raises(ValueError, match=r"unknown estimator .* did you mean 'score_function'"):
        variance("cosine", 1.0, "score_functio", "mean")
    with pytest.raises(ValueError, match="unknown parameter 'scales'; did you mean 'scale'"):
        variance("cosine", 1.0, "pathwise", "scales")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("scale", [0.0, -1.0, np.nan])
def test_a_scale_is_positive(scale):
    with pytest.raises(ValueError, match="must be > 0"):
        variance("cosine", 1.0, "pathwise", "mean", scale=scale)


@pytest.mark.parametrize(
    ("cost", "k"),
    [
        *(("cosine", k) for k in (100.0, -500.0, np.inf, np.nan)),
        *(("exponential", k) for k in (900.0, 1e5, -0.3, -90.0)),
        *(("quadratic", k) for k in (np.inf, np.nan)),
    ],
)
@pytest.mark.parametrize("wrt", PARAMETERS)
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_what_is_infinite_or_not_resolved_is_refused(cost, k, estimator, wrt):
    # exp(.3 x^2) squared has no expectation under a normal density of unit scale.
    with pytest.raises(ValueError, match=r"(infinite or beyond|too sharp for) the quadrature"):
        variance(cost, k, estimator, wrt)


def test_a_function_that_underflows_at_every_node_is_refused():
    # Its variance is 1e-124, all of it from x near 0, 25 scales away.
    with pytest.raises(ValueError, match="take a smaller"):
        variance("exponential", 7.24, "pathwise", "mean", mean=-16.07, scale=0.642)


def test_a_constant_has_no_variance_but_that_of_its_score():
    assert curve("cosine", [0.0], "score_function", "mean") == pytest.approx([1.0])
    for estimator in set(ESTIMATORS) - {"score_function"}:
        for wrt in PARAMETERS:
            assert variance("cosine", 0.0, estimator, wrt) == pytest.approx(0, abs=1e-28)


def test_a_bracket_without_a_crossover_is_refused():
    with pytest.raises(ValueError, match=r"between k = 2\.0 and 3\.0: .*'score_function' over"):
        crossover("cosine", "score_function", "pathwise", "mean", 2.0, 3.0)
