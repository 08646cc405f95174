"""What the methods say of log p(x), and what weights say of their own mean."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float


class Likelihood(NamedTuple):
    """log p(x) of rows, in nats, with its errors.

    The standard error comes from the spread of the weights, by the delta method: sd(w) /
    (mean(w) sqrt(C)). It is good where the effective sample size is some tens. It cannot exceed 1,
    however wrong the estimate is: one weight that outweighs the C - 1 others makes it 1. What then
    bounds the estimate is a second method, above all `bdmc`.

    Attributes:
        log_prob: [B], the log of an unbiased estimate of p(x), and so too small on average.
        standard_error: of log_prob, [B], in nats; 0 for a closed form.
        effective_sample_size: (sum w)^2 / sum w^2, [B], of what was averaged: chains, samples or
            runs; infinite for a closed form.
        acceptance: mean probability of acceptance at each temperature, over chains and rows; [T].
            Without temperatures it is empty.
    """

    log_prob: Float[Array, " B"]
    standard_error: Float[Array, " B"]
    effective_sample_size: Float[Array, " B"]
    acceptance: Float[Array, " T"]


class Gap(NamedTuple):
    """What bidirectional Monte Carlo says of a method on data that the model itself made.

    Attributes:
        lower: of each example a value below log p(x) on average, [E], in nats.
        upper: of each example a value above log p(x) on average, [E].
        gap: mean of upper - lower, []: no less than the mean error of `lower`, on average.
        interval: low and high end of the gap's t interval over examples, [2].
    """

    lower: Float[Array, " E"]
    upper: Float[Array, " E"]
    gap: Float[Array, ""]
    interval: Float[Array, " 2"]


def from_weights(
    log_weight: Float[Array, "*B C"],
    rest: Float[Array, "*B C"] | float = 0.0,
) -> tuple[Float[Array, "*B"], Float[Array, "*B"], Float[Array, "*B"]]:
    """Log of the mean of weights, its standard error, and the effective number of weights.

    Args:
        log_weight: of C independent weights, in nats.
        rest: what belongs to it and is too small for its last digit.

    Returns:
        log_prob, standard_error (NaN for one weight), effective_sample_size.
    """
    count = log_weight.shape[-1]
    largest = jnp.max(log_weight, axis=-1, keepdims=True)
    shift = jnp.where(jnp.isneginf(largest), 0.0, largest)
    # The shift goes first: near it the difference of the large parts is exact.
    weight = jnp.exp((log_weight - shift) + rest)
    mean = jnp.mean(weight, axis=-1)
    variance = jnp.var(weight, axis=-1, ddof=1) if count > 1 else jnp.full_like(mean, jnp.nan)
    error = jnp.sqrt(variance / count) / mean
    effective = jnp.sum(weight, axis=-1) ** 2 / jnp.sum(weight**2, axis=-1)
    return shift[..., 0] + jnp.log(mean), error, effective
