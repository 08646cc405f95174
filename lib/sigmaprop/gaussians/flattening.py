"""Gaussians over points of any shape, as Gaussians over vectors."""

import dataclasses
import itertools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array

from sigmaprop.gaussians.families import Diagonal, Full, Gaussian, Isotropic, LowRank


def flatten(
    gaussian: Gaussian,
) -> tuple[Gaussian, Callable[[Array], Any], Callable[[Gaussian], Gaussian]]:
    """The same Gaussian over the raveled point, and the ways back.

    Args:
        gaussian: its mean is a vector, an array of any shape, a number, or a pytree of these, D
            floating numbers in all. The scale of `Diagonal` and `LowRank` is shaped like the mean;
            that of `Full` is [D, D] over the raveled mean. The factor of `LowRank` is [D, R], or
            the mean's shapes with one more axis R; R may be 0.

    Returns:
        (Gaussian over a vector, function from a vector to a point, function from a Gaussian-shaped
        pytree over vectors to one shaped like the given).

    Raises:
        ValueError: shapes that do not fit, a mean that is empty, or a leaf that holds no floating
            numbers (no numbers, if it is one of a scale or factor): it says which.
    """
    if not isinstance(gaussian, Gaussian):
        raise ValueError(
            "the Gaussian must be an Isotropic, Diagonal, Full or LowRank, not "
            f"{type(gaussian).__name__}"
        )
    for field in dataclasses.fields(gaussian):
        _check_leaves(field.name, getattr(gaussian, field.name))
    mean, unravel = ravel_pytree(gaussian.mean)
    dim = mean.shape[0]
    if dim == 0:
        raise ValueError("the mean holds no numbers; a Gaussian needs at least one coordinate")
    match gaussian:
        case Isotropic():
            parts = (_checked("Isotropic", "scale", gaussian.scale),)
        case Full():
            parts = (_checked("Full", "scale", gaussian.scale, dim, dim),)
        case Diagonal():
            parts = (_checked("Diagonal", "scale", _raveled(gaussian.scale), dim),)
        case LowRank():
            factor = _stacked(gaussian.factor)
            parts = (
                _checked("LowRank", "scale", _raveled(gaussian.scale), dim),
                _checked("LowRank", "factor", factor, dim, factor.shape[-1]),
            )
    flat = type(gaussian)(mean, *(part.astype(mean.dtype) for part in parts))

    def restore(gradient: Gaussian) -> Gaussian:
        shaped = {"mean": _split(gradient.mean, gaussian.mean, 0)}
        if isinstance(gradient, Isotropic | Full):
            shaped["scale"] = gradient.scale
        else:
            shaped["scale"] = _split(gradient.scale, gaussian.scale, 0)
        if isinstance(gradient, LowRank) and isinstance(gaussian, LowRank):
            shaped["factor"] = _split(gradient.factor, gaussian.factor, 1)
        return type(gradient)(**shaped)

    return flat, unravel, restore


def _check_leaves(name: str, field: Any) -> None:
    """Refuses what is no number, and in a mean what has no derivative."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(field):
        dtype = leaf.dtype if hasattr(leaf, "dtype") else np.asarray(leaf).dtype
        if jnp.issubdtype(dtype, jnp.floating):
            continue
        if name == "mean" or not jnp.issubdtype(dtype, jnp.integer):
            where = f" at {jax.tree_util.keystr(path)}" if path else ""
            raise ValueError(f"the {name} must hold floating numbers, not {dtype}{where}")


def _checked(family: str, name: str, part: Any, *shape: int) -> Array:
    """A field as an array, if it is one of this shape."""
    if not jax.tree_util.all_leaves([part]):
        raise ValueError(f"the {name} of this {family} Gaussian must be one array, not a pytree")
    if jnp.shape(part) != shape:
        raise ValueError(
            f"the {name} of this {family} Gaussian must have the shape {shape}, not "
            f"{jnp.shape(part)}"
        )
    return jnp.asarray(part)


def _raveled(tree: Any) -> Array:
    return ravel_pytree(tree)[0]


def _stacked(factor: Any) -> Array:
    """A factor of the mean's shapes and one more axis R, as [D, R]."""
    leaves = [jnp.asarray(leaf) for leaf in jax.tree.leaves(factor)]
    ranks = {leaf.shape[-1] if leaf.ndim else None for leaf in leaves}
    if len(ranks) != 1 or None in ranks:
        raise ValueError(
            "the factor of a LowRank Gaussian needs one last axis R, the same in all its parts, "
            f"not the shapes {', '.join(str(leaf.shape) for leaf in leaves)}"
        )
    return jnp.concatenate(
        [leaf.reshape(math.prod(leaf.shape[:-1]), leaf.shape[-1]) for leaf in leaves]
    )


def _split(array: Array, like: Any, trailing: int) -> Any:
    """[..., D] (or [..., D, R] with one trailing axis) as a pytree of the shapes of ``like``."""
    leaves, structure = jax.tree.flatten(like)
    axis = array.ndim - 1 - trailing
    sizes = [math.prod(jnp.shape(leaf)[: jnp.ndim(leaf) - trailing]) for leaf in leaves]
    pieces = jnp.split(array, list(itertools.accumulate(sizes))[:-1], axis=axis)
    lead = array.shape[:axis]
    shaped = [p.reshape(*lead, *jnp.shape(leaf)) for p, leaf in zip(pieces, leaves, strict=True)]
    return jax.tree.unflatten(structure, shaped)
