"""Made-up comparisons of estimators on disk, so that every number drawn is known."""

import itertools
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sigmaprop.experiments.estimators import run as experiment

SIGMAS = (1.0, 0.1, 0.01)
DIMS = (2, 8, 32)
SECONDS = {"pathwise": 1e-6, "score_function": 1e-6, "measure_valued": 1e-5}
PAIRS = (
    ("pathwise", "iid"),
    ("pathwise", "antithetic"),
    ("score_function", "iid"),
    ("measure_valued", "iid"),
    ("mixed", "iid"),
    ("at_mean", "iid"),
    ("second_order", "iid"),
)
"""The last three: biased, biased without noise, exact."""
VARIANCE = {"pathwise": 0.1, "score_function": 4.0, "measure_valued": 0.2, "mixed": 0.05}
REPLICATES = 16


def row(study, objective, which, wrt, metric, value, error=np.nan, theory=np.nan, **place):
    place = {"gaussian": "diagonal", "dim": 8, "sigma": 1.0, "num_samples": 64, "x": np.nan} | place
    named = {"study": study, "objective": objective, "wrt": wrt, "metric": metric}
    named |= {"estimator": which[0], "noise": which[1]} | place
    return named | {"value": value, "error": error, "theory": theory}


def variance_of(which, wrt, sigma):
    size = VARIANCE.get(which[0], 0.0) * (0.5 if which[1] == "antithetic" else 1.0)
    return size * (2.0 if wrt == "scale" else 1.0) * sigma


def bias_of(which, wrt):
    """Bias and its standard error."""
    if which[0] == "mixed":
        return -0.3, 0.01
    return (-1.0, 0.0) if which[0] == "at_mean" and wrt == "scale" else (0.0, 0.002)


def grid(objectives, gaussians, pairs=PAIRS, sigmas=SIGMAS, counts=(64,)):
    parts = {"low_rank": ("mean", "scale", "factor")}
    for objective, gaussian, which, count in itertools.product(
        objectives, gaussians, pairs, counts
    ):
        place = {"gaussian": gaussian, "num_samples": count}
        seconds = SECONDS.get(which[0], 2e-6)
        for sigma, wrt in itertools.product(sigmas, parts.get(gaussian, ("mean", "scale"))):
            variance = variance_of(which, wrt, sigma)
            at = (objective, which, wrt)
            here = place | {"sigma": sigma}
            bias, error = bias_of(which, wrt)
            error = error if variance else 0.0
            yield row("grid", *at, "bias", bias, error, **here)
            yield row("grid", *at, "worst_deviation", 2.0, **here)
            yield row("grid", *at, "variance", variance, 0.1 * variance, variance, **here)
            for metric, cost in (("efficiency", seconds), ("efficiency_evaluations", 1.0)):
                value = 1 / (variance * cost) if variance else np.inf
                yield row("grid", *at, metric, value, **here)
        for metric, value in (("seconds", seconds), ("evaluations", 1), ("temporary_bytes", 8)):
            here = place | {"sigma": np.nan}
            yield row("grid", objective, which, "all", metric, float(value), **here)


def curves():
    for cost, k in itertools.product(("quadratic", "cosine"), np.linspace(0.1, 4, 9)):
        for label, wrt in itertools.product(("pathwise", "measure_valued"), ("mean", "scale")):
            exact = 1.0 + k if label == "pathwise" else 0.5 + 1.5 * k
            place = {"gaussian": "isotropic", "dim": 1, "x": k, "num_samples": 1}
            at = (cost, (label, "iid"), wrt)
            yield row("variance_curves", *at, "exact_variance", exact, **place)
            if np.isclose(k, 0.1):
                yield row("variance_curves", *at, "variance", 1.01 * exact, 0.2, exact, **place)
    labels = ("measure_valued", "measure_valued+uncoupled")
    for label, wrt, x in itertools.product(labels, ("mean", "scale"), np.linspace(0, 4, 9)):
        value = 1 + x if "+" in label else x**2
        place = {"gaussian": "isotropic", "dim": 1, "x": x, "num_samples": 1}
        at = ("quadratic", (label, "iid"), wrt)
        yield row("coupling", *at, "exact_variance", value, **place)
        if wrt == "mean" and x == 3:
            yield row("coupling", *at, "variance", value, 0.01 * value, value, **place)


