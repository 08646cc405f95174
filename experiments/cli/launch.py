"""The commands around an experiment: run it, replay it, report on it."""

import contextlib
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sigmaprop import processes, runs
from sigmaprop.reporting import unfinished
from sigmaprop.runs import configs, files, own_sources
from sigmaprop.runs.environment import environment, environment_differences

from .. import progress, streams
from ..forecast import Forecast
from ..options import own_functions
from ..terminal import Terminal, counted
from . import sharing

SHOWN_DIFFERENCES = 20
"""Numbers that a replay lists when they differ."""
_PAGE, _MANIFEST = "report.html", "manifest.json"
_DRAWN = "drawn.json"
"""The sha256 of a run's page and figures, and of the manifest that they were drawn of."""


class Experiment(NamedTuple):
    """What the commands need to know of an experiment.

    Attributes:
        command: its name.
        config: the type of its options.
        prepare: ``config -> plan``; a ValueError is a mistake in the options.
        headline: ``(config, plan) -> str``, what is about to be done.
        total: ``(config, plan) -> samples in all``, None where that is not known beforehand.
        run: ``(config, plan, run directory, progress) -> claims``; progress takes a text and the
            samples done since.
        keys: columns that name a row of its table.
        values: columns of numbers.
        timed: metrics that a clock goes into; no repetition gives the same bits.
        write_report: ``(directory, run directories, tell)``; tell takes the number of figures that
            are drawn, and of all.
        summary: ``(directory, claims, terminal)``, prints what was found.
        forecast: ``(config, plan) -> Forecast``, what a run will take.
        unit: what progress counts.
        root: ``config -> directory`` in which a fresh run is made.
        concluded: ``run directory -> claims`` of a complete run; None where they are only printed
            when it ends.
        warning: ``config -> str``, what the run cannot show, told before it begins; empty if
            nothing.
        resolved: ``config -> config`` that holds what other runs are read for, so that it can be
            repeated without them; a ValueError is a mistake in the options.
        prepare_again: ``(config, run directory) -> plan`` of a run that has begun, where that takes
            files which the run keeps; None: as ``prepare`` has it.
        programs: ``(config, plan, devices) -> programs``, those of `compile.program`, for devices
            that need not be at hand; None where they are not made in one place.
        carried: files of a run, where it has them, that its repetition begins with.
    """

    command: str
    config: type
    prepare: Callable[[Any], Any]
    headline: Callable[[Any, Any], str]
    total: Callable[[Any, Any], int | None]
    run: Callable[..., list[Any]]
    keys: Sequence[str]
    values: Sequence[str]
    timed: Sequence[str]
    write_report: Callable[[Path, tuple[Path, ...], Callable[[int, int], None]], None]
    summary: Callable[[Path, list[Any], Terminal], None]
    forecast: Callable[[Any, Any], Forecast]
    unit: str = "samples"
    root: Callable[[Any], Path] = lambda config: Path("runs")
    concluded: Callable[[Path], list[Any]] | None = None
    warning: Callable[[Any], str] = lambda config: ""
    resolved: Callable[[Any], Any] = lambda config: config
    prepare_again: Callable[[Any, Path], Any] | None = None
    programs: Callable[[Any, Any, Sequence[Any]], list[Any]] | None = None
    carried: Sequence[str] = ()


def launch(
    experiment: Experiment,
    config: Any,
    run_dir: Path | None,
    origin: tuple[Any, Path] | None = None,
) -> int:
    """Measures, then prints conclusions and where the report is.

    Args:
        experiment: which.
        config: what to measure.
        run_dir: the run directory, None for a fresh one.
        origin: the options that the config was made from, and their file.
    """
    terminal = Terminal()
    config, plan = resolved(experiment, config)
    if origin is not None:
        base, file = origin
        changed, total = configs.changes(config, base)
        terminal.say(f"{changed} of {total} options changed from {file}")
    _warn(experiment, config, terminal)
    with _run(experiment, _fresh(experiment, config, run_dir)) as run:
        claims = _measure(experiment, config, plan, run, terminal)
    _finish(experiment, run.directory, claims, terminal, named=run.named)
    return 0


