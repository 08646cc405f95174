"""Times and peaks of memory: how they are taken."""

import itertools
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .ratios import Ratio, Seconds, Term, ratio

SECONDS = 0.3
"""How long a run of `repeated` steps should take."""

_measurement = itertools.count(1)


class Program(NamedTuple):
    """Something to time.

    Attributes:
        what: in words.
        run: blocks until its result is there.
        amount: how much one run does, in the unit that its seconds are counted by.
    """

    what: str
    run: Callable[[], Any]
    amount: float = 1.0


def jitted(what: str, function: Callable[..., Any], *arguments: Any) -> Program:
    """One call of a function that is compiled once."""
    compiled = jax.jit(function)
    return Program(what, lambda: jax.block_until_ready(compiled(*arguments)))


def summed(what: str, function: Callable[..., Any], over: jax.Array, *arguments: Any) -> Program:
    """The sum of ``function(one, *arguments)`` over an array's entries: nothing else is stored."""

    def total(*arguments: Any) -> Any:
        def step(sums: Any, one: jax.Array) -> tuple[Any, None]:
            return jax.tree.map(jnp.add, sums, function(one, *arguments)), None

        shapes = jax.eval_shape(function, over[0], *arguments)
        zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
        return jax.lax.scan(step, zeros, over)[0]

    return jitted(what, total, *arguments)


def timed(program: Program) -> float:
    """Seconds of one run."""
    start = time.perf_counter()
    program.run()
    return time.perf_counter() - start


def calibrate_steps(run: Callable[[int], Any], *, least: int = 1, most: int = 2**30) -> int:
    """How many steps, at least and at most so many, take about `SECONDS`; compiles first."""
    run(1)
    count, seconds = 1, 0.0
    while seconds < 0.2 * SECONDS and count < most:
        count = min(2 * count, most)
        start = time.perf_counter()
        run(count)
        seconds = time.perf_counter() - start
    return min(max(round(count * SECONDS / seconds), least), most)


def repeated(what: str, run: Callable[[int], Any], each: float = 1.0, **bounds: int) -> Program:
    """As many steps as take about `SECONDS`, of which ``each`` does so much."""
    count = calibrate_steps(run, **bounds)
    return Program(what, lambda: run(count), count * each)


def time_interleaved(programs: Mapping[Any, Program], repeats: int) -> Seconds:
    """Seconds of a unit of each program's work: all run once a round, after a warm-up each.

    What slows the machine down for a while slows all of them: ratios within a round do not see it.
    """
    for program in programs.values():
        program.run()
    rounds = [[timed(program) for program in programs.values()] for _ in range(repeats)]
    amounts = np.array([program.amount for program in programs.values()])
    return dict(zip(programs, (np.array(rounds) / amounts).T, strict=True))


def compare(
    numerator: Program,
    denominator: Sequence[tuple[Program, float]],
    repeats: int,
    target: float | None = None,
    what: str | None = None,
) -> Ratio:
    """Median of numerator / weighted sum of denominators, timed in turns."""
    text = what or f"{numerator.what} / {denominator[0][0].what}"
    print(f"measurement {next(_measurement)}: {text}", file=sys.stderr, flush=True)
    programs = [numerator, *(program for program, _ in denominator)]
    weights = [1.0, *(float(weight) for _, weight in denominator)]
    taken = time_interleaved(dict(enumerate(programs)), repeats).values()
    above, *below = (
        Term(program.what, weight, tuple(map(float, values)))
        for program, weight, values in zip(programs, weights, taken, strict=True)
    )
    return ratio(text, [above], below, target)


def in_child(module: str, *arguments: object, path: Path | None = None) -> str:
    """The last line that ``python -m module arguments`` prints.

    Args:
        module: full name.
        *arguments: turned into strings.
        path: a directory whose packages the child imports before all others.
    """
    command = [sys.executable, "-m", module, *map(str, arguments)]
    inherited = os.environ.get("PYTHONPATH")
    first = [] if path is None else [str(path.resolve())]
    paths = os.pathsep.join([*first, *([inherited] if inherited else [])])
    environ = {**os.environ, "PYTHONPATH": paths} if paths else None
    result = subprocess.run(command, check=True, capture_output=True, text=True, env=environ)
    return result.stdout.splitlines()[-1]


def peak_mebibytes(module: str, *arguments: object) -> float:
    """Peak memory of a child, which prints `own_peak_mebibytes`."""
    return float(in_child(module, *arguments))


def own_peak_mebibytes() -> float:
    """Peak resident memory of this process alone.

    Linux's ru_maxrss survives exec: in a child it starts at the size of its parent. VmHWM does not.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return float(line.split()[1]) / 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
