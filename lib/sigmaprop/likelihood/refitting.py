"""The noise of a finished decoder that suits held-out data best.

Only the mean of the decoder is kept. What is maximised over sigma is the marginal likelihood of the
held-out rows, sum_i log p(x_i), by stochastic approximation of expectation-maximisation: latents
are drawn from p(z|x) under the present sigma by chains that go on from step to step, and sigma^2
moves towards the mean square of their residuals by k^-1/2 of the way. What comes out is the mean
over the second half of the steps. With a q(z|x) latents are drawn from it instead, and what is
maximised is the evidence lower bound.

The steps have to shrink. If sigma^2 followed the residuals all the way, its own draws would drive
it: where the mean explains nearly all of a coordinate, it wanders in log sigma, and near 0 it
sticks.
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Key

from sigmaprop.counts import whole_number
from sigmaprop.gaussians import Diagonal, Gaussian, Isotropic
from sigmaprop.likelihood.annealing import adapted, hmc_move
from sigmaprop.likelihood.contract import by_chunks, check_decode, checked_rows
from sigmaprop.likelihood.importance import check_encode
from sigmaprop.likelihood.prior import PRIORS, from_normal
from sigmaprop.names import Registry, shown
from sigmaprop.noise import check_key

FAMILIES = Registry(
    "family",
    {
        "isotropic": "one number",
        "diagonal": "a number for each coordinate",
        "head": "numbers for each coordinate that depend on z: sigma(z)",
    },
)
"""What can be refitted, each in one line."""

_TARGET_ACCEPTANCE = 0.65
_PRIOR_DRAWS = 256
"""Whose distance from the data is sigma at the start."""
_FIRST = 30
"""Steps in which sigma is all that the latents say, and chains find their mode."""
_START, _MOVES, _PRIOR = 1, 2, 3
"""What is folded into the key, by purpose."""


class Head(NamedTuple):
    """log sigma as a function of the latent, up to a number for each coordinate.

    Attributes:
        params: at the start, a pytree.
        apply: ``(params, z [Z]) -> log sigma(z) - log sigma``, [D] or [].
    """

    params: Any
    apply: Callable[[Any, Array], Array]


class Refit(NamedTuple):
    """What was fitted.

    Attributes:
        sigma: standard deviation, in units of x: [] for "isotropic", else [D]; of a head the factor
            that it multiplies.
        head: its parameters, None without one.
        floor: below which no sigma is taken, [].
        trace: root mean square of sigma after each step of "isotropic" and "diagonal", [K]; of a
            head minus the mean log p(x|z) of a row before each step. Look whether it has settled.
    """

    sigma: Float[Array, "..."]
    head: Any
    floor: Float[Array, ""]
    trace: Float[Array, " K"]


class _Posterior(NamedTuple):
    """Draws of the latents of the rows: u [B, C, Z], and log of the step size of each row, [B]."""

    position: Array
    log_step: Array


def linear_head(
    latent_dim: int, dim: int, features: Callable[[Array], Array] | None = None
) -> Head:
    """log sigma linear in features [F] of z, by default z itself; all weights start at 0."""
    of = features or (lambda z: z)
    num = jax.eval_shape(of, jax.ShapeDtypeStruct((latent_dim,), jnp.float32)).shape[0]
    return Head(jnp.zeros((dim, num)), lambda weight, z: weight @ of(z))


def mlp_head(key: Key[Array, ""], latent_dim: int, dim: int, width: int = 32) -> Head:
    """log sigma by a network of one hidden layer of tanh; the weights behind it start at 0."""
    params = {
        "hidden": jax.random.normal(key, (width, latent_dim)) / latent_dim**0.5,
        "bias": jnp.zeros(width),
        "out": jnp.zeros((dim, width)),
    }

    def apply(params: Any, z: Array) -> Array:
        return params["out"] @ jnp.tanh(params["hidden"] @ z + params["bias"])

    return Head(params, apply)


def with_sigma(
    decode: Callable[[Array], Any], refit: Refit, head: Head | None = None
) -> Callable[[Array], Gaussian]:
    """The decoder with the fitted noise in place of its own; `ais` takes it.

    Args:
        decode: that the noise was fitted to.
        refit: from `refit_sigma`.
        head: the one that was fitted, if one was; its parameters are those of ``refit``.
    """
    apply = None if head is None else head.apply

    def refitted(z: Array) -> Gaussian:
        mean = _mean(decode, z)
        change = jnp.zeros(()) if apply is None else apply(refit.head, z)
        scale = jnp.maximum(refit.sigma * jnp.exp(change), refit.floor).astype(mean.dtype)
        return Isotropic(mean, scale) if not scale.ndim else Diagonal(mean, scale)

    return refitted


def refit_sigma(
    decode: Callable[[Array], Any],
    x_validation: Float[Array | np.ndarray, "B D"],
    key: Key[Array, ""],
    *,
    latent_dim: int,
    family: Literal["isotropic", "diagonal", "head"] = "isotropic",
    encode: Callable[[Array], Any] | None = None,
    head: Head | None = None,
    num_steps: int = 400,
    num_chains: int = 4,
    num_leapfrog: int = 10,
    learning_rate: float = 0.02,
    floor: float = 1e-3,
    prior: str = "normal",
    dtype: str | None = None,
    chunk: int = 64,
) -> Refit:
    """Fits the noise behind a decoder's mean to held-out data.

    Sigma starts at the distance of the data from the decoder's means, where the posterior is wide,
    and falls from there: chains find their mode on the way. Where they do not mix, the posterior
    that is fitted to is that of the modes which they found. A head is fitted behind "diagonal" by
    Adam along E[grad log p(x|z) | x], which is the gradient of log p(x) (Fisher's identity), its
    parameters averaged over the second half.

    EM is slow where the mean explains nearly all of a coordinate: the error there falls by a factor
    of 1 - sigma^2 / (posterior variance of the mean + sigma^2) or so a step. Look at the trace.

    Args:
        decode: z [Z] to the mean [D], or to a Gaussian, of which only the mean counts.
        x_validation: rows that neither trained the decoder nor will judge it. Those that are not
            finite are left out.
        key: of all draws.
        latent_dim: Z.
        family: one number, one for each coordinate, or a head.
        encode: x [D] to a Gaussian q over the standard normal variables of the latent; None for
            chains.
        head: for "head", `linear_head` of z by default.
        num_steps: K; in each all latents move once. A head has as many of its own.
        num_chains: of each row.
        num_leapfrog: steps of a move.
        learning_rate: of a head.
        floor: least sigma, > 0, in units of x: a coordinate that never changes would have 0.
        prior: of z, "normal" or "uniform" (of variance 1).
        dtype: see `ais`.
        chunk: rows at a time; memory grows as chunk x chains x D.

    Raises:
        ValueError: a name, a size, a decoder or an encoder that does not fit.

    Source: Delyon, Lavielle, Moulines 1999, "Convergence of a stochastic approximation version of
        the EM algorithm", https://doi.org/10.1214/aos/1018031103.
    """
    check_key(key)
    x = checked_rows(x_validation, "x_validation", dtype)
    FAMILIES.check(family)
    PRIORS.check(prior)
    counts = {"latent_dim": latent_dim, "num_steps": num_steps, "num_chains": num_chains}
    for name, count in (counts | {"num_leapfrog": num_leapfrog, "chunk": chunk}).items():
        whole_number(name, count, 2 if name == "num_steps" else 1)
    for name, value in (("floor", floor), ("learning_rate", learning_rate)):
        if not 0.0 < value < np.inf:
            raise ValueError(f"{name} is {shown(value)}; it must be positive and finite")
    probe = jnp.ones((), x.dtype)
    check_decode(lambda z: Isotropic(_mean(decode, z), probe), latent_dim, prior, x)
    if encode is not None:
        check_encode(encode, latent_dim, x)
    if family != "head" and head is not None:
        raise ValueError(f"family is {family!r} and there is a head; it must be 'head' for one")
    if family == "head" and head is None:
        head = linear_head(latent_dim, x.shape[1])

    def mean(u: Array) -> Array:
        return _mean(decode, from_normal(prior, u)).astype(u.dtype)

    def run(x: Array, key: Array) -> Refit:
        own = jnp.all(jnp.isfinite(x), axis=1)
        fit = _Fit(mean, encode, own, num_steps, num_leapfrog, chunk, floor)
        variance, posterior = _start(fit, x, key, latent_dim, num_chains)
        key_moves = jax.random.fold_in(key, _MOVES)
        variance, posterior, trace = _fit_variance(
            fit, x, variance, posterior, key_moves, each=family != "isotropic"
        )
        sigma = jnp.maximum(jnp.sqrt(variance), floor)
        params = None
        if head is not None:
            apply = head.apply
            tuned = Head(head.params, lambda params, u: apply(params, from_normal(prior, u)))
            params, trace = _fit_head(
                fit, x, sigma, tuned, posterior, jax.random.fold_in(key_moves, 1), learning_rate
            )
        sigma = sigma[0] if family == "isotropic" else sigma
        return Refit(sigma, params, jnp.asarray(floor, x.dtype), trace)

    return jax.jit(run)(x, key)


class _Fit(NamedTuple):
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


def _mean(decode: Callable[[Array], Any], z: Array) -> Array:
    """The mean of what a decoder gives, which may be the mean itself."""
    made = decode(z)
    return made.mean if isinstance(made, Gaussian) else jnp.asarray(made)


def _start(
    fit: _Fit, x: Array, key: Array, latent_dim: int, num_chains: int
) -> tuple[Array, _Posterior]:
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
    return jnp.full_like(variance, jnp.mean(variance)), _Posterior(position, log_step)


def _moved(
    fit: _Fit,
    gaussian: Callable[[Array], Gaussian],
    x: Array,
    latents: _Posterior,
    key: Array,
    gain: Array,
) -> _Posterior:
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
    return _Posterior(position, adapted(latents.log_step, accepted, _TARGET_ACCEPTANCE, gain))


def _over_rows(
    fit: _Fit,
    gaussian: Callable[[Array], Gaussian],
    statistic: Callable[[Array, Array], Any],
    x: Array,
    latents: _Posterior,
    key: Array,
    gain: Array,
) -> tuple[_Posterior, Any]:
    """All latents after a move, and the mean over rows of a statistic of (x, u [C, Z])."""
    keys = jax.random.split(key, len(x))

    def of_chunk(rows: Any, own: Array) -> tuple[_Posterior, Any]:
        x, position, log_step, keys, counts = rows

        def one(x: Array, position: Array, log_step: Array, key: Array) -> tuple[_Posterior, Any]:
            moved = _moved(fit, gaussian, x, _Posterior(position, log_step), key, gain)
            return moved, statistic(x, moved.position)

        moved, found = jax.vmap(one)(x, position, log_step, keys)
        own = own & counts

        def total(leaf: Array) -> Array:
            return jnp.sum(jnp.where(own.reshape(-1, *(1,) * (leaf.ndim - 1)), leaf, 0.0), axis=0)

        return moved, jax.tree.map(total, found)

    rows = (x, latents.position, latents.log_step, keys, fit.own)
    latents, sums = by_chunks(of_chunk, rows, fit.chunk)
    return latents, jax.tree.map(lambda leaf: leaf / jnp.sum(fit.own), sums)


def _fit_variance(
    fit: _Fit, x: Array, variance: Array, latents: _Posterior, key: Array, *, each: bool
) -> tuple[Array, _Posterior, Array]:
    """The variance of each coordinate [D], all alike unless ``each``; latents; and the trace."""

    def step(carry: tuple[Array, Array, _Posterior], index: Array) -> Any:
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


def _fit_head(
    fit: _Fit,
    x: Array,
    sigma: Array,
    head: Head,
    latents: _Posterior,
    key: Array,
    learning_rate: float,
) -> tuple[Any, Array]:
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
