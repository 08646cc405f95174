"""The program on the devices: one chunk of noise, every sigma, every estimator, nested batches."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec
from jaxtyping import Array

from sigmaprop import meshes
from sigmaprop.estimators.base import (
    AtMean,
    Estimator,
    Evaluations,
    Terms,
    evaluate,
    finite_origin,
    from_mean,
)
from sigmaprop.gaussians import Isotropic
from sigmaprop.limit.plan import Plan
from sigmaprop.limit.truth import Truth
from sigmaprop.noise import normal_rows

ERRORS = ("to_smoothed", "to_gradient", "cosine", "scale_to_smoothed", "scale_to_gradient")
"""What is measured of every batch: squared distances of the mean gradient to the exact smoothed
gradient and to grad f(x), its cosine with grad f(x), and squared distances of the scale gradient to
the exact one and to its limit 0."""

_SUB_BLOCKS = 2


class AtSigma(NamedTuple):
    """The truth at one sigma, on the device: smoothed gradient and its deviation from grad f."""

    sigma: Array
    smoothed: Isotropic
    bias: Array


class Inputs(NamedTuple):
    """Where to measure and what is true there, on the device."""

    point: Array
    gradient: Array
    at_sigmas: AtSigma


def make_inputs(truth: Truth, dtype: str) -> Inputs:
    """The truth as device arrays; differences to it are taken in float64."""
    wide = _accumulator(dtype)
    at_sigmas = AtSigma(
        jnp.asarray(truth.sigmas, wide),
        Isotropic(jnp.asarray(truth.smoothed_mean), jnp.asarray(truth.smoothed_scale)),
        jnp.asarray(truth.smoothed_mean - truth.gradient, wide),
    )
    return Inputs(jnp.asarray(truth.point, wide), jnp.asarray(truth.gradient, wide), at_sigmas)


def _accumulator(dtype: str) -> Any:
    return jnp.float64 if dtype == "float64" else jnp.float32


@functools.lru_cache(maxsize=64)
def make_program(
    f: Callable[[Array], Array],
    chosen: tuple[Estimator, ...],
    plan: Plan,
    dtype: str,
    with_scale: bool,
    devices: tuple[Any, ...],
):
    """Compiles (inputs, key, first rows, valid rows) -> sums and errors of each chunk."""
    mesh = meshes.make(devices)
    shared, split = PartitionSpec(), PartitionSpec(meshes.BATCH)

    def chunks(inputs: Inputs, key: Array, rows: Array, valid: Array):
        known = at_mean(f, inputs, plan, dtype)
        origin = finite_origin(known)
        one = functools.partial(_chunk, f, chosen, plan, dtype, with_scale, inputs, origin, key)
        return jax.lax.map(lambda pair: one(*pair), (rows, valid)), known

    return jax.jit(
        jax.shard_map(
            chunks,
            mesh=mesh,
            in_specs=(shared, shared, split, split),
            out_specs=(split, shared),
            check_vma=False,
        )
    )


def _chunk(
    f: Callable[[Array], Array],
    chosen: tuple[Estimator, ...],
    plan: Plan,
    dtype: str,
    with_scale: bool,
    inputs: Inputs,
    at_mean: AtMean,
    key: Array,
    first_row: Array,
    valid_rows: Array,
):
    """Sums of terms and errors of all batches inside one chunk, for every sigma and estimator."""
    eps = _stored_noise(plan, key, first_row, inputs.point)
    needs = tuple(dict.fromkeys(need for estimator in chosen for need in estimator.needs))

    def at_sigma(at: AtSigma):
        gaussian = Isotropic(inputs.point, at.sigma)
        evals = _evaluate_rows(f, gaussian, eps, needs, dtype, stored=len(chosen) > 1)
        evals = jax.vmap(from_mean, in_axes=(0, None))(evals, at_mean)
        results = {}
        for estimator in chosen:
            terms = jax.vmap(estimator.terms, in_axes=(None, 0, 0, None))(
                gaussian, eps, evals, at_mean
            )
            terms = _drop_invalid(terms if with_scale else _mean_only(terms), plan, valid_rows)
            results[estimator.key] = _nested(
                estimator, terms, plan, valid_rows, gaussian, at_mean, at, inputs.gradient
            )
        return results

    return jax.lax.map(at_sigma, inputs.at_sigmas)


def _in_dtype(f: Callable[[Array], Array], dtype: str) -> Callable[[Array], Array]:
    """F evaluated in ``dtype``; its value and gradient come back in the dtype of x."""
    return lambda x: f(x.astype(dtype)).astype(x.dtype)


def _stored_noise(plan: Plan, key: Array, first_row: Array, like: Array) -> Array:
    """The chunk's noise, [chunk, D]; the loop makes XLA store it, not draw it for every reader."""
    blocks = _num_blocks(plan.chunk)
    rows = plan.chunk // blocks
    firsts = first_row + jnp.arange(0, plan.chunk, rows, dtype=jnp.uint32)
    noise = jax.lax.map(lambda first: normal_rows(key, first, rows, like.shape[0]), firsts)
    return noise.reshape(plan.chunk, -1).astype(like.dtype)


def _num_blocks(rows: int) -> int:
    return _SUB_BLOCKS if rows % _SUB_BLOCKS == 0 else 1


