"""A variational autoencoder: what all replicas of a program share, what each has, and the state.

The decoder is a generator p(x|z) = N(mu(z), Sigma(z)) with z standard normal, the same networks and
treatments of Sigma as those of a GAN; an encoder gives q(z|x), a diagonal Gaussian. As in `gan`, a
`VaeSpec` is static and `VaeHypers` are arrays.
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from sigmaprop.gaussians import Diagonal, LowRank
from sigmaprop.generators import observation
from sigmaprop.generators.divergence import NOT_DIVERGED
from sigmaprop.generators.networks.base import Network
from sigmaprop.generators.networks.encoder import EncoderOutput
from sigmaprop.generators.observation import NoiseHypers, NoiseScale, Observation
from sigmaprop.generators.optimizers import Optimizer, Rate, per_entry
from sigmaprop.generators.schedule import select_sigma
from sigmaprop.noise import normal_rows

STREAMS = {
    name: number
    for number, name in enumerate(("init", "data", "posterior", "evaluation"), start=101)
}
"""The purposes of random numbers; each folds its own constant into the replica's key. They are not
those of a GAN, so nothing is drawn twice where both train on one seed."""


class StepInfo(NamedTuple):
    """What a step measures on its batch, before its parameters move, each []; windows are averaged.

    Attributes:
        loss: what is minimised; nats an example where it is the likelihood.
        elbo: the evidence lower bound with one draw of z, in nats an example: -nll - kl.
        nll: -log p(x|z), in nats an example.
        kl: of q(z|x) to the prior, in nats an example.
        mse: mean square of x - mu(z), a coordinate, in squared units of x.
        sigma: root mean square std of the noise, in units of x.
        at_floor: share of learned scales at the floor.
        at_ceiling: share of learned scales at the ceiling.
    """

    loss: Array
    elbo: Array
    nll: Array
    kl: Array
    mse: Array
    sigma: Array
    at_floor: Array
    at_ceiling: Array


METRICS = StepInfo._fields
"""The columns of windows, in this order."""


class VaeSpec(NamedTuple):
    """What is the same for all replicas of one program.

    Attributes:
        encoder: x to q(z|x).
        decoder: z to mean and features.
        observation: the noise behind the decoder.
        optimizer: of both networks.
        sigma_optimizer: of what makes the noise.
        batch_size: examples in a step.
        kl: "analytic", or "monte_carlo": log q(z|x) - log p(z) at the z that is decoded anyway.
        objective: "nll", or "beta_nll", which weights each coordinate; see `vae_step.objective`.
        mean_gradient: "joint", or "detached": sigma does not move the mean; see
            `vae_step.detached`.
        proximal: whether the scale is inverse and its -log is stepped on by its proximal map.
    """

    encoder: Network
    decoder: Network
    observation: Observation
    optimizer: Optimizer
    sigma_optimizer: Optimizer
    batch_size: int
    kl: Literal["analytic", "monte_carlo"] = "analytic"
    objective: Literal["nll", "beta_nll"] = "nll"
    mean_gradient: Literal["joint", "detached"] = "joint"
    proximal: bool = False


class VaeRates(NamedTuple):
    """Learning rates: of encoder and decoder, of the noise."""

    network: Rate
    sigma: Rate


class VaeHypers(NamedTuple):
    """What one replica has of its own.

    Attributes:
        key: of all its random numbers; replicas to be paired share it.
        noise: its arm.
        optimal: whether its sigma is the root mean square error of the batch.
        rates: learning rates.
        beta: of the objective "beta_nll", []; 0 is the likelihood, 1 gives the mean the gradient of
            a squared error.
        mean_sigma: the std that the mean is trained with under "detached", in units of x, > 0. []
        rows: the rows of the data that it trains on, None for all. [n]
    """

    key: Key[Array, ""]
    noise: NoiseHypers
    optimal: Bool[Array, ""]
    rates: VaeRates
    beta: Float[Array, ""]
    mean_sigma: Float[Array, ""]
    rows: Int[Array, " n"] | None = None


class VaeParams(NamedTuple):
    """Parameters of encoder and decoder, and the raw ones of the noise."""

    encoder: Any
    decoder: Any
    noise: dict[str, Any]


class VaeMoments(NamedTuple):
    """The optimisers' states."""

    network: Any
    noise: Any


