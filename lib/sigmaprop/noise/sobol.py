"""Scrambled Sobol points as standard normals, each addressed by its index.

Point i of a net is ``shift ^ XOR of directions[:, j] over the set bits j of i``: the natural binary
order, not the Gray order in which generators step from a point to the next. Any chunk is therefore
made on its own, and chunking never changes a point.

One scramble is one draw: all its points hang together, and the error of a mean over them is the
spread of that mean over scrambles. Each point alone is uniform, so the mean is unbiased.

Source: Sobol 1967, "The distribution of points in a cube and the approximate evaluation of
integrals"; Joe, Kuo 2008, "Constructing Sobol sequences with better two-dimensional projections"
(the direction numbers, as SciPy has them); Matousek 1998, "On the L2-discrepancy for anchored
boxes" (the scrambling); Owen 2003, "Variance with alternative scramblings of digital nets".
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Integer, Key, UInt32

from sigmaprop.counts import index, shown, whole_number
from sigmaprop.noise.rows import COUNTED, check_key

_WORD = 32
_DIGITS = np.uint32(1) << np.arange(_WORD - 1, -1, -1, dtype=np.uint32)
"""Binary digits of a coordinate, the most significant first."""


class Scramble(NamedTuple):
    """A randomised Sobol net of 2^bits points, whose coordinates are 32-bit fractions.

    Attributes:
        directions: what each bit of an index adds to a point, over GF(2).
        shift: point 0.
    """

    directions: UInt32[Array, "dim bits"]
    shift: UInt32[Array, " dim"]


def scramble(key: Key[Array, ""], dim: int, num_points: int) -> Scramble:
    """Draws a randomised Sobol net: a linear matrix scramble and a digital shift.

    For each coordinate y = L x + s over GF(2), where x holds the binary digits of a Sobol point,
    L is a random lower-triangular matrix with a unit diagonal, and s is random. Every dyadic
    interval keeps its number of points; every point alone becomes uniform.

    Args:
        key: a typed key.
        dim: coordinates of a point, 1 to 21201.
        num_points: points of the whole net, a power of two up to 2^31. The host finds the
            directions in about num_points x dim nanoseconds, once for each pair of them.

    Returns:
        `Scramble` with directions [dim, log2 num_points] and shift [dim].

    Raises:
        ValueError: it is not one key, or dim or num_points is no whole number in its range.

    Source: Matousek 1998, "On the L2-discrepancy for anchored boxes". Owen 2003: the variance of
    a mean is the same as under nested uniform scrambling.
    """
    check_key(key)
    plain = jnp.asarray(direction_numbers(dim, _num_bits(num_points)))
    random = jax.random.bits(key, (dim, _WORD + 1), jnp.uint32)
    matrices, shift = _lower_triangular(random[:, :_WORD]), random[:, _WORD]
    return Scramble(_times(matrices, plain), shift)


def sobol_normals(
    scramble: Scramble,
    first_point: Integer[Array, ""] | int,
    num_points: int,
    dtype: DTypeLike = jnp.float32,
) -> Float[Array, "num_points dim"]:
    """Points ``first_point ... first_point + num_points`` of a net, as standard normals.

    Args:
        scramble: the net.
        first_point: index of the first point, below 2^32; may be traced. Indices count modulo the
            size of the net.
        num_points: how many points; any number.
        dtype: of the normals. float64 keeps 32 bits of a coordinate, all others 24.

    Returns:
        [num_points, dim]. Over scrambles each row is N(0, I) on a grid of 2^24 (2^32) quantiles
        in each coordinate, symmetric about 0, so |eps| < 5.5 (6.4). A net of more than 2^24
        points repeats coordinates in float32, all of them equally often.
    """
    return normal_from_word(sobol_words(scramble, first_point, num_points), dtype)


def sobol_words(
    scramble: Scramble, first_point: Integer[Array, ""] | int, num_points: int
) -> UInt32[Array, "num_points dim"]:
    """The points of `sobol_normals` as fractions of 2^32. Compiled, it needs no other memory."""
    count = jax.lax.iota(jnp.uint32, whole_number("num_points", num_points, 0, COUNTED))
    if not isinstance(first_point, jax.Array):
        first_point = whole_number("first_point", first_point, 0, COUNTED)
    points = (jnp.asarray(first_point, jnp.uint32) + count)[:, None]
    words = jnp.broadcast_to(scramble.shift, (num_points, scramble.shift.shape[0]))
    for bit in range(scramble.directions.shape[1]):
        all_or_nothing = -((points >> np.uint32(bit)) & np.uint32(1))
        words = words ^ (all_or_nothing & scramble.directions[:, bit])
    return words


def normal_from_word(word: UInt32[Array, "..."], dtype: DTypeLike) -> Float[Array, "..."]:
    """Standard normals by inversion at the middle of the interval that the high bits name.

    ``jax.random.normal`` takes 23 bits and an end of the interval; its mean is -3.3e-7, which
    independent draws never show and a net of 2^20 points would. The middles are exact in
    floating point, strictly inside (-1, 1), and symmetric about 0.
    """
    wide = jnp.dtype(dtype) == jnp.float64
    bits, exact = (32, jnp.float64) if wide else (24, jnp.float32)
    high = (word >> np.uint32(_WORD - bits)).astype(exact)
    middle = (high - (2 ** (bits - 1) - 0.5)) * 2.0 ** (1 - bits)
    return (np.sqrt(2.0).astype(exact) * jax.lax.erf_inv(middle)).astype(dtype)


@functools.cache
def direction_numbers(dim: int, bits: int) -> UInt32[np.ndarray, "dim bits"]:
    """The directions v_0 ... v_{bits - 1} of the Sobol sequence, from SciPy's points; read-only.

    SciPy's point i is the XOR of v_j over the set bits j of the Gray code i ^ (i >> 1), and the
    Gray code of 2^k has the bits k and k - 1.

    Args:
        dim: coordinates of a point.
        bits: how many directions, at most 32; 2^bits x dim steps of SciPy's generator.

    Returns:
        uint32 [dim, bits], fractions of 2^32.

    Raises:
        ValueError: dim is not 1 to 21201, for which SciPy has direction numbers.
    """
    from scipy.stats import qmc

    if not 1 <= (index(dim) or 0) <= qmc.Sobol.MAXDIM:
        raise ValueError(
            f"dim is {shown(dim)}; a Sobol point has 1 to {qmc.Sobol.MAXDIM} coordinates"
        )
    engine = qmc.Sobol(dim, scramble=False, bits=_WORD)
    directions = np.zeros((dim, bits), np.uint32)
    for k in range(bits):
        (point,) = engine.reset().fast_forward(2**k).random()
        directions[:, k] = (point * 2.0**_WORD).astype(np.uint32)
        if k > 0:
            directions[:, k] ^= directions[:, k - 1]
    directions.setflags(write=False)
    return directions


def _num_bits(num_points: int) -> int:
    """log2 of a power of two up to 2^31."""
    number = index(num_points)
    if number is None or not 1 <= number <= 2**31 or number & (number - 1):
        raise ValueError(
            f"num_points is {shown(num_points)}; a Sobol net has a power of two, at most "
            f"2^31 = {2**31}"
        )
    return number.bit_length() - 1


def _lower_triangular(bits: Array) -> Array:
    """Rows of unit lower-triangular matrices, a word a row: digit r and random ones above it."""
    more_significant = ~(_DIGITS - np.uint32(1)) ^ _DIGITS
    return (bits & more_significant) | _DIGITS


def _times(matrices: Array, vectors: Array) -> Array:
    """The products over GF(2) of matrices [dim, 32 rows] and vectors [dim, bits]."""
    parity = jax.lax.population_count(matrices[:, None, :] & vectors[:, :, None]) & np.uint32(1)
    return jnp.sum(parity * _DIGITS, axis=-1, dtype=jnp.uint32)
