"""One step of a GAN of one replica: the discriminator's move, then the generator's.

Noise is fresh and independent for real and generated examples, and for the two players. What the
players pay is in `judging`. A step whose losses or parameters are not finite is not taken, and none
is after it: the replica keeps its last state, its `diverged_at` names the step.
"""

import functools
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from sigmaprop.generators import (
    annealing,
    divergence,
    entropy,
    instance,
    judging,
    observation,
    proximal,
    sigma_gradient,
)
from sigmaprop.generators.gan import (
    Draws,
    GanSpec,
    GeneratorParams,
    Hypers,
    State,
    StepInfo,
    draws,
    from_normal,
    init,
    latent,
    streams,
    to_normal,
)
from sigmaprop.generators.judging import Keys
from sigmaprop.generators.observation import NoiseScale
from sigmaprop.generators.optimizers import per_entry
from sigmaprop.generators.replicas import Model
from sigmaprop.generators.schedule import select_sigma


class Fakes(NamedTuple):
    """Generated examples.

    Attributes:
        mean: mu(z), [B, D].
        x: mean and noise, [B, D].
        noise: its scale and factor.
        z: latents, [B, Z].
    """

    mean: Float[Array, "B D"]
    x: Float[Array, "B D"]
    noise: NoiseScale
    z: Float[Array, "B Z"]


class EntropyShare(NamedTuple):
    """What is added to the loss's cotangents so that the generator ascends its entropy, [B, D].

    Attributes:
        to_x: at the samples.
        to_noise: at their noise alone; None where the entropy reaches it through x.
        drawn: that noise's draws.
    """

    to_x: Array
    to_noise: Array | None
    drawn: Draws

    def noise_of(self, fakes: Fakes) -> Array:
        """The samples' noise, x - mu as it was drawn."""
        return fakes.noise.add_to(jnp.zeros_like(fakes.mean), *self.drawn)


class GeneratorGrads(NamedTuple):
    """The generator's loss, its gradient, and the noise that it was taken with."""

    loss: Array
    grads: GeneratorParams
    noise: NoiseScale


_FURTHER = 1 << 16
"""Folded into a step's keys, plus its number, for a further step of the discriminator within it."""


def model(spec: GanSpec) -> Model:
    """A GAN of this spec, for `replicas.engine`."""

    def stepper(hypers: Hypers) -> Callable[..., tuple[State, tuple[Array, ...]]]:
        keys = streams(hypers.key)

        return lambda state, data, t: step(spec, hypers, state, data, keys, t)

    return Model(functools.partial(init, spec), stepper, spec.metrics)


def step(
    spec: GanSpec,
    hypers: Hypers,
    state: State,
    data: Float[Array, "N D"],
    keys: Keys,
    t: Int[Array, ""],
) -> tuple[State, tuple[Array, ...]]:
    """The state after step ``t``, and what the step measures: the numbers of ``spec.metrics``.

    Args:
        spec: what all replicas share.
        hypers: the replica's own.
        state: before the step.
        data: training examples.
        keys: from `gan.streams`.
        t: absolute number of the step.
    """
    before = state
    d_info = judging.DiscriminatorInfo(*(jnp.zeros(()) for _ in judging.DiscriminatorInfo._fields))
    for d_step in range(spec.discriminator_steps):
        state, d_info = move_discriminator(spec, hypers, state, data, step_keys(keys, t, d_step), t)
    critic_state = before if spec.simultaneous else state
    now = step_keys(keys, t, 0)
    state, moved = move_generator(spec, hypers, state, critic_state, data, now, t)
    slope = observation.log_sigma_grad(moved.grads.noise)
    low, high = observation.at_bounds(moved.noise, hypers.noise)
    info = StepInfo(
        discriminator_loss=d_info.loss,
        generator_loss=moved.loss,
        logit_real=d_info.real,
        logit_fake=d_info.fake,
        sigma=observation.rms_sigma(moved.noise, spec.observation.dim),
        sigma_slope=slope,
        sigma_slope_squared=slope**2,
        at_floor=low,
        at_ceiling=high,
        hmc_acceptance=jnp.zeros(()) if state.hmc is None else state.hmc.acceptance,
    )
    finite = (
        jnp.isfinite(d_info.loss)
        & jnp.isfinite(moved.loss)
        & divergence.is_finite(
            state.player.network,
            (state.player.noise, state.discriminator),
            spec.optimizer.telling(moved.grads.network),
        )
    )
    share = () if state.instance_share is None else (state.instance_share,)
    return divergence.settle(before, state, finite, t), (*info, *share)


