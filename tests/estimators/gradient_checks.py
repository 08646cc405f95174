"""Estimates over many keys, their truth, and what they must satisfy; several files share it.

f has three entries, all estimated at once: one smooth with cross terms, one with a kink, one with a
jump, each a sum of functions whose expectation is known in closed form. Everything is float64 (the
noise is float32 numbers but for Sobol points).
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import erf
from scipy.stats import norm

from sigmaprop import MovingAverage, Options, estimate, estimators
from sigmaprop.gaussians import Diagonal, Full, Isotropic, LowRank

A, SHIFT = np.array([1.0, -0.5, 0.8]), 0.3
Q = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, -0.5], [0.0, -0.5, 1.0]])
MEAN = np.array([0.3, -0.7, 0.2])
GAUSSIANS = {
    "isotropic": Isotropic(MEAN, np.array(0.5)),
    "diagonal": Diagonal(MEAN, np.array([0.4, 0.7, 0.5])),
    "full": Full(MEAN, np.array([[0.5, 0.0, 0.0], [-0.3, 0.4, 0.0], [0.2, 0.25, 0.6]])),
    "low_rank": LowRank(
        MEAN, np.array([0.4, 0.6, 0.5]), np.array([[0.3, -0.2], [0.1, 0.4], [-0.5, 0.2]])
    ),
}
ENTRIES = SMOOTH, KINK, JUMP = (0, 1, 2)
NOISES = ("iid", "antithetic", "orthogonal", "sobol")
REPEATS = 2000

ALARM = 1e-4
"""False-alarm rate of all comparisons of one kind together, by Bonferroni."""
COMPARISONS = 20_000
"""More than there are: 330 cases x 3 entries of f x at most 13 numbers."""
MOST_ERRORS = norm.isf(ALARM / COMPARISONS / 2)
"""5.9 standard errors."""
ROUNDING = 1e-6
"""What float32 normals, cut at 5.4, may miss of an expectation of order 1."""

UNSEEN_JUMPS = ("pathwise", "bonnet_price")
"""Estimators that differentiate f and so see of a jump nothing."""
MIXTURES = ("mixed", "inverse_variance")
WITHOUT_NOISE = ("at_mean", "second_order", "quadrature")


class Case(NamedTuple):
    """What is run: a label, a noise scheme, a family of Gaussians."""

    label: str
    noise: str
    family: str


def cases() -> list[Case]:
    """Every label with every noise scheme that it allows and every family."""
    found = []
    for label in estimators.labels():
        name, variate, options = estimators.parse(label)
        for noise in NOISES:
            try:
                estimators.get(name, noise, variate, options)
            except ValueError:
                continue
            if name not in WITHOUT_NOISE:
                found += [Case(label, noise, family) for family in GAUSSIANS]
    return found


def parts(x):
    """sin u, a quadratic with cross terms, |u| and sign u, for u = a.x + shift."""
    u = A @ x + SHIFT
    return jnp.sin(u), 0.5 * x @ Q @ x, jnp.abs(u), jnp.sign(u)


def f(x):
    """The smooth, the kinked and the jumping entry."""
    sine, quadratic, absolute, sign = parts(x)
    return jnp.stack([sine + quadratic, absolute + sine, sign + sine])


def expected_parts(gaussian):
    """Expectations of `parts`, from the dense covariance."""
    mean, sigma = gaussian.mean, dense(gaussian)
    m, v = A @ mean + SHIFT, A @ sigma @ A
    s = jnp.sqrt(v)
    sign = erf(m / s / np.sqrt(2.0))
    absolute = s * np.sqrt(2.0 / np.pi) * jnp.exp(-(m**2) / (2 * v)) + m * sign
    quadratic = 0.5 * (mean @ Q @ mean + jnp.sum(Q * sigma))
    return jnp.stack([jnp.sin(m) * jnp.exp(-v / 2), quadratic, absolute, sign])


def dense(gaussian):
    """The covariance, [D, D], without the library's help."""
    match gaussian:
        case Isotropic(mean, scale):
            return scale**2 * jnp.eye(mean.shape[0])
        case Diagonal(_, scale):
            return jnp.diag(scale**2)
        case Full(_, scale):
            return jnp.tril(scale) @ jnp.tril(scale).T
        case LowRank(_, scale, factor):
            return jnp.diag(scale**2) + factor @ factor.T


class Truth(NamedTuple):
    """E f and its gradient; the latter also without what derivatives of f do not see."""

    value: Any
    gradient: Any
    no_jump: Any
    no_kink: Any


@functools.cache
def truth(family: str) -> Truth:
    """The closed form and its derivative by automatic differentiation, float64."""
    with jax.enable_x64(True):
        gaussian = jax.tree.map(jnp.asarray, GAUSSIANS[family])
        both = quick_jit(lambda g: (expected_parts(g), jax.jacobian(expected_parts)(g)))
        values, slopes = both(gaussian)
    mixing = np.array([[1.0, 1, 0, 0], [1, 0, 1, 0], [1, 0, 0, 1]])
    no_jump, no_kink = mixing.copy(), mixing.copy()
    no_jump[JUMP, 3] = 0
    no_kink[JUMP, 3] = no_kink[KINK, 2] = 0

    def mixed(weights):
        return jax.tree.map(lambda leaf: np.tensordot(weights, np.asarray(leaf), 1), slopes)

    return Truth(mixing @ np.asarray(values), mixed(mixing), mixed(no_jump), mixed(no_kink))


