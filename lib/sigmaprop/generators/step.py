"""One step of the game of one replica: the discriminator's move, then the generator's.

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
from sigmaprop.generators import entropy, observation, regularizers, schedule, spectral
from sigmaprop.generators import sigma_gradient as by_estimator
from sigmaprop.generators.game import (
    NOT_DIVERGED,
    Draws,
    Game,
    Knobs,
    Moments,
    Player,
    State,
    draws,
    from_normal,
    latent,
    to_normal,
)
from sigmaprop.generators.observation import Spread
from sigmaprop.generators.optimizers import apart

Keys = dict[str, Array]


class Fakes(NamedTuple):
    """Generated examples.

    Attributes:
        mean: mu(z), [B, D].
        x: mean and noise, [B, D].
        spread: of the noise.
        z: latents, [B, Z].
    """

    mean: Float[Array, "B D"]
    x: Float[Array, "B D"]
    spread: Spread
    z: Float[Array, "B Z"]


def step(
    game: Game, knobs: Knobs, state: State, data: Float[Array, "N D"], keys: Keys, t: Int[Array, ""]
) -> tuple[State, Float[Array, " M"]]:
    """The state after step ``t``, and what the step tells, in the order of `METRICS`.

    Args:
        game: what all replicas share.
        knobs: the replica's own.
        state: before the step.
        data: training examples.
        keys: from `game.streams`.
        t: absolute number of the step.
    """
    before = state
    seen = _Losses(jnp.zeros(()), jnp.zeros(()), jnp.zeros(()))
    for turn in range(game.discriminator_steps):
        state, seen = move_discriminator(game, knobs, state, data, _at(keys, t, turn), t)
    judge = before if game.simultaneous else state
    state, own = move_generator(game, knobs, state, judge, _at(keys, t, 0), t)
    told = jnp.stack([seen.loss, own.loss, seen.real, seen.fake, *own.told])
    finite = jnp.isfinite(seen.loss) & jnp.isfinite(own.loss) & _finite(state)
    alive = finite & (before.diverged_at == NOT_DIVERGED)
    kept = jax.tree.map(lambda new, old: jnp.where(alive, new, old), state, before)
    first = ~finite & (before.diverged_at == NOT_DIVERGED)
    return kept._replace(diverged_at=jnp.where(first, t, before.diverged_at)), told


def _finite(state: State) -> Array:
    """Whether all parameters are: a loss may be finite where its gradient is not. []

    A maximum tells it in a quarter of the time of `jnp.isfinite` on a CPU; NaN goes through it.
    """
    leaves = jax.tree.leaves((state.player, state.discriminator))
    return jnp.max(jnp.stack([jnp.max(jnp.abs(leaf)) for leaf in leaves])) < jnp.inf


def generate(
    game: Game, player: Player, knobs: Knobs, z: Array, noise: Draws, t: Int[Array, ""]
) -> Fakes:
    """Examples of given latents and noise, [B, D], with the sigma of step ``t``."""
    made = game.generator.apply(player.network, z)
    sigma = schedule.at(knobs.noise.given, t)
    spread = observation.spread(game.observation, player.noise, made.features, sigma, knobs.noise)
    return Fakes(made.mean, spread.add_to(made.mean, *noise), spread, z)


def normalised(game: Game, params: Any, singular: Any) -> tuple[Any, Any]:
    """The discriminator's parameters as it uses them."""
    if not game.spectral_norm:
        return params, singular
    return spectral.normalise(params, singular)


class _Losses(NamedTuple):
    """The discriminator's loss, and its mean logits of real and generated examples."""

    loss: Array
    real: Array
    fake: Array


class _Own(NamedTuple):
    """The generator's loss, and the rest of what a step tells."""

    loss: Array
    told: tuple[Array, ...]


