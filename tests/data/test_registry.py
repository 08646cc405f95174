"""What every embedded data set promises, and what is refused."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest

from sigmaprop import data
from sigmaprop.data import mixtures
from sigmaprop.data.options import CATALOGUE, EMBEDDED, Entry

SYNTHETIC = [name for name in EMBEDDED if name != "digits"]


@pytest.fixture(scope="module", params=EMBEDDED)
def dataset(request) -> data.Dataset:
    return data.load(request.param)


def test_it_is_as_the_catalogue_says(dataset):
    kind, shape, rows, meaning, maker = CATALOGUE[dataset.name]
    assert meaning
    assert maker
    assert (dataset.shape, dataset.dim) == (shape, int(np.prod(shape)))
    assert (dataset.x.shape, dataset.x.dtype) == ((sum(rows), dataset.dim), np.float32)
    assert tuple(map(len, dataset.splits)) == rows
    assert dataset.range == ((0.0, 1.0) if kind == "image" else None)
    assert np.isfinite(dataset.x).all()
    if dataset.labels is not None:
        assert (dataset.labels.shape, dataset.labels.dtype) == ((sum(rows),), np.int32)


def test_the_splits_share_no_row_and_leave_none_out(dataset):
    rows = np.concatenate(dataset.splits)
    assert rows.dtype == np.int32
    np.testing.assert_array_equal(np.sort(rows), np.arange(len(dataset.x)))


def test_a_seed_redraws_the_splits_and_nothing_else(dataset):
    first, second = (data.split(dataset, seed) for seed in (1, 2))
    for part in (first, second):
        assert tuple(map(len, part)) == tuple(map(len, dataset.splits))
        np.testing.assert_array_equal(np.sort(np.concatenate(part)), np.arange(len(dataset.x)))
    assert not np.array_equal(first.test, second.test)
    np.testing.assert_array_equal(data.split(dataset, 1).train, first.train)
    redrawn = data.load(dataset.name, data.DataOptions(split_seed=1))
    np.testing.assert_array_equal(redrawn.splits.train, first.train)
    np.testing.assert_array_equal(redrawn.x, dataset.x)


def test_redrawn_rows_train_and_validate_and_never_test(dataset):
    """Of whatever seed: a row that one of them tests is trained on by none."""
    small = data.load(dataset.name, data.DataOptions(num=100))
    seen = [data.redraw(dataset, seed) for seed in range(4)]
    for part in seen:
        assert tuple(map(len, part)) == tuple(map(len, dataset.splits))
        np.testing.assert_array_equal(np.sort(np.concatenate(part)), np.arange(len(dataset.x)))
        np.testing.assert_array_equal(part.test, dataset.splits.test)
        assert all(rows.dtype == np.int32 for rows in part)
    fresh = np.setdiff1d(seen[0].validation, dataset.splits.validation)
    assert len(fresh) > 0.5 * len(seen[0].validation)
    assert not np.array_equal(seen[0].train, seen[1].train)
    again = data.redraw(small, 3)
    np.testing.assert_array_equal(again.train, seen[3].train[:100])
    np.testing.assert_array_equal(again.validation, seen[3].validation)


def test_a_subset_keeps_the_first_rows_and_what_is_held_out(dataset):
    options = data.DataOptions(num=100, split_seed=3)
    small, large = data.load(dataset.name, options), data.split(dataset, 3)
    np.testing.assert_array_equal(small.splits.train, large.train[:100])
    np.testing.assert_array_equal(small.splits.validation, large.validation)
    np.testing.assert_array_equal(small.splits.test, large.test)
    again = data.split(small, 3)
    np.testing.assert_array_equal(again.train, small.splits.train)
    np.testing.assert_array_equal(again.test, large.test)


def test_another_process_has_the_same_bits():
    code = (
        "import hashlib; from sigmaprop import data\n"
        f"for name in {SYNTHETIC}: print(hashlib.sha256(data.load(name).x.tobytes()).hexdigest())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    here = [hashlib.sha256(data.load(name).x.tobytes()).hexdigest() for name in SYNTHETIC]
    assert done.stdout.split() == here
    assert len(set(here)) == len(here)


def test_options_and_files_are_known_without_jax():
    code = (
        "import sys; from sigmaprop.data import DataOptions, check, names, store\n"
        "check('ring', DataOptions()); assert 'jax' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_record_makes_a_set_known_everywhere(monkeypatch, capsys):
    """What docs/how-to/dataset.md promises of one record in the catalogue."""
    from sigmaprop.experiments.cli import data as command

    def toy(options: data.DataOptions) -> data.Dataset:
        x = np.arange(8.0, dtype=np.float32).reshape(4, 2)
        splits = data.Splits(np.arange(2), np.arange(2, 3), np.arange(3, 4))
        return data.Dataset("toy", x, splits, (2,), None, noise_std=options.noise_std or 0.0)

    monkeypatch.setattr(mixtures, "toy", toy, raising=False)
    entry = Entry("mixture", (2,), (2, 1, 1), "four points", "mixtures.toy")
    monkeypatch.setitem(CATALOGUE, "toy", entry)
    made = data.load("toy", data.DataOptions(num=1, noise_std=0.5))
    assert (made.x.shape, len(made.splits.train), made.noise_std) == ((4, 2), 1, 0.5)
    assert "toy" in data.names()
    assert entry.origin == "made from a fixed seed"
    with pytest.raises(ValueError, match="resize=4 means nothing for toy"):
        data.load("toy", data.DataOptions(resize=4))
    with pytest.raises(ValueError, match="did you mean 'toy'"):
        data.load("tyo")
    command.show()
    assert "toy" in capsys.readouterr().out


def test_names_are_those_of_the_catalogue():
    assert data.names() == tuple(CATALOGUE)
    assert set(data.__all__) <= set(dir(data))
    with pytest.raises(AttributeError, match="has no attribute 'laod'"):
        _ = data.laod


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("rnig", {}, "unknown data set 'rnig'; did you mean 'ring'"),
        ("../ring", {}, "unknown data set"),
        ("ring", {"num": 0}, "num is 0; it must be at least 1"),
        ("digits", {"num": 1198}, "num is 1198, but digits has 1197 training examples; lower it"),
        ("ring", {"std": 0.0}, "std is 0.0; it must be positive and finite"),
        ("ring", {"noise_std": -0.1}, "noise_std is -0.1; it must be 0 or more"),
        ("ring", {"noise_std": float("nan")}, "noise_std is nan"),
        ("ring", {"split_seed": -1}, "split_seed is -1; it must be at least 0"),
        ("ring", {"dequantise": True}, "dequantise=True means nothing for ring; leave it out"),
        ("grid", {"resize": 16}, "resize=16 means nothing for grid"),
        ("ring", {"noise_std": 0.1, "noise_length": 2.0}, "noise_length=2.0 means nothing"),
        ("gaussian", {"dim": 3}, "dim=3 means nothing for gaussian"),
        ("digits", {"std": 0.1}, "std=0.1 means nothing for digits"),
        ("digits", {"resize": 0}, "resize is 0; it must be at least 1"),
        ("digits", {"logit": 0.5}, "logit is 0.5; it must be above 0 and below .5"),
        ("digits", {"logit": 0.1, "symmetric": True}, "two spaces for one image; choose one"),
        ("digits", {"noise_length": 2.0}, "noise_length=2.0 needs noise; set noise_std above 0"),
        ("digits", {"noise_std": 0.1, "noise_length": 0.0}, "noise_length is 0.0; it must be pos"),
        ("linear_gaussian", {"dim": 0, "latent_dim": 0}, "dim is 0; it must be at least 1"),
        ("linear_gaussian", {"latent_dim": 9}, "latent_dim is 9; it must be 0 to dim = 8"),
        ("linear_gaussian", {"noise_std": 0.0}, "gives linear_gaussian no density"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_sentence(name, options, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        data.load(name, data.DataOptions(**options))
    assert "\n" not in str(caught.value)