def expectation_of(case: Case) -> Any:
    """What the average of the estimates must be: the truth, or exactly the known bias from it."""
    known, name = truth(case.family), estimators.parse(case.label).name
    if name == "bonnet_price":
        # To the mean it is the pathwise gradient; to the rest the second derivative of a kink is 0.
        leaves = jax.tree.leaves(known.no_kink)
        return jax.tree.unflatten(
            jax.tree.structure(known.no_kink), [known.no_jump.mean, *leaves[1:]]
        )
    return known.no_jump if name in UNSEEN_JUMPS else known.gradient


def is_split(case: Case) -> bool:
    """Whether each half of the draws is used with what the other half has fitted."""
    name, _, options = estimators.parse(case.label)
    return options.fitted or name in MIXTURES


def samples(case: Case) -> int:
    """8 to 32 units of draws; four times as many where they are split.

    The reported variance then lacks a share of order 1/N: 10% with 16 draws a half, 3% with 64,
    which is less than a standard error of the comparison.
    """
    unit = GAUSSIANS[case.family].noise_dim if case.noise == "orthogonal" else 4
    return (32 if is_split(case) else 8) * unit


def arguments(case: Case) -> dict[str, Any]:
    """Keyword arguments of `estimate`; nets of 4 points, a state that has seen something."""
    name, variate, options = estimators.parse(case.label)
    if case.noise == "sobol":
        options = Options(
            options.fitted, options.coupled, randomizations=32 if is_split(case) else 8
        )
    state = MovingAverage(jnp.array(0.6), jnp.array(0.5)) if variate == "moving_average" else None
    return {
        "estimator": name,
        "noise": case.noise,
        "control_variate": variate,
        "options": options,
        "state": state,
    }


def run(case: Case, *, function=f, num_samples: int = 0, repeats: int = 0, **changed: Any) -> Any:
    """Independent estimates, stacked, as NumPy arrays."""
    count = num_samples or samples(case)
    repeats = repeats or (REPEATS // 2 if is_split(case) else REPEATS)
    with jax.enable_x64(True):
        chosen = arguments(case) | changed

        def one(key):
            return estimate(function, GAUSSIANS[case.family], key, count, **chosen)

        return jax.tree.map(
            np.asarray, quick_jit(jax.vmap(one))(jax.random.split(jax.random.key(7), repeats))
        )


def quick_jit(function):
    """jit, told not to optimise: compiling takes longer here than running."""
    return jax.jit(function, compiler_options=_compiler_options())


@functools.cache
def _compiler_options() -> dict[str, Any]:
    """Those that halve the time to compile, as far as this XLA has them."""
    options = {"xla_backend_optimization_level": 0, "xla_cpu_use_fusion_emitters": False}
    for known in (options, dict(list(options.items())[:1])):
        try:
            jax.jit(lambda x: x, compiler_options=known)(0.0)
        except (RuntimeError, ValueError):
            continue
        return known
    return {}


def found(case: Case) -> Any:
    """The same, once a session: labels that stand for the very same functions share it."""
    if (key := (functions(case.label), case.noise, case.family)) not in _FOUND:
        _FOUND[key] = run(case)
    return _FOUND[key]


_FOUND: dict[Any, Any] = {}


def functions(label: str) -> estimators.Estimator:
    """The functions that a label stands for, without its name."""
    name, variate, options = estimators.parse(label)
    plain = estimators.get(name, "iid", variate, options)
    return plain._replace(name="", control_variate=None, tags=())


class Off(AssertionError):
    """A number that is too many standard errors away."""


def check_unbiased(estimates: Any, expected: Any) -> None:
    """Raises `Off` where an average [R, ...] is too many standard errors away."""
    for rows, exact in zip(jax.tree.leaves(estimates), jax.tree.leaves(expected), strict=True):
        error = np.std(rows, axis=0, ddof=1) / np.sqrt(len(rows))
        gap = np.abs(np.mean(rows, axis=0) - exact)
        if not np.all(gap <= MOST_ERRORS * error + ROUNDING):
            raise Off(gap, error, exact)


def check_variance(estimates: Any, reported: Any, num_samples: int) -> None:
    """Raises `Off` where num_samples x Var(estimate) is not the mean reported variance.

    Both come from the same keys, so the error is that of their difference, key by key.
    """
    for rows, variances in zip(jax.tree.leaves(estimates), jax.tree.leaves(reported), strict=True):
        repeats = len(rows)
        squares = num_samples * (rows - rows.mean(axis=0)) ** 2 * repeats / (repeats - 1)
        difference = squares - variances
        error = np.std(difference, axis=0, ddof=1) / np.sqrt(repeats)
        gap, size = np.abs(np.mean(difference, axis=0)), np.max(np.mean(squares, axis=0))
        if not np.all(gap <= MOST_ERRORS * error + ROUNDING**2 * size):
            raise Off(gap, error, size)


def debiased(case: Case, estimates: Any, mixture: Any) -> Any:
    """Estimates of a mixture plus the bias that their weight of pathwise brings.

    The weight comes from one half of the draws and is used on the other, so the bias is in
    expectation the average weight times what pathwise misses.
    """
    known = truth(case.family)

    def one(rows, weight, whole, seen):
        weight = weight.reshape(weight.shape + (1,) * (rows.ndim - weight.ndim))
        return rows + weight * (whole - seen)

    return jax.tree.map(one, estimates, mixture.weight, known.gradient, known.no_jump)
