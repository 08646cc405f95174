"""Prepared image sets on disk: one compressed, hashed file of arrays a set.

The files lie in the folder ``datasets`` of `cache.directory` and end in the sha256 of their bytes.
They hold all that training needs, so a file can be carried to another machine; np.load reads it.
"""

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int, UInt8

from sigmaprop.runs.files import RunError, read_regular, write_atomic

from . import cache

FEWEST_TRAIN = 6
"""Training images; a sixth of them is held out to validate."""
_LONGEST = 200
"""Characters of a name, which is also that of a file."""


class Prepared(NamedTuple):
    """What a prepared file holds: images to train on, those to test, and how many train."""

    images: UInt8[np.ndarray, "N H W C"]
    labels: Int[np.ndarray, " N"]
    num_train: int


def is_name(name: str) -> bool:
    """Whether this can be the name of a set: words and at most one slash, as in emnist/letters."""
    return len(name) <= _LONGEST and re.fullmatch(r"\w+(/\w+)?", name, re.ASCII) is not None


def path(name: str, directory: Path | None = None) -> Path:
    """Where the file of a set lies, below a cache directory; None: the one in use."""
    root = cache.directory() if directory is None else directory
    return root / "datasets" / f"{name.replace('/', '-')}.npz"


def write(name: str, prepared: Prepared, directory: Path | None = None) -> Path:
    """Writes all of the file or nothing.

    Returns:
        Its path.

    Raises:
        RunError: it cannot be written.
    """
    file = path(name, directory)
    try:
        write_atomic(file, cache.pack(prepared._asdict(), compress=True))
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
    anew = f"delete it and run `sigmaprop data prepare {name}`"
    try:
        return _checked(cache.unpack(stored))
    except cache.Altered as error:
        raise RunError(f"{file} is truncated or altered; {anew}") from error
    except ValueError as error:
        raise RunError(f"{file} is no prepared image set: {error}; {anew}") from error


def _checked(arrays: dict[str, np.ndarray]) -> Prepared:
    """The set that these arrays make; ValueError for what no set of images can have."""
    if set(arrays) != set(Prepared._fields):
        raise ValueError(f"it must hold exactly {', '.join(Prepared._fields)}")
    images, labels, num_train = (arrays[name] for name in Prepared._fields)
    if images.dtype != np.uint8 or images.ndim != 4 or 0 in images.shape:
        raise ValueError(f"images is {_described(images)}; it must be uint8 [N, H, W, C]")
    if labels.dtype.kind not in "iu" or labels.shape != images.shape[:1]:
        raise ValueError(f"labels is {_described(labels)}; it must be integers [{len(images)}]")
    if num_train.dtype.kind not in "iu" or num_train.shape != ():
        raise ValueError(f"num_train is {_described(num_train)}; it must be an integer []")
    if not FEWEST_TRAIN <= num_train < len(images):
        raise ValueError(
            f"num_train is {num_train} of {len(images)} images; it must be {FEWEST_TRAIN} or more "
            "and leave some to test"
        )
    return Prepared(images, labels, int(num_train))


def _described(array: np.ndarray) -> str:
    return f"{array.dtype} {list(array.shape)}"
