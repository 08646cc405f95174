"""E f as a function of a Gaussian whose derivative is an estimator of one's choice."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from sigmaprop.estimators.estimation import estimate, expectation
from sigmaprop.estimators.options import DEFAULTS, Options
from sigmaprop.gaussians import Gaussian


def smooth(
    f: Callable[..., Array],
    *,
    num_samples: int,
    estimator: str = "pathwise",
    noise: str = "iid",
    control_variate: str | None = None,
    chunk: int | None = None,
    options: Options = DEFAULTS,
) -> Callable[..., Array]:
    r"""The smoothed function ``F(gaussian, key)``, whose ``jax.grad`` is the chosen estimator.

    .. math:: F(m, L) = \frac1N \sum_i f(m + L \epsilon_i)

    The value is the Monte Carlo estimate of E f; its derivative to the Gaussian is not the
    derivative of that sum but what `sigmaprop.estimate` gives for the same key. So any estimator
    drops into a training loop that knows only ``jax.grad``. The derivative to f's own parameters is
    the average of f's at the same draws: across jumps that the parameters move it misses their
    share, whatever the estimator.

    A second derivative is refused: that of an estimate is not an estimate of it (of a step by the
    score function it would be 0). The curvature of F to the mean is in its gradient to the scale:
    s tr H for an isotropic one, s_i H_ii, tril(H L), H W, with H the Hessian of F to the mean. For
    continuous g = grad f it is also the derivative of ``smooth(jax.grad(f), ...)``.

    Args:
        f: as in `sigmaprop.estimate`: scalar or array, of x or of (x, params).
        num_samples, estimator, noise, control_variate, chunk, options: likewise.
            "moving_average" carries a state and cannot be used here.

    Returns:
        ``F(gaussian, key)`` or ``F(gaussian, key, params)``. jit, vmap, grad and jacobian (reverse
        mode) work; JAX refuses forward mode with a TypeError. Leaves of ``params`` that are no
        floating numbers (labels, counts, keys, names) are handed to f as they are. To ``jax.grad``
        in ``params`` numbers and keys among them are constants, with ``allow_int=True``.

    Raises:
        ValueError: as `sigmaprop.estimate` does, when F is called; or F is differentiated twice.

    Example:
        >>> import jax, jax.numpy as jnp, sigmaprop
        >>> F = sigmaprop.smooth(lambda x: jnp.sum(jnp.sign(x)), num_samples=4096,
        ...                      estimator="score_function", control_variate="leave_one_out")
        >>> gaussian = sigmaprop.Isotropic(jnp.array([0.1]), jnp.array(0.5))
        >>> slope = jax.jit(jax.grad(F))(gaussian, jax.random.key(0)).mean
        >>> bool(abs(slope[0] - 1.564) < 0.1)  # 2 phi(0.2) / 0.5
        True

    Source: Schulman, Heess, Weber, Abbeel 2015, "Gradient estimation using stochastic computation
    graphs", section 3.2 (surrogate losses).
    """
    if control_variate == "moving_average":
        raise ValueError(
            "control_variate 'moving_average' carries a state, which smooth cannot return; call "
            "sigmaprop.estimate in the training loop"
        )
    chosen: dict[str, Any] = {
        "estimator": estimator,
        "noise": noise,
        "control_variate": control_variate,
        "chunk": chunk,
        "options": options,
    }

    def run(gaussian: Any, key: Array, params: Any) -> Any:
        return estimate(f, gaussian, key, num_samples, params=params, **chosen)

    def call(gaussian: Gaussian, key: Key[Array, ""], params: Any = None) -> Array:
        moving, fixed, static = (_only(kind, params) for kind in ("moving", "fixed", "static"))

        @jax.custom_vjp
        def smoothed(gaussian: Gaussian, key: Array, moving: Any, fixed: Any) -> Array:
            return run(gaussian, key, _together(moving, fixed, static)).value

        def forward(gaussian: Gaussian, key: Array, moving: Any, fixed: Any) -> tuple[Array, Any]:
            result = run(gaussian, key, _together(moving, fixed, static))
            value, gradient = _final((result.value, result.gradient), (gaussian, moving))
            return value, (gradient, gaussian, key, moving, fixed)

        def backward(kept: Any, cotangent: Array) -> tuple[Any, None, Any, None]:
            gradient, gaussian, key, moving, fixed = kept
            to_gaussian = jax.tree.map(functools.partial(_along, cotangent), gradient, gaussian)
            average = lambda p: jnp.vdot(  # noqa: E731
                cotangent,
                expectation(
                    f,
                    gaussian,
                    key,
                    num_samples,
                    params=_together(p, fixed, static),
                    **chosen,
                ),
            )
            to_moving = jax.grad(average)(moving) if jax.tree.leaves(moving) else moving
            return to_gaussian, None, to_moving, None

        smoothed.defvjp(forward, backward)
        return smoothed(gaussian, key, moving, fixed)

    return call


@jax.custom_jvp
def _final(result: Any, by: Any) -> Any:
    """The same; its derivative by ``by`` is refused, even if it does not seem to depend on it."""
    del by
    return result


@_final.defjvp
def _refuse(primals: Any, tangents: Any) -> Any:
    raise ValueError(
        "smooth has no second derivative: the first is an estimate, whose own derivative estimates "
        "nothing (for a step it is 0); read the curvature from the gradient to the scale (s tr H "
        "for an isotropic one, H the Hessian to the mean), or, where the gradient of f is "
        "continuous, differentiate smooth(jax.grad(f), ...)"
    )


def _along(cotangent: Array, gradient: Array, like: Any) -> Array:
    """The gradient of f's entries, weighted by a cotangent; in the dtype of the parameter."""
    weighted = jnp.tensordot(cotangent, gradient, axes=cotangent.ndim)
    return weighted.astype(jnp.result_type(like))


def _only(kind: str, params: Any) -> Any:
    """The leaves of one kind, None in place of the others."""
    return jax.tree.map(lambda leaf: leaf if _kind(leaf) == kind else None, params)


def _kind(leaf: Any) -> str:
    """What a derivative is taken by, what is an array all the same, and what is none."""
    if isinstance(leaf, bool | int | float | complex):
        leaf = np.asarray(leaf)
    dtype = getattr(leaf, "dtype", None)
    if dtype is None or getattr(dtype, "kind", "") in "OSUMm":
        return "static"
    return "moving" if jnp.issubdtype(dtype, jnp.inexact) else "fixed"


def _together(*parts: Any) -> Any:
    """The params that `_only` took apart."""
    return jax.tree.map(
        lambda *leaves: next((leaf for leaf in leaves if leaf is not None), None),
        *parts,
        is_leaf=lambda leaf: leaf is None,
    )
