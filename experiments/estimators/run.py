"""Which estimator of the gradient of E f(x), x ~ N(mean, covariance), should one use?

    sigmaprop estimators                  # quick preset, a few minutes on 2 cores
    sigmaprop estimators --preset full    # all Gaussians, all estimators, training to the end

Expect: where f is smooth, pathwise with a control variate; where it jumps, the score function with
a baseline, whose variance grows as the dimension; measure-valued gradients in few dimensions. The
variance of every rule in one dimension as Mohamed et al. (2020) draw it, and where their curves
cross; Price's rule with the wrong sign on a piecewise-linear network; the samples that learning
sigma takes, growing as sigma^-2, and how to avoid it; a Bayesian logistic regression trained with
each.
"""

import itertools
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
import pyarrow as pa

from sigmaprop import estimators, objectives, runs
from sigmaprop.comparison import Setting, studies
from sigmaprop.comparison import logistic_study as logistic
from sigmaprop.comparison.rows import KEYS, TIMED, VALUES, Row, columns
from sigmaprop.statistics import Claim

from .. import parts as recording
from ..forecast import COMPILING, DRAWING, NANOSECONDS, Forecast
from ..terminal import counted
from .config import EstimatorsConfig

SCHEMA = pa.schema(
    [(name, pa.string()) for name in Row._fields[:3]]
    + [("dim", pa.int64())]
    + [(name, pa.string()) for name in Row._fields[4:8]]
    + [("sigma", pa.float64()), ("num_samples", pa.int64()), ("x", pa.float64())]
    + [(name, pa.float64()) for name in VALUES]
)
__all__ = ["KEYS", "TIMED", "VALUES", "Plan", "prepare", "run", "total_work"]


class Plan(NamedTuple):
    """A checked configuration, its names looked up.

    Attributes:
        objectives: for the grid.
        settings: of the grid: every estimator with each noise scheme that suits it.
        sigmas: [S], the largest first.
    """

    objectives: tuple[objectives.Objective, ...]
    settings: tuple[Setting, ...]
    sigmas: np.ndarray


def prepare(config: EstimatorsConfig) -> Plan:
    """Looks every name up and checks what the options mean together.

    Raises:
        ValueError: one sentence that names the option, its value and what is allowed.
    """
    settings = choose_settings(config)
    found = tuple(objectives.get(name, config.dim) for name in config.objective)
    smallest = min(objective.dim for objective in found)
    if "low_rank" in config.gaussian and config.rank > smallest:
        raise ValueError(f"--rank is {config.rank}; it must not exceed the dimension {smallest}")
    return Plan(found, settings, np.sort(np.array(config.sigmas, np.float64))[::-1])


def choose_settings(config: EstimatorsConfig) -> tuple[Setting, ...]:
    """Every estimator with iid noise, and with each other scheme that has a meaning for it.

    Raises:
        ValueError: an unknown name; or a pair that has no meaning, where one scheme was asked for.
    """
    chosen = []
    for label in config.estimators:
        name, variate, options = estimators.parse(label)
        if variate == "moving_average":
            raise ValueError(
                f"--estimators holds {label}, which carries a state from step to step; the study "
                "'logistic' trains with it, here choose another"
            )
        for noise in config.noise:
            for count in config.num_samples:
                setting = Setting(label, noise, _whole(noise, count), config.replicates)
                try:
                    estimators.get(name, noise, variate, options)
                except ValueError:
                    if len(config.noise) == 1:
                        raise
                else:
                    chosen.append(setting)
    return tuple(dict.fromkeys(chosen))


