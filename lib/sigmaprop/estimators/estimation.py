"""One call: the Monte Carlo gradient of E f under a Gaussian, with its variance."""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from sigmaprop.counts import shown, whole_number
from sigmaprop.estimators import moments, registry
from sigmaprop.estimators.averaging import Row, average, evaluated, valid_units
from sigmaprop.estimators.base import AtMean, Estimator, Terms, finite_origin
from sigmaprop.estimators.control_variates import MovingAverage
from sigmaprop.estimators.expansion import expansion
from sigmaprop.estimators.mixed import Mixture
from sigmaprop.estimators.options import DEFAULTS, Options
from sigmaprop.estimators.records import record_of
from sigmaprop.estimators.units import check_enough, layout, unit_rows
from sigmaprop.gaussians import Gaussian, GaussianT
from sigmaprop.gaussians.flattening import flatten
from sigmaprop.noise import COUNTED, check_key

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
    vmap, over a batch of Gaussians or of keys too; memory is bounded by the chunk.

    Outside of ``jax.jit`` every call compiles anew: f may read what has changed since, so no
    program is kept. Wrap what calls it in ``jax.jit``, once, as the example does.

    Sums, counts and all arithmetic but f's are float32 at least, whatever x's dtype is. Where f or
    a coordinate of its gradient is not finite at the mean, as that of a norm at 0, nothing is
    measured from there, and baselines and control variates made of it are 0; so one point does no
    harm but to rules that are derivatives at the mean: "at_mean", "second_order" and the control
    variate "delta" are not finite there.

    Args:
        f: maps x to a scalar, or to an array whose entries are estimated side by side. With
            ``params`` it is called as f(x, params).
        gaussian: `Isotropic`, `Diagonal`, `Full` or `LowRank`. Its mean may be a pytree or an array
            of any shape: x then is one, and so is the gradient; see `gaussians.flattening`.
        key: one typed key from ``jax.random.key``.
        num_samples: points x, 1 to 2^32 - 1; even for antithetic noise, whole blocks of K for
            orthogonal, ``options.randomizations`` times a power of two for sobol; nodes for
            "quadrature". "mean" and "leave_one_out" need 2 independent draws (pairs, blocks, nets),
            "mixed" and "inverse_variance" 4.
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
        ValueError: unknown or meaningless names, counts or shapes out of range, what is not one
            key, or an f without a floating output.

    Example:
        >>> import jax, jax.numpy as jnp, sigmaprop
        >>> @jax.jit
        ... def run(gaussian, key):
        ...     return sigmaprop.estimate(lambda x: jnp.sum(x**2), gaussian, key, 1000)
        >>> gaussian = sigmaprop.Isotropic(jnp.array([0.5, -1.0]), jnp.array(0.1))
        >>> result = run(gaussian, jax.random.key(0))
        >>> bool(jnp.all(jnp.abs(result.gradient.mean - jnp.array([1.0, -2.0])) < 0.05))
        True

    Source: Mohamed, Rosca, Figurnov, Mnih 2020, "Monte Carlo gradient estimation in machine
    learning", sections 4 and 5.
    """
    chosen = _chosen(estimator, noise, control_variate, options)
    check_smoothness(f, chosen)
    over = _over_vectors(f, gaussian, params)
    plan = _planned(chosen, key, num_samples, chunk, math.prod(over.shape), options)
    _check_state(state, chosen, over.shape)

    def entry(index: Array | int, state: MovingAverage | None) -> GradientEstimate:
        def scalar(x: Array) -> Array:
            return jnp.ravel(over.call(x))[index].astype(over.gaussian.mean.dtype)

        return _estimate(scalar, over.gaussian, plan, state)

    if over.shape == ():
        result = entry(0, state)
    else:
        # One state for each entry of f; one that has seen nothing yet may be a scalar.
        states = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, over.shape).reshape(-1), state)
        result = jax.vmap(entry)(jnp.arange(plan.width), states)
        result = jax.tree.map(lambda leaf: leaf.reshape(*over.shape, *leaf.shape[1:]), result)
    # As jit can return it: above 2^31 only without a sign.
    count = plan.num_samples if plan.num_samples < 2**31 else np.uint32(plan.num_samples)
    return over.restored(result)._replace(num_samples=count)


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
        E f, of f's shape and dtype.

    Raises:
        ValueError: as `estimate`.
    """
    chosen = _chosen(estimator, noise, control_variate, options)
    over = _over_vectors(f, gaussian, params)
    plan = _planned(chosen, key, num_samples, chunk, math.prod(over.shape), options)
    exact = chosen.exact is not None
    return (_exact_average if exact else _average)(over, plan).astype(over.out_dtype)


