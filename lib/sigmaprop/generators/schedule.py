"""Sigmas that are given for each step: schedules that differ between replicas of a program.

`noise.schedules` has the same curves as float64 functions of the host, for sweeps ("exponential" is
its "geometric"); here kind and ends are arrays, so that a vmap over replicas can hold a different
schedule in each.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from sigmaprop.names import unknown

KINDS = ("constant", "linear", "cosine", "exponential")


class SigmaSchedule(NamedTuple):
    """A sigma for each step.

    Attributes:
        first: at step 0, in units of x, >= 0. []
        last: from step ``steps`` on, []; > 0 for "exponential", whose floor it is.
        kind: index into `KINDS`, [].
        steps: length of the way from first to last, [].
    """

    first: Float[Array, ""]
    last: Float[Array, ""]
    kind: Int[Array, ""]
    steps: Int[Array, ""]


def sigma_schedule(
    kind: str,
    first: float,
    last: float,
    steps: int,
    *,
    array: Callable[..., Any] = jnp.asarray,
) -> SigmaSchedule:
    """A schedule of one replica.

    Args:
        kind: one of `KINDS`.
        first: see `SigmaSchedule`; a constant has no other.
        last: see `SigmaSchedule`.
        steps: >= 1.
        array: makes the arrays; `np.asarray` leaves them on the host, where those of thousands of
            replicas are stacked without a call to a device for each.

    Raises:
        ValueError: unknown kind (the nearest is named), or ends that it excludes.
    """
    if kind not in KINDS:
        raise unknown("sigma schedule", kind, KINDS)
    if kind == "exponential" and min(first, last) <= 0:
        raise ValueError(
            f"an exponential sigma schedule runs between positive sigmas, not {first} and {last}"
        )
    if steps < 1:
        raise ValueError(f"a sigma schedule of {steps} steps; it needs at least 1")
    return SigmaSchedule(
        array(first, jnp.float32),
        array(first if kind == "constant" else last, jnp.float32),
        array(KINDS.index(kind), jnp.int32),
        array(steps, jnp.int32),
    )


def select_sigma(schedule: SigmaSchedule, step: Int[Array, ""]) -> Float[Array, ""]:
    """Sigma of a step: ``first`` at 0, ``last`` from ``schedule.steps`` on.

    Constant schedules give ``first`` itself at every step, without rounding.
    """
    first, last = schedule.first, schedule.last
    t = jnp.clip(step / schedule.steps, 0.0, 1.0).astype(first.dtype)
    straight = first + (last - first) * t
    half_cosine = last + (first - last) * 0.5 * (1.0 + jnp.cos(jnp.pi * t))
    positive = jnp.maximum(first, 1e-30), jnp.maximum(last, 1e-30)
    geometric = jnp.exp(jnp.log(positive[0]) * (1.0 - t) + jnp.log(positive[1]) * t)
    ends = jnp.minimum(first, last), jnp.maximum(first, last)
    curves = jnp.stack([first, straight, half_cosine, jnp.clip(geometric, *ends)])
    inside = jnp.sum(jnp.where(jnp.arange(len(KINDS)) == schedule.kind, curves, 0.0))
    return jnp.where(t >= 1.0, last, jnp.where(t <= 0.0, first, inside))
