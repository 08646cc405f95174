"""Noise on what a discriminator sees, and penalties on its gradient: when are they the same?

    sigmaprop penalties                   # a smooth and a piecewise-linear discriminator
    sigmaprop penalties --preset full     # five of them, 8 networks each

Expect: |D(x + s eps) - D(x)|^2 stands for s^2 |grad D|^2 in float32 wherever s is small; in
bfloat16 not below s = .03, where its rounding is as large. Its gradient to the parameters is that
of R1 where D is smooth; with no gradient through the noised branch it is something else. The convex
part of instance noise is R1, R1 + R2 and Roth's form near D = 1/2; all of it is where D is linear.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pyarrow as pa

from sigmaprop import runs
from sigmaprop.generators import equivalence, penalties
from sigmaprop.generators.penalties import Judge, Match
from sigmaprop.statistics import Claim, Interval, claim, exact, jackknife_interval

from .. import parts as recording
from ..forecast import COMPILING, DRAWING, Forecast
from ..terminal import counted
from .config import PenaltiesConfig

KEYS = ("discriminator", "dtype", "treatment", "quantity", "logit", "sigma")
VALUES = ("value", "error", "low", "high")
SCHEMA = pa.schema(
    [(name, pa.string()) for name in KEYS[:4]]
    + [(name, pa.float64()) for name in (*KEYS[4:], *VALUES)]
)
ALLOWED = 0.05
"""How far the finite difference may be from R1, relative."""
ALIKE = 0.02
"""How far apart gradients of treatments may be that are called the same, relative."""
IN_PRACTICE = (0.1, 0.01)
"""Sigmas of the approximate penalty that are in use: for videos and for images."""


class Plan(NamedTuple):
    """A checked configuration.

    Attributes:
        sigmas: rising, [S].
        logits: rising, [L].
    """

    sigmas: np.ndarray
    logits: np.ndarray


class Draws(NamedTuple):
    """A random discriminator's key, examples and noise."""

    key: jax.Array
    x: jax.Array
    eps: jax.Array


def prepare(config: PenaltiesConfig) -> Plan:
    """Puts scales in order; all else was checked with the options."""
    return Plan(
        np.sort(np.asarray(config.sigmas, float)), np.sort(np.asarray(config.logits, float))
    )


def total_work(config: PenaltiesConfig, plan: Plan) -> None:
    """Parts are few; each is told as it begins."""
    del config, plan


def forecast(config: PenaltiesConfig, plan: Plan) -> Forecast:
    """Counts passes of the networks, each forwards and backwards, mostly in float64."""
    sizes = (config.dim, *config.widths, 1)
    weights = sum(a * b for a, b in itertools.pairwise(sizes))
    sigmas, num = len(plan.sigmas), len(config.discriminators)
    passes = sigmas * (12 * len(config.dtypes) + 20) + 20 * len(plan.logits) + 20
    flops = 6.0 * weights * config.examples * config.networks * num * passes
    programs = num * (2 * len(config.dtypes) + 1)
    parts = (
        counted(num, "discriminator"),
        counted(config.networks, "network"),
        counted(sigmas, "sigma"),
    )
    arrays = 8 * (config.examples * max(sizes) * 8 + weights * 40) / 2**20
    return Forecast(parts, programs, arrays, flops / 2e10 + programs * COMPILING + 3 * DRAWING)


def headline(config: PenaltiesConfig, plan: Plan) -> str:
    """What is about to be done."""
    del plan
    return f"{', '.join(config.discriminators)}: {counted(config.networks, 'network')} each"


def run(
    config: PenaltiesConfig,
    plan: Plan,
    directory: runs.Run,
    progress: Callable[[str], None] = lambda what: None,
) -> list[Claim]:
    """Measures the discriminators that are left, writes numbers and conclusions."""
    done = recording.recorded(directory)
    for number, kind in enumerate(config.discriminators, 1):
        where = f"{kind}, discriminator {number} of {len(config.discriminators)}"
        if number <= len(done):
            progress(f"{where}: measured before the run was stopped")
            continue
        progress(where)
        with jax.enable_x64(True):
            rows = list(_measured(config, plan, kind))
        done.append(list(_claims(config, plan, kind, rows)))
        table = pa.Table.from_pylist(rows, schema=SCHEMA)
        recording.record(directory, number, table, done[-1])
    claims = [one for of_kind in done for one in of_kind]
    recording.conclude(directory, claims)
    return claims


