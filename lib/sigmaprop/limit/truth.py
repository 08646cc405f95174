"""What is true of a function at a point: derivatives, and the smoothed gradient at every sigma."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sigmaprop.gaussians import Isotropic
from sigmaprop.objectives import Objective


class Truth(NamedTuple):
    """The exact answer at a point, in float64. S: sigma, D: dim.

    Attributes:
        point: x, [D].
        gradient: grad f(x), [D].
        sigmas: [S], > 0, in units of x.
        smoothed_mean: dE f/dmean, [S, D].
        smoothed_scale: dE f/dscale, [S].
        mean_error: standard error of smoothed_mean, the root of its summed squares, [S]; 0 where
            the answer is a closed form.
        scale_error: standard error of smoothed_scale, [S].
    """

    point: Float[np.ndarray, " D"]
    gradient: Float[np.ndarray, " D"]
    sigmas: Float[np.ndarray, " S"]
    smoothed_mean: Float[np.ndarray, "S D"]
    smoothed_scale: Float[np.ndarray, " S"]
    mean_error: Float[np.ndarray, " S"]
    scale_error: Float[np.ndarray, " S"]


class Derivatives(NamedTuple):
    """Sizes of f and of its derivatives at a point; they set every rate of the limit.

    Attributes:
        dim: D.
        point: |x|.
        value: f(x).
        gradient: |grad f|.
        hessian: Frobenius norm of the Hessian.
        laplacian: trace of the Hessian.
        laplacian_gradient: |grad Laplacian f|.
    """

    dim: int
    point: float
    value: float
    gradient: float
    hessian: float
    laplacian: float
    laplacian_gradient: float


def closed_form(
    objective: Objective, point: Float[np.ndarray, " D"], sigmas: Float[np.ndarray, " S"]
) -> Truth:
    """The truth of an objective that knows its own smoothing.

    Raises:
        ValueError: the objective has no closed form.
    """
    with jax.enable_x64(True):
        x = jnp.asarray(point, jnp.float64)
        smoothed = jax.jit(
            lambda scales: jax.lax.map(
                lambda scale: objective.smoothed_gradient(Isotropic(x, scale)), scales
            )
        )(jnp.asarray(sigmas, jnp.float64))
        zeros = np.zeros(len(sigmas))
        return Truth(
            np.asarray(point, np.float64),
            np.asarray(jax.grad(objective)(x)),
            np.asarray(sigmas, np.float64),
            np.asarray(smoothed.mean),
            np.asarray(smoothed.scale),
            zeros,
            zeros,
        )


def derivatives(
    f: Callable[[Float[Array, " D"]], Float[Array, ""]], point: Float[np.ndarray, " D"]
) -> Derivatives:
    """Derivatives of f at a point in float64, up to the third.

    The Hessian's norm and the gradient of the Laplacian are sums over the D coordinate directions
    of the first and second directional derivatives of grad f; no D x D matrix is stored.
    """
    with jax.enable_x64(True):
        x = jnp.asarray(point, jnp.float64)
        hessian, laplacian, third = jax.jit(_sums_over_directions, static_argnums=0)(f, x)
        value, gradient = jax.value_and_grad(f)(x)
        return Derivatives(
            x.shape[0],
            float(jnp.linalg.norm(x)),
            float(value),
            float(jnp.linalg.norm(gradient)),
            float(jnp.sqrt(hessian)),
            float(laplacian),
            float(jnp.linalg.norm(third)),
        )


def _sums_over_directions(f: Callable[[Array], Array], x: Array) -> tuple[Array, Array, Array]:
    """(|Hess f|_F^2, Laplacian f, grad Laplacian f) at x."""
    dim = x.shape[0]

    def along(i: Array) -> tuple[Array, Array, Array]:
        direction = jnp.zeros(dim, x.dtype).at[i].set(1.0)
        first = lambda t: jax.jvp(jax.grad(f), (x + t * direction,), (direction,))[1]  # noqa: E731
        column, second = jax.jvp(first, (0.0,), (1.0,))
        return jnp.sum(column**2), column[i], second

    def step(total, i):
        return jax.tree.map(jnp.add, total, along(i)), None

    zero = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(along, 0))
    return jax.lax.scan(step, zero, jnp.arange(dim))[0]
