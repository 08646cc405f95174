"""The noise that validation examples like best, behind the mean of every replica."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sigmaprop import likelihood
from sigmaprop.likelihood.prior import from_normal

from .config import EvaluateConfig
from .models import Model

_FLOOR = 1 / 256
"""Of a refitted sigma, in units of x: the grey levels of an image."""


def fit(
    config: EvaluateConfig, model: Model, params: Any, own: Any, x: jax.Array, key: jax.Array
) -> likelihood.Refit:
    """Fits it to the validation examples x [B, D] of one replica."""
    return likelihood.refit_sigma(
        model.decode_mean(params, own),
        x,
        key,
        latent_dim=model.latent_dim,
        family=config.refit_family,
        encode=None if model.encode is None else model.encode(params, own),
        num_steps=config.refit_steps,
        floor=_FLOOR,
        prior=model.prior,
    )


def only_alive(model: Model, refit: Any) -> Any:
    """NaN for replicas that diverged."""

    def own(leaf: np.ndarray) -> np.ndarray:
        alive = model.alive.reshape(-1, *(1,) * (leaf.ndim - 1))
        return np.where(alive, leaf, np.float32(np.nan))

    return jax.tree.map(own, refit)


def size(refit: likelihood.Refit) -> np.ndarray:
    """One number for each replica, [R]: the root mean square of its sigmas, a head's at 0."""
    sigma = np.asarray(refit.sigma)
    return sigma if sigma.ndim == 1 else np.sqrt(np.mean(sigma**2, axis=1))


def decoder(
    config: EvaluateConfig, model: Model, params: Any, own: Any, refit: likelihood.Refit
) -> Callable[[Any], Any]:
    """The replica's mean with the fitted noise, as a function of one latent."""
    mean = model.decode_mean(params, own)
    if config.refit_family != "head":
        return likelihood.with_sigma(mean, refit)
    dim = jax.eval_shape(mean, jax.ShapeDtypeStruct((model.latent_dim,), jnp.float32)).shape[0]
    return likelihood.with_sigma(mean, refit, likelihood.linear_head(model.latent_dim, dim))


def noised(
    decode: Callable[[Any], Any],
    refit: likelihood.Refit,
    model: Model,
    mean: jax.Array,
    key: jax.Array,
) -> jax.Array:
    """Examples with the fitted noise, [num, D]: around the means that there are.

    A head needs the latents, which are then drawn anew.
    """
    if refit.head is None:
        return mean + refit.sigma * jax.random.normal(key, mean.shape)
    key_z, key_eps = jax.random.split(key)
    u = jax.random.normal(key_z, (len(mean), model.latent_dim))
    draw = functools.partial(_sample, decode)
    return jax.vmap(draw)(from_normal(model.prior, u), jax.random.split(key_eps, len(mean)))


def _sample(decode: Callable[[Any], Any], z: jax.Array, key: jax.Array) -> jax.Array:
    return decode(z).sample(key)