def _measured(config: PenaltiesConfig, plan: Plan, kind: str) -> Iterator[dict[str, Any]]:
    """All rows of one kind of discriminator."""
    draws = [_draws(config, number) for number in range(config.networks)]
    for dtype in config.dtypes:
        yield from _differences(config, plan, kind, dtype, draws)
    yield from _equivalences(config, plan, kind, draws)


def _draws(config: PenaltiesConfig, number: int) -> Draws:
    """What the network of a number has in all kinds and dtypes."""
    key = jax.random.fold_in(jax.random.key(config.seed), number)
    shape = (config.examples, config.dim)
    x, eps = (jax.random.normal(jax.random.fold_in(key, n), shape, jnp.float32) for n in (1, 2))
    return Draws(jax.random.fold_in(key, 0), x, eps)


def _judge(config: PenaltiesConfig, kind: str, dtype: str, draws: Draws) -> Judge:
    return penalties.judge(kind, config.dim, config.widths, draws.key, dtype)


def _differences(
    config: PenaltiesConfig, plan: Plan, kind: str, dtype: str, draws: list[Draws]
) -> Iterator[dict[str, Any]]:
    """The finite difference against R1: values, and gradients to the parameters."""
    judges = [_judge(config, kind, dtype, one) for one in draws]

    def measure(params: Any, x: jax.Array, eps: jax.Array, sigmas: jax.Array) -> Any:
        own = judges[0]._replace(params=params)
        return penalties.ratios(own, x, eps, sigmas), penalties.gradients(own, x, eps, sigmas)

    measure = jax.jit(measure)
    each = [
        jax.device_get(measure(judge.params, one.x, one.eps, plan.sigmas))
        for judge, one in zip(judges, draws, strict=True)
    ]
    ratios = jax.tree.map(lambda *leaves: np.stack(leaves), *(one[0] for one in each))
    about = {"discriminator": kind, "dtype": dtype, "logit": np.nan}
    values = {"ratio": ratios.ratio, "exact": ratios.exact, "variance": ratios.variance}
    for quantity, found in values.items():
        for place, sigma in enumerate(plan.sigmas):
            own = about | {"treatment": "approximate", "quantity": quantity, "sigma": sigma}
            yield own | jackknife_interval(np.mean, found[:, place])._asdict()
    off = np.abs(ratios.ratio.mean(axis=0) - 1)
    for quantity, end in zip(
        ("lowest", "highest"), penalties.leaves(plan.sigmas, off, ALLOWED), strict=True
    ):
        own = about | {"treatment": "approximate", "quantity": quantity, "sigma": np.nan}
        yield own | exact(end)._asdict()
    # The stopped branch of a linear discriminator leaves no gradient but that of rounding.
    treatments = ("approximate", "stopped")[: 1 if kind == penalties.LINEAR else 2]
    for number, treatment in enumerate(treatments):
        matches = [one[1][number] for one in each]
        for place, sigma in enumerate(plan.sigmas):
            own = about | {"treatment": treatment, "sigma": sigma}
            yield from _pooled(own, [_at(one, place) for one in matches])


