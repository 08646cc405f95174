"""Networks of your own: pairs of pure functions, given from Python or by a file.

A pair is ``(init, apply)``: ``init(key)`` makes the parameters, any pytree of floating arrays, and
``apply(params, z)`` of a generator maps latents [B, Z] to examples [B, ...] in their own shape,
``apply(params, x)`` of a discriminator maps examples [B, ...] to logits [B]. A generator may return
``(x, features)`` with features [B, F], for arms whose sigma depends on the latent; without them z
itself is what sigma is made of.

In a file, ``path/to/file.py:function``, the function makes the pair, so that it fits any data::

    def generator(latent_dim, shape):      # shape: of one example, (D,) or (H, W) or (H, W, C)
        ...
        return init, apply

    def discriminator(shape):
        ...
        return init, apply

    discriminator.smoothness = "smooth"    # of its logits in x; "kink" where nothing is said

How parameters begin and which optimiser moves them is as for the other networks. An ``init`` whose
leaves are float32 keeps its bits.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from sigmaprop.generators.networks.base import GeneratorOutput, Network
from sigmaprop.runs import own_functions
from sigmaprop.runs.own_functions import described, told
from sigmaprop.runs.own_sources import refused

_BATCH = 5
"""Examples that shapes are checked with."""

Pair = tuple[Callable[[Array], Any], Callable[..., Any]]


def generator_from_file(spec: str, latent_dim: int, shape: tuple[int, ...]) -> Network:
    """The generator that a function in a file makes; see the module.

    Raises:
        ValueError: one sentence that says what of the file, the function or its pair is refused.
    """
    make = own_functions.load(spec, "generator")
    return own_generator(
        _called(spec, "generator", make, latent_dim, shape), latent_dim, shape, spec
    )


def discriminator_from_file(spec: str, shape: tuple[int, ...]) -> Network:
    """The discriminator that a function in a file makes; see the module.

    Raises:
        ValueError: one sentence that says what of the file, the function or its pair is refused.
    """
    pair = _called(spec, "discriminator", own_functions.load(spec, "discriminator"), shape)
    return own_discriminator(pair, shape, spec, smoothness_in_file(spec))


def smoothness_in_file(spec: str) -> Any:
    """What the function in a file says of its discriminator: "smooth", or "kink" by default."""
    found = getattr(own_functions.load(spec, "discriminator"), "smoothness", "kink")
    if found not in ("smooth", "kink"):
        raise refused(spec, f"its smoothness is {found!r}; say 'smooth' or 'kink'", "discriminator")
    return found


def own_generator(
    pair: Pair,
    latent_dim: int,
    shape: tuple[int, ...],
    name: str = "own",
) -> Network:
    """A generator of two pure functions, checked by their shapes alone.

    Args:
        pair: ``init(key) -> params`` and ``apply(params, z [B, Z]) -> x [B, ...]``, or
            ``(x, features [B, F])``.
        latent_dim: Z.
        shape: of one example.
        name: what to call it.

    Raises:
        ValueError: the pair is none, or makes something else.
    """
    init, apply = _pair(name, "generator", pair)
    z = jax.ShapeDtypeStruct((_BATCH, latent_dim), jnp.float32)
    found = _traced(name, "generator", init, apply, z)
    x, features = found if isinstance(found, tuple) and len(found) == 2 else (found, z)
    _check_shape(name, "generator", "examples", x, ((_BATCH, *shape), (_BATCH, math.prod(shape))))
    if getattr(features, "ndim", 0) != 2 or features.shape[0] != _BATCH:
        raise refused(name, f"its features are {described(features)}, not [B, F]", "generator")

    def flat(params: Any, z: Array) -> GeneratorOutput:
        out = apply(params, z)
        x, features = out if isinstance(out, tuple) else (out, z)
        return GeneratorOutput(
            x.reshape(len(z), -1).astype(jnp.float32), features.astype(jnp.float32)
        )

    sizes = (latent_dim, math.prod(shape), features.shape[1])
    return Network(name, init, flat, "kink", *sizes)  # nobody asks of a generator


def own_discriminator(
    pair: Pair, shape: tuple[int, ...], name: str = "own", smoothness: Any = "kink"
) -> Network:
    """A discriminator of two pure functions, checked by their shapes alone.

    Args:
        pair: ``init(key) -> params`` and ``apply(params, x [B, ...]) -> logits [B]`` or [B, 1].
        shape: of one example.
        name: what to call it.
        smoothness: see `Network`.

    Raises:
        ValueError: the pair is none, or makes something else.
    """
    init, apply = _pair(name, "discriminator", pair)
    x = jax.ShapeDtypeStruct((_BATCH, *shape), jnp.float32)
    logits = _traced(name, "discriminator", init, apply, x)
    _check_shape(name, "discriminator", "logits", logits, ((_BATCH,), (_BATCH, 1)))

    def flat(params: Any, x: Array, key: Array | None = None) -> Array:
        del key
        return apply(params, x.reshape(len(x), *shape)).reshape(len(x)).astype(jnp.float32)

    return Network(name, init, flat, smoothness, math.prod(shape), 1)


def _called(name: str, what: str, make: Callable[..., Any], *arguments: Any) -> Any:
    """What the function of a file makes."""
    try:
        return make(*arguments)
    except Exception as error:
        given = ", ".join(map(str, arguments))
        raise refused(name, f"called with ({given}) it raises {told(error)}", what) from error


def _pair(name: str, what: str, pair: Any) -> Pair:
    if isinstance(pair, tuple | list) and len(pair) == 2 and all(map(callable, pair)):
        return tuple(pair)
    raise refused(name, f"give a pair of functions (init, apply), not {described(pair)}", what)


def _traced(name: str, what: str, init: Any, apply: Any, x: Any) -> Any:
    """The shapes that the pair makes of an input; nothing is computed."""
    try:
        params = jax.eval_shape(init, jax.random.key(0))
    except Exception as error:
        raise refused(name, f"its init raises {told(error)}", what) from error
    leaves = jax.tree.leaves(params)
    wrong = [leaf for leaf in leaves if not jnp.issubdtype(leaf.dtype, jnp.floating)]
    if wrong or not leaves:
        held = f"hold {described(wrong[0])}" if wrong else "are none"
        raise refused(name, f"its parameters {held}; give a pytree of floating arrays", what)
    try:
        return jax.eval_shape(apply, params, x)
    except Exception as error:
        raise refused(name, f"for {described(x)} its apply raises {told(error)}", what) from error


def _check_shape(name: str, what: str, noun: str, found: Any, allowed: Any) -> None:
    """Refuses an output of another shape, or of whole numbers."""
    shape = getattr(found, "shape", None)
    if shape not in allowed or not jnp.issubdtype(found.dtype, jnp.floating):
        wanted = " or ".join(str(one) for one in dict.fromkeys(allowed))
        raise refused(
            name,
            f"of a batch of {_BATCH} it makes {described(found)} for {noun}, not {wanted}",
            what,
        )
