"""How small a change of the data's finest scale a metric sees.

A metric that has no opinion about sigma may still be blind: kernels that are wide against the
components of a mixture do not see how wide the components are. So real rows are compared with
real rows whose finest scale was changed by a known factor, up by noise and down by drawing them
together, and the power of the metric is counted at the study's own number of rows.

The finest scale is that of the components where they are known; else that of the pixels, each by
its own std; or, which asks for more, that of a row's distance to its nearest neighbours.
"""

import functools
from typing import Any, Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from sigmaprop.metrics import mmd
from sigmaprop.metrics.neighbours import nearest
from sigmaprop.metrics.records import METRICS
from sigmaprop.metrics.scoring import Components, Features, Reference, scores

CHANGES = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Relative changes of the finest scale that are tried, up and down."""
POWER, LEVEL = 0.8, 0.05
"""What is asked of the test that a change is seen by: power, and level."""
NUM_DRAWS = 128
NEIGHBOURS = 5
"""Rows whose mean a row is drawn to under the structure "neighbours"."""
Structure: TypeAlias = Literal["pixels", "neighbours"]


class Sensitivity(NamedTuple):
    """What changes of the finest scale a metric sees.

    Attributes:
        change: the least relative change that is seen with power `POWER` at level `LEVEL` in both
            directions; infinite where the largest of `CHANGES` is not.
        grown: the power by change where the scale has grown. [C]
        shrunk: the power by change where it has shrunk. [C]
        finest: the scale that was changed, in units of x; root mean square over the coordinates.
        num_samples: rows of the samples.
        num_held_out: rows of the held-out data.
    """

    change: float
    grown: Float[np.ndarray, " C"]
    shrunk: Float[np.ndarray, " C"]
    finest: float
    num_samples: int
    num_held_out: int


def sensitivity(
    name: str,
    reference: Float[Any, "R D"],
    num_samples: int,
    key: Key[Array, ""],
    *,
    finest: float | None = None,
    means: Float[Any, "K D"] | None = None,
    structure: Structure = "pixels",
    num_held_out: int | None = None,
    features: Features | None = None,
    num_draws: int = NUM_DRAWS,
    mixture: Any = None,
) -> Sensitivity:
    """The least change of the finest scale that a metric sees with power .8 at these sizes.

    A draw takes num_samples + num_held_out distinct rows, and what is left to train on. Its samples
    are changed: grown by a share c, noise of std finest sqrt((1 + c)^2 - 1) is added; shrunk by c,
    each row moves the share c of its way to its centre. The same draws without a change give the
    critical value.

    Args:
        name: of a metric, see `METRICS`.
        reference: rows of the study's own data.
        num_samples: generated examples of the study.
        key: of all draws.
        finest: std of the finest structure where it is known, in units of x, > 0; None: the rows'
            spread about their centres, in each coordinate its own.
        means: of the components, as centres; None: see ``structure``.
        structure: where components are not known: "pixels" takes the mean of all rows as centre,
            "neighbours" that of the `NEIGHBOURS` nearest ones.
        num_held_out: held-out rows of the study; num_samples where None.
        features: what the metric is measured in; None: the rows themselves.
        num_draws: how often.
        mixture: the truth, for the metrics that need it.

    Returns:
        See `Sensitivity`.

    Raises:
        ValueError: unknown metric, or too few rows.
    """
    rows = jnp.asarray(reference, jnp.float32)
    num_held_out = num_samples if num_held_out is None else num_held_out
    fewest = 4 if METRICS[name].needs == "train" else 0
    _check(name, len(rows), num_samples + num_held_out + fewest, mixture)
    centres = _centres(rows, means, structure)
    scale = jnp.sqrt(jnp.mean((rows - centres) ** 2, axis=0))
    if finest is not None:
        scale = jnp.full_like(scale, finest)
    known = finest if features is None else None
    bandwidths = mmd.squared_bandwidths(_seen(rows, features), finest=known)
    truth = None if mixture is None else Components(jnp.asarray(mixture.means), mixture.std)
    context = Reference(rows, bandwidths, jax.random.fold_in(key, 1), truth)
    sizes = (num_samples, num_held_out)
    keys = jax.random.split(jax.random.fold_in(key, 0), num_draws)
    measured = _values(
        _Rows(rows, centres, scale), context, keys, name=name, sizes=sizes, features=features
    )
    values = np.asarray(measured, np.float64)
    grown, shrunk = _power(name, values)
    change = max(_least(grown), _least(shrunk))
    return Sensitivity(change, grown, shrunk, float(jnp.sqrt(jnp.mean(scale**2))), *sizes)


def _seen(rows: Array, features: Features | None) -> Array:
    return rows if features is None else features(rows)


def _centres(rows: Array, means: Any, structure: Structure) -> Array:
    """What each row is drawn to: the nearest component's mean, or that of all, or of neighbours."""
    if means is None and structure == "pixels":
        return jnp.broadcast_to(jnp.mean(rows, axis=0), rows.shape)
    if means is None:
        near = nearest(rows, rows, NEIGHBOURS, exclude_self=True).indices
        return jnp.mean(rows[near], axis=1)
    means = jnp.asarray(means, jnp.float32)
    return means[nearest(rows, means, 1).indices[:, 0]]