class VaeState(NamedTuple):
    """A replica between two steps. Checkpoints hold the names of its fields, so they stay.

    Attributes:
        params: of the model.
        moments: the optimisers' states.
        variance: moving average of the batch's mean square error, which the arm "optimal" uses
            where there is no batch, in squared units of x. []
        diverged_at: the step whose loss was not finite, after which nothing moves; -1.
        window: sums of the metrics over the steps of the current window, [M].
    """

    params: VaeParams
    moments: VaeMoments
    variance: Float[Array, ""]
    diverged_at: Int[Array, ""]
    window: Float[Array, " M"]


class Decoded(NamedTuple):
    """p(x|z) of a batch of latents: mu(z), [B, D], and the noise behind it."""

    mean: Float[Array, "B D"]
    noise: NoiseScale


class Evidence(NamedTuple):
    """What a model says of examples.

    Attributes:
        elbo: evidence lower bound by Monte Carlo, unbiased, in nats. [N]
        iwae: importance weighted bound of the same draws, in nats: on average between the elbo and
            log p(x). [N]
        mse: mean square of x - mu(z) over coordinates and z from q(z|x), in squared units of x. [N]
    """

    elbo: Float[Array, " N"]
    iwae: Float[Array, " N"]
    mse: Float[Array, " N"]


def streams(key: Key[Array, ""]) -> dict[str, Key[Array, ""]]:
    """One key for each purpose; it does not depend on what else is drawn."""
    return {name: jax.random.fold_in(key, number) for name, number in STREAMS.items()}


def init(spec: VaeSpec, hypers: VaeHypers) -> VaeState:
    """The state before step 0."""
    keys = jax.random.split(streams(hypers.key)["init"], 3)
    params = VaeParams(
        spec.encoder.init(keys[0]),
        spec.decoder.init(keys[1]),
        observation.init(spec.observation, hypers.noise, keys[2]),
    )
    moments = VaeMoments(
        spec.optimizer.init((params.encoder, params.decoder)),
        per_entry(spec.sigma_optimizer).init(params.noise),
    )
    return VaeState(
        params,
        moments,
        hypers.noise.start**2,
        jnp.asarray(NOT_DIVERGED, jnp.int32),
        jnp.zeros(len(METRICS)),
    )


def encode(spec: VaeSpec, params: VaeParams, x: Float[Array, "B D"]) -> EncoderOutput:
    """q(z|x) of every example."""
    return spec.encoder.apply(params.encoder, x)


def given_sigma(
    hypers: VaeHypers, variance: Float[Array, ""], t: Int[Array, ""]
) -> Float[Array, ""]:
    """The sigma of an arm that does not learn it: of its schedule, or the root of a variance.

    Args:
        hypers: the replica's.
        variance: the mean square error, for the arm "optimal"; its root is kept within the bounds.
        t: absolute number of the step.

    Source: Rybkin, Daniilidis, Levine 2021, "Simple and effective VAE training with calibrated
    decoders", "optimal sigma-VAE", https://arxiv.org/abs/2006.13202.
    """
    bounds = hypers.noise.bounds
    best = jnp.clip(jnp.sqrt(jnp.maximum(variance, bounds.floor**2)), bounds.floor, bounds.ceiling)
    return jnp.where(hypers.optimal, best, select_sigma(hypers.noise.schedule, t))


def decode(
    spec: VaeSpec, hypers: VaeHypers, state: VaeState, z: Float[Array, "B Z"], t: Int[Array, ""]
) -> Decoded:
    """p(x|z) of every latent under a trained state, with the sigma of step ``t``."""
    output = spec.decoder.apply(state.params.decoder, z)
    sigma = given_sigma(hypers, state.variance, t)
    return Decoded(
        output.mean,
        observation.noise_scale(
            spec.observation, state.params.noise, output.features, sigma, hypers.noise
        ),
    )


