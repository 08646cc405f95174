"""What annotations say of arrays, checked in every call that a test makes.

Shapes and dtypes are checked, and that equal letters are equal sizes within a call. Other
annotations are not: what is passed to the library in their place on purpose is its own to refuse.
"""

import inspect
from collections.abc import Callable
from typing import Any, get_args

from beartype import BeartypeConf, beartype
from jaxtyping import AbstractArray


def _is_of_arrays(annotation: Any) -> bool:
    """Whether it says a shape: an array's, or that of the leaves of a pytree or a tuple."""
    if isinstance(annotation, type) and issubclass(annotation, AbstractArray):
        return True
    return any(map(_is_of_arrays, get_args(annotation)))


def arrays(function: Callable[..., Any]) -> Callable[..., Any]:
    """Checks the arrays that a function takes and gives; not those of a class's fields.

    JAX makes objects whose fields are no arrays when it takes a pytree apart.
    """
    said = inspect.get_annotations(function)
    kept = {name: one for name, one in said.items() if _is_of_arrays(one)}
    if function.__name__ == "__init__" or not kept:
        return function
    function.__annotations__ = kept
    checked = beartype(function, conf=BeartypeConf(is_pep484_tower=True))
    checked.__annotations__ = function.__annotations__ = said
    return checked
