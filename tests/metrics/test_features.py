"""What metrics are measured in: a classifier of our own, and functions of the user's."""

import jax.numpy as jnp
import numpy as np
import pytest

from sigmaprop.metrics import features


def heaps(num=300):
    """Three classes in six dimensions, a std of .5 around the corners of a triangle."""
    rng = np.random.default_rng(0)
    labels = np.arange(num) % 3
    means = 3 * np.eye(3, 6)
    return (means[labels] + 0.5 * rng.normal(size=(num, 6))).astype(np.float32), labels.astype(
        np.int32
    )


SMALL = features.Recipe(num_hidden=16, num_features=5, num_steps=200, batch_size=64)
X, LABELS = heaps()
TRAIN, TEST = np.arange(200), np.arange(200, 300)


def test_the_classifier_learns_and_its_features_are_its_last_hidden_layer():
    found = features.classifier(X, LABELS, TRAIN, TEST, SMALL)
    assert found.record["test_accuracy"] > 0.95
    assert found.record["recipe"]["num_features"] == 5
    assert found.function is not None
    seen = found.function(jnp.asarray(X[TEST]))
    assert seen.shape == (100, 5)
    assert float(jnp.max(jnp.abs(seen))) <= 1


def test_recipe_and_hash_say_which_features_they_are():
    one, same = (features.classifier(X, LABELS, TRAIN, TEST, SMALL) for _ in range(2))
    assert one.record == same.record
    assert len(one.record["sha256"]) == 64
    other = features.classifier(X, LABELS, TRAIN, TEST, SMALL._replace(seed=1))
    assert other.record["sha256"] != one.record["sha256"]


def test_pixels_are_the_rows_themselves():
    assert features.get("pixels", X, None, TRAIN, TEST).function is None


def test_a_function_in_a_file(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("import jax.numpy as jnp\ndef sums(rows):\n    return rows[:, :2] * 2\n")
    found = features.get(f"{file}:sums", X, None, TRAIN, TEST)
    np.testing.assert_array_equal(found.function(jnp.asarray(X)), X[:, :2] * 2)
    assert len(found.record["sha256"]) == 64


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("return rows.sum()", "it gives float32 of shape \\(\\); it must give floating features"),
        ("return rows[:, :1].astype(int)", "int32 of shape"),
        ("return rows @ 3", "on rows \\[5, 6\\] it raises"),
    ],
)
def test_a_function_that_gives_no_features_is_refused(tmp_path, body, words):
    file = tmp_path / "mine.py"
    file.write_text(f"import jax.numpy as jnp\ndef sums(rows):\n    {body}\n")
    with pytest.raises(ValueError, match=words):
        features.get(f"{file}:sums", X, None, TRAIN, TEST)


def test_names_that_are_none_and_data_without_classes_are_refused():
    with pytest.raises(ValueError, match="unknown features 'pixel'; did you mean 'pixels'"):
        features.get("pixel", X, None, TRAIN, TEST)
    with pytest.raises(ValueError, match="features 'classifier' need a data set with classes"):
        features.get("classifier", X, None, TRAIN, TEST)
