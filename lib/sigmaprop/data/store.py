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

from sigmaprop.runs.files import RunError, read_regular, write_atomic

from . import cache

FEWEST_TRAIN = 6
"""Training images; a sixth of them is held out to validate."""
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
            f"cannot write {file} ({cache.reason(error)}); choose another --out or make room for it"
        ) from error
    return file


def read(name: str, directory: Path | None = None) -> Prepared:
    """The prepared set; nothing is parsed before the digest is verified.

    Raises:
        RunError: it is not prepared, or its file is truncated, altered or no set of images.
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
    try:
        return _checked(_parsed(body))
    except ValueError as error:
        raise RunError(
            f"{file} is no prepared image set: {error}; delete it and run `sigmaprop data prepare "
            f"{name}`"
        ) from error


def _parsed(body: bytes) -> dict[str, np.ndarray]:
    """The arrays of an .npz file.

    Raises:
        ValueError: it is none, or holds other arrays than `Prepared`.
    """
    try:
        with np.load(io.BytesIO(body), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except Exception as error:  # what is no archive raises almost anything
        raise ValueError("it cannot be read as arrays") from error
    if set(arrays) != set(Prepared._fields):
        raise ValueError(f"it must hold exactly {', '.join(Prepared._fields)}")
    return arrays


def _checked(arrays: dict[str, np.ndarray]) -> Prepared:
    """The set that these arrays make.

    Raises:
        ValueError: a shape, a type or a number is none that a set of images can have.
    """
    images, labels, num_train = (arrays[name] for name in Prepared._fields)
    if images.dtype != np.uint8 or images.ndim != 4 or 0 in images.shape:
        raise ValueError(f"images is {_told(images)}; it must be uint8 [N, H, W, C]")
    if labels.dtype.kind not in "iu" or labels.shape != images.shape[:1]:
        raise ValueError(f"labels is {_told(labels)}; it must be integers [{len(images)}]")
    if num_train.dtype.kind not in "iu" or num_train.shape != ():
        raise ValueError(f"num_train is {_told(num_train)}; it must be an integer []")
    if not FEWEST_TRAIN <= num_train < len(images):
        raise ValueError(
            f"num_train is {num_train} of {len(images)} images; it must be {FEWEST_TRAIN} or more "
            "and leave some to test"
        )
    return Prepared(images, labels, int(num_train))


def _told(array: np.ndarray) -> str:
    """Type and shape of an array."""
    return f"{array.dtype} {list(array.shape)}"
