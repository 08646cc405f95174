"""Replicas that diverge: the step that made a number infinite is not taken, nor any after it."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

NOT_DIVERGED = -1
"""The ``diverged_at`` of a replica whose numbers are all finite."""


def is_finite(params: Any) -> Bool[Array, ""]:
    """Whether all parameters are: a loss may be finite where its gradient is not.

    A maximum tells it in a quarter of the time of `jnp.isfinite` on a CPU; NaN goes through it.
    """
    leaves = jax.tree.leaves(params)
    return jnp.max(jnp.stack([jnp.max(jnp.abs(leaf)) for leaf in leaves])) < jnp.inf


def settle(before: Any, after: Any, finite: Bool[Array, ""], t: Int[Array, ""]) -> Any:
    """The state that a replica goes on with: ``after``, or ``before`` once it has diverged.

    Args:
        before: a NamedTuple with the field ``diverged_at``, [].
        after: the same after step ``t``.
        finite: whether the step's losses and parameters are.
        t: absolute number of the step.
    """
    alive = finite & (before.diverged_at == NOT_DIVERGED)
    kept = jax.tree.map(lambda new, old: jnp.where(alive, new, old), after, before)
    first = ~finite & (before.diverged_at == NOT_DIVERGED)
    return kept._replace(diverged_at=jnp.where(first, t, before.diverged_at))
