"""What a compiled program does in one turn of its innermost large loop, read from its text.

The text is XLA's own (``compiled.as_text()``), after all passes: every instruction of a loop's body
that is not free is a kernel, a copy or a collective. Of a program without a loop the whole is one
turn.
"""

import functools
import math
import re
from typing import NamedTuple

_FREE = frozenset(
    (
        *("parameter", "tuple", "get-tuple-element", "bitcast", "constant", "after-all", "iota"),
        *("partition-id", "replica-id", "domain", "opt-barrier", "add-dependency", "while", "call"),
        *("conditional", "async-start", "async-update", "async-done", "copy-done", "slice-done"),
        *("send-done", "recv-done", "all-reduce-done", "all-gather-done"),
        *("collective-permute-done", "dynamic-slice-done"),
    )
)
"""What costs no kernel of its own: names, ends of what began elsewhere, and what calls others."""
_COPIES = frozenset(("copy", "copy-start", "slice-start", "dynamic-slice-start"))
_COLLECTIVE = re.compile(
    r"(all-reduce|all-gather|reduce-scatter|all-to-all|collective-permute|collective-broadcast|"
    r"ragged-all-to-all)(-start)?"
)
_BITS = {"pred": 8, "s4": 4, "u4": 4, "token": 0, "opaque": 0}
_ARRAY = re.compile(r"([a-z]\w*)\[([\d,<=]*)\](?:\{([^{}]*)\})?")
_BRANCHES = re.compile(r"branch_computations=\{([^}]*)\}")
_TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"')
_NEAR = re.compile(r"S\((?!0\))\d+\)")
"""A memory space beside that of the device, such as a TPU's scratchpad."""


class Instruction(NamedTuple):
    """One line of a computation.

    Attributes:
        name: what it defines.
        shape: the text of its type.
        opcode: what it does.
        operands: names of what it reads; of a parameter its number, of a constant its value.
        rest: its attributes.
        is_root: whether it is the computation's result.
    """

    name: str
    shape: str
    opcode: str
    operands: tuple[str, ...]
    rest: str
    is_root: bool


class Turn(NamedTuple):
    """What one turn of a loop does.

    Attributes:
        kernels: that are launched, copies and collectives not among them.
        copies: of arrays, as kernels of their own or by an engine beside them.
        collectives: that talk to other devices.
        bytes: read and written in the device's memory by all of them; what a cache holds counts
            as well, what a TPU keeps in its scratchpad does not.
        loops: inner loops whose number of turns is not known; each is counted as one.
    """

    kernels: float
    copies: float
    collectives: float
    bytes: float
    loops: int

    def plus(self, other: "Turn") -> "Turn":
        """Both, one after the other."""
        counts = (mine + others for mine, others in zip(self[:4], other[:4], strict=True))
        return Turn(*counts, loops=self.loops + other.loops)

    def times(self, count: float) -> "Turn":
        """The same so many times."""
        return Turn(*(count * value for value in self[:4]), loops=self.loops)


class Launch(NamedTuple):
    """One instruction that is no name for what is there already.

    Attributes:
        instruction: what it does; of a loop whose number of turns is not known, that loop.
        turn: what it counts for in one turn of the loop over steps, inner loops unrolled.
    """

    instruction: Instruction
    turn: Turn


NOTHING = Turn(0, 0, 0, 0, 0)
Computations = dict[str, dict[str, Instruction]]


def turn(text: str) -> Turn:
    """What one turn of the program's loop over steps does; see `launches`."""
    return _sum(launches(text))


def launches(text: str) -> list[Launch]:
    """What is launched in one turn of the program's loop over steps, in the order of the text.

    That loop is the one whose body launches most, inner loops of it not among them: around it lie
    loops that move groups of replicas in and out, inside it those of random numbers.
    """
    computations, entry = parse(text)
    loops = [
        (instructions, one)
        for instructions in computations.values()
        for one in instructions.values()
        if one.opcode == "while"
    ]
    if not loops:
        return _launches(computations, entry, deep=True)

    def size(loop: tuple[dict[str, Instruction], Instruction]) -> float:
        return _weight(_launches(computations, _called(loop[1], "body"), deep=False))

    return _round(computations, *max(loops, key=size))


def collectives(text: str) -> int:
    """Instructions of the whole program that talk to other devices."""
    found = (one for each in parse(text)[0].values() for one in each.values())
    return sum(_COLLECTIVE.fullmatch(one.opcode) is not None for one in found)


