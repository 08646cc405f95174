"""Are the judges fast: metrics beside the packages that define them, AIS beside its decoder?

    sigmaprop bench metrics    # some minutes; all ratios from interleaved repeats in one run

Ten thousand examples on either side. Each line is a median ratio, with its quartiles over repeats:
what a metric costs beside another package that gives the same number, or beside the matrix
products behind its distances. Packages that are not installed are left out, and named.
"""

import contextlib
import functools
import importlib
import io
import warnings
from collections.abc import Callable, Iterator
from importlib import metadata
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sigmaprop import likelihood
from sigmaprop.gaussians import Isotropic
from sigmaprop.generators import networks
from sigmaprop.metrics import energy, frechet, kid, mmd, prdc, sliced_wasserstein

from .ratios import Found, Ratio, against, sized
from .timing import Program, compare, jitted

NUM, DIM, FEW = 10_000, 64, 2000
NUM_PROJECTIONS = 50
LATENT, ROWS = 10, 16
_GRADIENTS = 20


def metrics(repeats: int) -> Found:
    """What ``sigmaprop bench metrics`` measures, in so many rounds."""
    others, notes = _against_others(repeats)
    annealing = {"rows": ROWS, "latent": LATENT, "image": [28, 28, 1]}
    sections = {
        "ours / other packages, 10,000 rows of 64 a side": sized(others, rows=NUM, d=DIM),
        "ours / the products behind its distances": sized(
            list(_against_products(repeats)), rows=NUM, d=DIM
        ),
        "annealed importance sampling / its decoder alone": sized(
            list(_annealing(repeats)), **annealing
        ),
    }
    return Found(sections, notes)


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
        return None


def _against_others(repeats: int) -> tuple[list[Ratio], list[str]]:
    """The ratios to packages that are installed, and a note for each that is not."""
    ratios, notes = [], []
    for name, distribution, measure in (
        ("prdc", "prdc", _against_prdc),
        ("ot", "POT", _against_pot),
    ):
        if (package := _installed(name)) is None:
            notes.append(
                f"{name} is not installed (extra `peers`); what is timed against it is left out"
            )
        else:
            versions = {distribution: metadata.version(distribution)}
            ratios += against([measure(package, repeats)], **versions)
    return ratios, notes


def _against_prdc(package: Any, repeats: int) -> Ratio:
    x, y = _samples(NUM)
    arrays = np.asarray(y), np.asarray(x)
    theirs = lambda: _quietly(lambda: package.compute_prdc(*arrays, 5))  # noqa: E731
    ours = jitted("prdc", prdc.neighbourhoods, x, y)
    what = "ours / prdc: precision, recall, density, coverage"
    return compare(ours, [(Program("prdc, the package", theirs), 1.0)], repeats, 1.0, what)


def _against_pot(package: Any, repeats: int) -> Ratio:
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
    return compare(ours, [(Program("POT", theirs), 1.0)], repeats, 1.0, what)


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


def _annealing(repeats: int) -> Iterator[Ratio]:
    """A leapfrog step against the gradient of log p(x|z) alone, at as many latents at once."""
    network = networks.get_generator("wu10", LATENT, (28, 28, 1))
    params = network.init(jax.random.key(2))
    settings = likelihood.Annealing(LATENT, num_temperatures=10, num_leapfrog=10, chunk=ROWS)
    x = jax.random.uniform(jax.random.key(3), (ROWS, 784))

    def decode(params: Any, z: jax.Array) -> Isotropic:
        return Isotropic(network.apply(params, z[None]).mean[0], jnp.asarray(0.1))

    def annealed(params: Any, x: jax.Array, key: jax.Array) -> jax.Array:
        of_params = functools.partial(decode, params)
        state = likelihood.begin(of_params, x, key, settings)
        last = likelihood.advance(of_params, x, state, settings.num_temperatures, settings)
        return likelihood.finish(last, settings).log_prob

    def gradients(params: Any, x: jax.Array, u: jax.Array) -> jax.Array:
        log_prob = lambda u, x: decode(params, u).log_prob(x)  # noqa: E731
        of_row = jax.vmap(jax.grad(log_prob), (0, None))
        each = jax.vmap(of_row)
        body = lambda _, u: u + 1e-6 * each(u, x)  # noqa: E731
        return jax.lax.fori_loop(0, _GRADIENTS, body, u)

    chains = settings.num_chains + settings.num_pilots
    u = jax.random.normal(jax.random.key(4), (ROWS, chains, LATENT))
    ours = jitted("AIS", annealed, params, x, jax.random.key(5))
    alone = jitted("gradients", gradients, params, x, u)
    evaluations = likelihood.gradient_evaluations(settings, ROWS)
    share = evaluations / (_GRADIENTS * ROWS * chains)
    what = f"AIS, {ROWS} rows x {chains} chains, a leapfrog step / forward and backward of wu10"
    yield compare(ours, [(alone, share)], repeats, 1.25, what)


def _products(x: jax.Array, y: jax.Array) -> jax.Array:
    """The largest inner product of each row, so that nothing but the products costs anything."""

    def largest(one: jax.Array, other: jax.Array) -> jax.Array:
        precision = jax.lax.Precision.HIGHEST
        row = lambda point: jnp.max(jnp.dot(other, point, precision=precision))  # noqa: E731
        return jax.lax.map(row, one, batch_size=256)

    return jnp.stack([jnp.sum(largest(*pair)) for pair in ((x, x), (y, y), (x, y))])
