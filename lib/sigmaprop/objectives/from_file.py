"""An objective of your own from a Python file, as ``path/to/file.py:function``.

The function maps x [D] to a floating scalar and is written with jax.numpy::

    def bowl(x):
        return jnp.sum(jnp.asarray(WEIGHTS, x.dtype) * x**2)

    bowl.dim = 3

It may carry attributes: ``dim`` (D, where none is asked for), ``point`` (where to measure, of
length D), ``smoothness`` ("smooth", "kink" or "jump") and ``formula`` (one line for people).
Without a point it is measured at coordinates of random sign and of magnitudes in [0.3, 1.2], drawn
from a fixed seed that the function's name sets.

f is used in float32 and float64 alike, with 64-bit JAX switched on; its value is cast to the dtype
of x. NumPy constants that are not cast, as above, make it compute in float64 throughout; arrays
that the file makes with jax.numpy when it is imported have 32 bits. The file is run once for each
content that it has. It can import its neighbours while it is imported (not later, from inside a
function); what they contain is not part of `sha256`.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sigmaprop.names import shown
from sigmaprop.objectives.base import Objective
from sigmaprop.objectives.constants import generic_point
from sigmaprop.runs import own_functions
from sigmaprop.runs.own_functions import described, told
from sigmaprop.runs.own_sources import is_own, refused, sha256, split

__all__ = ["is_own", "load", "sha256"]


def load(spec: str, dim: int | None = None) -> Objective:
    """The objective of a function in a file; the same object while the file does not change.

    Args:
        spec: ``path/to/file.py:function``; it becomes the name of the objective.
        dim: D; None takes the function's attribute ``dim``.

    Raises:
        ValueError: one sentence that says what of the file, the function or the dim is refused.
    """
    function = own_functions.load(spec, "objective")
    return _build(spec, function, _dim(spec, function, dim))


@functools.lru_cache(maxsize=64)
def _build(spec: str, function: Callable[..., Any], dim: int) -> Objective:
    """One object for one content of the file, so that jit recognises it."""
    name = split(spec)[1]
    point = getattr(function, "point", None)
    formula = getattr(function, "formula", "")
    if not isinstance(formula, str):
        raise refused(spec, f"its formula is of type {type(formula).__name__}, not str")
    try:
        point = np.asarray(generic_point(name, dim) if point is None else point, np.float64)
    except (TypeError, ValueError) as error:
        raise refused(spec, f"its point is no sequence of numbers: {told(error)}") from error
    if not np.all(np.isfinite(point)):
        raise refused(spec, "its point has coordinates that are not finite")
    _check_trace(spec, function, dim)
    objective = Objective(
        name=spec,
        dim=dim,
        function=_in_dtype(function),
        point=point,
        formula=formula,
        smoothness=getattr(function, "smoothness", "smooth"),
    )
    with jax.enable_x64(True), jax.ensure_compile_time_eval():
        try:
            value = float(objective(point))
        except Exception as error:
            raise refused(spec, f"at its point it raises {told(error)}") from error
    if not np.isfinite(value):
        where = np.array2string(point, threshold=6, max_line_width=10_000)
        raise refused(spec, f"it is {value} at its point {where}")
    return objective


@functools.lru_cache(maxsize=64)
def _in_dtype(function: Callable[..., Any]) -> Callable[..., Any]:
    """Its value in the dtype of x, whatever its constants are."""
    return functools.wraps(function)(lambda x: function(x).astype(x.dtype))


def _dim(spec: str, function: Callable[..., Any], dim: object) -> int:
    """The dim asked for, else the function's own."""
    dim = getattr(function, "dim", None) if dim is None else dim
    if dim is None:
        raise refused(spec, "it needs a dimension: give --dim, or set the attribute dim")
    if isinstance(dim, bool) or not isinstance(dim, int | np.integer) or dim < 1:
        raise refused(spec, f"its dim is a whole number of at least 1, not {shown(dim)}")
    return int(dim)


def _check_trace(spec: str, function: Callable[..., Any], dim: int) -> None:
    """Refuses what is no floating scalar, in the modes in which f is used."""
    with jax.enable_x64(True):
        for dtype in (jnp.float64, jnp.float32):
            x = jax.ShapeDtypeStruct((dim,), dtype)
            try:
                out = jax.eval_shape(function, x)
            except Exception as error:
                raise refused(spec, f"for x of shape ({dim},) it raises {told(error)}") from error
            is_array = isinstance(out, jax.ShapeDtypeStruct)
            if not (is_array and out.shape == () and jnp.issubdtype(out.dtype, jnp.floating)):
                what = f"{described(out)}, not a floating scalar"
                raise refused(spec, f"for x of shape ({dim},) it returns {what}")