def parse(text: str) -> tuple[Computations, str]:
    """All computations by name, their instructions by name, and the name of the first to run."""
    computations: Computations = {}
    entry, current = "", None
    for line in text.splitlines():
        if line.startswith("}"):
            current = None
        elif current is None and line.endswith("{") and "->" in line:
            name = line.removeprefix("ENTRY ").split("(")[0].strip().lstrip("%")
            current = computations.setdefault(name, {})
            entry = name if line.startswith("ENTRY") else entry
        elif current is not None and (found := _instruction(line)) is not None:
            current[found.name] = found
    if not entry:
        raise ValueError("the text of the program has no ENTRY; it is not XLA's")
    return computations, entry


def _instruction(line: str) -> Instruction | None:
    left, equals, right = line.strip().partition(" = ")
    if not equals:
        return None
    end = _closing(right, 0) + 1 if right.startswith("(") else right.index(" ")
    opcode, _, _ = right[end + 1 :].partition("(")
    begin = end + 1 + len(opcode)
    close = _closing(right, begin)
    inner = right[begin + 1 : close]
    operands = [inner] if opcode in ("parameter", "constant") else re.findall(r"%([\w.\-]+)", inner)
    name = left.removeprefix("ROOT ").lstrip("%")
    is_root = left.startswith("ROOT ")
    return Instruction(
        name, right[:end], opcode.strip(), tuple(operands), right[close + 1 :], is_root
    )


def _closing(text: str, begin: int) -> int:
    """Where the parenthesis ends that begins there."""
    depth = 0
    for place in range(begin, len(text)):
        depth += {"(": 1, ")": -1}.get(text[place], 0)
        if depth == 0:
            return place
    return len(text) - 1


def _launches(computations: Computations, name: str, *, deep: bool) -> list[Launch]:
    """What a computation launches; inner loops only if ``deep``."""
    found: list[Launch] = []
    for one in computations[name].values():
        if one.opcode == "while":
            found += _loop(computations, computations[name], one) if deep else []
        elif one.opcode == "conditional":
            found += _dearest(computations, one, deep)
        elif one.opcode in ("call", "async-start"):
            called = _called(one, "to_apply") or _called(one, "calls")
            found += _launches(computations, called, deep=deep) if called else []
        elif one.opcode not in _FREE and not _is_scalar(one):
            moved = _moved(computations, computations[name], one)
            found.append(Launch(one, Turn(*_kind(one.opcode), moved, 0)))
    return found


def _sum(found: list[Launch]) -> Turn:
    return functools.reduce(Turn.plus, (launch.turn for launch in found), NOTHING)


def _weight(found: list[Launch]) -> float:
    counted = _sum(found)
    return counted.kernels + counted.copies


def _kind(opcode: str) -> tuple[int, int, int]:
    if opcode in _COPIES:
        return 0, 1, 0
    return (0, 0, 1) if _COLLECTIVE.fullmatch(opcode) else (1, 0, 0)


def _is_scalar(one: Instruction) -> bool:
    """Whether it is a number that no kernel is launched for: a TPU has a unit for them."""
    is_number = one.shape.partition("{")[0].endswith("[]")
    return is_number and (":T(" in one.shape or one.opcode not in ("fusion", "custom-call", "copy"))


def _loop(
    computations: Computations, instructions: dict[str, Instruction], one: Instruction
) -> list[Launch]:
    """All turns of a loop inside another."""
    once, trips = _round(computations, instructions, one), _trips(computations, instructions, one)
    if trips is None:
        return [*once, Launch(one, NOTHING._replace(loops=1))]
    return [launch._replace(turn=launch.turn.times(trips)) for launch in once]


def _round(
    computations: Computations, instructions: dict[str, Instruction], one: Instruction
) -> list[Launch]:
    """One turn: the body, and the condition where the number of turns is not known."""
    body = _launches(computations, _called(one, "body"), deep=True)
    if _trips(computations, instructions, one) is not None:
        return body
    return body + _launches(computations, _called(one, "condition"), deep=True)


def _trips(
    computations: Computations, instructions: dict[str, Instruction], one: Instruction
) -> int | None:
    """How often a loop turns: XLA says so, or it counts from 0 to a constant."""
    if found := _TRIPS.search(one.rest):
        return int(found[1])
    condition = computations[_called(one, "condition")]
    compare = next((each for each in condition.values() if each.is_root), None)
    if compare is None or compare.opcode != "compare" or "direction=LT" not in compare.rest:
        return None
    begun = instructions.get(one.operands[0])
    first, last = (_value(name, condition, begun, instructions) for name in compare.operands)
    return last if first == 0 else None


