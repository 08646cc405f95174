"""What a control variate carries from one estimate to the next.

The control variates that need no state are estimators of their own: see `sigmaprop.estimators`.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float


class MovingAverage(NamedTuple):
    """An exponential moving average of E f, the baseline of "moving_average".

    It starts empty: the first estimate has no baseline. It depends on earlier draws only, so the
    estimates stay unbiased, and it works with one sample a step.

    Attributes:
        total: weighted sum of the averages seen, in units of f.
        weight: sum of the weights, from 0 to 1.

    Example:
        >>> import jax, jax.numpy as jnp, sigmaprop
        >>> gaussian = sigmaprop.Isotropic(jnp.zeros(2), jnp.array(0.1))
        >>> @jax.jit
        ... def run(key, state):
        ...     return sigmaprop.estimate(
        ...         lambda x: jnp.sum(x) + 5.0, gaussian, key, 1, estimator="score_function",
        ...         control_variate="moving_average", state=state)
        >>> state = sigmaprop.MovingAverage.empty()
        >>> for step in range(3):
        ...     state = run(jax.random.fold_in(jax.random.key(0), step), state).state
        >>> bool(abs(state.baseline - 5.0) < 1.0)
        True

    Source: Mnih, Gregor 2014, "Neural variational inference and learning in belief networks",
    section 2.3; Kingma, Ba 2015, section 3, for the correction of the start.
    """

    total: Float[Array, ""]
    weight: Float[Array, ""]

    @classmethod
    def empty(cls) -> "MovingAverage":
        """Nothing seen yet."""
        return cls(jnp.zeros(()), jnp.zeros(()))

    @property
    def baseline(self) -> Float[Array, "..."]:
        """The average; 0 before the first value."""
        begun = self.weight > 0
        return jnp.where(begun, self.total / jnp.where(begun, self.weight, 1.0), 0.0)

    def updated(self, value: Float[Array, "..."], decay: float) -> "MovingAverage":
        """The average with one more value; a value that is not finite is left out."""
        finite = jnp.isfinite(value)
        total = decay * self.total + (1.0 - decay) * jnp.where(finite, value, 0.0)
        weight = decay * self.weight + (1.0 - decay)
        return MovingAverage(
            jnp.where(finite, total, self.total), jnp.where(finite, weight, self.weight)
        )