def many_dimensions():
    for dim, label in itertools.product(DIMS, ("pathwise", "score_function+leave_one_out")):
        for wrt, metric, value in (
            ("mean", "variance", 1.0 if label == "pathwise" else dim + 1.0),
            ("scale", "variance", 2.0),
            ("mean", "efficiency", 1e6 / dim),
            ("scale", "efficiency", 5e5 / dim),
            ("all", "seconds", 1e-6 * dim),
            ("all", "evaluations", 1.0),
        ):
            place = {"gaussian": "isotropic", "dim": dim, "x": dim, "sigma": 0.03}
            error = 0.1 * value if metric == "variance" else np.nan
            at = ("sine", (label, "iid"), wrt)
            yield row("dimension", *at, metric, value, error, **place)
    learning = (("pathwise", "iid", -2), ("pathwise", "antithetic", 0), ("bonnet_price", "iid", 2))
    for (label, noise, slope), sigma in itertools.product(learning, (0.003, 0.01, 0.03, 0.1)):
        value = (10 * sigma) ** slope
        at = ("sine", (label, noise), "scale", "samples_needed", value, 0.01 * value)
        yield row("learning_sigma", *at, gaussian="isotropic", sigma=sigma)
    for name, which, value in (
        ("leaky_relu_network", ("pathwise", "antithetic"), -0.02),
        ("leaky_relu_network", ("bonnet_price", "iid"), 0.07),
        ("softplus_network", ("pathwise", "antithetic"), -0.005),
        ("softplus_network", ("bonnet_price", "iid"), -0.005),
    ):
        yield row("piecewise_linear", name, which, "scale", "gradient", value, 1e-4, sigma=0.3)


def training():
    ends = {"pathwise": -70.0, "score_function+leave_one_out": -71.0, "score_function": -400.0}
    for label, end in ends.items():
        at = ("logistic_regression", (label, "iid"))
        seconds = 1e-3 if label == "pathwise" else 2e-3
        yield row("logistic", *at, "all", "seconds", seconds, sigma=np.nan)
        for step in range(50, 501, 50):
            place = {"sigma": np.nan, "x": float(step)}
            value = end - 50 * np.exp(-step / 60)
            yield row("logistic", *at, "all", "elbo", value, 0.1, **place)
            for wrt in ("mean", "scale"):
                yield row("logistic", *at, wrt, "variance_of_step", -end / step, 0.05, **place)


def table_of(objectives=("sine",), gaussians=("diagonal",), **options):
    found = itertools.chain(
        grid(objectives, gaussians, **options), curves(), many_dimensions(), training()
    )
    return list(found)


def claim_of(
    about, text, study, quantity, estimator="", wrt="", x=None, *, verdict="holds", value=1.0
):
    measured = {"value": value, "error": 0.01, "low": value - 0.03, "high": value + 0.03}
    if verdict == "not resolved":
        measured = dict.fromkeys(measured)
    return {
        "objective": about, "claim": text, "expected": value, "lowest": value, "highest": value,
        "measured": measured, "verdict": verdict, "sigma_low": 1.0, "sigma_high": None,
        "study": study, "quantity": quantity, "estimator": estimator, "wrt": wrt, "x": x,
    }  # fmt: skip


CLAIMS = (
    claim_of("sine", "pathwise, diagonal: bias to mean", "grid", "bias", value=0.0),
    claim_of("sine", "mixed, diagonal: bias to mean", "grid", "bias", verdict="fails", value=0.0),
    claim_of("quadratic", "reported variance at k = 2", "variance_curves", "reported_variance"),
    claim_of("cosine", "equal variance at k", "variance_curves", "crossover",
             "measure_valued and pathwise", "mean", 1.25, value=1.25),
    claim_of("coupling", "coupling stops to pay at", "coupling", "crossover", "", "mean", 1.526,
             value=1.526),
    claim_of("dimension", "score_function: variance to mean, D = 2", "dimension", "variance"),
    claim_of("learning sigma", "pathwise: slope in sigma", "learning_sigma", "slope", "pathwise",
             value=-2.0),
    claim_of("leaky_relu_network", "bonnet_price / pathwise", "piecewise_linear", "ratio",
             "bonnet_price", value=-3.0),
    claim_of("logistic regression", "final ELBO", "logistic", "elbo_gap", verdict="not resolved"),
    claim_of("something new", "nobody knows", "", ""),
)  # fmt: skip
SMALL = (("pathwise", "iid"), ("mixed", "iid"))


def make_run(directory, table=None, claims=CLAIMS, **config):
    """Writes a run directory as `sigmaprop estimators` leaves it."""
    directory.mkdir(parents=True)
    found = pa.Table.from_pylist(table_of() if table is None else table, experiment.SCHEMA)
    pq.write_table(found, directory / "metrics.parquet")
    config = {"dtype": "float32", "replicates": REPLICATES, "seeds": 3, "seed": 0} | config
    content = {"schema": 1, "command": "estimators", "config": config}
    (directory / "config.json").write_text(json.dumps(content))
    environment = {
        "versions": {"python": "3.11", "jax": "0.10", "sigmaprop": "0.1"},
        "device": {"backend": "cpu", "kind": "cpu", "count": 2},
        "cpu": {"model": "some", "cores": 2},
        "argv": ["sigmaprop", "estimators"],
    }
    (directory / "environment.json").write_text(json.dumps(environment))
    if claims is not None:
        (directory / "conclusions.json").write_text(json.dumps(claims))
    return directory
