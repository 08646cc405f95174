"""One step of a GAN of one replica: the discriminator's move, then the generator's.

Noise is fresh and independent for real and generated examples, and for the two players. The
discriminator judges real and generated examples in one pass. A step whose losses or parameters are
not finite is not taken, and none is after it: the replica keeps its last state, its `diverged_at`
names the step.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from sigmaprop.estimators.estimation import expectation
from sigmaprop.gaussians import Isotropic
from sigmaprop.generators import (
    divergence,
    entropy,
    observation,
    regularizers,
    sigma_gradient,
    spectral,
)
from sigmaprop.generators.gan import (
    METRICS,
    Draws,
    GanSpec,
    GeneratorParams,
    Hypers,
    OptStates,
    State,
    StepInfo,
    draws,
    from_normal,
    init,
    latent,
    streams,
    to_normal,
)
from sigmaprop.generators.observation import NoiseScale
from sigmaprop.generators.optimizers import per_entry
from sigmaprop.generators.replicas import Model
from sigmaprop.generators.schedule import select_sigma

Keys = dict[str, Array]


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


class DiscriminatorInfo(NamedTuple):
    """The discriminator's loss, and its mean logits of real and generated examples."""

    loss: Array
    real: Array
    fake: Array


class GeneratorGrads(NamedTuple):
    """The generator's loss, its gradient, and the noise that it was taken with."""

    loss: Array
    grads: GeneratorParams
    noise: NoiseScale


def model(spec: GanSpec) -> Model:
    """A GAN of this spec, for `replicas.engine`."""

    def stepper(hypers: Hypers) -> Callable[..., tuple[State, StepInfo]]:
        keys = streams(hypers.key)
        return lambda state, data, t: step(spec, hypers, state, data, keys, t)

    return Model(functools.partial(init, spec), stepper, METRICS)


def step(
    spec: GanSpec,
    hypers: Hypers,
    state: State,
    data: Float[Array, "N D"],
    keys: Keys,
    t: Int[Array, ""],
) -> tuple[State, StepInfo]:
    """The state after step ``t``, and what the step measures.

    Args:
        spec: what all replicas share.
        hypers: the replica's own.
        state: before the step.
        data: training examples.
        keys: from `gan.streams`.
        t: absolute number of the step.
    """
    before = state
    d_info = DiscriminatorInfo(jnp.zeros(()), jnp.zeros(()), jnp.zeros(()))
    for d_step in range(spec.discriminator_steps):
        state, d_info = move_discriminator(
            spec, hypers, state, data, _step_keys(keys, t, d_step), t
        )
    critic_state = before if spec.simultaneous else state
    state, moved = move_generator(spec, hypers, state, critic_state, _step_keys(keys, t, 0), t)
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
        & divergence.is_finite((state.player, state.discriminator))
    )
    return divergence.settle(before, state, finite, t), info


def _step_keys(keys: Keys, t: Array, d_step: int) -> Keys:
    """The keys of a step; of a further step of the discriminator within it."""
    now = {name: jax.random.fold_in(key, t) for name, key in keys.items()}
    if d_step == 0:
        return now
    return {name: jax.random.fold_in(key, d_step) for name, key in now.items()}


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
    scale = observation.noise_scale(
        spec.observation, params.noise, output.features, sigma, hypers.noise
    )
    return Fakes(output.mean, scale.add_to(output.mean, *noise), scale, z)


def normalised(spec: GanSpec, params: Any, singular: Any) -> tuple[Any, Any]:
    """The discriminator's parameters as it uses them."""
    if not spec.spectral_norm:
        return params, singular
    return spectral.normalise(params, singular)


def move_discriminator(
    spec: GanSpec, hypers: Hypers, state: State, data: Array, keys: Keys, t: Array
) -> tuple[State, DiscriminatorInfo]:
    """The discriminator's move: the state after it, its loss and its logits."""
    size = spec.batch_size
    z = latent(spec, keys["latent_discriminator"], size)
    noise = draws(spec, keys["noise_discriminator"], size)
    fakes = generate(spec, state.player, hypers, z, noise, t)
    clean = _examples(hypers, data, keys["data"], size)
    real = _with_shared_noise(spec, hypers, clean, fakes.noise, keys["noise_real"])

    def loss(params: Any) -> tuple[Array, tuple[DiscriminatorInfo, Any]]:
        effective, singular = normalised(spec, params, state.spectral)
        total, info = _discriminator_loss(spec, hypers, effective, real, fakes.x, keys, t)
        if spec.penalties:
            noised = spec.penalty_points == "noised"
            points = (real, fakes.x) if noised else (clean, fakes.mean)
            total = total + _penalty(spec, hypers, effective, *points, keys)
        return total, (info._replace(loss=total), singular)

    grads, (info, singular) = jax.grad(loss, has_aux=True)(state.discriminator)
    params, opt_state = spec.optimizer.update(
        grads, state.moments.discriminator, state.discriminator, hypers.rates.discriminator.at(t), t
    )
    moved = state._replace(
        discriminator=params,
        moments=state.moments._replace(discriminator=opt_state),
        spectral=singular,
    )
    return moved, info


