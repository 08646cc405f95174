"""Which sigma a metric likes best: a metric with an opinion of its own must not judge sigma.

The data are N(0, I), and the samples N(0, s^2 I): a metric that compares distributions likes s = 1
best. Many do not, at any number of samples that one can have. So it is measured, by drawing both
sides again and again and asking which s scores best on average.

With a reference set the data are its rows with noise of known size added, and the samples other
rows with s times that noise.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from sigmaprop.metrics import mmd, modes
from sigmaprop.metrics.records import METRICS, Metric
from sigmaprop.metrics.scoring import Components, Features, Reference, scores
from sigmaprop.statistics import LEVEL, Interval

SCALES = (0.5, 0.6, 0.7, 0.8, 0.88, 0.94, 1.0, 1.06, 1.13, 1.25, 1.4, 1.6, 2.0)
"""Where every metric is measured first."""
NEAR = (0.85, 0.9, 0.95, 1.0, 1.05, 1.1, 1.15)
"""Where those are measured again whose preference may lie between the first and the last."""
FEWEST_REPEATS, MOST_REPEATS = 16, 1024
ENOUGH = 32
"""Fewer repeats do not make an interval that a metric may pass by."""
PRECISION = 0.01
"""Half the length of an interval that is short enough to stop at."""
_RESAMPLES = 1000


class Preferred(NamedTuple):
    """The scale that a metric likes best.

    Attributes:
        measured: the scale, and its interval at `LEVEL` over the repeats. Where the best of all
            resamples is an end of `SCALES`, the truth may lie beyond it.
        scales: where the curve was measured. [S]
        curve: the metric there, averaged over the repeats. [S]
        error: its standard error. [S]
        repeats: how often both sides were drawn.
        dim: of the data, D.
        num_samples: rows of each side.
    """

    measured: Interval
    scales: Float[np.ndarray, " S"]
    curve: Float[np.ndarray, " S"]
    error: Float[np.ndarray, " S"]
    repeats: int
    dim: int
    num_samples: int

    @property
    def at_end(self) -> str:
        """ "<=" or ">=" where the best scale is an end of those that were tried, else empty."""
        if self.measured.value <= SCALES[0]:
            return "<="
        return ">=" if self.measured.value >= SCALES[-1] else ""


class Draw(NamedTuple):
    """One draw of both sides: a function of the scale for the samples, held-out and training rows.

    Attributes:
        base: what samples are made of without noise. [N, D]
        noise: what is added to them, times the scale. [N, D]
        held_out: [M, D].
        train: [T, D].
    """

    base: Float[Array, "N D"]
    noise: Float[Array, "N D"]
    held_out: Float[Array, "M D"]
    train: Float[Array, "T D"]


def preferred_scale(
    name: str,
    dim: int,
    num_samples: int,
    key: Key[Array, ""],
    reference: Float[Any, "R D"] | None = None,
    *,
    noise: float = 1.0,
    finest: float | None = None,
    features: Features | None = None,
    most_repeats: int = MOST_REPEATS,
) -> Preferred:
    """The scale s of samples at which a metric scores best on average.

    From few repeats over `SCALES` first. Where the preference may lie near 1, then from twice as
    many over `NEAR`, and so on, until the interval is shorter than 2 `PRECISION` or excludes 1 by
    more than its own length. A metric that is as good far from 1 (the accuracy of a classifier that
    takes everything for one kind) has an interval that reaches there.

    Args:
        name: of a metric, see `METRICS`.
        dim: D of Gaussian data; of a reference its own.
        num_samples: rows of the samples and of the held-out data.
        key: of all draws.
        reference: rows to which noise is added, in place of Gaussian data: 3 num_samples or more.
        noise: std of that noise, in units of the rows, > 0.
        finest: for the bandwidths of the MMD, see `mmd.squared_bandwidths`.
        features: what the metric is measured in; None: the rows themselves.
        most_repeats: at most so many.

    Returns:
        See `Preferred`.

    Raises:
        ValueError: unknown metric, too few rows, or a metric that needs a mixture in a reference
            set, which has none.

    Example:
        >>> from sigmaprop.metrics import preferred_scale
        >>> preferred_scale("coverage", 16, 192, jax.random.key(0)).measured.value  # doctest: +SKIP
        0.5
    """
    metric = METRICS[name]
    rows = None if reference is None else jnp.asarray(reference, jnp.float32)
    _check(name, dim, num_samples, rows, noise)
    dim = dim if rows is None else rows.shape[1]
    draw = functools.partial(_draw, dim, num_samples, rows, noise)
    context = _context(draw(jax.random.fold_in(key, 0)), key, finest, features, rows is None)
    target = _target(metric, name, context)
    measure = _curves(draw, name, context, features)

    def repeats(scales: tuple[float, ...], first: int, last: int) -> np.ndarray:
        keys = jax.random.split(jax.random.fold_in(key, 1), MOST_REPEATS)[first:last]
        return np.asarray(measure(keys, jnp.asarray(scales, jnp.float32)), np.float64)

    most = min(FEWEST_REPEATS, most_repeats)
    wide = repeats(SCALES, 0, most)
    found, values = best(wide, SCALES, metric, target), wide
    if found.low <= NEAR[-1] and found.high >= NEAR[0]:
        values = repeats(NEAR, 0, most)
        found = best(values, NEAR, metric, target)
        while len(values) < most_repeats and not _decided(found, len(values)):
            more = min(2 * len(values), most_repeats)
            values = np.concatenate([values, repeats(NEAR, len(values), more)])
            found = best(values, NEAR, metric, target)
        if found.value in (NEAR[0], NEAR[-1]) or not _within(best(wide, SCALES, metric, target)):
            # It may lie further out, or there too: as many repeats over all scales decide.
            wide = np.concatenate([wide, repeats(SCALES, len(wide), len(values))])
            everywhere = best(wide, SCALES, metric, target)
            found = found if _within(everywhere) else everywhere
    curve = wide.mean(axis=0), wide.std(axis=0, ddof=1) / np.sqrt(len(wide))
    return Preferred(found, np.asarray(SCALES), *curve, len(values), dim, num_samples)


def best(
    values: Float[np.ndarray, "R S"], scales: tuple[float, ...], metric: Metric, target: float
) -> Interval:
    """The scale with the best mean over repeats, and its interval by resampling them.

    Between the scales by the parabola through the best and its neighbours, on a log axis.
    """
    rng = np.random.default_rng(0)
    weights = rng.multinomial(len(values), np.full(len(values), 1 / len(values)), _RESAMPLES)
    means = np.concatenate([values.mean(axis=0)[None], weights @ values / len(values)])
    harm = {"smaller": means, "larger": -means}.get(metric.scale.better)
    harm = np.abs(means - target) if harm is None else harm
    if not np.isfinite(harm[0]).all() or np.ptp(harm[0]) == 0:
        return Interval(np.nan, np.nan, np.nan, np.nan)
    chosen = np.array([_lowest(row, np.log(scales)) for row in np.nan_to_num(harm, nan=np.inf)])
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(chosen[1:], [tail, 1 - tail])
    return Interval(float(chosen[0]), float(chosen[1:].std()), float(low), float(high))


def _lowest(harm: np.ndarray, logs: np.ndarray) -> float:
    """Where the curve is lowest."""
    at = int(np.argmin(harm))
    if at in (0, len(harm) - 1):
        return float(np.exp(logs[at]))
    a, b, _ = np.polyfit(logs[at - 1 : at + 2] - logs[at], harm[at - 1 : at + 2], 2)
    step = 0.0 if not a > 0 else -b / (2 * a)
    return float(np.exp(np.clip(logs[at] + step, logs[at - 1], logs[at + 1])))


def _within(found: Interval) -> bool:
    """Whether all of an interval lies among the near scales."""
    return NEAR[0] <= found.low and found.high <= NEAR[-1]


def _decided(found: Interval, repeats: int) -> bool:
    """Whether more repeats would change nothing: short enough, or clearly not 1."""
    length = found.high - found.low
    apart = max(found.low - 1, 1 - found.high)
    short = repeats >= ENOUGH and length <= 2 * PRECISION
    return bool(np.isnan(found.value) or short or apart > length)


def _draw(dim: int, num: int, rows: Array | None, noise: float, key: Array) -> Draw:
    key_rows, key_x, key_y, key_train = jax.random.split(key, 4)
    if rows is None:
        eps, held_out = (jax.random.normal(one, (num, dim)) for one in (key_x, key_y))
        return Draw(jnp.zeros((num, dim)), eps, held_out, jax.random.normal(key_train, (num, dim)))
    order = rows[jax.random.permutation(key_rows, len(rows))[: 3 * num]]
    eps = [noise * jax.random.normal(one, (num, dim)) for one in (key_x, key_y, key_train)]
    return Draw(order[:num], eps[0], order[num : 2 * num] + eps[1], order[2 * num :] + eps[2])


def _context(
    draw: Draw, key: Array, finest: float | None, features: Features | None, gaussian: bool
) -> Reference:
    """What all draws are scored against: bandwidths of one training draw, directions, the truth."""
    train = draw.train if features is None else features(draw.train)
    dim = train.shape[1]
    mixture = Components(np.zeros((1, dim), np.float32), 1.0) if gaussian else None
    bandwidths = mmd.squared_bandwidths(np.asarray(train), finest=finest)
    return Reference(train, bandwidths, jax.random.fold_in(key, 2), mixture, train)


def _target(metric: Metric, name: str, context: Reference) -> float:
    """What the truth scores, of a metric that is best there."""
    if metric.needs != "mixture" or metric.scale.better != "target":
        return metric.scale.target
    return modes.ideal(context.mixture.means, context.mixture.std)[name]


def _curves(
    draw: Callable[[Array], Draw], name: str, context: Reference, features: Features | None
) -> Callable[[Array, Array], Array]:
    """The metric of every key and scale, [R, S]; one draw in memory at a time."""
    see = features or (lambda rows: rows)

    @jax.jit
    def measure(keys: Array, scales: Array) -> Array:
        def one(key: Array) -> Array:
            drawn = draw(key)
            held_out = see(drawn.held_out)
            own = context._replace(train=see(drawn.train))

            def at(scale: Array) -> Array:
                return scores(see(drawn.base + scale * drawn.noise), held_out, own, (name,))[0]

            return jax.lax.map(at, scales)

        return jax.lax.map(one, keys)

    return measure


def _check(name: str, dim: int, num: int, rows: Array | None, noise: float) -> None:
    if dim < 1 or num < 8:
        raise ValueError(f"dim is {dim} and num_samples {num}; give dim >= 1, num_samples >= 8")
    if not noise > 0:
        raise ValueError(f"noise is {noise}; a scale of it is preferred only if it is above 0")
    if rows is None:
        return
    if METRICS[name].needs == "mixture":
        raise ValueError(f"{name} needs a mixture; a reference set has none, leave it out")
    if len(rows) < 3 * num:
        raise ValueError(
            f"the reference has {len(rows)} rows; samples, held-out and training rows need "
            f"{3 * num}: take num_samples <= {len(rows) // 3}"
        )
