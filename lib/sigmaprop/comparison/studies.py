"""The studies: each returns rows of the table and claims about them.

A study is a pure function of its key but for the clock that it is given.
"""

import itertools
import zlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from sigmaprop import objectives
from sigmaprop.comparison import exact_variance
from sigmaprop.comparison.cells import Cell, Setting, measure
from sigmaprop.comparison.families import make_gaussian
from sigmaprop.comparison.rows import Place, Row, cell_rows, part_rows, relative_bias
from sigmaprop.comparison.truths import KnownGradient, known_gradient
from sigmaprop.estimators import record_of
from sigmaprop.gaussians import Gaussian, Isotropic
from sigmaprop.limit.claims import name_of
from sigmaprop.objectives import Objective
from sigmaprop.statistics import Claim, claim, interval, jackknife_interval, log_slope

Progress = Callable[[str], None]
_BIAS_TOLERANCE = 0.05


class Tools(NamedTuple):
    """What every study is given.

    Attributes:
        key: of the study.
        clock: seconds.
        progress: called with what is about to be measured.
        replicates: independent estimates in a cell.
    """

    key: Array
    clock: Callable[[], float]
    progress: Progress
    replicates: int


class Found(NamedTuple):
    """What a study found."""

    rows: list[Row]
    claims: list[Claim]


def stream(key: Array, *words: str) -> Array:
    """The key of one purpose: the same whatever else is measured."""
    return jax.random.fold_in(key, zlib.crc32("/".join(words).encode()))


def grid(
    tools: Tools,
    found: Sequence[Objective],
    families: Sequence[str],
    settings: Sequence[Setting],
    sigmas: np.ndarray,
    *,
    rank: int,
    dtype: str,
    reference_samples: int,
) -> Found:
    """Every estimator on every function under every Gaussian at every sigma."""
    rows, claims = [], []
    for objective, family in itertools.product(found, families):
        gaussians = [
            make_gaussian(
                family, objective.point, sigma, rank=min(rank, objective.dim), dtype=dtype
            )
            for sigma in sigmas
        ]
        key_truth = stream(tools.key, "truth", objective.name, family)
        truths = [known_gradient(objective, g, key_truth, reference_samples) for g in gaussians]
        for setting in settings:
            if not suits(setting, objective, gaussians[0]):
                continue
            where = (objective.name, family, objective.dim)
            tools.progress(f"{objective.name}, {family}: {name_of(setting.label, setting.noise)}")
            key = stream(tools.key, "noise", objective.name)
            cell = measure(objective, gaussians, setting, key, tools.clock)
            place = Place("grid", *where, setting)
            rows += cell_rows(place, cell, truths, sigmas)
            claims += _bias_claims(place, objective, cell, truths[0], float(sigmas[0]))
    return Found(rows, claims)


def suits(setting: Setting, objective: Objective, gaussian: Gaussian) -> bool:
    """Whether an estimator has a meaning here: its dimension, its sizes, its second derivative."""
    estimator, count = setting.estimator, setting.num_samples
    if estimator.name == "quadrature":
        return objective.dim <= 4 and count >= 9**objective.dim
    if setting.noise == "orthogonal":
        whole = count % gaussian.noise_dim == 0
        if not whole or estimator.columns(gaussian.noise_dim) != gaussian.noise_dim:
            return False
    return record_of(setting.label).derivatives < 2 or objective.smoothness == "smooth"


_LEVEL_OF_WIDE = 0.9999
"""Coverage of an interval on a bias that is wider than the range it is judged by."""


def _bias_claims(
    place: Place, objective: Objective, cell: Cell, truth: KnownGradient, sigma: float
) -> list[Claim]:
    """That an estimator is unbiased, or that it misses all of a jump, at the largest sigma."""
    name = place.setting.estimator.name
    if name in ("at_mean", "second_order", "mixed", "quadrature"):
        return []
    misses = objective.smoothness == "jump" and name in ("pathwise", "inverse_variance")
    claims = []
    exact, count = part_rows(truth.gradient, 0), place.setting.num_samples
    for wrt, values in part_rows(cell.gradient, 2).items():
        if np.isnan(values[0]).any():
            continue
        along = relative_bias(values[0], exact[wrt])
        error = along.std(ddof=1) / np.sqrt(len(along))
        who = name_of(place.setting.label, place.setting.noise)
        text = f"{who}, {place.gaussian}, {count} samples: bias to {wrt}"
        if misses:
            text += " (it misses the jump)"
        measured = interval(along.mean(), error, len(along))
        if measured.high - measured.low > 2 * _BIAS_TOLERANCE:
            # It is too wide to hold, and one in a hundred would fail by chance: there are many.
            measured = interval(along.mean(), error, len(along), _LEVEL_OF_WIDE)
            text += f", {_LEVEL_OF_WIDE:.2%} interval"
        expected = -1.0 if misses else 0.0
        about = {"study": "grid", "quantity": "bias", "estimator": who, "wrt": wrt}
        tolerance = _BIAS_TOLERANCE
        claims.append(claim(place.objective, text, expected, tolerance, measured, sigma, **about))
    return claims


