"""Prepared image sets on disk: one compressed, hashed file of arrays a set.

The files lie in the folder ``datasets`` of `cache.directory` and end in the sha256 of their bytes.
They hold all that training needs, so a file can be carried to another machine; np.load reads it.
"""

import hashlib
import io
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int, UInt8

from sigmaprop.files import RunError, read_regular, write_atomic

from . import cache

_DIGEST_SIZE = hashlib.sha256().digest_size
_LONGEST = 200
"""Characters of a name, which is also that of a file."""


class Prepared(NamedTuple):
    """What a prepared file holds.

    Attributes:
        images: training images, then test images, uint8 [N, H, W, C].
        labels: int32 [N].
        num_train: how many of them are training images.
    """

    images: UInt8[np.ndarray, "N H W C"]
    labels: Int[np.ndarray, " N"]
    num_train: int


def is_name(name: str) -> bool:
    """Whether this can be the name of a set: words and at most one slash, as in emnist/letters."""
    return len(name) <= _LONGEST and re.fullmatch(r"\w+(/\w+)?", name, re.ASCII) is not None


def path(name: str, directory: Path | None = None) -> Path:
    """Where the file of a set lies.

    Args:
        name: of the set.
        directory: the cache directory. None: the one in use.
    """
    root = cache.directory() if directory is None else directory
    return root / "datasets" / f"{name.replace('/', '-')}.npz"


def write(name: str, prepared: Prepared, directory: Path | None = None) -> Path:
    """Writes all of the file or nothing.

    Returns:
        Its path.

    Raises:
        RunError: it cannot be written.
    """
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **prepared._asdict())
    body, file = buffer.getvalue(), path(name, directory)
    try:
        write_atomic(file, body + hashlib.sha256(body).digest())
    except RunError as error:
        raise RunError(
            f"cannot write {file} ({_reason(error)}); choose another --out or make room for it"
        ) from error
    return file


def read(name: str, directory: Path | None = None) -> Prepared:
    """The prepared set; nothing is parsed before the digest is verified.

    Raises:
        RunError: it is not prepared, or its file is truncated or altered.
    """
    file = path(name, directory)
    try:
        stored = read_regular(file)
    except FileNotFoundError as error:
        raise RunError(
            f"{name} is not prepared in {file.parent}; run `sigmaprop data prepare {name}`"
        ) from error
    except OSError as error:
        raise RunError(
            f"cannot read {file} ({error.strerror}); restore it or set SIGMAPROP_CACHE"
        ) from error
    body, digest = stored[:-_DIGEST_SIZE], stored[-_DIGEST_SIZE:]
    if hashlib.sha256(body).digest() != digest:
        raise RunError(
            f"{file} is truncated or altered; delete it and run `sigmaprop data prepare {name}`"
        )
    with np.load(io.BytesIO(body), allow_pickle=False) as arrays:
        return Prepared(arrays["images"], arrays["labels"], int(arrays["num_train"]))


def _reason(error: BaseException) -> str:
    """What the system said."""
    cause = error.__cause__
    return str(getattr(cause, "strerror", None) or cause or error)
