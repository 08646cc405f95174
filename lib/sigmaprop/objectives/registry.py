"""Making an objective of its name, its dim and its options."""

import functools

import numpy as np

from sigmaprop.names import resolve
from sigmaprop.objectives import from_file
from sigmaprop.objectives.base import Objective
from sigmaprop.objectives.constants import generic_point
from sigmaprop.objectives.records import OBJECTIVES


def get(name: str, dim: int | None = None, **options: float) -> Objective:
    """The objective of that name.

    Args:
        name: one of ``names()``, or ``path/to/file.py:function``.
        dim: D; None takes the default of that objective.
        **options: ``condition`` (quadratic): the ratio of the largest to the smallest eigenvalue;
            ``units`` (ridge_network): the width of its hidden layer.

    Raises:
        ValueError: the name is unknown, the dim or an option is not allowed, or the file is
            refused.

    Example:
        >>> get("quartic", 2)(np.array([1.0, 2.0]))
        Array(17., dtype=float32)
    """
    if from_file.is_own(name):
        if options:
            raise ValueError(f"objective {name!r} has no option {min(options)!r}; it takes none")
        return from_file.load(name, dim)
    record = OBJECTIVES[name]
    dim = record.default_dim if dim is None else dim
    if not isinstance(dim, int | np.integer) or not record.smallest <= dim <= record.largest:
        allowed = f"at least {record.smallest}"
        if record.smallest == record.largest:
            allowed = f"exactly {record.smallest}"
        raise ValueError(f"objective {name!r} does not allow dim {dim}; it needs {allowed}")
    if strange := set(options) - set(record.options):
        allowed = ", ".join(record.options) or "none"
        raise ValueError(
            f"objective {name!r} has no option {min(strange)!r}; its options: {allowed}"
        )
    return _build(name, int(dim), **options)


@functools.lru_cache(maxsize=64)
def _build(name: str, dim: int, **options: float) -> Objective:
    """One object for one set of arguments, so that jit recognises it."""
    record = OBJECTIVES[name]
    parts = resolve(record.make, __package__)(dim, **options)
    return Objective(
        name=name,
        dim=dim,
        function=parts.function,
        point=generic_point(name, dim) if parts.point is None else parts.point,
        formula=parts.formula or record.formula,
        smoothness=record.smoothness,
        expectation=parts.expectation,
    )