_WRT: tuple[exact_variance.Wrt, ...] = ("mean", "scale")
CURVE_ESTIMATORS = exact_variance.ESTIMATORS
_SAMPLED = ("pathwise", "score_function", "measure_valued", "measure_valued+uncoupled")
CROSSOVERS: tuple[tuple[str, str, str, exact_variance.Wrt, tuple[float, float], float], ...] = (
    # cost, first, second, wrt, bracket, where
    ("quadratic", "measure_valued", "pathwise", "mean", (-2.0, 1.0), -0.913),
    ("quadratic", "measure_valued", "pathwise", "mean", (1.0, 4.0), 2.913),
    ("exponential", "score_function+optimal", "pathwise", "mean", (0.05, 2.0), 0.358),
    ("exponential", "score_function+mean", "pathwise", "mean", (0.05, 2.0), 0.4477),
    ("exponential", "score_function", "pathwise", "mean", (0.05, 2.0), 0.870),
    ("cosine", "score_function+mean", "pathwise", "mean", (0.6, 2.0), 1.1375),
    ("cosine", "score_function+optimal", "pathwise", "mean", (0.6, 2.0), 1.062),
    ("cosine", "score_function", "pathwise", "mean", (0.6, 2.0), 1.0638),
)


def variance_curves(tools: Tools, ks: dict[str, np.ndarray]) -> Found:
    """Variance against k in one dimension, exactly and by `sigmaprop.estimate`; crossovers."""
    rows, claims = [], []
    for cost, values in ks.items():
        for label, wrt in itertools.product(CURVE_ESTIMATORS, _WRT):
            place = Place("variance_curves", cost, "isotropic", 1, Setting(label, "iid", 1, 1))
            curve = exact_variance.curve(cost, values, label, wrt)
            rows += [
                place._replace(x=k).row(wrt, "exact_variance", 1.0, v)
                for k, v in zip(values, curve, strict=True)
            ]
        tools.progress(f"variance of {cost} by sampling")
        for label in _SAMPLED:
            more, some = _sampled_variance(tools, cost, label, 2.0)
            rows += more
            claims += some
    for cost, first, second, wrt, (low, high), expected in CROSSOVERS:
        k = exact_variance.crossover(cost, first, second, wrt, low, high)
        text = f"{first} and {second} to {wrt}: equal variance at k"
        about = {"study": "variance_curves", "quantity": "crossover", "wrt": wrt, "x": k}
        estimator = f"{first} and {second}"
        measured = interval(k, 0.0, 2)
        claims.append(
            claim(cost, text, expected, 0.001, measured, 1.0, estimator=estimator, **about)
        )
    return Found(rows, claims)


def _sampled_variance(
    tools: Tools, cost: str, label: str, k: float
) -> tuple[list[Row], list[Claim]]:
    """The variance that replicates of `sigmaprop.estimate` show at one k, against the exact one."""
    f = _cost_function(cost, k)
    setting = Setting(label, "iid", 2**15, tools.replicates)
    gaussian = Isotropic(jnp.ones(1), jnp.ones(()))
    cell = measure(f, [gaussian], setting, stream(tools.key, cost))
    place = Place("variance_curves", cost, "isotropic", 1, setting, k)
    rows, claims = [], []
    reported = part_rows(cell.variance, 2)
    for wrt in _WRT:
        exact = exact_variance.variance(cost, k, label, wrt)
        groups = reported[wrt][0].sum(axis=-1)
        error = groups.std(ddof=1) / np.sqrt(len(groups))
        rows.append(place.row(wrt, "variance", 1.0, groups.mean(), error, exact))
        measured = interval(groups.mean() / exact, error / exact, len(groups))
        text = f"{label}: reported variance to {wrt} at k = {k:g} / exact"
        about = {"study": "variance_curves", "quantity": "reported_variance", "x": k}
        claims.append(
            claim(
                *(cost, text, 1.0, _BIAS_TOLERANCE, measured, 1.0),
                **(about | {"estimator": label, "wrt": wrt}),
            )
        )
    return rows, claims