def _whole(noise: str, count: int) -> int:
    """The nearest smaller number of whole units: of nets, or of pairs."""
    nets = estimators.Options().randomizations
    if noise == "sobol":
        points = max(1, count // nets)
        return nets * (1 << (points.bit_length() - 1))
    return max(2, count - count % 2) if noise == "antithetic" else count


def total_work(config: EstimatorsConfig, plan: Plan) -> None:
    """The number of programs is not known beforehand."""
    del config, plan


def forecast(config: EstimatorsConfig, plan: Plan) -> Forecast:
    """Counts the cells of every study; a program each, which is timed three times."""
    grid = len(plan.objectives) * len(config.gaussian) * len(plan.settings)
    sizes = {
        "grid": (grid, len(plan.sigmas) * max(config.num_samples) * (config.dim or 64)),
        "variance_curves": (12, 2**15),
        "dimension": (6 * len(config.dims), 256 * max(config.dims)),
        "coupling": (4, 4096),
        "learning_sigma": (6, 6 * 2048 * 8),
        "piecewise_linear": (6, 2**14 * 8),
        "logistic": (len(config.logistic_estimators), 50 * 31 * config.steps * config.seeds / 8),
    }
    own = [sizes[name] for name in config.studies]
    programs = sum(count for count, _ in own)
    nanoseconds = NANOSECONDS["draw"] + 4 * NANOSECONDS["evaluation"]
    work = sum(count * size * config.replicates for count, size in own)
    seconds = 1e-9 * nanoseconds * work + programs * COMPILING / 2 + 10 * DRAWING
    held = 4 * 8 * max(size for _, size in own) / 2**20
    parts = (counted(len(own), "part"), counted(programs, "cell"))
    return Forecast(parts, programs, held, seconds)


def run(
    config: EstimatorsConfig,
    plan: Plan,
    directory: runs.Run,
    progress: Callable[[str], None] = lambda what: None,
) -> list[Claim]:
    """Runs the studies that are left, writes metrics and conclusions, and returns the claims."""
    done = recording.recorded(directory)
    for number, name in enumerate(config.studies, 1):
        named = _named(f"{name}, study {number} of {len(config.studies)}", progress)
        if number <= len(done):
            named("measured before the run was stopped")
            continue
        named("starting")
        tools = studies.Tools(
            studies.stream(jax.random.key(config.seed), name),
            time.perf_counter,
            named,
            config.replicates,
        )
        found = _STUDIES[name](config, plan, tools)
        done.append(found.claims)
        recording.record(
            directory, number, pa.table(columns(found.rows), schema=SCHEMA), found.claims
        )
    claims = [claim for of_study in done for claim in of_study]
    recording.conclude(directory, claims)
    return claims


def _named(study: str, progress: Callable[[str], None]) -> Callable[[str], None]:
    """A progress whose texts say which study it is, and count what is measured in it."""
    count = itertools.count()

    def tell(what: str) -> None:
        number = next(count)
        progress(f"{study}: {what}" if number == 0 else f"{study}, part {number}: {what}")

    return tell


def _grid(config: EstimatorsConfig, plan: Plan, tools: studies.Tools) -> studies.Found:
    with jax.enable_x64(config.dtype == "float64"):
        return studies.grid(
            tools,
            plan.objectives,
            config.gaussian,
            plan.settings,
            plan.sigmas,
            rank=config.rank,
            dtype=config.dtype,
            reference_samples=config.reference_samples,
        )


def _variance_curves(config: EstimatorsConfig, plan: Plan, tools: studies.Tools) -> studies.Found:
    del config, plan
    return studies.variance_curves(
        tools,
        {
            "quadratic": np.linspace(-3.0, 5.0, 81),
            "exponential": np.geomspace(0.05, 10.0, 61),
            "cosine": np.geomspace(0.05, 10.0, 241),
        },
    )


def _dimension(config: EstimatorsConfig, plan: Plan, tools: studies.Tools) -> studies.Found:
    del plan
    settings = [
        Setting(label, "iid", 256, max(8, config.replicates // 4))
        for label in (
            "pathwise",
            "pathwise+at_mean",
            "score_function+leave_one_out",
            "forward_difference",
            "bonnet_price",
            "measure_valued",
        )
    ]
    return studies.dimension(tools, config.dims, settings, 0.03)


def _coupling(config: EstimatorsConfig, plan: Plan, tools: studies.Tools) -> studies.Found:
    del config, plan
    return studies.coupling(tools, np.linspace(0.0, 4.0, 41))


def _learning_sigma(config: EstimatorsConfig, plan: Plan, tools: studies.Tools) -> studies.Found:
    del config, plan
    return studies.learning_sigma(tools, np.geomspace(0.1, 0.003, 6), 2048)


def _piecewise_linear(config: EstimatorsConfig, plan: Plan, tools: studies.Tools) -> studies.Found:
    del plan
    return studies.piecewise_linear(
        tools._replace(replicates=max(8, config.replicates // 2)), 2**14
    )


def _logistic(config: EstimatorsConfig, plan: Plan, tools: studies.Tools) -> studies.Found:
    del plan
    return logistic.train_with_each(
        tools, config.logistic_estimators, steps=config.steps, seeds=config.seeds
    )


_STUDIES: dict[str, Callable[[EstimatorsConfig, Plan, Any], studies.Found]] = {
    "grid": _grid,
    "variance_curves": _variance_curves,
    "dimension": _dimension,
    "coupling": _coupling,
    "learning_sigma": _learning_sigma,
    "piecewise_linear": _piecewise_linear,
    "logistic": _logistic,
}
