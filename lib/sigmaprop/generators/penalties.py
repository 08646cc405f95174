"""How well a finite difference stands for R1: its bias, its variance, its float floor.

`regularizers.approximate_r1` is E |D(x + s eps) - D(x)|^2, which is s^2 E |grad D|^2 where s is
small for the discriminator and large for its rounding. Here both ends are measured, for values and
for the gradients to the discriminator's parameters, against the same network in float64.

All functions that take float64 are called inside ``with jax.enable_x64(True)``.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Float32, Float64

from sigmaprop.generators.networks.base import ACTIVATIONS, Network
from sigmaprop.generators.networks.mlp import mlp_discriminator
from sigmaprop.generators.regularizers import squared_difference, squared_gradient
from sigmaprop.statistics import UNKNOWN, Interval, jackknife_interval

Discriminate = Callable[[Any, Array], Array]
ALLOWED = 0.05
"""How far the finite difference may be from R1, relative."""
LINEAR = "linear"
"""The discriminator without a hidden layer, of which all is known in closed form."""


class Judge(NamedTuple):
    """A random discriminator.

    Attributes:
        net: as training computes it, in its own dtype.
        params: float32.
        exact: ``(params, x) -> logits``, the same network in the dtype of its arguments.
    """

    net: Network
    params: Any
    exact: Discriminate


class Ratios(NamedTuple):
    """E |D(x + s eps) - D(x)|^2 / s^2 over E |grad D|^2, for each of S scales.

    Attributes:
        ratio: as the discriminator's dtype computes the differences, [S].
        exact: in float64: what is not 1 of it is bias, [S].
        variance: of one draw of the ratio given x, [S]; 2 E|g|^4 / (E|g|^2)^2 as s -> 0, where R1
            itself has none.
    """

    ratio: Float64[Array, " S"]
    exact: Float64[Array, " S"]
    variance: Float64[Array, " S"]


class Match(NamedTuple):
    """A mean gradient to the discriminator's parameters beside the right one.

    Attributes:
        size: its component along the right one, in units of that; 1 is right. []
        squared_error: squared norm of the difference over that of the right one, less what sampling
            alone adds to it, as blocks of examples tell: unbiased, so it may lie below 0. []
        noise: the root of what sampling adds. []
    """

    size: Float64[Array, ""]
    squared_error: Float64[Array, ""]
    noise: Float64[Array, ""]


class Pooled(NamedTuple):
    """Gradients beside the right ones, over random discriminators.

    Attributes:
        size: see `Match`.
        cosine: between the two.
        error: norm of the difference over the norm of the right one.
    """

    size: Interval
    cosine: Interval
    error: Interval


def judge(
    kind: str, dim: int, widths: tuple[int, ...], key: Array, dtype: str = "float32"
) -> Judge:
    """A random discriminator as `sigmaprop gan` begins with it.

    Args:
        kind: name of the activation of its hidden layers, or "linear": none.
        dim: of x.
        widths: of the hidden layers.
        key: of its parameters, the same for every dtype.
        dtype: in which products are computed, "float32" or "bfloat16".

    Raises:
        ValueError: unknown kind or dtype, or a size below 1.
    """
    hidden = () if kind == LINEAR else widths
    activation = "identity" if kind == LINEAR else kind
    net = mlp_discriminator(dim, widths=hidden, activation=activation, dtype=dtype)
    return Judge(net, net.init(key), written_out(activation, len(hidden)))


def written_out(activation: str, depth: int) -> Discriminate:
    """An MLP of ``depth`` hidden layers in the dtype of its arguments, float64 too."""
    function = ACTIVATIONS[activation].function

    def discriminate(params: Any, x: Array) -> Array:
        for layer in range(depth):
            own = params[f"hidden_{layer}"]
            x = function(x @ own["kernel"] + own["bias"])
        return (x @ params["output"]["kernel"] + params["output"]["bias"])[:, 0]

    return discriminate


def doubled(tree: Any) -> Any:
    """The tree in float64."""
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), tree)


def slopes(
    discriminate: Callable[[Array], Array], x: Float[Array, "B D"], eps: Float[Array, "B D"]
) -> tuple[Float[Array, " B"], Float[Array, " B"]]:
    """(grad D . eps)^2 and its mean over eps, |grad D|^2, of each example."""
    along = jax.jvp(discriminate, (x,), (eps,))[1]
    return along**2, squared_gradient(discriminate, x)[1]


def ratios(
    judge: Judge, x: Float32[Array, "B D"], eps: Float32[Array, "B D"], sigmas: Float[Array, " S"]
) -> Ratios:
    """The value of the finite difference beside that of R1, in the judge's dtype and exactly.

    The estimate has (grad D . eps)^2 as its control variate, whose mean is known: so bias and floor
    are seen below the sampling error that the penalty itself has.

    Args:
        judge: the discriminator.
        x: examples.
        eps: standard normal draws.
        sigmas: the scales s, in units of x, above 0.
    """
    params, points, noise = doubled(judge.params), doubled(x), doubled(eps)
    along, squared = slopes(lambda at: judge.exact(params, at), points, noise)
    mean = jnp.mean(squared)
    base = judge.net.apply(judge.params, x)

    def at(sigma: Array) -> tuple[Array, Array, Array]:
        near = x + sigma.astype(jnp.float32) * eps
        rounded = doubled(judge.net.apply(judge.params, near) - base) / sigma
        exact = judge.exact(params, points + sigma * noise) - judge.exact(params, points)
        found = [jnp.mean(d**2 - along + squared) / mean for d in (rounded, exact / sigma)]
        spread = jnp.mean((rounded**2 - found[0] * squared) ** 2) / mean**2
        return found[0], found[1], spread

    return Ratios(*jax.lax.map(at, doubled(sigmas)))


def gradients(
    judge: Judge, x: Float32[Array, "B D"], eps: Float32[Array, "B D"], sigmas: Float[Array, " S"]
) -> tuple[Match, Match]:
    """The finite difference's gradient to the parameters beside that of s^2 E |grad D|^2, [S].

    Args:
        judge: the discriminator.
        x: examples, a multiple of `BLOCKS`.
        eps: standard normal draws; each is used with both signs.
        sigmas: the scales s, in units of x, above 0.

    Returns:
        That of the penalty, with the gradient of (grad D . eps)^2 as control variate; and that of
        the mistake `stopped_difference`, plain.
    """
    params = doubled(judge.params)

    def known(params: Any, which: int, x: Array, eps: Array) -> Array:
        see = lambda at: judge.exact(params, at)  # noqa: E731
        return jnp.mean(slopes(see, doubled(x), doubled(eps))[which])

    def found(f: Callable, sigma: Array, x: Array, eps: Array) -> Array:
        """The gradient of a penalty in the judge's own dtype, over s^2, [P]."""
        step = sigma.astype(jnp.float32) * eps

        def both_signs(params: Any) -> Array:
            see = lambda at: judge.net.apply(params, at)  # noqa: E731
            return (f(see, x, x + step) + f(see, x, x - step)) / 2

        return flat(jax.grad(both_signs)(judge.params)) / sigma**2

    along, right = (
        by_block(lambda *at, k=which: flat(jax.grad(known)(params, k, *at)), x, eps)
        for which in (0, 1)
    )

    def at(sigma: Array) -> tuple[Match, Match]:
        true, wrong = (
            by_block(lambda *at, f=f: found(f, sigma, *at), x, eps)
            for f in (squared_difference, stopped_difference)
        )
        return match(true - along + right, right), match(wrong, right)

    return jax.lax.map(at, doubled(sigmas))


