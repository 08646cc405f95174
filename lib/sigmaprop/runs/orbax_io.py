"""Named arrays to disk and back by orbax, with its traps in this one place.

orbax takes absolute paths only, refuses arrays without elements, says an error in many lines
besides raising it, fails late on a full disk, and leaves other reads and writes behind that end
after the one that failed. Its import is put off to the first use: it takes seconds.
"""

import errno
import gc
import logging
import os
import re
import sys
import time
import traceback
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sigmaprop.runs.files import absolute

_STRAY_SECONDS = 0.2
"""How long orbax's other reads and writes may take to end after one has failed."""
_PASSING = (
    *(errno.EACCES, errno.EPERM, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM),
    *(errno.EAGAIN, errno.EINTR, errno.ESTALE, errno.ETIMEDOUT),
)
_LOGGERS = ("absl", "asyncio", "concurrent.futures")


def save(folder: Path, arrays: Mapping[str, Any]) -> None:
    """Writes those that have elements into a new folder; raises almost anything."""
    from orbax.checkpoint import v1 as ocp

    with _quiet():
        ocp.save(str(absolute(folder)), _with_elements(arrays))


def load(folder: Path, abstract: Mapping[str, Any]) -> dict[str, Any]:
    """The arrays of a folder that have elements, made as ``abstract`` says; raises like `save`."""
    from orbax.checkpoint import v1 as ocp

    with _quiet():
        return ocp.load(str(absolute(folder)), _with_elements(abstract))


def look_for_room(folder: Path, arrays: Mapping[str, Any]) -> None:
    """Fails at once, with an OSError, where the disk is too full for the arrays."""
    size = sum(getattr(array, "nbytes", 8) for array in arrays.values())
    if hasattr(os, "posix_fallocate"):
        with open(folder / "room", "wb") as file:
            os.posix_fallocate(file.fileno(), 0, size + 2**16)
        (folder / "room").unlink()


def reason(error: BaseException) -> str:
    """The gist of an error, in one line."""
    if (code := system_code(error)) is not None:
        return os.strerror(code)
    text = " ".join(str(error).split()) or type(error).__name__
    return text.partition(";")[0][:200]


def is_passing(error: BaseException) -> bool:
    """Whether it tells that something cannot be read now, and nothing of what it holds.

    Such an error is no reason to take an older checkpoint: the newer one would be given up.
    """
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error):
        return True
    causes = (error, error.__cause__)
    return any(cause is not None and system_code(cause) in _PASSING for cause in causes)


def system_code(error: BaseException) -> int | None:
    """The system's number of an error, None where it did not come from the system."""
    if isinstance(error, OSError):
        return error.errno
    code = re.search(r"os_error_code='(\d+)'", str(error))
    return int(code[1]) if code else None


def _with_elements(arrays: Mapping[str, Any]) -> dict[str, Any]:
    return {name: array for name, array in arrays.items() if 0 not in getattr(array, "shape", ())}


def _let_go(error: BaseException | None) -> None:
    """Ends what the frames behind an error still hold, here and not whenever they are collected."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


@contextmanager
def _quiet() -> Iterator[None]:
    """Silences what orbax says of an error that it raises as well."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    hook = sys.unraisablehook

    def without_strays(raised: Any) -> None:
        error = raised.exc_value
        if not (isinstance(error, RuntimeError) and "loop is closed" in str(error)):
            hook(raised)

    sys.unraisablehook = without_strays
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
            try:
                yield
            except Exception as error:
                _let_go(error)
                time.sleep(_STRAY_SECONDS)
                gc.collect()
                raise
    finally:
        sys.unraisablehook = hook
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
