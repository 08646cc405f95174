"""Sobol nets against SciPy, their net properties, and their scrambling."""

import chex
import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
from scipy.stats import qmc

from sigmaprop.noise import sobol

SEEDS = st.integers(0, 2**32 - 1)

scramble = jax.jit(sobol.scramble, static_argnums=(1, 2))
sobol_words = jax.jit(sobol.sobol_words, static_argnums=2)
normal_from_word = jax.jit(sobol.normal_from_word, static_argnums=1)


def plain(dim, num_points):
    """The net without scrambling."""
    directions = sobol.direction_numbers(dim, num_points.bit_length() - 1)
    return sobol.Scramble(jnp.asarray(directions), jnp.zeros(dim, jnp.uint32))


def words(net, num_points):
    return np.asarray(sobol_words(net, 0, num_points))


def gray(index):
    return index ^ (index >> 1)


@pytest.mark.parametrize(("dim", "num_points"), [(1, 1), (1, 512), (2, 64), (50, 256), (1000, 32)])
def test_directions_give_the_points_of_scipy(dim, num_points):
    found = words(plain(dim, num_points), num_points)[gray(np.arange(num_points))]
    expected = qmc.Sobol(dim, scramble=False, bits=32).random(num_points)
    np.testing.assert_array_equal(found * 2.0**-32, expected)


def test_directions_give_late_points_of_scipy():
    index = 2**20 - 5 + np.arange(5)
    net = plain(3, 2**20)
    found = [np.asarray(sobol_words(net, int(i), 1))[0] for i in gray(index)]
    expected = qmc.Sobol(3, scramble=False, bits=32).fast_forward(int(index[0])).random(5)
    np.testing.assert_array_equal(np.stack(found) * 2.0**-32, expected)


def intervals(word, num_bits):
    """The dyadic interval of length 2^-num_bits that holds each coordinate."""
    return word.astype(np.uint64) >> np.uint64(32 - num_bits)


def assert_each_interval_holds_one_point(found, num_bits):
    order = np.sort(intervals(found, num_bits), axis=0)
    np.testing.assert_array_equal(order, np.arange(2**num_bits)[:, None] + np.zeros_like(order))


def assert_each_box_of_the_first_two_holds_one_point(found, num_bits):
    for width in range(num_bits + 1):
        first = intervals(found[:, 0], width)
        second = intervals(found[:, 1], num_bits - width)
        box = (first << np.uint64(num_bits - width)) | second
        np.testing.assert_array_equal(np.sort(box), np.arange(2**num_bits))


@pytest.mark.parametrize("num_bits", [0, 1, 4, 8])
def test_plain_nets_are_balanced(num_bits):
    found = words(plain(50, 2**num_bits), 2**num_bits)
    assert_each_interval_holds_one_point(found, num_bits)
    assert_each_box_of_the_first_two_holds_one_point(found, num_bits)


@hypothesis.settings(max_examples=12, deadline=None)
@hypothesis.given(seed=SEEDS, num_bits=st.sampled_from((0, 3, 8)))
def test_scrambled_nets_are_balanced(seed, num_bits):
    net = scramble(jax.random.key(seed), 20, 2**num_bits)
    found = words(net, 2**num_bits)
    assert_each_interval_holds_one_point(found, num_bits)
    assert_each_box_of_the_first_two_holds_one_point(found, num_bits)


def random_words(seed, *shape):
    return np.random.default_rng(seed).integers(0, 2**32, shape, np.uint32)


def digits(word):
    """Binary digits, the most significant first, in a new last axis."""
    return (np.asarray(word)[..., None] >> np.arange(31, -1, -1, dtype=np.uint32)) & np.uint32(1)


def test_matrices_are_random_and_unit_lower_triangular():
    matrices = digits(sobol._lower_triangular(random_words(3, 200, 32)))
    np.testing.assert_array_equal(np.triu(matrices), np.eye(32)[None] + np.zeros_like(matrices))
    below = matrices[:, *np.tril_indices(32, -1)]
    # 1 mean of fair bits at 5 standard errors: a false alarm in 2 x 10^6 keys.
    assert abs(below.mean() - 0.5) < 5 * 0.5 / np.sqrt(below.size)


