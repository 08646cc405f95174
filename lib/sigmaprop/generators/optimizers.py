"""Optimisers whose learning rate is an array, so that every replica of a program has its own.

Rates, decays and momenta are absolute functions of the step: a resumed run and a run in other
chunks take the same steps.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from sigmaprop.names import unknown


class Rate(NamedTuple):
    """A learning rate that may decay: ``max(start / decay^step, smallest)``.

    Attributes:
        start: at step 0, [].
        log_decay: log of the divisor of each step, >= 0; 0 keeps the rate as it is. []
        smallest: where the decay ends, [].
    """

    start: Float[Array, ""]
    log_decay: Float[Array, ""]
    smallest: Float[Array, ""]

    def at(self, step: Int[Array, ""]) -> Float[Array, ""]:
        """The rate of a step, []."""
        decayed = self.start * jnp.exp(-step.astype(jnp.float32) * self.log_decay)
        return jnp.maximum(decayed, jnp.minimum(self.smallest, self.start))


def rate(
    start: float,
    decay: float = 1.0,
    smallest: float = 0.0,
    *,
    array: Callable[..., Any] = jnp.asarray,
) -> Rate:
    """A rate of one replica.

    The log is taken here, in float64: as a float32 number a divisor of 1.000004 is 1.3% farther
    from 1.

    Args:
        start: at step 0.
        decay: divisor of each step, >= 1.
        smallest: where the decay ends.
        array: makes the arrays; `np.asarray` leaves them on the host, where those of thousands of
            replicas are stacked without a call to a device for each.
    """
    values = (start, math.log(decay), smallest)
    return Rate(*(array(value, jnp.float32) for value in values))


class Optimizer(NamedTuple):
    """Two pure functions.

    Attributes:
        init: ``params -> state``.
        update: ``(gradient, state, params, rate [], step [], b2 = None) -> (params, state)``; a
            ``b2`` [] stands for the optimiser's own at this step.
        b2: Adam's decay of the second moment, 0 of others.
    """

    init: Callable[[Any], Any]
    update: Callable[..., tuple[Any, Any]]
    b2: float = 0.0

    def telling(self, gradient: Any) -> Any:
        """The gradient, where it is finite exactly where what it moves is; else None.

        So is that of Adam, whose step is at most the rate times the first moment over its eps: from
        finite numbers it leads to finite ones, and from a gradient that is not to NaN.
        """
        return gradient if self.b2 else None


def names() -> tuple[str, ...]:
    """The optimisers' names."""
    return ("adam", "sgd")


def get(
    name: str,
    *,
    b1: float = 0.5,
    b2: float = 0.99,
    momentum: tuple[float, float] = (0.0, 0.0),
    momentum_steps: int = 1,
) -> Optimizer:
    """An optimiser by its name.

    Args:
        name: "adam" or "sgd".
        b1: Adam's decay of the first moment.
        b2: Adam's decay of the second moment.
        momentum: of sgd, at step 0 and from ``momentum_steps`` on, linear in between.
        momentum_steps: > 0.

    Raises:
        ValueError: unknown name.
    """
    if name not in names():
        raise unknown("optimizer", name, names())
    return adam(b1, b2) if name == "adam" else sgd(momentum, momentum_steps)


def adam(b1: float, b2: float, eps: float = 1e-8) -> Optimizer:
    """Adam, with optax's moments.

    Where the decay of the second moment changes by step, the bias correction takes that of the
    step, as PyTorch does when its ``betas`` are set anew.

    Source: Kingma, Ba 2015, "Adam", algorithm 1.
    """
    moments = optax.scale_by_adam(b1, b2, eps)

    def update(
        gradient: Any, state: Any, params: Any, rate: Array, step: Array, b2: Array | None = None
    ) -> Any:
        del step  # optax counts the steps of its own state, which are the same
        now: Any = moments if b2 is None else optax.scale_by_adam(b1, b2, eps)  # pyright: ignore[reportArgumentType]
        direction, state = now.update(gradient, state, params)
        return jax.tree.map(lambda p, d: p - rate * d, params, direction), state

    return Optimizer(moments.init, update, b2)


def per_entry(optimizer: Optimizer) -> Optimizer:
    """The same for each entry of a dict of parameters, each with a state of its own.

    With one state XLA would divide by Adam's bias corrections in another way where two arrays of
    one shape share them, and the bits of an entry would depend on what stands beside it.
    """

    def init(params: dict[str, Any]) -> dict[str, Any]:
        return {name: optimizer.init(own) for name, own in params.items()}

    def update(
        gradient: dict[str, Any], state: Any, params: Any, rate: Array, step: Array
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        found = {
            name: optimizer.update(gradient[name], state[name], own, rate, step)
            for name, own in params.items()
        }
        moved = {name: own for name, (own, _) in found.items()}
        return moved, {name: own for name, (_, own) in found.items()}

    return Optimizer(init, update)


def sgd(momentum: tuple[float, float], momentum_steps: int) -> Optimizer:
    """Gradient descent with heavy-ball momentum; the rate enters the velocity, as in Pylearn2.

    Source: Polyak 1964; Sutskever et al. 2013, "On the importance of initialization and momentum
    in deep learning", equation 1.
    """
    first, last = momentum
    plain = first == last == 0.0

    def init(params: Any) -> Any:
        return () if plain else jax.tree.map(jnp.zeros_like, params)

    def update(
        gradient: Any, state: Any, params: Any, rate: Array, step: Array, b2: Array | None = None
    ) -> Any:
        del b2  # Adam's
        if plain:
            return jax.tree.map(lambda p, g: p - rate * g, params, gradient), state
        share = jnp.clip(step / momentum_steps, 0.0, 1.0)
        kept = (first + (last - first) * share).astype(jnp.float32)
        state = jax.tree.map(lambda v, g: kept * v - rate * g, state, gradient)
        return jax.tree.map(lambda p, v: p + v, params, state), state

    return Optimizer(init, update)