def move_generator(
    spec: GanSpec, hypers: Hypers, state: State, critic_state: State, keys: Keys, t: Array
) -> tuple[State, GeneratorGrads]:
    """The generator's move against the discriminator of ``critic_state``, and its gradient."""
    z = latent(spec, keys["latent_generator"], spec.batch_size)
    effective, _ = normalised(spec, critic_state.discriminator, critic_state.spectral)
    per_example = _generator_loss(spec, hypers, effective, keys, t)
    drawn = draws(spec, keys["noise_generator"], spec.batch_size)

    def make(params: GeneratorParams, z: Array = z) -> Fakes:
        return generate(spec, params, hypers, z, drawn, t)

    entropy_cotangent, hmc = _entropy_cotangent(spec, hypers, state, make, z, keys)
    if _by_autodiff(spec):
        moved = _backpropagate(spec, state.player, make, per_example, entropy_cotangent)
    else:
        key = keys["noise_generator"]
        moved = _estimate(spec, state.player, make, per_example, entropy_cotangent, key)
    network, network_state = spec.optimizer.update(
        moved.grads.network,
        state.moments.generator,
        state.player.network,
        hypers.rates.generator.at(t),
        t,
    )
    noise, noise_state = per_entry(spec.sigma_optimizer).update(
        moved.grads.noise, state.moments.noise, state.player.noise, hypers.rates.sigma.at(t), t
    )
    noise = observation.project(spec.observation, noise, hypers.noise.bounds)
    params = GeneratorParams(network, noise)
    after = state._replace(
        player=params,
        moments=OptStates(network_state, noise_state, state.moments.discriminator),
        average=_average(state.average, params, hypers.ema_decay, t),
        hmc=hmc,
    )
    return after, moved


def _by_autodiff(spec: GanSpec) -> bool:
    """Whether one backward pass gives the gradient that is asked for."""
    plain = spec.sigma_gradient == "pathwise" and spec.noise_samples == 1
    return plain and (spec.gradient == "pathwise" or not spec.observation.components)


def _backpropagate(
    spec: GanSpec,
    params: GeneratorParams,
    make: Callable[[GeneratorParams], Fakes],
    per_example: Callable[[Array], Array],
    entropy_cotangent: Array | None,
) -> GeneratorGrads:
    def loss(params: GeneratorParams) -> tuple[Array, tuple[Array, NoiseScale]]:
        fakes = make(params)
        value = jnp.mean(per_example(fakes.mean if spec.gradient == "at_mean" else fakes.x))
        total = value
        if entropy_cotangent is not None:
            total = value + jnp.mean(jnp.sum(entropy_cotangent * fakes.x, axis=-1))
        return total, (value, fakes.noise)

    grads, (value, noise) = jax.grad(loss, has_aux=True)(params)
    return GeneratorGrads(value, grads, noise)


def _estimate(
    spec: GanSpec,
    params: GeneratorParams,
    make: Callable[[GeneratorParams], Fakes],
    per_example: Callable[[Array], Array],
    entropy_cotangent: Array | None,
    key: Array,
) -> GeneratorGrads:
    """The gradient by the library's estimators, carried to the parameters by the chain rule."""

    def stacked(params: GeneratorParams) -> tuple[Any, NoiseScale]:
        fakes = make(params)
        return (sigma_gradient.gaussians(fakes.mean, fakes.noise), fakes.x), fakes.noise

    (gaussians, x), pull, noise = jax.vjp(stacked, params, has_aux=True)
    sample_loss = sigma_gradient.SampleLoss(
        lambda point: per_example(point[None])[0], spec.discriminator.smoothness
    )
    losses, each = sigma_gradient.loss_and_gaussian_grads(
        sample_loss,
        gaussians,
        jax.random.fold_in(key, 2),
        gradient=spec.gradient,
        sigma_gradient=spec.sigma_gradient,
        num_samples=spec.noise_samples,
    )
    mean = jax.tree.map(lambda leaf: leaf / spec.batch_size, each)
    to_x = jnp.zeros_like(x) if entropy_cotangent is None else entropy_cotangent / spec.batch_size
    (grads,) = pull((mean, to_x))
    return GeneratorGrads(jnp.mean(losses), grads, noise)