def _cost_function(cost: str, k: float) -> Callable[[Array], Array]:
    """The cost as a function of one x [1] that JAX can differentiate."""
    return {
        "quadratic": lambda x: (x[0] - k) ** 2,
        "exponential": lambda x: jnp.exp(-k * x[0] ** 2),
        "cosine": lambda x: jnp.cos(k * x[0]),
    }[cost]


def dimension(
    tools: Tools, dims: Sequence[int], settings: Sequence[Setting], sigma: float
) -> Found:
    """What the dimension does to variance and cost, on the sine objective."""
    rows, claims = [], []
    for dim, setting in itertools.product(dims, settings):
        objective = objectives.get("sine", dim)
        gaussian = make_gaussian("isotropic", objective.point, sigma)
        tools.progress(f"dimension {dim}: {name_of(setting.label, setting.noise)}")
        key = stream(tools.key, "noise", str(dim))
        cell = measure(objective, [gaussian], setting, key, tools.clock)
        truth = known_gradient(objective, gaussian, key, 1)
        place = Place("dimension", "sine", "isotropic", dim, setting, dim)
        rows += cell_rows(place, cell, [truth], np.array([sigma]))
        claims += _dimension_claims(place, cell, objective, sigma)
    return Found(rows, claims)


def _dimension_claims(place: Place, cell: Cell, objective: Objective, sigma: float) -> list[Claim]:
    """(D+1)|grad f|^2, the price of a value where a gradient would show D numbers."""
    if place.setting.label not in ("score_function+leave_one_out", "forward_difference"):
        return []
    size = float(np.sum(np.asarray(jax.grad(objective)(jnp.asarray(objective.point))) ** 2))
    groups = part_rows(cell.variance, 2)["mean"][0].sum(axis=-1) / ((place.dim + 1) * size)
    measured = interval(groups.mean(), groups.std(ddof=1) / np.sqrt(len(groups)), len(groups))
    text = f"{place.setting.label}: variance to mean / ((D+1) |grad f|^2), D = {place.dim}"
    about = {"study": "dimension", "quantity": "variance", "wrt": "mean", "x": place.dim}
    estimator = place.setting.label
    return [claim("dimension", text, 1.0, 0.15, measured, sigma, estimator=estimator, **about)]


def coupling(tools: Tools, distances: np.ndarray) -> Found:
    """The measured price of coupling a measure-valued gradient, for (x - k)^2 at s = 1."""
    rows, claims = [], []
    labels = ("measure_valued", "measure_valued+uncoupled")
    variances = {}
    for label, wrt in itertools.product(labels, _WRT):
        place = Place("coupling", "quadratic", "isotropic", 1, Setting(label, "iid", 1, 1))
        for distance in distances:
            value = exact_variance.variance("quadratic", 1.0 - distance, label, wrt)
            rows.append(place._replace(x=distance).row(wrt, "exact_variance", 1.0, value))
    for label, distance in itertools.product(labels, (0.5, 3.0)):
        tools.progress(f"coupling: {label} at distance {distance:g}")
        setting = Setting(label, "iid", 4096, tools.replicates)
        gaussian = Isotropic(jnp.ones(1), jnp.ones(()))
        key = stream(tools.key, label)
        cell = measure(_cost_function("quadratic", 1.0 - distance), [gaussian], setting, key)
        groups = part_rows(cell.variance, 2)["mean"][0].sum(axis=-1)
        variances[label, distance] = groups
        error = groups.std(ddof=1) / np.sqrt(len(groups))
        place = Place("coupling", "quadratic", "isotropic", 1, setting, distance)
        exact = exact_variance.variance("quadratic", 1.0 - distance, label, "mean")
        rows.append(place.row("mean", "variance", 1.0, groups.mean(), error, exact))
    for distance, text in ((0.5, "it pays near the minimum"), (3.0, "it costs far from it")):
        both = [variances[label, distance] for label in labels]
        ratio = jackknife_interval(lambda a, b: a.mean() / b.mean(), *both)
        exact = [exact_variance.variance("quadratic", 1 - distance, la, "mean") for la in labels]
        text = f"variance coupled / uncoupled at |m - k| = {distance:g} s ({text})"
        about = {"study": "coupling", "quantity": "ratio", "wrt": "mean", "x": distance}
        claims.append(claim("coupling", text, exact[0] / exact[1], 0.1, ratio, 1.0, **about))
    equal = exact_variance.crossover("quadratic", *labels, "mean", -2.0, 0.5)
    text = "coupling stops to pay at |m - k| / s"
    about = {"study": "coupling", "quantity": "crossover", "wrt": "mean", "x": 1.0 - equal}
    measured = interval(1.0 - equal, 0.0, 2)
    claims.append(claim("coupling", text, 1.526, 0.001, measured, 1.0, **about))
    return Found(rows, claims)