def test_the_scramble_multiplies_over_the_field_of_two_elements():
    matrices, vectors = np.split(random_words(4, 3, 32 + 7), [32], axis=1)
    expected = np.einsum("drc,dkc->dkr", digits(matrices), digits(vectors)) % 2
    np.testing.assert_array_equal(digits(jax.jit(sobol._times)(matrices, vectors)), expected)


@hypothesis.settings(max_examples=10, deadline=None)
@hypothesis.given(seed=SEEDS, first=st.integers(0, 63), count=st.sampled_from((3, 16)))
def test_chunks_equal_the_whole(seed, first, count):
    net = scramble(jax.random.key(seed), 20, 64)
    whole = words(net, 64)
    found = np.asarray(sobol_words(net, jnp.uint32(first), count))
    # Indices count modulo the size of the net.
    np.testing.assert_array_equal(found, whole[(first + np.arange(count)) % 64])


def test_scrambles_differ_between_keys_and_between_coordinates():
    keys = jax.random.split(jax.random.key(5), 50)
    nets = jax.jit(jax.vmap(lambda key: sobol.scramble(key, 4, 16)))(keys)
    assert np.unique(nets.shift).size == 200
    # v_0 of a plain net has the digit 1/2 alone; 31 others of each scrambled one are random.
    assert np.unique(nets.directions[:, :, 0]).size == 200


def test_one_program_of_many_keys_equals_single_nets():
    keys = jax.random.split(jax.random.key(6), 3)

    def one(key, first_point):
        return sobol.sobol_normals(sobol.scramble(key, 3, 32), first_point, 8)

    compiled = jax.jit(jax.vmap(chex.assert_max_traces(one, n=1)))
    for starts in ((0, 8, 24), (1, 0, 5)):
        found = compiled(keys, jnp.array(starts, jnp.uint32))
        for key, first, points in zip(keys, starts, found, strict=True):
            expected = normal_from_word(sobol_words(scramble(key, 3, 32), first, 8), jnp.float32)
            # Compiled, the inversion may differ in its last places.
            np.testing.assert_allclose(points, expected, rtol=8 * np.finfo(np.float32).eps)


def test_compiled_points_need_no_other_memory():
    net = scramble(jax.random.key(7), 50, 2**12)
    draw = jax.jit(lambda net, first: sobol.sobol_normals(net, first, 2**12))
    memory = draw.lower(net, jnp.uint32(0)).compile().memory_analysis()
    if memory is None:
        pytest.skip("this backend reports no memory")
    assert memory.temp_size_in_bytes <= memory.output_size_in_bytes


def extremes_and_others(num_bits):
    """Words of 32 bits whose high bits are the least, the largest and some between."""
    count = 2**12
    high = np.linspace(0, 2**num_bits - 1, count).astype(np.uint64)
    ends = np.arange(64, dtype=np.uint64)
    high = np.concatenate([high, ends, np.uint64(2**num_bits - 1) - ends])
    return high, (high << np.uint64(32 - num_bits)).astype(np.uint32)


@pytest.mark.parametrize(("dtype", "num_bits"), [(jnp.float32, 24), (jnp.float64, 32)])
def test_the_inversion_is_that_of_the_middle(dtype, num_bits):
    with jax.enable_x64(True):
        high, word = extremes_and_others(num_bits)
        found = np.asarray(normal_from_word(jnp.asarray(word), dtype), np.float64)
        mirrored = np.asarray(normal_from_word(jnp.asarray(~word), dtype), np.float64)
    # From the nearer end: a quantile near 1 would lose its digits.
    nearer = np.minimum(high, np.uint64(2**num_bits - 1) - high)
    expected = scipy.special.ndtri((nearer + 0.5) * 2.0**-num_bits)
    expected = np.where(high == nearer, expected, -expected)
    # erf_inv begins with the square of x = 2 u - 1, rounded by eps / 4 below 1: a move of x by
    # eps / 8, times dz/dx. Its logarithm and polynomial add roundings: 16 eps at most were seen.
    eps = np.finfo(dtype).eps
    slope = np.sqrt(np.pi / 2) * np.exp(expected**2 / 2)
    assert np.all(np.abs(found - expected) <= 32 * eps * np.abs(expected) + eps / 4 * slope)
    np.testing.assert_array_equal(mirrored, -found)


