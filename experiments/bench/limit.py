"""What does the sweep cost beyond the noise it draws and the gradients it evaluates?

    sigmaprop bench limit    # some minutes; all ratios from interleaved repeats in one run

Each line is a median ratio, with its quartiles over repeats and a verdict against a target: met,
missed, or not resolved. Sweeps run as the command runs them, over all local devices (on a CPU: as
many as cores); what they are compared with is one jitted call, which XLA spreads over the same
cores. The machine's load is recorded: on a busy one, believe the ratios less.
"""

import functools
import sys
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sigmaprop import estimators, limit, objectives
from sigmaprop.limit import truth
from sigmaprop.noise import schedules

from .parts import evaluations, normals
from .ratios import Found, Ratio, constant, sized
from .timing import (
    Program,
    compare,
    jitted,
    own_peak_mebibytes,
    peak_mebibytes,
    time_interleaved,
)

DIM = 64
NUM_SAMPLES = 2**18
NUM_SIGMAS = 16
MEMORY_DIM = 1000


def limit_sweep(repeats: int) -> Found:
    """What ``sigmaprop bench limit`` measures, in so many rounds."""
    batched, notes = _batch_sizes(repeats)
    ratios = [
        *sized([*_against_normals(repeats), *_against_parts(repeats)], **_sizes()),
        *sized([*batched, *_against_others(repeats)], **_sizes()),
        *sized(_memory(), d=MEMORY_DIM, samples=10**7),
    ]
    return Found({"ratios of medians (quartiles)": ratios}, notes)


def _sizes() -> dict[str, int]:
    return {"d": DIM, "samples": NUM_SAMPLES, "sigmas": NUM_SIGMAS}


def _sweep(
    name: str,
    num_sigmas: int,
    batch_sizes: tuple[int, ...] = (),
    wrt: tuple[str, ...] = ("mean", "scale"),
    devices: Sequence[Any] | None = None,
) -> Program:
    """The pathwise sweep of one objective, over all local devices.

    Its truth costs nothing: the values in it do not change what the sweep computes.
    """
    objective = _objective(name)
    sigmas = schedules.sigmas("geometric", 1.0, 1e-4, num_sigmas)
    zeros, flat = np.zeros(num_sigmas), np.zeros((num_sigmas, objective.dim))
    exact = truth.Truth(objective.point, flat[0], sigmas, flat, zeros, zeros, zeros)
    options = {"batch_sizes": batch_sizes, "wrt": wrt}
    options["devices"] = tuple(devices or jax.local_devices())
    run = functools.partial(
        *(limit.sweep, objective, exact, [estimators.get("pathwise")]),
        *(jax.random.key(0), NUM_SAMPLES),
        **options,
    )
    return Program(f"{name}, {num_sigmas} sigmas", run)


def _objective(name: str) -> objectives.Objective:
    """An objective at d = 64; ``name:units`` is a ridge network of that width."""
    name, _, units = name.partition(":")
    options = {"units": int(units)} if units else {}
    return objectives.get(name, DIM, **options)


def _gradients(name: str) -> Program:
    """grad f alone at as many points as one sigma has, in the chunks of the sweep."""
    rows = limit.make_plan(NUM_SAMPLES, (), DIM).chunk
    return evaluations(_objective(name), ("grad",), NUM_SAMPLES, rows=rows)[0]


def _against_normals(repeats: int) -> list[Ratio]:
    draw = lambda key: jax.random.normal(key, (NUM_SAMPLES, DIM), jnp.float32)  # noqa: E731
    stored = [(jitted("jax.random.normal", draw, jax.random.key(0)), 1.0)]
    over = "/ jax.random.normal"
    alone = f"quartic, 16 sigmas on one device alone {over}"
    single = f"quartic, 1 sigma with second moments {over}"
    found = [
        compare(sweep, stored, repeats, target, what)
        for sweep, target, what in (
            (_sweep("quartic", NUM_SIGMAS), 1.5, None),
            (_sweep("quartic", 1, (1,)), 0.9, single),
            (_sweep("quartic", NUM_SIGMAS, devices=jax.local_devices()[:1]), None, alone),
        )
    ]
    return [found[0], *sized(found[1:2], sigmas=1), found[2]]


def _against_parts(repeats: int) -> list[Ratio]:
    """Every objective against (its normals + sigmas x grad f alone)."""
    ratios = []
    rows = limit.make_plan(NUM_SAMPLES, (), DIM).chunk
    for name in objectives.names():
        own_normals = normals(NUM_SAMPLES, DIM, own=True, rows=rows)
        parts = [own_normals, (_gradients(name), float(NUM_SIGMAS))]
        for wrt, target in ((("mean",), 1.25), (("mean", "scale"), None)):
            sweep = _sweep(name, NUM_SIGMAS, wrt=wrt)
            what = f"{name}, to the {' and '.join(wrt)} / (normals + {NUM_SIGMAS} x grad f)"
            ratios.append(compare(sweep, parts, repeats, target, what))
    return ratios


