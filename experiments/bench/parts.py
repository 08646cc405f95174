"""What a Monte Carlo gradient is made of, each alone: normal draws, and evaluations of f.

Both go in chunks that fit a cache and are summed, so that they need not be stored. Beside each
program stands its weight: the share of its rows, cut into whole chunks, that is asked for.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from sigmaprop.estimators.base import hessian_times
from sigmaprop.noise import normal_rows
from sigmaprop.objectives import Objective

from .timing import Program, summed

_CHUNK_ELEMENTS = 2**18


def cut(rows: int, columns: int) -> tuple[int, int]:
    """Number and length of chunks that fit a cache."""
    length = min(rows, max(1, _CHUNK_ELEMENTS // columns))
    return -(-rows // length), length


@functools.cache
def normals(
    draws: int, columns: int, *, own: bool = False, rows: int | None = None
) -> tuple[Program, float]:
    """The noise alone, [draws, columns], JAX's or our own, so many rows in a chunk."""
    chunks, rows = cut(draws, columns) if rows is None else (draws // rows, rows)

    def draw(index: Array, key: Array) -> Array:
        if own:
            drawn = normal_rows(key, index * rows, rows, columns)
        else:
            drawn = jax.random.normal(jax.random.fold_in(key, index), (rows, columns), jnp.float32)
        return jnp.sum(drawn, axis=0)

    indices = jnp.arange(chunks, dtype=jnp.uint32)
    return summed("normals", draw, indices, jax.random.key(0)), draws / (chunks * rows)


@functools.cache
def evaluations(
    objective: Objective, kinds: tuple[str, ...], points: int, *, rows: int | None = None
) -> tuple[Program, float]:
    """The evaluations alone: value, grad, value and gradient, products with Hessians."""
    chunks, rows = cut(points, objective.dim) if rows is None else (points // rows, rows)
    mean = jnp.asarray(objective.point, jnp.float32)
    offsets = jax.random.normal(jax.random.key(1), (rows, objective.dim), jnp.float32)
    evaluate: dict[str, Callable[[Array, Array], Any]] = {
        "value": lambda x, y: objective(x),
        "grad": lambda x, y: jax.grad(objective)(x),
        "gradient": lambda x, y: jax.value_and_grad(objective)(x),
        "product": lambda x, y: hessian_times(objective, mean, y),
        "curvature": lambda x, y: hessian_times(objective, x, y),
    }

    def run(scale: Array, offsets: Array) -> Any:
        each = jax.vmap(lambda x, y: [evaluate[kind](x, y) for kind in kinds])
        values = each(mean + scale * offsets, scale * offsets)
        return jax.tree.map(lambda leaf: jnp.sum(leaf, axis=0), values)

    scales = jnp.linspace(0.01, 1.0, chunks, dtype=jnp.float32)
    return summed("f", run, scales, offsets), points / (chunks * rows)