class _Rows(NamedTuple):
    """What draws are made of: rows, what each is drawn to, the scale of the noise [D]."""

    rows: Array
    centres: Array
    scale: Array


@functools.partial(jax.jit, static_argnames=("name", "sizes", "features"))
def _values(
    rows: _Rows,
    context: Reference,
    keys: Array,
    *,
    name: str,
    sizes: tuple[int, int],
    features: Features | None,
) -> Array:
    """The metric of every draw: unchanged, grown by each change, shrunk by each, [B, 1 + 2 C]."""
    measure = functools.partial(_of_draw, rows, context, name, sizes, features)
    return jax.lax.map(measure, keys)


def _of_draw(
    own: _Rows,
    context: Reference,
    name: str,
    sizes: tuple[int, int],
    features: Features | None,
    key: Array,
) -> Array:
    """The metric of one draw, [1 + 2 C]."""
    num, both = sizes[0], sum(sizes)
    key_rows, key_noise = jax.random.split(key)
    order = jax.random.permutation(key_rows, len(own.rows))
    x, way = own.rows[order[:num]], (own.centres - own.rows)[order[:num]]
    eps = own.scale * jax.random.normal(key_noise, x.shape)
    held_out = _seen(own.rows[order[num:both]], features)
    train = _seen(own.rows[order[both:][: max(sizes)]], features)

    def at(change: tuple[Array, Array]) -> Array:
        noise, share = change
        changed = _seen(x + share * way + noise * eps, features)
        return scores(changed, held_out, context._replace(train=train), (name,))[0]

    changes = jnp.asarray(CHANGES)
    noise = jnp.concatenate([jnp.zeros(1), jnp.sqrt((1 + changes) ** 2 - 1), 0 * changes])
    share = jnp.concatenate([jnp.zeros(1), 0 * changes, changes])
    return jax.lax.map(at, (noise, share))


def _power(name: str, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How often each change is seen: beyond what unchanged rows score in 5% of draws."""
    null, changed = values[:, 0], values[:, 1:]
    better = METRICS[name].scale.better
    if better == "smaller":
        seen = changed > np.quantile(null, 1 - LEVEL)
    elif better == "larger":
        seen = changed < np.quantile(null, LEVEL)
    else:
        low, high = np.quantile(null, [LEVEL / 2, 1 - LEVEL / 2])
        seen = (changed < low) | (changed > high)
    power = (seen | ~np.isfinite(changed)).mean(axis=0)
    return power[: len(CHANGES)], power[len(CHANGES) :]


def _least(power: np.ndarray) -> float:
    """The change at which the power passes `POWER` for good, between those tried on a log axis."""
    enough = power >= POWER
    if not enough[-1]:
        return np.inf
    first = len(enough) - int(np.argmin(enough[::-1])) if not enough.all() else 0
    if first == 0:
        return CHANGES[0]
    low, high = power[first - 1], power[first]
    share = (POWER - low) / (high - low)
    ends = np.log(CHANGES[first - 1]), np.log(CHANGES[first])
    return float(np.exp(ends[0] + share * (ends[1] - ends[0])))


def _check(name: str, num_rows: int, needed: int, mixture: Any) -> None:
    if METRICS[name].needs == "mixture" and mixture is None:
        raise ValueError(f"{name} needs the mixture that the data were drawn from; give it")
    if num_rows < needed:
        raise ValueError(
            f"samples and held-out rows need {needed} rows; the reference has {num_rows}: take "
            "smaller sizes"
        )
