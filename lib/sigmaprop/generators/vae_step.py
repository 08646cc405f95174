"""One step of a variational autoencoder of one replica: its objectives and their gradients.

The plain objective is the evidence lower bound, E_q[log p(x|z)] - KL(q(z|x) || p(z)), with one draw
of z for each example. Its variants change how sigma takes part: `objective` weights coordinates,
`detached` keeps sigma from moving the mean, `proximal_entropy_step` moves an inverse scale.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from sigmaprop.generators import divergence, observation, proximal, vae
from sigmaprop.generators.observation import NoiseScale
from sigmaprop.generators.optimizers import per_entry
from sigmaprop.generators.replicas import Model
from sigmaprop.generators.vae import (
    METRICS,
    Decoded,
    StepInfo,
    VaeHypers,
    VaeMoments,
    VaeParams,
    VaeSpec,
    VaeState,
)
from sigmaprop.noise import normal_rows

_LOG_2PI = 1.8378770664093453
_DECAY = 0.99
"""Of the moving average of the mean square error."""

Keys = dict[str, Array]


class LossParts(NamedTuple):
    """Of a batch: nll and kl of each example, [B]; mean square error, []; the noise."""

    nll: Array
    kl: Array
    mse: Array
    noise: NoiseScale


def model(spec: VaeSpec) -> Model:
    """A variational autoencoder of this spec, for `replicas.engine`."""

    def stepper(hypers: VaeHypers) -> Callable[..., tuple[VaeState, StepInfo]]:
        keys = vae.streams(hypers.key)
        return lambda state, data, t: step(spec, hypers, state, data, keys, t)

    return Model(functools.partial(vae.init, spec), stepper, METRICS)


def step(
    spec: VaeSpec,
    hypers: VaeHypers,
    state: VaeState,
    data: Float[Array, "N D"],
    keys: Keys,
    t: Int[Array, ""],
) -> tuple[VaeState, StepInfo]:
    """The state after step ``t``, and what the step measures.

    Args:
        spec: what all replicas share.
        hypers: the replica's own.
        state: before the step.
        data: training examples.
        keys: from `vae.streams`.
        t: absolute number of the step.
    """
    now = {name: jax.random.fold_in(key, t) for name, key in keys.items()}
    x = _examples(hypers, data, now["data"], spec.batch_size)
    eps = normal_rows(now["posterior"], 0, spec.batch_size, spec.decoder.in_dim)

    def batch_loss(params: VaeParams) -> tuple[Array, LossParts]:
        return loss(spec, hypers, params, x, eps, t)

    (total, parts), grads = jax.value_and_grad(batch_loss, has_aux=True)(state.params)
    params, moments = _moved(spec, hypers, state, grads, t)
    decay = jnp.minimum(_DECAY, t / (t + 1.0))  # the first batch counts whole
    after = state._replace(
        params=params,
        moments=moments,
        variance=decay * state.variance + (1.0 - decay) * parts.mse,
    )
    nll, kl = jnp.mean(parts.nll), jnp.mean(parts.kl)
    low, high = observation.at_bounds(parts.noise, hypers.noise)
    sigma = observation.rms_sigma(parts.noise, spec.observation.dim)
    info = StepInfo(total, -nll - kl, nll, kl, parts.mse, sigma, low, high)
    telling = spec.optimizer.telling((grads.encoder, grads.decoder))
    finite = jnp.isfinite(total) & divergence.is_finite(
        (params.encoder, params.decoder), params.noise, telling
    )
    return divergence.settle(state, after, finite, t), info


def loss(
    spec: VaeSpec,
    hypers: VaeHypers,
    params: VaeParams,
    x: Float[Array, "B D"],
    eps: Float[Array, "B Z"],
    t: Int[Array, ""],
) -> tuple[Float[Array, ""], LossParts]:
    """What a step minimises, the mean over a batch, and its parts.

    The arm "optimal" takes its sigma from the batch and holds it fixed in the gradient. That is the
    gradient through sigma too: at the best sigma the derivative in sigma is 0.

    Args:
        spec: what the replicas share.
        hypers: the replica's.
        params: of the model.
        x: examples.
        eps: standard normal, what makes z = mean + scale eps of q(z|x).
        t: absolute number of the step.
    """
    posterior = vae.encode(spec, params, x)
    z = posterior.mean + jnp.exp(posterior.log_scale) * eps
    output = spec.decoder.apply(params.decoder, z)
    apart = spec.mean_gradient == "detached"
    features = jax.lax.stop_gradient(output.features) if apart else output.features
    mse = jnp.mean((x - output.mean) ** 2)
    sigma = vae.given_sigma(hypers, jax.lax.stop_gradient(mse), t)
    noise = observation.noise_scale(spec.observation, params.noise, features, sigma, hypers.noise)
    exact = spec.kl == "analytic"
    kl = vae.divergence_to_prior(posterior) if exact else vae.drawn_divergence(posterior, eps, z)
    decoded = Decoded(output.mean, noise)
    each = functools.partial(objective, spec, hypers.beta)
    cost = detached(each, decoded, x, hypers.mean_sigma) if apart else each(decoded, x)
    nll = -vae.log_likelihood(decoded, x)
    return jnp.mean(cost + kl), LossParts(nll, kl, mse, noise)


def objective(
    spec: VaeSpec, beta: Float[Array, ""], decoded: Decoded, x: Float[Array, "B D"]
) -> Float[Array, " B"]:
    """What a decoder pays for each example.

    "nll": -log p(x|z). "beta_nll": its terms r^2 / (2 s^2) + log s + log(2 pi) / 2 of each
    coordinate, weighted by w = s^(2 beta) / mean of s^(2 beta) over the batch, through which no
    gradient flows. The paper's weights are s^(2 beta) itself, which is for a regression and differs
    from w by a factor that all terms share; beside a KL divergence that factor would be another
    weight of it. So under one sigma for all coordinates every beta is the likelihood.

    Under ``spec.proximal`` no gradient flows through log s: `proximal_entropy_step` takes it.

    Source: Seitzer et al. 2022, "On the pitfalls of heteroscedastic uncertainty estimation with
    probabilistic neural networks", the loss L_beta-NLL, https://arxiv.org/abs/2203.09168.
    """
    if decoded.noise.factor is not None:
        return -vae.log_likelihood(decoded, x)
    scale = jnp.broadcast_to(decoded.noise.scale, x.shape)
    log_scale = jnp.log(scale)
    if spec.proximal:
        log_scale = jax.lax.stop_gradient(log_scale)
    each = 0.5 * ((x - decoded.mean) / scale) ** 2 + log_scale + 0.5 * _LOG_2PI
    if spec.objective == "beta_nll":
        weight = jax.lax.stop_gradient(scale ** (2.0 * beta))
        each = each * weight / jnp.mean(weight)
    return jnp.sum(each, axis=-1)


def detached(
    each: Callable[[Decoded, Array], Array],
    decoded: Decoded,
    x: Float[Array, "B D"],
    mean_sigma: Float[Array, ""],
) -> Float[Array, " B"]:
    """The cost of each example where sigma is learned and does not move the mean.

    The mean, and the encoder behind it, pay |x - mu|^2 / (2 c^2) with c = ``mean_sigma``, a given
    number: the likelihood of a Gaussian of std c. Sigma pays its own objective at mu, through which
    no gradient flows. What the two add up to is no bound of a likelihood.

    Args:
        each: what sigma pays, of p(x|z) and examples.
        decoded: p(x|z), its noise made of features through which no gradient flows.
        x: examples.
        mean_sigma: c, in units of x.
    """
    mean_cost = 0.5 * jnp.sum(((x - decoded.mean) / mean_sigma) ** 2, axis=-1)
    return mean_cost + each(decoded._replace(mean=jax.lax.stop_gradient(decoded.mean)), x)


def proximal_entropy_step(
    inverse_scale: Float[Array, "*n"], step_size: Float[Array, ""]
) -> Float[Array, "*n"]:
    """The point that minimises -log l + (l - inverse_scale)^2 / (2 step_size) over l > 0.

    l = (a + sqrt(a^2 + 4 step_size)) / 2 with a the given point. In the inverse scale l = 1 / s the
    negative log-likelihood of a Gaussian is l^2 r^2 / 2 - log l: a convex quadratic, which takes a
    gradient step, and -log l, which takes this one. (In s itself the log has the other sign, is
    concave, and has no proximal map where s^2 < 4 step_size.)

    Args:
        inverse_scale: after the gradient step on all but -log l; of any sign.
        step_size: > 0: the learning rate, times the weight of the log.

    Source: Domke 2020, "Provable smoothness guarantees for black-box variational inference", and
    Kim et al. 2023, "On the convergence of black-box variational inference",
    https://arxiv.org/abs/2305.15349, whose scale is that of an approximate posterior.
    """
    return proximal.log_step(inverse_scale, step_size)


def _moved(
    spec: VaeSpec, hypers: VaeHypers, state: VaeState, grads: VaeParams, t: Array
) -> tuple[VaeParams, VaeMoments]:
    """Parameters and optimisers after a step."""
    params, moments = state.params, state.moments
    (encoder, decoder), network_moments = spec.optimizer.update(
        (grads.encoder, grads.decoder),
        moments.network,
        (params.encoder, params.decoder),
        hypers.rates.network.at(t),
        t,
    )
    rate = hypers.rates.sigma.at(t)
    noise, noise_moments = per_entry(spec.sigma_optimizer).update(
        grads.noise, moments.noise, params.noise, rate, t
    )
    if spec.proximal:
        dim = spec.observation.dim  # each entry stands for as many coordinates' logs
        noise = {
            name: proximal_entropy_step(raw, rate * dim / raw.size) for name, raw in noise.items()
        }
    noise = observation.project(spec.observation, noise, hypers.noise.bounds)
    return VaeParams(encoder, decoder, noise), VaeMoments(network_moments, noise_moments)


def _examples(hypers: VaeHypers, data: Array, key: Array, num: int) -> Any:
    """Training examples drawn with replacement, [num, D]."""
    if hypers.rows is None:
        return data[jax.random.randint(key, (num,), 0, data.shape[0])]
    return data[hypers.rows[jax.random.randint(key, (num,), 0, hypers.rows.shape[0])]]
