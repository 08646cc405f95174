"""How far off annealed importance sampling is: bounds from both sides on data of the model's own.

Of an x that the model made, the z that made it is an exact draw of the posterior. Chains that start
there and anneal down to the prior estimate 1 / p(x) without bias, so that the log of their mean is
too large on average where that of the chains which come up from the prior is too small.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from sigmaprop.counts import whole_number
from sigmaprop.likelihood import annealed
from sigmaprop.likelihood.annealing import Annealing, Chains, check
from sigmaprop.likelihood.contract import DTYPES, Decode, checked_dtype
from sigmaprop.likelihood.prior import from_normal
from sigmaprop.likelihood.records import Gap, from_weights
from sigmaprop.noise import check_key
from sigmaprop.statistics import LEVEL, interval

_LATENT, _NOISE, _FORWARD, _REVERSE = 1, 2, 3, 4
"""What is folded into the key, by purpose."""


def bdmc(
    decode: Decode,
    key: Key[Array, ""],
    *,
    latent_dim: int,
    num_examples: int,
    num_chains: int = 16,
    num_pilots: int = 4,
    num_temperatures: int = 1000,
    num_leapfrog: int = 10,
    schedule: str = "sigmoid",
    prior: str = "normal",
    dtype: str = "float32",
    chunk: int = 64,
    target_acceptance: float = 0.65,
    level: float = LEVEL,
) -> Gap:
    """The gap between a lower and an upper bound of log p(x), by bidirectional Monte Carlo.

    The gap bounds the mean error of `ais` with the same options on data of the model. On other data
    it is a hint: a posterior with modes that no example of the model's shows is not seen.

    The reverse chains' steps go on from those of the forward pilots, which do not know the z that
    made x, so that the upper bound is one.

    Args:
        decode: see `ais`, as all options that are not named here.
        key: of the data and all chains.
        latent_dim: Z.
        num_examples: draws of the model, E, at least 2.
        num_chains: as for `ais`.
        num_pilots: as for `ais`.
        num_temperatures: as for `ais`.
        num_leapfrog: as for `ais`.
        schedule: as for `ais`.
        prior: as for `ais`.
        dtype: of data and chains.
        chunk: as for `ais`.
        target_acceptance: as for `ais`.
        level: coverage of the interval of the gap.

    Raises:
        ValueError: a name, a size or a decoder that does not fit.

    Source: Grosse, Ghahramani, Adams 2015, "Sandwiching the marginal likelihood using bidirectional
        Monte Carlo", https://arxiv.org/abs/1511.02543; Wu et al. 2017, section 2.3.
    """
    check_key(key)
    whole_number("num_examples", num_examples, 2)
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
    check(settings)
    checked_dtype(dtype)
    half_width = interval(0.0, 1.0, num_examples, level).high

    def run(key: Array) -> Gap:
        u, x = simulate(decode, key, settings, num_examples, dtype)
        lower, upper = _both_ways(decode, u, x, key, settings)
        gap = upper - lower
        half = half_width * jnp.std(gap, ddof=1) / num_examples**0.5
        mean = jnp.mean(gap)
        return Gap(lower, upper, mean, jnp.stack([mean - half, mean + half]))

    return jax.jit(run)(key)


def simulate(
    decode: Decode, key: Key[Array, ""], settings: Annealing, num_examples: int, dtype: str
) -> tuple[Float[Array, "E Z"], Float[Array, "E D"]]:
    """Standard normal variables of latents, and the examples that the decoder makes of them."""
    shape = (num_examples, settings.latent_dim)
    u = jax.random.normal(jax.random.fold_in(key, _LATENT), shape, DTYPES[dtype])
    keys = jax.random.split(jax.random.fold_in(key, _NOISE), num_examples)
    x = jax.vmap(lambda u, key: decode(from_normal(settings.prior, u)).sample(key))(u, keys)
    return u, x.astype(u.dtype)


def _both_ways(
    decode: Decode, u: Array, x: Array, key: Array, settings: Annealing
) -> tuple[Array, Array]:
    """Lower and upper bounds, each [E]."""
    last, pilots = settings.num_temperatures, settings.num_pilots
    start = annealed.begin(decode, x, jax.random.fold_in(key, _FORWARD), settings)
    forward = annealed.advance(decode, x, start, last, settings)
    chains = forward.chains
    own = jnp.broadcast_to(u[:, None], (len(u), settings.num_chains, u.shape[1]))
    zeros = jnp.zeros_like(chains.log_weight)
    back = start._replace(
        keys=jax.vmap(jax.random.fold_in, (0, None))(start.keys, _REVERSE),
        chains=Chains(
            jnp.concatenate([chains.position[:, :pilots], own], axis=1),
            zeros,
            zeros,
            chains.log_step,
            chains.spread,
        ),
    )
    back = annealed.advance(decode, x, back, last, settings, reverse=True).chains
    lower = annealed.finish(forward, settings).log_prob
    return lower, -from_weights(back.log_weight[:, pilots:], back.rest[:, pilots:])[0]
