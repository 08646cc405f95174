"""The addressed stream is jax.random.normal, to the bit."""

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sigmaprop import noise


@hypothesis.settings(max_examples=6, deadline=None)
@hypothesis.given(
    seed=st.integers(0, 2**32 - 1), rows=st.integers(1, 40), dim=st.integers(1, 70), data=st.data()
)
def test_rows_equal_those_of_the_full_draw(seed, rows, dim, data):
    first = data.draw(st.integers(0, rows - 1))
    count = data.draw(st.integers(1, rows - first))
    key = jax.random.key(seed)
    full = jax.random.normal(key, (rows, dim), jnp.float32)
    part = noise.normal_rows(key, first, count, dim)
    np.testing.assert_array_equal(np.asarray(part), np.asarray(full[first : first + count]))


def test_rows_are_addressable_inside_jit_and_vmap():
    keys = jax.random.split(jax.random.key(1), 3)
    part = jax.jit(jax.vmap(lambda key, row: noise.normal_rows(key, row, 4, 5)))
    found = part(keys, jnp.array([0, 2, 6], jnp.uint32))
    for key, row, rows in zip(keys, (0, 2, 6), found, strict=True):
        full = jax.random.normal(key, (10, 5), jnp.float32)
        np.testing.assert_array_equal(np.asarray(rows), np.asarray(full[row : row + 4]))


@hypothesis.settings(max_examples=20, deadline=None)
@hypothesis.given(row=st.integers(0, 2**32 - 1), dim=st.integers(1, 2**31 - 1))
def test_counters_are_exact_beyond_32_bits(row, dim):
    high, low = noise._wide_product(jnp.uint32(row), dim)
    assert (int(high) << 32) + int(low) == row * dim


def test_counters_carry_into_the_high_word():
    # Row 2^31 of 3 columns starts at counter 3 * 2^31, in the second high word: threefry itself
    # at these counters is the independent truth.
    key = jax.random.key(5)
    words = jax.random.key_data(key)
    index = np.arange(2**31 * 3, 2**31 * 3 + 6, dtype=np.uint64)
    high = jnp.asarray((index >> np.uint64(32)).astype(np.uint32))
    low = jnp.asarray((index & np.uint64(2**32 - 1)).astype(np.uint32))
    from jax.extend.random import threefry2x32_p

    first, second = threefry2x32_p.bind(words[0], words[1], high, low)
    expected = noise._normal_from_bits(first ^ second)
    found = noise.normal_rows(key, jnp.uint32(2**31), 2, 3)
    np.testing.assert_array_equal(np.asarray(found).ravel(), np.asarray(expected))


def test_another_generator_is_refused():
    with pytest.raises(ValueError, match="rbg"):
        noise.normal_rows(jax.random.key(0, impl="rbg"), 0, 2, 2)


def test_unknown_noise_names_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'antithetic'"):
        noise.check_name("antitetic")
