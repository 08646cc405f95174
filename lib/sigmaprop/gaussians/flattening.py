"""Gaussians over points of any shape, as Gaussians over vectors.

A family says by ``axes`` which axes its fields have over a vector: "D" for one of the point's
length, "R" for that of the factor's rank.
"""

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


def flatten(gaussian: Any) -> tuple[Any, Callable[[Array], Any], Callable[[Any], Any]]:
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
    family = type(gaussian)
    if not hasattr(family, "axes"):
        raise ValueError(
            f"the Gaussian must be an Isotropic, Diagonal, Full or LowRank, not {family.__name__}"
        )
    fields = {field.name: getattr(gaussian, field.name) for field in dataclasses.fields(family)}
    for name, field in fields.items():
        _check_leaves(name, field)
    mean, unravel = ravel_pytree(gaussian.mean)
    dim = mean.shape[0]
    if dim == 0:
        raise ValueError("the mean holds no numbers; a Gaussian needs at least one coordinate")
    parts = [mean]
    for (name, field), axes in list(zip(fields.items(), family.axes, strict=True))[1:]:
        part = {"D": _raveled, "DR": _stacked}.get(axes, lambda whole: whole)(field)
        shape = shape_of(axes, dim, part.shape[-1] if axes == "DR" else 0)
        parts.append(_checked(family.__name__, name, part, shape).astype(mean.dtype))

    def restore(gradient: Any) -> Any:
        """Axes of length D of the gradient, as points."""
        shaped = {
            name: _split(getattr(gradient, name), field, len(axes) - 1)
            if axes in ("D", "DR")
            else getattr(gradient, name)
            for (name, field), axes in zip(fields.items(), family.axes, strict=True)
        }
        return family(**shaped)

    return family(*parts), unravel, restore


def shape_of(axes: str, dim: int, rank: int) -> tuple[int, ...]:
    """The shape of a field with these axes."""
    return tuple({"D": dim, "R": rank}[axis] for axis in axes)


def is_vector(gaussian: Any) -> bool:
    """Whether the fields are arrays of one floating dtype, over a vector, in their right shapes."""
    fields = [getattr(gaussian, field.name) for field in dataclasses.fields(gaussian)]
    if not all(isinstance(field, jax.Array) for field in fields):
        return False
    mean, last = fields[0], fields[-1]
    rank = last.shape[-1] if last.ndim else 0
    needed = [shape_of(axes, mean.size, rank) for axes in type(gaussian).axes]
    typed = all(field.dtype == mean.dtype for field in fields)
    floating = jnp.issubdtype(mean.dtype, jnp.floating)
    return bool(mean.size and floating and typed and [f.shape for f in fields] == needed)


def _check_leaves(name: str, field: Any) -> None:
    """Refuses what is no number, and in a mean what has no derivative."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(field):
        dtype = leaf.dtype if hasattr(leaf, "dtype") else np.asarray(leaf).dtype
        if jnp.issubdtype(dtype, jnp.floating):
            continue
        if name == "mean" or not jnp.issubdtype(dtype, jnp.integer):
            where = f" at {jax.tree_util.keystr(path)}" if path else ""
            raise ValueError(f"the {name} must hold floating numbers, not {dtype}{where}")


def _checked(family: str, name: str, part: Any, shape: tuple[int, ...]) -> Array:
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
