"""What a compiled program needs of its target, and how fast it can be there at most."""

import math
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import psutil

from . import hlo
from .counting import Work
from .program import Laid, Program
from .targets import Target

ARITHMETIC, MEMORY, LAUNCHES = "arithmetic", "memory", "launches"


class TooLarge(Exception):
    """Not even one unit of a program fits."""


class Chip(NamedTuple):
    """What one device of a target reaches.

    Attributes:
        peak: floating-point operations a second of products, by dtype.
        vector: of all others; None where it is not known, then products alone count.
        bandwidth: bytes a second, None where it is not known.
        usable: bytes of memory for arrays.
        launch: seconds that a kernel takes at the least.
        dollars: an hour of it, None where that has no price.
        devices: of the target in all, which are paid for also where few replicas leave some idle.
    """

    peak: dict[str, float]
    vector: float | None
    bandwidth: float | None
    usable: float
    launch: float
    dollars: float | None
    devices: int = 1


class Memory(NamedTuple):
    """Bytes of a device that a program takes, as the compiler lays them out.

    Attributes:
        arguments: of all arguments.
        outputs: of all results.
        aliased: of results that are written where an argument was.
        temporaries: of what lies between; a TPU's compiler does not tell, see `total`.
        code: of the program itself.
        idle: of arguments that the compiler leaves out, since nothing reads them: they stay.
        total: of all at once, at the most.
    """

    arguments: float
    outputs: float
    aliased: float
    temporaries: float
    code: float
    idle: float
    total: float


class Compiled(NamedTuple):
    """A compiled program.

    Attributes:
        program: what was compiled.
        laid: how, for fewer units than the program has where those do not fit.
        units: for how many.
        memory: of each device.
        turn: what one turn of its loop does.
        collectives: of the whole program.
        estimate: seconds of a turn by the compiler's own model, a TPU's only; else None.
        text: the optimised program.
        seconds: that the compiler took.
    """

    program: Program
    laid: Laid
    units: int
    memory: Memory
    turn: hlo.Turn
    collectives: int
    estimate: float | None
    text: str
    seconds: float


class Bound(NamedTuple):
    """How fast the steps of a program can be at most. Seconds are of one turn on a device.

    Attributes:
        work: that the turn has to do on a device.
        seconds: at least, by what takes them: arithmetic, memory, launches; None where the target
            does not say what it reaches.
        by: what takes longest; "" where nothing is known.
        rate: units a second of all devices at most; infinite likewise.
        hours: of all devices together for the whole run, at least.
        dollars: for them, None where the target has no price.
    """

    work: Work
    seconds: dict[str, float | None]
    by: str
    rate: float
    hours: float
    dollars: float | None

    @property
    def least(self) -> float:
        """Seconds of a turn at least."""
        return max((value for value in self.seconds.values() if value is not None), default=0.0)


def chip(target: Target, devices: Sequence[Any], chips: int) -> Chip:
    """What one of these devices reaches; of a chip with two cores each has half."""
    each = len(devices) / chips
    memory = target.memory
    if memory is None:
        memory = float(psutil.virtual_memory().total) / len(devices)
    return Chip(
        {dtype: value / each for dtype, value in target.peak.items()},
        None if target.vector is None else target.vector / each,
        None if target.bandwidth is None else target.bandwidth / each,
        target.usable * memory / each,
        target.launch,
        None if target.price is None else target.price.dollars / each,
        len(devices),
    )


