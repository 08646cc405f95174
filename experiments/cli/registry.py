"""The experiments that run directories know, by the name of their command."""

import shlex
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from sigmaprop import runs
from sigmaprop.names import unknown
from sigmaprop.runs.files import exists

from ..estimators import run as estimators
from ..estimators.config import EstimatorsConfig
from ..jobs import sheet
from ..limit import ahead as limit_ahead
from ..limit import run as limit
from ..limit.config import LimitConfig
from ..metrics import run as metrics
from ..metrics.config import MetricsConfig
from ..penalties import run as penalties
from ..penalties.config import PenaltiesConfig
from ..study import ledger
from ..terminal import counted
from .launch import Experiment, print_claims

NAMES = ("limit", "estimators", "gan", "vae", "metrics", "penalties", "evaluate")
"""Commands whose runs can be replayed and reported on."""


def of_run(directory) -> Experiment:
    """The experiment that a run directory belongs to.

    Raises:
        RunError: it is no run directory, a study's, or its command is unknown.
    """
    refuse_study(directory)
    runs.state(directory)
    name = runs.load_command(directory)
    if name not in NAMES:
        raise runs.RunError(f"{directory}: {unknown('command', name, NAMES)}")
    return get(name)


def refuse_study(directory: Path) -> None:
    """Says how to go on with a study, or with jobs: no run but a directory of runs.

    Raises:
        RunError: the directory is one.
    """
    sheet.refuse(directory)
    if exists(directory / ledger.NAME):
        again = f"sigmaprop study --run-dir {shlex.quote(str(directory))}"
        raise runs.RunError(
            f"{directory} is a study: go on with `{again}`, or name one of the runs below it"
        )


def get(name: str) -> Experiment:
    """The experiment of a command; networks are imported only for those that have them."""
    if name == "gan":
        from ..gan.run import EXPERIMENT

        return EXPERIMENT
    if name == "vae":
        from ..vae.run import EXPERIMENT

        return EXPERIMENT
    if name == "evaluate":
        from ..evaluate.run import EXPERIMENT

        return EXPERIMENT
    return _EXPERIMENTS[name]


def _prepare_limit(config: LimitConfig) -> limit.Plan:
    """The plan, once every objective is known to be finite where it is measured."""
    plan = limit.prepare(config)
    for objective in plan.objectives if config.x else ():
        point = jnp.asarray(limit.point_of(objective, config), jnp.float32)
        if not np.isfinite(objective(point)):
            raise ValueError(
                f"--x {' '.join(map(str, config.x or ()))}: objective {objective.name!r} is "
                "not finite there; choose a point nearer to 0"
            )
    return plan


def _limit_headline(config: LimitConfig, plan: limit.Plan) -> str:
    sizes = (
        counted(len(plan.objectives), "objective"),
        counted(len(plan.sigmas), "sigma"),
        counted(len(plan.batch_sizes), "batch size"),
    )
    each = counted(config.num_samples, "sample")
    return f"{' x '.join(sizes)}, {each} each in {config.dtype}"


def _estimators_headline(config: EstimatorsConfig, plan: estimators.Plan) -> str:
    sizes = (
        counted(len(plan.objectives), "objective"),
        counted(len(config.gaussian), "Gaussian"),
        counted(len(plan.settings), "estimator"),
        counted(len(plan.sigmas), "sigma"),
    )
    studies = counted(len(config.studies), "study").replace("studys", "studies")
    return f"{studies}; grid of {' x '.join(sizes)}, {config.replicates} replicates each"


def _limit_report(target, directories, tell) -> None:
    from sigmaprop.reporting import limit as report

    report.write(target, directories, tell)


def _metrics_report(target, directories, tell) -> None:
    from sigmaprop.reporting import metrics as report

    report.write(target, directories, tell)


def _penalties_report(target, directories, tell) -> None:
    from sigmaprop.reporting import penalties as report

    report.write(target, directories, tell)


def _estimators_report(target, directories, tell) -> None:
    from sigmaprop.reporting import estimators as report

    report.write(target, directories, tell)


_EXPERIMENTS = {
    "limit": Experiment(
        command="limit",
        config=LimitConfig,
        prepare=_prepare_limit,
        headline=_limit_headline,
        total=limit.total_draws,
        run=lambda *arguments: limit.run(*arguments),
        keys=limit.limit_table.KEYS,
        values=limit.limit_table.VALUES,
        timed=(),
        write_report=_limit_report,
        summary=print_claims,
        forecast=limit.forecast,
        programs=limit_ahead.programs,
    ),
    "estimators": Experiment(
        command="estimators",
        config=EstimatorsConfig,
        prepare=estimators.prepare,
        headline=_estimators_headline,
        total=estimators.total_work,
        run=lambda *arguments: estimators.run(*arguments),
        keys=estimators.KEYS,
        values=estimators.VALUES,
        timed=estimators.TIMED,
        forecast=estimators.forecast,
        write_report=_estimators_report,
        summary=print_claims,
    ),
    "metrics": Experiment(
        command="metrics",
        config=MetricsConfig,
        prepare=metrics.prepare,
        headline=metrics.headline,
        total=metrics.total_work,
        run=lambda *arguments: metrics.run(*arguments),
        keys=metrics.KEYS,
        values=metrics.VALUES,
        timed=(),
        forecast=metrics.forecast,
        write_report=_metrics_report,
        summary=print_claims,
    ),
    "penalties": Experiment(
        command="penalties",
        config=PenaltiesConfig,
        prepare=penalties.prepare,
        headline=penalties.headline,
        total=penalties.total_work,
        run=lambda *arguments: penalties.run(*arguments),
        keys=penalties.KEYS,
        values=penalties.VALUES,
        timed=(),
        forecast=penalties.forecast,
        write_report=_penalties_report,
        summary=print_claims,
    ),
}
