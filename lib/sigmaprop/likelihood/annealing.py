"""Chains of Hamiltonian Monte Carlo from the prior to the posterior of a latent, or back.

At the inverse temperature beta a chain's density is N(u; 0, I) p(x|u)^beta. From beta to the next
one its log weight grows by (next - beta) log p(x|u), and then it moves. The first chains of a row
are pilots: they adapt the step size that all of its chains take, and their weights are not counted.
Given the pilots, the others are chains with fixed steps, and the mean of their weights is unbiased.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Integer, Key

from sigmaprop.counts import whole_number
from sigmaprop.likelihood.prior import PRIORS
from sigmaprop.names import Registry, shown

RADIUS = 4.0
"""Of the sigmoid schedule: it runs through the logistic function from -4 to 4."""
SCHEDULES = Registry(
    "schedule",
    {
        "sigmoid": "a logistic function from -4 to 4, cut out and rescaled to 0 to 1",
        "linear": "even in the inverse temperature",
        "logarithmic": "even in log(1 + s beta), s the std of log p(x|z) under the prior, by row",
    },
)
"""How inverse temperatures rise from 0 to 1, each in one line."""

_GAIN = 1.0
"""How far the log of the step size moves for an acceptance that is off by 1."""
_SHORTEST = 0.5
"""Of the largest step: a constant one can bring a trajectory back to where it began."""
_LONGEST = math.log(2.0)
"""Of the log of a step: beyond it no leapfrog of the prior is stable."""


class Annealing(NamedTuple):
    """What is static about annealed chains.

    Attributes:
        latent_dim: Z.
        num_chains: counted chains of each row, C.
        num_pilots: chains of each row that adapt its step size, P.
        num_temperatures: T, moves of each chain.
        num_leapfrog: steps of a move.
        schedule: a name of `SCHEDULES`.
        prior: a name of `PRIORS`.
        target_acceptance: what the step size is adapted to.
        chunk: rows at a time; memory grows as chunk (C + P) D.
    """

    latent_dim: int
    num_chains: int = 16
    num_pilots: int = 4
    num_temperatures: int = 1000
    num_leapfrog: int = 10
    schedule: str = "sigmoid"
    prior: str = "normal"
    target_acceptance: float = 0.65
    chunk: int = 64

    @property
    def all_chains(self) -> int:
        """P + C; the pilots come first."""
        return self.num_pilots + self.num_chains


class Chains(NamedTuple):
    """The chains of one row; of many with a leading axis.

    Attributes:
        position: u, [P + C, Z].
        log_weight: [P + C], in nats.
        rest: what was rounded off the log weights, [P + C].
        log_step: log of the largest leapfrog step, [].
        spread: std of log p(x|z) under the prior, [], for the schedule "logarithmic"; else 0.
    """

    position: Float[Array, "*B A Z"]
    log_weight: Float[Array, "*B A"]
    rest: Float[Array, "*B A"]
    log_step: Float[Array, "*B"]
    spread: Float[Array, "*B"]


def check(settings: Annealing) -> None:
    """Refuses settings that no chain can have.

    Raises:
        ValueError: unknown schedule or prior, a count that is none, an acceptance out of range.
    """
    SCHEDULES.check(settings.schedule)
    PRIORS.check(settings.prior)
    counts = ("latent_dim", "num_chains", "num_pilots", "num_temperatures", "num_leapfrog", "chunk")
    for name in counts:
        whole_number(name, getattr(settings, name), 1)
    if not 0.0 < settings.target_acceptance < 1.0:
        raise ValueError(
            f"target_acceptance is {shown(settings.target_acceptance)}; it must be between 0 and 1"
        )


def start(settings: Annealing, position: Float[Array, "A Z"], spread: Array) -> Chains:
    """Chains that have not moved yet."""
    zeros = jnp.zeros(position.shape[0], position.dtype)
    step = jnp.asarray(-0.25 * math.log(settings.latent_dim), position.dtype)
    return Chains(position, zeros, zeros, step, spread)


def inverse_temperature(
    settings: Annealing, index: Integer[Array, ""], spread: Float[Array, ""]
) -> Float[Array, ""]:
    """beta at index 0 ... T, 0 at the first and 1 at the last.

    Source: Wu, Burda, Salakhutdinov, Grosse 2017, "On the quantitative analysis of decoder-based
    generative models", section 2.2, https://arxiv.org/abs/1611.04273 (sigmoid).
    """
    last = settings.num_temperatures
    if settings.schedule != "logarithmic":
        # A table holds rounded numbers; XLA would fuse what makes them into their differences.
        return jnp.asarray(_table(settings), spread.dtype)[index]
    scale = jnp.maximum(spread, 1e-3)
    beta = jnp.expm1(index.astype(spread.dtype) / last * jnp.log1p(scale)) / scale
    return jnp.where(index == 0, 0.0, jnp.where(index == last, 1.0, beta))


def _table(settings: Annealing) -> np.ndarray:
    """All inverse temperatures of a schedule that is the same for all rows, [T + 1]."""
    share = np.linspace(0.0, 1.0, settings.num_temperatures + 1)
    if settings.schedule == "linear":
        return share
    logistic = 1.0 / (1.0 + np.exp(-RADIUS * (2.0 * share - 1.0)))
    return (logistic - logistic[0]) / (logistic[-1] - logistic[0])


def anneal(
    log_likelihood: Callable[[Array], Array],
    settings: Annealing,
    chains: Chains,
    key: Key[Array, ""],
    first: Integer[Array, ""],
    until: Integer[Array, ""],
    *,
    reverse: bool = False,
) -> tuple[Chains, Float[Array, " T"]]:
    """Moves the chains of one row through the temperatures first + 1 ... until.

    Args:
        log_likelihood: log p(x|z(u)) of u [Z].
        settings: of all chains.
        chains: where they are.
        key: of the row; move k has a key of its own.
        first: moves made so far.
        until: moves made at the end.
        reverse: from beta = 1 down to 0; ``exp(log_weight)`` then estimates 1 / p(x).

    Returns:
        The chains, and the mean acceptance of the counted ones in each of the moves, 0 elsewhere.

    Source: Neal 2001, "Annealed importance sampling", equations 10 and 11,
        https://arxiv.org/abs/physics/9803008.
    """
    last = settings.num_temperatures

    def move(index: Array, carry: tuple[Chains, Array]) -> tuple[Chains, Array]:
        chains, acceptance = carry
        ends = (last - index, last - index - 1) if reverse else (index, index + 1)
        old, new = (inverse_temperature(settings, end, chains.spread) for end in ends)
        value, slope = jax.vmap(jax.value_and_grad(log_likelihood))(chains.position)
        total, rest = add(chains.log_weight, chains.rest, increment(old, new, value))
        keys = jax.random.split(jax.random.fold_in(key, index), settings.all_chains)
        to_new = functools.partial(
            hmc_move,
            log_likelihood,
            beta=new,
            log_step=chains.log_step,
            num_leapfrog=settings.num_leapfrog,
        )
        position, accepted = jax.vmap(to_new)(keys, chains.position, value, slope)
        pilots = accepted[: settings.num_pilots]
        log_step = adapted(chains.log_step, pilots, settings.target_acceptance)
        moved = Chains(position, total, rest, log_step, chains.spread)
        return moved, acceptance.at[index].set(jnp.mean(accepted[settings.num_pilots :]))

    return jax.lax.fori_loop(first, until, move, (chains, jnp.zeros(last, chains.log_weight.dtype)))


def increment(old: Array, new: Array, log_likelihood: Array) -> Array:
    """What a log weight grows by from one inverse temperature to the next.

    The difference of two near floating point numbers is exact, so the increments of beta add up to
    1, however beta was rounded.
    """
    return (new - old) * log_likelihood


def add(total: Array, rest: Array, term: Array) -> tuple[Array, Array]:
    """A sum and what was rounded off it, with one more term.

    Source: Neumaier 1974, "Rundungsfehleranalyse einiger Verfahren zur Summation endlicher Summen",
    algorithm 4.
    """
    new = total + term
    lost = jnp.where(jnp.abs(total) >= jnp.abs(term), (total - new) + term, (term - new) + total)
    return new, jnp.where(jnp.isfinite(new), rest + lost, rest)


def log_prior(u: Float[Array, " Z"]) -> Float[Array, ""]:
    """log N(u; 0, I) but for its constant."""
    return -0.5 * jnp.sum(u**2)


def hmc_move(
    log_likelihood: Callable[[Array], Array],
    key: Key[Array, ""],
    position: Float[Array, " Z"],
    value: Float[Array, ""],
    slope: Float[Array, " Z"],
    *,
    beta: Float[Array, ""] | float,
    log_step: Float[Array, ""],
    num_leapfrog: int,
) -> tuple[Float[Array, " Z"], Float[Array, ""]]:
    """Where one chain is after a move at beta, and its probability of acceptance.

    The step is drawn anew for each move, uniform between half of the largest and the largest. Value
    and slope of the likelihood at the start are given: the weight needs them too.

    Source: Neal 2011, "MCMC using Hamiltonian dynamics", section 3.2,
        https://arxiv.org/abs/1206.1901.
    """
    from blackjax.mcmc import hmc

    kernel: Callable[..., Any] = hmc.build_kernel()
    key_step, key_move = jax.random.split(key)
    length = jax.random.uniform(key_step, dtype=position.dtype, minval=_SHORTEST)
    prior, prior_slope = jax.value_and_grad(log_prior)(position)
    state, info = kernel(
        key_move,
        hmc.HMCState(position, prior + beta * value, prior_slope + beta * slope),
        lambda u: log_prior(u) + beta * log_likelihood(u),
        jnp.exp(log_step) * length,
        jnp.ones_like(position),
        num_leapfrog,
    )
    return state.position, info.acceptance_rate


def adapted(
    log_step: Float[Array, ""],
    acceptance: Float[Array, " A"],
    target: float,
    gain: Float[Array, ""] | float = _GAIN,
) -> Float[Array, ""]:
    """The log of the next step, from the acceptance of this one."""
    return jnp.minimum(log_step + gain * (jnp.mean(acceptance) - target), _LONGEST)
