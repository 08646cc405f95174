"""The commands around the limit experiment: run it, replay it, report on it."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from sigmaprop import configs, runs
from sigmaprop.environment import environment, environment_differences

from . import limit as experiment
from .config import LimitConfig
from .terminal import Terminal, counted

PLAIN_PERIOD = 5.0
"""Seconds between progress lines where the output is no terminal."""
SHOWN_DIFFERENCES = 20
"""Numbers that a replay lists when they differ."""


def limit(
    config: LimitConfig, run_dir: Path | None, origin: tuple[LimitConfig, Path] | None = None
) -> int:
    """``sigmaprop limit``: measures, then prints conclusions and where the report is.

    Args:
        config: what to measure.
        run_dir: the run directory, None for a fresh one.
        origin: the options that the config was made from, and their file.
    """
    terminal = Terminal()
    plan = _prepared(config)
    if origin is not None:
        base, file = origin
        changed, total = configs.changes(config, base)
        terminal.say(f"{changed} of {total} options changed from {file}")
    with _run(run_dir, config) as run:
        claims = _measure(config, plan, run, terminal)
    _write_report(run.directory)
    _print_conclusions(run.directory, claims, terminal)
    return 0


def replay(directory: Path, run_dir: Path | None) -> int:
    """``sigmaprop replay``: 0 if every number has the same bits, else 1."""
    terminal = Terminal()
    before = runs.load(directory, LimitConfig, command="limit")
    plan = _prepared(before.config)
    for line in environment_differences(before.environment, environment(before.config.seed)):
        terminal.say(f"differs: {line}")
    with _run(run_dir, before.config) as run:
        _measure(before.config, plan, run, terminal)
    after = runs.load(run.directory, LimitConfig, command="limit")
    keys = list(experiment.limit_table.KEYS)
    different = runs.compare_tables(before.metrics, after.metrics, keys=keys)
    count = before.metrics.num_rows * len(experiment.limit_table.VALUES)
    if not different:
        terminal.say(
            f"identical: all {count} numbers of {directory} have the same bits in {run.directory}"
        )
        return 0
    terminal.say(
        f"different: {len(different)} of {count} numbers of {directory}; the repetition is in "
        f"{run.directory}"
    )
    for difference in different[:SHOWN_DIFFERENCES]:
        terminal.say(f"  {difference}")
    if len(different) > SHOWN_DIFFERENCES:
        terminal.say(f"  and {len(different) - SHOWN_DIFFERENCES} more")
    return 1


def report(directories: Sequence[Path], out: Path | None) -> int:
    """``sigmaprop report``: figures and HTML from what finished runs hold."""
    for directory in directories:
        runs.load(directory, LimitConfig, command="limit")
    if out is None and len(directories) > 1:
        raise runs.RunError(
            f"report overlays {len(directories)} runs; name a directory for it with --out"
        )
    target = directories[0] if out is None else out
    _write_report(target, directories)
    Terminal().say(f"report: {target / 'report.html'}")
    return 0


def _prepared(config: LimitConfig) -> experiment.Plan:
    """Mistakes in the options end as one sentence; anything later is a defect."""
    try:
        plan = experiment.prepare(config)
    except ValueError as error:
        raise runs.RunError(str(error)) from error
    for objective in plan.objectives if config.x else ():
        point = jnp.asarray(experiment.point_of(objective, config), jnp.float32)
        if not np.isfinite(objective(point)):
            raise runs.RunError(
                f"--x {' '.join(map(str, config.x or ()))}: objective {objective.name!r} is "
                "not finite there; choose a point nearer to 0"
            )
    return plan


@contextlib.contextmanager
def _run(directory: Path | None, config: LimitConfig) -> Iterator[runs.Run]:
    """A run that tells where it lies when it is stopped."""
    run = runs.create(directory, "limit", config)
    try:
        with run:
            yield run
    except (KeyboardInterrupt, runs.Terminated) as error:
        error.add_note(
            f"{run.directory} is marked interrupted; start anew with "
            f"`sigmaprop limit --config {run.directory}`"
        )
        raise


def _measure(
    config: LimitConfig, plan: experiment.Plan, run: runs.Run, terminal: Terminal
) -> list[Any]:
    devices = jax.local_devices()
    sizes = (
        counted(len(plan.objectives), "objective"),
        counted(len(plan.sigmas), "sigma"),
        counted(len(plan.batch_sizes), "batch size"),
    )
    terminal.say(
        f"{' x '.join(sizes)}, {counted(config.num_samples, 'sample')} each in {config.dtype}, on "
        f"{counted(len(devices), f'{devices[0].platform} device')}; run directory {run.directory}"
    )
    total = experiment.total_draws(config, plan)
    # Where f overflows, at a large sigma say, the numbers show it: inf and NaN.
    with np.errstate(all="ignore"):
        if terminal.is_terminal:
            return _with_bar(config, plan, run, terminal, total)
        return experiment.run(config, plan, run, _plain_progress(terminal, total))


def _with_bar(
    config: LimitConfig, plan: experiment.Plan, run: runs.Run, terminal: Terminal, total: int
) -> list[Any]:
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.completed:,} of {task.total:,} samples"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=terminal,
    )
    with bar:
        task = bar.add_task("compiling", total=total)
        return experiment.run(
            config, plan, run, lambda what, draws: bar.update(task, description=what, advance=draws)
        )


def _plain_progress(terminal: Terminal, total: int) -> Callable[[str, int], None]:
    start = time.monotonic()
    done, last = 0, start - PLAIN_PERIOD

    def report(what: str, draws: int) -> None:
        nonlocal done, last
        done += draws
        now = time.monotonic()
        if now - last >= PLAIN_PERIOD or done == total:
            last = now
            left = (now - start) * (total - done) / done
            terminal.say(f"{what}: {done:,} of {total:,} samples, about {left:.0f} s left")

    return report


def _write_report(target: Path, directories: Sequence[Path] = ()) -> None:
    from sigmaprop.reporting import html

    try:
        target.mkdir(parents=True, exist_ok=True)
        html.write(target, tuple(directories) or (target,))
    except OSError as error:
        raise runs.RunError(
            f"cannot write the report to {target} ({error.strerror or error}); choose another "
            "directory with `sigmaprop report RUN --out DIR`"
        ) from error


def _print_conclusions(directory: Path, claims: list[Any], terminal: Terminal) -> None:
    from sigmaprop.reporting import tables

    for table in tables.claims_by_objective(claims):
        terminal.print(table)
    terminal.print(tables.summary(claims), soft_wrap=True)
    count = len(list((directory / "figures").glob("*.svg")))
    terminal.say(f"figures: {directory / 'figures'} ({count}, each as SVG and PNG)")
    terminal.say(f"report:  {directory / 'report.html'}")
