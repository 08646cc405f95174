"""One call: the Monte Carlo gradient of E f under a Gaussian, with its variance."""

from collections.abc import Callable
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from sigmaprop import estimators, moments
from sigmaprop.estimators.base import AtMean, Estimator, Evaluations, Terms, scaled
from sigmaprop.gaussian import Gaussian, GaussianT
from sigmaprop.noise import normal_rows

_CHUNK_ELEMENTS = 2**18
"""Numbers of noise drawn at a time when the caller leaves the chunk open: they fit a cache."""


class GradientEstimate(NamedTuple):
    """A gradient estimate and its uncertainty.

    Attributes:
        gradient: Gaussian-shaped estimate of dE f/d(mean, scale).
        variance: Gaussian-shaped, num_samples x Var(estimate); the standard error is
            sqrt(variance / num_samples). NaN where one draw cannot tell.
        num_samples: points x that were drawn.
    """

    gradient: Any
    variance: Any
    num_samples: int


def estimate(
    f: Callable[[Float[Array, " D"]], Float[Array, ""]],
    gaussian: GaussianT,
    key: Key[Array, ""],
    num_samples: int,
    *,
    estimator: str = "pathwise",
    noise: str = "iid",
    control_variate: str | None = None,
    chunk: int | None = None,
) -> GradientEstimate:
    """Estimates dE f(x)/d(mean, scale) for x ~ gaussian from ``num_samples`` draws.

    The noise is ``jax.random.normal(key, (num_samples, D))``, row by row (half as many rows for
    antithetic noise, each used with both signs); it is never stored whole. Works under jit and
    vmap; memory is bounded by the chunk.

    Args:
        f: maps x [D] to a scalar.
        gaussian: `Isotropic` or `Diagonal`, built positionally from mean [D] and scale.
        key: typed key from ``jax.random.key``.
        num_samples: points x, > 0; even for antithetic noise.
        estimator: a name from ``sigmaprop.estimators.names()``.
        noise: "iid" or "antithetic".
        control_variate: None or "leave_one_out".
        chunk: draws evaluated at a time, None for one that fits a cache. It bounds memory and
            never changes the noise.

    Returns:
        `GradientEstimate`. Unbiased but for "at_mean", whose bias is
        scale^2/2 |grad Laplacian f| + O(scale^4), and "pathwise" across jumps.

    Raises:
        ValueError: unknown or meaningless names, or counts out of range.

    Example:
        >>> import jax, jax.numpy as jnp, sigmaprop
        >>> gaussian = sigmaprop.Isotropic(jnp.array([0.5, -1.0]), jnp.array(0.1))
        >>> key = jax.random.key(0)
        >>> result = sigmaprop.estimate(lambda x: jnp.sum(x**2), gaussian, key, 1000)
        >>> bool(jnp.all(jnp.abs(result.gradient.mean - jnp.array([1.0, -2.0])) < 0.05))
        True

    Source: Mohamed, Rosca, Figurnov, Mnih 2020, "Monte Carlo gradient estimation in machine
    learning", sections 4 and 5.
    """
    chosen = estimators.get(estimator, noise, control_variate)
    num_draws = _num_draws(num_samples, chosen)
    chex.assert_rank(gaussian.mean, 1)
    dim = gaussian.mean.shape[0]
    chunk = min(num_draws, max(1, _CHUNK_ELEMENTS // dim) if chunk is None else chunk)
    if chunk < 1:
        raise ValueError(f"chunk is {chunk}; it must be at least 1")

    at_mean = AtMean(*jax.value_and_grad(f)(gaussian.mean))

    def rows_from(first_row: Array) -> _Rows:
        eps = normal_rows(key, first_row, chunk, dim).astype(gaussian.mean.dtype)
        return jax.vmap(lambda one: _row(f, gaussian, chosen, at_mean, one))(eps)

    def step(total: moments.Moments, first_row: Array) -> tuple[moments.Moments, None]:
        valid = jnp.arange(chunk) < num_draws - first_row.astype(jnp.int32)
        return moments.merge(total, moments.from_rows(rows_from(first_row), valid)), None

    first_rows = jnp.arange(0, num_draws, chunk, dtype=jnp.uint32)
    total, _ = jax.lax.scan(step, moments.empty_like_rows(rows_from, first_rows[0]), first_rows)
    estimated = chosen.combine(total.mean.terms, total.rows)
    gradient = jax.tree.map(jnp.add, estimated, chosen.origin(gaussian, at_mean))
    per_draw = _variance_per_draw(total, estimated)
    variance = jax.tree.map(lambda leaf: chosen.samples_per_draw * leaf, per_draw)
    return GradientEstimate(gradient, variance, num_samples)


class _Rows(NamedTuple):
    """The terms of each draw, and product x score where the variance of a baseline needs it."""

    terms: Terms
    cross: Any


def _num_draws(num_samples: int, estimator: Estimator) -> int:
    if num_samples < 1 or num_samples % estimator.samples_per_draw:
        allowed = "even" if estimator.samples_per_draw == 2 else "at least 1"
        raise ValueError(
            f"num_samples is {num_samples}; with noise {estimator.noise!r} it must be "
            f"positive and {allowed}"
        )
    return num_samples // estimator.samples_per_draw


def evaluate(
    f: Callable[[Array], Array], gaussian: Gaussian, eps: Array, needs: tuple[str, ...]
) -> Evaluations:
    """What estimators need to know of f at one draw, not yet measured from the mean."""
    found = dict.fromkeys(Evaluations._fields)
    for prefix, sign in (("", 1), ("mirror_", -1)):
        x = gaussian.from_noise(sign * eps)
        if f"{prefix}gradient" in needs:
            found[f"{prefix}value"], found[f"{prefix}gradient"] = jax.value_and_grad(f)(x)
        elif f"{prefix}value" in needs:
            found[f"{prefix}value"] = f(x)
    return Evaluations(**found)


def from_mean(evaluations: Evaluations, at_mean: AtMean) -> Evaluations:
    """The differences of evaluations to those at the mean."""
    value, gradient = at_mean
    origin = Evaluations(value, gradient, value, gradient)
    return Evaluations(
        *(None if seen is None else seen - at for seen, at in zip(evaluations, origin, strict=True))
    )


def _row(
    f: Callable[[Array], Array],
    gaussian: Gaussian,
    estimator: Estimator,
    at_mean: AtMean,
    eps: Array,
) -> _Rows:
    seen = from_mean(evaluate(f, gaussian, eps, estimator.needs), at_mean)
    terms = estimator.terms(gaussian, eps, seen, at_mean)
    if terms.score is None:
        return _Rows(terms, None)
    return _Rows(terms, jax.tree.map(jnp.multiply, terms.product, terms.score))


def _variance_per_draw(total: moments.Moments, estimated: Gaussian) -> Gaussian:
    """Number of draws x Var(estimate); a baseline adds its own share (a sample covariance has).

    For covariance c of value v and score s: Var((v - Ev) s) + (Var v Var s + c^2)/(N - 1).
    """
    variances = moments.variance(total).terms
    if total.mean.terms.score is None:
        return jax.tree.map(
            lambda v, e: jnp.where(jnp.isnan(e), e, v), variances.gradient, estimated
        )
    mean, baseline, cross = total.mean.terms, total.mean.terms.value, total.mean.cross
    fixed = jax.tree.map(
        lambda vp, ps, vs: vp - 2 * baseline * ps + baseline**2 * vs,
        variances.gradient,
        cross,
        variances.score,
    )
    covariance = jax.tree.map(jnp.subtract, mean.product, scaled(baseline, mean.score))
    return jax.tree.map(
        lambda v, c, vs: v + (variances.value * vs + c**2) / (total.rows - 1),
        fixed,
        covariance,
        variances.score,
    )
