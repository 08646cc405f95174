"""`sigmaprop compile`, once its words are read."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax

from sigmaprop import runs

from .. import progress
from ..compile import bounds, records
from ..compile.devices import chips, devices
from ..compile.targets import Target
from ..terminal import Terminal, counted
from ..training import chunks
from . import launch
from .compile_commands import CompileCommand
from .launch import Experiment


def show(command: CompileCommand, target: Target, experiment: Experiment, config: Any) -> int:
    """Compiles the programs and says what was found; 1 where one of them does not fit, else 0.

    Raises:
        RunError: a mistake in the options.
    """
    if target.kind != "cpu":  # what is compiled for a machine elsewhere cannot be loaded again
        jax.config.update("jax_enable_compilation_cache", False)
    terminal = Terminal(stderr=command.json)
    try:
        found = devices(target)
    except ValueError as error:
        raise runs.RunError(str(error)) from error
    config, plan = launch.resolved(experiment, config, terminal)
    terminal.say(
        f"{experiment.headline(config, plan)}; for {counted(len(found), 'device')} of "
        f"{target.name}, where nothing is run"
    )
    assert experiment.programs is not None
    one = bounds.chip(target, found, chips(found))
    room = None if target.kind == "cpu" and target.memory is None else one.usable
    with progress.telling(terminal, None, "", "describing the programs") as told:
        programs = chunks.described(config, plan, experiment.programs, found, room, told)
    chosen = [one for one in programs if one.work is not None or not command.steps_only]
    try:
        each = [_compiled(program, terminal, one) for program in chosen]
    except bounds.TooLarge as error:
        terminal.say(str(error))
        return 1
    if not each:
        raise runs.RunError(f"these options of {command.command} need no program; change them")
    kept = _keep(command.hlo, each)
    if command.json:
        content = records.as_json(command.command, each, target, one, chips(found))
        print(json.dumps(content | {"hlo": list(map(str, kept))}, indent=1))
    else:
        _print(command, each, target, one, kept, terminal)
    for sentence in (refusals := records.refusals(each)):
        terminal.say(sentence)
    return 1 if refusals else 0


def _compiled(program: Any, terminal: Terminal, one: bounds.Chip) -> records.Found:
    with progress.waiting(terminal, f"compiling {program.name}"):
        return records.found(bounds.compiled(program), one)


def _print(
    command: CompileCommand,
    each: Sequence[records.Found],
    target: Target,
    one: bounds.Chip,
    kept: Sequence[Path],
    terminal: Terminal,
) -> None:
    terminal.print(records.memory_table(each, one))
    if any(found.bound is not None for found in each):
        terminal.print(records.step_table(each))
        terminal.print(records.run_table(each))
    for found in each:
        if command.profile and found.bound is not None:
            terminal.print(records.profile_table(found))
    for sentence in records.sentences(each, target, one):
        terminal.print(sentence, highlight=False, markup=False)
    for path in kept:
        terminal.say(f"program: {path}")


def _keep(file: Path | None, each: Sequence[records.Found]) -> list[Path]:
    """Writes the optimised programs: the first to the file itself."""
    if file is None:
        return []
    paths = [
        file if number == 1 else file.with_name(f"{file.stem}.{number}{file.suffix}")
        for number in range(1, len(each) + 1)
    ]
    for path, found in zip(paths, each, strict=True):
        runs.write_atomic(path, found.compiled.text)
    return paths
