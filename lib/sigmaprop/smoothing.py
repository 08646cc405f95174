"""E f as a function of a Gaussian whose derivative is an estimator of one's choice."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from sigmaprop.estimation import estimate, expectation
from sigmaprop.estimators import DEFAULTS, Options
from sigmaprop.gaussian import Gaussian


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
    the average of f's at the same draws.

    Args:
        f: as in `sigmaprop.estimate`: scalar or array, of x or of (x, params).
        num_samples, estimator, noise, control_variate, chunk, options: likewise.
            "moving_average" carries a state and cannot be used here.

    Returns:
        ``F(gaussian, key)`` or ``F(gaussian, key, params)``. jit, vmap, grad and jacobian (reverse
        mode) work; a second derivative does not exist.

    Raises:
        ValueError: as `sigmaprop.estimate` does, when F is called.

    Example:
        >>> import jax, jax.numpy as jnp, sigmaprop
        >>> F = sigmaprop.smooth(lambda x: jnp.sum(jnp.sign(x)), num_samples=4096,
        ...                      estimator="score_function", control_variate="leave_one_out")
        >>> gaussian = sigmaprop.Isotropic(jnp.array([0.1]), jnp.array(0.5))
        >>> slope = jax.grad(F)(gaussian, jax.random.key(0)).mean
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

    @jax.custom_vjp
    def smoothed(gaussian: Gaussian, key: Array, params: Any) -> Array:
        return run(gaussian, key, params).value

    def forward(gaussian: Gaussian, key: Array, params: Any) -> tuple[Array, Any]:
        found = run(gaussian, key, params)
        return found.value, (found.gradient, gaussian, key, params)

    def backward(kept: Any, cotangent: Array) -> tuple[Any, None, Any]:
        gradient, gaussian, key, params = kept
        to_gaussian = jax.tree.map(
            lambda leaf: jnp.tensordot(cotangent, leaf, axes=cotangent.ndim), gradient
        )
        average = lambda p: jnp.vdot(  # noqa: E731
            cotangent, expectation(f, gaussian, key, num_samples, params=p, **chosen)
        )
        to_params = None if params is None else jax.grad(average)(params)
        return to_gaussian, None, to_params

    smoothed.defvjp(forward, backward)

    def call(gaussian: Gaussian, key: Key[Array, ""], params: Any = None) -> Array:
        return smoothed(gaussian, key, params)

    return call