def _fresh(experiment: Experiment, config: Any, run_dir: Path | None) -> runs.Run:
    """A run directory to write into."""
    root = experiment.root(config)
    return sharing.fresh(
        lambda own: runs.create(own, experiment.command, config, root=root), run_dir
    )


def forecast(experiment: Experiment, config: Any) -> int:
    """``--dry-run``: says what a run would take; 0, the exit status."""
    terminal = Terminal()
    config, plan = resolved(experiment, config)
    terminal.say(experiment.forecast(config, plan).sentence)
    _warn(experiment, config, terminal)
    return 0


def _warn(experiment: Experiment, config: Any, terminal: Terminal) -> None:
    """Says what a run that is about to begin cannot show."""
    if warning := experiment.warning(config):
        terminal.say(warning)


def resume(experiment: Experiment, directory: Path) -> int:
    """``sigmaprop resume``: goes on with a run that was stopped, to the same bits.

    Of a run that is complete it draws the page, if its process ended before that was drawn.
    """
    terminal = Terminal()
    if runs.state(directory) == "complete":
        return _draw_missing(experiment, directory, terminal)
    config = configs.load_config(directory, experiment.config, command=experiment.command)
    _check_sources(directory, config, terminal)
    found = sharing.resumed(
        lambda own: runs.resume(own, experiment.command, experiment.config), directory
    )
    if found.run is None:  # it has just ended
        return _draw_missing(experiment, directory, terminal)
    if not found.verified:
        terminal.say(
            f"{directory} was begun by a version that recorded no checksums of config and metrics: "
            "whether they were altered since cannot be told"
        )
    for line in found.differences:
        terminal.say(f"differs: {line}")
    with _run(experiment, found.run) as run:
        plan = _prepared(experiment, run.config, run.directory)
        claims = _measure(experiment, run.config, plan, run, terminal)
    _finish(experiment, run.directory, claims, terminal, named=run.named)
    return 0


def carry_out(experiment: Experiment, config: Any, directory: Path, terminal: Terminal) -> None:
    """Measures into a directory, or goes on with the run that was stopped there; draws nothing.

    Raises:
        RunError: the options have a mistake, or the directory holds something else.
    """
    if files.exists(directory / "config.json"):
        found = runs.resume(directory, experiment.command, experiment.config).run
        if found is None:  # it is complete
            return
        config, plan = found.config, _prepared(experiment, found.config, directory)
    else:
        config, plan = resolved(experiment, config)
        found = _fresh(experiment, config, directory)
    with _run(experiment, found) as run:
        _measure(experiment, config, plan, run, terminal)


def _draw_missing(experiment: Experiment, directory: Path, terminal: Terminal) -> int:
    """Draws the page of a complete run where it is not there as it was drawn of the whole run.

    No clock is asked for that: one that was set back would make an older page the newer one.
    """
    drawn = _drawn(directory)
    if drawn is not None and _MANIFEST in drawn and _digests(directory, drawn) == drawn:
        terminal.say(f"{directory} is complete already; nothing to resume")
        return 0
    runs.load(directory, experiment.config, command=experiment.command)
    what = "was not drawn" if drawn is None else "is not as it was drawn"
    terminal.say(f"{directory} is complete, but its report {what}; drawing it")
    claims = experiment.concluded(directory) if experiment.concluded else None
    _finish(experiment, directory, claims, terminal)
    return 0


def _drawn(directory: Path) -> dict[str, str] | None:
    """What was recorded when the page was drawn last; None where that cannot be told."""
    path = directory / _DRAWN
    try:
        return files.unsealed(files.read_json(path), path)
    except runs.RunError:
        return None


def _digests(directory: Path, names: Iterable[str]) -> dict[str, str]:
    """The sha256 of those files that are there."""
    found = {}
    for name in names:
        with contextlib.suppress(OSError):
            found[name] = files.sha256(directory / name)
    return found


