"""Named sets of arrays that are made once and kept on disk.

The directory is ``$SIGMAPROP_CACHE``, else ``$XDG_CACHE_HOME/sigmaprop``, else
``~/.cache/sigmaprop``. A file is written under a temporary name and renamed, so a reader sees all
of it or nothing, and ends in the sha256 of its bytes, so damage is found before use. The umask says
who may read it.
"""

import functools
import hashlib
import io
import os
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np

from sigmaprop.runs.files import RunError, read_regular, write_atomic

Arrays: TypeAlias = dict[str, np.ndarray]

_DIGEST_SIZE = hashlib.sha256().digest_size


class Altered(ValueError):
    """A file does not end in the sha256 of what is before it."""


def directory() -> Path:
    """Where cached files live; it need not exist yet."""
    if explicit := os.environ.get("SIGMAPROP_CACHE"):
        return Path(explicit)
    if xdg := os.environ.get("XDG_CACHE_HOME"):
        return Path(xdg) / "sigmaprop"
    return Path(os.path.expanduser("~")) / ".cache" / "sigmaprop"


def load_or_make(
    name: str,
    make: Callable[[], Arrays],
    *,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
) -> Arrays:
    """The arrays stored under ``name``, made and stored first if they are not there.

    If they cannot be stored, they are returned all the same, with one warning a process.

    Args:
        name: file name without suffix; it must change whenever ``make`` would give other arrays.
        make: returns the arrays by name.
        shapes: of the arrays, all of finite floats, that a stored file must hold. None: any.

    Raises:
        ValueError: the stored file is truncated or altered, or holds other arrays.
    """
    path = directory() / f"{name}.npz"
    try:
        stored = read_regular(path)
    except OSError:
        arrays = make()
        try:
            write_atomic(path, pack(arrays))
        except RunError as error:
            _warn_once(str(path.parent), reason(error))
        return arrays
    again = "delete it: it is made again"
    try:
        arrays = unpack(stored)
    except ValueError as error:
        raise ValueError(f"the cached file {path} is truncated or altered; {again}") from error
    if shapes is not None and not _fit(arrays, shapes):
        raise ValueError(f"the cached file {path} holds other arrays than it should; {again}")
    return arrays


def pack(arrays: Arrays, *, compress: bool = False) -> bytes:
    """The bytes of an .npz file and, behind them, their sha256: np.load reads it as it is."""
    buffer = io.BytesIO()
    (np.savez_compressed if compress else np.savez)(buffer, allow_pickle=False, **arrays)
    body = buffer.getvalue()
    return body + hashlib.sha256(body).digest()


def unpack(stored: bytes) -> Arrays:
    """The inverse of `pack`; nothing is parsed before the digest is verified.

    Raises:
        Altered: the digest is another.
        ValueError: what it is of is no archive of arrays.
    """
    body, digest = stored[:-_DIGEST_SIZE], stored[-_DIGEST_SIZE:]
    if hashlib.sha256(body).digest() != digest:
        raise Altered("it is truncated or altered")
    try:
        with np.load(io.BytesIO(body), allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except Exception as error:  # what is no archive raises almost anything
        raise ValueError("it cannot be read as arrays") from error


def reason(error: BaseException) -> str:
    """What the system said."""
    cause = error.__cause__
    return str(getattr(cause, "strerror", None) or cause or error)


def _fit(arrays: Arrays, shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Whether the arrays have these names and shapes, and hold finite floats."""
    return {name: array.shape for name, array in arrays.items()} == dict(shapes) and all(
        array.dtype.kind == "f" and bool(np.isfinite(array).all()) for array in arrays.values()
    )


@functools.cache
def _warn_once(folder: str, reason: str) -> None:
    """The first failure to write to a folder is told, the later ones are not."""
    warnings.warn(
        f"cannot write the cache directory {folder} ({reason}): results are made again in every "
        "process; set SIGMAPROP_CACHE to a writable directory",
        stacklevel=3,
    )
