"""What options of several experiments share: types, ranges, one sentence for each fault.

This module and every ``config.py`` import nothing heavy, so that ``--help`` answers at once; names
of objectives and estimators are checked when the experiment is prepared.
"""

from typing import TYPE_CHECKING, Any, Literal

from sigmaprop.estimators.records import ESTIMATORS
from sigmaprop.generators.arms import ARMS
from sigmaprop.names import shortened, shown

Family = Literal["isotropic", "diagonal", "full", "low_rank"]
if TYPE_CHECKING:
    Arm = SigmaGradient = str
else:  # the names of the records, which a type checker cannot know
    Arm = Literal[tuple(ARMS)]
    SigmaGradient = Literal[tuple(name for name, one in ESTIMATORS.items() if one.single)]

# Where (f / sigma)^2 and f^2 still lie well inside float32.
SMALLEST_SIGMA, LARGEST_SIGMA = 1e-15, 1e6


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
    for option in ("objective", "generator", "discriminator"):
        named = getattr(config, option, ())
        swept = getattr(getattr(config, "sweep", None), option, None) or ()
        for spec in (*((named,) if isinstance(named, str) else named), *swept):
            if is_own(spec):
                found[spec] = f"--{option}"
    return found
