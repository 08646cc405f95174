"""Cells that are given one by one, from a file, from Python or by chance, instead of a sweep.

Like every ``config.py``, this module imports nothing heavy.
"""

import dataclasses
import json
import math
import random
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from sigmaprop.names import shown, unknown

from ..options import check_range, check_ranges, flag
from .sweep import Cell, concerns, crossed, label, swept

_DIGITS = 4
"""Significant digits of a number that is drawn."""
_MOST_DRAWN = 10_000
"""Cells of an arm."""


@dataclasses.dataclass(frozen=True)
class Given:
    """A cell with options of its own; what it does not name is the command's.

    Attributes:
        of: the dataclass that its options belong to.
    """

    of: ClassVar[type]
    name: str


def cell_type(name: str, options: type, module: str) -> Any:
    """A dataclass with a name and a value for each option that cells may have of their own.

    Args:
        name: of the type.
        options: a dataclass whose fields are made by `options.option`.
        module: where the type is at home.
    """
    hints = typing.get_type_hints(options)
    unset = {"default": None, "metadata": {"sparse": True}}
    made = dataclasses.make_dataclass(
        name,
        [(one, hints[one] | None, dataclasses.field(**unset)) for one in own_options(options)],
        bases=(Given,),
        frozen=True,
    )
    made.__module__ = module
    made.__doc__ = Given.__doc__
    made.of = options
    return made


def kind_of(config: type) -> Any:
    """The type of a config's cells."""
    return typing.get_args(typing.get_type_hints(config)["cells"])[0]


def own_options(options: type) -> tuple[str, ...]:
    """The options that a cell may have of its own: all but those of the data."""
    return tuple(
        field.name
        for field in dataclasses.fields(options)
        if field.metadata["sweepable"] or field.metadata["static"]
    )


def given(cell: Any) -> dict[str, Any]:
    """The options that a cell names, with their values."""
    named = {name: value for name, value in vars(cell).items() if value is not None}
    del named["name"]
    return named


def read(path: Path) -> Any:
    """The content of a file of cells.

    Raises:
        ValueError: it cannot be read, is not JSON, or names an option of a cell twice.
    """
    try:
        return json.loads(path.read_text(), object_pairs_hook=_once)
    except OSError as error:
        raise ValueError(f"--cells {path} cannot be read ({error.strerror or error})") from error
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"--cells {path} is not JSON ({error}); correct it") from error


def parse(content: Any, config: type) -> tuple[Any, ...]:
    """Cells of a config from a list of objects, each with a name and options.

    Args:
        content: ``[{"name": "slow", "learning_rate": 1e-4}, ...]``, lists for tuples.
        config: the type of the config.

    Raises:
        ValueError: naming the cell, the option, its value and what is allowed.
    """
    if not isinstance(content, Sequence) or isinstance(content, str) or not content:
        raise ValueError(
            f"the cells are {shown(content)}; give a list of one or more, each with a name and "
            'options, such as [{"name": "slow", "learning_rate": 1e-4}]'
        )
    return tuple(_cell(number, one, config) for number, one in enumerate(content, 1))


def check_cells(config: Any) -> None:
    """Checks the cells of a config: names, ranges, and that nothing is swept beside them.

    Raises:
        ValueError: one sentence that names the cell, the option, its value and what is allowed.
    """
    if config.cells and (also := swept(config.sweep)):
        raise ValueError(
            f"cells and {flag(f'sweep.{next(iter(also))}')} exclude each other: a list is no "
            "product; give one"
        )
    names = [cell.name for cell in config.cells]
    for place, name in enumerate(names, 1):
        if not name.strip() or len(name) > 80 or not name.isprintable():
            raise ValueError(
                f"the name of cell {place} is {shown(name)}; give 1 to 80 characters on one line"
            )
        if name in names[: place - 1]:
            raise ValueError(f"two cells are called {shown(name)}; give each a name of its own")
    for cell in config.cells:
        with Cell(0, {}, None, cell.name).blamed():
            check_ranges(type(config), given(cell))


