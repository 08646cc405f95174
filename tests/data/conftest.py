"""A small prepared set, in a cache directory of its own."""

from pathlib import Path

import numpy as np
import pytest

from sigmaprop.data import store

NUM_TRAIN, NUM_TEST = 60, 15


@pytest.fixture
def cache_of_its_own(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("SIGMAPROP_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def prepared(cache_of_its_own) -> store.Prepared:
    """75 made-up images of 6 x 6 pixels, stored as mnist; row i has the label i."""
    num = NUM_TRAIN + NUM_TEST
    images = np.random.default_rng(0).integers(256, size=(num, 6, 6, 1), dtype=np.uint8)
    made = store.Prepared(images, np.arange(num, dtype=np.int32), NUM_TRAIN)
    store.write("mnist", made)
    return made
