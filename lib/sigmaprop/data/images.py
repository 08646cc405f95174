"""Images: the embedded digits and the prepared sets, put through the transforms."""

import math

import numpy as np
from jaxtyping import Float, Int

from . import digits, store, transforms
from .dataset import Dataset, Splits, contiguous, cut, generator
from .options import DataOptions

NUM_VALIDATION = 10_000
"""Training images held out to validate, where a sixth of them is not fewer."""


def digits_images(options: DataOptions) -> Dataset:
    """scikit-learn's digits, in the fixed split of `digits.load`."""
    parts = digits.load()
    x = np.concatenate([part.images for part in parts])
    labels = np.concatenate([part.labels for part in parts])
    splits = contiguous(*(len(part.images) for part in parts))
    return _transformed("digits", x, labels, (8, 8), 17, splits, options)


def prepared_images(name: str, options: DataOptions) -> Dataset:
    """An image set that `sigmaprop data prepare` has written; TensorFlow is not needed.

    Its test set is the official one; a fixed permutation of the training images leaves the last
    ones to validate.

    Raises:
        RunError: the set is not prepared, or its file was altered.
    """
    prepared = store.read(name)
    shape = prepared.images.shape[1:]
    x = prepared.images.reshape(len(prepared.images), -1).astype(np.float32)
    x /= np.float32(255)
    splits = official(name, prepared.num_train, len(x) - prepared.num_train)
    return _transformed(name, x, prepared.labels, shape, 256, splits, options)


def official(name: str, num_train: int, num_test: int) -> Splits:
    """The splits of a set that comes in training images followed by test images."""
    held_out = min(NUM_VALIDATION, num_train // 6)
    train = generator(name, "split").permutation(num_train)
    order = np.concatenate([train, np.arange(num_train, num_train + num_test)])
    return cut(order, num_train - held_out, held_out, num_test)


def _transformed(
    name: str,
    x: Float[np.ndarray, "N D"],
    labels: Int[np.ndarray, " N"],
    shape: tuple[int, ...],
    levels: int,
    splits: Splits,
    options: DataOptions,
) -> Dataset:
    """Images in [0, 1] after the transforms, in their one order."""
    bounds = (0.0, 1.0)
    if options.resize is not None:
        x, shape = transforms.resize(x, shape, options.resize)
    if options.dequantise:
        x = transforms.dequantise(x, levels, generator(name, "dequantise"))
    if options.symmetric:
        x, bounds = 2 * x - 1, (-1.0, 1.0)
    if options.logit is not None:
        x, bounds = transforms.to_logit(x, options.logit), None
    noise_std, clean = options.noise_std or 0.0, None
    if noise_std:
        clean, rng = x, generator(name, "noise")
        x = x + transforms.noise(len(x), shape, noise_std, options.noise_length, rng)
    assert x.shape[1] == math.prod(shape)
    labels = labels.astype(np.int32)
    return Dataset(name, x, splits, shape, bounds, None, labels, noise_std, clean=clean)