def gaussian(
    spec: VaeSpec, hypers: VaeHypers, state: VaeState, t: Int[Array, ""]
) -> Callable[[Array], Diagonal | LowRank]:
    """The decoder as a function of one latent: ``z [Z] -> Gaussian over x [D]``."""

    def of_latent(z: Array) -> Diagonal | LowRank:
        decoded = decode(spec, hypers, state, z[None], t)
        mean, noise = decoded.mean[0], decoded.noise
        scale = jnp.broadcast_to(
            noise.scale[0] if noise.scale.ndim == 2 else noise.scale, mean.shape
        )
        return Diagonal(mean, scale) if noise.factor is None else LowRank(mean, scale, noise.factor)

    return of_latent


def log_likelihood(decoded: Decoded, x: Float[Array, "B D"]) -> Float[Array, " B"]:
    """log p(x|z) of each example under its own latent, in nats."""
    scale = jnp.broadcast_to(decoded.noise.scale, x.shape)
    factor = decoded.noise.factor
    if factor is None:
        return jax.vmap(lambda x, m, s: Diagonal(m, s).log_prob(x))(x, decoded.mean, scale)
    return jax.vmap(lambda x, m, s: LowRank(m, s, factor).log_prob(x))(x, decoded.mean, scale)


def divergence_to_prior(posterior: EncoderOutput) -> Float[Array, " B"]:
    """KL(q(z|x) || N(0, I)) of each example, in nats."""
    log_scale = posterior.log_scale
    each = posterior.mean**2 + jnp.exp(2.0 * log_scale) - 1.0 - 2.0 * log_scale
    return 0.5 * jnp.sum(each, axis=-1)


def drawn_divergence(
    posterior: EncoderOutput, eps: Float[Array, "B Z"], z: Float[Array, "B Z"]
) -> Float[Array, " B"]:
    """log q(z|x) - log p(z) at z = mean + scale eps: an unbiased estimate of the same, in nats.

    The draw itself stands for (z - mean) / scale, which would lose its digits at a small scale.
    """
    return jnp.sum(0.5 * z**2 - 0.5 * eps**2 - posterior.log_scale, axis=-1)


def evidence(
    spec: VaeSpec,
    hypers: VaeHypers,
    state: VaeState,
    x: Float[Array, "N D"],
    key: Key[Array, ""],
    num_samples: int,
    t: Int[Array, ""],
) -> Evidence:
    """Bounds on log p(x) of given examples, by ``num_samples`` draws of z for each.

    Args:
        spec: what the replicas share.
        hypers: the replica's.
        state: trained.
        x: examples.
        key: of the draws.
        num_samples: draws for each example, > 0; in turn, so memory does not grow with them.
        t: step, for a sigma that is given for each.

    Source: Burda, Grosse, Salakhutdinov 2016, "Importance weighted autoencoders", its bound
    L_k, https://arxiv.org/abs/1509.00519.
    """
    posterior = encode(spec, state.params, x)

    def of_draw(key: Array) -> tuple[Array, Array]:
        eps = normal_rows(key, 0, *posterior.mean.shape)
        z = posterior.mean + jnp.exp(posterior.log_scale) * eps
        decoded = decode(spec, hypers, state, z, t)
        log_weight = log_likelihood(decoded, x) - drawn_divergence(posterior, eps, z)
        return log_weight, jnp.mean((x - decoded.mean) ** 2, axis=-1)

    log_weights, mse = jax.lax.map(of_draw, jax.random.split(key, num_samples))
    iwae = jax.nn.logsumexp(log_weights, axis=0) - jnp.log(1.0 * num_samples)
    return Evidence(jnp.mean(log_weights, axis=0), iwae, jnp.mean(mse, axis=0))
