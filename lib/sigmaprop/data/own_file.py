"""A data set of your own from an ``.npz`` file.

The file holds an array ``x``: vectors [N, D], or images [N, H, W] or [N, H, W, C], channels last.
Images of type uint8 are divided by 255; all else is taken as it is, in float32. It may hold three
arrays of row numbers, ``train``, ``validation`` and ``test``; without them a tenth of the rows
validates, a tenth tests, and which ones is drawn from a fixed seed::

    numpy.savez("mine.npz", x=x)
    sigmaprop gan --dataset mine.npz
"""

import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sigmaprop.names import shown

from .dataset import Dataset, Splits, cut, generator
from .options import DataOptions

_FEWEST = 20
"""Rows, so that two validate and two test."""
_LARGEST = 1e4
"""Magnitude of an entry: networks begin with outputs near 1 and do not get far from there."""
_SPLITS = ("train", "validation", "test")


def own_file(spec: str, options: DataOptions) -> Dataset:
    """The data set of a file.

    Args:
        spec: path of an ``.npz`` file; it becomes the name of the data set.
        options: ``noise_std`` is the std of Gaussian noise to add, in units of x.

    Raises:
        ValueError: one sentence that says what of the file is refused, and what it may hold.
    """
    arrays = _read(spec)
    given = arrays["x"]
    x, shape = _examples(spec, given), given.shape[1:]
    low, high = float(x.min()), float(x.max())
    noise_std, clean = options.noise_std or 0.0, None
    if noise_std:
        clean = x.astype(np.float32)
        noise = generator("own file", "noise").standard_normal(x.shape)
        x = (x + noise_std * noise).astype(np.float32)
    return Dataset(
        name=spec,
        x=x,
        splits=_splits(spec, arrays, len(x)),
        shape=shape,
        range=(0.0, 1.0) if len(shape) > 1 and low >= 0.0 and high <= 1.0 else None,
        noise_std=noise_std,
        clean=clean,
    )


def _read(spec: str) -> Mapping[str, np.ndarray]:
    """The arrays of the file that mean something; nothing in it is executed."""
    try:
        # Opened here: NumPy would leave a broken file open.
        with (
            Path(os.path.expanduser(spec)).open("rb") as opened,
            np.load(opened, allow_pickle=False) as file,
        ):
            held = list(file.files)
            arrays = {name: file[name] for name in ("x", *_SPLITS) if name in held}
    except OSError as error:
        raise _refused(spec, f"it cannot be read ({error.strerror or error})") from error
    except (AttributeError, EOFError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise _refused(spec, "it is no .npz file of numbers, as numpy.savez writes") from error
    if "x" not in arrays:
        raise _refused(spec, f"it holds {', '.join(held) or 'nothing'}, but no array x")
    return arrays


def _examples(spec: str, x: np.ndarray) -> np.ndarray:
    """Every example as a row, float32 [N, D]."""
    if x.ndim not in (2, 3, 4):
        raise _refused(spec, f"x has shape {x.shape}; give [N, D], [N, H, W] or [N, H, W, C]")
    if x.dtype.kind not in "fiu":
        raise _refused(spec, f"x is of type {x.dtype}; give real numbers")
    if len(x) < _FEWEST or 0 in x.shape:
        raise _refused(spec, f"x has shape {x.shape}; give {_FEWEST} rows or more, none empty")
    if x.dtype == np.uint8 and x.ndim > 2:
        x = x / np.float32(255)
    with np.errstate(over="ignore"):  # infinities are refused below
        flat = np.ascontiguousarray(x.reshape(len(x), -1), np.float32)
    if not np.isfinite(flat).all():
        row = int(np.flatnonzero(~np.isfinite(flat).all(axis=1))[0])
        raise _refused(spec, f"row {row} of x is not finite in float32; leave such rows out")
    if (largest := float(np.abs(flat).max())) > _LARGEST:
        raise _refused(
            spec,
            f"x reaches {largest:g} in magnitude, where {_LARGEST:g} is the most; scale it, best "
            "to a standard deviation near 1",
        )
    if (flat == flat[0]).all():
        raise _refused(spec, "all rows of x are equal; give examples that differ")
    return flat


def _splits(spec: str, arrays: Mapping[str, np.ndarray], num: int) -> Splits:
    """Those of the file, else four fifths to train on."""
    named = [name for name in _SPLITS if name in arrays]
    if not named:
        order = generator("own file", "split").permutation(num)
        tenth = num // 10
        return cut(order, num - 2 * tenth, tenth, tenth)
    if len(named) < len(_SPLITS):
        missing = " and ".join(name for name in _SPLITS if name not in named)
        raise _refused(
            spec, f"it holds {' and '.join(named)} but not {missing}; give all three or none"
        )
    rows = [_rows(spec, name, arrays[name], num) for name in _SPLITS]
    taken, counts = np.unique(np.concatenate(rows), return_counts=True)
    if (counts > 1).any():
        raise _refused(
            spec,
            f"row {taken[counts > 1][0]} stands twice in train, validation and test; a row may "
            "stand in one of them, once",
        )
    return Splits(*rows)


def _rows(spec: str, name: str, rows: np.ndarray, num: int) -> np.ndarray:
    """Row numbers, checked."""
    if rows.ndim != 1 or rows.dtype.kind not in "iu" or not rows.size:
        raise _refused(
            spec, f"{name} is {rows.dtype} of shape {rows.shape}; give a list of row numbers"
        )
    wrong: Any = rows[(rows < 0) | (rows >= num)]
    if wrong.size:
        raise _refused(spec, f"{name} names row {wrong[0]}; rows go from 0 to {num - 1}")
    return rows.astype(np.int32)


def _refused(spec: str, reason: str) -> ValueError:
    return ValueError(f"data set {shown(spec, 300)}: {reason}")
