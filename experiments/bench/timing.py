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
from typing import Any, NamedTuple

import jax
import numpy as np
from rich import box
from rich.table import Table

from sigmaprop import runs
from sigmaprop.runs.environment import environment

from ..terminal import Terminal

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
    """Something to time: ``run()`` blocks until its result is there."""

    what: str
    run: Callable[[], Any]


def timed(program: Program) -> float:
    """Seconds of one run."""
    start = time.perf_counter()
    program.run()
    return time.perf_counter() - start


def compare(
    numerator: Program,
    denominator: Sequence[tuple[Program, float]],
    repeats: int,
    target: float | None = None,
    what: str | None = None,
) -> Ratio:
    """Median of numerator / weighted sum of denominators, timed in turns after one warm-up each."""
    text = what or f"{numerator.what} / {denominator[0][0].what}"
    print(f"measurement {next(_measurement)}: {text}", file=sys.stderr, flush=True)
    programs = [numerator, *(program for program, _ in denominator)]
    for program in programs:
        program.run()
    times = np.array([[timed(program) for program in programs] for _ in range(repeats)])
    weights = np.array([weight for _, weight in denominator])
    ratios = times[:, 0] / (times[:, 1:] @ weights)
    low, median, high = (float(q) for q in np.percentile(ratios, [25, 50, 75]))
    judged = "" if target is None else verdict(low, high, target)
    return Ratio(text, median, low, high, float(np.median(times[:, 0])), target, judged)


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
    every = [ratio for ratios in sections.values() for ratio in ratios]
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
    made = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left")
    made.add_column("what", overflow="fold")
    for heading in ("ratio", "quartiles", "seconds", "target"):
        made.add_column(heading, justify="right", no_wrap=True)
    made.add_column("verdict", no_wrap=True)
    for ratio in ratios:
        made.add_row(
            ratio.what,
            f"{ratio.median:.3g}",
            f"{ratio.low:.3g} to {ratio.high:.3g}",
            f"{ratio.seconds:.3g}" if ratio.seconds else "–",
            f"<= {ratio.target:g}" if ratio.target else "–",
            ratio.verdict or "–",
        )
    return made