LEARNING = (
    # label, noise, slope of the samples needed in sigma
    ("pathwise", "iid", -2),
    ("score_function+leave_one_out", "iid", -2),
    ("pathwise", "antithetic", 0),
    ("pathwise+at_mean", "iid", 0),
    ("pathwise+delta", "iid", 2),
    ("bonnet_price", "iid", 2),
)


def learning_sigma(tools: Tools, sigmas: np.ndarray, num_samples: int) -> Found:
    """Samples at which the gradient to sigma equals its standard error, as sigma falls."""
    objective = objectives.get("sine", 8)
    gaussians = [make_gaussian("isotropic", objective.point, sigma) for sigma in sigmas]
    exact = np.array([known_gradient(objective, g, tools.key, 1).gradient.scale for g in gaussians])
    rows, claims = [], []
    for label, noise, slope in LEARNING:
        tools.progress(f"learning sigma: {name_of(label, noise)}")
        setting = Setting(label, noise, num_samples, tools.replicates)
        cell = measure(objective, gaussians, setting, stream(tools.key, "noise"))
        needed = part_rows(cell.variance, 2)["scale"][..., 0] / exact[:, None] ** 2
        place = Place("learning_sigma", "sine", "isotropic", 8, setting)
        for sigma, values in zip(sigmas, needed, strict=True):
            error = values.std(ddof=1) / np.sqrt(len(values))
            rows.append(place.row("scale", "samples_needed", sigma, values.mean(), error))
        who = name_of(label, noise)
        text = f"{who}: samples needed to learn sigma: slope in sigma"
        found = jackknife_interval(lambda g: log_slope(sigmas, g.mean(axis=0)), needed.T)
        about = {"study": "learning_sigma", "quantity": "slope", "estimator": who, "wrt": "scale"}
        claims.append(claim("learning sigma", text, slope, 0.1, found, sigmas, **about))
    return Found(rows, claims)


PIECEWISE = (
    ("pathwise", "antithetic"),
    ("score_function+leave_one_out", "antithetic"),
    ("bonnet_price", "iid"),
)


def piecewise_linear(tools: Tools, num_samples: int) -> Found:
    """The gradient to sigma of a piecewise-linear network by three rules, and of a smooth one."""
    rows, claims = [], []
    for name in ("leaky_relu_network", "softplus_network"):
        objective = objectives.get(name, 8)
        gaussian = make_gaussian("isotropic", objective.point, 0.3)
        f = lambda x, objective=objective: objective(x)  # noqa: E731
        scale = {}
        for label, noise in PIECEWISE:
            tools.progress(f"{name}: {label}")
            setting = Setting(label, noise, num_samples, tools.replicates)
            cell = measure(f, [gaussian], setting, stream(tools.key, name))
            values = part_rows(cell.gradient, 2)["scale"][0, :, 0]
            scale[label] = values
            error = values.std(ddof=1) / np.sqrt(len(values))
            place = Place("piecewise_linear", name, "isotropic", 8, setting)
            rows.append(place.row("scale", "gradient", 0.3, values.mean(), error))
        claims += _agreement(name, scale)
    return Found(rows, claims)


def _agreement(name: str, scale: dict[str, np.ndarray]) -> list[Claim]:
    """Ratios to the pathwise gradient: 1 where the rules agree."""
    claims = []
    for label in ("score_function+leave_one_out", "bonnet_price"):
        ratio = jackknife_interval(
            lambda a, b: a.mean() / b.mean(), scale[label], scale["pathwise"]
        )
        text = f"{label} / pathwise to scale"
        if name == "leaky_relu_network" and label == "bonnet_price":
            text += ": Price's rule misses the kinks, and has the wrong sign"
            expected, tolerance = -3.0, 2.99
        else:
            expected, tolerance = 1.0, 0.25
        about = {"study": "piecewise_linear", "quantity": "ratio", "estimator": label}
        claims.append(claim(name, text, expected, tolerance, ratio, 0.3, wrt="scale", **about))
    return claims
