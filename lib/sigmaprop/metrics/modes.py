"""How a sample covers a known mixture of Gaussians of equal weight and equal std.

The high-quality share alone rewards too small a sigma: the true mixture scores 98.89% in two
dimensions, a sample collapsed onto the means 100%. So does the log density of the samples under
the mixture: 4.29 nats for the ring of std .01 itself, 5.04 for half its std, 5.29 for its means.
The variance within a mode and that log density are right where they equal the truth's own value
(`ideal`), not where they are largest or smallest.
"""

import functools
import math
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

RADIUS = 3.0
"""A sample is of high quality within so many std of the nearest mean."""
_NODES = 40
"""Of the quadrature, a dimension."""


class ModeCoverage(NamedTuple):
    """What `coverage` measures; every leaf has the shape [].

    Attributes:
        num_modes: modes with at least one sample of high quality.
        high_quality: share of the samples within `RADIUS` std of the nearest mean.
        reverse_kl: KL(q || uniform) in nats, q the shares of the modes among samples of high
            quality; log K where there is one mode. Of the true mixture it is about (K - 1) / 2N.
        variance_ratio: mean squared distance of the samples of high quality to the nearest mean,
            over D std^2. The cut at `RADIUS` lowers it: see `expected_variance_ratio`.
        log_likelihood: mean log density of the samples under the mixture, in nats; of samples
            that are too close to the means it is too large, see `expected_log_likelihood`.
    """

    num_modes: Int[Array, ""]
    high_quality: Float[Array, ""]
    reverse_kl: Float[Array, ""]
    variance_ratio: Float[Array, ""]
    log_likelihood: Float[Array, ""]


def coverage(
    x: Float[Array, "N D"],
    means: Float[Array, "K D"],
    std: Float[Array, ""] | float,
    *,
    chunk: int = 1024,
) -> ModeCoverage:
    """Modes hit, high-quality share and what goes with them, of a sample of a mixture.

    Args:
        x: samples; N = 2,500 is customary, and num_modes grows with N.
        means: of the mixture's components, which have equal weight.
        std: of the components, in units of x, > 0.
        chunk: samples at a time; memory grows as chunk x K x D.

    Returns:
        See `ModeCoverage`. Without any sample of high quality reverse_kl and variance_ratio are
        NaN. A sample that is not finite is not of high quality and makes log_likelihood so.

    Source: Lin, Khetan, Fanti, Oh 2018, "PacGAN", section 4, for the first three.
    """
    chex.assert_rank([x, means], 2)
    chex.assert_equal(x.shape[1], means.shape[1])
    num_modes, dim = means.shape
    std = jnp.asarray(std, x.dtype)

    def distances(point: Array) -> tuple[Array, Array, Array]:
        squares = jnp.sum(((point - means) / std) ** 2, axis=-1)
        mode = jnp.argmin(squares)
        return mode, squares[mode], jax.nn.logsumexp(-squares / 2)

    mode, squares, log_sum = jax.lax.map(distances, x, batch_size=chunk)
    good = squares <= RADIUS**2
    counts = jnp.zeros(num_modes, jnp.int32).at[mode].add(good)
    total = jnp.sum(counts)
    constant = math.log(num_modes) + dim * (math.log(2 * math.pi) / 2 + jnp.log(std))
    return ModeCoverage(
        jnp.sum(counts > 0),
        jnp.mean(good, dtype=x.dtype),
        _kl_to_uniform(counts),
        jnp.sum(jnp.where(good, squares, 0)) / (total * dim),
        jnp.mean(log_sum) - constant,
    )


def expected_high_quality(dim: int, radius: float = RADIUS) -> float:
    """The high-quality share of the true, well separated mixture: P(chi2_D <= radius^2).

    1 - exp(-9/2) = 98.89% in two dimensions, but 97.07% in three and 0.002% in 32.
    """
    from scipy.stats import chi2

    return float(chi2.cdf(radius**2, dim))


def expected_variance_ratio(dim: int, radius: float = RADIUS) -> float:
    """The variance ratio of the true, well separated mixture: below 1, for the tails are cut.

    E[chi2_D | chi2_D <= radius^2] / D = P(chi2_{D+2} <= radius^2) / P(chi2_D <= radius^2), which
    is 1 - (9/2) exp(-9/2) / (1 - exp(-9/2)) = 0.9494 in two dimensions.
    """
    from scipy.stats import chi2

    return float(chi2.cdf(radius**2, dim + 2) / chi2.cdf(radius**2, dim))


def expected_log_likelihood(means: Float[np.ndarray, "K D"], std: float) -> float:
    """The mean log density of the true mixture's samples under it, its negative entropy, in nats.

    -log K - D/2 log(2 pi e std^2) where the modes do not overlap, and what their overlap adds, by
    Gauss-Hermite quadrature around every mean.

    Raises:
        ValueError: more than 3 dimensions, where the nodes are too many.
    """
    means = np.asarray(means, np.float64)
    num_modes, dim = means.shape
    if num_modes == 1:
        return -dim * (math.log(2 * math.pi * math.e) / 2 + math.log(std))
    if dim > 3:
        raise ValueError(f"quadrature in {dim} dimensions is not feasible; at most 3")
    own, weight = np.polynomial.hermite_e.hermegauss(_NODES)
    eps = np.stack(np.meshgrid(*[own] * dim, indexing="ij"), axis=-1).reshape(-1, dim)
    weights = functools.reduce(np.multiply.outer, [weight / weight.sum()] * dim).ravel()
    apart = (means[:, None] - means) / std
    log_sums = np.array(
        [weights @ _log_sum(-np.sum((eps + shift[:, None]) ** 2, axis=-1) / 2) for shift in apart]
    )
    constant = math.log(num_modes) + dim * (math.log(2 * math.pi) / 2 + math.log(std))
    return float(log_sums.mean() - constant)


def ideal(means: Float[np.ndarray, "K D"], std: float) -> dict[str, float]:
    """What the true, well separated mixture itself scores, by the names of `ModeCoverage`."""
    num_modes, dim = means.shape
    return {
        "num_modes": float(num_modes),
        "high_quality": expected_high_quality(dim),
        "reverse_kl": 0.0,
        "variance_ratio": expected_variance_ratio(dim),
        "log_likelihood": expected_log_likelihood(means, std),
    }


def _log_sum(logs: Float[np.ndarray, "K N"]) -> Float[np.ndarray, " N"]:
    """log sum exp over the first axis."""
    largest = logs.max(axis=0)
    return largest + np.log(np.exp(logs - largest).sum(axis=0))


def _kl_to_uniform(counts: Int[Array, " K"]) -> Float[Array, ""]:
    """KL of the shares against equal ones; NaN where all counts are 0."""
    shares = counts / jnp.sum(counts)
    return jnp.sum(jax.scipy.special.xlogy(shares, shares * len(counts)))


def score(x: Float[Array, "N D"], held_out: Float[Array, "M D"], reference: Any) -> ModeCoverage:
    """`coverage` of the mixture of an `evaluation.Reference`; the held-out data do not enter."""
    del held_out
    return coverage(x, jnp.asarray(reference.mixture.means), reference.mixture.std)
