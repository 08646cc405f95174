"""What a metric says of real data against real data: the line that no generator can pass."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

Statistic = Callable[[Array, Array], Array]
"""Maps samples x [N, D] and y [M, D] to a number []."""


class Null(NamedTuple):
    """A statistic between disjoint samples of the same data.

    Attributes:
        mean: over the draws, [].
        median: [].
        percentile_95: one draw in twenty is larger, []. Below it, a difference is not evidence.
        draws: the values themselves.
    """

    mean: Float[Array, ""]
    median: Float[Array, ""]
    percentile_95: Float[Array, ""]
    draws: Float[Array, " B"]


def null(
    data: Float[Array, "N D"],
    key: Key[Array, ""],
    statistic: Statistic,
    num_samples: int,
    num_draws: int,
    *,
    num_held_out: int | None = None,
) -> Null:
    """The distribution of a statistic where "generated" samples are real ones.

    Every draw takes num_samples + num_held_out distinct rows at random, as x and y. The rows of
    one draw are independent samples, so each draw has exactly the statistic's distribution between
    real samples of these sizes; different draws share rows, so more draws than N / num_samples
    sharpen the percentile for these data rather than for new ones.

    Args:
        data: real data, as the held-out rows are: no row twice.
        key: draws the rows.
        statistic: a function of x and y; give those that need a key one and the same.
        num_samples: rows of x: as many as a generator is scored with.
        num_draws: how often. [B]
        num_held_out: rows of y; ``num_samples`` where None. The null depends on both.

    Returns:
        See `Null`. One draw is in memory at a time.

    Raises:
        ValueError: more rows asked for than there are, or no draw.
    """
    rows = num_samples + (num_samples if num_held_out is None else num_held_out)
    if rows > len(data):
        raise ValueError(
            f"two disjoint samples need {rows} rows but there are {len(data)}; "
            f"take a smaller num_samples than {num_samples}"
        )
    if num_draws < 1:
        raise ValueError(f"num_draws = {num_draws} gives no distribution; take at least 20")

    def draw(key: Array) -> Array:
        chosen = jax.random.permutation(key, len(data))[:rows]
        return statistic(data[chosen[:num_samples]], data[chosen[num_samples:]])

    return _null(jax.lax.map(draw, jax.random.split(key, num_draws)))


def pooled(nulls: Sequence[Null]) -> Null:
    """The draws of several, such as those of different splits, as those of one."""
    return nulls[0] if len(nulls) == 1 else _null(jnp.concatenate([one.draws for one in nulls]))


def _null(draws: Array) -> Null:
    median, high = jnp.percentile(draws, jnp.array([50.0, 95.0]))
    return Null(jnp.mean(draws), median, high, draws)