def compiled(program: Program) -> Compiled:
    """Compiles a program; if the compiler finds that it does not fit, for fewer and fewer units.

    Raises:
        TooLarge: not even one unit fits.
    """
    units = program.units
    while True:
        laid, began = program.lay(units), time.perf_counter()
        try:
            executable = laid.lower().compile()
        except jax.errors.JaxRuntimeError as error:
            if "RESOURCE_EXHAUSTED" not in str(error):
                raise
            if units == 1:
                raise TooLarge(
                    f"{program.name} does not fit, not even for one: "
                    f"{' '.join(str(error).split())[:200]}; {program.remedy}"
                ) from error
            units //= 2
            continue
        seconds, text = time.perf_counter() - began, executable.as_text() or ""
        found = memory(executable, laid)
        turn, count = hlo.turn(text), hlo.collectives(text)
        estimate = _estimate(executable.cost_analysis(), laid)
        return Compiled(program, laid, units, found, turn, count, estimate, text, seconds)


def _estimate(analysis: Any, laid: Laid) -> float | None:
    """The compiler counts every loop's body once, so that of the program is that of one turn."""
    seconds = (analysis or {}).get("optimal_seconds", 0.0)
    return float(seconds) if laid.turns and seconds > 0 else None


def memory(executable: jax.stages.Compiled, laid: Laid) -> Memory:
    """What a compiled program takes of each of its devices."""
    found: Any = executable.memory_analysis()
    arguments, outputs = found.argument_size_in_bytes, found.output_size_in_bytes
    aliased, temporaries = found.alias_size_in_bytes, found.temp_size_in_bytes
    code = found.generated_code_size_in_bytes
    parts = arguments + outputs - aliased + temporaries + code
    idle = max(0.0, laid.held - arguments)
    total = max(parts, getattr(found, "peak_memory_in_bytes", 0)) + idle
    return Memory(*map(float, (arguments, outputs, aliased, temporaries, code, idle, total)))


def capacity(found: Compiled, usable: float, devices: int = 1) -> int | None:
    """How many units fit on so many devices together, by arithmetic from the one compilation.

    Arguments and results grow with the units of a device, what lies between with those that run
    together: where these are not all, a copy of theirs is made first. None where memory does not
    grow with a number of units.
    """
    laid, memory = found.laid, found.memory
    if not laid.units:
        return None
    fixed = laid.shared + memory.code
    stays = memory.arguments + memory.idle - laid.shared
    each = (stays + memory.outputs - memory.aliased) / laid.units
    between = max(0.0, memory.total - fixed - each * laid.units) / laid.chunk
    room = usable - fixed
    if each + between <= 0:
        return None
    count = room / (each + between)
    if count > laid.most:
        between += each if laid.units == laid.chunk else 0.0
        count = (room - laid.most * between) / each if each > 0 else math.inf
        count = max(count, min(laid.most, room / (each + between)))
    return None if math.isinf(count) else devices * max(0, math.floor(count))


def fits(found: Compiled, usable: float) -> bool:
    """Whether all units of the program do."""
    return found.units == found.program.units and found.memory.total <= usable


def bound(found: Compiled, one: Chip) -> Bound | None:
    """How fast it can be at most; None of what has no turns that count."""
    laid, program = found.laid, found.program
    if program.work is None:
        return None
    work = program.work().times(laid.chunk)
    peak = one.peak.get(program.dtype)
    launched = found.turn.kernels + found.turn.copies
    seconds = {
        ARITHMETIC: None if peak is None else _arithmetic(work, peak, one.vector),
        MEMORY: None if one.bandwidth is None else found.turn.bytes / one.bandwidth,
        LAUNCHES: launched * one.launch if one.launch else None,
    }
    known = {name: value for name, value in seconds.items() if value is not None}
    least = max(known.values(), default=0.0)
    by = max(known, key=lambda name: known[name]) if known else ""
    rate = laid.chunk * laid.devices / least if least else math.inf
    hours = least * laid.turns * one.devices / 3600
    dollars = None if one.dollars is None or not known else hours * one.dollars
    return Bound(work, seconds, by, rate, hours, dollars)


def _arithmetic(work: Work, peak: float, vector: float | None) -> float:
    """Seconds of products, and of all else where it is known how fast that is."""
    others = 0.0 if vector is None else (work.flops - work.products) / vector
    return work.products / peak + others
