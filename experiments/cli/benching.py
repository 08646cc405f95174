"""``sigmaprop bench``: which benchmark runs, with which of the options."""

from sigmaprop.names import shortened, shown

from ..options import flag
from .bench_commands import BenchCommand

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
    """Runs it; 0 unless a target is missed."""
    repeats, out = command.repeats, command.out
    if command.what == "gan":
        from ..bench.gan import gan

        return gan(repeats, out, command.replicas, command.torch_python)
    if command.what == "estimators":
        from ..bench.estimators import estimators

        return estimators(repeats, out, command.optax_path)
    if command.what == "metrics":
        from ..bench.metrics import metrics

        return metrics(repeats, out)
    from ..bench.limit import limit_sweep

    return limit_sweep(repeats, out)
