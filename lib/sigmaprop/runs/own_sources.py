"""Files of the user's own functions: where they lie, and whether they are those that a run used.

A run keeps sha256 and text of each in ``own_objectives.json``. Its config names the files, and a
run directory may come from somebody else: what it names is run only after it was found to be what
the run used, and never where the run directory brings it along. A file that the user names on the
command line is the user's own affair.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sigmaprop.names import shown
from sigmaprop.runs.files import (
    MOST_TEXT,
    RunError,
    exists,
    read_json,
    read_regular,
    write_atomic,
)
from sigmaprop.runs.run import Run, include

SOURCES = "own_objectives.json"


def is_own(name: str) -> bool:
    """Whether the name of an objective stands for a function in a file."""
    return ".py:" in name


def split(spec: str, what: str = "objective") -> tuple[Path, str]:
    """The file that a spec names, as a path from the root without links, and its function."""
    path, _, name = spec.rpartition(":")
    try:
        return Path(os.path.realpath(os.path.expanduser(path))), name
    except ValueError as error:  # a NUL in it
        raise refused(spec, f"its file has no possible name ({error})", what) from error


def read(spec: str, what: str = "objective") -> bytes:
    """The bytes of the file that a spec names.

    Raises:
        ValueError: it is no regular file, cannot be read, or is far too large.
    """
    path = split(spec, what)[0]
    try:
        return read_regular(path, MOST_TEXT)
    except OSError as error:
        raise refused(spec, f"{path} cannot be read ({error.strerror})", what) from error


def sha256(spec: str) -> str:
    """The SHA-256 of the file that a spec names, in hexadecimal; raises as `read` does."""
    return hashlib.sha256(read(spec)).hexdigest()


def kept(specs: Iterable[str]) -> dict[str, dict[str, str]]:
    """What a run keeps of its user's files: by spec, their sha256 and text."""
    return {
        spec: {"sha256": sha256(spec), "source": read(spec).decode(errors="replace")}
        for spec in specs
        if is_own(spec)
    }


def save(run: Run, specs: Iterable[str]) -> None:
    """Keeps the source of the user's own functions beside the numbers; see `kept`."""
    if own := kept(specs):
        write_atomic(run.directory / SOURCES, json.dumps(own, indent=1))
        include(run, run.directory / SOURCES)


def check(directory: Path, specs: Iterable[str], remedy: str) -> list[Path]:
    """Refuses a run's own files that are not what the run used; nothing of them is run.

    Args:
        directory: the run directory, or the folder of a config file.
        specs: objectives that its config names; those that are in no file are left out.
        remedy: what to do about a refusal, the end of a sentence. ``{spec}`` is the objective.

    Returns:
        The files, from the root.

    Raises:
        RunError: naming the file that differs, is not recorded, or lies in the directory itself.
    """
    own = [spec for spec in specs if is_own(spec)]
    sources = Path(directory) / SOURCES
    record = read_json(sources) if own and exists(sources) else {}
    return [
        _checked(directory, spec, record.get(spec) if isinstance(record, dict) else None, remedy)
        for spec in own
    ]


def _checked(directory: Path, spec: str, recorded: Any, remedy: str) -> Path:
    """The file of one spec, refused unless it is what was recorded."""
    path, sources = split(spec)[0], Path(directory) / SOURCES
    rest = remedy.replace("{spec}", shown(spec, 300))
    digest = recorded.get("sha256") if isinstance(recorded, dict) else None
    if path.is_relative_to(os.path.realpath(directory)):
        raise RunError(f"{path}, which {directory} names, came with it and is not run; {rest}")
    if not isinstance(digest, str):
        raise RunError(
            f"{path}, which {directory} names, is not run: {sources} does not record it; {rest}"
        )
    try:
        same = sha256(spec) == digest
    except ValueError as error:
        raise RunError(f"{error}; what the run used stands in {sources}; {rest}") from error
    if not same:
        raise RunError(
            f"{path} is not what {directory} used and is not run; that stands in {sources}; {rest}"
        )
    return path


def refused(spec: str, reason: str, what: str = "objective") -> ValueError:
    """The error for a function that cannot be used; the middle of a long spec is left out."""
    return ValueError(f"{what} {shown(spec, 300)}: {reason}")
