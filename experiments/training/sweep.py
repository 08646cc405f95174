"""Sweeps: values of options to cross with each other, and the replicas that come of them.

Like every ``config.py``, this module imports nothing heavy.
"""

import dataclasses
import itertools
import types
import typing
from typing import Annotated, Any, NamedTuple

import tyro

from ..options import check_list, check_ranges


@dataclasses.dataclass(frozen=True)
class Sweep:
    """Values of options to cross with each other; every combination runs with every seed."""


class Cell(NamedTuple):
    """A combination of swept values.

    Attributes:
        number: its place in the order of the sweep.
        values: the swept options and their values here.
        options: all options.
    """

    number: int
    values: dict[str, Any]
    options: Any

    @property
    def label(self) -> str:
        """What to call it: its arm, then what else is swept."""
        rest = [f"{name}={value}" for name, value in self.values.items() if name != "arm"]
        return ", ".join([self.options.arm, *rest])


class Replica(NamedTuple):
    """One training run.

    Attributes:
        number: row of the replica in tables, in the order of cells, then seeds.
        cell: its options.
        seed: number of its seed, 0, 1, ...; replicas of one number are paired.
    """

    number: int
    cell: Cell
    seed: int


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


def check_sigmas(config: Any) -> dict[str, tuple[Any, ...]]:
    """Checks that floor, start and ceiling lie in this order, swept or not.

    Returns:
        Of every option the values that it takes.

    Raises:
        ValueError: they do not.
    """
    values = {**{name: (value,) for name, value in vars(config).items()}, **swept(config.sweep)}
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
    return values


def cells(config: Any, options: type) -> tuple[Cell, ...]:
    """Every combination of the swept values, the last option running fastest."""
    names, values = list(swept(config.sweep)), list(swept(config.sweep).values())
    own = {field.name: getattr(config, field.name) for field in dataclasses.fields(options)}
    return tuple(
        Cell(number, chosen, options(**(own | chosen)))
        for number, chosen in enumerate(
            dict(zip(names, combination, strict=True)) for combination in itertools.product(*values)
        )
    )


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
