"""The breast cancer data."""

import numpy as np

from sigmaprop.data import breast_cancer


def test_features_are_standardised_and_end_in_ones():
    features, labels = breast_cancer.load()
    assert (features.shape, features.dtype) == ((569, 31), np.float32)
    assert (labels.shape, labels.dtype) == ((569,), np.int32)
    # Means of 569 float32 numbers of order 1, each rounded to 6e-8 of itself.
    measurements = features[:, :-1].astype(np.float64)
    np.testing.assert_allclose(measurements.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(measurements.std(axis=0), 1, rtol=1e-6)
    np.testing.assert_array_equal(features[:, -1], 1)


def test_rows_keep_their_order_and_labels():
    from sklearn.datasets import load_breast_cancer

    raw, targets = load_breast_cancer(return_X_y=True)
    features, labels = breast_cancer.load()
    np.testing.assert_array_equal(labels, targets)
    assert np.bincount(labels).tolist() == [212, 357]
    order = np.argsort(raw[:, 0], kind="stable")
    assert np.all(np.diff(features[order, 0]) >= 0)


def test_it_is_the_same_twice():
    for first, second in zip(breast_cancer.load(), breast_cancer.load(), strict=True):
        np.testing.assert_array_equal(first, second)
