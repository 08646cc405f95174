"""How busy others kept the machine while a benchmark ran.

The load average cannot tell: it counts the benchmark itself, and what ran before it. The system's
own account of its processors can, less that of this process and of those that it has waited for.
"""

import os
import time

import psutil

_IDLE = ("idle", "iowait")
_COUNTED_TWICE = ("guest", "guest_nice")
"""Times that Linux counts among others as well."""


class Neighbours:
    """Begun before the work; asked once behind it."""

    def __init__(self) -> None:
        self.load_before = os.getloadavg()
        self._began, self._busy, self._own = time.monotonic(), busy_seconds(), own_seconds()

    def cores(self) -> float:
        """How many cores others kept busy since then, on average, >= 0."""
        passed = max(time.monotonic() - self._began, 1e-3)
        return max(0.0, (busy_seconds() - self._busy - (own_seconds() - self._own)) / passed)


def busy_seconds() -> float:
    """Seconds that all processors together have worked."""
    times = psutil.cpu_times()._asdict()
    left_out = (*_IDLE, *_COUNTED_TWICE)
    return sum(seconds for name, seconds in times.items() if name not in left_out)


def own_seconds() -> float:
    """Seconds of this process, and of those that have ended below it."""
    own = psutil.Process().cpu_times()
    return own.user + own.system + own.children_user + own.children_system
