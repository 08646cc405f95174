"""From rows of noise to an estimate: evaluations, moments over units, and what is made of them."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from sigmaprop.estimators import fitting, moments
from sigmaprop.estimators.base import AtMean, Estimator, Function, Terms, evaluate, from_mean
from sigmaprop.estimators.mixed import Mixture, mixture
from sigmaprop.estimators.units import Layout
from sigmaprop.gaussians import Gaussian


class Row(NamedTuple):
    """What a unit shows: terms, product x score where a baseline needs it, f(x) - f(m)."""

    terms: Terms
    value: Any


class Average(NamedTuple):
    """An estimate less its origin, the variance of one unit, and E f less f(m)."""

    gradient: Any
    variance: Any
    value: Array
    mixture: Mixture | None = None


def evaluated(
    f: Function, gaussian: Gaussian, estimator: Estimator, at_mean: AtMean, noise: Array
) -> Row:
    """What an estimator makes of one row of noise."""
    noise = _stored(noise)
    if estimator.own_terms is not None:
        return Row(*_stored(estimator.own_terms(f, gaussian, noise, at_mean)))
    raw = _stored(evaluate(f, gaussian, noise, estimator.needs))
    evals = from_mean(raw, at_mean)
    value = evals.value if evals.mirror_value is None else 0.5 * (evals.value + evals.mirror_value)
    return Row(estimator.terms(gaussian, noise, evals, at_mean), value)


def _stored(tree: Any) -> Any:
    """The same numbers, kept in memory; else XLA computes them anew for everything that reads them.

    Its CPU compiler removes a barrier before it fuses, but keeps a choice that it cannot see
    through, as one that hangs on a barrier.
    """

    def chosen(tree: Any) -> Any:
        true = jax.lax.optimization_barrier(jnp.asarray(True))
        zeros = jax.tree.map(jnp.zeros_like, tree)
        return jax.lax.cond(true, lambda: tree, lambda: zeros)

    return jax.lax.platform_dependent(tree, cpu=chosen, default=jax.lax.optimization_barrier)


class _Products(NamedTuple):
    """What moments are taken of; the products of gradient, score, product for a baseline."""

    terms: Terms
    value: Array
    cross: Any = None


def average(units: Callable[[Array], Row], cut: Layout, chosen: Estimator) -> Average:
    """The average over all units, which ``units`` evaluates from the index of a first one on."""
    total = _moments(units, cut, chosen)
    if chosen.fit is not None:
        return _fitted(total, chosen, chosen.fit)
    estimated = chosen.combine(total.mean.terms, moments.num_rows(total))
    return Average(estimated, _variance_per_unit(total, estimated), total.mean.value)


def _moments(units: Callable[[Array], Row], cut: Layout, chosen: Estimator) -> moments.Moments:
    """Moments over all units; of even and odd units apart where a coefficient is fitted."""

    def rows_from(first: Array) -> Any:
        row = units(first)
        if chosen.fit is not None:
            return fitting.fold_rows(row.terms.gradient, row.terms.control), row.value
        if row.terms.score is None:
            return _Products(row.terms, row.value)
        g, s, p = row.terms.gradient, row.terms.score, row.terms.product
        cross = [jax.tree.map(jnp.multiply, *pair) for pair in ((g, s), (g, p), (s, p))]
        return _Products(row.terms, row.value, cross)

    def moments_from(first: Array) -> moments.Moments:
        valid = valid_units(cut, first)
        if chosen.fit is None:
            return moments.from_rows(rows_from(first), valid)
        index = first + jnp.arange(cut.together, dtype=jnp.uint32)
        return fitting.fold_moments(rows_from(first), index, valid)

    def step(total: moments.Moments, first: Array) -> tuple[moments.Moments, None]:
        return merge(total, moments_from(first)), None

    merge = moments.merge if chosen.fit is None else jax.vmap(moments.merge)
    firsts = jnp.arange(0, cut.num_units, cut.together, dtype=jnp.uint32)
    shapes = jax.eval_shape(moments_from, firsts[0])
    zero = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    return jax.lax.scan(step, zero, firsts)[0]


def valid_units(cut: Layout, first: Array) -> Array:
    """Which of the units from the first on are units of the estimate."""
    return jnp.arange(cut.together, dtype=jnp.uint32) < np.uint32(cut.num_units) - first


def _fitted(total: moments.Moments, chosen: Estimator, fit: Callable[[Any], Any]) -> Average:
    """Each half with the coefficient of the other."""
    rows, value = total.mean
    both = fitting.folds(moments.Moments(total.rows, rows, total.squares[0]))
    coefficients = jax.vmap(fit)(both)
    gradient, variance = fitting.cross_fitted(both, coefficients)
    mix = mixture(both, coefficients) if chosen.control_variate is None else None
    return Average(gradient, variance, jnp.average(value, weights=both.rows), mix)


def _variance_per_unit(total: moments.Moments, estimated: Gaussian) -> Gaussian:
    """Number of units x Var(estimate)."""
    variances = moments.variance(total).terms
    if total.mean.terms.score is not None:
        return _baseline_variance(total, variances)
    return jax.tree.map(lambda v, e: jnp.where(jnp.isnan(e), e, v), variances.gradient, estimated)


def _baseline_variance(total: moments.Moments, variances: Terms) -> Gaussian:
    """The same where each of n units has the others' average value v_{-i} as its baseline.

    With score s, p = v s, and g the average of v s inside the unit, t_i = g_i - v_{-i} s_i share
    c^2/(n - 1)^2 for c = Cov(v, s), two by two. So n Var(mean t) is the expectation of the sample
    variance T of t plus n c^2/(n - 1)^2. The square of the sample covariance exceeds c^2 by the
    variance that the same argument gives for g = p. Nothing is left of the bias, whatever n is.
    """
    n, mean = moments.num_rows(total), total.mean.terms
    others = n - 1

    def one(vg, vs, vp, g, s, p, gs, gp, sp):
        cov_gs, cov_gp, cov_sp = (n / others * x for x in (gs - g * s, gp - g * p, sp - s * p))
        of = functools.partial(_left_out, n, mean.value, vs, vp, cov_sp)
        shared = n * (n / others * (p - mean.value * s)) ** 2
        of_covariance = (others**2 * of(vp, cov_sp, vp) + shared) / (others**2 + 1)
        return jnp.maximum(of(vg, cov_gs, cov_gp) + (shared - of_covariance) / others**2, 0)

    parts = (variances.gradient, variances.score, variances.product)
    return jax.tree.map(one, *parts, mean.gradient, mean.score, mean.product, *total.mean.cross)


def _left_out(n, value, vs, vp, cov_sp, vg, cov_gs, cov_gp) -> Array:
    """The sample variance of ``g - n/(n - 1) value s + p/(n - 1)``, which is t."""
    b, others = n / (n - 1) * value, n - 1
    own = vg + b**2 * vs - 2 * b * cov_gs
    return own + vp / others**2 + 2 * (cov_gp - b * cov_sp) / others
