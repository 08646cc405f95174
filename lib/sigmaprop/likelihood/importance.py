"""log p(x) by importance sampling from a q(z|x), as a variational autoencoder has one."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from sigmaprop.counts import whole_number
from sigmaprop.gaussians import Gaussian, Isotropic
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


def iwae(
    decode: Decode,
    encode: Callable[[Array], Any],
    x: Float[Array | np.ndarray, "B D"],
    key: Key[Array, ""],
    *,
    latent_dim: int,
    num_samples: int = 5000,
    prior: str = "normal",
    dtype: str | None = None,
    chunk: int = 16,
    sample_chunk: int = 256,
) -> Likelihood:
    """log p(x) by the mean of ``p(x|z) p(z) / q(z|x)`` over draws of q.

    log_prob is a lower bound on average, that of importance weighted autoencoders; with one sample
    it is a draw of the evidence lower bound. It is near log p(x) only if q covers the posterior;
    where q is too narrow, the standard error and the effective sample size look good nevertheless.

    Args:
        decode: see `ais`.
        encode: x [D] to a Gaussian over the standard normal variables u [Z] of the latent, which is
            z itself under a normal prior.
        x: rows. One with a NaN has NaN for its likelihood and changes no other.
        key: of all samples; row i has ``fold_in(key, i)``.
        latent_dim: Z.
        num_samples: of each row.
        prior: of z, "normal" or "uniform" (of variance 1).
        dtype: see `ais`.
        chunk: rows at a time.
        sample_chunk: samples of each at a time; memory grows as chunk x sample_chunk x D.

    Returns:
        Of each row; the effective sample size is that of the samples, acceptance is empty.

    Raises:
        ValueError: a name, a size, a decoder or an encoder that does not fit.

    Source: Burda, Grosse, Salakhutdinov 2016, "Importance weighted autoencoders", equation 8,
        https://arxiv.org/abs/1509.00519.
    """
    check_key(key)
    x = checked_rows(x, dtype=dtype)
    check_decode(decode, latent_dim, prior, x)
    check_encode(encode, latent_dim, x)
    counts = {"num_samples": num_samples, "chunk": chunk, "sample_chunk": sample_chunk}
    for name, count in counts.items():
        whole_number(name, count, 1)
    standard = Isotropic(jnp.zeros(latent_dim, x.dtype), jnp.ones((), x.dtype))

    def log_weights(x: Array, key: Array) -> Array:
        posterior, of_x = encode(x), log_likelihood(decode, prior, x)

        def log_weight(key: Array) -> Array:
            u = posterior.sample(key).astype(x.dtype)
            weight = of_x(u) + (standard.log_prob(u) - posterior.log_prob(u))
            return weight.astype(x.dtype)

        keys = jax.random.split(key, num_samples)
        return jax.lax.map(log_weight, keys, batch_size=min(sample_chunk, num_samples))

    def of_chunk(rows: tuple[Array, Array], own: Array) -> tuple[Array, Array]:
        return jax.vmap(log_weights)(*rows), jnp.zeros(())

    def run(x: Array, key: Array) -> Likelihood:
        keys = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(len(x)))
        weights, _ = by_chunks(of_chunk, (x, keys), chunk)
        return Likelihood(*from_weights(weights), jnp.zeros(0, x.dtype))

    return jax.jit(run)(x, key)


def check_encode(encode: Callable[[Array], Any], latent_dim: int, x: Array) -> None:
    """Refuses what gives no Gaussian over u [Z].

    Raises:
        ValueError: naming what it gives.
    """
    made = jax.eval_shape(encode, jax.ShapeDtypeStruct(x.shape[1:], x.dtype))
    if not isinstance(made, Gaussian):
        raise ValueError(
            f"encode gave {shown(type(made).__name__)}; it must give an Isotropic, Diagonal, Full "
            "or LowRank over the latent"
        )
    if jnp.shape(made.mean) != (latent_dim,):
        raise ValueError(
            f"encode gave a mean of shape {jnp.shape(made.mean)}; it must be ({latent_dim},), that "
            "of a latent"
        )
