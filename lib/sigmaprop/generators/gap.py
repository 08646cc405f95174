"""What Goodfellow's substitution leaves out, measured inside training.

f is what the generator pays for one sample under the discriminator as it stands. At the means of
several latents part 1's questions are asked of it: how far is grad f(mu) from
grad E f(mu + sigma eps), what is left of the difference to a batch of n draws, and how many draws
does the gradient to sigma need. One stream of noise serves every sigma and batch size, and all is
measured from grad f(mu), so that nothing cancels as sigma goes to 0.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from sigmaprop import estimators
from sigmaprop.estimators.base import AtMean, evaluate, from_mean
from sigmaprop.gaussians import Isotropic
from sigmaprop.generators import gan
from sigmaprop.generators.gan import GanSpec, Hypers, State
from sigmaprop.generators.judging import examples, normalised
from sigmaprop.generators.sigma_gradient import SampleLoss
from sigmaprop.statistics import squared_norm

GROUPS = 16
"""Independent groups of draws: their products show |mean|^2 without the noise's own share."""
NUM_LATENTS = 16
_LABELS = ("pathwise", "pathwise+at_mean")
_STREAM = 17
_STREAM_RIVALS = 1


class Gap(NamedTuple):
    """What is measured; medians over latents. S sigmas, N batch sizes.

    Attributes:
        bias_relative: |grad E f - grad f(mu)| / |grad f(mu)|, [S]. The noise's own share is
            removed, the rounding of grad f(mu) is not: what is below about 5 epsilon of the
            discriminator's dtype (6e-7 for float32) is no bias.
        cosine: between grad f(mu) and grad E f, [S].
        batch_error: root mean square error of a batch's gradient, over |grad E f|, [S, N].
        batch_cosine: mean cosine between a batch's gradient and grad f(mu), [S, N].
        sigma_batch: draws for which the gradient to sigma has a signal-to-noise ratio of 1, by the
            plain pathwise gradient, [S]: the variance of one draw, averaged over latents, over the
            square of the gradient averaged over them. Infinite where no signal is seen.
        sigma_batch_at_mean: the same less grad f(mu) eps, whose expectation is 0, [S].
    """

    bias_relative: Float[Array, " S"]
    cosine: Float[Array, " S"]
    batch_error: Float[Array, "S N"]
    batch_cosine: Float[Array, "S N"]
    sigma_batch: Float[Array, " S"]
    sigma_batch_at_mean: Float[Array, " S"]


def batch_sizes(num_samples: int) -> tuple[int, ...]:
    """1, 4, 16, ... up to a quarter of the draws, so that four batches at least show an error."""
    return tuple(4**power for power in range(16) if 4 ** (power + 1) <= num_samples)


def measure(
    spec: GanSpec,
    state: State,
    hypers: Hypers,
    sigmas: Float[Array, " S"],
    t: Int[Array, ""],
    data: Float[Array, "N D"] | None = None,
    *,
    num_samples: int,
    num_latents: int = NUM_LATENTS,
) -> Gap:
    """The gap at one replica's generator and discriminator.

    Args:
        spec: what the replicas share.
        state: of the replica.
        hypers: of the replica; its evaluation stream gives latents and noise.
        sigmas: > 0, in units of x.
        t: step; other latents and noise at each.
        data: training examples, of which a paired loss takes a rival for each latent.
        num_samples: draws for each latent, a multiple of `GROUPS`.
        num_latents: means that are looked at.

    Raises:
        ValueError: ``num_samples`` is no multiple of `GROUPS`, or a paired loss has no data.
    """
    if num_samples % GROUPS:
        raise ValueError(f"num_samples is {num_samples}; it must be a multiple of {GROUPS}")
    key = jax.random.fold_in(gan.streams(hypers.key)["evaluation"], _STREAM)
    key_latent, key_noise = jax.random.split(jax.random.fold_in(key, t))
    z = gan.latent(spec, key_latent, num_latents, jax.random.fold_in(key_latent, 1))
    means = spec.generator.apply(state.player.network, z).mean
    loss = sample_loss(spec, state)
    rivals = _rivals(
        spec, state, hypers, data, jax.random.fold_in(key, _STREAM_RIVALS), num_latents
    )
    each = functools.partial(_at_mean_of, num_samples=num_samples)
    keys = jax.random.split(key_noise, num_latents)
    found = jax.lax.map(
        lambda one: each(loss.at(one[2]), one[0], sigmas, one[1]), (means, keys, rivals)
    )
    median: dict[str, Array] = {
        name: jnp.median(getattr(found, name), axis=0)
        for name in ("bias_relative", "cosine", "batch_error", "batch_cosine")
    }
    return Gap(
        **median,
        sigma_batch=_batch_for_one(found.slope, found.plain_variance),
        sigma_batch_at_mean=_batch_for_one(found.slope, found.slope_variance),
    )


