"""Made-up runs on disk: power laws without sampling, so that every number drawn is known."""

import itertools
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

SIGMAS = tuple(10.0**-power for power in range(9))
BATCHES = (1, 16, 256, 4096)
ESTIMATORS = (
    ("pathwise", "iid"),
    ("pathwise", "antithetic"),
    ("score_function", "iid"),
    ("score_function+leave_one_out", "iid"),
    ("forward_difference", "iid"),
    ("at_mean", "iid"),
)
GRADIENT, CURVATURE, THIRD = 3.0, 2.0, 0.5
FLOOR = 1e-7


def variance(estimator, wrt, sigma):
    """Of one sample: the leading orders for |grad f| = GRADIENT, |Hess f| = CURVATURE."""
    if estimator == "at_mean":
        return 0.0
    if estimator == "pathwise":
        return (CURVATURE * sigma) ** 2 if wrt == "mean" else GRADIENT**2
    return 1 / sigma**2 if estimator == "score_function" else 10 * GRADIENT**2


def rows_of(objective, estimator, noise, wrt, sigmas, batches):
    """The metrics of one estimator; a bias of `THIRD` sigma^2, lost below `FLOOR`."""
    total = max(batches)
    for sigma in sigmas:
        spread = variance(estimator, wrt, sigma) if sigma else 0.0
        exact = THIRD * sigma**2 if wrt == "mean" else sigma
        bias = max(exact, FLOOR) if sigma else FLOOR
        yield "bias", sigma, total, 1, bias, 0.05 * bias, exact
        if sigma == 0:
            continue
        yield "variance", sigma, total, total, spread, 0.01 * spread, spread
        for batch in batches:
            error = np.sqrt(spread / batch + bias**2)
            yield "error_to_gradient", sigma, batch, total // batch, error, 0.1 * error, error
            smooth = np.sqrt(spread / batch + FLOOR**2)
            yield "error_to_smoothed", sigma, batch, total // batch, smooth, 0.1 * smooth, smooth
            if wrt == "mean":
                cosine = GRADIENT / np.hypot(GRADIENT, error)
                yield "cosine", sigma, batch, total // batch, cosine, 0.01, np.nan
    if wrt == "mean" and estimator == "pathwise":
        yield "floor: least error", np.nan, total, 1, FLOOR, np.nan, 2 * FLOOR
        yield "floor: sigma where its bias is lost", np.nan, total, 1, 4e-4, np.nan, 1e-3
    if wrt == "mean" and estimator == "forward_difference":
        yield "floor: sigma where it is lost", np.nan, total, 1, 1e-7, np.nan, 2e-7


def table_of(objectives, estimators, sigmas, batches, dtype):
    rows = []
    for objective, (estimator, noise), wrt in itertools.product(
        objectives, estimators, ("mean", "scale")
    ):
        for metric, sigma, size, count, value, error, theory in rows_of(
            objective, estimator, noise, wrt, sigmas, batches
        ):
            key = (objective, 16, dtype, estimator, noise, wrt, metric)
            rows.append((*key, sigma, size, count, float(value), float(error), float(theory)))
    texts, number = pa.string(), pa.float64()
    types = (texts, pa.int64(), *[texts] * 5, number, pa.int64(), pa.int64(), *[number] * 3)
    names = (
        "objective", "dim", "dtype", "estimator", "noise", "wrt", "metric", "sigma", "batch_size",
        "num_batches", "value", "error", "theory",
    )  # fmt: skip
    schema = pa.schema(list(zip(names, types, strict=True)))
    return pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows], schema)


def claim_of(objective, verdict, text="bias of grad f(x): slope in sigma"):
    measured = {"value": 2.0, "error": 0.01, "low": 1.97, "high": 2.03}
    if verdict == "not resolved":
        measured = dict.fromkeys(measured)
    return {
        "objective": objective, "claim": text, "expected": 2.0, "lowest": 1.98, "highest": 2.02,
        "measured": measured, "verdict": verdict, "sigma_low": 1e-3, "sigma_high": 0.1,
        "study": "bias", "quantity": "slope", "estimator": "pathwise", "wrt": "mean", "x": None,
    }  # fmt: skip


def picture_of(side=4, sigmas=(0.1, 1.0), batches=(1, 16)):
    gradient = np.linspace(-1, 1, side * side)
    estimates = np.broadcast_to(gradient, (len(sigmas), len(batches), side * side)).copy()
    estimates[0, 0] = -gradient
    return {
        "image": np.abs(gradient).tolist(), "gradient": gradient.tolist(), "sigmas": sigmas,
        "batch_sizes": batches, "estimates": {"pathwise": estimates.tolist()},
    }  # fmt: skip


@pytest.fixture(scope="session")
def make_run():
    """Writes a run directory as `sigmaprop limit` leaves it."""

    def make(
        directory,
        objectives=("quartic",),
        estimators=ESTIMATORS,
        sigmas=SIGMAS,
        batches=BATCHES,
        dtype="float32",
        claims=(("quartic", "holds"), ("quartic", "fails"), ("quartic", "not resolved")),
        picture=False,
        change=lambda table: table,
        **config,
    ):
        directory.mkdir(parents=True)
        table = change(table_of(objectives, estimators, sigmas, batches, dtype))
        pq.write_table(table, directory / "metrics.parquet")
        config = {"objective": list(objectives), "x": None, "dtype": dtype, "seed": 0} | config
        content = {"schema": 1, "command": "limit", "config": config}
        (directory / "config.json").write_text(json.dumps(content))
        environment = {
            "versions": {"python": "3.11", "jax": "0.10", "sigmaprop": "0.1"},
            "device": {"backend": "cpu", "kind": "cpu", "count": 2},
            "cpu": {"model": "some", "cores": 2},
            "git": None,
            "argv": ["sigmaprop", "limit"],
        }
        (directory / "environment.json").write_text(json.dumps(environment))
        if claims is not None:
            content = json.dumps([claim_of(*claim) for claim in claims])
            (directory / "conclusions.json").write_text(content)
        if picture:
            (directory / "picture.json").write_text(json.dumps(picture_of()))
        return directory

    return make


@pytest.fixture(scope="session")
def run(make_run, tmp_path_factory):
    """One run of two objectives."""
    names = ("quartic", "digit_classifier")
    return make_run(tmp_path_factory.mktemp("runs") / "first", names, picture=True)


@pytest.fixture(scope="session")
def other(make_run, tmp_path_factory):
    """A run that differs in its dtype."""
    return make_run(tmp_path_factory.mktemp("runs") / "second", dtype="float64")
