"""Precision, recall, density and coverage: how two samples lie in each other's neighbourhoods.

All four like samples that lie close to the data: of N(0, I) in 16 dimensions they prefer samples of
.6 of the std or less, recall the opposite (`preferred.preferred_scale`). They show where two
distributions differ, and cannot say which sigma is right.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from sigmaprop.metrics.neighbours import nearest
from sigmaprop.metrics.pairs import CHUNK, check_samples, near_distances

NEAREST = 3
"""Neighbours of precision and recall (Kynkaanniemi et al. 2019)."""
DENSITY_NEAREST = 5
"""Neighbours of density and coverage (Naeem et al. 2020)."""


class Neighbourhoods(NamedTuple):
    """What `precision_recall` and `density_coverage` measure; every leaf has the shape [].

    Attributes:
        precision: share of generated samples inside the neighbourhood of some real one.
        recall: share of real samples inside the neighbourhood of some generated one.
        density: mean number of real neighbourhoods that a generated sample lies in, over k; 1 is
            expected of equal distributions, and more is possible.
        coverage: share of real samples whose neighbourhood holds a generated one.
    """

    precision: Float[Array, ""]
    recall: Float[Array, ""]
    density: Float[Array, ""]
    coverage: Float[Array, ""]


def neighbourhoods(
    x: Float[Array, "N D"],
    y: Float[Array, "M D"],
    *,
    k: int = DENSITY_NEAREST,
    chunk: int = CHUNK,
) -> Neighbourhoods:
    """All four, with one k, as the package prdc defines them.

    The neighbourhood of a row is the open ball that reaches to its k-th nearest neighbour among the
    rows of its own sample, itself not counted.

    Args:
        x: generated samples, N > k.
        y: held-out data, M > k.
        k: neighbours.
        chunk: rows compared with all others at a time; memory grows as chunk x max(N, M).

    Raises:
        ValueError: not more than k rows on a side.

    Source: Naeem, Oh, Uh, Choi, Yoo 2020, "Reliable fidelity and diversity metrics for generative
        models", equations 3 to 6.
    """
    check_samples(f"a neighbourhood of {k}", x, y, k + 1)
    return _measured(x, y, k, k, chunk)


def _measured(x: Array, y: Array, k: int, k_density: int, chunk: int) -> Neighbourhoods:
    """Precision and recall with k neighbours, density and coverage with as many or more."""
    radii_x = nearest(x, x, k, exclude_self=True, chunk=chunk).distances
    radii_y = nearest(y, y, k_density, exclude_self=True, chunk=chunk).distances
    radius_y = radii_y[:, k_density - 1]
    inside_y = _inside(x, y, radius_y, chunk)
    near_y = inside_y if k == k_density else _inside(x, y, radii_y[:, k - 1], chunk)
    inside_x = _inside(y, x, radii_x[:, k - 1], chunk)
    nearest_x = nearest(y, x, 1, chunk=chunk).distances[:, 0]
    return Neighbourhoods(
        jnp.mean(near_y > 0, dtype=x.dtype),
        jnp.mean(inside_x > 0, dtype=x.dtype),
        jnp.mean(inside_y.astype(x.dtype)) / k_density,
        jnp.mean(nearest_x < radius_y, dtype=x.dtype),
    )


def _inside(points: Array, centres: Array, radii: Array, chunk: int) -> Array:
    """In how many of the open balls each point lies, [N]."""
    shift = jnp.mean(jnp.where(jnp.isfinite(centres), centres, 0.0), axis=0)
    points, centres = points - shift, centres - shift
    squares = jnp.sum(centres**2, axis=1)

    def row(point: Array) -> Array:
        return jnp.sum(near_distances(point, centres, squares) < radii**2)

    return jax.lax.map(row, points, batch_size=chunk)


def score(x: Float[Array, "N D"], held_out: Float[Array, "M D"], reference: Any) -> Neighbourhoods:
    """Precision and recall with `NEAREST` neighbours, density and coverage with more."""
    del reference
    check_samples(f"a neighbourhood of {DENSITY_NEAREST}", x, held_out, DENSITY_NEAREST + 1)
    return _measured(x, held_out, NEAREST, DENSITY_NEAREST, CHUNK)
