"""How draws of noise come in independent units, and what one unit adds to an estimate.

A unit is one draw (or one antithetic pair), a block of orthogonal rows, or a whole scrambled Sobol
net. Units are independent and alike, so means and variances over units are honest whatever hangs
together inside them.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from sigmaprop.estimators.antithetic import as_unit
from sigmaprop.estimators.base import Estimator
from sigmaprop.estimators.options import Options
from sigmaprop.noise import normal_rows, orthogonal_blocks
from sigmaprop.noise.sobol import scramble, sobol_normals


class Layout(NamedTuple):
    """How the draws of an estimate are cut up.

    Attributes:
        num_units: independent units.
        unit_draws: draws in each; samples_per_draw x unit_draws x num_units samples in all.
        together: units evaluated at a time.
        inside: draws of a unit evaluated at a time; unit_draws but for nets.
        columns: length of a row of noise.
    """

    num_units: int
    unit_draws: int
    together: int
    inside: int
    columns: int


def layout(
    estimator: Estimator, noise_dim: int, num_samples: int, chunk: int, options: Options
) -> Layout:
    """Cuts up the samples.

    Args:
        estimator: the estimator, with its noise scheme.
        noise_dim: length K of eps.
        num_samples: points x.
        chunk: draws to evaluate at a time, as nearly as units allow.
        options: for the number of nets.

    Raises:
        ValueError: num_samples is not a number of whole units.
    """
    columns = estimator.columns(noise_dim)
    unit = _unit_draws(estimator, columns, noise_dim, num_samples, options)
    num_units = num_samples // (unit * estimator.samples_per_draw)
    if estimator.noise != "sobol":
        return Layout(num_units, unit, max(1, min(num_units, chunk // unit)), unit, columns)
    inside = min(unit, 1 << (max(1, chunk).bit_length() - 1))
    return Layout(num_units, unit, 1, inside, columns)


def check_enough(estimator: Estimator, plan: Layout, num_samples: int) -> None:
    """Refuses fewer independent units than define the estimate.

    Raises:
        ValueError: naming the fewest samples.
    """
    if plan.num_units >= estimator.min_draws:
        return
    words = [f"estimator {estimator.name!r}"]
    if estimator.control_variate is not None:
        words.append(f"control_variate {estimator.control_variate!r}")
    needs = f"{' with '.join(words)} needs {estimator.min_draws} independent"
    if estimator.noise == "sobol":
        raise ValueError(f"option randomizations is {plan.num_units}; {needs} nets at least")
    fewest = estimator.min_draws * plan.unit_draws * estimator.samples_per_draw
    of = {"iid": "draws", "antithetic": "pairs", "orthogonal": f"blocks of {plan.unit_draws}"}
    raise ValueError(
        f"num_samples is {num_samples}; it must be at least {fewest}: {needs} {of[estimator.noise]}"
    )


def _unit_draws(
    estimator: Estimator, columns: int, noise_dim: int, num_samples: int, options: Options
) -> int:
    """Draws in a unit, after a look at whether the samples are whole units."""
    name, noise = estimator.name, estimator.noise
    if noise == "orthogonal":
        if columns != noise_dim:
            raise ValueError(
                f"noise 'orthogonal' has no meaning with random probes of estimator {name!r}; its "
                "rows hold more than the noise of x"
            )
        _check_samples(num_samples, noise, noise_dim, f"a multiple of {noise_dim}, a whole block")
        return noise_dim
    if noise == "sobol":
        nets = options.randomizations
        points = num_samples // nets
        whole = num_samples % nets == 0 and points > 0 and points & (points - 1) == 0
        if not whole:
            raise ValueError(
                f"num_samples is {num_samples}; with noise 'sobol' it must be {nets} nets "
                f"(option randomizations) of a power of two points, as {_near_power(points) * nets}"
            )
        return points
    samples = estimator.samples_per_draw
    _check_samples(num_samples, noise, samples, "positive" if samples == 1 else "positive and even")
    return 1


def _check_samples(num_samples: int, noise: str, divisor: int, allowed: str) -> None:
    if num_samples < 1 or num_samples % divisor:
        raise ValueError(f"num_samples is {num_samples}; with noise {noise!r} it must be {allowed}")


def _near_power(number: int) -> int:
    return 1 << max(0, number.bit_length() - 1)


def unit_rows(
    estimator: Estimator,
    plan: Layout,
    key: Key[Array, ""],
    options: Options,
    row: Callable[[Array], Any],
    dtype: Any,
) -> Callable[[Array], Any]:
    """The function from the index of a first unit to the rows of ``plan.together`` units.

    ``row`` maps one row of noise to whatever is averaged; a part named ``terms`` is joined into the
    terms of one unit. Nothing but the units' averages is kept.
    """
    if estimator.noise == "sobol":
        return _net_rows(plan, key, row, dtype)
    if estimator.noise == "orthogonal":
        return lambda first: _joined(
            jax.vmap(jax.vmap(row))(
                orthogonal_blocks(
                    key, first, plan.together, plan.columns, radius=options.radius
                ).astype(dtype)
            )
        )
    return lambda first: jax.vmap(row)(
        normal_rows(key, first, plan.together, plan.columns).astype(dtype)
    )


def _joined(rows: Any) -> Any:
    """The averages over the draws [units, draws, ...] of each unit."""
    averages = jax.tree.map(lambda leaf: jnp.mean(leaf, axis=1), rows)
    return jax.vmap(_as_unit)(averages)


def _as_unit(averages: Any) -> Any:
    return averages._replace(terms=as_unit(averages.terms))


def _net_rows(
    plan: Layout, key: Array, row: Callable[[Array], Any], dtype: Any
) -> Callable[[Array], Any]:
    """One net at a time, in chunks of its points."""

    def net(index: Array) -> Any:
        points = scramble(jax.random.fold_in(key, index), plan.columns, plan.unit_draws)

        def some(first: Array) -> Any:
            rows = jax.vmap(row)(sobol_normals(points, first, plan.inside, dtype))
            return jax.tree.map(lambda leaf: jnp.mean(leaf, axis=0), rows)

        firsts = jnp.arange(0, plan.unit_draws, plan.inside, dtype=jnp.uint32)
        shapes = jax.eval_shape(some, firsts[0])
        zero = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
        total, _ = jax.lax.scan(
            lambda so_far, first: (jax.tree.map(jnp.add, so_far, some(first)), None), zero, firsts
        )
        average = _as_unit(jax.tree.map(lambda leaf: leaf / len(firsts), total))
        return jax.tree.map(lambda leaf: leaf[None], average)

    return net