def _batch_sizes(repeats: int) -> tuple[list[Ratio], list[str]]:
    """Every power of two of batch sizes at once against none; a target where grad f is costly.

    Returns:
        The ratios, and what grad f costs, in words.
    """
    ratios, notes = [], []
    sizes = schedules.powers(2, NUM_SAMPLES)
    for name in ("quartic", "sine", "digit_classifier", "ridge_network", "ridge_network:1024"):
        (seconds,) = time_interleaved({name: _gradients(name)}, 3).values()
        nanoseconds = np.median(seconds) * 1e9 / NUM_SAMPLES / DIM
        what = f"{name}: {len(sizes)} batch sizes / none"
        target = 1.10 if nanoseconds > 5 else None
        none = [(_sweep(name, NUM_SIGMAS), 1.0)]
        ratios.append(compare(_sweep(name, NUM_SIGMAS, sizes), none, repeats, target, what))
        notes.append(f"{name}: grad f costs {nanoseconds:.1f} ns a coordinate")
    return ratios, notes


def _against_others(repeats: int) -> list[Ratio]:
    """How much longer other ways to write the same sweep take."""
    objective = objectives.get("quartic", DIM)
    sweep = _sweep("quartic", NUM_SIGMAS)
    sigmas = schedules.sigmas("geometric", 1.0, 1e-4, NUM_SIGMAS).astype(np.float32)
    few = 200
    scaled = f"Python loop over jitted jax.grad ({few} samples, scaled) / sweep"
    return [
        compare(theirs, [(sweep, share)], repeats, None, what)
        for theirs, share, what in (
            (_numpy(objective, sigmas), 1.0, "NumPy, in chunks / sweep"),
            (_materialised(objective, sigmas), 1.0, "all noise stored / sweep"),
            (_python_loop(objective, few), few / (NUM_SAMPLES * NUM_SIGMAS), scaled),
        )
    ]


def _numpy(objective: objectives.Objective, sigmas: np.ndarray) -> Program:
    point = objective.point.astype(np.float32)

    def run() -> None:
        generator = np.random.default_rng(0)
        totals = np.zeros((len(sigmas), objective.dim))
        for _ in range(NUM_SAMPLES // 4096):
            eps = generator.standard_normal((4096, objective.dim), np.float32)
            for i, sigma in enumerate(sigmas):
                x = point + sigma * eps
                totals[i] += (4 * x * x * x).sum(axis=0)

    return Program("NumPy", run)


def _materialised(objective: objectives.Objective, sigmas: np.ndarray) -> Program:
    point = jnp.asarray(objective.point, jnp.float32)

    def evaluate(key: jax.Array) -> jax.Array:
        eps = jax.random.normal(key, (NUM_SAMPLES, objective.dim), jnp.float32)
        gradient = jax.vmap(jax.grad(objective))
        mean = lambda sigma: gradient(point + sigma * eps).mean(axis=0)  # noqa: E731
        return jax.lax.map(mean, jnp.asarray(sigmas))

    return jitted("stored noise", evaluate, jax.random.key(0))


def _python_loop(objective: objectives.Objective, few: int) -> Program:
    """jax.grad called once a sample, for few samples: its time is proportional to their number."""
    gradient = jax.jit(jax.grad(objective))
    point = jnp.asarray(objective.point, jnp.float32)
    eps = np.random.default_rng(0).standard_normal((few, objective.dim), np.float32)

    def run() -> None:
        total = np.zeros(objective.dim)
        for row in eps:
            total += np.asarray(gradient(point + 0.1 * row))

    return Program("loop", run)


def _memory() -> list[Ratio]:
    """Peak memory of whole processes: it must not grow with the number of samples."""
    few, many = (peak_mebibytes(__name__, count, MEMORY_DIM) for count in (10**5, 10**7))
    return [
        constant("peak memory, d = 1000: 10^7 samples / 10^5", many, few, 1.1),
        constant("peak memory, d = 1000, 10^7 samples, in GiB", many, 1024, 1.0),
    ]


def _memory_child(num_draws: int, dim: int) -> None:
    """A sweep with several estimators and all batch sizes; prints its peak memory in MiB."""
    objective = objectives.get("quartic", dim)
    exact = truth.closed_form(objective, objective.point, np.array([0.1]))
    chosen = [estimators.get("pathwise"), estimators.get("pathwise", "antithetic")]
    sizes = schedules.powers(4, num_draws)
    limit.sweep(objective, exact, chosen, jax.random.key(0), num_draws, batch_sizes=sizes)
    print(own_peak_mebibytes())


if __name__ == "__main__":
    _memory_child(int(sys.argv[1]), int(sys.argv[2]))