def _at(keys: Keys, t: Array, turn: int) -> Keys:
    """The keys of a step; of a further turn of the discriminator within it."""
    found = {name: jax.random.fold_in(key, t) for name, key in keys.items()}
    if turn == 0:
        return found
    return {name: jax.random.fold_in(key, turn) for name, key in found.items()}


def move_discriminator(
    game: Game, knobs: Knobs, state: State, data: Array, keys: Keys, t: Array
) -> tuple[State, _Losses]:
    """The discriminator's move against the generator of ``state``."""
    size = game.batch_size
    z = latent(game, keys["latent_discriminator"], size)
    noise = draws(game, keys["noise_discriminator"], size)
    fakes = generate(game, state.player, knobs, z, noise, t)
    clean = _examples(knobs, data, keys["data"], size)
    real = _with_shared_noise(game, knobs, clean, fakes.spread, keys["noise_real"])

    def loss(params: Any) -> tuple[Array, tuple[_Losses, Any]]:
        effective, singular = normalised(game, params, state.spectral)
        total, seen = _discriminator_loss(game, knobs, effective, real, fakes.x, keys, t)
        if game.penalties:
            noised = game.penalty_points == "noised"
            points = (real, fakes.x) if noised else (clean, fakes.mean)
            total = total + _penalty(game, knobs, effective, *points, keys)
        return total, (seen._replace(loss=total), singular)

    gradient, (seen, singular) = jax.grad(loss, has_aux=True)(state.discriminator)
    rate = knobs.rates.discriminator.at(t)
    params, moments = game.optimizer.update(
        gradient, state.moments.discriminator, state.discriminator, rate, t
    )
    moved = state._replace(
        discriminator=params,
        moments=state.moments._replace(discriminator=moments),
        spectral=singular,
    )
    return moved, seen


def move_generator(
    game: Game, knobs: Knobs, state: State, judge: State, keys: Keys, t: Array
) -> tuple[State, _Own]:
    """The generator's move against the discriminator of ``judge``."""
    z = latent(game, keys["latent_generator"], game.batch_size)
    effective, _ = normalised(game, judge.discriminator, judge.spectral)
    per_example = _generator_loss(game, knobs, effective, keys, t)
    drawn = draws(game, keys["noise_generator"], game.batch_size)

    def made(player: Player, z: Array) -> Fakes:
        return generate(game, player, knobs, z, drawn, t)

    push, hmc = _entropy_push(game, knobs, state, made, z, keys)
    seen = functools.partial(made, z=z)
    if _by_autodiff(game):
        found = _backpropagate(game, state.player, seen, per_example, push)
    else:
        found = _estimate(game, state.player, seen, per_example, push, keys["noise_generator"])
    network, network_moments = game.optimizer.update(
        found.gradient.network,
        state.moments.generator,
        state.player.network,
        knobs.rates.generator.at(t),
        t,
    )
    noise, noise_moments = apart(game.sigma_optimizer).update(
        found.gradient.noise,
        state.moments.noise,
        state.player.noise,
        knobs.rates.sigma.at(t),
        t,
    )
    noise = observation.project(game.observation, noise, knobs.noise.bounds)
    player = Player(network, noise)
    moved = state._replace(
        player=player,
        moments=Moments(network_moments, noise_moments, state.moments.discriminator),
        average=_average(state.average, player, knobs.ema_decay, t),
        hmc=hmc,
    )
    return moved, _Own(found.loss, _told(game, knobs, found, hmc))


class _Found(NamedTuple):
    """The generator's loss, its gradient, and the noise that it was taken with."""

    loss: Array
    gradient: Player
    spread: Spread


def _by_autodiff(game: Game) -> bool:
    """Whether one backward pass gives the gradient that the game asks for."""
    plain = game.sigma_gradient == "pathwise" and game.noise_samples == 1
    return plain and (game.gradient == "pathwise" or not game.observation.components)


