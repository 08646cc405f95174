"""Intervals of single values, against what repeated samples show."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sigmaprop.metrics import METRICS, Metric, mmd
from sigmaprop.metrics.scoring import Reference
from sigmaprop.metrics.uncertainty import subsampled
from sigmaprop.statistics import Scale

KEY = jax.random.key(0)


def difference(x, held_out, reference):
    """Of the means: linear in both samples."""
    del reference
    return jnp.mean(x) - jnp.mean(held_out)


@pytest.fixture(autouse=True)
def toy(monkeypatch):
    record = Metric("toy", Scale("smaller"), "a toy", f"{__name__}:difference", "data")
    monkeypatch.setitem(METRICS, "difference", record)


def reference(rows):
    return Reference(rows, mmd.squared_bandwidths(rows), jax.random.key(1))


def test_of_a_difference_of_means_the_error_is_the_known_one():
    x, y = jax.random.normal(KEY, (200, 1)), jax.random.normal(jax.random.key(2), (300, 1))
    found = subsampled("difference", x, y, reference(y), KEY, num_halves=400)
    exact = float(jnp.sqrt(jnp.var(x, ddof=1) / 200 + jnp.var(y, ddof=1) / 300))
    # The standard deviation of 400 halves is known to 1 / sqrt(800); 4 of these.
    assert found.error == pytest.approx(exact, rel=4 / np.sqrt(800))
    assert found.value == pytest.approx(float(jnp.mean(x) - jnp.mean(y)))
    assert found.high - found.value == pytest.approx(1.966 * found.error, rel=1e-3)


@pytest.mark.parametrize(("name", "most"), [("mmd2", 1.5), ("energy", 1.5), ("frechet", 1.6)])
def test_the_error_is_that_of_repeated_samples(name, most):
    """N(0, I) against N(1, I) in 3 dimensions, 60 repeats: neither much too small nor too large."""
    keys = jax.random.split(jax.random.key(3), 60)
    context = reference(jax.random.normal(KEY, (200, 3)))
    found = []
    for key in keys:
        key_x, key_y, key_halves = jax.random.split(key, 3)
        x, y = 1 + jax.random.normal(key_x, (80, 3)), jax.random.normal(key_y, (80, 3))
        found.append(subsampled(name, x, y, context, key_halves, num_halves=30))
    values, errors = (np.array([getattr(one, k) for one in found]) for k in ("value", "error"))
    # The standard deviation of 60 values is known to 9%; 4 of these below.
    assert 1 - 4 * 0.09 < errors.mean() / values.std(ddof=1) < most


def test_few_rows_are_refused():
    with pytest.raises(ValueError, match="at least 16 rows on each side, not 8 and 20"):
        subsampled("difference", jnp.ones((8, 1)), jnp.ones((20, 1)), reference(
            jax.random.normal(KEY, (20, 1))), KEY)  # fmt: skip
