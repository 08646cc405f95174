"""Does learning the variance of a generator help? The registered comparison.

    sigmaprop study                          # the preset quick, under 15 minutes on 2 cores
    sigmaprop study --preset digits --run-dir runs/study --minutes 60       # a slice of hours
    sigmaprop study gate --preset digits --run-dir runs/study               # what may be asked

Every stage is an ordinary run of `sigmaprop metrics` or `sigmaprop gan` in a directory of its own
below the study's. What is finished is never run again; a study that was stopped goes on where it
stood, to the same tables.
"""

import dataclasses
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from sigmaprop import runs
from sigmaprop.runs import configs, files
from sigmaprop.runs.environment import environment
from sigmaprop.runs.files import RunError, exists, read_json, write_json
from sigmaprop.runs.signals import terminations_raise

from ..cli import launch, registry
from ..cli.tiny import cut
from ..terminal import Terminal
from . import accounting, conclusion, gates, ledger, registration, selection, stages
from .registration import Block, Likelihood, Preset, Registration
from .stages import Stage

RESULT = "study.json"
_REGISTRATION = "registration.json"


class Study(NamedTuple):
    """A study in its directory.

    Attributes:
        directory: of the study.
        registration: what was registered last.
        preset: how much of it is run.
        terminal: to tell on.
        places: the runs that stages of it have, by the stages' names, as far as they have ended.
    """

    directory: Path
    registration: Registration
    preset: Preset
    terminal: Terminal
    places: dict[str, str]

    @property
    def blocks(self) -> list[Block]:
        """Those of the preset."""
        return [self.registration.block(name) for name in self.preset.blocks]


class SliceOver(Exception):
    """The minutes that were given are used up; everything is saved."""


@contextmanager
def opened(directory: Path, path: Path, preset: str | None, terminal: Terminal) -> Iterator[Study]:
    """A study's directory, made or gone on with, that no other process writes into meanwhile.

    Args:
        directory: new or empty, or that of a study.
        path: the registration.
        preset: of the registration; None: what the study was begun with, else its first.
        terminal: to tell on.

    Raises:
        RunError: the registration is none, is not committed, or is another than the study's.
    """
    found, sha256 = _read(path)
    name = preset or found.presets[0].name
    lines = ledger.read(directory)
    if lines:
        name = _begun_with(directory, lines, path, sha256, preset)
    elif why := gates.uncommitted(path):
        raise RunError(why)
    else:
        _checked(found, name)
        runs.new_directory(directory, "study")
    with _locked(directory):
        if not lines:
            _begin(directory, path, sha256, name)
        yield Study(directory, found, _checked(found, name), terminal, {})


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """The lock of a directory, for as long as the work takes."""
    lock = files.take_lock(directory)
    try:
        yield
    finally:
        os.close(lock)


def _read(path: Path) -> tuple[Registration, str]:
    try:
        return registration.read(path)
    except ValueError as error:
        raise RunError(str(error)) from error


def _checked(found: Registration, name: str) -> Preset:
    """The preset, once it is known that its commands would take it."""
    try:
        whole = found.preset(name)
        preset = cut("study", whole)
        if preset is not whole:  # a few seconds of work: the first block
            preset = dataclasses.replace(preset, blocks=preset.blocks[:1])
        stages.checked(found, preset)
    except ValueError as error:
        raise RunError(str(error)) from error
    return preset


def _begin(directory: Path, path: Path, sha256: str, preset: str) -> None:
    write_json(directory / _REGISTRATION, read_json(path))
    found = environment(None)
    write_json(directory / "environment.json", found)
    ledger.add(directory, "registered", registration=sha256, preset=preset, git=found["git"])


def _begun_with(
    directory: Path, lines: Sequence[dict[str, Any]], path: Path, sha256: str, preset: str | None
) -> str:
    """The preset that a study goes on with."""
    last = ledger.standing(lines)
    if last["registration"] != sha256:
        raise RunError(
            f"{directory} was registered as {last['registration'][:12]} and {path} is "
            f"{sha256[:12]}; choose another --run-dir, or record the change with `sigmaprop study "
            f"amend --run-dir {directory} --reason WHY`"
        )
    if preset not in (None, last["preset"]):
        raise RunError(
            f"{directory} was registered with --preset {last['preset']}, not {preset}; choose "
            "another --run-dir"
        )
    return last["preset"]


def amend(directory: Path, path: Path, reason: str, terminal: Terminal) -> int:
    """Records that the registration has changed, and why; 0, the exit status.

    Raises:
        RunError: the directory holds no study, the registration has not changed or is none.
    """
    lines = ledger.read(directory)
    if not lines:
        raise RunError(f"{directory} holds no study; name the --run-dir of one")
    found, sha256 = _read(path)
    last = ledger.standing(lines)
    if last["registration"] == sha256:
        raise RunError(f"{path} is what {directory} was registered as; there is nothing to amend")
    _checked(found, last["preset"])
    with _locked(directory):
        before = read_json(directory / _REGISTRATION)
        write_json(directory / f"registration-{last['registration'][:12]}.json", before)
        write_json(directory / _REGISTRATION, read_json(path))
        ledger.add(
            directory,
            "amended",
            registration=sha256,
            preset=last["preset"],
            reason=reason,
            git=environment(None)["git"],
        )
    touched = conclusion.deviating(directory, found)
    terminal.say(f"{directory}: registration {last['registration'][:12]} is now {sha256[:12]}")
    if touched:
        terminal.say(f"after data, so reported as DEVIATED: {', '.join(touched)}")
    return 0


