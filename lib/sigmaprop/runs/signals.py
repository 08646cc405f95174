"""Ctrl-C, SIGTERM and SIGHUP between two pieces of work, not in the middle of one.

A signal that this process was started to ignore, as `nohup` does with SIGHUP, stays ignored.
"""

import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any


class Terminated(SystemExit):
    """SIGTERM or SIGHUP arrived inside a run; the process ends with status 143 or 129."""


def terminate(number: int, frame: Any) -> None:
    """The handler of SIGTERM and SIGHUP inside a run."""
    raise Terminated(128 + number)


_TERMINATING = (signal.SIGTERM, signal.SIGHUP)
_DEFAULTS: dict[int, tuple[Any, ...]] = {
    signal.SIGINT: (signal.default_int_handler,),
    **dict.fromkeys(_TERMINATING, (signal.SIG_DFL, terminate)),
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
            Terminated: on SIGTERM and SIGHUP.
        """
        number, self.requested = self.requested, None
        if number is not None and number != signal.SIGINT:
            terminate(number, None)
        if number is not None:
            raise KeyboardInterrupt

    def handle(self, number: int, frame: Any) -> None:
        """The handler that sets the flag; a second Ctrl-C raises at once."""
        if number == signal.SIGINT and self.requested is not None:
            raise KeyboardInterrupt
        self.requested = self.requested or number


@contextmanager
def deferred() -> Iterator[Stop]:
    """Inside, Ctrl-C, SIGTERM and SIGHUP set a flag; a Ctrl-C after that raises at once.

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
    with _instead_of_defaults(dict.fromkeys(_DEFAULTS, stop.handle)):
        yield stop
    stop.raise_if_requested()


def terminations_raise() -> AbstractContextManager[None]:
    """Inside, SIGTERM and SIGHUP raise `Terminated`."""
    return _instead_of_defaults(dict.fromkeys(_TERMINATING, terminate))


@contextmanager
def _instead_of_defaults(handlers: Mapping[int, Any]) -> Iterator[None]:
    """Inside, these handlers stand where Python's own, or `terminate`, stood before."""
    replaced = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.getsignal(number) for number in handlers}
        replaced = {n: handler for n, handler in before.items() if handler in _DEFAULTS[n]}
    for number in replaced:
        signal.signal(number, handlers[number])
    try:
        yield
    finally:
        for number, handler in replaced.items():
            signal.signal(number, handler)
