"""``--replica-chunk auto``: how many replicas run together, by what their programs take.

A config says that it is to be chosen, and a run directory what was chosen of each group, for the
memory of the devices that the run began on. A run that goes on, and one that is repeated, takes
what stands there, so that its numbers keep their bits.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax

from sigmaprop import processes, runs
from sigmaprop.generators.layout import ACCELERATOR_CHUNK, layout
from sigmaprop.runs.files import exists, read_json, write_json

from ..compile import bounds
from ..compile.program import Program
from .loop import Progress

AUTO = "auto"
NAME = "chunks.json"
"""The file of a run directory that says what was chosen."""
SHARE = 0.9
"""Of what a device has left: its allocator leaves gaps, and a run holds more than its programs."""

Programs = Callable[[Any, Any, Sequence[Any]], list[Program]]


class Choice(NamedTuple):
    """How many replicas of a device run together.

    Attributes:
        chunk: their number.
        why: the sentence that says so.
    """

    chunk: int
    why: str


class Need(NamedTuple):
    """What the largest of some programs takes of a device; infinite where it was not compiled.

    Attributes:
        total: bytes of all of it.
        stays: bytes that do not depend on how many replicas run together.
        name: of that program.
    """

    total: float
    stays: float
    name: str


def settled(
    config: Any,
    plan: Any,
    index: int,
    programs: Programs,
    directory: runs.Run,
    progress: Progress,
) -> Any:
    """The options with which a group trains: the number that was chosen in place of "auto".

    Args:
        config: the options, as recorded.
        plan: of all groups.
        index: of the group.
        programs: see `launch.Experiment`.
        directory: says what was chosen, or gets it.
        progress: told what is compiled, and what was chosen.

    Raises:
        RunError: what was recorded is damaged.
    """
    if config.replica_chunk != AUTO:
        return config
    path, known = directory.directory / NAME, _recorded(directory)
    if str(index) not in known:
        known[str(index)] = processes.from_leader(
            _chosen(config, plan, index, programs, progress) if processes.leads() else None
        )
        write_json(path, {"schema": 1, "groups": known})
    if NAME not in directory.extra:
        runs.include(directory, path)
    return dataclasses.replace(config, replica_chunk=known[str(index)]["replica_chunk"])


def _chosen(
    config: Any, plan: Any, index: int, programs: Programs, progress: Progress
) -> dict[str, Any]:
    """What is recorded of the choice for one group on the devices of this run."""
    room = room_of(jax.local_devices()[0])
    found = _choice(config, plan, index, programs, processes.devices(), room, progress)
    progress.say(found.why)
    return {"replica_chunk": found.chunk, "room": room, "why": found.why}


def described(
    config: Any,
    plan: Any,
    programs: Programs,
    devices: Sequence[Any],
    room: float | None,
    progress: Progress,
) -> list[Program]:
    """The programs of all groups for devices that need not be at hand; see `Experiment.programs`.

    ``room`` is the memory of each device in bytes, None where that is not known.
    """
    if getattr(config, "replica_chunk", None) != AUTO:
        return programs(config, plan, devices)
    found = []
    for index in range(len(plan.groups)):
        choice = _choice(config, plan, index, programs, devices, room, progress)
        progress.say(choice.why)
        found += [
            one._replace(name=f"{_before(plan, index)}{one.name}")
            for one in _of_group(config, plan, index, programs, devices, choice.chunk)
        ]
    return found


def room_of(device: Any) -> float | None:
    """Bytes of a device that the programs of a group may take; None where it does not tell."""
    stats = device.memory_stats() or {}
    limit = stats.get("bytes_limit")
    return None if limit is None else SHARE * (limit - stats.get("bytes_in_use", 0))


def need(programs: Sequence[Program]) -> Need:
    """What the largest of some programs takes of a device."""
    return max(map(_need, programs), key=lambda one: one.total)


def choose(whole: int, room: float | None, needed: Callable[[int], Need], platform: str) -> Choice:
    """All replicas of a device if they fit, else the largest power of two that does.

    Args:
        whole: most that could run together.
        room: bytes that they may take, None where that is not known: then 1.
        needed: ``chunk -> what the programs take``; it compiles them.
        platform: of the device.
    """
    head = f"--replica-chunk {AUTO} takes"
    if room is None:
        why = f"a {platform.upper()} does not say how much memory it has"
        return Choice(1, f"{head} 1 replica at a time, as without it: {why}")
    sizes = [*(2**n for n in range(whole.bit_length()) if 2**n < whole), whole]
    found = dict(_tried(sizes, room, needed))
    fitting = [place for place, one in found.items() if one.total <= room]
    place = max(fitting, default=0)
    chunk, one = sizes[place], found[place]
    if not fitting:
        most = f"{_gb(room)}, and even so its program ({one.name}) would take {_gb(one.total)}"
        return Choice(1, f"{head} 1 of {whole} replicas at a time: a device has {most}")
    taken = f"the largest program ({one.name}) takes {_gb(one.total)} of a device's {_gb(room)}"
    if place + 1 < len(sizes):
        taken += f", with {sizes[place + 1]} at a time {_gb(found[place + 1].total)}"
    return Choice(chunk, f"{head} {chunk} of {whole} replicas at a time: {taken}")


def _tried(
    sizes: Sequence[int], room: float, needed: Callable[[int], Need]
) -> Iterator[tuple[int, Need]]:
    """What is needed at the sizes that decide: the largest that fits, and the one behind it.

    Memory grows with the size, so each trial halves what is left, or better: between what stays
    and what is needed the programs grow in proportion, which tells where to look next.
    """
    fits, fails = -1, len(sizes)
    place = fails - 1
    while fits + 1 < fails:
        one = needed(sizes[place])
        yield place, one
        if one.total <= room:
            fits = place
        else:
            fails = place
        each = (one.total - one.stays) / sizes[place]
        within = range(fits + 1, fails)
        if within and 0 < each < float("inf"):
            good = [other for other in within if sizes[other] <= (room - one.stays) / each]
            place = good[-1] if good else within[0]
        elif within:
            place = within[len(within) // 2]


def _choice(
    config: Any,
    plan: Any,
    index: int,
    programs: Programs,
    devices: Sequence[Any],
    room: float | None,
    progress: Progress,
) -> Choice:
    """The choice for one group."""
    num = len(plan.groups[index].replicas)
    size = layout(num, 1, devices).mesh.size
    whole, before = min(-(-num // size), ACCELERATOR_CHUNK), _before(plan, index)

    def told(chunk: int) -> Need:
        progress(f"{before}memory of {chunk} replicas at a time")
        return need(_of_group(config, plan, index, programs, devices, chunk))

    found = choose(whole, room, told, devices[0].platform)
    return found._replace(why=f"{before}{found.why}")


def _need(program: Program) -> Need:
    """What one program takes; it is compiled."""
    laid = program.lay(program.units)
    try:
        memory = bounds.memory(laid.lower().compile(), laid)
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        return Need(float("inf"), 0.0, program.name)
    return Need(memory.total, memory.arguments + memory.idle, program.name)


def _of_group(
    config: Any, plan: Any, index: int, programs: Programs, devices: Sequence[Any], chunk: int
) -> list[Program]:
    """The programs of one group, with so many replicas at a time."""
    own = dataclasses.replace(config, replica_chunk=chunk)
    return programs(own, plan._replace(groups=(plan.groups[index],)), devices)


def _before(plan: Any, index: int) -> str:
    """What stands before a sentence on a group."""
    return f"group {index + 1}: " if len(plan.groups) > 1 else ""


def _recorded(directory: runs.Run) -> dict[str, dict[str, Any]]:
    """What was chosen of each group that has begun."""
    path = directory.directory / NAME
    if not exists(path):
        return {}
    content = read_json(path)
    try:
        groups = dict(content["groups"])
        good = all(type(one["replica_chunk"]) is int for one in groups.values())
    except (KeyError, TypeError, ValueError):
        good, groups = False, {}
    if not good or any(one["replica_chunk"] < 1 for one in groups.values()):
        raise runs.RunError(f"{path} does not say how many replicas ran together; restore it")
    return groups


def _gb(size: float) -> str:
    """Bytes in words."""
    if size == float("inf"):
        return "more than the compiler lays out"
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.1f} MB"