def _backpropagate(
    game: Game,
    player: Player,
    made: Callable[[Player], Fakes],
    per_example: Callable[[Array], Array],
    push: Array | None,
) -> _Found:
    def loss(player: Player) -> tuple[Array, tuple[Array, Spread]]:
        fakes = made(player)
        seen = fakes.mean if game.gradient == "at_mean" else fakes.x
        value = jnp.mean(per_example(seen))
        total = value if push is None else value + jnp.mean(jnp.sum(push * fakes.x, axis=-1))
        return total, (value, fakes.spread)

    gradient, (value, spread) = jax.grad(loss, has_aux=True)(player)
    return _Found(value, gradient, spread)


def _estimate(
    game: Game,
    player: Player,
    made: Callable[[Player], Fakes],
    per_example: Callable[[Array], Array],
    push: Array | None,
    key: Array,
) -> _Found:
    """The gradient by the library's estimators, carried to the parameters by the chain rule."""

    def stacked(player: Player) -> tuple[Any, Spread]:
        fakes = made(player)
        return (by_estimator.gaussians(fakes.mean, fakes.spread), fakes.x), fakes.spread

    (gaussians, x), pull, spread = jax.vjp(stacked, player, has_aux=True)
    critic = by_estimator.Critic(
        lambda point: per_example(point[None])[0], game.discriminator.smoothness
    )
    losses, each = by_estimator.cotangent(
        critic,
        gaussians,
        jax.random.fold_in(key, 2),
        gradient=game.gradient,
        sigma_gradient=game.sigma_gradient,
        num_samples=game.noise_samples,
    )
    mean = jax.tree.map(lambda leaf: leaf / game.batch_size, each)
    to_x = jnp.zeros_like(x) if push is None else push / game.batch_size
    (gradient,) = pull((mean, to_x))
    return _Found(jnp.mean(losses), gradient, spread)


def _examples(knobs: Knobs, data: Array, key: Array, num: int) -> Array:
    """Training examples drawn with replacement, [num, D]."""
    if knobs.rows is None:
        return data[jax.random.randint(key, (num,), 0, data.shape[0])]
    return data[knobs.rows[jax.random.randint(key, (num,), 0, knobs.rows.shape[0])]]


def _with_shared_noise(game: Game, knobs: Knobs, clean: Array, spread: Spread, key: Array) -> Array:
    """Real examples with noise of the generator's scale, where the replica shares it."""
    if not game.shared:
        return clean
    noised = spread.add_to(clean, *draws(game, key, clean.shape[0]))
    return jnp.where(knobs.shared, noised, clean)


def _discriminator_loss(
    game: Game, knobs: Knobs, params: Any, real: Array, fake: Array, keys: Keys, t: Array
) -> tuple[Array, _Losses]:
    size = real.shape[0]
    both = jnp.concatenate([real, fake])
    std = schedule.at(knobs.instance_noise, t)
    if game.instance_noise and not game.instance_nodes:
        both = both + std * jax.random.normal(keys["instance_discriminator"], both.shape)
    logits = _discriminate(game, params, both, keys["dropout_discriminator"])
    seen = _Losses(jnp.zeros(()), jnp.mean(logits[:size]), jnp.mean(logits[size:]))
    if not game.instance_nodes:
        return game.loss.discriminator(logits[:size], logits[size:]), seen
    expected = _expected(game, params, std)
    return jnp.mean(expected(game.loss.real, real)) + jnp.mean(expected(game.loss.fake, fake)), seen


def _generator_loss(
    game: Game, knobs: Knobs, params: Any, keys: Keys, t: Array
) -> Callable[[Array], Array]:
    """What the generator pays for each example: x [B, D] to [B]."""
    std = schedule.at(knobs.instance_noise, t)
    if game.instance_nodes:
        expected = _expected(game, params, std)
        return lambda x: expected(game.loss.generator, x)

    def per_example(x: Array) -> Array:
        if game.instance_noise:
            x = x + std * jax.random.normal(keys["instance_generator"], x.shape)
        logits = _discriminate(game, params, x, keys["dropout_generator"])
        return game.loss.generator(logits)

    return per_example


