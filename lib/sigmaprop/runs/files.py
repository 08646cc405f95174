"""Whole files or none: atomic writes, strict JSON, checksums, and the lock of a run directory.

Whatever is read is a regular file, opened by `open_regular`: a FIFO or a device that lies in the
place of one of our files is refused, where a plain ``open`` would wait for ever. What the system
refuses ends in a `RunError`, except where a docstring says OSError.
"""

import errno
import fcntl
import hashlib
import io
import json
import os
import re
import stat
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from sigmaprop.names import shown

MOST_TEXT = 2**26
"""Bytes of the largest JSON or Python file that is read: none of ours comes near it."""

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NOT_THERE = (errno.ENOENT, errno.ENOTDIR)
_NAME_KEPT = 80
"""Characters of a file's name in the name of its temporary file, which may have 255 bytes."""
_LONG_WORD = re.compile(r"\S{600,}")
"""What no sentence repeats whole: paths and values of that length are mistakes."""
_TEMPORARY = re.compile(r"\..*\.(?P<pid>\d+)-\d+\.tmp", re.DOTALL)


class RunError(ValueError):
    """A user's mistake: one sentence that names the file or option, its value and the remedy."""

    def __init__(self, message: str):
        line = " ".join(message.splitlines())
        super().__init__(_LONG_WORD.sub(lambda word: f"{word[0][:200]}...{word[0][-200:]}", line))


class Unwritable(RunError):
    """What the system does not let us write; its cause is the system's error."""


def absolute(path: Path) -> Path:
    """The path from the root, links in it left alone: it means the same from every directory."""
    try:
        return Path(path).absolute()
    except OSError as error:
        raise RunError(
            f"cannot find {path} ({error.strerror}): the working directory was removed; change to "
            "another"
        ) from error


def exists(path: Path) -> bool:
    """Whether there is something of that name.

    Raises:
        RunError: if the system does not say, because the name is too long or a folder is closed.
    """
    try:
        os.stat(path)
    except OSError as error:
        if error.errno in _NOT_THERE:
            return False
        raise unreadable(path, error) from error
    except ValueError:  # a NUL in it
        return False
    return True