BLOCKS = 8
"""Blocks of examples that sampling errors of gradients are estimated from."""


def by_block(
    gradient: Callable[[Array, Array], Array], x: Float[Array, "B D"], eps: Float[Array, "B D"]
) -> Float64[Array, "K P"]:
    """A function of examples and noise on each block of them."""
    return jax.lax.map(
        lambda block: gradient(*block),
        tuple(array.reshape(BLOCKS, -1, array.shape[-1]) for array in (x, eps)),
    )


def stopped_difference(
    discriminate: Callable[[Array], Array], x: Float[Array, "B D"], near: Float[Array, "B D"]
) -> Float[Array, ""]:
    """The mistake to be told from `squared_difference`: no gradient through the noised branch.

    Its gradient is -2 E (D(near) - D(x)) dD(x)/dparams: the part that is linear in the noise has
    mean 0, and what is left, -s^2 E laplacian(D) dD/dparams, does not flatten the discriminator.
    """
    return jnp.mean((jax.lax.stop_gradient(discriminate(near)) - discriminate(x)) ** 2)


def flat(tree: Any) -> Float64[Array, " P"]:
    """All numbers of a tree in float64."""
    return ravel_pytree(doubled(tree))[0]


def match(found: Float64[Array, "K P"], right: Float64[Array, "K P"]) -> Match:
    """One gradient beside the right one, from K blocks of examples; NaN where that is 0."""
    off = found - right
    noise = jnp.sum(jnp.var(off, axis=0, ddof=1)) / len(off)
    mean, reference = jnp.mean(off, axis=0), jnp.mean(right, axis=0)
    squared = reference @ reference
    return Match(
        1.0 + mean @ reference / squared,
        (mean @ mean - noise) / squared,
        jnp.sqrt(noise / squared),
    )


