"""Test functions f, with E f(x) under a Gaussian in closed form and a standard point to stand at.

``get("quartic")`` returns an Objective; ``names()`` lists them. The constants of every function are
float64 and are cast to the dtype of x, so f computes and answers in that dtype. They come from
fixed seeds, one for each name and purpose. To add a function, write a factory and register its
record in `OBJECTIVES`; for a function of your own, build an Objective, or ``get`` it from a file as
``get("path/to/file.py:function", dim=3)``, which `sigmaprop.objectives.from_file` describes.

A closed form is a function of the mean [D] and the Covariance; under `LowRank` none forms a D x D
matrix but that of the quadratic, whose A is one. Those of smooth functions use variances alone and
hold at scale 0, where they are f; kinks and jumps need a standard deviation > 0, and one whose
square is a number of that dtype (above 1e-19 in float32).

Everything is imported when it is first used: reading the records does not import JAX.
"""

from typing import TYPE_CHECKING

from sigmaprop import lazy

if TYPE_CHECKING:
    from sigmaprop.objectives.base import Expectation, Function, Objective, Parts, Smoothness
    from sigmaprop.objectives.constants import KINK_DISTANCE
    from sigmaprop.objectives.networks import DIGIT_INDEX, NUM_UNITS
    from sigmaprop.objectives.records import OBJECTIVES, Record, names
    from sigmaprop.objectives.registry import get

_HOMES = {
    "base": "Expectation Function Objective Parts Smoothness",
    "constants": "KINK_DISTANCE",
    "networks": "DIGIT_INDEX NUM_UNITS",
    "records": "OBJECTIVES Record names",
    "registry": "get",
}

__all__ = [
    "DIGIT_INDEX",
    "KINK_DISTANCE",
    "NUM_UNITS",
    "OBJECTIVES",
    "Expectation",
    "Function",
    "Objective",
    "Parts",
    "Record",
    "Smoothness",
    "get",
    "names",
]

__getattr__, __dir__ = lazy.attach(
    __name__, {name: home for home, names in _HOMES.items() for name in names.split()}
)
