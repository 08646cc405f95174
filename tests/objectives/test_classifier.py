"""The digit classifier, its data and the cache on disk."""

import functools
import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sigmaprop.data import cache, digits
from sigmaprop.objectives import classifier


@pytest.fixture(autouse=True)
def cache_dir(tmp_path, monkeypatch):
    monkeypatch.setenv("SIGMAPROP_CACHE", str(tmp_path))
    return tmp_path


@functools.cache
def trained():
    return classifier.train(digits.load())


def assert_same_bits(left, right):
    assert left.keys() == right.keys()
    for name in left:
        assert left[name].dtype == right[name].dtype
        np.testing.assert_array_equal(left[name], right[name])


def test_digits_are_split_without_loss_or_overlap():
    from sklearn.datasets import load_digits

    data = digits.load()
    assert [len(split.images) for split in data] == [1197, 300, 300]
    images = np.concatenate([split.images for split in data])
    assert images.dtype == np.float32
    assert (images.min(), images.max()) == (0.0, 1.0)
    pixels, labels = load_digits(return_X_y=True)
    rows = np.column_stack([images * 16, np.concatenate([split.labels for split in data])])
    expected = np.column_stack([pixels, labels])
    assert sorted(rows.tolist()) == sorted(expected.tolist())


def test_digits_are_the_same_twice():
    for first, second in zip(digits.load(), digits.load(), strict=True):
        assert_same_bits(first._asdict(), second._asdict())


def test_it_classifies_the_test_split():
    data, (params, accuracy) = digits.load(), trained()
    predicted = np.asarray(classifier.apply(params, data.test.images)).argmax(axis=-1)
    assert accuracy == np.mean(predicted == data.test.labels)
    assert accuracy >= 0.94


def test_training_has_the_same_bits_twice_and_inside_jit_under_x64():
    assert_same_bits(trained().params, classifier.train(digits.load()).params)
    inside = {}

    @jax.jit
    def program(x):
        inside.update(classifier.train(digits.load()).params)
        return x

    with jax.enable_x64(True):
        program(1.0)
    assert_same_bits(trained().params, inside)


@pytest.mark.slow
def test_another_seed_gives_another_network():
    settings = classifier.DEFAULT._replace(seed=1, num_steps=2)
    other = classifier.train(digits.load(), settings)
    assert np.any(other.params["w1"] != trained().params["w1"])


def test_cross_entropy_is_minus_the_log_of_the_softmax():
    params, x = trained().params, digits.load().test.images[:5]
    labels = jnp.arange(5)
    logits = np.asarray(classifier.apply(params, x), np.float64)
    expected = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(5), np.arange(5)]
    loss = classifier.cross_entropy(params, x, labels)
    bound = 100 * np.finfo(np.float32).eps * np.abs(logits).max()
    assert np.abs(loss - expected).max() < bound


def test_pretrained_is_stored_and_read_back(cache_dir, monkeypatch):
    first = classifier.pretrained()
    [path] = cache_dir.iterdir()
    assert path.suffix == ".npz"
    monkeypatch.setattr(classifier, "train", None)
    second = classifier.pretrained()
    assert_same_bits(first.params, second.params)
    assert_same_bits(first.params, trained().params)
    assert first.test_accuracy == second.test_accuracy == trained().test_accuracy


def test_the_name_in_the_cache_changes_with_settings_and_version(monkeypatch):
    name = classifier._cache_name()
    assert name == classifier._cache_name()
    with monkeypatch.context() as patch:
        patch.setattr(classifier, "DEFAULT", classifier.DEFAULT._replace(num_steps=201))
        assert classifier._cache_name() != name
    monkeypatch.setattr(jax, "__version__", "0.0.0")
    assert classifier._cache_name() != name


ARRAYS = {"a": np.arange(6.0).reshape(2, 3), "b": np.array(7, np.int32)}


def forbidden():
    raise AssertionError("made a second time")


