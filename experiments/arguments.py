"""Checks of the words on the command line, before the parser sees them.

The parser would keep the last of a repeated option, and answer a misspelt option or value with a
page of suggestions. Here each mistake ends as one sentence.
"""

import dataclasses
import types
import typing
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import tyro

from sigmaprop.names import unknown

_ONE = {int: "an integer", float: "a number", str: "a word", Path: "a path"}
_MORE = {int: "integers", float: "numbers", str: "words", Path: "paths"}


def check(command: type, words: Sequence[str]) -> None:
    """Refuses unknown and repeated options, and words that an option's type excludes.

    Args:
        command: the dataclass whose fields, nested ones included, are the options.
        words: the arguments behind the command's name.

    Raises:
        ValueError: naming the option, its value and what is allowed.
    """
    kinds = dict(_options(command))
    first = _first_positional(command)
    if (
        first is not None
        and words
        and not words[0].startswith("-")
        and not _allows(first, words[0])
    ):
        raise _refusal("the first word", first, words[0])
    seen = set()
    for option, values in given(words):
        if option not in kinds:
            raise unknown("option", option, kinds)
        if option in seen:
            raise ValueError(f"option {option} is given more than once; give it once")
        seen.add(option)
        for value in values:
            if not _allows(kinds[option], value):
                raise _refusal(option, kinds[option], value)


def with_flags(command: type, words: Sequence[str]) -> list[str]:
    """The words, with True behind every switch that is given without a value."""
    kinds = dict(_options(command))
    found = []
    for number, word in enumerate(words):
        found.append(word)
        switch = kinds.get(word.replace("_", "-")) is bool
        if switch and (number + 1 == len(words) or words[number + 1].startswith("--")):
            found.append("True")
    return found


def given(words: Sequence[str]) -> list[tuple[str, list[str]]]:
    """The options among the words, each with the words up to the next option."""
    found: list[tuple[str, list[str]]] = []
    for word in words:
        if word.startswith("--"):
            option, equals, value = word.partition("=")
            found.append((option.replace("_", "-"), [value] if equals else []))
        elif found:
            found[-1][1].append(word)
    return found


def value_of(option: str, words: Sequence[str]) -> str | None:
    """The option's first value, None where it is not given or is the word None."""
    values = dict(given(words)).get(option) or [None]
    return None if values[0] == "None" else values[0]


def _first_positional(command: type) -> Any:
    """The type of the first word that is no option; None where the command takes none."""
    marked = typing.get_type_hints(command, include_extras=True)
    for name, kind in typing.get_type_hints(command).items():
        if marked[name] == tyro.conf.Positional[kind]:
            return kind
    return None


def _options(command: type, prefix: str = "--") -> Iterator[tuple[str, Any]]:
    """(Flag, type) of every option; those of a nested dataclass have its name before them."""
    marked = typing.get_type_hints(command, include_extras=True)
    for name, kind in typing.get_type_hints(command).items():
        if marked[name] == tyro.conf.Positional[kind]:
            continue
        flag = prefix + name.replace("_", "-")
        if not (dataclasses.is_dataclass(kind) and isinstance(kind, type)):
            yield flag, kind
        elif marked[name] is not kind:  # marked as `OmitArgPrefixes` or `UNPREFIXED`
            yield from _options(kind, prefix)
        else:
            yield from _options(kind, flag + ".")


def _allows(kind: Any, word: str) -> bool:
    """Whether one word can be a value, or a part of one, of type ``kind``."""
    members = typing.get_args(kind)
    match typing.get_origin(kind) or kind:
        case typing.Literal:
            return word in [str(member) for member in members]
        case typing.Union | types.UnionType:
            return any(_allows(member, word) for member in members)
        case types.NoneType:
            return word == "None"
    if typing.get_origin(kind) is tuple:
        return _allows(members[0], word)
    if kind not in (int, float):
        return True
    try:
        kind(word)
    except ValueError:
        return False
    return True


def _refusal(option: str, kind: Any, word: str) -> ValueError:
    choices = list(_choices(kind))
    if choices:
        return unknown(f"value of {option}", word, choices)
    return ValueError(f"{option} is {word!r}; give {_describe(kind)}")


def _choices(kind: Any) -> Iterator[str]:
    """The words that a type of nothing but Literals allows."""
    if typing.get_origin(kind) is Literal:
        yield from (str(member) for member in typing.get_args(kind))
    elif typing.get_origin(kind) is tuple:
        yield from _choices(typing.get_args(kind)[0])
    elif typing.get_origin(kind) in (typing.Union, types.UnionType):
        members = [member for member in typing.get_args(kind) if member is not types.NoneType]
        if len(members) == 1:
            yield from _choices(members[0])


def _describe(kind: Any) -> str:
    """What a type allows, in words."""
    members = typing.get_args(kind)
    if typing.get_origin(kind) is tuple:
        return f"one or more {_MORE[members[0]]}"
    if members:
        return " or ".join(_describe(member) for member in members)
    return _ONE.get(kind, "None")
