"""Expectation-maximisation by stochastic approximation, for noise behind a given mean.

The steps have to shrink. If sigma^2 followed the residuals all the way, its own draws would drive
it: where the mean explains nearly all of a coordinate, it wanders in log sigma, and near 0 it
sticks.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Key

from sigmaprop.gaussians import Diagonal, Gaussian
from sigmaprop.likelihood.annealing import adapted, hmc_move
from sigmaprop.likelihood.contract import by_chunks

_TARGET_ACCEPTANCE = 0.65
_PRIOR_DRAWS = 256
"""Whose distance from the data is sigma at the start."""
_FIRST = 30
"""Steps in which sigma is all that the latents say, and chains find their mode."""
_START, _PRIOR = 1, 3
"""What is folded into the key, by purpose; 2 is the moves'."""


class Head(NamedTuple):
    """log sigma as a function of the latent, up to a number for each coordinate.

    Attributes:
        params: at the start, a pytree.
        apply: ``(params, z [Z]) -> log sigma(z) - log sigma``, [D] or [].
    """

    params: Any
    apply: Callable[[Any, Array], Array]


class Posterior(NamedTuple):
    """Draws of the latents of the rows: u [B, C, Z], and log of the step size of each row, [B]."""

    position: Array
    log_step: Array


class Fit(NamedTuple):
    """What all steps share: the mean of u, q or None, which rows count, and the options."""

    mean: Callable[[Array], Array]
    encode: Callable[[Array], Any] | None
    own: Array
    num_steps: int
    num_leapfrog: int
    chunk: int
    floor: float


def _gain(index: Array, first: int, power: float = 1.0) -> Array:
    """1 in the first steps, then k^-power, k = 1, 2, ...: with 1 that of a mean.

    What follows draws of its own for ever has another distribution than it should: a step size the
    acceptance of its chain, or sigma the latents that it moved.
    """
    return 1.0 / jnp.maximum(index - first + 1, 1) ** power


def mean_of(decode: Callable[[Array], Any], z: Array) -> Array:
    """The mean of what a decoder gives, which may be the mean itself."""
    made = decode(z)
    return made.mean if isinstance(made, Gaussian) else jnp.asarray(made)


def start(
    fit: Fit,
    x: Float[Array, "B D"],
    key: Key[Array, ""],
    latent_dim: int,
    num_chains: int,
) -> tuple[Float[Array, " D"], Posterior]:
    """The variance [D] of the rows about the decoder's means, and latents drawn from the prior."""
    shape = (len(x), num_chains, latent_dim)
    position = jax.random.normal(jax.random.fold_in(key, _START), shape, x.dtype)
    shape = (_PRIOR_DRAWS, latent_dim)
    draws = jax.random.normal(jax.random.fold_in(key, _PRIOR), shape, x.dtype)
    means = jax.lax.map(fit.mean, draws, batch_size=min(fit.chunk, _PRIOR_DRAWS))
    rows = jnp.where(fit.own[:, None], x, 0.0)
    second = jnp.sum(
        jnp.where(fit.own[:, None], (rows - jnp.mean(means, axis=0)) ** 2, 0.0), axis=0
    )
    variance = second / jnp.sum(fit.own) + jnp.var(means, axis=0)
    log_step = jnp.full(len(x), -0.25 * np.log(latent_dim), x.dtype)
    return jnp.full_like(variance, jnp.mean(variance)), Posterior(position, log_step)


def _moved(
    fit: Fit,
    gaussian: Callable[[Array], Gaussian],
    x: Array,
    latents: Posterior,
    key: Array,
    gain: Array,
) -> Posterior:
    """Latents of one row after a move at its posterior; new draws of q where there is one."""
    keys = jax.random.split(key, latents.position.shape[0])
    if fit.encode is not None:
        drawn = jax.vmap(fit.encode(x).sample)(keys)
        return latents._replace(position=drawn.astype(x.dtype))

    def log_likelihood(u: Array) -> Array:
        return gaussian(u).log_prob(x).astype(u.dtype)

    def move(key: Array, position: Array) -> tuple[Array, Array]:
        value, slope = jax.value_and_grad(log_likelihood)(position)
        return hmc_move(
            log_likelihood,
            key,
            position,
            value,
            slope,
            beta=1.0,
            log_step=latents.log_step,
            num_leapfrog=fit.num_leapfrog,
        )

    position, accepted = jax.vmap(move)(keys, latents.position)
    return Posterior(position, adapted(latents.log_step, accepted, _TARGET_ACCEPTANCE, gain))