def _exact_average(over: "_OverVectors", plan: "_Plan") -> Array:
    exact = plan.chosen.exact
    assert exact is not None

    def entry(index: Array | int) -> Array:
        f = lambda x: jnp.ravel(over.call(x))[index]  # noqa: E731
        return exact(f, over.gaussian, plan.num_samples)[0]

    if over.shape == ():
        return entry(0)
    return jax.vmap(entry)(jnp.arange(plan.width)).reshape(over.shape)


def _average(over: "_OverVectors", plan: "_Plan") -> Array:
    """The average over the draws; its derivative evaluates each chunk again."""
    chosen, flat = plan.chosen, over.gaussian
    cut = layout(chosen, flat.noise_dim, plan.num_samples, _rows(flat, plan), plan.options)
    signs = (1, -1) if chosen.samples_per_draw == 2 else (1,)

    def row(noise: Array) -> Row:
        eps = noise[: flat.noise_dim]
        values = [over.call(flat.from_noise(sign * eps)) for sign in signs]
        values = [value.astype(jnp.promote_types(value.dtype, jnp.float32)) for value in values]
        return Row(Terms(None), sum(values[1:], values[0]) / len(values))

    units = unit_rows(chosen, cut, plan.key, plan.options, row, flat.mean.dtype)

    @jax.checkpoint
    def some(first: Array) -> Array:
        return moments.masked_sum(units(first).value, valid_units(cut, first))

    firsts = jnp.arange(0, cut.num_units, cut.together, dtype=jnp.uint32)
    zero = jnp.zeros(over.shape, jax.eval_shape(some, firsts[0]).dtype)
    total, _ = jax.lax.scan(lambda so_far, first: (so_far + some(first), None), zero, firsts)
    return total / cut.num_units


def check_smoothness(f: Any, chosen: Estimator) -> None:
    """Refuses Price's rule for a function that says it has no second derivative.

    Raises:
        ValueError: naming both.
    """
    smoothness = getattr(f, "smoothness", "smooth")
    if record_of(chosen.label).derivatives == 2 and smoothness != "smooth":
        raise ValueError(
            f"estimator {chosen.name!r} has no meaning with {getattr(f, 'name', 'this f')!r}, "
            f"which has a {smoothness}: its second derivative is not what automatic "
            "differentiation sees; use 'pathwise' or 'score_function'"
        )


class _Plan(NamedTuple):
    """What an estimate is made of, beside f and the Gaussian."""

    chosen: Estimator
    key: Array
    num_samples: int
    chunk: int | None
    width: int
    options: Options


class _OverVectors(NamedTuple):
    """f and the Gaussian over vectors, for sums in float32 at least.

    Attributes:
        gaussian: over vectors, in float32 where x has fewer bits: so the arithmetic of estimators,
            counts and sums among it, never has the range of x's dtype.
        call: f, which sees x in its own dtype and structure.
        restored: an estimate over vectors as one over points, in x's dtype.
        shape, out_dtype: of f's output.
    """

    gaussian: Gaussian
    call: Callable[[Array], Array]
    restored: Callable[[GradientEstimate], GradientEstimate]
    shape: tuple[int, ...]
    out_dtype: Any