def replay(experiment: Experiment, directory: Path, run_dir: Path | None) -> int:
    """``sigmaprop replay``: 0 if every number has the same bits, else 1."""
    terminal = Terminal()
    before = runs.load(directory, experiment.config, command=experiment.command)
    _check_sources(directory, before.config, terminal)
    plan = _prepared(experiment, before.config, directory)
    for line in environment_differences(before.environment, environment(before.config.seed)):
        terminal.say(f"differs: {line}")
    with _run(experiment, _fresh(experiment, before.config, run_dir)) as run:
        for name in experiment.carried:
            if files.exists(directory / name):
                runs.write_atomic(run.directory / name, files.read_regular(directory / name))
        _measure(experiment, before.config, plan, run, terminal)
    after = runs.load(run.directory, experiment.config, command=experiment.command)
    first, second = (_untimed(experiment, found.metrics) for found in (before, after))
    different = runs.compare_tables(first, second, keys=list(experiment.keys))
    count = first.num_rows * len(experiment.values)
    which = f"{count} numbers" + (" that no clock goes into" if experiment.timed else "")
    if not different:
        terminal.say(f"identical: all {which} of {directory} have the same bits in {run.named}")
        return 0
    terminal.say(
        f"different: {len(different)} of {which} of {directory}; the repetition is in {run.named}"
    )
    for difference in different[:SHOWN_DIFFERENCES]:
        terminal.say(f"  {difference}")
    if len(different) > SHOWN_DIFFERENCES:
        terminal.say(f"  and {len(different) - SHOWN_DIFFERENCES} more")
    return 1


def report(experiment: Experiment, directories: Sequence[Path], out: Path | None) -> int:
    """``sigmaprop report``: figures and HTML from what runs hold, finished or not."""
    terminal = Terminal()
    if out is None and len(directories) > 1:
        raise runs.RunError(
            f"report overlays {len(directories)} runs; name a directory for it with --out"
        )
    notices = [_checked(experiment, directory) for directory in directories]
    for notice in filter(None, notices):
        terminal.say(notice)
    drawn = [
        directory
        for directory, notice in zip(directories, notices, strict=True)
        if not notice or unfinished.has_numbers(directory)
    ]
    if not drawn:
        return 0
    target = directories[0] if out is None else out
    _draw(experiment, target, drawn, terminal)
    terminal.say(f"report: {target / 'report.html'}")
    return 0


def _checked(experiment: Experiment, directory: Path) -> str:
    """Checks that a run can be reported on; how far it has come, empty for a complete one."""
    notice = ""
    if runs.state(directory) == "complete":
        runs.load(directory, experiment.config, command=experiment.command)
    else:
        runs.load_config(directory, experiment.config, command=experiment.command)
        notice = unfinished.notice(directory, shlex.quote(str(directory)))
    return notice


def _check_sources(directory: Path, config: Any, terminal: Terminal) -> None:
    """Refuses to run the files that a run directory names unless they are what the run used."""
    for spec, option in own_functions(config).items():
        remedy = f"restore it, or start anew with {option} {{spec}} given on the command line"
        for file in own_sources.check(directory, [spec], remedy):
            terminal.say(f"{file} is what the run used")


def _untimed(experiment: Experiment, table: pa.Table) -> pa.Table:
    """The rows that no clock goes into."""
    if not experiment.timed or "metric" not in table.column_names:
        return table
    return table.filter(~pc.field("metric").isin(list(experiment.timed)))


def resolved(
    experiment: Experiment, config: Any, terminal: Terminal | None = None
) -> tuple[Any, Any]:
    """The options of a new run with what they need of others, and their plan.

    Raises:
        RunError: the options have a mistake.
    """
    try:
        config = experiment.resolved(config)
    except ValueError as error:
        raise runs.RunError(str(error)) from error
    return config, _prepared(experiment, config, terminal=terminal)


