"""What orbax says when it fails: quietly, and in a few words."""

import errno
import gc
import logging
import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

_STRAY_SECONDS = 0.2
"""How long orbax's other reads and writes may take to end after one has failed."""
_PASSING = (
    *(errno.EACCES, errno.EPERM, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM),
    *(errno.EAGAIN, errno.EINTR, errno.ESTALE, errno.ETIMEDOUT),
)
_LOGGERS = ("absl", "asyncio", "concurrent.futures")


@contextmanager
def quiet() -> Iterator[None]:
    """Silences what orbax says of an error that it raises as well."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    hook = sys.unraisablehook
    sys.unraisablehook = lambda found: None if _is_stray(found.exc_value) else hook(found)
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    except Exception:
        gc.collect()
        time.sleep(_STRAY_SECONDS)
        raise
    finally:
        sys.unraisablehook = hook
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


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


def _is_stray(error: BaseException | None) -> bool:
    """Whether it is of a read or write that ended after the one that failed."""
    return isinstance(error, RuntimeError) and "loop is closed" in str(error)
