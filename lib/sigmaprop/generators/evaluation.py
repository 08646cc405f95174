"""Scores of a generator: of its means and of its samples, apart.

Noise can help a mean and harm a sample, or the other way round, so nothing here adds the two. All
scores compare with held-out examples; those of a mixture compare with the mixture itself.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from sigmaprop.generators import gan
from sigmaprop.generators.gan import GanSpec, GeneratorParams, Hypers, State
from sigmaprop.generators.step import Fakes, generate
from sigmaprop.metrics import distances, tracked
from sigmaprop.metrics.scoring import Reference, scores

__all__ = [
    "OF",
    "TO_CLEAN",
    "WEIGHTS",
    "Reference",
    "generators",
    "names",
    "sample",
    "score",
    "scores",
]

OF = ("mean", "x")
"""What is scored: mu(z), and the sample mu(z) + noise."""

TO_CLEAN = ("mean to clean", "x to clean")
"""What they are called where held-out examples are those before noise was added to the data."""

_LATE = 3
"""Folded into a key of examples: what draws the latents that enter late."""

WEIGHTS = ("last", "average")
"""Whose parameters: the last iterate's, and their moving average's."""


def names(reference: Reference) -> tuple[str, ...]:
    """The scores' names, in the order of the last axis of `score`."""
    return distances() if reference.mixture is None else tracked()


def generators(state: State) -> tuple[GeneratorParams, ...]:
    """The generators to score, in the order of `WEIGHTS`; the average only where it is kept."""
    return (state.player,) if state.average is None else (state.player, state.average)


def sample(
    spec: GanSpec,
    params: GeneratorParams,
    hypers: Hypers,
    key: Key[Array, ""],
    num: int,
    t: Int[Array, ""],
) -> Fakes:
    """``num`` examples of one replica with the sigma of step ``t``, [num, D]."""
    z = gan.latent(spec, jax.random.fold_in(key, 1), num, jax.random.fold_in(key, _LATE))
    noise = gan.draws(spec, jax.random.fold_in(key, 2), num)
    return generate(spec, params, hypers, z, noise, t)


def score(
    spec: GanSpec,
    num: int,
    reference: Reference,
    state: State,
    hypers: Hypers,
    rows: Int[Array, " M"],
    t: Int[Array, ""],
    by_weights: Sequence[Hypers] | None = None,
) -> Float[Array, "W 2 K"]:
    """Scores of one replica, [weights, of, name].

    All weights, and all replicas of a key, are scored on the same latents and noise.

    Args:
        spec: what the replicas share.
        num: generated examples.
        reference: what to compare with.
        state: of the replica.
        hypers: of the replica.
        rows: held-out rows of ``reference.data``.
        t: step, for the sigma of a schedule.
        by_weights: what each of the weights takes its noise from instead; see `post_hoc`.
    """
    key = jax.random.fold_in(gan.streams(hypers.key)["evaluation"], t)
    held_out = reference.data[rows]

    def of_generator(params: GeneratorParams, own: Hypers) -> Array:
        fakes = sample(spec, params, own, key, num, t)
        both = (fakes.mean, fakes.x)
        return jnp.stack([scores(x, held_out, reference, names(reference)) for x in both])

    every = generators(state)
    each = by_weights or (hypers,) * len(every)
    return jnp.stack([*map(of_generator, every, each)])