def _equivalences(
    config: PenaltiesConfig, plan: Plan, kind: str, draws: list[Draws]
) -> Iterator[dict[str, Any]]:
    """Instance noise and penalties against R1, away from D = 1/2 and with growing noise."""
    judges = [_judge(config, kind, "float32", one) for one in draws]
    discriminate = judges[0].exact

    @jax.jit
    def measure(params: Any, x: jax.Array, eps: jax.Array, at: jax.Array) -> dict[str, Match]:
        params, x, eps = penalties.doubled((params, x, eps))

        def one(point: jax.Array) -> dict[str, Match]:
            own = equivalence.scaled(discriminate, params, x, point[0])
            return equivalence.gradients(own, params, x, eps, point[1])

        return jax.lax.map(one, at)

    points = _points(config, plan)
    each = [
        jax.device_get(measure(judge.params, one.x, one.eps, jnp.asarray(points)))
        for judge, one in zip(judges, draws, strict=True)
    ]
    for treatment in equivalence.TREATMENTS:
        for place, (logit, sigma) in enumerate(points):
            about = {"discriminator": kind, "dtype": "float64", "treatment": treatment}
            about |= {"logit": logit, "sigma": sigma}
            yield from _pooled(about, [_at(one[treatment], place) for one in each])


def _points(config: PenaltiesConfig, plan: Plan) -> list[tuple[float, float]]:
    """Logits with the noise's own sigma, and sigmas at the logit nearest to D = 1/2."""
    nearest = float(plan.logits[0])
    found = [(float(logit), config.noise_sigma) for logit in plan.logits]
    found += [(nearest, float(sigma)) for sigma in plan.sigmas if sigma != config.noise_sigma]
    return found


def _at(match: Match, place: int) -> Match:
    return jax.tree.map(lambda leaf: leaf[place], match)


def _pooled(about: dict[str, Any], each: list[Match]) -> Iterator[dict[str, Any]]:
    """Size, cosine and error over networks."""
    found = penalties.pooled(*(np.asarray(values) for values in zip(*each, strict=True)))
    for quantity, measured in found._asdict().items():
        yield about | {"quantity": quantity} | measured._asdict()


def _claims(
    config: PenaltiesConfig, plan: Plan, kind: str, rows: list[dict[str, Any]]
) -> Iterator[Claim]:
    """What may be relied on, with the numbers that say so."""

    def measured(**about: Any) -> Interval:
        return next(
            Interval(*(row[name] for name in VALUES))
            for row in rows
            if all(row[name] == value for name, value in about.items())
        )

    approximate = {"treatment": "approximate"}
    used = [sigma for sigma in IN_PRACTICE if sigma in plan.sigmas]
    for dtype in config.dtypes:
        own = {"dtype": dtype} | approximate
        for sigma in used:
            text = f"{dtype}, s = {sigma:g}: |D(x + s eps) - D(x)|² over s² |grad D|²"
            found = measured(**own, quantity="ratio", sigma=sigma)
            yield claim(kind, text, 1.0, ALLOWED, found, sigma, study="ratio", quantity="ratio")
        for sigma in used[-1:]:
            about: dict[str, Any] = {"sigmas": sigma, "study": "gradient", "quantity": "cosine"}
            found = measured(**own, quantity="cosine", sigma=sigma)
            text = f"{dtype}, s = {sigma:g}: cosine of its gradient with that of R1"
            yield claim(kind, text, 1.0, (0.99, 1.01), found, **about)
            if kind == penalties.LINEAR:
                continue
            found = measured(dtype=dtype, treatment="stopped", quantity="cosine", sigma=sigma)
            text = f"{dtype}, s = {sigma:g}: the same, noised branch without gradient"
            yield claim(kind, text, 0.0, 0.5, found, **about)
    near = {"logit": float(plan.logits[0]), "sigma": config.noise_sigma, "quantity": "error"}
    for treatment in equivalence.TREATMENTS:
        about = {"sigmas": config.noise_sigma, "study": "equivalence", "quantity": treatment}
        text = f"near D = 1/2: gradient of {NAMES[treatment]} against that of R1"
        found = measured(**near, treatment=treatment)
        yield claim(kind, text, 0.0, ALIKE, found, x=near["logit"], **about)


NAMES = {
    "noise": "instance noise",
    "noise_convex": "its convex part",
    "roth": "Roth's form",
    "r1_r2": "R1 + R2",
    "approximate": "approximate R1 + R2",
}
"""What the treatments of `equivalence` are called."""
