"""The handwritten digits that come with scikit-learn, split once and for all."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

NUM_VALIDATION = 300
NUM_TEST = 300
SPLIT_SEED = 0


class Split(NamedTuple):
    """Images and their labels.

    Attributes:
        images: pixels divided by 16, in [0, 1], row by row, float32 [N, 64].
        labels: the digit, int32 [N].
    """

    images: Float[np.ndarray, "N 64"]
    labels: Int[np.ndarray, " N"]


class Digits(NamedTuple):
    """The 1797 images of 8 x 8 pixels: 1197 to train on, 300 to validate, 300 to test."""

    train: Split
    validation: Split
    test: Split


def load() -> Digits:
    """The digits, shuffled and split by a fixed seed: the same arrays in every process.

    Source: Alpaydin & Kaynak 1998, Optical recognition of handwritten digits (UCI), in the copy
        that scikit-learn ships: no download.
    """
    from sklearn.datasets import load_digits

    pixels, labels = map(np.asarray, load_digits(return_X_y=True))
    images = (pixels / 16.0).astype(np.float32)
    order = np.random.default_rng(SPLIT_SEED).permutation(len(images))
    splits = np.split(order, [len(order) - NUM_VALIDATION - NUM_TEST, len(order) - NUM_TEST])
    return Digits(*(Split(images[rows], labels[rows].astype(np.int32)) for rows in splits))
