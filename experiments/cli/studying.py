"""`sigmaprop study`, once its words are read."""

import math
import shlex
from datetime import UTC, datetime
from pathlib import Path

from sigmaprop.reporting.study import terminal as tables
from sigmaprop.runs.files import RunError

from ..study import forecast, registration, run
from ..terminal import Terminal
from .study_commands import StudyCommand


def check(command: StudyCommand) -> None:
    """Refuses options that contradict each other.

    Raises:
        ValueError: naming the option, its value and what is allowed.
    """
    for name, value, kind in (
        ("reason", command.reason, "amend"),
        ("minutes", command.minutes, "run"),
        ("dry-run", command.dry_run or None, "run"),
    ):
        if value is not None and command.what != kind:
            raise ValueError(f"--{name} belongs to `sigmaprop study {kind}`; leave it out")
    if command.what == "amend" and (command.run_dir is None or not (command.reason or "").strip()):
        raise ValueError("study amend needs --run-dir and --reason WHY; give both")
    if command.minutes is not None and not 0 < command.minutes < math.inf:
        raise ValueError(f"--minutes is {command.minutes:g}; give a number above 0")


def show(command: StudyCommand) -> int:
    """Does it; 0, or 1 where no hypothesis may be asked.

    Raises:
        RunError: the registration or the directory does not allow it.
    """
    terminal = Terminal()
    path = command.registration or registration.OWN
    if command.what == "show":
        print(path.read_text(), end="")
        return 0
    if command.dry_run:
        return _forecast(path, command.preset, terminal)
    directory = command.run_dir or _fresh(command.preset)
    if command.what == "amend":
        return run.amend(directory, path, str(command.reason), terminal)
    with run.opened(directory, path, command.preset, terminal) as study:
        if command.what == "gate":
            admitted = run.measure_gates(study)
            terminal.print(tables.gates(admitted))
            return 0 if any(one.passes for one in admitted) else 1
        finished = run.run(study, command.minutes)
    again = f"sigmaprop study --run-dir {shlex.quote(str(directory))}"
    if command.registration is not None:
        again += f" --registration {shlex.quote(str(command.registration))}"
    if not finished:
        terminal.say(f"{command.minutes:g} minutes are over; go on with `{again}`")
        return 0
    for table in tables.summary(run.result(directory)):
        terminal.print(table)
    terminal.say(f"result: {directory / run.RESULT}")
    return 0


def _fresh(preset: str | None) -> Path:
    return Path("runs") / f"study-{preset or 'quick'}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"


def _forecast(path: Path, preset: str | None, terminal: Terminal) -> int:
    try:
        found, _ = registration.read(path)
        chosen = found.preset(preset or found.presets[0].name)
        for line in forecast.lines(found, chosen):
            terminal.say(line)
    except ValueError as error:
        raise RunError(str(error)) from error
    return 0