def _over_vectors(f: Callable[..., Array], gaussian: Gaussian, params: Any) -> _OverVectors:
    if not callable(f):
        raise ValueError(f"f is {shown(f)}; it must be a function of x")
    flat, unravel, restore = flatten(gaussian)
    dtype = flat.mean.dtype
    wide = jnp.promote_types(dtype, jnp.float32)
    inner = f if params is None else lambda x: f(x, params)

    def call(x: Array) -> Array:
        return inner(unravel(x.astype(dtype)))

    def restored(result: GradientEstimate) -> GradientEstimate:
        # The state stays wide: it goes on to the next estimate.
        parts = (result.gradient, result.variance, result.value, result.mixture)
        gradient, variance, *rest = jax.tree.map(lambda leaf: leaf.astype(dtype), parts)
        value, mixture = rest
        return result._replace(
            gradient=restore(gradient), variance=restore(variance), value=value, mixture=mixture
        )

    out = _output(call, flat.mean)
    widened = jax.tree.map(lambda leaf: leaf.astype(wide), flat)
    return _OverVectors(widened, call, restored, out.shape, out.dtype)


def _chosen(estimator: str, noise: str, control_variate: str | None, options: Options) -> Estimator:
    """The estimator of these names, after a look at whether they are names."""
    for argument, name in (
        ("estimator", estimator),
        ("noise", noise),
        ("control_variate", "" if control_variate is None else control_variate),
    ):
        if not isinstance(name, str):
            raise ValueError(f"{argument} is {shown(name)}; it must be a name, a str")
    if not isinstance(options, Options):
        raise ValueError(f"options is {shown(options)}; it must be a sigmaprop.Options")
    return registry.get(estimator, noise, control_variate, options)


def _planned(
    chosen: Estimator, key: Array, num_samples: int, chunk: int | None, width: int, options: Options
) -> _Plan:
    """The plan, after a look at its key and counts; rules without noise read no key."""
    num_samples = whole_number("num_samples", num_samples, 1, COUNTED)
    if chunk is not None:
        chunk = whole_number("chunk", chunk, 1)
    if chosen.exact is None:
        check_key(key)
    return _Plan(chosen, key, num_samples, chunk, width, options)


def _check_state(state: MovingAverage | None, chosen: Estimator, shape: tuple[int, ...]) -> None:
    """Refuses a state that nothing reads, or that is not of f's shape."""
    if state is None:
        return
    if "baseline" not in chosen.knows:
        raise ValueError(
            f"state has no meaning with control_variate {chosen.control_variate!r}; only "
            "'moving_average' carries one"
        )
    if not isinstance(state, MovingAverage):
        raise ValueError(f"state is {shown(state)}; it must be a sigmaprop.MovingAverage, or None")
    for leaf in state:
        if jnp.shape(leaf) not in ((), shape):
            raise ValueError(
                f"state has the shape {jnp.shape(leaf)}, f {shape}; they must agree, or the state "
                "have none"
            )


def _output(f: Callable[[Array], Any], mean: Array) -> Any:
    """Shape and dtype of f's output."""
    out = jax.eval_shape(f, mean)
    if not hasattr(out, "shape") or not jnp.issubdtype(out.dtype, jnp.floating):
        raise ValueError(f"f must map x to a floating scalar or array, not to {out}")
    if math.prod(out.shape) == 0:
        raise ValueError(f"f maps x to an array of shape {out.shape}; it must have an entry")
    return out


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
    check_enough(chosen, cut, plan.num_samples)
    units = unit_rows(
        chosen,
        cut,
        plan.key,
        options,
        functools.partial(evaluated, f, gaussian, chosen, at_mean),
        gaussian.mean.dtype,
    )
    averaged = average(units, cut, chosen)
    gradient = jax.tree.map(jnp.add, averaged.gradient, chosen.origin(gaussian, at_mean))
    samples = cut.unit_draws * chosen.samples_per_draw
    variance = jax.tree.map(lambda leaf: samples * leaf, averaged.variance)
    value = at_mean.value + averaged.value
    if state is not None:
        state = state.updated(value, options.decay)
    return GradientEstimate(gradient, variance, plan.num_samples, value, state, averaged.mixture)


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
    return finite_origin(known)
