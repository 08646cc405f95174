"""Does the Monte Carlo gradient of E f(x + sigma eps) tend to grad f(x) as sigma goes to 0, how
fast, and where does it stop?

    sigmaprop limit                  # quick preset: 6 functions, about a minute on 2 cores
    sigmaprop limit --preset full    # 16 functions, some minutes

Expect, for a smooth f: bias |grad Laplacian f|/2 sigma^2, an error that falls as N^(-1/2), and a
variance whose power of sigma tells the estimators apart (2 pathwise, -2 score function, 0 with a
baseline). Near kinks and jumps there is no such limit. Precision ends it near sigma = 1e-3 for the
bias in float32, and near 1e-7 for finite differences.
"""

import json
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pyarrow as pa

from sigmaprop import estimate, estimators, limit, objectives, runs
from sigmaprop.comparison.truths import jumps
from sigmaprop.estimators.base import Estimator
from sigmaprop.gaussians import Isotropic
from sigmaprop.limit import conclusions, truth
from sigmaprop.limit import table as limit_table
from sigmaprop.noise import schedules
from sigmaprop.statistics import Claim

from .. import parts as recording
from ..forecast import COMPILING, DRAWING, NANOSECONDS, Forecast
from ..terminal import counted
from .config import LimitConfig

_LOOK_SAMPLES = 2**16
_STREAMS = {"noise": 1, "reference": 2, "picture": 3}
PICTURE_SIGMAS = (0.03, 0.3, 1.0)
PICTURE_BATCHES = (1, 16, 256, 4096)
PICTURE_ESTIMATORS = ("pathwise", "score_function+leave_one_out")


class Plan(NamedTuple):
    """A checked configuration, its names looked up.

    Attributes:
        objectives: what to differentiate.
        chosen: estimators with their noise.
        sigmas: [S] float64, >= 0.
        batch_sizes: draws in a batch.
    """

    objectives: tuple[objectives.Objective, ...]
    chosen: tuple[Estimator, ...]
    sigmas: np.ndarray
    batch_sizes: tuple[int, ...]


def prepare(config: LimitConfig) -> Plan:
    """Looks every name up and checks what the options mean together.

    Raises:
        ValueError: one sentence that names the option, its value and what is allowed.
    """
    chosen = choose_estimators(config)  # before an objective trains a network
    found = tuple(objectives.get(name, config.dim) for name in config.objective)
    for objective in found:
        if config.x is not None and len(config.x) not in (1, objective.dim):
            raise ValueError(
                f"--x has {len(config.x)} coordinates; objective {objective.name!r} takes 1 or "
                f"{objective.dim} (change --x or --dim)"
            )
    if config.sigmas is None:
        sigmas = schedules.sigmas(
            config.sigma_schedule, config.sigma_first, config.sigma_last, config.num_sigmas
        )
    else:
        sigmas = np.array(config.sigmas, np.float64)
    sizes = config.batch_sizes or schedules.powers(config.batch_base, config.num_samples)
    plan = Plan(found, chosen, sigmas, sizes)
    limit.make_plan(config.num_samples, sizes, found[0].dim, chunk=config.chunk)
    return plan


def choose_estimators(config: LimitConfig) -> tuple[Estimator, ...]:
    """Every estimator with each noise scheme that adds something to it.

    Raises:
        ValueError: an unknown name, or an estimator that no noise scheme named suits.
    """
    chosen = []
    for label in config.estimators:
        name, variate, _ = estimators.parse(label)
        if label not in estimators.sweepable_labels():
            raise ValueError(
                f"--estimators holds {label}, which looks at f elsewhere than the sweep does; "
                f"choose of {', '.join(estimators.sweepable_labels())}, or use "
                "`sigmaprop estimators`"
            )
        for noise in config.noise:
            redundant = noise == "antithetic" and name != "pathwise" and "iid" in config.noise
            if not redundant and (noise == "iid" or name != "at_mean"):
                chosen.append(estimators.get(name, noise, variate))
        if name == "at_mean" and "iid" not in config.noise:
            chosen.append(estimators.get(name))
    return tuple(chosen)


def total_draws(config: LimitConfig, plan: Plan) -> int:
    """Draws of the whole run, references included: what a progress bar counts to."""
    return sum(_draws(config, objective) for objective in plan.objectives)


def _draws(config: LimitConfig, objective: objectives.Objective) -> int:
    """Draws of one objective, its reference included."""
    return config.num_samples + (not objective.has_closed_form) * config.reference_samples