def _examples(hypers: Hypers, data: Array, key: Array, num: int) -> Array:
    """Training examples drawn with replacement, [num, D]."""
    if hypers.rows is None:
        return data[jax.random.randint(key, (num,), 0, data.shape[0])]
    return data[hypers.rows[jax.random.randint(key, (num,), 0, hypers.rows.shape[0])]]


def _with_shared_noise(
    spec: GanSpec, hypers: Hypers, clean: Array, noise: NoiseScale, key: Array
) -> Array:
    """Real examples with noise of the generator's scale, where the replica shares it."""
    if not spec.shared:
        return clean
    noised = noise.add_to(clean, *draws(spec, key, clean.shape[0]))
    return jnp.where(hypers.shared, noised, clean)


def _discriminator_loss(
    spec: GanSpec, hypers: Hypers, params: Any, real: Array, fake: Array, keys: Keys, t: Array
) -> tuple[Array, DiscriminatorInfo]:
    size = real.shape[0]
    both = jnp.concatenate([real, fake])
    std = select_sigma(hypers.instance_noise, t)
    if spec.instance_noise and not spec.instance_nodes:
        both = both + std * jax.random.normal(keys["instance_discriminator"], both.shape)
    logits = _discriminate(spec, params, both, keys["dropout_discriminator"])
    info = DiscriminatorInfo(jnp.zeros(()), jnp.mean(logits[:size]), jnp.mean(logits[size:]))
    if not spec.instance_nodes:
        return spec.loss.discriminator(logits[:size], logits[size:]), info
    expected = _expected(spec, params, std)
    return jnp.mean(expected(spec.loss.real, real)) + jnp.mean(expected(spec.loss.fake, fake)), info


def _generator_loss(
    spec: GanSpec, hypers: Hypers, params: Any, keys: Keys, t: Array
) -> Callable[[Array], Array]:
    """What the generator pays for each example: x [B, D] to [B]."""
    std = select_sigma(hypers.instance_noise, t)
    if spec.instance_nodes:
        expected = _expected(spec, params, std)
        return lambda x: expected(spec.loss.generator, x)

    def per_example(x: Array) -> Array:
        if spec.instance_noise:
            x = x + std * jax.random.normal(keys["instance_generator"], x.shape)
        return spec.loss.generator(_discriminate(spec, params, x, keys["dropout_generator"]))

    return per_example


def _discriminate(spec: GanSpec, params: Any, x: Array, key: Array) -> Array:
    return spec.discriminator.apply(params, x, key if spec.discriminator.uses_key else None)


def _expected(spec: GanSpec, params: Any, std: Array) -> Callable[[Callable, Array], Array]:
    """Losses averaged over instance noise by quadrature: (loss of a logit, x [B, D]) to [B]."""

    def averaged(loss: Callable[[Array], Array], x: Array) -> Array:
        return jax.vmap(
            lambda mean: expectation(
                lambda point: loss(spec.discriminator.apply(params, point[None])[0]),
                Isotropic(mean, std),
                jax.random.key(0),  # quadrature draws nothing
                spec.instance_nodes,
                estimator="quadrature",
            )
        )(x)

    return averaged


def _penalty(
    spec: GanSpec, hypers: Hypers, params: Any, real: Array, fake: Array, keys: Keys
) -> Array:
    points = regularizers.points(
        spec.penalties, real, fake, keys["penalty"], keys["penalty_noise"], hypers.penalty_sigma
    )
    return regularizers.penalty(
        hypers.penalties, lambda x: spec.discriminator.apply(params, x), points
    )


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
    average: GeneratorParams | None, params: GeneratorParams, decay: Array, t: Array
) -> GeneratorParams | None:
    """The moving average after step ``t``; its memory is no longer than a tenth of the run so far.

    At first the decay is (1 + t) / (10 + t): else the initial weights would count for thousands of
    steps.
    """
    if average is None:
        return None
    decay = jnp.minimum(decay, (1.0 + t) / (10.0 + t))
    return jax.tree.map(lambda kept, new: decay * kept + (1.0 - decay) * new, average, params)
