"""The commands around the limit experiment: run it, replay it, report on it."""

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from sigmaprop import runs
from sigmaprop.environment import environment_differences

from . import limit as experiment
from .config import LimitConfig

if TYPE_CHECKING:
    from .__main__ import LimitCommand

PLAIN_PERIOD = 5.0
"""Seconds between progress lines where the output is no terminal."""


def limit(command: "LimitCommand", base: LimitConfig, origin: Path | None) -> int:
    """``sigmaprop limit``: measures, then prints conclusions and where the report is."""
    console = Console()
    config = command.config
    plan = _prepared(config)
    if origin is not None:
        from sigmaprop import configs

        changed, total = configs.changes(config, base)
        console.print(f"{changed} of {total} options changed from {origin}", highlight=False)
    with runs.create(command.run_dir, "limit", config) as run:
        claims = _measure(config, plan, run, console)
    _write_report(run.directory)
    _print_conclusions(run.directory, claims, console)
    return 0


def replay(directory: Path, run_dir: Path | None) -> int:
    """``sigmaprop replay``: 0 if every number has the same bits, else 1."""
    console = Console()
    before = runs.load(directory, LimitConfig, command="limit")
    plan = _prepared(before.config)
    with runs.create(run_dir, "limit", before.config) as run:
        _measure(before.config, plan, run, console)
    after = runs.load(run.directory, LimitConfig, command="limit")
    for line in environment_differences(before.environment, after.environment):
        console.print(f"differs: {line}", highlight=False)
    keys = list(experiment.limit_table.KEYS)
    different = runs.compare_tables(before.metrics, after.metrics, keys=keys)
    count = before.metrics.num_rows * len(experiment.limit_table.VALUES)
    if not different:
        console.print(
            f"identical: all {count} numbers of {directory} have the same bits in {run.directory}",
            highlight=False,
        )
        return 0
    console.print(
        f"different: {len(different)} of {count} numbers of {directory}; the repetition is in "
        f"{run.directory}",
        highlight=False,
    )
    for difference in different[:20]:
        console.print(f"  {difference}", highlight=False, markup=False)
    if len(different) > 20:
        console.print(f"  and {len(different) - 20} more")
    return 1


def report(directories: Sequence[Path], out: Path | None) -> int:
    """``sigmaprop report``: figures and HTML from what finished runs hold."""
    console = Console()
    for directory in directories:
        runs.load(directory, LimitConfig, command="limit")
    if out is None and len(directories) > 1:
        raise runs.RunError(
            f"report overlays {len(directories)} runs; name a directory for it with --out"
        )
    target = directories[0] if out is None else out
    _write_report(target, directories)
    console.print(f"report: {target / 'report.html'}", highlight=False)
    return 0


def _prepared(config: LimitConfig) -> experiment.Plan:
    """Mistakes in the options end as one sentence; anything later is a defect."""
    try:
        return experiment.prepare(config)
    except ValueError as error:
        raise runs.RunError(str(error)) from error


def _measure(
    config: LimitConfig, plan: experiment.Plan, run: runs.Run, console: Console
) -> list[Any]:
    devices = jax.local_devices()
    console.print(
        f"{len(plan.objectives)} objectives x {len(plan.sigmas)} sigmas x "
        f"{len(plan.batch_sizes)} batch sizes, {config.num_samples:,} samples each in "
        f"{config.dtype}, on {len(devices)} {devices[0].platform} device(s); run directory "
        f"{run.directory}",
        highlight=False,
    )
    total = experiment.total_draws(config, plan)
    if console.is_terminal:
        return _with_bar(config, plan, run, console, total)
    return experiment.run(config, plan, run, _plain_progress(console, total))


def _with_bar(
    config: LimitConfig, plan: experiment.Plan, run: runs.Run, console: Console, total: int
) -> list[Any]:
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.completed:,} of {task.total:,} samples"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
    )
    with bar:
        task = bar.add_task("compiling", total=total)
        return experiment.run(
            config, plan, run, lambda what, draws: bar.update(task, description=what, advance=draws)
        )


def _plain_progress(console: Console, total: int) -> Callable[[str, int], None]:
    start = time.monotonic()
    done, last = 0, start - PLAIN_PERIOD

    def report(what: str, draws: int) -> None:
        nonlocal done, last
        done += draws
        now = time.monotonic()
        if now - last >= PLAIN_PERIOD or done == total:
            last = now
            left = (now - start) * (total - done) / done
            console.print(
                f"{what}: {done:,} of {total:,} samples, about {left:.0f} s left", highlight=False
            )

    return report


def _write_report(target: Path, directories: Sequence[Path] = ()) -> None:
    from sigmaprop.reporting import html

    html.write(target, tuple(directories) or (target,))


def _print_conclusions(directory: Path, claims: list[Any], console: Console) -> None:
    from sigmaprop.reporting import tables

    for table in tables.claims_by_objective(claims):
        console.print(table)
    console.print(tables.summary(claims))
    figures = sorted(path.name for path in (directory / "figures").glob("*.svg"))
    console.print(f"figures: {directory / 'figures'} ({', '.join(figures)})", highlight=False)
    console.print(f"report:  {directory / 'report.html'}", highlight=False)


def read_claims(directory: Path) -> list[dict[str, Any]]:
    """The conclusions of a finished run."""
    return json.loads((directory / "conclusions.json").read_text())
