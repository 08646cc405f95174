"""Preparation of image sets: original files, what is read from them, and every refusal."""

import gzip
import hashlib
import importlib.util
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from sigmaprop import data
from sigmaprop.data import originals, prepare, store
from sigmaprop.runs.files import RunError

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's package dataset-fashion-mnist puts the original files."""

with_originals = pytest.mark.skipif(
    not DEBIAN.is_dir(), reason="needs the original files of Debian's dataset-fashion-mnist"
)
with_tensorflow = pytest.mark.skipif(
    importlib.util.find_spec("tensorflow") is None,
    reason="needs TensorFlow, which extracts downloads: pip install -e '.[prepare]'",
)
LABELS = "t10k-labels-idx1-ubyte.gz"
RECORDED = "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"


@pytest.fixture
def content(monkeypatch) -> bytes:
    """The made-up content of a gzip file, on record as an original of kmnist."""
    made = bytes(range(256)) * 9
    monkeypatch.setitem(originals.CONTENT, "kmnist", {LABELS: hashlib.sha256(made).hexdigest()})
    return made


@pytest.mark.parametrize("level", [1, 9])
def test_a_file_compressed_anew_is_told_by_its_content(tmp_path, content, level):
    file = tmp_path / LABELS
    file.write_bytes(gzip.compress(content, level))
    originals.verify("kmnist", file, RECORDED)


def test_a_file_on_record_is_told_by_its_bytes(tmp_path):
    file = tmp_path / "any.zip"
    file.write_bytes(b"as it was")
    originals.verify("kmnist", file, hashlib.sha256(b"as it was").hexdigest())


def test_other_content_names_the_file_and_both_digests(tmp_path, content):
    other = content[:-1] + b"x"
    file = tmp_path / LABELS
    file.write_bytes(gzip.compress(other))
    found, expected = (hashlib.sha256(each).hexdigest()[:16] for each in (other, content))
    with pytest.raises(RunError) as caught:
        originals.verify("kmnist", file, RECORDED)
    assert str(caught.value) == (
        f"{file} is not the original of kmnist: its sha256 begins {found}, expected {expected}; "
        "get the file anew"
    )


@pytest.mark.parametrize("harm", ["truncated", "no gzip", "bad block"])
def test_what_cannot_be_decompressed_is_no_original(tmp_path, content, harm):
    packed = bytearray(gzip.compress(content))
    packed[12] ^= 0xFF
    broken = {"truncated": gzip.compress(content)[:-9], "no gzip": content, "bad block": packed}
    file = tmp_path / LABELS
    file.write_bytes(broken[harm])
    with pytest.raises(RunError, match="is not the original of kmnist"):
        originals.verify("kmnist", file, RECORDED)


def test_a_missing_file_names_the_option(tmp_path):
    with pytest.raises(RunError, match=r"cannot read .*give --from the folder with kmnist's files"):
        originals.verify("kmnist", tmp_path / LABELS, RECORDED)


@with_originals
def test_debians_files_have_the_content_on_record():
    for name in originals.CONTENT["fashion_mnist"]:
        originals.verify("fashion_mnist", DEBIAN / name, RECORDED)


@with_originals
def test_nothing_is_handed_over_if_one_file_is_altered(tmp_path):
    source, downloads = tmp_path / "source", tmp_path / "downloads"
    source.mkdir()
    downloads.mkdir()
    labels = [name for name in originals.CONTENT["fashion_mnist"] if "labels" in name]
    for name in labels:
        shutil.copy(DEBIAN / name, source)
    content = bytearray(gzip.decompress((source / labels[-1]).read_bytes()))
    content[5000] ^= 1
    (source / labels[-1]).write_bytes(gzip.compress(content))
    records = {f"http://host/{name}": SimpleNamespace(checksum=RECORDED) for name in labels}
    with pytest.raises(RunError, match=f"{labels[-1]} is not the original of fashion_mnist"):
        originals.hand_over("fashion_mnist", source, downloads, records)
    assert list(downloads.iterdir()) == []


def test_examples_become_arrays_train_first():
    def examples(num: int, shift: int) -> list[dict[str, object]]:
        return [
            {"image": np.full((2, 3, 1), i + shift, np.uint8), "label": i + shift, "id": "x"}
            for i in range(num)
        ]

    made = prepare.collect("mnist", {"train": examples(5, 0), "test": examples(2, 5)})
    assert (made.images.shape, made.images.dtype, made.num_train) == ((7, 2, 3, 1), np.uint8, 5)
    np.testing.assert_array_equal(made.images[:, 0, 0, 0], np.arange(7))
    np.testing.assert_array_equal(made.labels, np.arange(7, dtype=np.int32))


