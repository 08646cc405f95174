"""Streaming moments against NumPy, for any way of cutting the rows."""

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np

from sigmaprop import moments


@hypothesis.settings(max_examples=6, deadline=None)
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