def forecast(config: LimitConfig, plan: Plan) -> Forecast:
    """Counts draws, sigmas and coordinates; memory is that of a chunk and of group sums."""
    sizes, seconds, held = plan.batch_sizes, 0.0, 0.0
    for objective in plan.objectives:
        cut = limit.make_plan(config.num_samples, sizes, objective.dim, chunk=config.chunk)
        coordinates = _draws(config, objective) * objective.dim
        work = len(plan.chosen) * len(plan.sigmas) * NANOSECONDS["evaluation"]
        seconds += 1e-9 * coordinates * (NANOSECONDS["draw"] + work)
        groups = cut.num_groups * len(plan.sigmas) * len(plan.chosen) * objective.dim
        held = max(held, 4 * (6 * cut.chunk * objective.dim + 2 * groups) / 2**20)
    num = len(plan.objectives)
    seconds += num * (2 * COMPILING + 6 * DRAWING) + DRAWING
    parts = (
        counted(num, "objective"),
        counted(len(plan.chosen), "estimator"),
        counted(len(plan.sigmas), "sigma"),
        counted(len(plan.batch_sizes), "batch size"),
    )
    return Forecast(parts, 2 * num, held, seconds)


def run(
    config: LimitConfig,
    plan: Plan,
    directory: runs.Run,
    progress: Callable[[str, int], None] = lambda what, draws: None,
) -> list[Claim]:
    """Measures what was not measured yet, writes metrics and conclusions, returns the claims.

    Args:
        config: the options, as recorded.
        plan: from `prepare`.
        directory: the run directory to write into.
        progress: called with what is being done and the draws done since the last call.
    """
    found = recording.recorded(directory)
    for number, objective in enumerate(plan.objectives, 1):
        named = _named(f"{objective.name}, {number} of {len(plan.objectives)}", progress)
        pictured = objective.name == "digit_classifier"
        if number <= len(found):
            named("measured before the run was stopped", _draws(config, objective))
        else:
            evidence = measure(objective, config, plan, named)
            named("concluding", 0)
            if pictured:
                _write_picture(directory, objective, config)
            found.append([] if evidence is None else conclusions.conclude(evidence))
            exact = exact_rows(objective, config, plan)
            rows = {} if evidence is None else limit_table.columns(evidence, objective.dim)
            table = pa.concat_tables([pa.table(rows, schema=SCHEMA), exact]) if rows else exact
            recording.record(directory, number, table, found[-1])
        if pictured:
            runs.include(directory, directory.directory / "picture.json")
    claims = [claim for of_part in found for claim in of_part]
    recording.conclude(directory, claims)
    return claims


SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("objective",)]
    + [("dim", pa.int64())]
    + [(name, pa.string()) for name in ("dtype", "estimator", "noise", "wrt", "metric")]
    + [("sigma", pa.float64()), ("batch_size", pa.int64()), ("num_batches", pa.int64())]
    + [(name, pa.float64()) for name in limit_table.VALUES]
)


def stream(seed: int, purpose: str, objective: str) -> jax.Array:
    """The key of one purpose for one objective; it does not depend on what else is run."""
    key = jax.random.fold_in(jax.random.key(seed), _STREAMS[purpose])
    return jax.random.fold_in(key, zlib.crc32(objective.encode()))


def point_of(objective: objectives.Objective, config: LimitConfig) -> np.ndarray:
    """Where to measure, rounded to the dtype in which f is evaluated: the truth is taken there."""
    x = objective.point if config.x is None else np.broadcast_to(config.x, (objective.dim,))
    with jax.enable_x64(True):
        return np.asarray(jnp.asarray(x, config.dtype).astype(jnp.float64))


def measure(
    objective: objectives.Objective,
    config: LimitConfig,
    plan: Plan,
    progress: Callable[[str, int], None],
) -> conclusions.Evidence | None:
    """The sweep of one objective over all positive sigmas, with what is true there."""
    sigmas = plan.sigmas[plan.sigmas > 0]
    if sigmas.size == 0:
        return None
    point = point_of(objective, config)
    smoothness = objective.smoothness
    progress("exact gradients", 0)
    if objective.has_closed_form:
        exact = truth.closed_form(objective, point, sigmas)
    else:
        key = stream(config.seed, "reference", objective.name)
        progress("compiling the reference", 0)
        smoothness = seen_smoothness(objective, point, float(sigmas.max()), key)
        exact = limit.reference(
            objective,
            point,
            sigmas,
            key,
            config.reference_samples,
            jumps=smoothness == "jump",
            chunk=config.chunk,
            progress=_since_last("sampling the reference", progress),
        )
    progress("compiling", 0)
    sweep = limit.sweep(
        objective,
        exact,
        plan.chosen,
        stream(config.seed, "noise", objective.name),
        config.num_samples,
        batch_sizes=plan.batch_sizes,
        dtype=config.dtype,
        chunk=config.chunk,
        progress=_since_last("sampling", progress),
    )
    return conclusions.Evidence(
        objective.name,
        smoothness,
        exact,
        truth.derivatives(objective, point),
        sweep,
        config.dtype,
    )


