"""Coefficients fitted on one half of the draws and used on the other.

With X the terms and Z a control of expectation 0, the estimate from one half is
``mean(X) - c mean(Z)``, c from the other half: independent of it, so no bias, whatever c is. The
two halves are averaged. X has the control's plain coefficient already; c is what to add to it.

Source: Avramidis, Wilson 1993, "A splitting scheme for control variates".
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

from sigmaprop.estimators import moments
from sigmaprop.estimators.moments import Moments


class Fold(NamedTuple):
    """What one half of the draws shows: moments of each coordinate.

    Attributes:
        rows: draws in it.
        gradient, control: means.
        gradient_variance, control_variance, covariance: of one draw.
    """

    rows: Array
    gradient: Any
    control: Any
    gradient_variance: Any
    control_variance: Any
    covariance: Any


class _Rows(NamedTuple):
    """The covariance comes from the variance of the sum: one kind of moment serves all."""

    gradient: Any
    control: Any
    both: Any


def fold_rows(gradient: Any, control: Any) -> Any:
    """The rows whose moments a `Fold` is made of."""
    return _Rows(gradient, control, jax.tree.map(jnp.add, gradient, control))


def fold_moments(rows: Any, index: Array, valid: Bool[Array, " B"]) -> Moments:
    """Moments of even and odd draws, stacked."""
    halves = jnp.stack([valid & (index % 2 == 0), valid & (index % 2 == 1)])
    return jax.vmap(lambda mask: moments.from_rows(rows, mask))(halves)


def folds(stacked: Moments) -> Fold:
    """Both halves, stacked."""
    variance = jax.vmap(moments.variance)(stacked)
    covariance = jax.tree.map(
        lambda both, x, z: 0.5 * (both - x - z), variance.both, variance.gradient, variance.control
    )
    return Fold(
        moments.num_rows(stacked),
        stacked.mean.gradient,
        stacked.mean.control,
        variance.gradient,
        variance.control,
        covariance,
    )


def coefficient(fold: Fold) -> Any:
    """The coefficient of each coordinate that would have made the half's variance least.

    Where the correlation rho is not significant (rows x rho^2 <= 4) it is 0: a coefficient fitted
    to noise would only add some. So it is where the covariance is but the rounding of the variances
    whose difference it is, as that of a control which is 0.
    """

    def one(covariance: Array, variance: Array, control_variance: Array) -> Array:
        rounding = 16.0 * jnp.finfo(covariance.dtype).eps * (variance + control_variance)
        correlated = fold.rows * covariance**2 > 4.0 * variance * control_variance
        significant = correlated & (control_variance > 0)
        significant &= jnp.abs(covariance) > rounding
        safe = jnp.where(significant, control_variance, 1.0)
        return jnp.where(significant, covariance / safe, 0.0)

    return jax.tree.map(one, fold.covariance, fold.gradient_variance, fold.control_variance)


def cross_fitted(both: Fold, coefficients: Any) -> tuple[Any, Any]:
    """(estimate, variance of one draw) when each half uses the other's coefficient.

    Args:
        both: the halves, stacked.
        coefficients: fitted on each half, stacked; leaves that broadcast against the gradient's.
    """
    swapped = jax.tree.map(lambda leaf: leaf[::-1], coefficients)
    share = both.rows / jnp.sum(both.rows)

    def weighted(leaf: Array) -> Array:
        return jnp.tensordot(share, leaf, axes=1)

    estimate = jax.tree.map(
        lambda x, z, c: weighted(x - _as(c, x) * z), both.gradient, both.control, swapped
    )
    variance = jax.tree.map(
        lambda x, z, xz, c: weighted(x - 2 * _as(c, x) * xz + _as(c, x) ** 2 * z),
        both.gradient_variance,
        both.control_variance,
        both.covariance,
        swapped,
    )
    return estimate, variance


def _as(coefficient: Array, like: Array) -> Array:
    """With trailing axes, so that it broadcasts."""
    return coefficient.reshape(coefficient.shape + (1,) * (like.ndim - coefficient.ndim))
