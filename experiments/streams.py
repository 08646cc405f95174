"""Standard output and error that nothing a command does can fail on.

A log that fills its disk must not end a run. What cannot be written is lost, which is said once;
the command goes on, and `main` ends with status 1 in place of 0.
"""

import contextlib
import io
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any


class Enduring:
    """A stream that goes on where writing fails; all else is the stream's own.

    Attributes:
        lost: why nothing is written any more, None as long as it is.
        outlives_pipe: whether a closed pipe, too, is no reason to stop: while a run is under way.
    """

    def __init__(self, stream: Any, say: Callable[[str], None] = lambda sentence: None):
        self._stream, self._say = stream, say
        self.lost: OSError | None = None
        self.outlives_pipe = False

    def write(self, text: str) -> int:
        """Writes, or does nothing once that has failed."""
        self._try(lambda: self._stream.write(text))
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Writes every line."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Flushes, or does nothing once writing has failed."""
        self._try(self._stream.flush)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _try(self, action: Callable[[], object]) -> None:
        if self.lost is not None:
            return
        try:
            action()
        except OSError as error:
            if isinstance(error, BrokenPipeError) and not self.outlives_pipe:
                raise
            self.lost = error
            discard(self._stream)
            self._say(
                f"standard output cannot be written ({error.strerror or error}); going on without"
            )


def discard(stream: Any) -> None:
    """Sends what a stream still holds, and gets, to nowhere."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


@contextlib.contextmanager
def guarded() -> Iterator[Enduring]:
    """Puts both streams behind an `Enduring`; gives that of standard output."""
    _open_closed()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # where a terminal has no sign for a letter
            stream.reconfigure(errors="backslashreplace")
    errors = Enduring(sys.stderr)

    def say(sentence: str) -> None:
        print(f"sigmaprop: {sentence}", file=errors)

    output = Enduring(sys.stdout, say)
    errors.outlives_pipe = True
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        yield output


@contextlib.contextmanager
def outliving_pipe() -> Iterator[None]:
    """Inside, whoever reads standard output may stop reading and the work goes on."""
    output = sys.stdout
    if not isinstance(output, Enduring):
        yield
        return
    output.outlives_pipe = True
    try:
        yield
    finally:
        output.outlives_pipe = False


def _open_closed() -> None:
    """Opens closed standard streams to nowhere, before a file of ours takes their number."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
            setattr(sys, name, os.fdopen(number, "w" if number else "r", closefd=False))
