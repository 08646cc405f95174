"""Averages of metrics by window, [W, M], of which a step writes one row."""

import jax
from jax.custom_batching import custom_vmap
from jaxtyping import Array, Float, Int


def with_row(
    windows: Float[Array, "W M"], values: Float[Array, " M"], row: Int[Array, ""]
) -> Float[Array, "W M"]:
    """The windows with ``values`` in that row, written where they were.

    A vmap over replicas, which share the row, is one slice of all of them: JAX's own rule makes it
    a scatter, which an accelerator reads the old rows for.
    """
    return _with_row(windows, values, row)


def _written(windows: Array, values: Array, row: Array) -> Array:
    return jax.lax.dynamic_update_slice(windows, values[None], (row, 0))


_with_row = custom_vmap(_written)


@_with_row.def_vmap
def _with_rows(
    size: int, batched: tuple[bool, ...], windows: Array, values: Array, row: Array
) -> tuple[Array, bool]:
    del size
    if tuple(batched) == (True, True, False):
        return jax.lax.dynamic_update_slice(windows, values[:, None], (0, row, 0)), True
    axes = tuple(0 if each else None for each in batched)
    return jax.vmap(_written, axes)(windows, values, row), True
