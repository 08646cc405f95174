"""Feature likelihood divergence: how well generated samples explain data they were not fitted to.

Every generated sample is the centre of a Gaussian whose variance is fitted to TRAINING data. A copy
of a training row gets a variance near 0, and explains no held-out row: so copying costs, as do low
quality and lost modes.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from sigmaprop.metrics.pairs import CHUNK, check_samples, squared_distances

NUM_ITERATIONS = 50
"""Of the expectation maximisation."""
_LOWEST = 1e-12
"""Smallest variance of a sample, in units of the features' own."""
_FEWEST = 1e-30
"""A sample that explains less than this of a row keeps its variance."""
_PULL = 0.9
"""The background is centred at .1 of a row and .9 of the mean of all."""


class FeatureLikelihood(NamedTuple):
    """What `divergence` measures, in nats per 100 dimensions; every leaf has the shape [].

    Attributes:
        fld: 100 / D times what held-out rows lose in log density against the baseline, in which
            half of the training rows stand for generated samples. About 0 for real data, and
            positive for worse ones.
        fld_gap: 100 / D times the log density of held-out rows less that of training rows, about 0;
            far below 0 where training rows were copied.
    """

    fld: Float[Array, ""]
    fld_gap: Float[Array, ""]


def divergence(
    x: Float[Array, "N D"],
    train: Float[Array, "T D"],
    held_out: Float[Array, "M D"],
    *,
    num_iterations: int = NUM_ITERATIONS,
    chunk: int = CHUNK,
) -> FeatureLikelihood:
    """The feature likelihood divergence of generated samples, and its generalisation gap.

    Features are standardised by mean and std of the held-out rows; what is constant there is left
    out of the units. The variances maximise the log likelihood of the training rows, to which a
    broad background contributes while they are fitted, so that no sample has to reach for rows
    that none explains. The published code follows gradients by Adam; this is expectation
    maximisation of the same likelihood, which cannot overshoot.

    Args:
        x: features of generated samples, N >= 1.
        train: features of the rows that the generator was trained on, T >= 4.
        held_out: features of others, M >= 2.
        num_iterations: of the fit.
        chunk: training rows at a time; memory grows as chunk x N.

    Raises:
        ValueError: too few rows.

    Source: Jiralerspong, Bose, Gemp, Qin, Bachrach, Gidel 2023, "Feature likelihood divergence:
        evaluating the generalization of generative models using samples", equations 2 to 5,
        https://arxiv.org/abs/2302.04440.
    """
    check_samples("the feature likelihood", held_out, held_out)
    check_samples("the feature likelihood", train, train, 4)
    check_samples("the feature likelihood", x, held_out, 1)
    std = jnp.std(held_out, axis=0, ddof=1)
    shift, unit = jnp.mean(held_out, axis=0), jnp.where(std > 0, std, 1.0)
    x, train, held_out = ((rows - shift) / unit for rows in (x, train, held_out))
    variances = fit(x, train, num_iterations=num_iterations, chunk=chunk)
    on_test = _mean_log_density(held_out, x, variances, chunk)
    on_train = _mean_log_density(train, x, variances, chunk)
    half = min(len(x), len(train) // 2)
    centres, rest = train[:half], train[half:]
    baseline = fit(centres, rest, num_iterations=num_iterations, chunk=chunk)
    expected = _mean_log_density(held_out, centres, baseline, chunk)
    scale = 100 / x.shape[1]
    return FeatureLikelihood(scale * (expected - on_test), scale * (on_test - on_train))


def fit(
    centres: Float[Array, "N D"],
    rows: Float[Array, "T D"],
    *,
    num_iterations: int = NUM_ITERATIONS,
    chunk: int = CHUNK,
) -> Float[Array, " N"]:
    """The variance of each centre that maximises the likelihood of rows, in squared units.

    It starts at the squared distance to the nearest row, a dimension. [N]
    """
    dim = centres.shape[1]
    squares = jnp.sum(rows**2, axis=1)

    def closest(point: Array) -> Array:
        return jnp.min(squared_distances(point, rows, squares))

    start = jnp.maximum(jax.lax.map(closest, centres, batch_size=chunk) / dim, _LOWEST)
    far = jnp.sum((_PULL * (rows - jnp.mean(rows, axis=0))) ** 2, axis=1)

    def body(_: int, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        found = _expectation(centres, rows, far, *carry, chunk)
        new = found.distance / (dim * jnp.maximum(found.weight, _FEWEST))
        background = found.far / (dim * jnp.maximum(found.weight_far, _FEWEST))
        kept = jnp.where(found.weight > _FEWEST, new, carry[0])
        return jnp.maximum(kept, _LOWEST), jnp.maximum(background, _LOWEST)

    return jax.lax.fori_loop(0, num_iterations, body, (start, jnp.mean(far) / dim))[0]


class _Sums(NamedTuple):
    """Sums over rows of responsibilities and of their squared distances; the background's too."""

    weight: Array
    distance: Array
    weight_far: Array
    far: Array


def _expectation(
    centres: Array, rows: Array, far: Array, variances: Array, background: Array, chunk: int
) -> _Sums:
    """The sums of an iteration, a chunk of rows at a time."""
    num, dim = centres.shape
    squares = jnp.sum(centres**2, axis=1)
    short = -len(rows) % chunk
    shape = (-1, chunk)
    blocks = (
        jnp.pad(rows, ((0, short), (0, 0))).reshape(*shape, dim),
        jnp.pad(far, (0, short)).reshape(shape),
        jnp.pad(jnp.ones(len(rows), rows.dtype), (0, short)).reshape(shape),
    )

    def block(sums: _Sums, each: tuple[Array, Array, Array]) -> tuple[_Sums, None]:
        points, far, real = each
        distances = jax.vmap(lambda point: squared_distances(point, centres, squares))(points)
        logs = _log_density(distances, variances, dim) - jnp.log(num)
        log_far = _log_density(far, background, dim)
        total = jnp.logaddexp(jax.nn.logsumexp(logs, axis=1), log_far)
        share = real[:, None] * jnp.exp(logs - total[:, None])
        share_far = real * jnp.exp(log_far - total)
        more = _Sums(
            jnp.sum(share, axis=0),
            jnp.sum(share * distances, axis=0),
            jnp.sum(share_far),
            jnp.sum(share_far * far),
        )
        return jax.tree.map(jnp.add, sums, more), None

    nothing = jnp.zeros(num, rows.dtype)
    start = _Sums(nothing, nothing, jnp.zeros((), rows.dtype), jnp.zeros((), rows.dtype))
    return jax.lax.scan(block, start, blocks)[0]


def _mean_log_density(rows: Array, centres: Array, variances: Array, chunk: int) -> Array:
    """Mean log density of rows under the mixture, in nats. []"""
    num, dim = centres.shape
    squares = jnp.sum(centres**2, axis=1)

    def row(point: Array) -> Array:
        distances = squared_distances(point, centres, squares)
        return jax.nn.logsumexp(_log_density(distances, variances, dim))

    return jnp.mean(jax.lax.map(row, rows, batch_size=chunk)) - jnp.log(num)


def _log_density(squared_distance: Array, variance: Array, dim: int) -> Array:
    return -0.5 * (squared_distance / variance + dim * jnp.log(2 * math.pi * variance))


def score(x: Float[Array, "N D"], held_out: Float[Array, "M D"], reference: Any) -> Any:
    """`divergence` with the training rows of an `evaluation.Reference`."""
    return divergence(x, reference.train, held_out)
