"""``sigmaprop advise``: which estimator suits a function, with the evidence."""

import math
import time

import jax
import numpy as np
from rich.table import Table

from sigmaprop import objectives, runs
from sigmaprop.comparison import make_gaussian
from sigmaprop.comparison.advice import Advice, Evidence, advise
from sigmaprop.reporting.terminal import titled

from ..advise.config import AdviseConfig
from ..progress import telling
from ..terminal import Terminal

_TARGET = 0.1
_MOST_COORDINATES = 6
_UNITS = {"time": "time", "evaluations": "evaluations of f"}


def show(config: AdviseConfig) -> int:
    """Pilots the estimators and prints advice and evidence."""
    terminal = Terminal()
    objective, gaussian = _prepared(config)
    terminal.say(
        f"{objective.name}, dim {objective.dim}, {config.gaussian} Gaussian of scale "
        f"{config.scale:g}: {config.budget:,} evaluations for the pilot"
    )
    terminal.say(f"measured at x = {_point(np.asarray(gaussian.mean))}")
    with telling(terminal, None, "candidates", "compiling") as tell:
        found = advise(
            objective,
            gaussian,
            jax.random.key(config.seed),
            config.budget,
            clock=time.perf_counter,
            progress=tell,
        )
    terminal.print(_table(found))
    for reason in found.reasons:
        terminal.say(reason)
    terminal.say(f"Use: {_call(found)}")
    for line in _errors(found):
        terminal.say(line)
    return 0


def _prepared(config: AdviseConfig):
    """The objective and the Gaussian; mistakes in the options end as one sentence."""
    try:
        objective = objectives.get(config.objective, config.dim)
        if config.x is not None and len(config.x) not in (1, objective.dim):
            raise ValueError(
                f"--x has {len(config.x)} coordinates; objective {objective.name!r} takes 1 or "
                f"{objective.dim} (change --x or --dim)"
            )
        x = objective.point if config.x is None else np.broadcast_to(config.x, objective.dim)
        return objective, make_gaussian(config.gaussian, x, config.scale, rank=config.rank)
    except ValueError as error:
        raise runs.RunError(str(error)) from error


def _point(x: np.ndarray) -> str:
    """The mean, cut where it is long."""
    numbers = [f"{value:.6g}" for value in x[:_MOST_COORDINATES]]
    if len(x) <= _MOST_COORDINATES:
        return f"({', '.join(numbers)})"
    return f"({', '.join(numbers)}, ...), {len(x):,} coordinates"


def _table(found: Advice) -> Table:
    """Every candidate, the recommended first: cost, and work relative to the least."""
    parts = list(found.chosen.work)
    table = titled(
        "evidence: microseconds and evaluations of f for a sample; work to each part,\n"
        f"variance x {_UNITS[found.ranked_by]}, in units of the least",
        pad_edge=False,
        collapse_padding=True,
    )
    table.add_column("estimator", overflow="fold")
    for heading in ("us", "evals", *(f"to {part}" for part in parts)):
        table.add_column(heading, justify="right", no_wrap=True)
    usable = [one for one in found.evidence if not one.trouble]
    best = {part: min(one.work[part] for one in usable) for part in parts}
    for one in found.evidence:
        works = [_relative(one, part, best[part]) for part in parts]
        style = "bold" if one is found.chosen else "dim" if one.trouble else ""
        microseconds = f"{float(np.median(one.seconds)) * 1e6:.3g}"
        table.add_row(
            one.name, microseconds, f"{one.evaluations_a_sample:.3g}", *works, style=style
        )
    return table


def _relative(one: Evidence, part: str, best: float) -> str:
    """Work for the same error, in units of the best's; or why it is no work at all."""
    if one.trouble:
        return one.trouble
    return f"{one.work[part] / best:.3g}" if best > 0 else f"{one.work[part]:.3g}"


def _call(found: Advice) -> str:
    words = [f"estimator={found.estimator!r}"]
    if found.noise != "iid":
        words.append(f"noise={found.noise!r}")
    if found.control_variate is not None:
        words.append(f"control_variate={found.control_variate!r}")
    return f"sigmaprop.estimate(f, gaussian, key, num_samples, {', '.join(words)})"


def _errors(found: Advice) -> list[str]:
    """Expected errors at 1000 samples, and the samples for an error of a tenth."""
    lines = []
    for part, one in found.relative_error(1).items():
        if not math.isfinite(one):
            lines.append(f"  to {part}: the gradient is 0 but for noise")
            continue
        needed = max(1, math.ceil((one / _TARGET) ** 2))
        lines.append(
            f"  to {part}: expected error {one / math.sqrt(1000):.2g} of the gradient with 1,000 "
            f"samples; {needed:,} for a tenth"
        )
    return lines