def step_keys(keys: Keys, t: Array, d_step: int) -> Keys:
    """The keys of a step; of a further step of the discriminator within it.

    What draws of a step fold into its keys are small numbers: the factor's noise 1, say.
    """
    folded = jax.vmap(jax.random.fold_in, (0, None))(jnp.stack(list(keys.values())), t)
    now = dict(zip(keys, folded, strict=True))
    if d_step == 0:
        return now
    return {name: jax.random.fold_in(key, _FURTHER + d_step) for name, key in now.items()}


def generate(
    spec: GanSpec,
    params: GeneratorParams,
    hypers: Hypers,
    z: Array,
    noise: Draws,
    t: Int[Array, ""],
) -> Fakes:
    """Examples of given latents and noise, [B, D], with the sigma of step ``t``."""
    output = spec.generator.apply(params.network, z)
    sigma = select_sigma(hypers.noise.schedule, t)
    features = output.features
    if spec.mean_gradient == "detached":
        features = jax.lax.stop_gradient(features)
    scale = observation.noise_scale(
        spec.observation, params.noise, features, sigma, hypers.noise, z
    )
    return Fakes(output.mean, scale.add_to(output.mean, *noise), scale, z)


def move_discriminator(
    spec: GanSpec, hypers: Hypers, state: State, data: Array, keys: Keys, t: Array
) -> tuple[State, judging.DiscriminatorInfo]:
    """The discriminator's move: the state after it, its loss and its logits."""
    size = spec.batch_size
    z = latent(spec, keys["latent_discriminator"], size, keys["late_discriminator"])
    drawn = draws(spec, keys["noise_discriminator"], size)
    clean = judging.examples(hypers, data, keys["data"], size)
    std = judging.instance_std(spec, hypers, state, keys["level_discriminator"], t)

    def seen(noise: Any) -> tuple[Array, Fakes]:
        fakes = generate(spec, state.player._replace(noise=noise), hypers, z, drawn, t)
        return judging.with_shared_noise(
            spec, hypers, clean, fakes.noise, keys["noise_real"]
        ), fakes

    given = seen(state.player.noise)

    def loss(params: Any, noise: Any = None) -> tuple[Array, tuple[judging.DiscriminatorInfo, Any]]:
        real, fakes = given if noise is None else seen(noise)
        effective, singular = judging.normalised(spec, params, state.spectral)
        total, info = judging.discriminator_loss(spec, effective, real, fakes.x, std, keys)
        if spec.penalties:
            noised = spec.penalty_points == "noised"
            points = (real, fakes.x) if noised else (clean, fakes.mean)
            total = total + judging.penalty(spec, hypers, effective, *points, keys, t)
        return total, (info._replace(loss=total), singular)

    noise_grads = None
    if spec.sigma_player == "discriminator":
        both = jax.grad(loss, (0, 1), has_aux=True)(state.discriminator, state.player.noise)
        (grads, noise_grads), (info, singular) = both
    else:
        grads, (info, singular) = jax.grad(loss, has_aux=True)(state.discriminator)
    params, opt_state = _update(
        spec, hypers, grads, state.moments.discriminator, state.discriminator, "discriminator", t
    )
    moved = state._replace(
        discriminator=params,
        moments=state.moments._replace(discriminator=opt_state),
        spectral=singular,
        instance_share=_adapted(hypers, state, info),
    )
    if noise_grads is not None:
        moved = _with_noise(spec, hypers, moved, noise_grads, t)
    return moved, info


