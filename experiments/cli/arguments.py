"""Checks of the words on the command line, before the parser sees them.

The parser would keep the last of a repeated option, and answer a misspelt option or value with a
page of suggestions. Here each mistake ends as one sentence. Names are those of the parser: read
from the same annotations, so that an option it shows is one that passes here.
"""

import contextlib
import dataclasses
import io
import re
import types
import typing
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import tyro

from sigmaprop.names import shown, unknown

from .complaints import UserError

_ONE = {int: "an integer", float: "a number", str: "a word", Path: "a path", bool: "True or False"}
_MORE = {int: "integers", float: "numbers", str: "words", Path: "paths"}
_NUMBERS = ("inf", "infinity", "nan")
_HELP = ("-h", "--help")


class Place(NamedTuple):
    """A word that is told by its place.

    Attributes:
        name: as the help calls it.
        kind: its type; that of all, for a place that takes any number of words.
        required: whether the command cannot do without.
    """

    name: str
    kind: Any
    required: bool


def check(name: str, command: type, words: Sequence[str]) -> None:
    """Refuses unknown and repeated options, and words that an option's type excludes.

    Args:
        name: of the command.
        command: the dataclass whose fields, nested ones included, are the options.
        words: the arguments behind the command's name.

    Raises:
        ValueError: naming the option, its value and what is allowed.
    """
    for word in words:
        _check_text(word)
    kinds = options(command)
    found, loose = _sorted(words, kinds)
    _check_places(name, places(command), loose)
    seen = set()
    for option, values in found:
        if option not in kinds:
            raise unknown("option", option, kinds)
        if option in seen:
            raise ValueError(f"option {option} is given more than once; give it once")
        seen.add(option)
        if not values and not _is_many(kinds[option]) and kinds[option] is not bool:
            raise ValueError(f"{option} is without its value; give {_describe(kinds[option])}")
        for value in values:
            if not _allows(kinds[option], value):
                raise _refusal(option, kinds[option], value)


def with_flags(command: type, words: Sequence[str]) -> list[str]:
    """The words, with True behind every switch that is given without a value."""
    kinds = options(command)
    found = []
    for number, word in enumerate(words):
        found.append(word)
        switch = kinds.get(word.replace("_", "-")) is bool
        if switch and (number + 1 == len(words) or words[number + 1].startswith("--")):
            found.append("True")
    return found


