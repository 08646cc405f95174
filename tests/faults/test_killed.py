"""Processes that are killed at any moment: every run goes on, to the bits of one that was not."""

import random
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from sigmaprop import runs

from .processes import (
    GAN,
    LIMIT,
    LONG,
    assert_same,
    assert_whole,
    run,
    saved,
    start,
    status,
    succeeded,
    told,
    wait_for,
)

ESTIMATORS = (
    *("estimators", "--objective", "sine", "--sigmas", ".5", "--num-samples", "64"),
    *("--replicates", "16", "--studies", "coupling", "variance_curves"),
)
Anchor = Callable[[Path, subprocess.Popen], Callable[[], object]]


class Moment(NamedTuple):
    """When to kill: a random while behind what shows how far a process is."""

    anchor: str
    delay: float


def _begun(directory: Path, process: subprocess.Popen) -> Callable[[], object]:
    return lambda: status(directory).get("pid") == process.pid


def _next_checkpoint(directory: Path, process: subprocess.Popen) -> Callable[[], object]:
    begun, before = _begun(directory, process), []

    def passed() -> bool:
        if not begun():
            return False
        before.append(saved(directory))
        return before[0] != before[-1] and bool(before[-1])

    return passed


def _saving(directory: Path, process: subprocess.Popen) -> Callable[[], object]:
    begun, place = _begun(directory, process), directory / "checkpoints" / ".saving"
    return lambda: begun() and place.exists()


ANCHORS: dict[str, Anchor] = {
    "process": lambda directory, process: lambda: True,
    "begun": _begun,
    "checkpoint": _next_checkpoint,
    "saving": _saving,
    "trained": lambda directory, process: (directory / "model-0.npz").exists,
    "complete": lambda directory, process: lambda: status(directory).get("status") == "complete",
    "part": lambda directory, process: lambda: list(directory.glob("metrics/part-*.parquet")),
}
WHILE = {
    **{"process": 2.5, "begun": 2.0, "checkpoint": 0.3, "saving": 0.05, "trained": 1.0},
    **{"complete": 2.0, "part": 1.0},
}
"""The longest delay behind each of them, in seconds."""
LIFE = ("process", "begun", *("checkpoint", "saving") * 3, "trained", "complete")
"""Ten kills of one run, in the order in which a run passes by."""


def phase(directory: Path) -> str:
    """What a killed process was about, by what it left."""
    if not (directory / "config.json").exists():
        return "start"
    if (directory / "drawn.json").exists():
        return "end"
    if runs.state(directory) == "complete":
        return "report"
    if (directory / "checkpoints" / ".saving").exists():
        return "checkpoint"
    if list(directory.rglob("*.tmp")):
        return "file"
    if (directory / "model-0.npz").exists():
        return "scores"
    if list(directory.glob("metrics/part-*.parquet")):
        return "steps"
    return "before the first part"


def kill(words: tuple[object, ...], directory: Path, moment: Moment) -> str | None:
    """Starts a process and kills it then; the phase, None where it ended before."""
    process = start(*words, stdout=subprocess.DEVNULL)
    try:
        alive = wait_for(process, ANCHORS[moment.anchor](directory, process))
        if alive:
            time.sleep(moment.delay)
    finally:
        process.kill()
        _, err = process.communicate()
    if process.returncode >= 0:
        assert process.returncode == 0, err
        return None
    if directory.exists() and (directory / "status.json").exists():
        assert_whole(directory)
    return phase(directory)


def lives(
    words: tuple[object, ...], moments: list[Moment], root: Path
) -> Iterator[tuple[Path, list[str]]]:
    """Runs that are killed and resumed until no moment is left; each ends by itself at last."""
    number = 0
    while moments:
        directory, found = root / str(number), []
        number += 1
        while moments:
            begun = (directory / "config.json").exists()
            if not begun and found:  # there is nothing to resume, and it says so
                ended = run("resume", directory)
                assert "nothing to resume" in told(ended, 2) or "no directory" in ended.stderr
                yield directory, found
                break
            again = ("resume", directory) if begun else (*words, "--run-dir", directory)
            if (hit := kill(again, directory, moments[0])) is None:
                break
            found.append(hit)
            if moments.pop(0).anchor == "complete":
                break
        if (directory / "config.json").exists():
            succeeded(run("resume", directory))
            yield directory, found


def drawn(seed: int, order: tuple[str, ...]) -> list[Moment]:
    """Random moments of a fixed seed."""
    draw = random.Random(seed)
    return [Moment(anchor, draw.uniform(0.0, WHILE[anchor])) for anchor in order]


@pytest.mark.slow
def test_fifty_kills_of_a_run_of_generators_lose_nothing(whole, tmp_path):
    begin, phases = time.monotonic(), Counter()
    for directory, found in lives((*GAN, *LONG), drawn(0, LIFE * 5), tmp_path):
        phases.update(found)
        if (directory / "config.json").exists():
            assert_same(whole, directory)
            assert (directory / "report.html").exists()
    print(dict(phases), f"{time.monotonic() - begin:.0f} s")
    assert phases.total() == 50
    assert len(phases) >= 6, phases
    assert phases["steps"] + phases["checkpoint"] + phases["before the first part"] >= 20, phases
    assert phases["checkpoint"] >= 5, phases


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "order"),
    [
        (LIMIT, ("process", "begun", "part", "complete") * 2),
        (ESTIMATORS, ("begun", "part", "complete")),
    ],
    ids=["limit", "estimators"],
)
def test_kills_of_a_measurement_lose_nothing(tmp_path, words, order):
    begin, phases = time.monotonic(), Counter()
    reference = tmp_path / "whole"
    succeeded(run(*words, "--run-dir", reference))
    for directory, found in lives(words, drawn(1, order), tmp_path):
        phases.update(found)
        if (directory / "config.json").exists():
            assert_same(reference, directory)
    print(dict(phases), f"{time.monotonic() - begin:.0f} s")
    assert phases.total() == len(order)
    assert len(phases) >= 2, phases