def move_generator(
    spec: GanSpec,
    hypers: Hypers,
    state: State,
    critic_state: State,
    data: Array,
    keys: Keys,
    t: Array,
) -> tuple[State, GeneratorGrads]:
    """The generator's move against the discriminator of ``critic_state``, and its gradient."""
    z = latent(spec, keys["latent_generator"], spec.batch_size, keys["late_generator"])
    effective, _ = judging.normalised(spec, critic_state.discriminator, critic_state.spectral)
    drawn = draws(spec, keys["noise_generator"], spec.batch_size)

    def make(params: GeneratorParams, z: Array = z) -> Fakes:
        return generate(spec, params, hypers, z, drawn, t)

    std = judging.instance_std(spec, hypers, state, keys["level_generator"], t)
    rivals = None
    if spec.loss.paired:
        noise = make(state.player).noise if spec.shared else None
        rivals = judging.rivals_of(spec, hypers, effective, data, noise, std, keys)
    price = judging.Price(
        judging.generator_loss(spec, effective, std, keys),
        judging.Beside(rivals, std if spec.random_level else None),
    )
    to_x, hmc = _entropy_cotangent(spec, hypers, state, make, z, keys)
    entropy_share = None
    if to_x is not None:
        to_noise = None
        if spec.proximal:
            noise = make(state.player).noise
            to_noise = proximal.conditional_cotangent(hypers, noise, drawn.eps)
        entropy_share = EntropyShare(to_x, to_noise, drawn)
    if _by_autodiff(spec):
        moved = _backpropagate(spec, state.player, make, price, entropy_share)
    else:
        key = keys["noise_generator"]
        moved = _estimate(spec, state.player, make, price, entropy_share, key)
    own = (moved.grads.network, state.moments.generator, state.player.network)
    network, network_state = _update(spec, hypers, *own, "generator", t)
    if spec.sigma_player == "generator":
        state = _with_noise(spec, hypers, state, moved.grads.noise, t, spec.proximal)
    params = GeneratorParams(network, state.player.noise)
    after = state._replace(
        player=params,
        moments=state.moments._replace(generator=network_state),
        average=_average(spec, hypers, state.average, params, t),
        hmc=hmc,
    )
    return after, moved


def _with_noise(
    spec: GanSpec, hypers: Hypers, state: State, grads: Any, t: Array, proximally: bool = False
) -> State:
    """The state after a step of what makes the noise; ``proximally``: with that of `proximal`."""
    rate = hypers.rates.sigma.at(t)
    noise, noise_state = per_entry(spec.sigma_optimizer).update(
        grads, state.moments.noise, state.player.noise, rate, t
    )
    if proximally:
        noise = proximal.moved(spec, hypers, noise, rate)
    noise = observation.project(spec.observation, noise, hypers.noise.bounds)
    return state._replace(
        player=state.player._replace(noise=noise), moments=state.moments._replace(noise=noise_state)
    )


def _adapted(hypers: Hypers, state: State, info: judging.DiscriminatorInfo) -> Array | None:
    """The largest level of the instance noise after the discriminator's move."""
    if state.instance_share is None or hypers.instance is None:
        return state.instance_share
    return instance.adapted(state.instance_share, info.sign, hypers.instance)


def _update(
    spec: GanSpec,
    hypers: Hypers,
    grads: Any,
    opt_state: Any,
    params: Any,
    player: Literal["generator", "discriminator"],
    t: Array,
) -> tuple[Any, Any]:
    """A player's parameters and its optimiser's state after a step."""
    rate = getattr(hypers.rates, player).at(t)
    if not spec.annealed or hypers.annealing is None:
        return spec.optimizer.update(grads, opt_state, params, rate, t)
    rate = rate * hypers.annealing.rate_factor(t)
    b2 = hypers.annealing.b2(spec.optimizer.b2, t)
    return spec.optimizer.update(grads, opt_state, params, rate, t, b2)


def _by_autodiff(spec: GanSpec) -> bool:
    """Whether one backward pass gives the gradient that is asked for."""
    plain = spec.sigma_gradient == "pathwise" and spec.noise_samples == 1
    return plain and (spec.gradient == "pathwise" or not spec.observation.components)


