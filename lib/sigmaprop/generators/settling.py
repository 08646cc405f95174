"""Whether a learned sigma has settled: two-sided starts, and a reach that is long enough.

A sigma that stands still shows little by itself: its rate may be too small to move it, and where
the data do not identify it, it stays near where it began. So it has settled only if

* cells that differ in nothing but where sigma starts, below and above, end within `AGREE` of each
  other, and
* rate x steps is at least `REACH` times the way from its start to either bound, in what the
  optimiser moves (log sigma, by default). Adam moves that by about its rate a step at most; sgd has
  no such limit, and is not asked for it.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp

from sigmaprop.generators.parameterisation import LIKELIHOOD_PARAMETERISATIONS, PARAMETERISATIONS
from sigmaprop.generators.results import Cell, Measured

AGREE = 1.1
"""Ends of different starts agree where the largest is at most so many times the smallest."""
REACH = 3.0
"""Rate x steps, in ways from the start to the farther bound."""


class Settling(NamedTuple):
    """What the rule says of one cell whose sigma stands still.

    Attributes:
        settled: whether it has.
        sentence: how that is known, or what is missing.
    """

    settled: bool
    sentence: str

    @property
    def of_unclear(self) -> str:
        """The sentence where it is not clear whether sigma stands still."""
        return self.sentence.replace("settled at", "starts agree on")


def shortfall(options: Mapping[str, Any], steps: int) -> str:
    """Why a learned sigma cannot settle in so many steps, empty if it can.

    Args:
        options: of the cell; those on sigma and its rate are read.
        steps: of the run.
    """
    if options.get("sigma_optimizer", "adam") != "adam":
        return ""
    rate = options.get("sigma_learning_rate")
    reach = float(options["learning_rate"] if rate is None else rate) * steps
    known = {**LIKELIHOOD_PARAMETERISATIONS, **PARAMETERISATIONS}
    raw = known[options.get("parameterisation", "log")].raw
    floor, start, ceiling = (
        float(raw(jnp.asarray(options[f"sigma_{name}"], float)))
        for name in ("floor", "start", "ceiling")
    )
    way = max(abs(start - floor), abs(ceiling - start))
    if reach >= REACH * way:
        return ""
    return f"rate x steps is {reach:.3g}, the bounds are {way:.3g} away, needs {REACH * way:.3g}"


def settle(run: Measured, cell: Cell, ends: Mapping[int, float]) -> Settling:
    """Judges a cell whose sigma is learned, beside the cells that differ in its start alone.

    Args:
        run: of which.
        cell: whose sigma stands still at its end.
        ends: sigma of every cell over the last fifth, by the cell's number; NaN if unknown.
    """
    if short := shortfall(run.config | cell.swept, run.steps):
        return Settling(False, f"cannot settle: {short}")
    twins = [one for one in run.cells if _but_start(one) == _but_start(cell) and one.learns]
    found = {_start(run, one): ends[one.number] for one in twins if math.isfinite(ends[one.number])}
    if len(found) < 2:
        return Settling(False, "not tested: one start only")
    starts = sorted(found)
    values = [found[start] for start in starts]
    if max(values) > AGREE * min(values):
        return Settling(False, f"starts disagree: {_listed(values)} from {_listed(starts)}")
    middle = ends[cell.number]
    if not starts[0] < middle < starts[-1]:
        side = "above" if starts[0] >= middle else "below"
        return Settling(False, f"not tested: {_listed(starts)} all lie {side} {middle:.3g}")
    return Settling(True, f"settled at {middle:.3g} from {_listed(starts)}")


def _but_start(cell: Cell) -> dict[str, Any]:
    """What tells a cell apart but where its sigma starts."""
    return {**cell.swept, "arm": cell.arm} | {"sigma_start": None}


def _start(run: Measured, cell: Cell) -> float:
    return float((run.config | cell.swept)["sigma_start"])


def _listed(values: Sequence[float]) -> str:
    """Numbers in words."""
    texts = [f"{value:.3g}" for value in values]
    return f"{', '.join(texts[:-1])} and {texts[-1]}"
