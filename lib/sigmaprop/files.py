"""Whole files or none: atomic writes, strict JSON, checksums, and the lock of a run directory."""

import fcntl
import hashlib
import json
import os
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO


class RunError(ValueError):
    """A user's mistake: one sentence that names the file or option, its value and the remedy."""

    def __init__(self, message: str):
        super().__init__(" ".join(message.splitlines()))


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns the system's refusal into a `RunError` that names ``path``."""
    try:
        yield
    except OSError as error:
        why = error.strerror or error
        raise RunError(
            f"cannot write {path} ({why}); choose another --run-dir or make room for it"
        ) from error


@contextmanager
def atomic(path: Path) -> Iterator[BinaryIO]:
    """A file that takes the name ``path`` once it is complete and on disk.

    Raises:
        RunError: if it cannot be written; an older file of this name stays as it was.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(temporary, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
    finally:
        with suppress(OSError):
            temporary.unlink()
    _sync(path.parent)


def write_atomic(path: Path, data: bytes | str) -> None:
    """Writes a whole file or nothing: temporary name, fsync, rename.

    Raises:
        RunError: if it cannot be written; an older file of this name stays as it was.
    """
    with atomic(Path(path)) as file:
        file.write(data.encode() if isinstance(data, str) else data)


def write_json(path: Path, content: Any) -> None:
    """Writes JSON that `read_json` reads back.

    Raises:
        RunError: if it cannot be written.
    """
    write_atomic(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Reads JSON, strictly: no name twice.

    Raises:
        RunError: if the file is missing or damaged.
    """
    try:
        return json.loads(path.read_bytes(), object_pairs_hook=_unique)
    except OSError as error:
        why = error.strerror or error
        raise RunError(f"cannot read {path} ({why}); restore it or choose another") from error
    except (ValueError, RecursionError) as error:
        raise RunError(
            f"{path} is truncated or not valid JSON ({error}); restore it or choose another"
        ) from error


def write_manifest(directory: Path, names: Iterable[str]) -> None:
    """Writes ``manifest.json`` with the sha256 of the files ``names`` below ``directory``.

    Raises:
        RunError: if one of them is missing.
    """
    try:
        digests = {name: _sha256(directory / name) for name in names}
    except OSError as error:
        raise RunError(f"{error.filename} is missing; write it before the run ends") from error
    write_json(directory / "manifest.json", _sealed(digests))


def verify_manifest(directory: Path) -> None:
    """Recomputes the checksums in ``manifest.json``.

    Raises:
        RunError: if a file, or the manifest itself, was altered or is missing.
    """
    manifest = read_json(directory / "manifest.json")
    digests = manifest.get("files") if isinstance(manifest, dict) else None
    if not isinstance(digests, dict) or manifest != _sealed(digests):
        raise _altered(directory / "manifest.json")
    for name, digest in digests.items():
        path = directory / name
        if not path.is_file():
            raise RunError(f"{path} is missing; restore it or repeat the run")
        if _sha256(path) != digest:
            raise _altered(path)


def take_lock(directory: Path) -> int:
    """Takes the lock, which the system releases when this process dies.

    Returns:
        Its descriptor; closing it releases the lock.

    Raises:
        RunError: if another process holds it, or the file cannot be written.
    """
    with writing(directory):
        descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _flock(descriptor)
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"{os.getpid()}\n".encode())
        except OSError as error:
            pid = _pid(descriptor)
            os.close(descriptor)
            if isinstance(error, BlockingIOError):
                raise held(directory, pid) from error
            raise
    return descriptor


def holder(directory: Path) -> str | None:
    """The pid of the living process that holds the lock, None where nobody does."""
    try:
        descriptor = os.open(directory / "lock", os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _pid(descriptor)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return None


def held(directory: Path, pid: str) -> RunError:
    """The error for a directory whose lock another process holds."""
    return RunError(
        f"--run-dir {directory} is held by a living process (pid {pid}); "
        "wait until it ends or choose another"
    )


def _sync(directory: Path) -> None:
    """Makes a rename last through a power cut, where the file system knows how."""
    with suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = {}
    for name, value in pairs:
        if name in content:
            raise ValueError(f"{name!r} is given twice")
        content[name] = value
    return content


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sealed(digests: dict[str, str]) -> dict[str, Any]:
    """A manifest with a checksum of its own."""
    seal = hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()
    return {"schema": 1, "files": digests, "checksum": seal}


def _altered(path: Path) -> RunError:
    return RunError(f"{path} was altered after the run; restore it or repeat the run")


def _flock(descriptor: int) -> None:
    """Locks, with patience for somebody who only looks."""
    for _ in range(5):
        with suppress(BlockingIOError):
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        time.sleep(0.02)
    return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _pid(descriptor: int) -> str:
    return os.pread(descriptor, 20, 0).decode(errors="replace").strip() or "unknown"
