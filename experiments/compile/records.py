"""What `sigmaprop compile` found, as tables and as JSON."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from rich.table import Table

from sigmaprop.reporting.fmt import short

from ..cli.listing_tables import add, table
from .bounds import MEMORY, Bound, Chip, Compiled, bound, capacity, fits
from .profile import profile
from .targets import Target

NOTES = (
    "MFLOP and the least MB are counted in the trace of one step: 2 m n k of a product and 1 of "
    "all else; operands and results of products, and the state, once.",
    "MB: what kernels of the optimised loop read and write, caches left out. Inner loops count as "
    "often as they turn; XLA's own counts take each body once.",
)
_FIT = (
    "fit: by arithmetic from this one compilation. In and out grow with the replicas of a device, "
    "temp with those that are vectorised together; idle is held, but not read."
)


class Found(NamedTuple):
    """What was found of one program.

    Attributes:
        compiled: it, compiled.
        fit: units that fit on all devices; None where memory does not grow with them.
        fits: whether all of its units do.
        bound: of its steps; None of what has none.
    """

    compiled: Compiled
    fit: int | None
    fits: bool
    bound: Bound | None


def found(compiled: Compiled, one: Chip) -> Found:
    """All that follows from a compiled program and its target."""
    fit, all_fit = capacity(compiled, one.usable, one.devices), fits(compiled, one.usable)
    return Found(compiled, fit, all_fit, bound(compiled, one))


def memory_table(each: Sequence[Found], one: Chip) -> Table:
    """Bytes of a device."""
    title = f"Memory of each device, MB, of {one.usable / 1e6:,.0f} for arrays"
    names = ("in", "idle", "out", "aliased", "temp", "in all", "fit")
    result = _numbers(title, "program", *names)
    for one_found in each:
        memory = one_found.compiled.memory
        parts = (memory.arguments, memory.idle, memory.outputs, memory.aliased)
        parts = (*parts, memory.temporaries, memory.total)
        fit = "–" if one_found.fit is None else f"{one_found.fit:,}"
        add(result, one_found.compiled.program.name, *(_millions(part) for part in parts), fit)
    return result


def step_table(each: Sequence[Found]) -> Table:
    """One turn of the loop over steps on a device."""
    names = ("units", "MFLOP", "MB (least)", "kernels + copies", "time", "bound by")
    result = _numbers("One step on each device, which takes at least", "program", *names)
    for one_found in each:
        if (limit := one_found.bound) is not None:
            made, turn = one_found.compiled, one_found.compiled.turn
            add(
                result,
                made.program.name,
                f"{made.laid.chunk:,}",
                _millions(limit.work.flops),
                f"{_millions(turn.bytes)} ({_millions(limit.work.bytes)})",
                f"{turn.kernels:,.0f} + {turn.copies:,.0f}",
                _time(limit.least),
                limit.by or "–",
            )
    return result


def run_table(each: Sequence[Found]) -> Table:
    """The whole run, and the sum where it has several programs."""
    names = ("turns", "units/s at most", "device-hours", "dollars")
    result = _numbers("The whole run: its steps, at the least", "program", *names)
    bounds = [(one.compiled, one.bound) for one in each if one.bound is not None]
    for made, limit in bounds:
        rate = "–" if math.isinf(limit.rate) else _three(limit.rate)
        hours, dollars = _cost(limit.hours, limit.dollars if limit.by else None, bool(limit.by))
        add(result, made.program.name, f"{made.laid.turns:,}", rate, hours, dollars)
    if len(bounds) > 1:
        known = all(limit.by for _, limit in bounds)
        add(result, "in all", "", "", *_cost(*_sum([limit for _, limit in bounds]), known))
    return result


def profile_table(one: Found) -> Table:
    """The kernels of a step by the function that asked for them, the largest of its bound first."""
    title = f"Kernels of {one.compiled.program.name}, by the function that asks for them"
    result = _numbers(title, "function", "kernels", "copies", "MB")
    by_bytes = one.bound is not None and one.bound.by == MEMORY
    for row in profile(one.compiled.text, by_bytes=by_bytes):
        counts = (f"{count:,.0f}" for count in (row.kernels, row.copies))
        add(result, row.origin, *counts, _millions(row.bytes))
    return result


def sentences(each: Sequence[Found], target: Target, one: Chip) -> list[str]:
    """What has to be said beside the tables: how it was counted, what does not fit."""
    said = [f"{_units(each)} {_collectives(each)}"]
    said += [_modelled(made, one.devices) for made, *_ in each if made.estimate]
    said += NOTES
    if any(one_found.fit is not None for one_found in each):
        said.append(_FIT)
    if not one.launch:
        said.append("Launches are not bounded: kernels follow one another without the host.")
    else:
        said.append(f"A kernel or copy is taken to need {_time(one.launch)} at the least.")
    if target.kind == "cuda":
        said.append("Products are not tuned: that takes the device.")
    if target.price is not None:
        price = target.price
        said.append(f"{price.dollars:g} dollars an hour of a chip: {price.source}, {price.date}.")
    return said


def refusals(each: Sequence[Found]) -> list[str]:
    """A sentence for each program that does not fit."""
    said = []
    for made, fit, all_fit, _ in each:
        if not all_fit:
            program = made.program
            known = fit is not None and program.units > 1
            few = f"{fit or 0:,} of its {program.units:,} do" if known else "not as it is"
            said.append(f"{program.name} does not fit: {few}; {program.remedy}")
    return said


def as_json(
    command: str, each: Sequence[Found], target: Target, one: Chip, chips: int
) -> dict[str, Any]:
    """All of it, in numbers: bytes, seconds, operations."""
    bounds = [limit for *_, limit in each if limit is not None]
    hours, dollars = _sum(bounds)
    known = bool(bounds) and all(limit.by for limit in bounds)
    return {
        "schema": 1,
        "command": command,
        "target": dataclasses.asdict(target) | {"price": _price(target)},
        "chips": chips,
        "device": one._asdict(),
        "programs": [_program(one_found) for one_found in each],
        "run": {"device_hours": hours if known else None, "dollars": dollars if known else None},
        "fits": all(one_found.fits for one_found in each),
        "counted": list(NOTES),
    }


def _program(one: Found) -> dict[str, Any]:
    made, limit = one.compiled, one.bound
    laid, turn = made.laid, made.turn
    content: dict[str, Any] = {
        "name": made.program.name,
        "units": made.program.units,
        "compiled_units": made.units,
        "devices": laid.devices,
        "memory": made.memory._asdict(),
        "fit": one.fit,
        "fits": one.fits,
        "collectives": made.collectives,
        "compile_seconds": round(made.seconds, 2),
    }
    if limit is not None:
        content["step"] = {
            "unit": made.program.noun,
            "units": laid.chunk,
            **{f"least_{name}": value for name, value in limit.work._asdict().items()},
            **turn._asdict(),
            "seconds": limit.seconds,
            "compiler_estimate_seconds": made.estimate,
            "bound_by": limit.by or None,
            "units_per_second": None if math.isinf(limit.rate) else limit.rate,
            "turns": laid.turns,
            "device_hours": limit.hours if limit.by else None,
            "dollars": limit.dollars,
        }
        content["profile"] = [row._asdict() for row in profile(made.text)]
    return content


def _price(target: Target) -> dict[str, Any] | None:
    return None if target.price is None else target.price._asdict()


def _units(each: Sequence[Found]) -> str:
    """What a unit is."""
    nouns = dict.fromkeys(made.program.noun for made, *_, limit in each if limit is not None)
    return f"A unit is a {' or a '.join(nouns)}." if nouns else "No program has steps."


def _modelled(made: Compiled, devices: int) -> str:
    """What the compiler thinks of a program: no bound, but latencies are in it."""
    laid, seconds = made.laid, made.estimate or math.inf
    hours = seconds * laid.turns * devices / 3600
    return (
        f"{made.program.name}: {_time(seconds)} a step by the compiler's own model, which knows "
        f"latencies: {_three(laid.chunk * laid.devices / seconds)} units/s, {short(hours)} "
        "device-hours."
    )


def _collectives(each: Sequence[Found]) -> str:
    """What programs talk to other devices."""
    found = [f"{made.collectives} in {made.program.name}" for made, *_ in each if made.collectives]
    return f"Collectives between devices: {', '.join(found) or 'none'}."


def _sum(bounds: Sequence[Bound]) -> tuple[float, float | None]:
    dollars = [limit.dollars for limit in bounds]
    total = None if None in dollars else sum(value for value in dollars if value is not None)
    return sum(limit.hours for limit in bounds), total


def _cost(hours: float, dollars: float | None, known: bool) -> tuple[str, str]:
    return short(hours) if known else "–", "–" if dollars is None else short(dollars)


def _numbers(title: str, first: str, *names: str) -> Table:
    result = table(title, first, *names)
    for column in result.columns[1:]:
        column.justify = "right"
        column.min_width = min(5, len(str(column.header)))
    return result


def _three(value: float) -> str:
    """A large number in three digits."""
    return f"{float(f'{value:.3g}'):,.0f}"


def _millions(value: float) -> str:
    return f"{value / 1e6:,.0f}" if value >= 1e9 else short(value / 1e6)


def _time(seconds: float) -> str:
    """Seconds in a unit that suits them."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{short(seconds / size)} {unit}"
    return f"{short(seconds * 1e9)} ns" if seconds else "–"
