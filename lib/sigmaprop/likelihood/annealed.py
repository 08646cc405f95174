"""log p(x) by annealed importance sampling: at once, or in pieces that end with the same bits."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Integer, Key

from sigmaprop.counts import whole_number
from sigmaprop.likelihood import annealing
from sigmaprop.likelihood.annealing import Annealing, Chains
from sigmaprop.likelihood.contract import (
    Decode,
    by_chunks,
    check_decode,
    checked_rows,
    log_likelihood,
)
from sigmaprop.likelihood.records import Likelihood, from_weights
from sigmaprop.noise import check_key

_START, _SPREAD, _MOVES = 1, 2, 3
"""What is folded into the key of a row, by purpose."""
_SPREAD_DRAWS = 64
"""Of the prior, from which the std of log p(x|z) is estimated."""


class State(NamedTuple):
    """Annealed chains between two temperatures. Everything that goes on is in it.

    Attributes:
        keys: of the moves of each row, [B].
        chains: of each row.
        acceptance: sums over rows of the mean acceptance at each temperature, [T].
        num_finite: rows of finite numbers, the others being left out of these sums, [].
        temperature: moves made so far, [].
    """

    keys: Key[Array, " B"]
    chains: Chains
    acceptance: Float[Array, " T"]
    num_finite: Float[Array, ""]
    temperature: Integer[Array, ""]


def ais(
    decode: Decode,
    x: Float[Array | np.ndarray, "B D"],
    key: Key[Array, ""],
    *,
    latent_dim: int,
    num_chains: int = 16,
    num_pilots: int = 4,
    num_temperatures: int = 1000,
    num_leapfrog: int = 10,
    schedule: str = "sigmoid",
    prior: str = "normal",
    dtype: str | None = None,
    chunk: int = 64,
    target_acceptance: float = 0.65,
) -> Likelihood:
    """log p(x) of a decoder p(x|z) p(z), by annealed importance sampling.

    Each chain starts at a draw of the prior and moves through T densities N(u; 0, I) p(x|u)^beta by
    Hamiltonian Monte Carlo; the mean of its weights is p(x). P(estimate > log p(x) + a) <= exp(-a).

    It is a pure function, traced and compiled anew in every call; ``jax.jit`` around it keeps the
    program, and ``jax.vmap`` runs replicas side by side, whose parameters a closure holds:

        >>> def of_one(params, key):
        ...     return ais(functools.partial(decode, params), x, key, latent_dim=10)
        >>> jax.jit(jax.vmap(of_one))(params, keys)

    Args:
        decode: z [Z] to a Gaussian over x [D], noise included: `Isotropic`, `Diagonal`, `Full` or
            `LowRank`. It must be differentiable.
        x: rows. One with a NaN has NaN for its likelihood and changes no other.
        key: of all chains; row i has ``fold_in(key, i)``.
        latent_dim: Z.
        num_chains: counted chains of each row, C.
        num_pilots: chains of each row that adapt its step size and are not counted, P.
        num_temperatures: T.
        num_leapfrog: steps of a move.
        schedule: "sigmoid", "linear", or "logarithmic", which begins with steps that are small for
            the row and is the one for a small sigma. T does it for the first two where T is large
            beside 8 / (1 + e^4) times the std of log p(x|z) under the prior.
        prior: of z, "normal" or "uniform" (of variance 1).
        dtype: of the chains, "float32" or "float64" (with JAX's 64 bits switched on); None is that
            of x. Log weights are compensated sums: in float32 a log-likelihood of 1e4 is rounded by
            5e-4 at the end, and not T times on the way.
        chunk: rows at a time; memory grows as chunk (C + P) D.
        target_acceptance: what the step size is adapted to.

    Returns:
        Of each row; the acceptance is that of the counted chains in each of the T moves.

    Raises:
        ValueError: a name, a size or a decoder that does not fit.

    Source: Neal 2001, "Annealed importance sampling", https://arxiv.org/abs/physics/9803008; Wu,
        Burda, Salakhutdinov, Grosse 2017, "On the quantitative analysis of decoder-based generative
        models", https://arxiv.org/abs/1611.04273.
    """
    settings = Annealing(
        latent_dim,
        num_chains=num_chains,
        num_pilots=num_pilots,
        num_temperatures=num_temperatures,
        num_leapfrog=num_leapfrog,
        schedule=schedule,
        prior=prior,
        target_acceptance=target_acceptance,
        chunk=chunk,
    )

    def run(x: Array, key: Array) -> Likelihood:
        state = begin(decode, x, key, settings)
        return finish(advance(decode, x, state, num_temperatures, settings), settings)

    return jax.jit(run)(checked_rows(x, dtype=dtype), key)


def begin(
    decode: Decode,
    x: Float[Array | np.ndarray, "B D"],
    key: Key[Array, ""],
    settings: Annealing,
    *,
    first_row: int = 0,
    dtype: str | None = None,
) -> State:
    """Chains at draws of the prior. With `advance` and `finish` it is `ais` in pieces.

    A state can be saved between any two calls, which are to be compiled (``jax.jit``) as they are:
    where a run is cut changes no bit. Rows may be worked through in blocks too: with ``first_row``
    a block has the bits that it has among all rows, if blocks are whole multiples of the chunk (or
    else to rounding).

    Args:
        decode: see `ais`.
        x: rows, of the dtype of the chains unless that is given.
        key: of all rows.
        settings: of all chains.
        first_row: number of the first of these rows.
        dtype: see `ais`.

    Raises:
        ValueError: a name, a size or a decoder that does not fit.
    """
    check_key(key)
    x = checked_rows(x, dtype=dtype)
    annealing.check(settings)
    check_decode(decode, settings.latent_dim, settings.prior, x)
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, first_row + jnp.arange(len(x)))

    def starts(rows: tuple[Array, Array], own: Array) -> tuple[Chains, Array]:
        del own
        return jax.vmap(lambda x, key: _start(decode, x, key, settings))(*rows), jnp.zeros(())

    chains, _ = by_chunks(starts, (x, keys), settings.chunk)
    return State(
        keys=jax.vmap(jax.random.fold_in, (0, None))(keys, _MOVES),
        chains=chains,
        acceptance=jnp.zeros(settings.num_temperatures, x.dtype),
        num_finite=jnp.sum(_are_finite(x), dtype=x.dtype),
        temperature=jnp.asarray(0),
    )


def advance(
    decode: Decode,
    x: Float[Array | np.ndarray, "B D"],
    state: State,
    until: int | Integer[Array, ""],
    settings: Annealing,
    *,
    reverse: bool = False,
) -> State:
    """The state after ``until`` moves in all, T at most; see `begin`.

    Args:
        decode: see `ais`.
        x: the rows that it was begun with.
        state: from `begin` or `advance`.
        until: moves made at its end; a state that has made them already stays.
        settings: those that it was begun with.
        reverse: from the posterior to the prior; see `bidirectional`.
    """
    x = jnp.asarray(x, state.chains.position.dtype)
    until = jnp.clip(jnp.asarray(until), state.temperature, settings.num_temperatures)

    def moved(rows: tuple[Array, Chains, Array], own: Array) -> tuple[Chains, Array]:
        def one(x: Array, chains: Chains, key: Array) -> tuple[Chains, Array]:
            return annealing.anneal(
                log_likelihood(decode, settings.prior, x),
                settings,
                chains,
                key,
                state.temperature,
                until,
                reverse=reverse,
            )

        chains, acceptance = jax.vmap(one)(*rows)
        counted = own & _are_finite(rows[0])
        return chains, jnp.sum(jnp.where(counted[:, None], acceptance, 0.0), axis=0)

    chains, acceptance = by_chunks(moved, (x, state.chains, state.keys), settings.chunk)
    return state._replace(
        chains=chains, acceptance=state.acceptance + acceptance, temperature=until
    )


def finish(state: State, settings: Annealing) -> Likelihood:
    """What the counted chains say, after all T moves; before them of a tempered likelihood."""
    chains, pilots = state.chains, settings.num_pilots
    found = from_weights(chains.log_weight[:, pilots:], chains.rest[:, pilots:])
    return Likelihood(*found, acceptance=state.acceptance / state.num_finite)


def gradient_evaluations(settings: Annealing, num_rows: int) -> int:
    """Evaluations of log p(x|z) with its gradient in z, of all chains of all rows, pilots included.

    One for each leapfrog step, and one for the weight and the first half step of each move.
    """
    whole_number("num_rows", num_rows, 1)
    moves = num_rows * settings.all_chains * settings.num_temperatures
    return moves * (settings.num_leapfrog + 1)


def _start(decode: Decode, x: Array, key: Array, settings: Annealing) -> Chains:
    """The chains of one row at draws of the prior."""
    shape = (settings.all_chains, settings.latent_dim)
    position = jax.random.normal(jax.random.fold_in(key, _START), shape, x.dtype)
    spread = jnp.zeros((), x.dtype)
    if settings.schedule == "logarithmic":
        shape = (_SPREAD_DRAWS, settings.latent_dim)
        draws = jax.random.normal(jax.random.fold_in(key, _SPREAD), shape, x.dtype)
        spread = jnp.std(jax.vmap(log_likelihood(decode, settings.prior, x))(draws))
    return annealing.start(settings, position, spread)


def _are_finite(x: Array) -> Array:
    """Which rows are of finite numbers."""
    return jnp.all(jnp.isfinite(x), axis=1)
