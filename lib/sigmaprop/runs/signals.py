"""Ctrl-C and SIGTERM between two pieces of work, not in the middle of one."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sigmaprop.runs.lifecycle import Terminated, terminate

_DEFAULTS: dict[int, tuple[Any, ...]] = {
    signal.SIGINT: (signal.default_int_handler,),
    signal.SIGTERM: (signal.SIG_DFL, terminate),
}


class Stop:
    """Whether somebody asked this process to stop.

    Attributes:
        requested: the number of the first signal that came, None where none did.
    """

    def __init__(self) -> None:
        self.requested: int | None = None

    def raise_if_requested(self) -> None:
        """Ends the work as the signal would have done; to be called after it was saved.

        Raises:
            KeyboardInterrupt: on Ctrl-C.
            Terminated: on SIGTERM.
        """
        number, self.requested = self.requested, None
        if number == signal.SIGTERM:
            raise Terminated(128 + number)
        if number is not None:
            raise KeyboardInterrupt

    def _handle(self, number: int, frame: Any) -> None:
        if number == signal.SIGINT and self.requested is not None:
            raise KeyboardInterrupt
        self.requested = self.requested or number


@contextmanager
def deferred() -> Iterator[Stop]:
    """Inside, Ctrl-C and SIGTERM set a flag; a Ctrl-C after that raises at once.

    A signal that the work did not ask for is raised at the end: none is lost. Handlers that the
    host program installed are left alone, and outside the main thread nothing is changed.

    Example:
        >>> with deferred() as stop:
        ...     for piece in ():
        ...         if stop.requested is not None:
        ...             ...  # save
        ...         stop.raise_if_requested()
    """
    stop = Stop()
    replaced = _install(stop._handle)
    try:
        yield stop
    finally:
        for number, handler in replaced.items():
            signal.signal(number, handler)
    stop.raise_if_requested()


def _install(handler: Callable[[int, Any], None]) -> dict[int, Any]:
    """Replaces the default handlers; returns them by signal."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    found = {number: signal.getsignal(number) for number in _DEFAULTS}
    replaced = {n: before for n, before in found.items() if before in _DEFAULTS[n]}
    for number in replaced:
        signal.signal(number, handler)
    return replaced