def _prepared(
    experiment: Experiment,
    config: Any,
    directory: Path | None = None,
    terminal: Terminal | None = None,
) -> Any:
    """Mistakes in the options end as one sentence; anything later is a defect.

    ``directory`` is that of a run that has begun; ``terminal`` is told what is waited for.
    """
    try:
        with progress.waiting(terminal or Terminal(), "preparing"):
            if directory is not None and experiment.prepare_again is not None:
                return experiment.prepare_again(config, directory)
            return experiment.prepare(config)
    except ValueError as error:
        raise runs.RunError(str(error)) from error


@contextlib.contextmanager
def _run(experiment: Experiment, run: runs.Run) -> Iterator[runs.Run]:
    """A run that tells where it lies when it is stopped."""
    try:
        with run:
            yield run
    except (KeyboardInterrupt, runs.Terminated, processes.PeerLost) as error:
        again = f"go on with `sigmaprop resume {run.named}`"
        error.add_note(f"{run.named} is marked interrupted; {again}")
        raise


def _measure(
    experiment: Experiment, config: Any, plan: Any, run: runs.Run, terminal: Terminal
) -> list[Any]:
    devices = jax.devices()
    where = counted(len(devices), f"{devices[0].platform} device")
    where += f" of {processes.num()} processes" if processes.num() > 1 else ""
    with streams.outliving_pipe():  # the run has begun
        terminal.say(f"{experiment.headline(config, plan)}, on {where}; run directory {run.named}")
    own_sources.save(run, own_functions(config))
    total = experiment.total(config, plan)
    # Where f overflows, at a large sigma say, the numbers show it: inf and NaN.
    with (
        streams.outliving_pipe(),
        np.errstate(all="ignore"),
        progress.telling(terminal, total, experiment.unit) as told,
    ):
        return experiment.run(config, plan, run, told)


def _draw(
    experiment: Experiment, target: Path, directories: Sequence[Path], terminal: Terminal
) -> None:
    """Writes the report, and in the directory of a complete run what `_draw_missing` asks for.

    Raises:
        RunError: it cannot be written, or a run cannot be read.
    """
    manifest = _digests(target, [_MANIFEST])  # before: a run may end while its page is drawn
    try:
        target.mkdir(parents=True, exist_ok=True)
        _write_report(experiment, target, directories, terminal)
        if manifest and target in directories:
            figures = sorted(f"figures/{path.name}" for path in (target / "figures").glob("*"))
            drawn = manifest | _digests(target, [_PAGE, *figures])
            files.write_json(target / _DRAWN, files.sealed(drawn))
    except (OSError, files.Unwritable) as error:
        cause = error if isinstance(error, OSError) else error.__cause__
        why, code = getattr(cause, "strerror", None) or cause, getattr(cause, "errno", None)
        other = "choose another directory with `sigmaprop report RUN --out DIR`"
        raise runs.RunError(
            f"cannot write the report to {target} ({why}); {files.remedy(code, other)}"
        ) from error


def _write_report(
    experiment: Experiment, target: Path, directories: Sequence[Path], terminal: Terminal
) -> None:
    telling = progress.telling(terminal, None, "figures", "reading the numbers")
    with streams.outliving_pipe(), telling as told:
        experiment.write_report(target, tuple(directories), told.figures)


def print_claims(directory: Path, claims: list[Any], terminal: Terminal) -> None:
    """The summary of an experiment that judges claims."""
    from sigmaprop.reporting import terminal as tables

    del directory
    for table in tables.claims_by_objective(claims):
        terminal.print(table)
    terminal.print(tables.summary(claims), soft_wrap=True)


def _finish(
    experiment: Experiment,
    directory: Path,
    claims: list[Any] | None,
    terminal: Terminal,
    *,
    named: Path | None = None,
) -> None:
    """Writes the report, then prints what was found, if that is known, and where it lies.

    ``named`` is the directory as the user named it, where that is not ``directory``.
    """
    if not processes.leads():
        return
    named = named or directory
    _draw(experiment, directory, [directory], terminal)
    if claims is not None:
        experiment.summary(directory, claims, terminal)
    count = len(list((directory / "figures").glob("*.svg")))
    terminal.say(f"figures: {named / 'figures'} ({count}, each as SVG and PNG)")
    terminal.say(f"report:  {named / 'report.html'}")