def _over_rows(
    fit: Fit,
    gaussian: Callable[[Array], Gaussian],
    statistic: Callable[[Array, Array], Any],
    x: Array,
    latents: Posterior,
    key: Array,
    gain: Array,
) -> tuple[Posterior, Any]:
    """All latents after a move, and the mean over rows of a statistic of (x, u [C, Z])."""
    keys = jax.random.split(key, len(x))

    def of_chunk(rows: Any, own: Array) -> tuple[Posterior, Any]:
        x, position, log_step, keys, counts = rows

        def one(x: Array, position: Array, log_step: Array, key: Array) -> tuple[Posterior, Any]:
            moved = _moved(fit, gaussian, x, Posterior(position, log_step), key, gain)
            return moved, statistic(x, moved.position)

        moved, found = jax.vmap(one)(x, position, log_step, keys)
        own = own & counts

        def total(leaf: Array) -> Array:
            return jnp.sum(jnp.where(own.reshape(-1, *(1,) * (leaf.ndim - 1)), leaf, 0.0), axis=0)

        return moved, jax.tree.map(total, found)

    rows = (x, latents.position, latents.log_step, keys, fit.own)
    latents, sums = by_chunks(of_chunk, rows, fit.chunk)
    return latents, jax.tree.map(lambda leaf: leaf / jnp.sum(fit.own), sums)


def fit_variance(
    fit: Fit,
    x: Float[Array, "B D"],
    variance: Float[Array, " D"],
    latents: Posterior,
    key: Key[Array, ""],
    *,
    each: bool,
) -> tuple[Float[Array, " D"], Posterior, Float[Array, " K"]]:
    """The variance of each coordinate [D], all alike unless ``each``; latents; and the trace."""

    def step(carry: tuple[Array, Array, Posterior], index: Array) -> Any:
        variance, average, latents = carry
        first = min(_FIRST, fit.num_steps // 4)
        scale = jnp.maximum(jnp.sqrt(variance), fit.floor)
        latents, found = _over_rows(
            fit,
            lambda u: Diagonal(fit.mean(u), scale),
            lambda x, u: jnp.mean((x - jax.vmap(fit.mean)(u)) ** 2, axis=0),
            x,
            latents,
            jax.random.fold_in(key, index),
            _gain(index, first),
        )
        found = found if each else jnp.full_like(found, jnp.mean(found))
        variance = (variance + _gain(index, first, 0.5) * (found - variance)).astype(x.dtype)
        average = average + _gain(index, fit.num_steps // 2) * (variance - average)
        return (variance, average.astype(x.dtype), latents), jnp.sqrt(jnp.mean(variance))

    start = (variance, variance, latents)
    (_, average, latents), trace = jax.lax.scan(step, start, jnp.arange(fit.num_steps))
    return average, latents, trace


def fit_head(
    fit: Fit,
    x: Float[Array, "B D"],
    sigma: Float[Array, " D"],
    head: Head,
    latents: Posterior,
    key: Key[Array, ""],
    learning_rate: float,
) -> tuple[Any, Float[Array, " K"]]:
    """The parameters of a head, averaged over the second half, and the trace of its loss."""
    optimizer = optax.adam(learning_rate)
    params = jax.tree.map(lambda leaf: jnp.asarray(leaf, x.dtype), head.params)

    def gaussian(params: Any, u: Array) -> Diagonal:
        scale = jnp.maximum(sigma * jnp.exp(head.apply(params, u)), fit.floor)
        return Diagonal(fit.mean(u), jnp.broadcast_to(scale, x.shape[1:]))

    def loss(params: Any, x: Array, u: Array) -> Array:
        return -jnp.mean(jax.vmap(lambda u: gaussian(params, u).log_prob(x))(u))

    def step(carry: Any, index: Array) -> Any:
        params, average, moments, latents = carry
        gain = _gain(index, fit.num_steps // 2)
        latents, (value, slope) = _over_rows(
            fit,
            lambda u: gaussian(params, u),
            lambda x, u: jax.value_and_grad(loss)(params, x, u),
            x,
            latents,
            jax.random.fold_in(key, index),
            gain,
        )
        updates, moments = optimizer.update(slope, moments, params)
        params = optax.apply_updates(params, updates)
        average = jax.tree.map(lambda old, new: old + gain * (new - old), average, params)
        return (params, average, moments, latents), value

    start = (params, params, optimizer.init(params), latents)
    (_, average, _, _), trace = jax.lax.scan(step, start, jnp.arange(fit.num_steps))
    return average, trace