def divided(command: type, words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words of a command that goes around another, and those of the one inside.

    The word that names the one inside is the first of the command's own; options of the one inside
    stand behind it.
    """
    kinds, place = options(command), 0
    name: list[str] = []
    own: list[str] = []
    inner: list[str] = []
    while place < len(words):
        option, equals, _ = words[place].partition("=")
        kind = kinds.get(option.replace("_", "-"))
        count = 1
        if kind is not None and not equals and place + 1 < len(words):
            following = words[place + 1]
            takes = _allows(bool, following) if kind is bool else not _is_option(following)
            count += takes
        if kind is not None or words[place] in _HELP:
            own += words[place : place + count]
        elif name or inner or _is_option(words[place]):
            inner.append(words[place])
        else:
            name.append(words[place])
        place += count
    return name + own, inner


def value_of(option: str, words: Sequence[str]) -> str | None:
    """The option's first value, None where it is not given or is the word None."""
    found, _ = _sorted(words, {})
    values = dict(found).get(option) or [None]
    return None if values[0] == "None" else values[0]


def named(words: Sequence[str]) -> set[str]:
    """The options that are given."""
    return {option for option, _ in _sorted(words, {})[0]}


def options(command: type) -> dict[str, Any]:
    """The type of every option, by the name that the parser gives it."""
    return dict(_options(command, "", bare=False))


def places(command: type) -> list[Place]:
    """The words that are told by their place, in order."""
    hints = typing.get_type_hints(command, include_extras=True)
    found = []
    for field in dataclasses.fields(command):
        kind, marks = _unwrapped(hints[field.name])
        if tyro.conf.Positional in marks:
            required = field.default is field.default_factory is dataclasses.MISSING
            found.append(Place(field.name.upper().replace("_", "-"), kind, required))
        elif isinstance(kind, type) and dataclasses.is_dataclass(kind):
            found += places(kind)
    return found


def _options(command: type, prefix: str, *, bare: bool) -> Iterator[tuple[str, Any]]:
    """(Option, type); those of a nested dataclass have its name before them, unless it is bare."""
    hints = typing.get_type_hints(command, include_extras=True)
    for field in dataclasses.fields(command):
        kind, marks = _unwrapped(hints[field.name])
        if tyro.conf.Positional in marks or tyro.conf.Fixed in marks:
            continue
        given = [mark.name for mark in marks if getattr(mark, "name", None) is not None]
        name = (given[0] if given else field.name).replace("_", "-")
        if isinstance(kind, type) and dataclasses.is_dataclass(kind):
            inside = bare or tyro.conf.OmitArgPrefixes in marks
            below = prefix if inside or not name else f"{prefix}{name}."
            yield from _options(kind, below, bare=inside)
        else:
            yield f"--{prefix}{name}", kind


def _unwrapped(kind: Any) -> tuple[Any, tuple[Any, ...]]:
    """A type and what it is marked with."""
    if typing.get_origin(kind) is typing.Annotated:
        return kind.__origin__, kind.__metadata__
    return kind, ()


def _sorted(
    words: Sequence[str], kinds: dict[str, Any]
) -> tuple[list[tuple[str, list[str]]], list[str]]:
    """The options with their words, and the words that belong to none."""
    found: list[tuple[str, list[str]]] = []
    loose: list[str] = []
    for word in words:
        if _is_option(word):
            option, equals, value = word.partition("=")
            found.append((option.replace("_", "-"), [value] if equals else []))
        elif found and (not found[-1][1] or _is_many(kinds.get(found[-1][0]))):
            found[-1][1].append(word)
        else:
            loose.append(word)
    return found, loose


def _is_option(word: str) -> bool:
    """Whether it begins as an option does, and not as a negative number."""
    rest = word[1:]
    if not word.startswith("-") or not rest:
        return False
    return not (rest[0].isdigit() or rest[0] == "." or rest.lower() in _NUMBERS)


def _is_many(kind: Any) -> bool:
    """Whether a type takes any number of words."""
    members = typing.get_args(kind)
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return any(_is_many(member) for member in members)
    return typing.get_origin(kind) is tuple


def _check_text(word: str) -> None:
    """Refuses what can be no name on disk, or no text at all."""
    if "\0" in word:
        raise ValueError(f"{shown(word)} holds a NUL character; leave it out")
    try:
        word.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{shown(word)} is not valid UTF-8; rename the file or mend it") from None


def _check_places(name: str, known: Sequence[Place], words: Sequence[str]) -> None:
    """Refuses words that have no place, and places without their word."""
    left = list(words)
    for place in known:
        taken, left = (left, []) if _is_many(place.kind) else (left[:1], left[1:])
        if not taken and place.required and not _is_many(place.kind):
            raise ValueError(f"{name} needs {place.name}: {_describe(place.kind)}")
        for word in taken:
            if not _allows(place.kind, word):
                raise _refusal(place.name, place.kind, word)
    if left:
        takes = f"beside options {' '.join(p.name for p in known)}" if known else "options"
        raise ValueError(f"unexpected word {shown(left[0])}; {name} takes {takes} only")


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
    if kind is bool:
        return word in ("True", "False")
    if kind is Path:
        return bool(word)  # an empty one would be the current directory
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
    return ValueError(f"{option} is {shown(word)}; give {_describe(kind)}")


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
    if typing.get_origin(kind) is Literal:
        return f"one of {', '.join(map(str, members))}"
    if typing.get_origin(kind) is tuple:
        return f"one or more {_MORE.get(members[0], 'words')}"
    if members:
        return " or ".join(_describe(member) for member in members)
    return _ONE.get(kind, "None")


def parse(command: type, arguments: list[str], **options: Any) -> Any:
    """What the parser makes of the words; a mistake that `check` let pass, as a sentence."""
    refusal = io.StringIO()
    try:
        with contextlib.redirect_stderr(refusal):
            return tyro.cli(
                command,
                args=arguments,
                prog=f"sigmaprop {options.pop('name')}",
                config=(tyro.conf.FlagConversionOff,),
                **options,
            )
    except SystemExit as error:
        if not error.code:
            raise
        frame = r"(-{3,}|[\u2500-\u257f\s])+"
        raise UserError(re.sub(frame, " ", refusal.getvalue()).strip()) from error