def test_images_of_another_type_are_refused():
    example = {"image": np.zeros((2, 2, 1), np.float32), "label": 0}
    with pytest.raises(ValueError, match="mnist has images of float32, not uint8; choose another"):
        prepare.collect("mnist", {"train": [example]})


@pytest.mark.parametrize(
    ("test", "sentence"),
    [
        ([], "mnist has no example in its split 'test'"),
        ([{"image": np.zeros((3, 2, 1), np.uint8), "label": 0}], r"\(3, 2, 1\) beside \(2, 2, 1\)"),
    ],
)
def test_images_of_two_sizes_and_empty_parts_are_refused(test, sentence):
    example = {"image": np.zeros((2, 2, 1), np.uint8), "label": 0}
    with pytest.raises(ValueError, match=sentence):
        prepare.collect("mnist", {"train": [example], "test": test})


@pytest.mark.parametrize("missing", ["tensorflow", "importlib_resources"])
def test_a_missing_package_is_named_with_its_remedy(monkeypatch, missing):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == missing else sys)
    with pytest.raises(RunError) as caught:
        prepare.prepare("mnist")
    remedy = "run `pip install 'tensorflow-cpu>=2.21' importlib_resources`"
    assert f"preparing mnist needs {missing}; {remedy}" in str(caught.value)


@pytest.mark.parametrize("name", ["ring", "digits"])
def test_embedded_sets_need_no_preparation(name):
    with pytest.raises(ValueError, match=f"{name} needs no preparation; load it as it is"):
        prepare.prepare(name)


def test_a_name_that_cannot_be_one_is_refused():
    with pytest.raises(ValueError, match=r"unknown image set '\.\./mnist'; did you mean 'mnist'"):
        prepare.prepare("../mnist")


@with_tensorflow
@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("fashion", "unknown image set 'fashion'; did you mean 'fashion_mnist'"),
        ("lm1b", "lm1b has no labelled images of one size; choose another image set"),
    ],
)
def test_what_is_no_image_set_is_refused(name, sentence):
    with pytest.raises(ValueError, match=sentence):
        prepare.prepare(name)


@with_tensorflow
def test_without_a_network_one_sentence_says_so(monkeypatch, tmp_path):
    for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    with pytest.raises(RunError, match=r"cannot download kmnist .*give the folder of its"):
        prepare.prepare("kmnist", None, tmp_path)
    assert list(tmp_path.iterdir()) == []


def _idx(file: Path, header: int) -> np.ndarray:
    """The bytes behind the header of an original file."""
    return np.frombuffer(gzip.decompress(file.read_bytes()), np.uint8, offset=header)


@with_tensorflow
@with_originals
@pytest.mark.slow
def test_fashion_mnist_from_its_original_files(cache_of_its_own):
    file = prepare.prepare("fashion_mnist", DEBIAN, cache_of_its_own)
    assert file == store.path("fashion_mnist")
    made, prepared = data.load("fashion_mnist"), store.read("fashion_mnist")
    assert (made.shape, len(made.x), prepared.num_train) == ((28, 28, 1), 70_000, 60_000)
    # tensorflow-datasets shuffles: compare the images with their labels as sets.
    for part, rows in (("train", slice(None, 60_000)), ("t10k", slice(60_000, None))):
        images = _idx(DEBIAN / f"{part}-images-idx3-ubyte.gz", 16).reshape(-1, 784)
        labels = _idx(DEBIAN / f"{part}-labels-idx1-ubyte.gz", 8)
        expected = np.column_stack([images, labels])
        found = np.column_stack(
            [prepared.images[rows].reshape(-1, 784), prepared.labels[rows].astype(np.uint8)]
        )
        np.testing.assert_array_equal(_sorted_rows(found), _sorted_rows(expected))


def _sorted_rows(rows: np.ndarray) -> np.ndarray:
    """Rows in the order of their digests."""
    digests = [hashlib.sha256(row.tobytes()).digest() for row in rows]
    return rows[sorted(range(len(rows)), key=digests.__getitem__)]