def _rivals(
    spec: GanSpec, state: State, hypers: Hypers, data: Array | None, key: Array, num: int
) -> Array | None:
    """Logits of real examples, one for each latent; None where the loss has no pairs."""
    if not spec.loss.paired:
        return None
    if data is None:
        raise ValueError(f"the loss {spec.loss.name} pairs examples with real ones; give data")
    params, _ = normalised(spec, state.discriminator, state.spectral)
    return spec.discriminator.apply(params, examples(hypers, data, key, num))


def sample_loss(spec: GanSpec, state: State) -> SampleLoss:
    """The generator's loss of one sample, without dropout or instance noise.

    Where the loss is paired it takes a rival beside x; see `SampleLoss.at`.
    """
    params, _ = normalised(spec, state.discriminator, state.spectral)

    def loss(x: Array, rival: Array | None = None) -> Array:
        return spec.loss.of_generated(spec.discriminator.apply(params, x[None])[0], rival)

    return SampleLoss(loss, spec.discriminator.smoothness)


class _Seen(NamedTuple):
    """What one latent shows: slopes in sigma by group, [S, GROUPS], and variances of a draw, [S].

    The slopes are those of the estimator with less noise: both have one expectation.
    """

    bias_relative: Array
    cosine: Array
    batch_error: Array
    batch_cosine: Array
    slope: Array
    slope_variance: Array
    plain_variance: Array


def _at_mean_of(
    loss: SampleLoss, mean: Array, sigmas: Array, key: Key[Array, ""], *, num_samples: int
) -> _Seen:
    value, gradient = jax.value_and_grad(loss)(mean)
    at_mean = AtMean(value, gradient)
    eps = jax.random.normal(key, (GROUPS, num_samples // GROUPS, mean.shape[-1]))

    def at(sigma: Array) -> _Seen:
        gaussian = Isotropic(mean, sigma)
        deviation, plain, slope = jax.lax.map(
            lambda group: _terms(loss, gaussian, at_mean, group), eps
        )
        return _Seen(
            *_to_the_mean(gradient, deviation.reshape(num_samples, -1)),
            jnp.mean(slope, axis=1),
            jnp.var(slope, ddof=1),
            jnp.var(plain, ddof=1),
        )

    return jax.lax.map(at, sigmas)


def _terms(
    loss: SampleLoss, gaussian: Isotropic, at_mean: AtMean, eps: Float[Array, "n D"]
) -> tuple[Array, Array, Array]:
    """Each draw's gradient to the mean less grad f(mu), and to sigma by both estimators."""

    def one(eps: Array) -> tuple[Any, ...]:
        evals = from_mean(evaluate(loss, gaussian, eps, ("gradient",)), at_mean)
        plain, reduced = (
            estimators.of_label(label).terms(gaussian, eps, evals, at_mean).gradient
            for label in _LABELS
        )
        return plain.mean, plain.scale, reduced.scale

    return jax.vmap(one)(eps)


def _to_the_mean(
    gradient: Array, deviation: Float[Array, "K D"]
) -> tuple[Array, Array, Array, Array]:
    """Bias, cosine, and what batches of every size have for an error and a cosine."""
    count = deviation.shape[0]
    average = jnp.mean(deviation, axis=0)
    expected = gradient + average
    groups = jnp.mean(deviation.reshape(GROUPS, -1, deviation.shape[-1]), axis=1)
    bias = jnp.sqrt(jnp.maximum(squared_norm(groups), 0.0))
    errors, cosines = [], []
    for size in batch_sizes(count):
        batches = jnp.mean(deviation.reshape(count // size, size, -1), axis=1)
        variance = jnp.sum((batches - average) ** 2) / (batches.shape[0] - 1)
        errors.append(jnp.sqrt(variance) / jnp.linalg.norm(expected))
        cosines.append(jnp.mean(_cosine(gradient + batches, gradient)))
    return (
        bias / jnp.linalg.norm(gradient),
        _cosine(expected, gradient),
        jnp.stack(errors),
        jnp.stack(cosines),
    )


def _batch_for_one(
    slope: Float[Array, "L S GROUPS"], variance: Float[Array, "L S"]
) -> Float[Array, " S"]:
    """Variance over the square of the mean, both averaged over latents; inf without a signal."""
    groups = jnp.mean(slope, axis=0).T[..., None]
    squared = squared_norm(groups)
    positive = squared > 0
    batch = jnp.mean(variance, axis=0) / jnp.where(positive, squared, 1.0)
    return jnp.where(positive, batch, jnp.inf)


def _cosine(a: Array, b: Array) -> Array:
    norms = jnp.linalg.norm(a, axis=-1) * jnp.linalg.norm(b, axis=-1)
    return jnp.sum(a * b, axis=-1) / norms
