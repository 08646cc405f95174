"""A GAN: what all replicas of a program share, what each has of its own, and the state.

A `GanSpec` is static: it decides what is compiled. `Hypers` are arrays: replicas of one spec differ
in seed, arm, rates and weights, and run side by side in one executable.
"""

from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from sigmaprop.generators import observation, spectral
from sigmaprop.generators.annealing import Annealing
from sigmaprop.generators.divergence import NOT_DIVERGED
from sigmaprop.generators.entropy import NUM_BURN_IN, HmcState
from sigmaprop.generators.instance import Instance
from sigmaprop.generators.losses import Loss
from sigmaprop.generators.networks.base import Network
from sigmaprop.generators.observation import NoiseHypers, Observation
from sigmaprop.generators.optimizers import Optimizer, Rate, per_entry
from sigmaprop.generators.schedule import SigmaSchedule
from sigmaprop.likelihood import prior
from sigmaprop.noise import normal_rows

STREAMS = {
    name: number
    for number, name in enumerate(
        (
            *("init", "data", "latent_discriminator", "latent_generator", "noise_real"),
            *("noise_discriminator", "noise_generator", "instance_discriminator"),
            *("instance_generator", "dropout_discriminator", "dropout_generator"),
            *("penalty", "entropy", "evaluation", "data_generator", "noise_real_generator"),
            *("instance_real_generator", "dropout_real_generator"),
            *("level_discriminator", "level_generator", "penalty_noise"),
            *("late_discriminator", "late_generator", "post_hoc"),
        ),
        start=1,
    )
}
"""The purposes of random numbers; each folds its own constant into the replica's key."""


class StepInfo(NamedTuple):
    """What a step measures, each []; windows of steps are averaged.

    Attributes:
        discriminator_loss: with its penalties.
        generator_loss: without the entropy.
        logit_real: mean logit of real examples.
        logit_fake: mean logit of generated examples.
        sigma: root mean square std of the noise, in units of x.
        sigma_slope: derivative of the generator's loss in log sigma; see `log_sigma_grad`.
        sigma_slope_squared: its square.
        at_floor: share of learned scales at the floor.
        at_ceiling: share of learned scales at the ceiling.
        hmc_acceptance: of the entropy's sampler, 0 where there is none.
    """

    discriminator_loss: Array
    generator_loss: Array
    logit_real: Array
    logit_fake: Array
    sigma: Array
    sigma_slope: Array
    sigma_slope_squared: Array
    at_floor: Array
    at_ceiling: Array
    hmc_acceptance: Array


METRICS = StepInfo._fields
"""The columns of windows, in this order."""
ADAPTS = "instance_share"
"""One more, where the largest level of the instance noise adapts: as a share of what it may be."""


