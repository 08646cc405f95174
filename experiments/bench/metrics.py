"""Are the metrics of samples faster than the packages that define them?

    sigmaprop bench metrics    # some minutes; all ratios from interleaved repeats in one run

Ten thousand examples on either side. Each line is a median ratio, with its quartiles over repeats:
what a metric costs beside another package that gives the same number, or beside the matrix
products behind its distances. Packages that are not installed are left out, and named.
"""

import contextlib
import importlib
import io
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sigmaprop.metrics import energy, frechet, kid, mmd, prdc, sliced_wasserstein

from .timing import Program, Ratio, compare, jitted, report

NUM, DIM, FEW = 10_000, 64, 2000
NUM_PROJECTIONS = 50


def metrics(repeats: int, out: Path | None) -> int:
    """``sigmaprop bench metrics``: prints the ratios; 0 unless a target is missed."""
    before = os.getloadavg()
    sections = {
        "ours / other packages, 10,000 rows of 64 a side": list(_against_others(repeats)),
        "ours / the products behind its distances": list(_against_products(repeats)),
    }
    return report(sections, repeats, before, out)


def _samples(num: int) -> tuple[jax.Array, jax.Array]:
    key_x, key_y = jax.random.split(jax.random.key(0))
    return 0.9 * jax.random.normal(key_x, (num, DIM)), jax.random.normal(key_y, (num, DIM))


def _quietly(function: Callable[[], Any]) -> Any:
    """A call without what the package prints or warns of."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function()


def _installed(name: str) -> Any:
    """A package, None where it is not installed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(name)
    except ImportError:
        print(f"{name} is not installed (extra `peers`); what is timed against it is left out")
        return None


def _against_others(repeats: int) -> Iterator[Ratio]:
    x, y = _samples(NUM)
    if (package := _installed("prdc")) is not None:
        arrays = np.asarray(y), np.asarray(x)
        theirs = lambda: _quietly(lambda: package.compute_prdc(*arrays, 5))  # noqa: E731
        ours = jitted("prdc", prdc.neighbourhoods, x, y)
        what = "ours / prdc: precision, recall, density, coverage"
        yield compare(ours, [(Program("prdc", theirs), 1.0)], repeats, 1.0, what)
    if (package := _installed("ot")) is not None:
        yield from _against_pot(package, repeats)


def _against_pot(package: Any, repeats: int) -> Iterator[Ratio]:
    x, y = _samples(NUM)
    directions = sliced_wasserstein.directions(jax.random.key(1), DIM, NUM_PROJECTIONS)
    arrays = np.asarray(x), np.asarray(y)
    projections = np.asarray(directions).T

    def theirs() -> Any:
        return _quietly(
            lambda: package.sliced_wasserstein_distance(*arrays, projections=projections, p=2)
        )

    ours = jitted("sliced", sliced_wasserstein.along, x, y, directions)
    what = f"ours / POT: sliced Wasserstein, {NUM_PROJECTIONS} directions"
    yield compare(ours, [(Program("POT", theirs), 1.0)], repeats, 1.0, what)


def _against_products(repeats: int) -> Iterator[Ratio]:
    """Each metric of pairs against the three products x x', y y', x y' alone, a chunk at a time."""
    x, y = _samples(NUM)
    products = jitted("products", _products, x, y)
    bandwidths = mmd.squared_bandwidths(np.asarray(y[:FEW]))
    for name, function in (
        ("unbiased MMD", lambda x, y: mmd.unbiased(x, y, bandwidths)),
        ("KID", kid.unbiased),
        ("energy distance", energy.unbiased),
        ("precision, recall, density, coverage", prdc.neighbourhoods),
        ("Frechet distance", frechet.distance),
    ):
        program = jitted(name, function, x, y)
        yield compare(program, [(products, 1.0)], repeats, None, name)


def _products(x: jax.Array, y: jax.Array) -> jax.Array:
    """The largest inner product of each row, so that nothing but the products costs anything."""

    def largest(one: jax.Array, other: jax.Array) -> jax.Array:
        precision = jax.lax.Precision.HIGHEST
        row = lambda point: jnp.max(jnp.dot(other, point, precision=precision))  # noqa: E731
        return jax.lax.map(row, one, batch_size=256)

    return jnp.stack([jnp.sum(largest(*pair)) for pair in ((x, x), (y, y), (x, y))])