def test_other_dtypes_are_rounded_float32():
    word = random_words(8, 100)
    found = normal_from_word(word, jnp.bfloat16)
    expected = normal_from_word(word, jnp.float32).astype(jnp.bfloat16)
    assert found.dtype == jnp.bfloat16
    np.testing.assert_array_equal(found, expected)


def means(f, dim, num_points, num_keys, seed):
    """The mean of f over each of many nets."""

    @jax.jit
    @jax.vmap
    def one(key):
        eps = sobol.sobol_normals(sobol.scramble(key, dim, num_points), 0, num_points)
        return jax.vmap(f)(eps).mean()

    return np.asarray(one(jax.random.split(jax.random.key(seed), num_keys)), np.float64)


def test_means_over_a_net_are_unbiased_for_a_jump():
    # One test at 5 standard errors: a false alarm in 2 x 10^6 keys. The jump is at no dyadic
    # quantile, so that no net is exact.
    found = means(lambda eps: (eps.sum() > 0.7).astype(jnp.float32), 3, 8, 4096, seed=9)
    exact = scipy.special.ndtr(-0.7 / np.sqrt(3))
    sem = found.std(ddof=1) / np.sqrt(found.size)
    assert 0 < sem < np.sqrt(exact * (1 - exact) / (8 * 4096))
    assert abs(found.mean() - exact) < 5 * sem


def test_each_point_alone_is_standard_normal():
    # Means and second moments of 8 points x 3 coordinates: 48 tests at 5 standard errors, so a
    # right sampler fails for fewer than 3 keys in 10^5.
    keys = jax.random.split(jax.random.key(10), 10_000)
    draw = jax.jit(jax.vmap(lambda key: sobol.sobol_normals(sobol.scramble(key, 3, 8), 0, 8)))
    eps = np.asarray(draw(keys), np.float64)
    assert np.all(np.abs(eps.mean(axis=0)) < 5 / np.sqrt(len(keys)))
    assert np.all(np.abs((eps**2).mean(axis=0) - 1) < 5 * np.sqrt(2 / len(keys)))


def log_variance(f, dim, num_points, seed):
    """log2 of the variance of a mean over one net, and the variance of that logarithm."""
    found = means(f, dim, num_points, 256, seed)
    centred = found - found.mean()
    variance = (centred**2).mean()
    kurtosis = (centred**4).mean() / variance**2
    return np.log2(variance), (kurtosis - 1) / found.size / np.log(2) ** 2


def test_the_variance_of_a_smooth_mean_falls_faster_than_one_over_the_points():
    # Independent draws have the slope -1; smooth functions of a net -2 (a tail that grows) to -3.
    # The slope's standard error follows from the fourth moments of the means at the two ends.
    late, early = (
        log_variance(lambda eps: jnp.sin(eps[0] + 0.5) * jnp.cos(eps[1]), 2, num_points, seed)
        for num_points, seed in ((2**9, 12), (2**3, 13))
    )
    slope = (late[0] - early[0]) / 6
    assert slope + 5 * np.sqrt(late[1] + early[1]) / 6 < -1.5


@pytest.mark.parametrize("dim", [0, -1, 21202])
def test_dimensions_without_directions_are_refused(dim):
    with pytest.raises(ValueError, match=f"dim is {dim}; .* 1 to 21201"):
        sobol.scramble(jax.random.key(0), dim, 2)


@pytest.mark.parametrize("num_points", [0, -4, 3, 1000, 2**32, 16.0, True])
def test_other_sizes_than_powers_of_two_are_refused(num_points):
    with pytest.raises(ValueError, match=f"num_points is {num_points}; .* 2147483648"):
        sobol.scramble(jax.random.key(0), 2, num_points)


def test_the_largest_dimension_has_directions():
    directions = sobol.direction_numbers(21201, 3)
    assert directions.shape == (21201, 3)
    # The last digit of v_k is digit k: matrices of directions have a unit diagonal.
    last = directions & (~directions + np.uint32(1))
    np.testing.assert_array_equal(np.unique(last, axis=0), np.uint32([[2**31, 2**30, 2**29]]))


def test_cached_directions_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        sobol.direction_numbers(2, 4)[0, 0] = 1
