"""Streaming moments against NumPy, for any way of cutting the rows."""

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sigmaprop.estimators import moments


@hypothesis.settings(max_examples=2, deadline=None)
@hypothesis.given(
    cuts=st.lists(st.integers(1, 30), min_size=1, max_size=6), offset=st.sampled_from([0.0, 1e4])
)
def test_merging_equals_all_at_once(cuts, offset):
    rows = np.random.default_rng(sum(cuts)).normal(size=(sum(cuts), 3)) + offset
    with jax.enable_x64(True):
        total = moments.empty_like_rows(lambda: {"x": jnp.asarray(rows)})
        for part in np.split(rows, np.cumsum(cuts)[:-1]):
            padded = np.concatenate([part, np.full((2, 3), np.nan)])
            valid = jnp.arange(len(padded)) < len(part)
            total = moments.merge(total, moments.from_rows({"x": jnp.asarray(padded)}, valid))
        # Rounding of sums of squares about the mean: a few n eps relative, eps |mean| absolute.
        tolerance = 100 * len(rows) * np.finfo(np.float64).eps * max(1.0, offset)
        assert int(total.rows) == len(rows)
        np.testing.assert_allclose(total.mean["x"], rows.mean(axis=0), rtol=tolerance)
        if len(rows) > 1:
            expected = rows.var(axis=0, ddof=1)
            found = moments.variance(total)["x"]
            np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


def test_one_row_has_no_variance():
    one = moments.from_rows(jnp.ones((1, 2)), jnp.ones(1, bool))
    assert np.all(np.isnan(moments.variance(one)))


def test_counts_are_exact_beyond_what_a_float32_counts_to():
    # A float32 near 2^30 goes in steps of 64: 13,107 more would be counted as 13,120 each time.
    at = jnp.zeros(2, jnp.float32)
    total = moments.Moments(jnp.uint32(2**30), at, at)
    more = moments.from_rows(jnp.zeros((13_107, 2), jnp.float32), jnp.ones(13_107, bool))
    for _ in range(3):
        total = moments.merge(total, more)
    assert int(total.rows) == 2**30 + 3 * 13_107


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_rows_of_few_bits_are_counted_and_summed_in_float32(dtype):
    # 2^17 rows overflow a float16's count and its sum of halves; a bfloat16 counts to 256.
    rows = jnp.tile(jnp.array([[0.5], [1.5]], dtype), (2**16, 1))
    found = moments.from_rows(rows, jnp.ones(len(rows), bool))
    assert int(found.rows) == len(rows)
    assert float(found.mean[0]) == 1.0
    assert float(found.squares[0]) == 0.25 * len(rows)
    assert moments.masked_sum(rows, jnp.ones(len(rows), bool)).dtype == jnp.float32
