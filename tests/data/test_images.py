"""Digits and prepared images: what is read is what was written."""

import hashlib
import io
import os
import stat

import numpy as np
import pytest

from sigmaprop import data
from sigmaprop.data import cache, digits, images, store
from sigmaprop.runs.files import RunError


def test_digits_are_those_of_the_fixed_split():
    made, parts = data.load("digits"), digits.load()
    for rows, part in zip(made.splits, parts, strict=True):
        np.testing.assert_array_equal(made.x[rows], part.images)
        assert made.labels is not None
        np.testing.assert_array_equal(made.labels[rows], part.labels)


def test_prepared_images_are_divided_by_255(prepared):
    made = data.load("mnist")
    assert (made.shape, made.dim, made.range) == ((6, 6, 1), 36, (0.0, 1.0))
    assert made.x.dtype == np.float32
    np.testing.assert_array_equal(np.rint(255 * made.x), prepared.images.reshape(75, 36))
    assert made.labels is not None
    np.testing.assert_array_equal(made.labels, np.arange(75))


def test_the_official_test_set_stays_apart(prepared):
    splits = data.load("mnist").splits
    assert tuple(map(len, splits)) == (50, 10, 15)
    np.testing.assert_array_equal(splits.test, np.arange(60, 75))
    held_in = np.concatenate([splits.train, splits.validation])
    np.testing.assert_array_equal(np.sort(held_in), np.arange(60))
    assert not np.array_equal(held_in, np.arange(60))


@pytest.mark.parametrize(
    ("num_train", "held_out"), [(60_000, 10_000), (73_257, 10_000), (600, 100)]
)
def test_ten_thousand_validate_or_a_sixth(num_train, held_out):
    splits = images.official("mnist", num_train, 7)
    assert tuple(map(len, splits)) == (num_train - held_out, held_out, 7)


def test_options_reach_prepared_images(prepared):
    options = data.DataOptions(num=5, resize=4, symmetric=True, noise_std=0.1, noise_length=1.0)
    made = data.load("mnist", options)
    assert (made.shape, made.range, made.noise_std) == ((4, 4, 1), (-1.0, 1.0), 0.1)
    assert len(made.splits.train) == 5


def test_a_prepared_set_that_is_not_listed_loads_too(prepared):
    store.write("emnist/letters", prepared)
    made = data.load("emnist/letters")
    assert (made.name, len(made.x)) == ("emnist/letters", 75)


def test_a_set_that_is_not_prepared_names_the_command(cache_of_its_own):
    with pytest.raises(RunError) as caught:
        data.load("fashion_mnist")
    assert str(caught.value) == (
        f"fashion_mnist is not prepared in {cache_of_its_own / 'datasets'}; "
        "run `sigmaprop data prepare fashion_mnist`"
    )


@pytest.mark.parametrize("harm", ["flip a bit", "truncate", "empty"])
def test_a_damaged_file_is_refused_before_it_is_read(prepared, harm):
    file = store.path("mnist")
    content = bytearray(file.read_bytes())
    content[100] ^= 1
    file.write_bytes({"flip a bit": content, "truncate": content[:-7], "empty": b""}[harm])
    with pytest.raises(RunError, match="is truncated or altered; delete it and run") as caught:
        data.load("mnist")
    assert str(file) in str(caught.value)


def test_a_directory_in_its_place_is_refused(cache_of_its_own):
    store.path("mnist").mkdir(parents=True)
    with pytest.raises(RunError, match=r"cannot read .*mnist\.npz"):
        data.load("mnist")


def test_the_same_arrays_give_the_same_file(prepared):
    first = store.path("mnist").read_bytes()
    store.write("mnist", prepared)
    assert store.path("mnist").read_bytes() == first
    assert [file.name for file in store.path("mnist").parent.iterdir()] == ["mnist.npz"]


def test_numpy_reads_the_file_as_it_is(prepared):
    with np.load(store.path("mnist")) as arrays:
        np.testing.assert_array_equal(arrays["images"], prepared.images)


