"""What options of several experiments share: types, ranges, one sentence for each fault.

This module and every ``config.py`` import nothing heavy, so that ``--help`` answers at once; names
of objectives and estimators are checked when the experiment is prepared.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from sigmaprop.estimators.records import ESTIMATORS
from sigmaprop.generators.arms import ARMS, VAE_ARMS
from sigmaprop.names import shortened, shown

Family = Literal["isotropic", "diagonal", "full", "low_rank"]
if TYPE_CHECKING:
    Arm = VaeArm = SigmaGradient = str
else:  # the names of the records, which a type checker cannot know
    Arm = Literal[tuple(ARMS)]
    VaeArm = Literal[tuple(VAE_ARMS)]
    SigmaGradient = Literal[tuple(name for name, one in ESTIMATORS.items() if one.single)]

# Where (f / sigma)^2 and f^2 still lie well inside float32.
SMALLEST_SIGMA, LARGEST_SIGMA = 1e-15, 1e6


def option(
    default: Any,
    *,
    within: tuple[float, float] | None = None,
    group: str = "",
    sweepable: bool = True,
    static: bool = False,
    missing: Any = None,
    arms: tuple[str, ...] = (),
) -> Any:
    """A field of a config: all that is known of an option beside its name, type and help.

    The help is the docstring below the field.

    Args:
        default: its value where nothing is said, or a class that makes it.
        within: the ends of what is allowed, both included; of a list, for each of its values.
        group: heading of the short help under which it stands.
        sweepable: whether a sweep may give it several values.
        static: whether it decides what is compiled: swept values get a program each.
        missing: its value in a config that was written before the option existed; None: the
            default.
        arms: which it concerns, by name or by a kind of `training.sweep.KINDS`; none: all.
    """
    metadata = {"within": within, "group": group, "sweepable": sweepable, "static": static}
    metadata["arms"] = arms
    if missing is not None:
        metadata["missing"] = missing
    if isinstance(default, type):
        return dataclasses.field(default_factory=default, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def groups(config: type) -> dict[str, tuple[str, ...]]:
    """The headings of the short help, with the options below them, in their order."""
    found: dict[str, tuple[str, ...]] = {}
    for field in dataclasses.fields(config):
        if heading := field.metadata.get("group"):
            found[heading] = (*found.get(heading, ()), field.name)
    return found


def check_ranges(config: type, values: Mapping[str, Any]) -> None:
    """Refuses values outside the ranges that their options state; None is no value."""
    for field in dataclasses.fields(config):
        within, value = field.metadata.get("within"), values.get(field.name)
        if within is not None:
            for one in value if isinstance(value, tuple) else (value,):
                if not isinstance(one, str):  # a word beside numbers, which its type allows
                    check_range(field.name, one, *within)


def check_list(option: str, values: tuple | None) -> None:
    """Refuses an empty list, and one that names a value twice."""
    if values is None:
        return
    if not values:
        raise ValueError(f"{flag(option)} is empty; give at least one value")
    if option != "x" and len(set(values)) < len(values):
        twice = next(value for value in values if values.count(value) > 1)
        raise ValueError(f"{flag(option)} names {shortened(str(twice))} twice; name it once")


def check_range(option: str, value: float | None, lowest: float, highest: float) -> None:
    """Refuses what lies outside a range, both ends included; None is no value."""
    if isinstance(value, float) and not math.isfinite(value):
        ends = f"{lowest} and {highest}"
        raise ValueError(f"{flag(option)} is {value}; give a finite number between {ends}")
    if value is not None and not lowest <= value <= highest:
        raise ValueError(
            f"{flag(option)} is {shown(value)}; it must lie between {lowest} and {highest}"
        )


def flag(option: str) -> str:
    """The option as the command line writes it."""
    return "--" + option.replace("_", "-")


def own_functions(config: Any) -> dict[str, str]:
    """The functions of the user's own that a config names, each with the option that names it."""
    from sigmaprop.runs.own_sources import is_own  # which --help can do without

    found = {}
    for option in ("objective", "generator", "discriminator", "features"):
        named = getattr(config, option, ())
        swept = getattr(getattr(config, "sweep", None), option, None) or ()
        listed = (getattr(cell, option, None) or "" for cell in getattr(config, "cells", ()))
        for spec in (*((named,) if isinstance(named, str) else named), *swept, *listed):
            if is_own(spec):
                found[spec] = f"--{option}"
    return found
