"""What the two players pay: how the discriminator sees examples, and the losses of its logits.

The discriminator judges real and generated examples in one pass, both with the noise that the game
puts on them. What belongs to one example of the generator's batch alone, a real example that it is
paired with or a level of noise, stands beside it, so that its loss is an f_i(x) for any estimator.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from sigmaprop.estimators.estimation import expectation
from sigmaprop.gaussians import Isotropic
from sigmaprop.generators import instance, regularizers, spectral
from sigmaprop.generators.gan import GanSpec, Hypers, State, draws
from sigmaprop.generators.observation import NoiseScale
from sigmaprop.generators.schedule import select_sigma

Keys = dict[str, Array]


class DiscriminatorInfo(NamedTuple):
    """The discriminator's loss, its mean logits of real and generated examples, and the mean sign
    of those of real ones.
    """

    loss: Array
    real: Array
    fake: Array
    sign: Array


class Beside(NamedTuple):
    """What belongs to each example of the generator's batch.

    Attributes:
        rival: logit of the real example that it is paired with, [B]; None without pairs.
        std: of its instance noise, [B, 1]; None where it is the same for all.
    """

    rival: Array | None = None
    std: Array | None = None


class Price(NamedTuple):
    """What the generator pays for an example: f(x), or f_i(x) where something belongs to it.

    Attributes:
        pays: ``(x [B, D], beside) -> [B]``.
        beside: what belongs to the examples of the batch.
    """

    pays: Callable[[Array, Beside], Array]
    beside: Beside

    def of(self, x: Float[Array, "B D"]) -> Float[Array, " B"]:
        """Of each example of the batch."""
        return self.pays(x, self.beside)

    def of_one(self, x: Float[Array, " D"], beside: Beside | None = None) -> Float[Array, ""]:
        """Of one example, for which ``beside`` is without its leading axis."""
        own = jax.tree.map(lambda leaf: leaf[None], beside or Beside())
        return self.pays(x[None], own)[0]


def examples(
    hypers: Hypers, data: Float[Array, "N D"], key: Array, num: int
) -> Float[Array, "num D"]:
    """Training examples drawn with replacement, [num, D]."""
    if hypers.rows is None:
        return data[jax.random.randint(key, (num,), 0, data.shape[0])]
    return data[hypers.rows[jax.random.randint(key, (num,), 0, hypers.rows.shape[0])]]


def with_shared_noise(
    spec: GanSpec, hypers: Hypers, clean: Array, noise: NoiseScale, key: Array
) -> Array:
    """Real examples with noise of the generator's scale, where the replica shares it."""
    if not spec.shared:
        return clean
    noised = noise.add_to(clean, *draws(spec, key, clean.shape[0]))
    return jnp.where(hypers.shared, noised, clean)


def normalised(spec: GanSpec, params: Any, singular: Any) -> tuple[Any, Any]:
    """The discriminator's parameters as it uses them."""
    if not spec.spectral_norm:
        return params, singular
    return spectral.normalise(params, singular)


def instance_std(spec: GanSpec, hypers: Hypers, state: State, key: Array, t: Array) -> Array:
    """Std of the instance noise: [], or [B, 1] where each example has a level of its own."""
    std = select_sigma(hypers.instance_noise, t)
    if state.instance_share is not None:
        std = std * state.instance_share
    if spec.random_level and hypers.instance is not None:
        std = std * instance.levels(hypers.instance.law, key, spec.batch_size)
    return std


def discriminator_loss(
    spec: GanSpec, params: Any, real: Array, fake: Array, std: Array, keys: Keys
) -> tuple[Array, DiscriminatorInfo]:
    """The discriminator's loss, [], without penalties, and what it says of both kinds of examples.

    The examples of one place in the batch, a pair to paired losses, have one level of noise.
    """
    size = real.shape[0]
    both = jnp.concatenate([real, fake])
    each = jnp.concatenate([std, std]) if spec.random_level else std
    if spec.instance_noise and not spec.instance_nodes:
        both = both + each * jax.random.normal(keys["instance_discriminator"], both.shape)
    logits = _discriminate(spec, params, both, keys["dropout_discriminator"], each)
    info = DiscriminatorInfo(
        jnp.zeros(()),
        jnp.mean(logits[:size]),
        jnp.mean(logits[size:]),
        jnp.mean(jnp.sign(logits[:size])),
    )
    if not spec.instance_nodes:
        return spec.loss.discriminator(logits[:size], logits[size:]), info
    expected = _expected(spec, params, std)
    return jnp.mean(expected(spec.loss.real, real)) + jnp.mean(expected(spec.loss.fake, fake)), info


def generator_loss(
    spec: GanSpec, params: Any, std: Array, keys: Keys
) -> Callable[[Array, Beside], Array]:
    """What the generator pays for each example: (x [B, D], what belongs to them) to [B]."""
    if spec.instance_nodes:
        expected = _expected(spec, params, std)
        return lambda x, _: expected(spec.loss.generator, x)

    def per_example(x: Array, beside: Beside) -> Array:
        each = std if beside.std is None else beside.std
        if spec.instance_noise:
            x = x + each * jax.random.normal(keys["instance_generator"], x.shape)
        logits = _discriminate(spec, params, x, keys["dropout_generator"], each)
        return spec.loss.of_generated(logits, beside.rival)

    return per_example


def rivals_of(
    spec: GanSpec,
    hypers: Hypers,
    params: Any,
    data: Array,
    noise: NoiseScale | None,
    std: Array,
    keys: Keys,
) -> Float[Array, " B"]:
    """Logits of real examples, seen as the discriminator sees them, drawn in the generator's step.

    They carry no gradient: the noise that they share with the generator's examples is a constant.
    """
    real = examples(hypers, data, keys["data_generator"], spec.batch_size)
    if noise is not None:
        real = with_shared_noise(spec, hypers, real, noise, keys["noise_real_generator"])
    if spec.instance_noise:
        real = real + std * jax.random.normal(keys["instance_real_generator"], real.shape)
    logits = _discriminate(spec, params, real, keys["dropout_real_generator"], std)
    return jax.lax.stop_gradient(logits)


def _discriminate(spec: GanSpec, params: Any, x: Array, key: Array, std: Array) -> Array:
    """Logits of examples, [B], whose level of instance noise the discriminator may be told."""
    own = key if spec.discriminator.uses_key else None
    if not spec.told:
        return spec.discriminator.apply(params, x, own)
    return spec.discriminator.apply(params, x, own, jnp.broadcast_to(std, (x.shape[0], 1)))


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


def penalty(
    spec: GanSpec, hypers: Hypers, params: Any, real: Array, fake: Array, keys: Keys, t: Array
) -> Array:
    """The weighted penalties on the discriminator, [], as they stand at step ``t``."""
    points = regularizers.points(
        spec.penalties, real, fake, keys["penalty"], keys["penalty_noise"], hypers.penalty_sigma
    )
    total = regularizers.penalty(
        hypers.penalties, lambda x: spec.discriminator.apply(params, x), points
    )
    if not spec.annealed or hypers.annealing is None:
        return total
    return hypers.annealing.penalty_factor(t) * total
