"""A function of the user's from a Python file, as ``path/to/file.py:function``.

The file is run once for each content that it has. It can import its neighbours while it is imported
(not later, from inside a function).
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

from sigmaprop.names import nearest, shown
from sigmaprop.runs.own_sources import read, refused, split

_LONGEST = 400
"""Characters of another's error message that are told."""


def load(spec: str, what: str) -> Callable[..., Any]:
    """The function that a spec names; the same object while its file does not change.

    Args:
        spec: ``path/to/file.py:function``.
        what: it is wanted for, "objective" say: the first word of an error.

    Raises:
        ValueError: one sentence that says what of the file or the function is refused.

    Source: "Importing a source file directly", https://docs.python.org/3/library/importlib.html
    """
    path, name = split(spec, what)
    return _function(spec, what, _module(path, read(spec, what)), name)


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
        raise ValueError(f"{path} cannot be imported: {told(error)}") from error
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


def _function(spec: str, what: str, module: ModuleType, name: str) -> Callable[..., Any]:
    if not hasattr(module, name):
        own = module.__name__
        known = [n for n, v in vars(module).items() if getattr(v, "__module__", None) == own]
        near = nearest(name, known)
        hint = f"it defines {', '.join(known)}" if near is None else f"did you mean {near!r}?"
        hint = hint if known else "it defines none"
        raise ValueError(f"{module.__file__} has no function {shown(name)}; {hint}")
    function = getattr(module, name)
    if not callable(function):
        raise refused(spec, f"{name} is of type {type(function).__name__}, not a function", what)
    return function


def described(found: Any) -> str:
    """What a function gave, in words: dtype and shape of an array, the type of anything else."""
    if hasattr(found, "shape"):
        return f"{found.dtype} of shape {found.shape}"
    return f"an object of type {type(found).__name__}"


def told(error: BaseException) -> str:
    """The type and the first line of the message of an exception."""
    first, *_ = str(error).strip().splitlines() or [""]
    first = first[:_LONGEST].rstrip(".")
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
