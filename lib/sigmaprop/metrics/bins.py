"""Number of statistically different bins: do samples fall into the cells of the data alike?"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from sigmaprop.metrics.neighbours import nearest
from sigmaprop.metrics.pairs import CHUNK, check_samples

NUM_BINS = 100
"""At most; no more than a tenth of the training rows."""
LEVEL = 0.05
"""Of the test in each bin: so large a share of bins differs by chance."""
NUM_ITERATIONS = 20


class Bins(NamedTuple):
    """What `different` measures; every leaf has the shape [].

    Attributes:
        ndb: share of the bins whose proportions differ at the level; `LEVEL` is expected of equal
            distributions.
        bins_js: Jensen-Shannon divergence between the proportions, in nats.
    """

    ndb: Float[Array, ""]
    bins_js: Float[Array, ""]


def different(
    x: Float[Array, "N D"],
    y: Float[Array, "M D"],
    centres: Float[Array, "K D"],
    *,
    level: float = LEVEL,
    chunk: int = CHUNK,
) -> Bins:
    """How the shares of x and y in the cells of centres differ.

    A bin differs if the two-sided test of two proportions, with their pooled variance, rejects at
    the level. A bin that is empty in both samples does not.

    Args:
        x: generated samples.
        y: held-out data.
        centres: of the cells; see `k_means`.
        level: of the test in each bin.
        chunk: rows at a time; memory grows as chunk x K.

    Source: Richardson, Weiss 2018, "On GANs and GMMs", section 2.
    """
    check_samples("a bin", x, y, 1)
    p, q = (counts(rows, centres, chunk=chunk) / len(rows) for rows in (x, y))
    pooled = (len(x) * p + len(y) * q) / (len(x) + len(y))
    error = jnp.sqrt(pooled * (1 - pooled) * (1 / len(x) + 1 / len(y)))
    differs = jnp.abs(p - q) > _two_sided(level) * error
    half = (p + q) / 2
    entropy = jax.scipy.special.entr
    js = jnp.sum(entropy(half) - (entropy(p) + entropy(q)) / 2)
    finite = jnp.all(jnp.isfinite(x))
    return Bins(
        jnp.where(finite, jnp.mean(differs, dtype=x.dtype), jnp.nan),
        jnp.where(finite, js.astype(x.dtype), jnp.nan),
    )


def counts(
    rows: Float[Array, "N D"], centres: Float[Array, "K D"], *, chunk: int = CHUNK
) -> Int[Array, " K"]:
    """How many rows are nearest to each centre."""
    return jnp.bincount(cells(rows, centres, chunk=chunk), length=len(centres))


def cells(
    rows: Float[Array, "N D"], centres: Float[Array, "K D"], *, chunk: int = CHUNK
) -> Int[Array, " N"]:
    """The nearest centre of every row."""
    return nearest(rows, centres, 1, chunk=chunk).indices[:, 0]


def k_means(
    rows: Float[Array, "N D"],
    num: int,
    key: Key[Array, ""],
    *,
    num_iterations: int = NUM_ITERATIONS,
    chunk: int = CHUNK,
) -> Float[Array, "K D"]:
    """Centres of cells by Lloyd's iteration, begun with k-means++.

    Args:
        rows: of the TRAINING data, so that neither sample to be compared has an advantage.
        num: of centres, 1 to N.
        key: draws the first centres.
        num_iterations: of Lloyd's; a cell that is empty keeps its centre.
        chunk: rows at a time.

    Raises:
        ValueError: more centres than rows.

    Source: Arthur, Vassilvitskii 2007, "k-means++: the advantages of careful seeding", section 2.
    """
    if not 1 <= num <= len(rows):
        raise ValueError(f"{num} centres are asked for of {len(rows)} rows; give 1 to {len(rows)}")
    keys = jax.random.split(key, num)

    def choose(i: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        centres, distances = carry
        # The weight of equal rows is 0: where all are chosen already, any will do.
        logits = jnp.log(jnp.where(jnp.any(distances > 0), distances, 1.0))
        chosen = rows[jax.random.categorical(keys[i], logits)]
        closer = jnp.minimum(distances, jnp.sum((rows - chosen) ** 2, axis=1))
        return centres.at[i].set(chosen), closer

    start = jnp.zeros((num, rows.shape[1]), rows.dtype), jnp.ones(len(rows), rows.dtype)
    first = rows[jax.random.randint(keys[0], (), 0, len(rows))]
    start = start[0].at[0].set(first), jnp.sum((rows - first) ** 2, axis=1)
    centres, _ = jax.lax.fori_loop(1, num, choose, start)
    return lloyd(rows, centres, num_iterations=num_iterations, chunk=chunk)


def lloyd(
    rows: Float[Array, "N D"],
    centres: Float[Array, "K D"],
    *,
    num_iterations: int = NUM_ITERATIONS,
    chunk: int = CHUNK,
) -> Float[Array, "K D"]:
    """Centres after so many of Lloyd's iterations."""

    def body(_: int, centres: Array) -> Array:
        own = cells(rows, centres, chunk=chunk)
        sums = jnp.zeros_like(centres).at[own].add(rows)
        size = jnp.bincount(own, length=len(centres))[:, None]
        return jnp.where(size > 0, sums / jnp.maximum(size, 1), centres)

    return jax.lax.fori_loop(0, num_iterations, body, centres)


def num_bins(num_rows: int) -> int:
    """The bins of a score: `NUM_BINS`, fewer of few rows."""
    return max(2, min(NUM_BINS, num_rows // 10))


def _two_sided(level: float) -> float:
    """The normal quantile that a two-sided test compares with."""
    from scipy.special import ndtri

    return float(ndtri(1 - level / 2))


def score(x: Float[Array, "N D"], held_out: Float[Array, "M D"], reference: Any) -> Bins:
    """`different` in cells of the training rows of an `evaluation.Reference`."""
    train = reference.train
    return different(x, held_out, k_means(train, num_bins(len(train)), reference.key))
