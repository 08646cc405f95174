"""The noise of a finished decoder that suits held-out data best.

Only the mean of the decoder is kept. What is maximised over sigma is the marginal likelihood of the
held-out rows, sum_i log p(x_i), by stochastic approximation of expectation-maximisation: latents
are drawn from p(z|x) under the present sigma by chains that go on from step to step, and sigma^2
moves towards the mean square of their residuals by k^-1/2 of the way. What comes out is the mean
over the second half of the steps. With a q(z|x) latents are drawn from it instead, and what is
maximised is the evidence lower bound.
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from sigmaprop.counts import whole_number
from sigmaprop.gaussians import Diagonal, Gaussian, Isotropic
from sigmaprop.likelihood.contract import check_decode, checked_rows
from sigmaprop.likelihood.fitting import (
    Fit,
    Head,
    fit_head,
    fit_variance,
    mean_of,
    start,
)
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

_MOVES = 2
"""Folded into the key of all moves; `fitting.start` has constants of its own."""


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
        mean = mean_of(decode, z)
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
    check_decode(lambda z: Isotropic(mean_of(decode, z), probe), latent_dim, prior, x)
    if encode is not None:
        check_encode(encode, latent_dim, x)
    if family != "head" and head is not None:
        raise ValueError(f"family is {family!r} and there is a head; it must be 'head' for one")
    if family == "head" and head is None:
        head = linear_head(latent_dim, x.shape[1])

    def mean(u: Array) -> Array:
        return mean_of(decode, from_normal(prior, u)).astype(u.dtype)

    def run(x: Array, key: Array) -> Refit:
        own = jnp.all(jnp.isfinite(x), axis=1)
        fit = Fit(mean, encode, own, num_steps, num_leapfrog, chunk, floor)
        variance, posterior = start(fit, x, key, latent_dim, num_chains)
        key_moves = jax.random.fold_in(key, _MOVES)
        variance, posterior, trace = fit_variance(
            fit, x, variance, posterior, key_moves, each=family != "isotropic"
        )
        sigma = jnp.maximum(jnp.sqrt(variance), floor)
        params = None
        if head is not None:
            apply = head.apply
            tuned = Head(head.params, lambda params, u: apply(params, from_normal(prior, u)))
            params, trace = fit_head(
                fit, x, sigma, tuned, posterior, jax.random.fold_in(key_moves, 1), learning_rate
            )
        sigma = sigma[0] if family == "isotropic" else sigma
        return Refit(sigma, params, jnp.asarray(floor, x.dtype), trace)

    return jax.jit(run)(x, key)