def test_a_file_that_cannot_be_written_names_the_option(prepared, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RunError, match=r"cannot write .*; choose another --out or make room"):
        store.write("mnist", prepared, tmp_path / "file")


SOME = {"images": np.zeros((9, 4, 4, 1), np.uint8), "labels": np.zeros(9, np.int32)}
SOME["num_train"] = np.asarray(7)


def sealed(content: bytes) -> bytes:
    """What `store.write` makes of the bytes of an archive."""
    return content + hashlib.sha256(content).digest()


def archive(**arrays) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


ODD = {
    "no archive": (b"not an archive", "cannot be read as arrays"),
    "pickled": (archive(**SOME | {"labels": np.array([None] * 9)}), "cannot be read as arrays"),
    "one array missing": (archive(images=SOME["images"]), "exactly images, labels, num_train"),
    "one too many": (archive(**SOME, more=np.zeros(1)), "exactly images, labels, num_train"),
    "floats": (archive(**SOME | {"images": np.full((9, 4, 4, 1), np.nan)}), "images is float64"),
    "flat": (
        archive(**SOME | {"images": np.zeros((9, 16), np.uint8)}),
        r"uint8 \[9, 16\]; it must",
    ),
    "empty": (archive(**SOME | {"images": np.zeros((0, 4, 4, 1), np.uint8)}), r"\[0, 4, 4, 1\]"),
    "few labels": (archive(**SOME | {"labels": np.zeros(8, int)}), r"it must be integers \[9\]"),
    "real labels": (archive(**SOME | {"labels": np.zeros(9)}), "labels is float64"),
    "two numbers": (archive(**SOME | {"num_train": np.zeros(2, int)}), r"integer \[\]"),
    "none to train": (archive(**SOME | {"num_train": np.asarray(-1)}), "num_train is -1 of 9"),
    "none to test": (archive(**SOME | {"num_train": np.asarray(9)}), "num_train is 9 of 9"),
}


@pytest.mark.parametrize("what", ODD)
def test_a_file_that_holds_no_images_is_named_with_what_is_wrong(cache_of_its_own, what):
    content, sentence = ODD[what]
    file = store.path("mnist")
    file.parent.mkdir(parents=True)
    file.write_bytes(sealed(content))
    with pytest.raises(RunError, match=sentence) as caught:
        data.load("mnist")
    assert str(caught.value).startswith(f"{file} is no prepared image set: ")
    assert str(caught.value).endswith("delete it and run `sigmaprop data prepare mnist`")


def test_the_file_of_the_other_cases_is_right_but_for_them(cache_of_its_own):
    file = store.path("mnist")
    file.parent.mkdir(parents=True)
    file.write_bytes(sealed(archive(**SOME)))
    assert tuple(map(len, data.load("mnist").splits)) == (6, 1, 2)


def test_an_odd_set_ends_a_command_in_one_sentence(prepared, sigmaprop):
    file = store.path("mnist")
    file.write_bytes(sealed(archive(images=SOME["images"])))
    ended = sigmaprop("gan", "--dataset", "mnist")
    assert (ended.status, ended.out) == (2, "")
    (line,) = ended.err.strip().splitlines()
    assert line.startswith(f"sigmaprop: {file} is no prepared image set: it must hold exactly")


def test_a_pipe_in_place_of_a_set_is_not_waited_for(cache_of_its_own):
    file = store.path("mnist")
    file.parent.mkdir(parents=True)
    os.mkfifo(file)
    with pytest.raises(
        RunError, match=r"cannot read .*mnist\.npz \(it is a FIFO, socket or device and no file\)"
    ):
        data.load("mnist")


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_the_umask_says_who_may_read_what_is_kept(cache_of_its_own, mask, mode):
    before = os.umask(mask)
    try:
        kept = store.write("mnist", store.Prepared(SOME["images"], SOME["labels"], 7))
        cache.load_or_make("some", lambda: {"a": np.zeros(3)})
    finally:
        os.umask(before)
    for file in (kept, cache.directory() / "some.npz"):
        assert stat.S_IMODE(file.stat().st_mode) == mode
