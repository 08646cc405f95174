"""Constants from fixed seeds, one for each name and purpose, and their use in the dtype of x."""

import math
import zlib

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array

KINK_DISTANCE = 0.05


def generator(name: str, purpose: str) -> np.random.Generator:
    """A fixed stream: the first draws of one dimension begin those of a larger one."""
    return np.random.default_rng(zlib.crc32(f"{name}/{purpose}".encode()))


def generic_point(name: str, dim: int, low: float = 0.3, high: float = 1.2) -> np.ndarray:
    """Coordinates of random sign and of magnitudes in [low, high], [D]."""
    magnitude = generator(name, "magnitude").uniform(low, high, dim)
    return magnitude * generator(name, "sign").choice([-1.0, 1.0], dim)


def direction(name: str, dim: int) -> np.ndarray:
    """A random unit vector, [D]."""
    normal = generator(name, "direction").standard_normal(dim)
    return normal / np.linalg.norm(normal)


def edge_point(dim: int) -> np.ndarray:
    """Coordinates at one distance from 0, of alternating sign, [D]."""
    return KINK_DISTANCE * (-1.0) ** np.arange(dim)


def cast(constant: ArrayLike, x: Array) -> Array:
    """A float64 constant in the dtype of x, so that nothing promotes."""
    return jnp.asarray(constant, x.dtype)


def dot(constant: np.ndarray, x: Array) -> Array:
    """A constant times x [D], in all bits of x's dtype: accelerators use fewer by default."""
    return jnp.dot(cast(constant, x), x, precision="highest")


def normal_cdf(x: Array) -> Array:
    """Phi, by erf: unlike jax.scipy.special.ndtr it accepts bfloat16."""
    return 0.5 + 0.5 * jax.lax.erf(x * math.sqrt(0.5))
