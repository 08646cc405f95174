"""The addressed stream is jax.random.normal, to the bit; orthogonal blocks are made from it."""

import chex
import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sigmaprop import noise
from sigmaprop.noise import rows as of_rows

EPS = np.finfo(np.float32).eps

normal_rows = jax.jit(noise.normal_rows, static_argnums=(2, 3))
orthogonal_blocks = jax.jit(
    noise.orthogonal_blocks, static_argnums=(2, 3), static_argnames="radius"
)


@hypothesis.settings(max_examples=20, deadline=None)
@hypothesis.given(
    seed=st.integers(0, 2**32 - 1), first=st.integers(0, 37), dim=st.sampled_from((1, 67))
)
def test_rows_equal_those_of_the_full_draw(seed, first, dim):
    rows, count = 40, 3
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
    high, low = of_rows._wide_product(jnp.uint32(row), dim)
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
    expected = of_rows._normal_from_bits(first ^ second)
    found = noise.normal_rows(key, jnp.uint32(2**31), 2, 3)
    np.testing.assert_array_equal(np.asarray(found).ravel(), np.asarray(expected))


def test_another_generator_is_refused():
    with pytest.raises(ValueError, match="rbg"):
        noise.normal_rows(jax.random.key(0, impl="rbg"), 0, 2, 2)


def test_unknown_noise_names_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'antithetic'"):
        noise.check_name("antitetic")


def test_every_scheme_is_known():
    for name in ("iid", "antithetic", "orthogonal", "sobol"):
        noise.check_name(name)


def rounding(dim):
    """A bound on |Q^T Q - I|: dim reflections, each a product of length dim. Few are that bad."""
    return 4 * dim * EPS


@hypothesis.settings(max_examples=10, deadline=None)
@hypothesis.given(
    seed=st.integers(0, 2**32 - 1),
    dim=st.sampled_from((1, 5, 32)),
    radius=st.sampled_from(noise.RADII),
)
def test_rows_of_a_block_are_orthogonal_and_have_their_lengths(seed, dim, radius):
    key = jax.random.key(seed)
    block = np.asarray(orthogonal_blocks(key, 1, 1, dim, radius=radius)[0], np.float64)
    own = np.asarray(normal_rows(key, dim, dim, dim), np.float64)
    lengths = np.linalg.norm(own, axis=1) if radius == "chi" else np.full(dim, np.sqrt(dim))
    gram = (block / lengths[:, None]) @ (block / lengths[:, None]).T
    np.testing.assert_allclose(gram, np.eye(dim), rtol=0, atol=rounding(dim))


def test_directions_are_those_of_gram_schmidt():
    key, dim = jax.random.key(11), 6
    block = orthogonal_blocks(key, 0, 1, dim)[0]
    rows = np.asarray(normal_rows(key, 0, dim, dim), np.float64)
    expected = np.zeros((dim, dim))
    for i, row in enumerate(rows):
        rest = row - expected[:i].T @ (expected[:i] @ row)
        expected[i] = rest / np.linalg.norm(rest)
    expected *= np.linalg.norm(rows, axis=1)[:, None]
    # Gram-Schmidt magnifies a relative error of the rows by at most their condition number.
    atol = np.linalg.cond(rows) * rounding(dim) * np.linalg.norm(rows, axis=1).max()
    np.testing.assert_allclose(block, expected, rtol=0, atol=atol)


def test_directions_do_not_depend_on_lengths():
    rows = jax.random.normal(jax.random.key(12), (5, 5))
    lengths = jnp.array([1e-3, 10.0, 1.0, 1e3, 0.1])[:, None]
    atol = np.linalg.cond(rows) * rounding(5)
    np.testing.assert_allclose(
        of_rows._gram_schmidt(lengths * rows), of_rows._gram_schmidt(rows), rtol=0, atol=atol
    )


def test_in_one_dimension_orthogonal_rows_are_the_rows():
    key = jax.random.key(13)
    found = orthogonal_blocks(key, 2, 8, 1).ravel()
    np.testing.assert_allclose(found, normal_rows(key, 2, 8, 1).ravel(), rtol=2 * EPS)