def measure_gates(study: Study) -> list[gates.Admission]:
    """Runs what the gates go by where it has not run, and judges every test."""
    found = {
        block.name: _measurements(study, block)
        for block in study.blocks
        if gates.compares(study.registration, study.preset, block)
    }
    return gates.admissions(study.registration, study.preset, found)


def _measurements(study: Study, block: Block) -> gates.Measurements:
    """What the gates of a block go by."""
    about = study.registration, study.preset, block
    metric = _done(study, Stage(block.name, "metric", "metrics", stages.metric_config(*about)))
    own = stages.baseline_config(*about)
    baseline = _done(study, Stage(block.name, "baseline", "gan", own))
    if not stages.needs_pilot(*about):
        return gates.Measurements(metric, baseline, baseline)
    own = stages.baseline_config(*about, pilot=True)
    return gates.Measurements(
        metric, baseline, _done(study, Stage(block.name, "pilot", "gan", own))
    )


def run(study: Study, minutes: float | None = None) -> bool:
    """Runs what is left of a study, and concludes.

    Args:
        study: from `opened`.
        minutes: after which it stops, everything saved; None: when it is finished.

    Returns:
        Whether it is finished.

    Raises:
        RunError: a run of the ledger is gone or altered.
    """
    _audited(study)
    try:
        with _slice(minutes):
            admitted = measure_gates(study)
            for block in study.blocks:
                _run_block(study, block, admitted)
            for name in study.preset.likelihoods:
                _estimate(study, study.registration.likelihood(name))
    except SliceOver:
        return False
    _conclude(study, admitted)
    return True


def result(directory: Path) -> dict[str, Any]:
    """What a finished study says.

    Raises:
        RunError: the file is missing or damaged.
    """
    return read_json(directory / RESULT)


def _run_block(study: Study, block: Block, admitted: Sequence[gates.Admission]) -> None:
    """The search, the comparison and what is frozen, where any test of the block may be asked."""
    own = [one for one in admitted if one.test.block == block.name]
    if not any(one.passes for one in own):
        study.terminal.say(f"{block.name}: no test may be asked, so none of its arms runs")
        return
    about = study.registration, study.preset, block
    chosen = selection.as_registered(block)
    if stages.has_search(study.preset, block):
        search = _done(study, Stage(block.name, "search", "gan", stages.search_config(*about)))
        chosen = selection.choose(*about, search)
    test = _done(study, Stage(block.name, "test", "gan", stages.test_config(*about, chosen)))
    for arm in block.arms:
        if arm.frozen:
            own = stages.frozen_config(*about, arm, chosen[arm.frozen], test)
            _done(study, Stage(block.name, "frozen", "gan", own, arm.name))


def _estimate(study: Study, one: Likelihood) -> None:
    """Likelihoods of the comparison of a block that has run, or of decoders trained for it."""
    if one.block:
        place = study.places.get(f"{one.block}/test")
        if place is None:
            study.terminal.say(f"{one.name}: {one.block} has not run, so there is nothing to judge")
            return
        source = study.directory / place
    else:
        own = stages.decoders_config(study.registration, study.preset, one)
        source = _done(study, Stage(one.name, "vae", "vae", own))
    own = stages.likelihood_config(study.preset, one, source)
    _done(study, Stage(one.name, "likelihood", "evaluate", own))


def _done(study: Study, stage: Stage) -> Path:
    """The directory of a stage's finished run, which is run where it has not been."""
    experiment = registry.get(stage.command)
    name = _place(study, stage, experiment)
    directory = study.directory / name
    study.places[stage.name] = name
    lines = ledger.read(study.directory)
    if any(line["run"] == name for line in ledger.of(lines, "finished")):
        return directory
    if not any(line["run"] == name for line in ledger.of(lines, "started")):
        ledger.add(study.directory, "started", run=name, command=stage.command)
    study.terminal.say(f"{stage.name}")
    launch.carry_out(experiment, stage.config, directory, study.terminal)
    ledger.add(study.directory, "finished", run=name, manifest=ledger.seal_of(directory))
    return directory


def _place(study: Study, stage: Stage, experiment: launch.Experiment) -> str:
    """The name of the stage's run: another where an amendment changed what is run."""
    number = 1
    while True:
        name = stage.name if number == 1 else f"{stage.name}-{number}"
        path = study.directory / name / "config.json"
        if not exists(path):
            return name
        before = configs.load_config(path, experiment.config, command=experiment.command)
        if accounting.same(before, stage.config):
            return name
        number += 1


def _audited(study: Study) -> None:
    """Refuses to go on beside runs that are not what the ledger says."""
    if found := ledger.audit(study.directory):
        raise RunError(f"{found[0]}; restore it, or begin anew in another --run-dir")


def _conclude(study: Study, admitted: Sequence[gates.Admission]) -> None:
    """Writes what the study says."""
    about = study.directory, study.registration, study.preset
    found = conclusion.conclude(*about, admitted, study.places)
    write_json(study.directory / RESULT, found)
    ledger.add(study.directory, "concluded", result=registration.digest(found))


@contextmanager
def _slice(minutes: float | None) -> Iterator[None]:
    """Inside, SIGTERM comes after so many minutes, and what it ends is no failure."""
    if minutes is None:
        yield
        return
    over = threading.Event()

    def end() -> None:
        over.set()
        os.kill(os.getpid(), signal.SIGTERM)

    timer = threading.Timer(60 * minutes, end)
    timer.daemon = True
    timer.start()
    try:
        with terminations_raise():  # between two runs, too
            yield
    except runs.Terminated as error:
        if not over.is_set():
            raise
        raise SliceOver from error
    finally:
        timer.cancel()
