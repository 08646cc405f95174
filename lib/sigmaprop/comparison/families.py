"""The Gaussians that comparisons use: one of each family around a point, at a given sigma."""

import jax.numpy as jnp
import numpy as np

from sigmaprop.gaussians import Diagonal, Full, Gaussian, Isotropic, LowRank
from sigmaprop.names import unknown

FAMILIES = ("isotropic", "diagonal", "full", "low_rank")
CORRELATION = 0.5


def make_gaussian(
    family: str, mean: np.ndarray, sigma: float, *, rank: int = 2, dtype: str = "float32"
) -> Gaussian:
    """The standard Gaussian of a family; its average variance is sigma^2.

    Args:
        family: "isotropic"; "diagonal": scales from sigma/2 to 2 sigma on a logarithmic grid, then
            normalised; "full": these scales with the correlation 0.5^|i-j|; "low_rank": half of
            the variance from ``rank`` random directions of fixed seed.
        mean: [D].
        sigma: root mean square standard deviation of the coordinates, > 0, in units of x.
        rank: R of "low_rank", 1 to D.
        dtype: of all parts.

    Raises:
        ValueError: an unknown family (the nearest is named), or a rank out of range.
    """
    if family not in FAMILIES:
        raise unknown("Gaussian", family, FAMILIES)
    mean_array, dim = jnp.asarray(mean, dtype), len(mean)
    if family == "isotropic":
        return Isotropic(mean_array, jnp.asarray(sigma, dtype))
    scales = np.geomspace(0.5, 2.0, dim) if dim > 1 else np.ones(1)
    scales *= sigma / np.sqrt(np.mean(scales**2))
    if family == "diagonal":
        return Diagonal(mean_array, jnp.asarray(scales, dtype))
    if family == "full":
        index = np.arange(dim)
        correlation = CORRELATION ** np.abs(index[:, None] - index)
        root = np.linalg.cholesky(scales[:, None] * correlation * scales)
        return Full(mean_array, jnp.asarray(root, dtype))
    if not 1 <= rank <= dim:
        raise ValueError(f"rank is {rank}; it must lie between 1 and the dimension {dim}")
    factor = np.random.default_rng(0).standard_normal((dim, rank))
    factor *= sigma / np.sqrt(2.0 * np.mean(np.sum(factor**2, axis=1)))
    own = jnp.asarray(scales / np.sqrt(2.0), dtype)
    return LowRank(mean_array, own, jnp.asarray(factor, dtype))
