"""Registries of what has a name, and how names and values of the user's stand in our sentences."""

import difflib
import importlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar

_MOST_LISTED = 40
_MOST_SHOWN = 60
_NEAR = 0.6
"""Least ratio of `difflib` at which a name is taken for a slip of the pen."""
_FEWEST_LETTERS = 3
"""A name of so many letters may stand for one that begins with it."""

Record = TypeVar("Record")


class Registry(dict[str, Record], Generic[Record]):
    """Records by name, in the order of listings; ``[name]`` refuses an unknown name.

    Example:
        >>> numbers = Registry("number", {"one": 1})
        >>> numbers.register("two", 2)
        >>> list(numbers), numbers["two"]
        (['one', 'two'], 2)
        >>> numbers["tow"]
        Traceback (most recent call last):
        ValueError: unknown number 'tow'; did you mean 'two'? Known: one, two
    """

    def __init__(self, kind: str, records: Mapping[str, Record]) -> None:
        """Args: what a record is, in the words of an error; the records by name."""
        super().__init__(records)
        self.kind = kind

    def __missing__(self, name: str) -> Record:
        """Raises ValueError for a name that is none: a near one is named, then all if not many."""
        raise unknown(self.kind, name, self)

    def check(self, name: str) -> None:
        """Raises ValueError for a name that is none."""
        if name not in self:
            raise unknown(self.kind, name, self)

    def register(self, name: str, record: Record) -> None:
        """Adds a record; raises ValueError where the name is taken."""
        if name in self:
            raise ValueError(f"{self.kind} {name!r} is there already; choose another name")
        self[name] = record


def resolve(spec: str | Callable[..., Any], package: str | None = None) -> Callable[..., Any]:
    """The function of ``module:function``, or of ``.module`` in a package; a function is itself."""
    if not isinstance(spec, str):
        return spec
    module, _, name = spec.partition(":")
    return getattr(importlib.import_module(module, package), name)


def unknown(kind: str, name: str, known: Iterable[str]) -> ValueError:
    """The error for an unknown ``name`` of some ``kind``: a near one, then all if not many."""
    known = tuple(known)
    near = nearest(name, known)
    hint = "" if near is None else f"; did you mean {near!r}?"
    rest = f"Known: {', '.join(known) or 'none'}"
    if len(known) > _MOST_LISTED:
        rest = "--help lists them all"
    return ValueError(f"unknown {kind} {shown(name)}{hint or '.'} {rest}")


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that was most likely meant, None where none is near."""
    bare = name.lstrip("-")[:_MOST_SHOWN]
    by_bare = {one.lstrip("-"): one for one in known}
    if close := difflib.get_close_matches(bare, by_bare, n=1, cutoff=_NEAR):
        return by_bare[close[0]]
    longer = [one for one in by_bare if len(bare) >= _FEWEST_LETTERS and one.startswith(bare)]
    return by_bare[longer[0]] if longer else None


def shown(value: object, most: int = _MOST_SHOWN) -> str:
    """A value of the user's as a sentence echoes it: words in quotes, what is long shortened."""
    try:
        text = repr(value) if isinstance(value, str) else " ".join(str(value).split())
    except ValueError:  # Python refuses to write out integers of many thousand digits
        text = f"an integer of {int.bit_length(value)} bits" if isinstance(value, int) else "?"
    return shortened(text, most)


def shortened(text: str, most: int = _MOST_SHOWN) -> str:
    """A text of at most so many characters: its beginning, an ellipsis, its end."""
    if len(text) <= most:
        return text
    tail = (most - 1) // 3
    return f"{text[: most - 1 - tail]}…{text[len(text) - tail :]}"
