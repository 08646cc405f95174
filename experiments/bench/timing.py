"""Ratios of times and of peak memory: how they are taken, judged and reported."""

import itertools
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from rich.table import Table

from sigmaprop import runs
from sigmaprop.reporting.terminal import titled
from sigmaprop.runs.environment import environment

from ..terminal import Terminal

Seconds: TypeAlias = dict[Any, np.ndarray]
"""Seconds of a unit of each program's work, by rounds."""

SECONDS = 0.3
"""How long a run of `repeated` steps should take."""

_measurement = itertools.count(1)


class Ratio(NamedTuple):
    """One measured ratio.

    Attributes:
        what: in words.
        median, low, high: of the ratio over repeats (quartiles).
        seconds: median time of the numerator.
        target: the largest ratio aimed at, None for information.
        verdict: "met", "missed", "not resolved", or "".
    """

    what: str
    median: float
    low: float
    high: float
    seconds: float
    target: float | None
    verdict: str


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
    above, *below = time_interleaved(dict(enumerate(programs)), repeats).values()
    weights = [weight for _, weight in denominator]
    return ratio(text, above, np.transpose(below) @ weights, target)


def ratio(what: str, above: np.ndarray, below: np.ndarray, target: float | None = None) -> Ratio:
    """The ratio of two programs' times, round by round."""
    shares = quartiles(what, above / below)
    judged = "" if target is None else verdict(shares.low, shares.high, target)
    return shares._replace(seconds=float(np.median(above)), target=target, verdict=judged)


def rate(what: str, seconds: np.ndarray, unit: float = 1.0) -> Ratio:
    """How many times a unit of work is done in a second."""
    return quartiles(what, unit / seconds)._replace(seconds=float(np.median(seconds)))


def quartiles(what: str, values: np.ndarray) -> Ratio:
    """Median and quartiles of a number, round by round."""
    low, median, high = (float(q) for q in np.percentile(values, [25, 50, 75]))
    return Ratio(what, median, low, high, 0.0, None, "")


def constant(what: str, ratio: float, target: float) -> Ratio:
    """A ratio that was taken once and does not vary."""
    return Ratio(what, ratio, ratio, ratio, 0.0, target, verdict(ratio, ratio, target))


def verdict(low: float, high: float, target: float) -> str:
    """What quartiles say of a target: "met", "missed" or "not resolved"."""
    if high <= target:
        return "met"
    return "missed" if low > target else "not resolved"


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


def report(
    sections: Mapping[str, Sequence[Ratio]],
    repeats: int,
    load_before: tuple[float, float, float],
    out: Path | None,
    notes: Sequence[str] = (),
) -> int:
    """Prints a table a section and writes everything as JSON; 0 unless a target is missed."""
    terminal = Terminal()
    load_after = os.getloadavg()
    for title, ratios in sections.items():
        if ratios:
            terminal.print(table(ratios, title))
    for note in notes:
        terminal.say(note)
    terminal.say(
        f"load average {load_before[0]:.2f} before, {load_after[0]:.2f} after, on "
        f"{os.cpu_count()} cores; {jax.local_devices()[0].device_kind}; {repeats} interleaved "
        "repeats"
    )
    every = list(itertools.chain(*sections.values()))
    if out is not None:
        content = {
            "ratios": [ratio._asdict() for ratio in every],
            "notes": list(notes),
            "load_average": {"before": load_before, "after": load_after},
            "repeats": repeats,
            "environment": environment(None),
        }
        runs.write_atomic(out, json.dumps(content, indent=1) + "\n")
        terminal.say(f"written: {out}")
    return int(any(ratio.verdict == "missed" for ratio in every))


def table(ratios: Sequence[Ratio], title: str) -> Table:
    """The ratios for people."""
    lines = titled(title)
    lines.add_column("what", overflow="fold")
    for heading in ("ratio", "quartiles", "seconds", "target"):
        lines.add_column(heading, justify="right", no_wrap=True)
    lines.add_column("verdict", no_wrap=True)
    for ratio in ratios:
        lines.add_row(
            ratio.what,
            f"{ratio.median:.3g}",
            f"{ratio.low:.3g} to {ratio.high:.3g}",
            f"{ratio.seconds:.3g}" if ratio.seconds else "–",
            f"<= {ratio.target:g}" if ratio.target else "–",
            ratio.verdict or "–",
        )
    return lines
