"""Ctrl-C and SIGTERM between two pieces of work, not in the middle of one."""

import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any


class Terminated(SystemExit):
    """SIGTERM arrived inside a run; the process ends with status 143."""


def terminate(number: int, frame: Any) -> None:
    """The handler of SIGTERM inside a run."""
    raise Terminated(128 + number)


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
    with _instead_of_defaults(dict.fromkeys(_DEFAULTS, stop.handle)):
        yield stop
    stop.raise_if_requested()


def sigterm_raises() -> AbstractContextManager[None]:
    """Inside, SIGTERM raises `Terminated`."""
    return _instead_of_defaults({signal.SIGTERM: terminate})


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
