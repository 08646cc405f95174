"""What was done in a study, line by line: a file that only grows, each line sealed by the next.

A run that was deleted, altered or added, and a line that was taken out, is noticed.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sigmaprop import runs
from sigmaprop.runs.files import RunError, exists, read_regular, writing

from .registration import digest

NAME = "ledger.jsonl"
_FIRST = "0" * 64


def add(directory: Path, event: str, **content: Any) -> dict[str, Any]:
    """Appends a line.

    Args:
        directory: of the study.
        event: "registered", "amended", "started", "finished" or "concluded".
        content: what belongs to it.

    Raises:
        RunError: the file was altered, or cannot be written.
    """
    lines = read(directory)
    line = {
        "event": event,
        "time": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        **content,
        "previous": lines[-1]["sha256"] if lines else _FIRST,
    }
    line["sha256"] = digest(line)
    path = directory / NAME
    with writing(path), open(path, "a") as file:
        file.write(json.dumps(line) + "\n")
        file.flush()
        os.fsync(file.fileno())
    return line


def read(directory: Path) -> list[dict[str, Any]]:
    """All lines; a last one that was not written to its end counts as none.

    Raises:
        RunError: a line was altered or taken out.
    """
    path = directory / NAME
    if not exists(path):
        return []
    *whole, rest = read_regular(path).decode(errors="replace").split("\n")
    if rest:  # the process ended while it wrote it
        runs.write_atomic(path, "".join(f"{line}\n" for line in whole))
    found, previous = [], _FIRST
    for number, text in enumerate(whole, 1):
        try:
            line = json.loads(text)
            sealed = digest({key: value for key, value in line.items() if key != "sha256"})
            if line["previous"] != previous or line["sha256"] != sealed:
                raise ValueError
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise RunError(
                f"line {number} of {path} is not what the study wrote; restore the file"
            ) from error
        previous = line["sha256"]
        found.append(line)
    return found


def of(lines: Sequence[dict[str, Any]], event: str) -> list[dict[str, Any]]:
    """The lines of one kind."""
    return [line for line in lines if line["event"] == event]


def standing(lines: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The line of the registration that stands: as begun, or as amended last."""
    *_, last = (line for line in lines if line["event"] in ("registered", "amended"))
    return last


def seal_of(run: Path) -> str:
    """The SHA-256 of a finished run's manifest, which seals its files."""
    return hashlib.sha256(read_regular(run / "manifest.json")).hexdigest()


def audit(directory: Path) -> list[str]:
    """What does not agree between the ledger and the runs, a sentence each."""
    lines = read(directory)
    started = {line["run"] for line in of(lines, "started")}
    sealed = {line["run"]: line["manifest"] for line in of(lines, "finished")}
    found = []
    for run, manifest in sealed.items():
        if not exists(directory / run / "manifest.json"):
            found.append(f"{run} is in the ledger and not in {directory}")
        elif seal_of(directory / run) != manifest:
            found.append(f"{run} is not what the ledger sealed")
    for path in sorted(directory.glob("*/*/config.json")):
        run = str(path.parent.relative_to(directory))
        if run not in started:
            found.append(f"{run} lies in {directory} and not in the ledger")
    return found