def test_cache_directory_follows_the_environment(tmp_path, monkeypatch):
    assert cache.directory() == tmp_path
    monkeypatch.delenv("SIGMAPROP_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache.directory() == tmp_path / "xdg" / "sigmaprop"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache.directory() == tmp_path / "home" / ".cache" / "sigmaprop"


def test_arrays_are_made_once(cache_dir, monkeypatch):
    monkeypatch.setenv("SIGMAPROP_CACHE", str(cache_dir / "new" / "folder"))
    assert_same_bits(cache.load_or_make("x", lambda: ARRAYS), ARRAYS)
    assert_same_bits(cache.load_or_make("x", forbidden), ARRAYS)
    with np.load(cache_dir / "new" / "folder" / "x.npz") as file:
        assert_same_bits(dict(file), ARRAYS)


def test_every_truncated_and_every_altered_file_is_refused(cache_dir):
    cache.load_or_make("x", lambda: ARRAYS)
    path = cache_dir / "x.npz"
    intact = path.read_bytes()
    damaged = [intact[:length] for length in range(0, len(intact), 7)]
    damaged += [
        intact[:i] + bytes([intact[i] ^ 1]) + intact[i + 1 :] for i in range(0, len(intact), 7)
    ]
    for content in damaged:
        path.write_bytes(content)
        with pytest.raises(
            ValueError, match=r"x\.npz is truncated or altered; delete it: .* again"
        ):
            cache.load_or_make("x", forbidden)
    path.unlink()
    assert_same_bits(cache.load_or_make("x", lambda: ARRAYS), ARRAYS)


@pytest.mark.parametrize(
    "other",
    [
        {"a": ARRAYS["a"]},
        {**ARRAYS, "a": np.zeros((3, 2))},
        {**ARRAYS, "a": np.full((2, 3), np.nan)},
    ],
    ids=["one missing", "another shape", "not finite"],
)
def test_a_whole_file_with_other_arrays_is_refused(cache_dir, other):
    shapes = {"a": (2, 3), "b": ()}
    right = {"a": ARRAYS["a"], "b": np.array(7.0)}
    cache.load_or_make("x", lambda: right)
    assert_same_bits(cache.load_or_make("x", forbidden, shapes=shapes), right)
    (cache_dir / "x.npz").unlink()
    cache.load_or_make("x", lambda: {**other, **({"b": right["b"]} if "b" in other else {})})
    with pytest.raises(ValueError, match=r"x\.npz holds other arrays than it should; delete it"):
        cache.load_or_make("x", forbidden, shapes=shapes)


def test_a_file_appears_whole_by_a_rename_within_its_directory(cache_dir, monkeypatch):
    renames = []

    def replace(source, target):
        renames.append((os.path.dirname(source), target))
        assert not os.path.exists(target)
        os.rename(source, target)

    monkeypatch.setattr(cache.os, "replace", replace)
    cache.load_or_make("x", lambda: ARRAYS)
    assert renames == [(str(cache_dir), cache_dir / "x.npz")]
    assert [path.name for path in cache_dir.iterdir()] == ["x.npz"]


def test_a_failed_write_leaves_nothing_behind(cache_dir, monkeypatch):
    def replace(source, target):
        raise OSError("disk full")

    monkeypatch.setattr(cache.os, "replace", replace)
    with pytest.warns(UserWarning, match="disk full"):
        assert_same_bits(cache.load_or_make("x", lambda: ARRAYS), ARRAYS)
    assert list(cache_dir.iterdir()) == []


def test_without_a_writable_directory_the_result_is_used_and_one_warning_given(
    cache_dir, monkeypatch
):
    (cache_dir / "file").touch()
    monkeypatch.setenv("SIGMAPROP_CACHE", str(cache_dir / "file" / "folder"))
    with pytest.warns(UserWarning, match="cannot write the cache directory .*SIGMAPROP_CACHE"):
        assert_same_bits(cache.load_or_make("x", lambda: ARRAYS), ARRAYS)
    assert_same_bits(cache.load_or_make("x", lambda: ARRAYS), ARRAYS)
