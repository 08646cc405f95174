"""How far the work is: a bar on a terminal, a line every few seconds anywhere else.

Whatever takes long has a name, told before it begins, and nothing waits in silence: the bar turns,
and a thread writes the lines, so they come while one thing takes minutes, too.
"""

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any

from rich.console import RenderableType
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from .terminal import Terminal

PLAIN_PERIOD = 5.0
"""Seconds between progress lines where the output is no terminal."""
_BEFORE_FIRST, _DRAWING = "starting", "drawing"


@contextlib.contextmanager
def telling(
    terminal: Terminal, total: int | None, unit: str, what: str = _BEFORE_FIRST
) -> Iterator["BarProgress | PlainProgress"]:
    """Progress that suits the terminal, for as long as the work takes.

    Args:
        terminal: to tell on.
        total: units of work in all, None where that is not known beforehand.
        unit: what they are called, in the plural.
        what: is done first.
    """
    if terminal.is_terminal:
        with Bar(terminal, unit) as bar:
            yield BarProgress(bar, total, terminal, what)
    else:
        with PlainProgress(terminal, total, unit, what) as plain:
            yield plain


@contextlib.contextmanager
def waiting(terminal: Terminal, what: str) -> Iterator[None]:
    """Tells of work that may be over at once and of which nothing can be counted."""
    if terminal.is_terminal:
        with terminal.status(what):
            yield
    else:
        with PlainProgress(terminal, None, "", what):
            yield


class Bar(Progress):
    """Share and times in a line of their own, below it what is being done, cut to the width."""

    def __init__(self, terminal: Terminal, unit: str):
        self._unit = unit
        super().__init__(
            SpinnerColumn(),
            BarColumn(bar_width=None),
            TaskProgressColumn(show_speed=False),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=terminal,
            expand=True,
        )

    def get_renderables(self) -> Iterator[RenderableType]:
        """A line of columns and a line of text for each task."""
        for task in self.tasks:
            yield self.make_tasks_table([task])
            amount = ""
            if task.total is not None:
                amount = f"{task.completed:,.0f} of {task.total:,.0f} {self._unit}, "
            yield Text(f"  {amount}{task.description}", no_wrap=True, overflow="ellipsis")


class BarProgress:
    """Progress on a terminal: what is being done, and how much of it is done."""

    def __init__(
        self, bar: Progress, total: int | None, terminal: Terminal, what: str = _BEFORE_FIRST
    ):
        self._bar, self._terminal = bar, terminal
        self._task = bar.add_task(what, total=total)

    def __call__(self, what: str, done: int = 0) -> None:
        """Shows what is being done, ``done`` units after the last call."""
        self._bar.update(self._task, description=what, advance=done)

    def figures(self, drawn: int, total: int) -> None:
        """Shows how many figures of how many are drawn."""
        self._bar.update(self._task, description=_DRAWING, completed=drawn, total=total)

    def say(self, sentence: str) -> None:
        """Prints a sentence that stays."""
        self._terminal.say(sentence)


class PlainProgress:
    """Progress where the output is no terminal: a line every `PLAIN_PERIOD` seconds.

    As a context manager it writes them while nothing calls it, too.
    """

    def __init__(self, terminal: Terminal, total: int | None, unit: str, what: str = _BEFORE_FIRST):
        self._terminal, self._total, self._unit = terminal, total, unit
        self._start = self._since = self._last = time.monotonic()
        self._done = 0
        self._first: tuple[float, int] | None = None  # what came before it was compilation
        self._what, self._told = what, False
        self._lock, self._ended = threading.RLock(), threading.Event()
        self._beat = threading.Thread(target=self._tell_in_time, daemon=True)

    def __enter__(self) -> "PlainProgress":
        self._beat.start()
        return self

    def __exit__(self, *error: Any) -> None:
        self._ended.set()
        self._beat.join()

    def __call__(self, what: str, done: int = 0) -> None:
        """Tells what is being done, ``done`` units after the last call."""
        with self._lock:
            now = time.monotonic()
            if what != self._what:
                self._what, self._since = what, now
            self._done += done
            if self._first is None and self._done:
                self._first = now, self._done
            due = now - self._last >= PLAIN_PERIOD or not self._told
            if due or (done and self._done == self._total):
                self._tell(now)

    def figures(self, drawn: int, total: int) -> None:
        """Tells how many figures of how many are drawn."""
        with self._lock:
            self._total, self._told = total, True  # no line where they are drawn at once
            self(_DRAWING, drawn - self._done)

    def say(self, sentence: str) -> None:
        """Prints a sentence that stays."""
        self._terminal.say(sentence)

    def _tell_in_time(self) -> None:
        while not self._ended.wait(PLAIN_PERIOD / 5):
            with self._lock:
                now = time.monotonic()
                if now - self._last >= PLAIN_PERIOD:
                    waited = now - self._since
                    self._tell(now, f", {waited:.0f} s so far" if waited > PLAIN_PERIOD else "")

    def _tell(self, now: float, more: str = "") -> None:
        self._last, self._told = now, True
        if self._total is None:
            self.say(f"{now - self._start:.0f} s: {self._what}{more}")
            return
        count = f"{self._done:,} of {self._total:,} {self._unit}"
        self.say(f"{self._what}: {count}{self._left(now)}{more}")

    def _left(self, now: float) -> str:
        """How long the rest will take, once two points show the pace."""
        if self._total is None or self._first is None or self._done <= self._first[1]:
            return ""
        began, before = self._first
        left = (now - began) * (self._total - self._done) / (self._done - before)
        return f", about {left:.0f} s left" if self._done < self._total else ""
