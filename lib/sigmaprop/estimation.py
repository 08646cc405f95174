"""One call: the Monte Carlo gradient of E f under a Gaussian, with its variance."""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from sigmaprop import estimators, moments
from sigmaprop.control_variates import MovingAverage
from sigmaprop.estimators import DEFAULTS, Mixture, Options, fitting
from sigmaprop.estimators.base import AtMean, Estimator, Terms, evaluate, from_mean
from sigmaprop.estimators.expansion import expansion
from sigmaprop.estimators.mixed import mixture
from sigmaprop.gaussian import Gaussian, GaussianT
from sigmaprop.pytrees import flatten
from sigmaprop.units import Layout, layout, unit_rows

_CHUNK_ELEMENTS = 2**18
"""Numbers held for the draws of a chunk when the caller leaves it open: they fit a cache."""


class GradientEstimate(NamedTuple):
    """A gradient estimate and its uncertainty.

    Attributes:
        gradient: Gaussian-shaped estimate of dE f/d(mean, scale, ...), with f's own axes in front.
        variance: Gaussian-shaped, num_samples x Var(estimate); the standard error is
            sqrt(variance / num_samples). NaN where one draw cannot tell, 0 without noise.
        num_samples: points x that were drawn.
        value: E f from the same draws, of f's shape.
        state: the `MovingAverage` after these draws; None without one.
        mixture: weight and bias of "mixed" and "inverse_variance"; else None.
    """

    gradient: Any
    variance: Any
    num_samples: int
    value: Any
    state: MovingAverage | None = None
    mixture: Mixture | None = None


