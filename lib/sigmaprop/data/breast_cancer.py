"""The breast cancer data that come with scikit-learn, standardised."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int


class BreastCancer(NamedTuple):
    """569 tumours.

    Attributes:
        features: 30 measurements of mean 0 and standard deviation 1, then a column of ones for the
            bias, float32 [N, 31].
        labels: 0 malignant, 1 benign, int32 [N].
    """

    features: Float[np.ndarray, "N 31"]
    labels: Int[np.ndarray, " N"]


def load() -> BreastCancer:
    """All tumours, in their original order; nothing is held out.

    Source: Street, Wolberg, Mangasarian 1993, Breast Cancer Wisconsin (Diagnostic) (UCI), in the
        copy that scikit-learn ships: no download.
    """
    from sklearn.datasets import load_breast_cancer

    raw, labels = map(np.asarray, load_breast_cancer(return_X_y=True))
    standardised = (raw - raw.mean(axis=0)) / raw.std(axis=0)
    features = np.column_stack([standardised, np.ones(len(raw))])
    return BreastCancer(features.astype(np.float32), labels.astype(np.int32))