def each(config: Any) -> Iterator[tuple[Cell, dict[str, tuple[Any, ...]]]]:
    """Every cell of a list, with the value that each option takes in it."""
    for number, cell in enumerate(config.cells):
        values = {name: (value,) for name, value in (vars(config) | given(cell)).items()}
        yield Cell(number, {}, None, cell.name), values


def cells(config: Any, options: type) -> tuple[Cell, ...]:
    """The cells of a config: those of its list, else those of its sweep."""
    if not config.cells:
        return crossed(config, options)
    own = {field.name: getattr(config, field.name) for field in dataclasses.fields(options)}
    named = [name for name in own if any(name in given(cell) for cell in config.cells)]
    found = []
    for number, cell in enumerate(config.cells):
        values = own | given(cell)
        differing = {name: values[name] for name in named if concerns(options, name, values["arm"])}
        found.append(Cell(number, differing, options(**values), cell.name))
    return tuple(found)


def drawn(sweep: Any, options: type, arm: str, count: int, seed: int) -> list[dict[str, Any]]:
    """Cells by chance: so many of each arm, whose options lie in the lists of a sweep.

    A number is drawn between the least and the greatest of its list, log-uniformly where both are
    above 0, else uniformly, to four digits; of anything else one of the list. Cells of equal place
    agree in what concerns both of their arms, so arms are compared with equal tuning; a cell that
    repeats another is left out, such as those of an arm that no drawn option concerns.

    Args:
        sweep: with the lists.
        options: a dataclass whose fields are made by `options.option`.
        arm: where the sweep has none.
        count: cells of an arm, 1 to 10^4.
        seed: of the draws; each option's depend on its name alone.

    Returns:
        What `parse` takes.

    Raises:
        ValueError: nothing is to be drawn, or there is nothing to draw it from.
    """
    lists = swept(sweep)
    arms = lists.pop("arm", (arm,))
    check_range("search", count, 1, _MOST_DRAWN)
    if not any(len(values) > 1 for values in lists.values()):
        raise ValueError(
            "--search draws from the lists of a sweep; give the ends of at least one option, such "
            "as --sweep.learning-rate 1e-4 1e-2"
        )
    found: dict[str, dict[str, Any]] = {}
    for one in arms:
        own = {name: values for name, values in lists.items() if concerns(options, name, one)}
        for place in range(count):
            values = {
                name: _draw(random.Random(f"{seed} {name} {place}"), values)
                for name, values in own.items()
            }
            name = label(one, values)
            found.setdefault(name, {"name": name, "arm": one, **values})
    return list(found.values())


def _draw(generator: random.Random, values: tuple[Any, ...]) -> Any:
    """A value of an option from its list."""
    if not all(type(value) in (int, float) for value in values):
        return generator.choice(values)
    low, high = min(values), max(values)
    share = generator.random()
    if low > 0:
        value = math.exp(math.log(low) + share * math.log(high / low))
    else:
        value = low + share * (high - low)
    if all(type(one) is int for one in values):
        return min(max(round(value), low), high)
    return min(max(float(f"{value:.{_DIGITS}g}"), low), high)


def _cell(number: int, content: Any, config: type) -> Any:
    """One cell of a list."""
    from sigmaprop.runs import configs  # which --help can do without

    if not isinstance(content, Mapping) or not isinstance(content.get("name"), str):
        raise ValueError(
            f'cell {number} is {shown(content)}; give an object with a "name" and options'
        )
    kind = kind_of(config)
    allowed = own_options(kind.of)
    values = {name: value for name, value in content.items() if name != "name"}
    with Cell(0, {}, None, content["name"] or str(number)).blamed():
        for name, value in values.items():
            if name not in allowed and name in (field.name for field in dataclasses.fields(config)):
                raise ValueError(f"{name} is one for all cells; give {flag(name)} beside them")
            if name not in allowed:
                raise unknown("option", str(name), allowed)
            if value is None:
                raise ValueError(f"{name} is null; leave it out to have the command's")
        checked = configs.from_values(kind.of, values)
    return kind(content["name"], **{name: getattr(checked, name) for name in values})


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose names differ."""
    names = [name for name, _ in pairs]
    if twice := [name for place, name in enumerate(names) if name in names[:place]]:
        raise ValueError(f"an object of --cells names {shown(twice[0])} twice; name it once")
    return dict(pairs)