class GanSpec(NamedTuple):
    """What is the same for all replicas of one program.

    Attributes:
        generator: latent to mean and features.
        discriminator: x to logits.
        observation: the noise behind the generator.
        loss: of both players.
        optimizer: of both networks.
        sigma_optimizer: of what makes the noise.
        batch_size: examples of each kind in a step.
        latent: distribution of z, of mean 0 and variance 1.
        discriminator_steps: for each step of the generator, each with its own batch.
        simultaneous: both players move from the same point; else the discriminator goes first.
        gradient: "pathwise" differentiates the discriminator at x, "at_mean" at the mean.
        sigma_gradient: label of the estimator of the gradient to the noise's parameters.
        noise_samples: draws of the noise for each latent, where `sigma_gradient` or `gradient` asks
            for more than back-propagation through one of them.
        penalties: those that the program holds.
        penalty_points: whether they are taken at examples without noise or as they are seen.
        spectral_norm: whether the discriminator's kernels are divided by their spectral norms.
        shared: whether some replica adds its noise to real examples too.
        instance_noise: whether some replica adds noise to all that the discriminator sees.
        instance_nodes: 0 draws that noise; else its expectation is taken at so many nodes.
        random_level: whether some replica draws the level of that noise for each example.
        told: whether the discriminator is told the level; its ``apply`` then takes one.
        adaptive: whether some replica's largest level follows the discriminator's outputs.
        mean_gradient: whether the gradient to sigma(z) moves the network of the mean too, through
            the features that its head reads ("joint"), or the head alone ("detached").
        sigma_player: who moves what makes the noise, where it is shared: the generator, against
            the discriminator's loss, or the discriminator, with its own.
        entropy: whether some replica's generator is paid for its entropy.
        proximal: whether a scale takes the part log s of its entropy by the step of `proximal`.
        entropy_burn_in: moves of the entropy's chains whose end is not used; see `entropy.score`.
        average: whether a moving average of the generator is kept.
        annealed: whether some replica's rates, penalties, Adam or average change over the run.
    """

    generator: Network
    discriminator: Network
    observation: Observation
    loss: Loss
    optimizer: Optimizer
    sigma_optimizer: Optimizer
    batch_size: int
    latent: Literal["normal", "uniform"] = "normal"
    discriminator_steps: int = 1
    simultaneous: bool = False
    gradient: str = "pathwise"
    sigma_gradient: str = "pathwise"
    noise_samples: int = 1
    penalties: tuple[str, ...] = ()
    penalty_points: Literal["clean", "noised"] = "noised"
    spectral_norm: bool = False
    shared: bool = False
    instance_noise: bool = False
    instance_nodes: int = 0
    entropy: bool = False
    entropy_burn_in: int = NUM_BURN_IN
    average: bool = False
    annealed: bool = False
    random_level: bool = False
    told: bool = False
    adaptive: bool = False
    mean_gradient: Literal["joint", "detached"] = "joint"
    sigma_player: Literal["generator", "discriminator"] = "generator"
    proximal: bool = False

    @property
    def metrics(self) -> tuple[str, ...]:
        """The columns of windows, in this order."""
        return (*METRICS, ADAPTS) if self.adaptive else METRICS


class Rates(NamedTuple):
    """Learning rates: of the generator's network, of the discriminator, of the noise."""

    generator: Rate
    discriminator: Rate
    sigma: Rate


class Hypers(NamedTuple):
    """What one replica has of its own.

    Attributes:
        key: of all its random numbers; replicas to be paired share it.
        noise: its arm.
        shared: whether real examples get noise of the same scale.
        rates: learning rates.
        penalties: weight of each penalty of the spec.
        instance_noise: std of the noise on all examples, by step.
        entropy_weight: what the generator is paid for a nat.
        ema_decay: of the moving average of generator and noise.
        rows: the rows of the data that it trains on, None for all. [n]
        annealing: where the spec is annealed, how.
        instance: where levels are random or adapt, how.
        penalty_sigma: std of the noise of the approximate penalties, None where there is none. []
    """

    key: Key[Array, ""]
    noise: NoiseHypers
    shared: Bool[Array, ""]
    rates: Rates
    penalties: dict[str, Float[Array, ""]]
    instance_noise: SigmaSchedule
    entropy_weight: Float[Array, ""]
    ema_decay: Float[Array, ""]
    rows: Int[Array, " n"] | None = None
    annealing: Annealing | None = None
    instance: Instance | None = None
    penalty_sigma: Float[Array, ""] | None = None


class GeneratorParams(NamedTuple):
    """The generator: its network's parameters, and the raw ones of its noise."""

    network: Any
    noise: dict[str, Any]


class OptStates(NamedTuple):
    """The optimisers' states."""

    generator: Any
    noise: Any
    discriminator: Any


class State(NamedTuple):
    """A replica between two steps. Checkpoints hold the names of its fields, so they stay.

    Attributes:
        player: the generator.
        discriminator: parameters.
        moments: the optimisers' states.
        average: moving average of the generator, None where none is kept.
        spectral: left singular vectors of the discriminator's kernels, or None.
        hmc: what the sampler of the entropy's gradient adapts, or None.
        diverged_at: the step whose losses were not finite, after which nothing moves; -1.
        window: sums of the metrics over the steps of the current window, [M].
        instance_share: the largest level of the instance noise as a share of what it may be, [];
            None where no replica's adapts.
    """

    player: GeneratorParams
    discriminator: Any
    moments: OptStates
    average: GeneratorParams | None
    spectral: Any
    hmc: HmcState | None
    diverged_at: Int[Array, ""]
    window: Float[Array, " M"]
    instance_share: Float[Array, ""] | None = None