def open_regular(path: Path) -> io.BufferedReader:
    """Opens a regular file for reading, without waiting for anybody.

    Raises:
        OSError: if it is none, or cannot be opened.
    """
    try:
        _check_regular(os.stat(path).st_mode, path)  # a device may act on being opened
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError as error:  # a NUL in it
        raise OSError(errno.EINVAL, str(error), str(path)) from error
    try:
        _check_regular(os.fstat(descriptor).st_mode, path)
        return open(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_regular(path: Path, most: int | None = None) -> bytes:
    """The bytes of a regular file, at most so many; None: any number.

    Raises:
        OSError: if it is no regular file, cannot be read, or is larger.
    """
    with open_regular(path) as file:
        if most is not None and os.fstat(file.fileno()).st_size > most:
            raise OSError(errno.EFBIG, f"it has more than {most:,} bytes", str(path))
        return file.read() if most is None else file.read(most)


def unreadable(path: Path, error: OSError) -> RunError:
    """The error for a file that the system does not let us read."""
    return RunError(f"cannot read {path} ({error.strerror or error}); restore it or choose another")


def remedy(code: int | None, other: str = "choose another --run-dir") -> str:
    """What a user can do where the system's error ``code`` keeps something from being written.

    ``other`` names the option that writes it elsewhere.
    """
    if code in _NO_ROOM:
        return f"make room for it or {other}"
    shorter = ", of a shorter name" if code == errno.ENAMETOOLONG else ""
    return f"{other}{shorter}"


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns the system's refusal into an `Unwritable` that names ``path``."""
    try:
        yield
    except OSError as error:
        why = error.strerror or error
        raise Unwritable(f"cannot write {path} ({why}); {remedy(error.errno)}") from error


@contextmanager
def atomic(path: Path) -> Iterator[BinaryIO]:
    """A file that takes the name ``path`` once it is complete and on disk.

    Its permissions are those that the umask leaves.

    Raises:
        RunError: if it cannot be written; an older file of this name stays as it was.
    """
    kept = path.name.encode()[:_NAME_KEPT].decode(errors="ignore")
    temporary = path.with_name(f".{kept}.{os.getpid()}-{threading.get_ident()}.tmp")
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
    with suppress(OSError):  # not every file system can
        sync(path.parent)


def sync(path: Path) -> None:
    """Makes a file, or the names in a directory, last through a power cut, or raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomic(path: Path, data: bytes | str) -> None:
    """Writes a whole file or nothing; see `atomic`."""
    with atomic(Path(path)) as file:
        file.write(data.encode() if isinstance(data, str) else data)


def write_json(path: Path, content: Any) -> None:
    """Writes JSON that `read_json` reads back, whole or not at all."""
    write_atomic(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Reads JSON, strictly: no name twice.

    Raises:
        RunError: if the file is missing or damaged.
    """
    try:
        return json.loads(read_regular(path, MOST_TEXT), object_pairs_hook=_unique)
    except OSError as error:
        raise unreadable(path, error) from error
    except (ValueError, RecursionError) as error:
        raise RunError(
            f"{path} is truncated or not valid JSON ({error}); restore it or choose another"
        ) from error


def write_manifest(directory: Path, names: Iterable[str]) -> None:
    """Writes ``manifest.json`` with the sha256 of the files ``names``, which must be there."""
    try:
        digests = {name: sha256(directory / name) for name in names}
    except OSError as error:
        raise RunError(f"{error.filename} is missing; write it before the run ends") from error
    write_json(directory / "manifest.json", sealed(digests))


def verify_manifest(directory: Path) -> None:
    """Recomputes the checksums in ``manifest.json``.

    Raises:
        RunError: if a file, or the manifest itself, was altered or is missing.
    """
    for name, digest in read_manifest(directory).items():
        if os.path.isabs(name) or ".." in Path(name).parts:
            raise RunError(
                f"{directory / 'manifest.json'} lists {shown(name)}, which lies outside; restore "
                "it or choose another run"
            )
        verify_file(directory / name, digest)


def read_manifest(directory: Path) -> dict[str, str]:
    """The sha256 of each file that ``manifest.json`` lists; only the manifest is verified."""
    path = directory / "manifest.json"
    return unsealed(read_json(path), path)


def verify_file(path: Path, digest: str) -> None:
    """Raises a RunError if a file was altered, is missing or cannot be read."""
    try:
        same = sha256(path) == digest
    except OSError as error:
        if error.errno in _NOT_THERE:
            raise RunError(f"{path} is missing; restore it or repeat the run") from None
        raise unreadable(path, error) from error
    if not same:
        raise RunError(f"{path} was altered after it was written; restore it or repeat the run")


def sha256(path: Path) -> str:
    """The SHA-256 of a regular file, in hexadecimal; OSError if it cannot be read."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(path: Path) -> str:
    """The SHA-256 of a regular file, in hexadecimal; RunError if it cannot be read."""
    try:
        return sha256(path)
    except OSError as error:
        raise unreadable(path, error) from error


def sealed(digests: Mapping[str, str]) -> dict[str, Any]:
    """Digests of files by name, with a checksum of their own."""
    text = json.dumps(dict(digests), sort_keys=True)
    checksum = hashlib.sha256(text.encode()).hexdigest()
    return {"schema": 1, "files": dict(digests), "checksum": checksum}


def unsealed(content: Any, path: Path) -> dict[str, str]:
    """The digests that `sealed` made a content of; a RunError that names ``path`` otherwise."""
    digests = content.get("files") if isinstance(content, dict) else None
    if not isinstance(digests, dict) or content != sealed(digests):
        raise RunError(f"{path} was altered after it was written; restore it or repeat the run")
    return digests


def remove_temporary(directory: Path) -> None:
    """Removes what `atomic` left below a directory in processes that were killed.

    Files of processes that live are left alone; a file that cannot be removed stays.
    """
    for folder, _, names in os.walk(directory):
        for name in names:
            match = _TEMPORARY.fullmatch(name)
            if match and not _lives(int(match["pid"])):
                with suppress(OSError):
                    os.unlink(os.path.join(folder, name))


def take_lock(directory: Path) -> int:
    """Takes the lock, which the system releases when this process dies.

    Returns:
        Its descriptor; closing it releases the lock.

    Raises:
        RunError: if another process holds it, or the file cannot be written.
    """
    with writing(directory):
        descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_NONBLOCK, 0o666)
        try:
            _check_regular(os.fstat(descriptor).st_mode, directory / "lock")
            _flock(descriptor)
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"{os.getpid()}\n".encode())
        except OSError as error:
            pid = _pid(descriptor) if isinstance(error, BlockingIOError) else None
            os.close(descriptor)
            if pid is not None:
                raise held(directory, pid) from error
            raise
    return descriptor


def holder(directory: Path) -> str | None:
    """The pid of the living process that holds the lock, None where nobody does."""
    try:
        descriptor = os.open(directory / "lock", os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
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


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = {}
    for name, value in pairs:
        if name in content:
            raise ValueError(f"{shown(name)} is given twice")
        content[name] = value
    return content


def _check_regular(mode: int, path: Path) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "it is a FIFO, socket or device and no file", str(path))


def _lives(pid: int) -> bool:
    """Whether a process of that number lives; this one itself counts as one."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True


def _flock(descriptor: int) -> None:
    """Locks, with patience for somebody who only looks."""
    for attempt in range(6):
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if attempt == 5:
                raise
            time.sleep(0.02)


def _pid(descriptor: int) -> str:
    return os.pread(descriptor, 20, 0).decode(errors="replace").strip() or "unknown"