def _value(
    name: str,
    inside: dict[str, Instruction],
    begun: Instruction | None,
    outside: dict[str, Instruction],
) -> int | None:
    """The whole number that a name in a condition has when the loop begins, if it is constant."""
    one = inside.get(name)
    place = re.search(r"\bindex=(\d+)", one.rest) if one is not None else None
    if place is not None and begun is not None and begun.opcode == "tuple":
        one = outside.get(begun.operands[int(place[1])])
    while one is not None and one.opcode in ("copy", "bitcast"):
        one = outside.get(one.operands[0])
    if one is None or one.opcode != "constant" or not one.operands[0].isdigit():
        return None
    return int(one.operands[0])


def _dearest(computations: Computations, one: Instruction, deep: bool) -> list[Launch]:
    """The branch that launches most."""
    listed = _BRANCHES.search(one.rest)
    names = re.findall(r"%?([\w.\-]+)", listed[1]) if listed else []
    names = names or re.findall(r"(?:true|false)_computation=%?([\w.\-]+)", one.rest)
    return max((_launches(computations, name, deep=deep) for name in names), key=_weight)


def _called(one: Instruction, attribute: str) -> str:
    found = re.search(rf"\b{attribute}=\{{?%?([\w.\-]+)", one.rest)
    return found[1] if found else ""


def _moved(
    computations: Computations, instructions: dict[str, Instruction], one: Instruction
) -> float:
    """Bytes that a kernel reads and writes in the device's memory."""
    inside = computations.get(_called(one, "calls"), {}) if one.opcode == "fusion" else {}
    written = _written(inside, one)
    if one.opcode in ("dynamic-slice", "gather", "slice"):
        return 2 * written
    if one.opcode == "dynamic-update-slice":
        return 2 * _size(instructions[one.operands[1]].shape)
    return written + sum(
        _read(inside, place, instructions[name].shape)
        for place, name in enumerate(one.operands)
        if name in instructions
    )


def _read(inside: dict[str, Instruction], place: int, shape: str) -> float:
    """Of an operand, what is read: of one that is only sliced, the slices."""
    whole = _size(shape)
    for one in inside.values():
        if one.opcode == "parameter" and one.operands == (str(place),):
            uses = [use for use in inside.values() if one.name in use.operands]
            if uses and all(_is_part(use, one.name) for use in uses):
                return min(whole, sum(_part(use) for use in uses))
    return whole


def _is_part(use: Instruction, name: str) -> bool:
    """Whether a use reads, or replaces, a part of what it is given first."""
    first = bool(use.operands) and use.operands[0] == name and use.operands.count(name) == 1
    return first and use.opcode in ("dynamic-slice", "gather", "slice", "dynamic-update-slice")


def _part(use: Instruction) -> float:
    """Bytes that a slice takes of an array, wherever it puts them."""
    return 0.0 if use.opcode == "dynamic-update-slice" else _size(_NEAR.sub("", use.shape))


def _written(inside: dict[str, Instruction], one: Instruction) -> float:
    """Bytes of the result; of one that is an array with a part replaced, those of the part."""
    for root in inside.values():
        if root.is_root and root.opcode == "dynamic-update-slice" and root.operands[1] in inside:
            return min(_size(one.shape), _size(inside[root.operands[1]].shape))
    if one.opcode in ("copy-start", "slice-start"):  # its result names source and target
        arrays = [_bytes(found) for found in _ARRAY.finditer(one.shape)]
        return arrays[0] if arrays else 0.0
    return _size(one.shape)


def _size(shape: str) -> float:
    """Bytes of all arrays of a type that lie in the device's own memory, as they are laid out."""
    return sum(_bytes(found) for found in _ARRAY.finditer(shape))


def _bytes(found: re.Match[str]) -> float:
    kind, dims, layout = found[1], found[2], found[3] or ""
    if _NEAR.search(layout):
        return 0.0
    width = re.search(r"\d+", kind)
    bits = _BITS.get(kind, int(width[0]) if width else 8)
    return math.prod(_padded(dims, layout)) * bits / 8


def _padded(dims: str, layout: str) -> list[int]:
    """The sizes, those of the two fastest axes rounded up to a tile."""
    sizes = [int(size.lstrip("<=")) for size in dims.split(",") if size]
    order, _, more = layout.partition(":")
    tile = re.match(r"T\((\d+),(\d+)\)", more)
    axes = [int(axis) for axis in order.split(",") if axis]
    if tile and len(axes) >= 2:
        for axis, unit in zip(axes[:2], (int(tile[2]), int(tile[1])), strict=True):
            sizes[axis] = -(-sizes[axis] // unit) * unit
    return sizes
