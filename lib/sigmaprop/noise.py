"""Standard normal draws addressed by their row, so that a stream need never be stored.

``normal_rows(key, first_row, num_rows, dim)`` returns rows ``first_row ... first_row + num_rows``
of ``jax.random.normal(key, (N, dim))``, from the same random bits, for any N that contains them.
Chunking, or spreading the rows over devices, therefore cannot change the noise. (Uncompiled the
numbers are equal to the bit. Inside a larger program XLA may contract multiplications and
additions of the inversion, and on JAX 0.12 a few per cent of them differ in the last place.)

JAX's counter-based generator makes this possible: element i of a draw depends on the key and on i
alone. Its rounds are written out here because the loop that XLA makes of them runs over memory
once a round; unrolled, the whole draw fuses into the code that uses it.

Source: Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3"
(Threefry-2x32-20).
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, UInt32

from sigmaprop.names import unknown

NAMES = ("iid", "antithetic")
"""Noise schemes. antithetic: rows come in pairs eps, -eps."""

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = np.uint32(0x1BD11BDA)


def check_name(name: str) -> None:
    """Raises ValueError, naming the nearest scheme, if ``name`` is no noise scheme."""
    if name not in NAMES:
        raise unknown("noise", name, NAMES)


def normal_rows(
    key: Key[Array, ""], first_row: UInt32[Array, ""] | int, num_rows: int, dim: int
) -> Float[Array, "num_rows dim"]:
    """Rows of the float32 matrix ``jax.random.normal(key, (N, dim))`` without the others.

    Args:
        key: a typed threefry key.
        first_row: index of the first row, below 2^32; may be traced.
        num_rows: how many rows.
        dim: length of a row.

    Returns:
        [num_rows, dim] float32, the same rows of the full draw.

    Raises:
        ValueError: the key belongs to another generator, whose elements are not addressable.
    """
    if (impl := str(jax.random.key_impl(key))) != "threefry2x32":
        raise ValueError(
            f"key has the generator {impl!r}; use jax.random.key(seed, impl='threefry2x32')"
        )
    key_high, key_low = jax.random.key_data(key)
    index = jax.lax.iota(jnp.uint32, num_rows * dim).reshape(num_rows, dim)
    start_high, start_low = _wide_product(jnp.asarray(first_row, jnp.uint32), dim)
    low = start_low + index
    high = start_high + (low < start_low).astype(jnp.uint32)
    word_high, word_low = threefry_2x32(key_high, key_low, high, low)
    return _normal_from_bits(word_high ^ word_low)


def threefry_2x32(key_high: Array, key_low: Array, high: Array, low: Array) -> tuple[Array, Array]:
    """Threefry-2x32 with 20 rounds: two uint32 words for each counter (high, low)."""
    keys = (key_high, key_low, key_high ^ key_low ^ _PARITY)
    high, low = high + keys[0], low + keys[1]
    for block in range(5):
        for rotation in _ROTATIONS[block % 2]:
            high = high + low
            low = (low << np.uint32(rotation)) | (low >> np.uint32(32 - rotation))
            low = high ^ low
        high = high + keys[(block + 1) % 3]
        low = low + keys[(block + 2) % 3] + np.uint32(block + 1)
    return high, low


def _wide_product(row: Array, dim: int) -> tuple[Array, Array]:
    """The 64-bit product row * dim as two uint32 words, for rows x dim beyond 2^32."""
    half = np.uint32(0xFFFF)
    dim_low, dim_high = np.uint32(dim & 0xFFFF), np.uint32(dim >> 16)
    row_low, row_high = row & half, row >> np.uint32(16)
    low_low, cross_a, cross_b = row_low * dim_low, row_low * dim_high, row_high * dim_low
    carry = (low_low >> np.uint32(16)) + (cross_a & half) + (cross_b & half)
    high = row_high * dim_high + (cross_a >> np.uint32(16)) + (cross_b >> np.uint32(16))
    return high + (carry >> np.uint32(16)), row * np.uint32(dim)


def _normal_from_bits(bits: Array) -> Array:
    """Standard normals by inversion, from the 23 high bits of each word, as JAX does it."""
    unit = jax.lax.bitcast_convert_type((bits >> np.uint32(9)) | np.uint32(0x3F800000), jnp.float32)
    lowest = np.nextafter(np.float32(-1.0), np.float32(0.0))
    uniform = jnp.maximum(lowest, (unit - np.float32(1.0)) * (np.float32(1.0) - lowest) + lowest)
    return np.float32(np.sqrt(2.0)) * jax.lax.erf_inv(uniform)
