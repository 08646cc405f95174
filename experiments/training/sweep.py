"""Sweeps: values of options to cross with each other, and the replicas that come of them.

Cells that are given one by one are in `cells`. Like every ``config.py``, this module imports
nothing heavy.
"""

import contextlib
import dataclasses
import itertools
import types
import typing
from collections.abc import Callable, Iterator
from typing import Annotated, Any, NamedTuple

import tyro

from sigmaprop.generators import arms
from sigmaprop.generators.arms import Arm

from ..options import check_list, check_ranges

KINDS: dict[str, Callable[[Arm], bool]] = {
    "noisy": lambda arm: not arm.noiseless,
    "learned": lambda arm: arm.learns,
    "bounded": lambda arm: arm.learns or arm.given == "batch",
}
"""Kinds of arms that an option may concern, beside those that it names: all whose sigma is not 0,
those that learn it, those that keep it between floor and ceiling."""


@dataclasses.dataclass(frozen=True)
class Sweep:
    """Values of options to cross with each other; every combination runs with every seed."""


class Cell(NamedTuple):
    """A combination of swept values, or one that was given by itself.

    Attributes:
        number: its place in the order of the sweep or list.
        values: the options that differ between cells and concern its arm, and their values here.
        options: all options.
        name: of one that was given by itself.
    """

    number: int
    values: dict[str, Any]
    options: Any
    name: str = ""

    @property
    def label(self) -> str:
        """What to call it: its name, or its arm and what else is swept."""
        return self.name or label(self.options.arm, self.values)

    @contextlib.contextmanager
    def blamed(self) -> Iterator[None]:
        """Names the cell, where it was given by itself, in errors about its options."""
        try:
            yield
        except ValueError as error:
            raise ValueError(f"cell {self.name}: {error}" if self.name else str(error)) from error


class Replica(NamedTuple):
    """One training run.

    Attributes:
        number: row of the replica in tables, in the order of cells, then seeds.
        cell: its options.
        seed: number of its seed; replicas of one number are paired.
    """

    number: int
    cell: Cell
    seed: int


def label(arm: str, values: dict[str, Any]) -> str:
    """What to call a combination: its arm, then what else is swept."""
    rest = [f"{name}={value}" for name, value in values.items() if name != "arm"]
    return ", ".join([arm, *rest])


def concerns(options: type, name: str, arm: str) -> bool:
    """Whether an option can change a number of an arm."""
    (named,) = (one.metadata["arms"] for one in dataclasses.fields(options) if one.name == name)
    kinds = [KINDS[one] for one in named if one in KINDS]
    return not named or arm in named or any(kind(arms.get(arm)) for kind in kinds)


def sweepable(options: type) -> tuple[str, ...]:
    """The options that a sweep may give several values."""
    return tuple(field.name for field in dataclasses.fields(options) if field.metadata["sweepable"])


def sweep_type(name: str, options: type, module: str) -> Any:
    """A dataclass with a list of values for each of the options that may be swept.

    Args:
        name: of the type.
        options: a dataclass whose fields are made by `options.option`.
        module: where the type is at home.
    """
    hints = typing.get_type_hints(options)
    made = dataclasses.make_dataclass(
        name,
        [
            (field, _swept_type(hints[field]), dataclasses.field(default=None))
            for field in sweepable(options)
        ],
        bases=(Sweep,),
        frozen=True,
    )
    made.__module__ = module
    made.__doc__ = Sweep.__doc__
    return made


def swept(sweep: Any) -> dict[str, tuple[Any, ...]]:
    """The options that are swept, with their values."""
    return {name: values for name, values in vars(sweep).items() if values is not None}


def check(config: Any) -> None:
    """Checks the ranges of all options, swept or not, and the lists of the sweep.

    Raises:
        ValueError: one sentence that names the option, its value and what is allowed.
    """
    for values in (vars(config), *_swept_values(config.sweep)):
        check_ranges(type(config), values)


def check_sigmas(values: dict[str, tuple[Any, ...]]) -> None:
    """Checks that floor, start and ceiling lie in this order.

    Args:
        values: of every option those that it takes.

    Raises:
        ValueError: they do not.
    """
    floor, ceiling = max(values["sigma_floor"]), min(values["sigma_ceiling"])
    if floor >= ceiling:
        raise ValueError(
            f"--sigma-floor {floor:g} is not below --sigma-ceiling {ceiling:g}; swap or move them"
        )
    for start in values["sigma_start"]:
        if not floor <= start <= ceiling:
            raise ValueError(
                f"--sigma-start {start:g} lies outside --sigma-floor {floor:g} and "
                f"--sigma-ceiling {ceiling:g}; move one of them"
            )


def taken(config: Any) -> dict[str, tuple[Any, ...]]:
    """Of every option the values that it takes in a sweep."""
    return {**{name: (value,) for name, value in vars(config).items()}, **swept(config.sweep)}


def crossed(config: Any, options: type) -> tuple[Cell, ...]:
    """Every combination of the swept values, the last option running fastest.

    Where ``config.crossing`` says so, an option multiplies only the arms that it concerns.
    """
    names, values = list(swept(config.sweep)), list(swept(config.sweep).values())
    own = {field.name: getattr(config, field.name) for field in dataclasses.fields(options)}
    found: dict[tuple[Any, ...], tuple[dict[str, Any], dict[str, Any]]] = {}
    for combination in itertools.product(*values):
        chosen = dict(zip(names, combination, strict=True))
        idle: dict[str, Any] = {}
        if config.crossing == "concerned":
            arm = chosen.get("arm", config.arm)
            idle = {
                name: _idle(config, options, name)
                for name in names
                if not concerns(options, name, arm)
            }
        shown = {name: value for name, value in chosen.items() if name not in idle}
        found.setdefault(tuple(shown.items()), (shown, chosen | idle))
    return tuple(
        Cell(number, shown, options(**(own | chosen)))
        for number, (shown, chosen) in enumerate(found.values())
    )


def _idle(config: Any, options: type, name: str) -> Any:
    """What a swept option is in an arm that it does not concern.

    Of one that is compiled the first value, so that the arm shares a program with others.
    """
    (field,) = (one for one in dataclasses.fields(options) if one.name == name)
    return swept(config.sweep)[name][0] if field.metadata["static"] else field.default


def _swept_type(kind: Any) -> Any:
    """The type of a list of an option's values."""
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        (kind,) = (member for member in typing.get_args(kind) if member is not type(None))
    help_text = tyro.conf.arg(help="Values to cross with the others'. None: not swept.")
    return Annotated[tuple[kind, ...] | None, help_text]


def _swept_values(sweep: Any) -> list[dict[str, Any]]:
    """Every swept value on its own, after a check of the lists."""
    for name, values in swept(sweep).items():
        check_list(f"sweep.{name}", values)
    return [{name: value} for name, values in swept(sweep).items() for value in values]
