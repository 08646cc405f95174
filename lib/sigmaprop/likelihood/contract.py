"""What every method asks of a decoder and of data, and how rows are worked through in chunks."""

from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sigmaprop.counts import whole_number
from sigmaprop.gaussians import Gaussian
from sigmaprop.likelihood.prior import PRIORS, from_normal
from sigmaprop.names import Registry, shown

Decode: TypeAlias = Callable[[Array], Any]
"""z [Z] to a Gaussian over x [D], its noise included; parameters are in a closure."""

DTYPES = Registry("dtype", {"float32": jnp.float32, "float64": jnp.float64})
"""What chains can be computed in."""


def checked_dtype(dtype: str) -> None:
    """Refuses a dtype that is none, or that JAX does not have at present.

    Raises:
        ValueError: naming it.
    """
    DTYPES.check(dtype)
    if dtype == "float64" and not jax.config.jax_enable_x64:  # pyright: ignore
        raise ValueError(
            "dtype is 'float64', which JAX has only with 64 bits switched on: call it within "
            "`with jax.enable_x64(True):`"
        )


def checked_rows(x: Any, name: str = "x", dtype: str | None = None) -> Array:
    """Rows in the dtype that was asked for, that of x by default.

    Raises:
        ValueError: no matrix of floating point numbers, no rows, no columns, an unknown dtype, or
            float64 where JAX has it switched off.
    """
    if dtype is not None:
        checked_dtype(dtype)
    if jnp.ndim(x) != 2 or 0 in jnp.shape(x):
        raise ValueError(f"{name} has shape {jnp.shape(x)}; it must be rows [B, D], at least one")
    if not jnp.issubdtype(jnp.result_type(x), jnp.floating):
        raise ValueError(f"{name} is of {jnp.result_type(x)}; it must be floating point numbers")
    return jnp.asarray(x, dtype)


def check_decode(decode: Decode, latent_dim: int, prior: str, x: Array) -> None:
    """Refuses a prior or a decoder that does not fit, before anything is computed.

    Raises:
        ValueError: unknown prior, a size that is none, no Gaussian, or one over other points.
    """
    PRIORS.check(prior)
    whole_number("latent_dim", latent_dim, 1)
    made = jax.eval_shape(decode, jax.ShapeDtypeStruct((latent_dim,), x.dtype))
    if not isinstance(made, Gaussian):
        raise ValueError(
            f"decode gave {shown(type(made).__name__)}; it must give an Isotropic, Diagonal, Full "
            "or LowRank, with its noise"
        )
    if jnp.shape(made.mean) != x.shape[1:]:
        raise ValueError(
            f"decode gave a mean of shape {jnp.shape(made.mean)}; it must be {x.shape[1:]}, that "
            "of one row of x"
        )


def log_likelihood(
    decode: Decode, prior: str, x: Float[Array, " D"]
) -> Callable[[Array], Float[Array, ""]]:
    """``log p(x|z(u))`` as a function of the standard normal variables u [Z]."""

    def of(u: Array) -> Array:
        return decode(from_normal(prior, u)).log_prob(x).astype(u.dtype)

    return of


def by_chunks(
    function: Callable[[Any, Array], tuple[Any, Any]], rows: Any, chunk: int
) -> tuple[Any, Any]:
    """Applies a function to chunks of rows, one after the other.

    All chunks have the same width, the last is filled up with rows from the beginning: each row's
    numbers are made by the same program, wherever the others end.

    Args:
        function: ``(rows [W, ...], own [W]) -> (of each row [W, ...], sums)``; ``own`` is False for
            the rows that fill up.
        rows: a pytree of arrays with one leading axis, B.
        chunk: the most rows at a time, W.

    Returns:
        What it gives for the rows [B, ...]; and the sums, added up over the chunks.
    """
    count = len(jax.tree.leaves(rows)[0])
    width = min(chunk, count)
    index = np.arange(-(-count // width) * width).reshape(-1, width)
    folded = jax.tree.map(lambda leaf: leaf[index % count], rows)
    each, sums = jax.lax.map(lambda one: function(*one), (folded, jnp.asarray(index < count)))
    each = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:])[:count], each)
    return each, jax.tree.map(lambda leaf: jnp.sum(leaf, axis=0), sums)