def _discriminate(game: Game, params: Any, x: Array, key: Array) -> Array:
    return game.discriminator.apply(params, x, key if game.discriminator.uses_key else None)


def _expected(game: Game, params: Any, std: Array) -> Callable[[Callable, Array], Array]:
    """Losses averaged over instance noise by quadrature: (loss of a logit, x [B, D]) to [B]."""

    def averaged(loss: Callable[[Array], Array], x: Array) -> Array:
        def of_one(point: Array) -> Array:
            return loss(game.discriminator.apply(params, point[None])[0])

        def one(mean: Array) -> Array:
            return expectation(
                of_one,
                Isotropic(mean, std),
                jax.random.key(0),  # quadrature draws nothing
                game.instance_nodes,
                estimator="quadrature",
            )

        return jax.vmap(one)(x)

    return averaged


def _penalty(game: Game, knobs: Knobs, params: Any, real: Array, fake: Array, keys: Keys) -> Array:
    between = None
    if "gradient_penalty" in game.penalties:
        share = jax.random.uniform(keys["penalty"], (real.shape[0], 1))
        between = share * real + (1.0 - share) * fake
    return regularizers.penalty(
        knobs.penalties,
        lambda x: game.discriminator.apply(params, x),
        regularizers.Points(real, fake, between),
    )


def _entropy_push(
    game: Game,
    knobs: Knobs,
    state: State,
    made: Callable[[Player, Array], Fakes],
    z: Array,
    keys: Keys,
) -> tuple[Array | None, Any]:
    """What is added to the cotangent of x so that the generator ascends its entropy, [B, D].

    The latents and the noise are those of the generator's own step: the score is taken at the
    samples that the gradient runs through. A scale of 0 counts as the floor; the weight of an arm
    that has it is 0. The chains move in the normal variables that the latents are made of, for the
    sampler's prior is theirs.
    """
    if not game.entropy or state.hmc is None:
        return None, state.hmc

    def mean(u: Array) -> Array:
        return game.generator.apply(state.player.network, from_normal(game, u)[None]).mean[0]

    def scale(u: Array) -> Array:
        found = made(state.player, from_normal(game, u)[None]).spread.scale
        size = jnp.abs(found[0] if found.ndim == 2 else found)
        bounded = observation.learns(knobs.noise) | (size == 0)
        return jnp.maximum(size, jnp.where(bounded, knobs.noise.bounds.floor, 0.0))

    fakes = made(state.player, z)
    negative_score, hmc = entropy.score(
        mean,
        fakes.x,
        to_normal(game, z),
        scale,
        keys["entropy"],
        state.hmc,
        factor=fakes.spread.factor,
        num_burn_in=game.entropy_burn_in,
    )
    return -knobs.entropy_weight * jax.lax.stop_gradient(negative_score), hmc


def _average(average: Player | None, player: Player, decay: Array, t: Array) -> Player | None:
    """The moving average after step ``t``; its memory is no longer than a tenth of the run so far.

    At first the decay is (1 + t) / (10 + t): else the initial weights would count for thousands of
    steps.
    """
    if average is None:
        return None
    decay = jnp.minimum(decay, (1.0 + t) / (10.0 + t))
    return jax.tree.map(lambda kept, new: decay * kept + (1.0 - decay) * new, average, player)


def _told(game: Game, knobs: Knobs, found: _Found, hmc: Any) -> tuple[Array, ...]:
    """Sigma, the slope of the loss along its raw parameters and its square, bounds, acceptance."""
    sigma = observation.root_mean_square(found.spread, game.observation.dim)
    slope = observation.slope(found.gradient.noise)
    acceptance = jnp.zeros(()) if hmc is None else hmc.acceptance
    low, high = observation.at_bounds(found.spread, knobs.noise)
    return sigma, slope, slope**2, low, high, acceptance
