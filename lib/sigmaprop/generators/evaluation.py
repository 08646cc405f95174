"""Scores of a generator: of its means and of its samples, apart.

Noise can help a mean and harm a sample, or the other way round, so nothing here adds the two. All
scores compare with held-out examples; those of a mixture compare with the mixture itself.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from sigmaprop.data import Mixture
from sigmaprop.generators import game as games
from sigmaprop.generators.game import Game, Knobs, Player, State
from sigmaprop.generators.step import Fakes, generate
from sigmaprop.metrics import mmd, modes, sliced_wasserstein

OF = ("mean", "x")
"""What is scored: mu(z), and the sample mu(z) + noise."""

WEIGHTS = ("last", "average")
"""Whose parameters: the last iterate's, and their moving average's."""

DISTANCES = ("mmd2", "sliced_wasserstein")
MIXTURE_SCORES = ("num_modes", "high_quality", "reverse_kl", "variance_ratio", "log_likelihood")
NUM_PROJECTIONS = 128


class Reference(NamedTuple):
    """What generated examples are compared with.

    Attributes:
        data: all examples, [N, D].
        squared_bandwidths: of the MMD's kernels, [4].
        key: of the sliced Wasserstein distance's directions; one and the same for all.
        mixture: the truth, where it is one.
    """

    data: Float[Array, "N D"]
    squared_bandwidths: Float[Array, " J"]
    key: Key[Array, ""]
    mixture: Mixture | None = None


def names(reference: Reference) -> tuple[str, ...]:
    """The scores' names, in the order of the last axis of `score`."""
    return DISTANCES if reference.mixture is None else DISTANCES + MIXTURE_SCORES


def players(state: State) -> tuple[Player, ...]:
    """The generators to score, in the order of `WEIGHTS`; the average only where it is kept."""
    return (state.player,) if state.average is None else (state.player, state.average)


def sample(
    game: Game, player: Player, knobs: Knobs, key: Key[Array, ""], num: int, t: Int[Array, ""]
) -> Fakes:
    """``num`` examples of one replica with the sigma of step ``t``, [num, D]."""
    z = games.latent(game, jax.random.fold_in(key, 1), num)
    return generate(game, player, knobs, z, games.draws(game, jax.random.fold_in(key, 2), num), t)


def score(
    game: Game,
    num: int,
    reference: Reference,
    state: State,
    knobs: Knobs,
    rows: Int[Array, " M"],
    t: Int[Array, ""],
) -> Float[Array, "W 2 K"]:
    """Scores of one replica, [weights, of, name].

    All weights, and all replicas of a key, are scored on the same latents and noise.

    Args:
        game: what the replicas share.
        num: generated examples.
        reference: what to compare with.
        state: of the replica.
        knobs: of the replica.
        rows: held-out rows of ``reference.data``.
        t: step, for the sigma of a schedule.
    """
    key = jax.random.fold_in(games.streams(knobs.key)["evaluation"], t)
    held_out = reference.data[rows]

    def of_player(player: Player) -> Array:
        fakes = sample(game, player, knobs, key, num, t)
        return jnp.stack([_scores(x, held_out, reference) for x in (fakes.mean, fakes.x)])

    return jnp.stack([of_player(player) for player in players(state)])


def distances(x: Array, held_out: Array, reference: Reference) -> Float[Array, " 2"]:
    """MMD^2 (unbiased, so it may be below 0) and the sliced Wasserstein distance."""
    return jnp.stack(
        [
            mmd.unbiased(x, held_out, reference.squared_bandwidths),
            sliced_wasserstein.distance(
                x, held_out, reference.key, num_projections=NUM_PROJECTIONS
            ),
        ]
    )


def _scores(x: Array, held_out: Array, reference: Reference) -> Array:
    found = distances(x, held_out, reference)
    if reference.mixture is None:
        return found
    seen: Any = modes.coverage(x, jnp.asarray(reference.mixture.means), reference.mixture.std)
    return jnp.concatenate([found, jnp.stack([jnp.asarray(s, jnp.float32) for s in seen])])
