"""Frozen dataclasses as JSON and back, checked against their type hints.

An option is a str, int, float, bool, None, Path, Literal, tuple or dataclass, or a union of them; a
dict holds options that another type checks.
"""

import dataclasses
import json
import math
import os
import types
import typing
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, TypeVar

from sigmaprop.names import shown, unknown
from sigmaprop.runs.files import RunError, exists, read_json

Config = TypeVar("Config")

_SCHEMA = 1
_FRAME = ("schema", "command", "config")
_PLAIN = {int: "an integer", float: "a finite number", str: "a string", bool: "true or false"}
_PLAIN |= {Path: "a path", type(None): "null"}


def dump(command: str, config: Any) -> str:
    """The text of ``config.json``, after a check that it reads back as the same config.

    Raises:
        RunError: if an option has a value that its type does not allow.
        TypeError: if the config does not survive being written and read back.
    """
    content = {"schema": _SCHEMA, "command": command, "config": _as_plain(config)}
    text = json.dumps(content, indent=2, default=os.fspath) + "\n"
    try:
        again = _decode_fields(json.loads(text)["config"], type(config), "")
    except ValueError as error:
        raise RunError(str(error)) from error
    if again != config:
        raise TypeError(f"{type(config).__name__} changes when it is written and read back")
    return text


def _as_plain(value: Any) -> Any:
    """Dataclasses as dicts, without fields of metadata "sparse" that hold their default."""
    if dataclasses.is_dataclass(value):
        return {
            field.name: _as_plain(getattr(value, field.name))
            for field in dataclasses.fields(value)
            if not field.metadata.get("sparse") or getattr(value, field.name) != field.default
        }
    return [_as_plain(one) for one in value] if isinstance(value, tuple) else value


def load_command(path: Path) -> str:
    """The command that a ``config.json``, or the one of a run directory, belongs to.

    Raises:
        RunError: if the file is missing, damaged or of another schema.
    """
    return _read(_file(path))["command"]


def load_config(path: Path, config_type: type[Config], *, command: str | None = None) -> Config:
    """Reads a config, strictly; an option that is missing takes its default.

    One that did not exist yet when the config was written, and whose default changes numbers, takes
    the value that stands for what was done then.

    Args:
        path: a ``config.json`` or a run directory.
        config_type: the dataclass to build.
        command: refuse a config of another command; None accepts any.

    Returns:
        An instance of ``config_type``, equal to the one that was written.

    Raises:
        RunError: naming the file, the option, its value and what is allowed.
    """
    path = _file(path)
    content = _read(path)
    if command not in (None, content["command"]):
        raise RunError(
            f"{path} belongs to the command {content['command']!r}, not {command!r}; choose another"
        )
    try:
        return _decode_fields(content["config"], config_type, "")
    except ValueError as error:
        raise RunError(f"{path}: {error}") from error


def from_values(config_type: type[Config], values: Mapping[str, Any]) -> Config:
    """A config of Python values, checked as those of a file are: lists may stand for tuples.

    Raises:
        ValueError: naming the option, its value and what is allowed.
    """
    plain = json.loads(json.dumps(values, default=_plain))
    return _decode_fields(plain, config_type, "")


def _plain(value: Any) -> Any:
    """What JSON has for a dataclass, a path, or a number of NumPy or JAX."""
    if isinstance(value, Path):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if callable(as_list := getattr(value, "tolist", None)):
        return as_list()
    raise ValueError(f"an option is of type {type(value).__name__}, which none takes")


def changes(config: Any, base: Any) -> tuple[int, int]:
    """Counts the options, those of a nested dataclass one by one.

    Args:
        config: a dataclass.
        base: the one it is compared with; where its nested dataclass is another, or none, all
            options of ``config``'s count as changed.

    Returns:
        How many options differ, and how many there are.
    """
    if not dataclasses.is_dataclass(config):
        return int(config != base), 1
    same = type(config) is type(base)
    names = [field.name for field in dataclasses.fields(config)]
    bases = [getattr(base, name) if same else dataclasses.MISSING for name in names]
    counts = [changes(getattr(config, n), b) for n, b in zip(names, bases, strict=True)]
    return sum(changed for changed, _ in counts), sum(total for _, total in counts)


def _file(path: Path) -> Path:
    path = Path(path)
    return path / "config.json" if exists(path) and path.is_dir() else path


