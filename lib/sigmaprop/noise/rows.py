"""Standard normal draws addressed by their row, so that a stream need never be stored.

``normal_rows(key, first_row, num_rows, dim)`` returns rows ``first_row ... first_row + num_rows``
of ``jax.random.normal(key, (N, dim))``, from the same random bits, for any N that contains them.
Chunking, or spreading the rows over devices, therefore cannot change the noise. (Uncompiled the
numbers are equal to the bit. Inside a larger program XLA may contract multiplications and
additions of the inversion, and on JAX 0.12 a few per cent of them differ in the last place.)

JAX's counter-based generator makes this possible: element i of a draw depends on the key and on i
alone. Its rounds are written out here because the loop that XLA makes of them runs over memory
once a round; unrolled, the whole draw fuses into the code that uses it.

``orthogonal_blocks`` turns these rows, block by block, into orthogonal ones. Sobol points are in
`sigmaprop.noise.sobol`.

Source: Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3"
(Threefry-2x32-20).
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Integer, Key

from sigmaprop.counts import shown, whole_number
from sigmaprop.names import Registry, unknown

SCHEMES = Registry(
    "noise",
    {
        "iid": "independent draws of eps",
        "antithetic": "pairs eps, -eps: odd parts of f cancel within a pair",
        "orthogonal": "blocks of K orthogonal rows, each of them exactly normal",
        "sobol": "scrambled Sobol nets; error bars from independent scrambles",
    },
)
"""The noise schemes, each in one line."""

NAMES = tuple(SCHEMES)
"""Names of the noise schemes."""

RADII = ("chi", "fixed")
"""Lengths of orthogonal rows: a Gaussian's own, or all sqrt(D)."""

COUNTED = 2**32 - 1
"""The last number of 32 bits: rows of noise, and so samples, are counted by such."""

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = np.uint32(0x1BD11BDA)


def check_name(name: str) -> None:
    """Raises ValueError, naming the nearest scheme, if ``name`` is no noise scheme."""
    SCHEMES.check(name)


def check_key(key: object) -> None:
    """Refuses what is not one key.

    The words of a batch of keys, or of a legacy key, would pass for those of one key, and the noise
    would be that of none.

    Raises:
        ValueError: it is no typed key, or a batch of keys.
    """
    remedy = "make one with jax.random.key(seed)"
    if not isinstance(key, jax.Array):
        raise ValueError(f"key is {shown(key)}; it must be a typed key: {remedy}")
    if not jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        raise ValueError(
            f"key is an array of {key.dtype} of shape {key.shape}; it must be a typed key: {remedy}"
        )
    if key.shape != ():
        raise ValueError(
            f"key has the shape {key.shape}; it must be one key: use jax.vmap over a batch of keys"
        )


def normal_rows(
    key: Key[Array, ""], first_row: Integer[Array, ""] | int, num_rows: int, dim: int
) -> Float[Array, "num_rows dim"]:
    """Rows of the float32 matrix ``jax.random.normal(key, (N, dim))`` without the others.

    Args:
        key: a typed threefry key.
        first_row: index of the first row, below 2^32; may be traced.
        num_rows: how many rows; num_rows x dim is below 2^32.
        dim: length of a row.

    Returns:
        [num_rows, dim] float32, the same rows of the full draw.

    Raises:
        ValueError: it is not one key, or the key belongs to another generator, whose elements are
            not addressable; or a count is no whole number in its range.
    """
    check_key(key)
    num_rows, dim = whole_number("num_rows", num_rows, 0), whole_number("dim", dim, 0)
    whole_number("num_rows x dim", num_rows * dim, 0, COUNTED)
    if not isinstance(first_row, jax.Array):
        first_row = whole_number("first_row", first_row, 0, COUNTED)
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


def orthogonal_blocks(
    key: Key[Array, ""],
    first_block: Integer[Array, ""] | int,
    num_blocks: int,
    dim: int,
    *,
    radius: str = "chi",
) -> Float[Array, "num_blocks dim dim"]:
    """Blocks of ``dim`` mutually orthogonal rows, made from `normal_rows`.

    Block b is made from the rows b dim ... (b + 1) dim of ``normal_rows``. Gram-Schmidt keeps
    their directions apart from their lengths: q_i depends on the directions alone, so
    eps_i = |row_i| q_i has a uniform direction and an independent length of law chi_dim. Each row
    is exactly N(0, I); the rows of a block depend on each other.

    Args:
        key: a typed threefry key.
        first_block: index of the first block; may be traced. Rows count below 2^32, so blocks
            below 2^32 / dim.
        num_blocks: how many blocks. Each takes O(dim^3) work.
        dim: length of a row, and rows in a block.
        radius: "chi" gives a row its own length back. "fixed" gives all rows the length
            sqrt(dim): the second moments of a block are then exactly I, but a row is NOT
            Gaussian (E|eps|^4 is dim^2, not dim^2 + 2 dim), which biases all beyond the second
            order in the scale. Only for small scales.

    Returns:
        [num_blocks, dim, dim] float32: blocks, rows, coordinates. A mean over rows of f(eps) is
        unbiased with "chi".

    Raises:
        ValueError: unknown radius, or as `normal_rows`.

    Source: Yu, Suresh, Choromanski, Holtmann-Rice, Kumar 2016, "Orthogonal random features";
    Choromanski, Rowland, Sindhwani, Turner, Weller 2018, "Structured evolution with compact
    architectures for scalable policy optimization".
    """
    if radius not in RADII:
        raise unknown("radius", radius, RADII)
    num_blocks, dim = whole_number("num_blocks", num_blocks, 0), whole_number("dim", dim, 1)
    if not isinstance(first_block, jax.Array):
        first_block = whole_number("first_block", first_block, 0, COUNTED // dim)
    first_row = jnp.asarray(first_block, jnp.uint32) * np.uint32(dim)
    rows = normal_rows(key, first_row, num_blocks * dim, dim).reshape(num_blocks, dim, dim)
    directions = _gram_schmidt(rows)
    if radius == "fixed":
        return np.float32(np.sqrt(dim)) * directions
    return jnp.linalg.norm(rows, axis=-1, keepdims=True) * directions


def _gram_schmidt(rows: Array) -> Array:
    """The orthonormal rows that Gram-Schmidt makes of the rows of each matrix, by Householder."""
    basis, triangle = jnp.linalg.qr(jnp.swapaxes(rows, -1, -2))
    # Gram-Schmidt leaves <q_i, row_i> > 0; Householder leaves the sign open.
    sign = jnp.where(jnp.diagonal(triangle, axis1=-2, axis2=-1) < 0, -1, 1)
    return jnp.swapaxes(basis * sign[..., None, :].astype(basis.dtype), -1, -2)


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