def streams(key: Key[Array, ""]) -> dict[str, Key[Array, ""]]:
    """One key for each purpose; it does not depend on what else is drawn."""
    return {name: jax.random.fold_in(key, number) for name, number in STREAMS.items()}


def init(spec: GanSpec, hypers: Hypers) -> State:
    """The state before step 0."""
    keys = jax.random.split(streams(hypers.key)["init"], 4)
    generator = GeneratorParams(
        spec.generator.init(keys[0]), observation.init(spec.observation, hypers.noise, keys[2])
    )
    discriminator = spec.discriminator.init(keys[1])
    opt_states = OptStates(
        spec.optimizer.init(generator.network),
        per_entry(spec.sigma_optimizer).init(generator.noise),
        spec.optimizer.init(discriminator),
    )
    return State(
        generator,
        discriminator,
        opt_states,
        generator if spec.average else None,
        spectral.init(discriminator, keys[3]) if spec.spectral_norm else None,
        HmcState.start(spec.generator.in_dim) if spec.entropy else None,
        jnp.asarray(NOT_DIVERGED, jnp.int32),
        jnp.zeros(len(spec.metrics)),
        jnp.ones(()) if spec.adaptive else None,
    )


def latent(
    spec: GanSpec, key: Key[Array, ""], num: int, late_key: Key[Array, ""] | None = None
) -> Float[Array, "num Z"]:
    """Latents of mean 0 and variance 1, [num, Z].

    The last of them, which enter late where the generator has such, come from a key of their own:
    the others are those of a generator without. Normal ones, here and in `draws`, have the bits of
    `jax.random.normal`, and save a twentieth of a step on a CPU.

    Raises:
        ValueError: the generator has late latents, and there is no key for them.
    """
    late = spec.generator.late_dim
    z = _latent(spec, key, num, spec.generator.in_dim - late)
    if not late:
        return z
    if late_key is None:
        raise ValueError(f"the generator has {late} late latents; give the key that draws them")
    return jnp.concatenate([z, _latent(spec, late_key, num, late)], axis=1)


def _latent(spec: GanSpec, key: Array, num: int, width: int) -> Array:
    if spec.latent == "uniform":
        return jax.random.uniform(key, (num, width), minval=-prior.EDGE, maxval=prior.EDGE)
    return normal_rows(key, 0, num, width)


def to_normal(spec: GanSpec, z: Float[Array, "..."]) -> Float[Array, "..."]:
    """The standard normal variables that latents of the spec are a function of."""
    return prior.to_normal(spec.latent, z)


def from_normal(spec: GanSpec, u: Float[Array, "..."]) -> Float[Array, "..."]:
    """The latents of standard normal variables; the inverse of `to_normal`."""
    return prior.from_normal(spec.latent, u)


class Draws(NamedTuple):
    """The standard normal noise of a batch: [B, D] and [B, R] (None without a factor)."""

    eps: Float[Array, "B D"]
    zeta: Float[Array, "B R"] | None


def draws(spec: GanSpec, key: Key[Array, ""], num: int) -> Draws:
    """Noise of ``num`` samples; what the factor needs comes from a key of its own.

    Behind the barrier a draw is one number to XLA: it would otherwise multiply a scale that is the
    same for all samples by the sqrt(2) of a normal draw first, but not one that differs, and an
    arm's bits would depend on the other arms of its program.
    """
    eps = normal_rows(key, 0, num, spec.observation.dim)
    zeta = None
    if spec.observation.has_factor:
        zeta = normal_rows(jax.random.fold_in(key, 1), 0, num, spec.observation.rank)
    return Draws(*jax.lax.optimization_barrier((eps, zeta)))
