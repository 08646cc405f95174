"""A data set: all examples as one array, and which rows train, validate and test."""

import math
import zlib
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from .options import SYNTHETIC_ROWS


class Splits(NamedTuple):
    """Row numbers of `Dataset.x`; no row is in two of them."""

    train: Int[np.ndarray, " n"]
    validation: Int[np.ndarray, " m"]
    test: Int[np.ndarray, " k"]


class Dataset(NamedTuple):
    """All examples of a set, on the host.

    Attributes:
        name: as given to `load`.
        x: every example as a row, float32 [N, D].
        splits: which rows train, validate and test.
        shape: of one example, such as (2,), (8, 8) or (28, 28, 1); D is its product.
        range: bounds of the examples before noise, None where there are none to speak of
            (synthetic sets and logit space): what an output layer may be bounded to.
        truth: the density that x, noise included, was drawn from: a `Mixture` or a
            `LinearGaussian`; None where it is unknown.
        labels: class, component or arm of each row, int32 [N], or None.
        noise_std: std of the noise that `load` added, in units of x; 0 for none.
        finest: std of the finest structure where it is known, in units of x: of a mixture's
            components, of a curve, of the noise around a plane. None where it is not.
        clean: the same rows before that noise, None where there is none. float32 [N, D]
    """

    name: str
    x: Float[np.ndarray, "N D"]
    splits: Splits
    shape: tuple[int, ...]
    range: tuple[float, float] | None
    truth: Any = None
    labels: Int[np.ndarray, " N"] | None = None
    noise_std: float = 0.0
    finest: float | None = None
    clean: Float[np.ndarray, "N D"] | None = None

    @property
    def dim(self) -> int:
        """D, the length of one example."""
        return math.prod(self.shape)


def contiguous(train: int, validation: int, test: int) -> Splits:
    """Splits of rows that lie in this order already, or were drawn independently."""
    return cut(np.arange(train + validation + test), train, validation, test)


def cut(order: Int[np.ndarray, " N"], train: int, validation: int, test: int) -> Splits:
    """The first rows of an order to train on, the last to test, those before them to validate."""
    order = order.astype(np.int32)
    end = len(order) - test
    return Splits(order[:train], order[end - validation : end], order[end:])


def synthetic(
    name: str,
    clean: Float[np.ndarray, "N D"],
    noise_std: float,
    truth: Any = None,
    labels: Int[np.ndarray, " N"] | None = None,
    finest: float | None = None,
) -> Dataset:
    """A set of `SYNTHETIC_ROWS` examples that were drawn independently, noise added to them.

    ``finest`` is the std of the finest structure of ``clean``.
    """
    x = clean + noise_std * generator(name, "noise").standard_normal(clean.shape)
    return Dataset(
        name=name,
        x=x.astype(np.float32),
        splits=contiguous(*SYNTHETIC_ROWS),
        shape=(x.shape[1],),
        range=None,
        truth=truth,
        labels=None if labels is None else labels.astype(np.int32),
        noise_std=noise_std,
        finest=None if finest is None else float(np.hypot(finest, noise_std)),
        clean=clean.astype(np.float32) if noise_std else None,
    )


def redraw(dataset: Dataset, seed: int) -> Splits:
    """Splits of the same sizes: other rows train and validate, the same ones test.

    What trains or validates under one seed is never tested under another. The validation rows of a
    seed do not depend on how many rows train.

    Args:
        dataset: whose rows to split.
        seed: >= 0.
    """
    train, validation, test = dataset.splits
    pool = np.setdiff1d(np.arange(len(dataset.x)), test)
    order = np.random.default_rng(seed).permutation(pool)
    return cut(order, len(train), len(validation), 0)._replace(test=test)


def split(dataset: Dataset, seed: int) -> Splits:
    """Splits of the same sizes, redrawn by a permutation of all rows, those that test included.

    Another data set, so to say: for splits to be compared with each other take `redraw`.

    The validation and test rows of a seed do not depend on how many rows train.

    Args:
        dataset: whose rows to split; an official test set is mixed with the rest.
        seed: >= 0.
    """
    order = np.random.default_rng(seed).permutation(len(dataset.x))
    return cut(order, *(len(rows) for rows in dataset.splits))


def generator(name: str, purpose: str) -> np.random.Generator:
    """The source of what is random in a data set: fixed by its name and the purpose."""
    return np.random.default_rng([zlib.crc32(name.encode()), zlib.crc32(purpose.encode())])
