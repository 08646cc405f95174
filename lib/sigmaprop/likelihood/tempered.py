"""log p(x) by blackjax's adaptive tempered sequential Monte Carlo.

A second method, to hold `ais` against: temperatures are chosen on the way, particles are resampled,
and nothing but the contract of decoders is shared.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from sigmaprop.counts import whole_number
from sigmaprop.likelihood.contract import (
    Decode,
    by_chunks,
    check_decode,
    checked_rows,
    log_likelihood,
)
from sigmaprop.likelihood.records import Likelihood, from_weights
from sigmaprop.names import shown
from sigmaprop.noise import check_key

_TARGET_ACCEPTANCE = 0.65


class _Tempered(NamedTuple):
    """One population on its way.

    Attributes:
        particles: blackjax's state.
        log_prob: the sum of the log increments so far, [].
        log_step: log of the leapfrog step, in posterior standard deviations, [].
        acceptance: at each temperature, NaN beyond the last; [T].
        done: temperatures so far, [].
    """

    particles: Any
    log_prob: Array
    log_step: Array
    acceptance: Array
    done: Array


def smc(
    decode: Decode,
    x: Float[Array | np.ndarray, "B D"],
    key: Key[Array, ""],
    *,
    latent_dim: int,
    num_particles: int = 256,
    num_runs: int = 4,
    num_moves: int = 5,
    num_leapfrog: int = 10,
    target_effective: float = 0.7,
    max_temperatures: int = 200,
    prior: str = "normal",
    chunk: int = 8,
) -> Likelihood:
    """log p(x) of a decoder p(x|z) p(z), by adaptive tempered sequential Monte Carlo.

    Each temperature is the highest that leaves ``target_effective`` of the particles effective.
    They are resampled systematically and moved by Hamiltonian Monte Carlo with their own variances
    for its metric, all in JAX's default dtype. Temperatures and steps come from the particles
    themselves, which makes the mean of the estimates of p(x) differ from it by terms of the order
    of 1 / num_particles.

    Args:
        decode: see `ais`.
        x: rows. One with a NaN has NaN for its likelihood and changes no other.
        key: of all populations; row i has ``fold_in(key, i)``.
        latent_dim: Z.
        num_particles: of a population.
        num_runs: independent populations of each row, whose estimates of p(x) are averaged.
        num_moves: of each particle at each temperature.
        num_leapfrog: steps of a move.
        target_effective: share of the particles, between 0 and 1.
        max_temperatures: T; a row that is not at 1 by then has NaN for its likelihood.
        prior: of z, "normal" or "uniform" (of variance 1).
        chunk: rows at a time; memory grows as chunk x runs x particles x D.

    Returns:
        Of each row; standard error and effective sample size are over the runs, so few that the
        error is known to a factor of 2 only. The acceptance is a mean over the runs that got to
        the k-th temperature of their own, NaN where none did; its length is ``max_temperatures``.

    Raises:
        ValueError: a name, a size or a decoder that does not fit.

    Source: Del Moral, Doucet, Jasra 2006, "Sequential Monte Carlo samplers", section 2.3; Cabezas
        et al. 2024, "BlackJAX", https://arxiv.org/abs/2402.10797.
    """
    check_key(key)
    # blackjax's solver knows JAX's default dtype alone.
    x = checked_rows(x).astype(jnp.result_type(float))
    check_decode(decode, latent_dim, prior, x)
    counts = {"num_particles": num_particles, "num_runs": num_runs, "num_moves": num_moves}
    counts |= {"num_leapfrog": num_leapfrog, "max_temperatures": max_temperatures, "chunk": chunk}
    for name, count in counts.items():
        whole_number(name, count, 2 if name == "num_particles" else 1)
    if not 0.0 < target_effective < 1.0:
        raise ValueError(
            f"target_effective is {shown(target_effective)}; it must be between 0 and 1"
        )

    def one(x: Array, key: Array) -> tuple[Array, Array]:
        kernel = _kernel(log_likelihood(decode, prior, x), target_effective, num_leapfrog)
        start = jax.random.normal(jax.random.fold_in(key, 0), (num_particles, latent_dim), x.dtype)
        return _population(kernel, start, jax.random.fold_in(key, 1), num_moves, max_temperatures)

    def of_chunk(rows: tuple[Array, Array], own: Array) -> tuple[tuple[Array, Array], Array]:
        return jax.vmap(jax.vmap(one, (None, 0)))(*rows), jnp.zeros(())

    def run(x: Array, key: Array) -> Likelihood:
        keys = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(len(x)))
        keys = jax.vmap(lambda key: jax.random.split(key, num_runs))(keys)
        (log_prob, acceptance), _ = by_chunks(of_chunk, (x, keys), chunk)
        return Likelihood(*from_weights(log_prob), jnp.nanmean(acceptance, axis=(0, 1)))

    return jax.jit(run)(x, key)


def _kernel(
    log_likelihood: Callable[[Array], Array], target_effective: float, num_leapfrog: int
) -> Callable[..., Any]:
    """``(key, state, num_moves, parameters) -> (state, info)``, one temperature."""
    from blackjax.mcmc import hmc
    from blackjax.smc import adaptive_tempered, resampling

    move: Callable[..., Any] = hmc.build_kernel()

    def step(key: Array, state: Any, log_density: Any, step_size: Array, variance: Array) -> Any:
        return move(key, state, log_density, step_size, variance, num_leapfrog)

    return adaptive_tempered.build_kernel(
        lambda u: -0.5 * jnp.sum(u**2),
        log_likelihood,
        step,
        hmc.init,
        resampling.systematic,
        target_effective,
    )


def _population(
    kernel: Callable[..., Any], start: Array, key: Array, num_moves: int, most: int
) -> tuple[Array, Array]:
    """The log of one population's estimate of p(x), [], and its acceptance, [T]."""
    from blackjax.smc import tempered

    num, dim = start.shape
    zero = jnp.zeros((), start.dtype)
    particles = tempered.TemperedSMCState(start, jnp.full(num, 1.0 / num, start.dtype), zero)
    first = _Tempered(
        particles,
        zero,
        jnp.asarray(np.log(dim) * -0.25, start.dtype),
        jnp.full(most, jnp.nan, start.dtype),
        jnp.asarray(0),
    )

    def unfinished(state: _Tempered) -> Array:
        return (state.particles.tempering_param < 1.0) & (state.done < most)

    def temperature(state: _Tempered) -> _Tempered:
        particles = state.particles
        mean = particles.weights @ particles.particles
        variance = particles.weights @ (particles.particles - mean) ** 2
        parameters = {"step_size": jnp.exp(state.log_step)[None], "variance": variance[None]}
        moved, info = kernel(jax.random.fold_in(key, state.done), particles, num_moves, parameters)
        accepted = jnp.mean(info.update_info.acceptance_rate)
        return _Tempered(
            moved._replace(tempering_param=moved.tempering_param.astype(start.dtype)),
            state.log_prob + info.log_likelihood_increment,
            state.log_step + (accepted - _TARGET_ACCEPTANCE),
            state.acceptance.at[state.done].set(accepted),
            state.done + 1,
        )

    last = jax.lax.while_loop(unfinished, temperature, first)
    whole = last.particles.tempering_param >= 1.0
    return jnp.where(whole, last.log_prob, jnp.nan), last.acceptance