def _backpropagate(
    spec: GanSpec,
    params: GeneratorParams,
    make: Callable[[GeneratorParams], Fakes],
    price: judging.Price,
    paid: EntropyShare | None,
) -> GeneratorGrads:
    def loss(params: GeneratorParams) -> tuple[Array, tuple[Array, NoiseScale]]:
        fakes = make(params)
        value = jnp.mean(price.of(fakes.mean if spec.gradient == "at_mean" else fakes.x))
        total = value
        if paid is not None:
            total = value + jnp.mean(jnp.sum(paid.to_x * fakes.x, axis=-1))
            if paid.to_noise is not None:
                at_noise = jnp.sum(paid.to_noise * paid.noise_of(fakes), axis=-1)
                total = total + jnp.mean(at_noise)
        return total, (value, fakes.noise)

    grads, (value, noise) = jax.grad(loss, has_aux=True)(params)
    return GeneratorGrads(value, grads, noise)


def _estimate(
    spec: GanSpec,
    params: GeneratorParams,
    make: Callable[[GeneratorParams], Fakes],
    price: judging.Price,
    paid: EntropyShare | None,
    key: Array,
) -> GeneratorGrads:
    """The gradient by the library's estimators, carried to the parameters by the chain rule."""

    def stacked(params: GeneratorParams) -> tuple[Any, NoiseScale]:
        fakes = make(params)
        own = None if paid is None or paid.to_noise is None else paid.noise_of(fakes)
        return (sigma_gradient.gaussians(fakes.mean, fakes.noise), fakes.x, own), fakes.noise

    (gaussians, x, _), pull, noise = jax.vjp(stacked, params, has_aux=True)
    losses, each = sigma_gradient.loss_and_gaussian_grads(
        sigma_gradient.SampleLoss(price.of_one, spec.discriminator.smoothness),
        gaussians,
        jax.random.fold_in(key, 2),
        gradient=spec.gradient,
        sigma_gradient=spec.sigma_gradient,
        num_samples=spec.noise_samples,
        beside=price.beside,
    )
    mean = jax.tree.map(lambda leaf: leaf / spec.batch_size, each)
    to_x = jnp.zeros_like(x) if paid is None else paid.to_x / spec.batch_size
    to_noise = None if paid is None or paid.to_noise is None else paid.to_noise / spec.batch_size
    (grads,) = pull((mean, to_x, to_noise))
    return GeneratorGrads(jnp.mean(losses), grads, noise)


def _entropy_cotangent(
    spec: GanSpec,
    hypers: Hypers,
    state: State,
    make: Callable[[GeneratorParams, Array], Fakes],
    z: Array,
    keys: Keys,
) -> tuple[Array | None, Any]:
    """What is added to the cotangent of x so that the generator ascends its entropy, [B, D].

    The latents and the noise are those of the generator's own step: the score is taken at the
    samples that the gradient runs through. A scale of 0 counts as the floor; the weight of an arm
    that has it is 0. The chains move in the normal variables that the latents are made of, for the
    sampler's prior is theirs.
    """
    if not spec.entropy or state.hmc is None:
        return None, state.hmc

    def mean(u: Array) -> Array:
        return spec.generator.apply(state.player.network, from_normal(spec, u)[None]).mean[0]

    def scale(u: Array) -> Array:
        batch = make(state.player, from_normal(spec, u)[None]).noise.scale
        size = jnp.abs(batch[0] if batch.ndim == 2 else batch)
        bounded = observation.learns(hypers.noise) | (size == 0)
        return jnp.maximum(size, jnp.where(bounded, hypers.noise.bounds.floor, 0.0))

    fakes = make(state.player, z)
    negative_score, hmc = entropy.score(
        mean,
        fakes.x,
        to_normal(spec, z),
        scale,
        keys["entropy"],
        state.hmc,
        factor=fakes.noise.factor,
        num_burn_in=spec.entropy_burn_in,
    )
    return -hypers.entropy_weight * jax.lax.stop_gradient(negative_score), hmc


def _average(
    spec: GanSpec,
    hypers: Hypers,
    average: GeneratorParams | None,
    params: GeneratorParams,
    t: Array,
) -> GeneratorParams | None:
    """The moving average after step ``t``."""
    if average is None:
        return None
    if spec.annealed and hypers.annealing is not None:
        decay = hypers.annealing.average_decay(hypers.ema_decay, t)
    else:
        decay = annealing.ramped(hypers.ema_decay, t)
    return jax.tree.map(lambda kept, new: decay * kept + (1.0 - decay) * new, average, params)