def _read(path: Path) -> dict[str, Any]:
    """The content of a config file, with its frame checked."""
    content = read_json(path)
    if not isinstance(content, dict) or set(content) != set(_FRAME):
        raise RunError(f"{path} is no config: it must hold exactly {', '.join(_FRAME)}; correct it")
    schema = content["schema"]
    if type(schema) is not int or schema != _SCHEMA:
        raise RunError(
            f"{path} has schema {shown(schema)}, but this version reads {_SCHEMA}; "
            "use the version that wrote it"
        )
    if not isinstance(content["command"], str):
        raise RunError(f"{path}: command is {shown(content['command'])}; give a string")
    return content


def _decode(value: Any, kind: Any, option: str) -> Any:
    """The config value of type ``kind`` that a JSON value stands for."""
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        return _decode_union(value, kind, option)
    if origin is tuple and isinstance(value, list):
        return _decode_tuple(value, kind, option)
    if dataclasses.is_dataclass(kind):
        return _decode_fields(value, kind, option)
    if origin is dict and isinstance(value, dict):
        return value
    if kind is Path and isinstance(value, str):
        return Path(value)
    if kind is float and type(value) in (int, float) and _is_float(value):
        return float(value)
    if kind is not float and kind in _PLAIN and type(value) is kind:
        return value
    if origin is Literal and (type(value), value) in [(type(v), v) for v in typing.get_args(kind)]:
        return value
    raise _invalid(value, kind, option)


def _is_float(value: float) -> bool:
    """Whether a JSON number is exactly a finite float: not 1e999, not 2**53 + 1."""
    try:
        return math.isfinite(value) and float(value) == value
    except OverflowError:
        return False


def _decode_union(value: Any, kind: Any, option: str) -> Any:
    """The value as the first member that takes it."""
    members = typing.get_args(kind)
    inner = [member for member in members if member is not type(None)]
    if len(inner) == 1 and isinstance(value, list | dict):
        return _decode(value, inner[0], option)  # its message names the option inside
    for member in members:
        with suppress(ValueError):
            return _decode(value, member, option)
    raise _invalid(value, kind, option)


def _decode_tuple(value: list[Any], kind: Any, option: str) -> tuple[Any, ...]:
    members = typing.get_args(kind)
    if members[-1:] == (Ellipsis,):
        members = members[:1] * len(value)
    if len(members) != len(value):
        raise _invalid(value, kind, option)
    items = enumerate(zip(value, members, strict=True))
    return tuple(_decode(item, member, f"{option}[{i}]") for i, (item, member) in items)


def _decode_fields(value: Any, kind: Any, option: str) -> Any:
    """A dataclass of its options; those that are missing take their defaults.

    A field that is newer than some configs, and whose default is not what was done before it, says
    in its metadata what it was: ``missing``. So an older run is replayed to its own numbers.
    """
    if not isinstance(value, dict):
        raise _invalid(value, kind, option)
    hints = typing.get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for name in value:
        if name not in fields:
            raise unknown("option", _join(option, name[:60]), [_join(option, f) for f in fields])
    for name, field in fields.items():
        required = field.default is field.default_factory is dataclasses.MISSING
        if required and name not in value:
            allowed = _allowed(hints[name])
            raise ValueError(f"option {_join(option, name)} is missing; give {allowed}")
    before = {
        name: field.metadata["missing"]
        for name, field in fields.items()
        if "missing" in field.metadata and name not in value
    }
    own = {name: _decode(v, hints[name], _join(option, name)) for name, v in value.items()}
    return kind(**(before | own))


def _invalid(value: Any, kind: Any, option: str) -> ValueError:
    subject = f"option {option}" if option else "config"
    return ValueError(f"{subject} is {shown(value)}; give {_allowed(kind)}")


def _allowed(kind: Any) -> str:
    """What a type allows, in words."""
    if kind in _PLAIN:
        return _PLAIN[kind]
    if dataclasses.is_dataclass(kind):
        return "the options " + ", ".join(field.name for field in dataclasses.fields(kind))
    members = typing.get_args(kind)
    match typing.get_origin(kind):
        case origin if origin is dict:
            return "an object"
        case typing.Union | types.UnionType:
            return " or ".join(_allowed(member) for member in members)
        case typing.Literal:
            return "one of " + ", ".join(repr(choice) for choice in members)
        case origin if origin is tuple and members[-1:] == (Ellipsis,):
            return f"a list, each item {_allowed(members[0])}"
        case origin if origin is tuple:
            return f"a list of {len(members)}: " + ", ".join(_allowed(m) for m in members)
    raise TypeError(f"{kind} is no type of a config option")


def _join(option: str, name: str) -> str:
    return f"{option}.{name}" if option else name
