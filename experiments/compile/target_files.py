"""A target of the user's own: a file of JSON that names its numbers.

    {"like": "h100", "name": "my card", "memory": 48e9, "price": {"dollars": 0.8}}

``like`` takes all that the file does not name from a listed target. Without it ``name``, ``kind``
(cpu, cuda or tpu), ``peak`` and ``bandwidth`` are needed, for cuda ``gpu`` as well, for tpu
``topology``.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sigmaprop.names import shown, unknown
from sigmaprop.runs.files import RunError, read_json

from .targets import DTYPES, GPU_FIELDS, KINDS, TARGETS, Price, Target, named, with_chips

_MOST = 1e30
_NUMBERS = {"vector": _MOST, "bandwidth": _MOST, "memory": _MOST, "usable": 1.0, "launch": 1.0}
"""Fields of numbers, and the most that they can be; all are above 0 but the last."""
_FIELDS = ("like", "name", "kind", "peak", *_NUMBERS, "source", "price", "gpu", "topology", "chips")


def target(text: str) -> Target:
    """The target that ``--target`` names: a listed one, or that of a file.

    Raises:
        ValueError: there is none, or the file does not say what it must; one sentence.
    """
    if "/" not in text and not text.endswith(".json"):
        return named(text)
    try:
        content = read_json(Path(text))
    except RunError as error:
        raise ValueError(f"--target: {error}") from error
    return parse(content, text)


def parse(content: Any, file: str) -> Target:
    """The target that a file's content describes.

    Raises:
        ValueError: naming the file, the field, its value and what is allowed.
    """
    if not isinstance(content, Mapping):
        raise ValueError(f"{file} holds {shown(content)}; a target is an object of JSON")
    for name in content:
        if name not in _FIELDS:
            raise ValueError(f"{file}: {unknown('field', str(name), _FIELDS)}")
    like = content.get("like")
    if like is None:
        base = _bare(content, file)
    elif isinstance(like, str) and like in TARGETS:
        base = TARGETS[like]
    else:
        raise ValueError(f"{file}: {unknown('target', str(like), TARGETS)}")
    given: dict[str, Any] = {}
    given |= {name: _number(content[name], name, file) for name in _NUMBERS if name in content}
    given |= {name: _text(content[name], name, file) for name in _texts(content)}
    if "peak" in content:
        given["peak"] = _peak(content["peak"], file)
    if "price" in content:
        given["price"] = _price(content["price"], file)
    if "gpu" in content:
        given["gpu"] = _gpu(content["gpu"], base.gpu or {}, file)
    found = dataclasses.replace(base, **given)
    if found.kind == "cuda" and found.gpu is None:
        raise ValueError(f"{file} has no gpu; it holds {', '.join(GPU_FIELDS)}, or take a like")
    if found.kind == "tpu" and not found.topology:
        raise ValueError(f'{file} has no topology; give the generation, "v5e" say, or take a like')
    if "chips" not in content:
        return found
    name, chips = found.name, str(content["chips"])
    return dataclasses.replace(with_chips(found, chips), name=name)


def _bare(content: Mapping[str, Any], file: str) -> Target:
    for name in ("name", "kind", "peak", "bandwidth"):
        if name not in content:
            raise ValueError(f"{file} has no {name}; give it, or name a target to be like")
    if content["kind"] not in KINDS:
        raise ValueError(f"{file}: {unknown('kind', str(content['kind']), KINDS)}")
    chips = "2x2" if content["kind"] == "tpu" else "1"
    return Target("", content["kind"], {}, None, None, None, chips=chips)


def _texts(content: Mapping[str, Any]) -> list[str]:
    return [name for name in ("name", "source", "topology") if name in content]


def _text(value: Any, name: str, file: str) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{file}: {name} is {shown(value)}; give a text")
    return value


def _number(value: Any, name: str, file: str) -> float:
    most = _NUMBERS.get(name, _MOST)
    sound = isinstance(value, int | float) and not isinstance(value, bool)
    if not sound or not (0 < value <= most or (name == "launch" and value == 0)):
        raise ValueError(
            f"{file}: {name} is {shown(value)}; give a number above 0, at most {most:g}"
        )
    return float(value)


def _peak(value: Any, file: str) -> dict[str, float]:
    if not isinstance(value, Mapping) or not value:
        raise ValueError(f"{file}: peak is {shown(value)}; give FLOP/s by dtype")
    for name in value:
        if name not in DTYPES:
            raise ValueError(f"{file}: {unknown('dtype', str(name), DTYPES)}")
    return {name: _number(number, f"peak of {name}", file) for name, number in value.items()}


def _price(value: Any, file: str) -> Price:
    allowed = Price._fields
    if not isinstance(value, Mapping) or "dollars" not in value or set(value) - set(allowed):
        raise ValueError(
            f"{file}: price is {shown(value)}; give dollars, an hour of a chip, and, if you like, "
            "source and date"
        )
    texts = {name: _text(value[name], name, file) for name in ("source", "date") if name in value}
    dollars = _number(value["dollars"], "dollars", file)
    return Price(dollars, **({"source": file, "date": ""} | texts))


def _gpu(value: Any, base: Mapping[str, Any], file: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{file}: gpu is {shown(value)}; give numbers by name")
    for name in value:
        if name not in GPU_FIELDS:
            raise ValueError(f"{file}: {unknown('field of gpu', str(name), GPU_FIELDS)}")
    found = {**base, **value}
    if missing := [name for name in GPU_FIELDS if name not in found]:
        raise ValueError(f"{file}: gpu has no {missing[0]}; give it, or name a target to be like")
    return {name: _field(found[name], name, file) for name in GPU_FIELDS}


def _field(value: Any, name: str, file: str) -> Any:
    """A field of a GPU: plain text, or a number, so that nothing else enters the description."""
    if name == "description":
        text = _text(value, name, file)
        if not text.isprintable() or set(text) & set('"\\'):
            raise ValueError(f"{file}: description is {shown(text)}; leave out quotes")
        return text
    if name == "compute_capability":
        if not str(value).replace(".", "", 1).isdigit():
            raise ValueError(f"{file}: {name} is {shown(value)}; give 9.0, say")
        return str(value)
    number = _number(value, name, file)
    return number if name == "clock_rate_ghz" else int(number)
