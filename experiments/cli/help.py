"""``sigmaprop gan --help``: every option on a line, in groups; ``--help-all`` says all of each.

What an option means is read from the docstrings of the config's fields, which are the long help
too; its group stands in the field.
"""

import ast
import dataclasses
import inspect
import itertools
import re
import textwrap
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

from sigmaprop.names import shortened

from ..jobs.options import JobsOptions
from ..options import flag, groups
from .commands import Shared

WIDTH = 80
_NAME = 33
"""Columns of an option with its default."""


def compact(name: str, command: type, config: Any) -> Iterator[str]:
    """The lines of the short help.

    Args:
        name: of the command.
        command: its dataclass: its docstring begins the help.
        config: the defaults; each of its fields has a heading, see `options.option`.
    """
    about = inspect.getdoc(command) or ""
    yield f"usage: sigmaprop {name} [OPTIONS]"
    yield ""
    yield from textwrap.wrap(about.split("\n\n")[0].replace("\n", " "), WIDTH)
    yield "--help-all explains each option in full, with all of its values."
    yield ""
    own = {field.name for field in dataclasses.fields(command)} - {name}
    texts = {**meanings(type(config)), **meanings(command)}
    yield "where to begin, and where to write"
    defaults = {field.name: field.default for field in dataclasses.fields(command)}
    further = {"seeds as jobs of their own": JobsOptions, "processes that share the run": Shared}
    later = {field.name for kind in further.values() for field in dataclasses.fields(kind)}
    for field in (field for field in defaults if field in own and field not in later):
        yield _line(field, defaults[field], texts.get(field, ""), type(None))
    for heading, fields in groups(type(config)).items():
        yield ""
        yield heading
        for field in fields:
            value = getattr(config, field)
            yield _line(field, value, texts.get(field, ""), _kind(config, field))
    for heading, kind in further.items():
        yield ""
        yield heading
        for field in (field.name for field in dataclasses.fields(kind)):
            yield _line(field, defaults[field], texts.get(field, ""), type(None))
    never = [one.name for one in dataclasses.fields(config) if not one.metadata.get("sweepable", 1)]
    yield ""
    yield "several values at once"
    sentence = (
        "--sweep.OPTION VALUE VALUE ... crosses the values of an option with those of the other "
        "swept ones; every combination runs with every seed. All options can be swept but "
        f"{', '.join(map(flag, never))} and those of the run and its measurements."
    )
    yield from (f"  {line}" for line in textwrap.wrap(sentence, WIDTH - 2))


def meanings(kind: type) -> dict[str, str]:
    """The docstring of every field of a dataclass and of those it derives from, as one line."""
    found: dict[str, str] = {}
    for one in reversed(kind.__mro__):
        if one is not object and dataclasses.is_dataclass(one):
            try:
                source = textwrap.dedent(inspect.getsource(one))
            except (OSError, TypeError):  # made, not written
                continue
            (body,) = (
                node.body for node in ast.parse(source).body if isinstance(node, ast.ClassDef)
            )
            for field, text in itertools.pairwise(body):
                if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr):
                    assert isinstance(field.target, ast.Name)
                    value = ast.literal_eval(text.value)
                    found[field.target.id] = " ".join(value.split())
    return found


def _kind(config: Any, field: str) -> Any:
    """The type of a field, its choices if it has any."""
    for one in type(config).__mro__:
        kind = inspect.get_annotations(one).get(field)
        if kind is not None:
            return kind
    return type(None)


def _line(field: str, default: Any, meaning: str, kind: Any) -> str:
    """An option with its default, and as much of its meaning as the line holds."""
    name = flag(field)
    if dataclasses.is_dataclass(default):
        name, value = f"{name}.OPTION", ""
    elif isinstance(default, bool) or not isinstance(default, tuple):
        value = "" if default is None or default == () else str(default)
    else:
        value = " ".join(f"{one:g}" if isinstance(one, float) else str(one) for one in default)
    left = f"  {name} {shortened(value, 18)}".rstrip()
    choices = " | ".join(map(str, get_args(kind))) if get_origin(kind) is Literal else ""
    first = meaning.split(". ")[0].removesuffix(".")
    text = choices if 0 < len(choices) <= WIDTH - _NAME - 2 else first
    room = WIDTH - max(_NAME, len(left)) - 1
    if len(text) > room:
        clause = re.split(r"[,;:] ", text[: room + 2])[:-1]
        short = text[: len(", ".join(clause))]
        text = short if len(short) > room // 2 else textwrap.shorten(text, room, placeholder=" …")
    return f"{left:{_NAME}} {text}".rstrip()