def _evaluate_rows(
    f: Callable[[Array], Array],
    gaussian: Isotropic,
    eps: Array,
    needs: tuple[str, ...],
    dtype: str,
    *,
    stored: bool,
) -> Evaluations:
    """Evaluations at every row of noise.

    Where several estimators read them they pass through a loop over a few blocks, so that XLA
    stores them: else it computes f anew in every fused kernel that reads them. For one estimator
    the copy costs more than it saves.
    """
    row = jax.vmap(functools.partial(evaluate, _in_dtype(f, dtype), gaussian, needs=needs))
    blocks = _num_blocks(len(eps)) if stored else 1
    if blocks == 1:
        return row(eps)
    evals = jax.lax.map(row, eps.reshape(blocks, len(eps) // blocks, -1))
    return jax.tree.map(lambda leaf: leaf.reshape(len(eps), *leaf.shape[2:]), evals)


def at_mean(f: Callable[[Array], Array], inputs: Inputs, plan: Plan, dtype: str) -> AtMean:
    """F and its gradient at the mean by the program that evaluates the draws: the same rounding."""
    gaussian = Isotropic(inputs.point, inputs.at_sigmas.sigma[0])
    zeros = jnp.zeros((plan.chunk, inputs.point.shape[0]), inputs.point.dtype)
    evals = _evaluate_rows(f, gaussian, zeros, ("value", "gradient"), dtype, stored=False)
    return AtMean(evals.value[0], evals.gradient[0])


def _mean_only(terms: Terms) -> Terms:
    """Terms whose part for the scale is NaN, so that the compiler need not make it."""

    def unknown(part: Isotropic | None) -> Isotropic | None:
        return None if part is None else Isotropic(part.mean, jnp.full_like(part.scale, jnp.nan))

    return Terms(unknown(terms.gradient), terms.value, unknown(terms.score), unknown(terms.product))


def _drop_invalid(terms: Terms, plan: Plan, valid_rows: Array) -> Terms:
    """Zeroes the rows beyond the last draw; nothing to do where chunks divide the draws."""
    if plan.num_draws % plan.chunk == 0:
        return terms
    valid = jnp.arange(plan.chunk) < valid_rows
    return jax.tree.map(
        lambda leaf: jnp.where(valid.reshape((-1,) + (1,) * (leaf.ndim - 1)), leaf, 0), terms
    )


def _nested(
    estimator: Estimator,
    terms: Terms,
    plan: Plan,
    valid_rows: Array,
    gaussian: Isotropic,
    at_mean: AtMean,
    at: AtSigma,
    gradient: Array,
):
    """(sum of all terms, summed errors [L, 5]) by sums over nested blocks of rows."""
    origin = estimator.origin(gaussian, at_mean)
    target = jax.tree.map(
        lambda exact, start: (exact - start.astype(exact.dtype)).astype(start.dtype),
        at.smoothed,
        origin,
    )
    if not plan.inside:
        return jax.tree.map(lambda leaf: jnp.sum(leaf, axis=0), terms), jnp.zeros((0, len(ERRORS)))
    levels, previous = [], 1
    for size in plan.inside:
        terms = _block_sums(terms, size // previous)
        levels.append(terms)
        previous = size
    averages = jax.tree.map(
        lambda *leaves: jnp.concatenate(
            [leaf / size for leaf, size in zip(leaves, plan.inside, strict=True)]
        ),
        *levels,
    )
    blocks = [plan.chunk // size for size in plan.inside]
    sizes = jnp.asarray(np.repeat(plan.inside, blocks), averages.gradient.scale.dtype)
    estimates = jax.vmap(estimator.combine)(averages, sizes)
    found = errors_of(estimates, target, at.bias, gradient)
    errors, first = [], 0
    for size, count in zip(plan.inside, blocks, strict=True):
        whole = jnp.arange(count) < valid_rows // size
        errors.append(jnp.sum(jnp.where(whole[:, None], found[first : first + count], 0), axis=0))
        first += count
    return jax.tree.map(lambda leaf: jnp.sum(leaf, axis=0), terms), jnp.stack(errors)


def _block_sums(terms: Terms, factor: int) -> Terms:
    """Sums of ``factor`` neighbouring rows of every leaf."""
    if factor == 1:
        return terms
    return jax.tree.map(
        lambda leaf: jnp.sum(leaf.reshape(-1, factor, *leaf.shape[1:]), axis=1), terms
    )


def _root(square: Any, lost: Any, xp: Any) -> Any:
    """Square root where nothing is lost, else 1."""
    return xp.sqrt(xp.where(lost, 1, square))


def errors_of(
    estimates: Any,
    target: Any,
    bias: Any,
    gradient: Any,
    xp: Any = jnp,
):
    """[..., 5] errors of estimates, less their origin, in the order of `ERRORS`.

    Estimates are compared less their origin, with what is exact less the same origin: differences
    to the exact smoothed gradient and, by adding the exact bias, to grad f(x) lose no digits.
    """
    apart, scale_apart = estimates.mean - target.mean, estimates.scale - target.scale
    squared = xp.sum(apart**2, -1)
    from_gradient = apart + bias
    to_gradient = xp.sum(from_gradient**2, -1)
    along_gradient = xp.sum(from_gradient * gradient, -1)
    size = xp.sum(gradient**2, -1)
    # |estimate|^2, without another pass over all coordinates; where it cancels to nothing the
    # estimate is 0 but for rounding and has no direction.
    length = to_gradient + 2 * along_gradient + size
    lost = length <= 16 * xp.finfo(length.dtype).eps * (to_gradient + size)
    return xp.stack(
        [
            squared,
            to_gradient,
            xp.where(lost, length * 0, (along_gradient + size) / _root(length * size, lost, xp)),
            scale_apart**2,
            estimates.scale**2,
        ],
        axis=-1,
    )