def seen_smoothness(
    objective: objectives.Objective, point: np.ndarray, sigma: float, key: jax.Array
) -> objectives.Smoothness:
    """What the objective says of itself, unless a sample shows that it jumps."""
    gaussian = Isotropic(jnp.asarray(point, jnp.float32), jnp.asarray(sigma, jnp.float32))
    if jumps(objective, gaussian, jax.random.fold_in(key, 1), _LOOK_SAMPLES):
        return "jump"
    return objective.smoothness


def _named(of: str, progress: Callable[[str, int], None]) -> Callable[[str, int], None]:
    """A progress whose texts say whose turn it is."""
    return lambda what, draws: progress(f"{of}: {what}", draws)


def _since_last(what: str, progress: Callable[[str, int], None]) -> Callable[[int], None]:
    done = 0

    def report(total: int) -> None:
        nonlocal done
        progress(what, total - done)
        done = total

    return report


def exact_rows(objective: objectives.Objective, config: LimitConfig, plan: Plan) -> pa.Table:
    """Rows at sigma = 0, where x + sigma eps is x: the gradient itself, but for rounding."""
    rows: list[dict[str, Any]] = []
    if np.any(plan.sigmas == 0):
        point = point_of(objective, config)
        with jax.enable_x64(True):
            exact = np.asarray(jax.grad(objective)(jnp.asarray(point, jnp.float64)))
            found = jax.grad(objective)(jnp.asarray(point, config.dtype)).astype(jnp.float64)
        error = float(np.linalg.norm(np.asarray(found) - exact))
        for estimator in plan.chosen:
            if estimator.name in ("pathwise", "at_mean"):
                for metric, value in (("bias", error), ("deviation", error), ("variance", 0.0)):
                    rows.append(_exact_row(objective, config, estimator, metric, value))
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def _exact_row(
    objective: objectives.Objective,
    config: LimitConfig,
    estimator: Estimator,
    metric: str,
    value: float,
) -> dict[str, Any]:
    return {
        "objective": objective.name,
        "dim": objective.dim,
        "dtype": config.dtype,
        "estimator": estimator.label,
        "noise": estimator.noise,
        "wrt": "mean",
        "metric": metric,
        "sigma": 0.0,
        "batch_size": config.num_samples * estimator.samples_per_draw,
        "num_batches": 1,
        "value": value,
        "error": 0.0,
        "theory": 0.0,
    }


def _write_picture(
    directory: runs.Run, objective: objectives.Objective, config: LimitConfig
) -> None:
    """The image, grad f, and Monte Carlo gradients at several sigmas and batch sizes."""
    path = directory.directory / "picture.json"
    image = jnp.asarray(point_of(objective, config), jnp.float32)
    content = {
        "image": image.tolist(),
        "gradient": jax.grad(objective)(image).tolist(),
        "sigmas": PICTURE_SIGMAS,
        "batch_sizes": PICTURE_BATCHES,
        "estimates": {
            label: _picture_estimates(objective, image, label, config.seed)
            for label in PICTURE_ESTIMATORS
        },
    }
    runs.write_atomic(path, json.dumps(content))


def _picture_estimates(
    objective: objectives.Objective, image: jax.Array, label: str, seed: int
) -> list[list[list[float]]]:
    """[sigma][batch size][pixel] estimates of the gradient to the image."""
    name, variate, _ = estimators.parse(label)
    key = stream(seed, "picture", label)

    def at(batch: int) -> Callable[[jax.Array], jax.Array]:
        def one(sigma: jax.Array) -> jax.Array:
            gaussian = Isotropic(image, sigma)
            found = estimate(
                objective, gaussian, key, batch, estimator=name, control_variate=variate
            )
            return found.gradient.mean

        return jax.vmap(one)

    sigmas = jnp.asarray(PICTURE_SIGMAS, jnp.float32)
    fewest = estimators.get(name, "iid", variate).min_draws
    nothing = np.zeros((len(sigmas), *image.shape))  # what too small a batch knows
    by_batch = [
        np.asarray(jax.jit(at(batch))(sigmas)) if batch >= fewest else nothing
        for batch in PICTURE_BATCHES
    ]
    return np.nan_to_num(np.stack(by_batch, axis=1)).tolist()
