"""A data set from an .npz file: what is read, and what is refused in one sentence."""

import re

import numpy as np
import pytest

from sigmaprop import data

ROWS = np.random.default_rng(0).standard_normal((40, 3))


def load(path, **options):
    return data.load(str(path), data.DataOptions(**options))


@pytest.fixture
def saved(tmp_path):
    """Writes arrays to a file."""

    def save(**arrays):
        path = tmp_path / "mine.npz"
        np.savez(path, **arrays)
        return path

    return save


def test_vectors_are_taken_as_they_are(saved):
    made = load(saved(x=ROWS))
    np.testing.assert_array_equal(made.x, ROWS.astype(np.float32))
    assert made.shape == (3,)
    assert made.range is None
    counts = [len(rows) for rows in made.splits]
    assert counts == [32, 4, 4]
    assert sorted(np.concatenate(made.splits)) == list(range(40))


def test_the_rows_of_a_split_do_not_depend_on_the_process_or_the_values(saved):
    first = load(saved(x=ROWS)).splits
    second = load(saved(x=ROWS + 1)).splits
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("shape", [(40, 4, 5), (40, 4, 5, 1), (40, 4, 5, 3)])
def test_bytes_of_images_become_fractions(saved, shape):
    images = np.random.default_rng(1).integers(256, size=shape, dtype=np.uint8)
    made = load(saved(x=images))
    assert made.x.shape == (40, int(np.prod(shape[1:])))
    assert made.x.dtype == np.float32
    assert made.shape == shape[1:]
    assert made.range == (0.0, 1.0)
    np.testing.assert_allclose(made.x, images.reshape(40, -1) / 255, rtol=1e-7)


def test_bytes_that_are_no_images_are_numbers(saved):
    counts = np.arange(80, dtype=np.uint8).reshape(40, 2)
    np.testing.assert_array_equal(load(saved(x=counts)).x, counts)


def test_images_outside_the_unit_interval_have_no_range(saved):
    assert load(saved(x=np.random.default_rng(2).uniform(-1, 1, (40, 4, 4)))).range is None


def test_a_file_may_say_which_rows_train(saved):
    made = load(saved(x=ROWS, train=np.arange(20), validation=[20, 25], test=np.arange(30, 40)))
    np.testing.assert_array_equal(made.splits.train, np.arange(20))
    np.testing.assert_array_equal(made.splits.validation, [20, 25])
    np.testing.assert_array_equal(made.splits.test, np.arange(30, 40))


def test_noise_has_the_std_that_was_asked_for(saved):
    x = np.random.default_rng(3).standard_normal((4_000, 5))
    noise = load(saved(x=x), noise_std=0.5).x - x
    # 20,000 draws: the std is off by more than 4 standard errors of .5 / sqrt(2 n) once in 16,000.
    assert abs(noise.std() - 0.5) < 4 * 0.5 / np.sqrt(2 * noise.size)


REFUSED = {
    "nothing there": (None, "it cannot be read (No such file or directory)"),
    "no x": ({"y": ROWS}, "it holds y, but no array x"),
    "empty": ({}, "it holds nothing, but no array x"),
    "one axis": ({"x": np.arange(40.0)}, "x has shape (40,); give [N, D], [N, H, W] or"),
    "few rows": ({"x": ROWS[:19]}, "x has shape (19, 3); give 20 rows or more"),
    "no columns": ({"x": np.empty((40, 0))}, "x has shape (40, 0); give 20 rows or more"),
    "strings": ({"x": np.full((40, 3), "a")}, "x is of type <U1; give real numbers"),
    "complex": ({"x": ROWS.astype(complex)}, "x is of type complex128; give real numbers"),
    "booleans": ({"x": ROWS > 0}, "x is of type bool; give real numbers"),
    "objects": ({"x": np.full((40, 3), None)}, "it is no .npz file of numbers"),
    "not finite": (
        {"x": np.where(np.arange(40)[:, None] == 7, np.nan, ROWS)},
        "row 7 of x is not finite in float32",
    ),
    "beyond float32": (
        {"x": np.where(np.arange(40)[:, None] == 3, 1e39, ROWS)},
        "row 3 of x is not finite in float32",
    ),
    "large": ({"x": ROWS * 1e6}, "where 10000 is the most; scale it"),
    "constant": ({"x": np.ones((40, 3))}, "all rows of x are equal"),
    "two splits": (
        {"x": ROWS, "train": np.arange(9), "test": np.arange(9, 12)},
        "it holds train and test but not validation; give all three or none",
    ),
    "row beyond": (
        {"x": ROWS, "train": np.arange(9), "validation": [9], "test": [40]},
        "test names row 40; rows go from 0 to 39",
    ),
    "negative row": (
        {"x": ROWS, "train": np.arange(9), "validation": [-1], "test": [10]},
        "validation names row -1; rows go from 0 to 39",
    ),
    "row twice": (
        {"x": ROWS, "train": np.arange(9), "validation": [8], "test": [10]},
        "row 8 stands twice in train, validation and test",
    ),
    "mask": (
        {"x": ROWS, "train": np.ones(40, bool), "validation": [8], "test": [10]},
        "train is bool of shape (40,); give a list of row numbers",
    ),
    "no rows": (
        {"x": ROWS, "train": np.arange(3), "validation": np.empty(0, int), "test": [10]},
        "validation is int64 of shape (0,); give a list of row numbers",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_used_is_refused_in_one_sentence(saved, tmp_path, case):
    arrays, reason = REFUSED[case]
    path = tmp_path / "mine.npz" if arrays is None else saved(**arrays)
    with pytest.raises(ValueError, match=re.escape(reason)) as caught:
        load(path)
    said = str(caught.value)
    assert "mine.npz" in said
    assert "\n" not in said


@pytest.mark.parametrize("content", [b"", b"PK", b"x,y\n1,2\n", b"PK\x03\x04" + bytes(90)])
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "mine.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"it is no \.npz file of numbers"):
        load(path)


def test_one_array_of_save_is_refused(tmp_path):
    path = tmp_path / "mine.npz"
    with path.open("wb") as file:
        np.save(file, ROWS)
    with pytest.raises(ValueError, match=r"it is no \.npz file of numbers"):
        load(path)


def test_nothing_in_the_file_is_executed(tmp_path):
    class Trap:
        def __reduce__(self):
            return (tmp_path.joinpath("sprung").touch, ())

    np.savez(tmp_path / "mine.npz", x=np.array([Trap()] * 40, object))
    with pytest.raises(ValueError, match=r"it is no \.npz file of numbers"):
        load(tmp_path / "mine.npz")
    assert not (tmp_path / "sprung").exists()


def test_a_directory_is_refused(tmp_path):
    (tmp_path / "mine.npz").mkdir()
    with pytest.raises(ValueError, match="it cannot be read"):
        load(tmp_path / "mine.npz")
