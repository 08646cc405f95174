"""The Parzen window estimate that the first GANs were judged by, for comparison with history.

It is no likelihood of a model: it depends on the number of samples, misorders models, and can give
the data that it was made of less than a few cluster centres of them (Theis, van den Oord, Bethge
2016, "A note on the evaluation of generative models", section 3.2).
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float

from sigmaprop.counts import whole_number
from sigmaprop.likelihood.contract import by_chunks, checked_rows
from sigmaprop.names import shown

SIGMAS = tuple(np.logspace(-1.0, 0.0, 10).tolist())
"""Bandwidths to choose from, as Goodfellow et al. 2014 had them; in units of x."""


class Parzen(NamedTuple):
    """What a Parzen window says of test data.

    Attributes:
        log_prob: mean over the test rows, [], in nats.
        standard_error: of that mean, over the rows, [].
        sigma: the bandwidth chosen, a standard deviation in units of x, [].
        rows: log density of each test row, [B].
        validation: mean log density of the validation rows for each bandwidth, [S].
    """

    log_prob: Float[Array, ""]
    standard_error: Float[Array, ""]
    sigma: Float[Array, ""]
    rows: Float[Array, " B"]
    validation: Float[Array, " S"]


def parzen(
    samples: Float[Array | np.ndarray, "N D"],
    x: Float[Array | np.ndarray, "B D"],
    validation: Float[Array | np.ndarray, "V D"],
    *,
    sigmas: Sequence[float] | np.ndarray = SIGMAS,
    chunk: int = 128,
) -> Parzen:
    """Log density of test rows under N(sample, sigma^2 I) around each of N samples of a model.

    The protocol of Goodfellow et al.: 10,000 samples; sigma is the one of ten under which 1,000
    validation images are likeliest; the error is that of the mean over test images. Rows that are
    not finite have NaN, and are left out of means.

    Args:
        samples: of the model.
        x: test data.
        validation: data that sigma is chosen by.
        sigmas: bandwidths, > 0, [S].
        chunk: rows compared with all samples at a time; memory grows as chunk x N.

    Raises:
        ValueError: no rows, rows of different dimensions, or bandwidths that are none.

    Source: Goodfellow et al. 2014, "Generative adversarial nets", section 5,
        https://arxiv.org/abs/1406.2661.
    """
    samples, x = checked_rows(samples, "samples"), checked_rows(x)
    validation = checked_rows(validation, "validation")
    for name, rows in (("x", x), ("validation", validation)):
        if rows.shape[1] != samples.shape[1]:
            raise ValueError(
                f"{name} has rows of {rows.shape[1]} numbers and samples of {samples.shape[1]}; "
                "they must agree"
            )
    whole_number("chunk", chunk, 1)
    widths = np.asarray(sigmas, np.float64)
    if widths.ndim != 1 or not widths.size or not np.all((widths > 0) & np.isfinite(widths)):
        raise ValueError(f"sigmas are {shown(sigmas)}; they must be positive numbers")

    def run(samples: Array, x: Array, validation: Array) -> Parzen:
        each = jnp.asarray(widths, samples.dtype)
        scores = jnp.nanmean(_log_densities(samples, validation, each, chunk), axis=0)
        sigma = each[jnp.argmax(scores)]
        rows = _log_densities(samples, x, sigma[None], chunk)[:, 0]
        count = jnp.sum(~jnp.isnan(rows))
        error = jnp.nanstd(rows, ddof=1) / jnp.sqrt(count)
        return Parzen(jnp.nanmean(rows), error, sigma, rows, scores)

    return jax.jit(run)(samples, x, validation)


def _log_densities(samples: Array, x: Array, sigmas: Array, chunk: int) -> Array:
    """Of each row under each bandwidth, [B, S]."""
    # Products of points near 0 lose less of a small distance.
    shift = jnp.mean(samples, axis=0)
    samples, x = samples - shift, x - shift
    squares = jnp.sum(samples**2, axis=1)
    count, dim = samples.shape

    def of_chunk(rows: Array, own: Array) -> tuple[Array, Any]:
        product = jnp.matmul(rows, samples.T, precision="highest")
        distances = jnp.sum(rows**2, axis=1, keepdims=True) + squares - 2.0 * product
        distances = jnp.maximum(distances, 0.0)

        def under(sigma: Array) -> Array:
            constant = math.log(count) + dim * (0.5 * math.log(2.0 * math.pi) + jnp.log(sigma))
            return logsumexp(distances * (-0.5 / sigma**2), axis=1) - constant

        return jax.lax.map(under, sigmas).T, jnp.zeros(())

    return by_chunks(of_chunk, x, chunk)[0]
