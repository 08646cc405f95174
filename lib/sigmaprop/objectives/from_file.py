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
import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sigmaprop.names import nearest, shown
from sigmaprop.objectives.base import Objective
from sigmaprop.objectives.constants import generic_point
from sigmaprop.runs.own_sources import is_own, read, refused, sha256, split

__all__ = ["is_own", "load", "sha256"]

_LONGEST = 400
"""Characters of another's error message that are told."""


def load(spec: str, dim: int | None = None) -> Objective:
    """The objective of a function in a file; the same object while the file does not change.

    Args:
        spec: ``path/to/file.py:function``; it becomes the name of the objective.
        dim: D; None takes the function's attribute ``dim``.

    Raises:
        ValueError: one sentence that says what of the file, the function or the dim is refused.

    Source: "Importing a source file directly", https://docs.python.org/3/library/importlib.html
    """
    path, name = split(spec)
    source = read(spec)
    function = _function(spec, _module(path, source), name)
    return _build(spec, path, source, _dim(spec, function, dim))


@functools.lru_cache(maxsize=64)
def _build(spec: str, path: Path, source: bytes, dim: int) -> Objective:
    """One object for one content of the file, so that jit recognises it."""
    name = split(spec)[1]
    function = _function(spec, _module(path, source), name)
    point = getattr(function, "point", None)
    formula = getattr(function, "formula", "")
    if not isinstance(formula, str):
        raise refused(spec, f"its formula is of type {type(formula).__name__}, not str")
    try:
        point = np.asarray(generic_point(name, dim) if point is None else point, np.float64)
    except (TypeError, ValueError) as error:
        raise refused(spec, f"its point is no sequence of numbers: {_said(error)}") from error
    if not np.all(np.isfinite(point)):
        raise refused(spec, "its point has coordinates that are not finite")
    _check_trace(spec, function, dim)
    objective = Objective(
        name=spec,
        dim=dim,
        # In the dtype of x, whatever the function's constants are.
        function=functools.wraps(function)(lambda x: function(x).astype(x.dtype)),
        point=point,
        formula=formula,
        smoothness=getattr(function, "smoothness", "smooth"),
    )
    with jax.enable_x64(True), jax.ensure_compile_time_eval():
        try:
            value = float(objective(point))
        except Exception as error:
            raise refused(spec, f"at its point it raises {_said(error)}") from error
    if not np.isfinite(value):
        where = np.array2string(point, threshold=6, max_line_width=10_000)
        raise refused(spec, f"it is {value} at its point {where}")
    return objective


@functools.lru_cache(maxsize=64)
def _module(path: Path, source: bytes) -> ModuleType:
    """The module that the source makes, under a name that nothing else has.

    Compiled from the bytes that were hashed: Python's own cache of compiled files goes by their
    time and size, and would not notice every change.
    """
    name = f"_sigmaprop_own_{hashlib.sha256(bytes(path) + b'/' + source).hexdigest()[:32]}"
    loader = SourceFileLoader(name, str(path))
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        # Now, even within a trace: constants that the file makes must not be traced.
        with jax.enable_x64(False), jax.ensure_compile_time_eval(), _neighbours(path.parent):
            exec(loader.source_to_code(source, str(path)), vars(module))
    except BaseException as error:
        sys.modules.pop(name, None)
        if not isinstance(error, Exception | SystemExit):
            raise
        raise ValueError(f"{path} cannot be imported: {_said(error)}") from error
    return module


@contextmanager
def _neighbours(directory: Path) -> Iterator[None]:
    """Finds modules of a directory first, and forgets them: another one may use their names."""
    before = set(sys.modules)
    importlib.invalidate_caches()
    sys.path.insert(0, str(directory))
    try:
        yield
    finally:
        with suppress(ValueError):  # the file itself may have removed it
            sys.path.remove(str(directory))
        added = {name: sys.modules[name] for name in set(sys.modules) - before}
        near = {name for name, module in added.items() if _lies_in(directory, module)}
        for name in added:
            if name.partition(".")[0] in near:
                del sys.modules[name]


def _lies_in(directory: Path, module: ModuleType) -> bool:
    """Whether it is a file or a package of the directory itself."""
    file = Path(getattr(module, "__file__", None) or "")
    return directory in (file.parent, file.parent.parent if file.stem == "__init__" else None)


def _function(spec: str, module: ModuleType, name: str) -> Callable[..., Any]:
    if not hasattr(module, name):
        own = module.__name__
        known = [n for n, v in vars(module).items() if getattr(v, "__module__", None) == own]
        near = nearest(name, known)
        hint = f"it defines {', '.join(known)}" if near is None else f"did you mean {near!r}?"
        hint = hint if known else "it defines none"
        raise ValueError(f"{module.__file__} has no function {shown(name)}; {hint}")
    function = getattr(module, name)
    if not callable(function):
        raise refused(spec, f"{name} is of type {type(function).__name__}, not a function")
    return function


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
                raise refused(spec, f"for x of shape ({dim},) it raises {_said(error)}") from error
            what = f"an object of type {type(out).__name__}"
            if isinstance(out, jax.ShapeDtypeStruct):
                if out.shape == () and jnp.issubdtype(out.dtype, jnp.floating):
                    continue
                what = f"{out.dtype} of shape {out.shape}"
            raise refused(spec, f"for x of shape ({dim},) it returns {what}, not a floating scalar")


def _said(error: BaseException) -> str:
    """The type and the first line of the message of an exception."""
    first, *_ = str(error).strip().splitlines() or [""]
    first = first[:_LONGEST].rstrip(".")
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