def pooled(size: np.ndarray, squared_error: np.ndarray, noise: np.ndarray) -> Pooled:
    """The numbers of `Match` of N random discriminators, each [N], as one, with 99% intervals.

    Cosine and error are NaN where sampling leaves more than half of the right gradient open, and
    the cosine where a gradient is shorter than a hundredth of it: rounding then has its direction.
    """
    num = len(size)

    def cosine(size: np.ndarray, squared: np.ndarray) -> float:
        along = size.mean()
        length = np.sqrt(max(2 * along - 1 + squared.mean(), along**2))
        return along / length if length > 0.01 else np.nan

    found = Pooled(
        jackknife_interval(np.mean, size),
        jackknife_interval(cosine, size, squared_error),
        jackknife_interval(lambda squared: np.sqrt(max(squared.mean(), 0.0)), squared_error),
    )
    left = np.sqrt(np.mean(noise**2) / num)
    if left > max(0.5, found.error.value / 2):
        return Pooled(found.size, UNKNOWN, UNKNOWN)
    return found


def leaves(x: np.ndarray, off: np.ndarray, allowed: float) -> tuple[float, float]:
    """The ends of the range around the best x in which something is off by no more than allowed.

    Args:
        x: where it was measured, rising and positive, [K].
        off: by how much it is off there, [K]; NaN counts as too much.
        allowed: above 0.

    Returns:
        Lower and upper end, between measured points by a straight line of log(off) on log(x); 0 or
        infinity where the range does not end within x; NaN for both where it is too far off
        everywhere.
    """
    within = np.nan_to_num(off, nan=np.inf) <= allowed
    if not within.any():
        return np.nan, np.nan
    low = high = int(np.nanargmin(off))
    while low > 0 and within[low - 1]:
        low -= 1
    while high < len(x) - 1 and within[high + 1]:
        high += 1
    before, behind = slice(low - 1, low + 1), slice(high, high + 2)
    return (
        _crossing(x[before], off[before], allowed) if low > 0 else 0.0,
        _crossing(x[behind], off[behind], allowed) if high < len(x) - 1 else np.inf,
    )


def _crossing(x: np.ndarray, off: np.ndarray, allowed: float) -> float:
    """Where a straight line through two points of logarithms crosses what is allowed."""
    (x0, x1), (y0, y1) = np.log(x), np.log(np.maximum(np.nan_to_num(off, nan=1e300), 1e-300))
    return float(np.exp(x0 + (x1 - x0) * (np.log(allowed) - y0) / (y1 - y0)))