def assert_blocks_equal(found, key, first, dim):
    """The blocks of a full draw; compiled, their rows may differ in the last place."""
    expected = orthogonal_blocks(key, 0, 8, dim)[first : first + len(found)]
    rows = normal_rows(key, 0, 8 * dim, dim).reshape(8, dim, dim)
    atol = np.linalg.cond(rows).max() * rounding(dim) * np.abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=0, atol=atol)


@hypothesis.settings(max_examples=8, deadline=None)
@hypothesis.given(
    seed=st.integers(0, 2**32 - 1), first=st.integers(0, 5), count=st.sampled_from((1, 3))
)
def test_blocks_equal_those_of_the_full_draw(seed, first, count):
    key = jax.random.key(seed)
    assert_blocks_equal(orthogonal_blocks(key, jnp.uint32(first), count, 3), key, first, 3)


def test_blocks_are_addressable_under_vmap_in_one_program():
    keys = jax.random.split(jax.random.key(2), 3)

    def one(key, block):
        return noise.orthogonal_blocks(key, block, 2, 3)

    part = jax.jit(jax.vmap(chex.assert_max_traces(one, n=1)))
    for starts in ((0, 1, 5), (2, 0, 3)):
        found = part(keys, jnp.array(starts, jnp.uint32))
        for key, start, blocks in zip(keys, starts, found, strict=True):
            assert_blocks_equal(blocks, key, start, 3)


def test_each_orthogonal_row_is_standard_normal():
    # 4 moments of 9 entries, 9 products of two squares and 3 fourth powers of lengths: 48 tests
    # at 5 standard errors, so a right sampler fails for fewer than 3 keys in 10^5.
    num_blocks, dim = 20_000, 3
    blocks = orthogonal_blocks(jax.random.key(14), 0, num_blocks, dim)
    eps = np.asarray(blocks, np.float64)
    double_factorial = (1, 0, 1, 0, 3, 0, 15, 0, 105)
    for power in (1, 2, 3, 4):
        exact = double_factorial[power]
        error = (eps**power).mean(axis=0) - exact
        sem = np.sqrt((double_factorial[2 * power] - exact**2) / num_blocks)
        assert np.all(np.abs(error) < 5 * sem), power
    # E eps_i^2 eps_j^2 = 1 needs the length to be chi, and not only the entries' own variance.
    products = eps**2 * np.roll(eps**2, 1, axis=2)
    assert np.all(np.abs(products.mean(axis=0) - 1) < 5 * np.sqrt(8 / num_blocks))
    # |eps|^2 is chi-squared: E |eps|^4 = 15 and E |eps|^8 = 3 x 5 x 7 x 9 in three dimensions.
    quartic = (eps**2).sum(axis=2) ** 2
    assert np.all(np.abs(quartic.mean(axis=0) - 15) < 5 * np.sqrt((945 - 225) / num_blocks))


def test_fixed_lengths_make_the_second_moments_of_a_block_exact():
    dim = 5
    (block,) = np.asarray(orthogonal_blocks(jax.random.key(15), 7, 1, dim, radius="fixed"))
    np.testing.assert_allclose(block.T @ block / dim, np.eye(dim), rtol=0, atol=rounding(dim))


def test_an_unknown_radius_names_the_nearest():
    with pytest.raises(ValueError, match="radius 'chii'; did you mean 'chi'"):
        orthogonal_blocks(jax.random.key(0), 0, 1, 2, radius="chii")


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ((0, 2.0, 2), "num_rows is 2.0; it must be a whole number"),
        ((0, 2, -1), "dim is -1; it must be at least 0"),
        ((2**32, 1, 2), "first_row is 4294967296; it must be 0 to 4294967295"),
        ((0, 2**16, 2**16), "num_rows x dim is 4294967296; "),
    ],
)
def test_rows_that_cannot_be_counted_are_refused(counts, words):
    # Index 2^32 of a chunk would have the noise of index 0.
    with pytest.raises(ValueError, match=words):
        noise.normal_rows(jax.random.key(0), *counts)


def test_a_block_that_cannot_be_counted_is_refused():
    with pytest.raises(ValueError, match="first_block is 2147483648; it must be 0 to 2147483647"):
        noise.orthogonal_blocks(jax.random.key(0), 2**31, 1, 2)
