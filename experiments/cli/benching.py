"""``sigmaprop bench``: which benchmark runs, with which of the options."""

from typing import TYPE_CHECKING

from sigmaprop.names import shortened, shown

from ..options import flag
from .bench_commands import BenchCommand

if TYPE_CHECKING:
    from ..bench.ratios import Found

_BELONGS = {"optax_path": "estimators", "replicas": "gan", "torch_python": "gan"}
"""Options of one benchmark alone."""


def check(command: BenchCommand) -> None:
    """Refuses options of another benchmark, and numbers that are none.

    Raises:
        ValueError: naming the option.
    """
    if command.repeats < 3:
        raise ValueError(f"--repeats is {shown(command.repeats)}; it must be at least 3")
    for name, what in _BELONGS.items():
        value = getattr(command, name)
        if value is not None and command.what != what:
            text = " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
            raise ValueError(f"{flag(name)} {shortened(text)} goes with `bench {what}` only")
    if command.replicas is not None and (not command.replicas or min(command.replicas) < 1):
        text = shortened(" ".join(map(str, command.replicas)))
        raise ValueError(f"--replicas is {text or 'empty'}; it needs whole numbers >= 1")


def run(command: BenchCommand) -> int:
    """Runs it; 0 unless a target is missed, or a number is worse than an earlier one.

    Raises:
        RunError: there is nothing to compare with, or a record cannot be written.
    """
    from sigmaprop.runs.environment import environment

    from ..bench import report
    from ..bench.neighbours import Neighbours
    from ..results import pairs, record

    old = None
    if command.compare is not None:
        old = pairs.standard(command.compare, command.what, environment(None))
    if command.record is not None:
        record.prepare(command.record)
    neighbours = Neighbours()
    found = _measure(command)
    options = {flag(name): getattr(command, name) for name in ("repeats", *_BELONGS)}
    text = record.command_of(command.what, options)
    keep = report.Keep(command.out, command.record, old)
    return report.finish(command.what, text, found, command.repeats, neighbours, keep)


def _measure(command: BenchCommand) -> "Found":
    """What the benchmark finds."""
    repeats = command.repeats
    if command.what == "gan":
        from ..bench.gan import gan

        return gan(repeats, command.replicas, command.torch_python)
    if command.what == "estimators":
        from ..bench.estimators import estimators

        return estimators(repeats, command.optax_path)
    if command.what == "metrics":
        from ..bench.metrics import metrics

        return metrics(repeats)
    from ..bench.limit import limit_sweep

    return limit_sweep(repeats)
