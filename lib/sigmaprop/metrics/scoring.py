"""Scores of a sample by any metrics, against one reference."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from sigmaprop.metrics.records import METRICS

Features: TypeAlias = Callable[[Array], Array]
"""Maps examples [N, D] to features [N, F]."""


class Components(NamedTuple):
    """A mixture as metrics see it: equal weights of N(means[k], std^2 I); `data.Mixture` is one."""

    means: Any
    std: float


class Reference(NamedTuple):
    """What generated examples are compared with.

    Attributes:
        data: all examples, [N, D].
        squared_bandwidths: of the MMD's kernels, [J].
        key: of the sliced Wasserstein distance's directions, of cells and halves; one and the same
            for all.
        mixture: the truth, where it is one: with ``means`` [K, D] and ``std``.
        train: training examples, for the metrics that look for copies; [T, D].
    """

    data: Float[Array, "N D"]
    squared_bandwidths: Float[Array, " J"]
    key: Key[Array, ""]
    mixture: Any = None
    train: Float[Array, "T D"] | None = None


def scores(
    x: Float[Array, "N D"],
    held_out: Float[Array, "M D"],
    reference: Any,
    wanted: Sequence[str],
) -> Float[Array, " K"]:
    """The metrics of these names for one sample; one pass serves those of one function."""
    passes: dict[str, Any] = {}
    values = []
    for name in wanted:
        metric = METRICS[name]
        if metric.score not in passes:
            passes[metric.score] = metric.function(x, held_out, reference)
        result = passes[metric.score]
        value = getattr(result, name) if isinstance(result, tuple) else result
        values.append(jnp.asarray(value, jnp.float32))
    return jnp.stack(values)
