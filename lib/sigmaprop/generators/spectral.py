"""Spectral normalisation: kernels divided by their largest singular value, outside the network.

Source: Miyato, Kataoka, Koyama, Yoshida 2018, "Spectral normalization for generative adversarial
networks", algorithm 1 and equation 11.
"""

from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from sigmaprop.generators.networks.base import Params, check_positive


class SpectralState(NamedTuple):
    """What power iteration carries from step to step.

    Attributes:
        u: for each kernel, in the order of the leaves of the parameters, a unit vector over its
            outputs, [O].
    """

    u: tuple[Float[Array, " O"], ...]


def init(params: Params, key: Key[Array, ""]) -> SpectralState:
    """Random unit vectors, one for each leaf called "kernel" of two dimensions or more."""
    kernels = [leaf for path, leaf in _leaves(params) if _is_kernel(path, leaf)]
    keys = jax.random.split(key, max(len(kernels), 1))
    draws = (
        jax.random.normal(k, kernel.shape[-1:], kernel.dtype)
        for k, kernel in zip(keys, kernels, strict=False)
    )
    return SpectralState(tuple(map(_unit, draws)))


def normalise(
    params: Params, state: SpectralState, *, num_iterations: int = 1
) -> tuple[Params, SpectralState]:
    """Every kernel W divided by an estimate of its largest singular value.

    With W as a matrix [I, O], convolutions flattened to [4 4 C, O], each iteration takes
    ``v = W u / |W u|`` and ``u = W'v / |W'v|``; then ``sigma = v' W u``, of which u and v are
    constants to derivatives: ``d sigma / dW = v u'``. The estimate is never above the truth.

    Args:
        params: of one network; replicas by jax.vmap.
        state: from `init` or the step before.
        num_iterations: of power iteration, >= 1; one is enough while W moves slowly.

    Returns:
        The parameters with W / sigma in place of each kernel, the others unchanged (a kernel of
        zeros stays one); and the new state.

    Raises:
        ValueError: ``num_iterations`` is no whole number >= 1.
    """
    check_positive("num_iterations", num_iterations)
    chex.assert_equal(len(state.u), sum(_is_kernel(*leaf) for leaf in _leaves(params)))
    old = iter(state.u)
    u: list[Array] = []
    leaves: list[Array] = []
    for path, leaf in _leaves(params):
        if _is_kernel(path, leaf):
            leaf, direction = _normalise(leaf, next(old), num_iterations)
            u.append(direction)
        leaves.append(leaf)
    return jax.tree.unflatten(jax.tree.structure(params), leaves), SpectralState(tuple(u))


def _normalise(kernel: Array, u: Array, num_iterations: int) -> tuple[Array, Array]:
    """The kernel over its largest singular value, and the vector after power iteration."""
    matrix = kernel.reshape(-1, kernel.shape[-1])
    constant = jax.lax.stop_gradient(matrix)
    u, v = jax.lax.stop_gradient(u), jnp.zeros_like(matrix[:, 0])
    for _ in range(num_iterations):
        v = _unit(constant @ u, otherwise=v)
        u = _unit(constant.T @ v, otherwise=u)
    sigma = v @ (matrix @ u)
    return kernel / jnp.where(sigma > 0.0, sigma, 1.0), u


def _unit(x: Array, otherwise: Array | float = 0.0) -> Array:
    """``x / |x|``; ``otherwise`` where x is 0, so that a kernel of zeros keeps its direction."""
    norm = jnp.sqrt(jnp.sum(x * x))
    return jnp.where(norm > 0.0, x / jnp.where(norm > 0.0, norm, 1.0), otherwise)


def _leaves(params: Params) -> list[tuple[Any, Array]]:
    return jax.tree_util.tree_flatten_with_path(params)[0]


def _is_kernel(path: Any, leaf: Array) -> bool:
    """Whether the last name of the path is "kernel", of a matrix or a convolution."""
    return leaf.ndim >= 2 and getattr(path[-1], "key", None) == "kernel"