def estimate(
    f: Callable[..., Array],
    gaussian: GaussianT,
    key: Key[Array, ""],
    num_samples: int,
    *,
    estimator: str = "pathwise",
    noise: str = "iid",
    control_variate: str | None = None,
    chunk: int | None = None,
    options: Options = DEFAULTS,
    params: Any = None,
    state: MovingAverage | None = None,
) -> GradientEstimate:
    """Estimates dE f(x)/d(mean, scale, ...) for x ~ gaussian from ``num_samples`` draws.

    The iid noise is ``jax.random.normal(key, (num_samples, K))``, row by row (half as many rows for
    antithetic noise, each used with both signs); noise is never stored whole. Two calls with one
    key share their noise (common random numbers), whatever the Gaussian or f. Works under jit and
    vmap, over a batch of Gaussians too; memory is bounded by the chunk.

    Args:
        f: maps x to a scalar, or to an array whose entries are estimated side by side. With
            ``params`` it is called as f(x, params).
        gaussian: `Isotropic`, `Diagonal`, `Full` or `LowRank`. Its mean may be a pytree or an array
            of any shape: x then is one, and so is the gradient; see `sigmaprop.pytrees.flatten`.
        key: typed key from ``jax.random.key``.
        num_samples: points x, > 0; even for antithetic noise, whole blocks of K for orthogonal,
            ``options.randomizations`` times a power of two for sobol; nodes for "quadrature".
        estimator: a name from ``sigmaprop.estimators.names()``.
        noise: "iid", "antithetic", "orthogonal" or "sobol".
        control_variate: None, "mean", "leave_one_out", "at_mean", "delta" or "moving_average".
        chunk: draws evaluated at a time, None for what fits a cache. It bounds memory and never
            changes the noise.
        options: what only some estimators, noise schemes or control variates read.
        params: f's own parameters; for their gradient see `sigmaprop.smooth`.
        state: what "moving_average" carries from the last call; None to begin.

    Returns:
        `GradientEstimate`. Unbiased but for "at_mean", whose bias is
        scale^2/2 |grad Laplacian f| + O(scale^4), "second_order" (O(scale^4)), "pathwise" and what
        is made of it across jumps, "bonnet_price" across kinks, and a "mixed" within its gamma.

    Raises:
        ValueError: unknown or meaningless names, or counts or shapes out of range.

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
    chosen = estimators.get(estimator, noise, control_variate, options)
    check_smoothness(f, chosen)
    if state is not None and "baseline" not in chosen.knows:
        raise ValueError(
            f"state has no meaning with control_variate {control_variate!r}; only "
            "'moving_average' carries one"
        )
    if chunk is not None and chunk < 1:
        raise ValueError(f"chunk is {chunk}; it must be at least 1")
    flat, unravel, restore = flatten(gaussian)
    call = f if params is None else lambda x: f(x, params)
    shape = _output_shape(lambda x: call(unravel(x)), flat.mean)
    width = math.prod(shape)
    plan = _Plan(chosen, key, num_samples, chunk, width, options)

    def entry(index: Array | int, state: MovingAverage | None) -> GradientEstimate:
        def scalar(x: Array) -> Array:
            return jnp.ravel(call(unravel(x)))[index].astype(flat.mean.dtype)

        return _estimate(scalar, flat, plan, state)

    if shape == ():
        found = entry(0, state)
    else:
        found = jax.vmap(entry)(jnp.arange(width), _per_entry(state, shape))
        found = jax.tree.map(lambda leaf: leaf.reshape(*shape, *leaf.shape[1:]), found)
    return found._replace(
        gradient=restore(found.gradient), variance=restore(found.variance), num_samples=num_samples
    )


def expectation(
    f: Callable[..., Array],
    gaussian: Gaussian,
    key: Key[Array, ""],
    num_samples: int,
    *,
    estimator: str = "pathwise",
    noise: str = "iid",
    control_variate: str | None = None,
    chunk: int | None = None,
    options: Options = DEFAULTS,
    params: Any = None,
) -> Array:
    """E f from the draws that `estimate` takes, to be differentiated by f's own parameters.

    Arguments are those of `estimate`. Reverse-mode differentiation evaluates each chunk again:
    memory stays bounded by the chunk.

    Returns:
        E f, of f's shape.
    """
    chosen = estimators.get(estimator, noise, control_variate, options)
    flat, unravel, _ = flatten(gaussian)
    call = (lambda x: f(unravel(x))) if params is None else (lambda x: f(unravel(x), params))
    if chosen.exact is not None:
        return chosen.exact(call, flat, num_samples)[0]
    shape = _output_shape(call, flat.mean)
    plan = _Plan(chosen, key, num_samples, chunk, math.prod(shape), options)
    cut = layout(chosen, flat.noise_dim, num_samples, _rows(flat, plan), options)
    signs = (1, -1) if chosen.samples_per_draw == 2 else (1,)

    def row(noise: Array) -> _Row:
        eps = noise[: flat.noise_dim]
        values = [call(flat.from_noise(sign * eps)) for sign in signs]
        return _Row(Terms(None), sum(values[1:], values[0]) / len(values))

    units = unit_rows(chosen, cut, key, options, row, flat.mean.dtype)

    @jax.checkpoint
    def some(first: Array) -> Array:
        valid = jnp.arange(cut.together) < cut.num_units - first.astype(jnp.int32)
        return moments.masked_sum(units(first).value, valid)

    firsts = jnp.arange(0, cut.num_units, cut.together, dtype=jnp.uint32)
    zero = jnp.zeros(shape, jax.eval_shape(some, firsts[0]).dtype)
    total, _ = jax.lax.scan(lambda so_far, first: (so_far + some(first), None), zero, firsts)
    return total / cut.num_units


def check_smoothness(f: Any, chosen: Estimator) -> None:
    """Refuses Price's rule for a function that says it has no second derivative.

    Raises:
        ValueError: naming both.
    """
    smoothness = getattr(f, "smoothness", "smooth")
    if chosen.name == "bonnet_price" and smoothness != "smooth":
        raise ValueError(
            f"estimator 'bonnet_price' has no meaning with {getattr(f, 'name', 'this f')!r}, which "
            f"has a {smoothness}: its second derivative is not what automatic differentiation "
            "sees; use 'pathwise' or 'score_function'"
        )


class _Plan(NamedTuple):
    """What an estimate is made of, beside f and the Gaussian."""

    chosen: Estimator
    key: Array
    num_samples: int
    chunk: int | None
    width: int
    options: Options


class _Row(NamedTuple):
    """What a unit shows: terms, product x score where a baseline needs it, f(x) - f(m)."""

    terms: Terms
    value: Any


def _output_shape(f: Callable[[Array], Any], mean: Array) -> tuple[int, ...]:
    out = jax.eval_shape(f, mean)
    if not hasattr(out, "shape") or not jnp.issubdtype(out.dtype, jnp.floating):
        raise ValueError(f"f must map x to a floating scalar or array, not to {out}")
    return out.shape


def _per_entry(state: MovingAverage | None, shape: tuple[int, ...]) -> MovingAverage | None:
    """One state for each entry of f; one that has seen nothing yet may be a scalar."""
    if state is None:
        return None
    return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, shape).reshape(-1), state)


def _estimate(
    f: Callable[[Array], Array], gaussian: Gaussian, plan: _Plan, state: MovingAverage | None
) -> GradientEstimate:
    """The estimate of a scalar f over vectors."""
    chosen, options = plan.chosen, plan.options
    if chosen.exact is not None:
        value, gradient = chosen.exact(f, gaussian, plan.num_samples)
        still = jax.tree.map(jnp.zeros_like, gradient)
        return GradientEstimate(gradient, still, plan.num_samples, value)
    if "baseline" in chosen.knows and state is None:
        state = MovingAverage.empty()
    at_mean = _know(f, gaussian, chosen, state)
    cut = layout(chosen, gaussian.noise_dim, plan.num_samples, _rows(gaussian, plan), options)
    units = unit_rows(
        chosen,
        cut,
        plan.key,
        options,
        lambda noise: _row(f, gaussian, chosen, at_mean, noise),
        gaussian.mean.dtype,
    )
    total = _moments(units, cut, chosen)
    found = _fitted(total, chosen) if chosen.fit is not None else _combined(total, chosen)
    gradient = jax.tree.map(jnp.add, found.gradient, chosen.origin(gaussian, at_mean))
    samples = cut.unit_draws * chosen.samples_per_draw
    variance = jax.tree.map(lambda leaf: samples * leaf, found.variance)
    value = at_mean.value + found.value
    if state is not None:
        state = state.updated(value, options.decay)
    return GradientEstimate(gradient, variance, plan.num_samples, value, state, found.mixture)


def _rows(gaussian: Gaussian, plan: _Plan) -> int:
    """Draws in a chunk: as many as the caller says, or as fit a cache with all they carry."""
    if plan.chunk is not None:
        return plan.chunk
    parameters = sum(leaf.size for leaf in jax.tree.leaves(gaussian))
    columns = plan.chosen.columns(gaussian.noise_dim)
    return max(1, _CHUNK_ELEMENTS // (max(parameters, columns) * plan.width))


def _know(
    f: Callable[[Array], Array], gaussian: Gaussian, chosen: Estimator, state: MovingAverage | None
) -> AtMean:
    """What the estimator asks to know once; f is differentiated only for those that ask for it."""
    known = AtMean(f(gaussian.mean))
    if "gradient" in chosen.knows:
        known = AtMean(*jax.value_and_grad(f)(gaussian.mean))
    if "expansion" in chosen.knows:
        known = known._replace(expansion=jax.grad(lambda g: expansion(f, g))(gaussian))
    if state is not None:
        known = known._replace(baseline=state.baseline.astype(known.value.dtype))
    return known


def _row(
    f: Callable[[Array], Array],
    gaussian: Gaussian,
    estimator: Estimator,
    at_mean: AtMean,
    noise: Array,
) -> _Row:
    noise = _stored(noise)
    if estimator.own_terms is not None:
        return _Row(*_stored(estimator.own_terms(f, gaussian, noise, at_mean)))
    raw = _stored(evaluate(f, gaussian, noise, estimator.needs))
    seen = from_mean(raw, at_mean)
    value = seen.value if seen.mirror_value is None else 0.5 * (seen.value + seen.mirror_value)
    return _Row(estimator.terms(gaussian, noise, seen, at_mean), value)


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


class _Found(NamedTuple):
    """An estimate less its origin, the variance of one unit, and E f less f(m)."""

    gradient: Any
    variance: Any
    value: Array
    mixture: Mixture | None = None


class _Averaged(NamedTuple):
    """What moments are taken of; the products of gradient, score, product for a baseline."""

    terms: Terms
    value: Array
    cross: Any = None


def _moments(units: Callable[[Array], _Row], cut: Layout, chosen: Estimator) -> moments.Moments:
    """Moments over all units; of even and odd units apart where a coefficient is fitted."""

    def rows_from(first: Array) -> Any:
        row = units(first)
        if chosen.fit is not None:
            return fitting.fold_rows(row.terms.gradient, row.terms.control), row.value
        if row.terms.score is None:
            return _Averaged(row.terms, row.value)
        g, s, p = row.terms.gradient, row.terms.score, row.terms.product
        cross = [jax.tree.map(jnp.multiply, *pair) for pair in ((g, s), (g, p), (s, p))]
        return _Averaged(row.terms, row.value, cross)

    def moments_from(first: Array) -> moments.Moments:
        valid = jnp.arange(cut.together) < cut.num_units - first.astype(jnp.int32)
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


def _combined(total: moments.Moments, chosen: Estimator) -> _Found:
    estimated = chosen.combine(total.mean.terms, total.rows)
    return _Found(estimated, _variance_per_unit(total, estimated), total.mean.value)


def _fitted(total: moments.Moments, chosen: Estimator) -> _Found:
    """Each half with the coefficient of the other."""
    rows, value = total.mean
    both = fitting.folds(moments.Moments(total.rows, rows, total.squares[0]))
    assert chosen.fit is not None
    coefficients = jax.vmap(chosen.fit)(both)
    gradient, variance = fitting.cross_fitted(both, coefficients)
    mix = mixture(both, coefficients) if chosen.control_variate is None else None
    return _Found(gradient, variance, jnp.average(value, weights=total.rows), mix)


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
    n, mean = total.rows, total.mean.terms
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
