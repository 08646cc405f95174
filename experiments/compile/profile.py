"""Where the kernels of a compiled program come from: by the function that asked for them.

An optimised program names, for every instruction, the Python frames that traced it. A kernel that
was fused of several is its root's, the function of the last thing that it does.
"""

import re
from collections import defaultdict
from typing import NamedTuple

from . import hlo
from .hlo import Instruction

UNNAMED = "the compiler's own"
"""What no line of Python asked for, such as most copies."""
_SECTIONS = ("FileNames", "FunctionNames", "FileLocations", "StackFrames")
_FIELD = re.compile(r"(\w+)=(\d+)")
_PART_OF_A_NAME = re.compile(r"<locals>\.|\.?<(?:lambda|listcomp|dictcomp|genexpr)>")


class Row(NamedTuple):
    """What one function launches in one turn of the loop over steps.

    Attributes:
        origin: "module.function", with ", backward" where a derivative of it is taken.
        kernels: that are launched, collectives among them.
        copies: of arrays.
        bytes: that they read and write in the device's memory.
    """

    origin: str
    kernels: float
    copies: float
    bytes: float


def profile(text: str, *, by_bytes: bool = False) -> list[Row]:
    """The functions that kernels come from, the largest first.

    Args:
        text: the optimised program.
        by_bytes: whether the largest is what moves most; else what launches most.
    """
    names, totals = _functions(text), defaultdict[str, hlo.Turn](lambda: hlo.NOTHING)
    for instruction, turn in hlo.launches(text):
        origin = _origin(instruction, names)
        totals[origin] = totals[origin].plus(turn)
    rows = [
        Row(origin, turn.kernels + turn.collectives, turn.copies, turn.bytes)
        for origin, turn in totals.items()
    ]

    def size(row: Row) -> tuple[float, float]:
        launched = row.kernels + row.copies
        return (row.bytes, launched) if by_bytes else (launched, row.bytes)

    return sorted(rows, key=size, reverse=True)


def _origin(instruction: Instruction, names: dict[int, str]) -> str:
    frame = re.search(r"\bstack_frame_id=(\d+)", instruction.rest)
    name = names.get(int(frame[1])) if frame else None
    if name is None:
        return UNNAMED
    operation = re.search(r'\bop_name="([^"]*)"', instruction.rest)
    return f"{name}, backward" if operation and "transpose(" in operation[1] else name


def _functions(text: str) -> dict[int, str]:
    """The function of each frame, as "module.function"."""
    files, functions, locations, frames = (_section(text, name) for name in _SECTIONS)
    found = {}
    for frame, fields in frames.items():
        place = _fields(locations.get(_fields(fields).get("file_location_id", 0), ""))
        file = files.get(place.get("file_name_id", 0), "").strip('"')
        function = functions.get(place.get("function_name_id", 0), "").strip('"')
        if file and function:
            module = file.replace("\\", "/").rpartition("/")[2].removesuffix(".py")
            found[frame] = f"{module}.{_PART_OF_A_NAME.sub('', function).rstrip('.')}"
    return found


def _section(text: str, name: str) -> dict[int, str]:
    """The numbered lines of a table at the head of the text; none where there is no such table."""
    _, _, rest = text.partition(f"\n{name}\n")
    lines = (line.partition(" ") for line in rest.partition("\n\n")[0].splitlines())
    return {int(number): value for number, _, value in lines if number.isdigit()}


def _fields(text: str) -> dict[str, int]:
    return {name: int(value) for name, value in _FIELD.findall(text)}
