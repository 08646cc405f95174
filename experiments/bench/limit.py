"""What does the sweep cost beyond the noise it draws and the gradients it evaluates?

    sigmaprop bench limit    # some minutes; all ratios from interleaved repeats in one run

Each line is a median ratio, with its quartiles over repeats and a verdict against a target: met,
missed, or not resolved. Sweeps run as the command runs them, over all local devices (on a CPU: as
many as cores); what they are compared with is one jitted call, which XLA spreads over the same
cores. The machine's load is recorded: on a busy one, believe the ratios less.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sigmaprop import estimators, limit, objectives
from sigmaprop.limit import truth
from sigmaprop.noise import schedules

from .timing import Program, Ratio, compare, constant, in_child, own_peak_mebibytes, report, timed

DIM = 64
NUM_SAMPLES = 2**18
NUM_SIGMAS = 16


def limit_sweep(repeats: int, out: Path | None) -> int:
    """``sigmaprop bench limit``: prints the ratios; 0 unless a target is missed."""
    before = os.getloadavg()
    ratios = [
        *_against_normals(repeats),
        *_against_parts(repeats),
        *_batch_sizes(repeats),
        *_against_others(repeats),
        *_memory(),
    ]
    return report({"ratios of medians (quartiles)": ratios}, repeats, before, out)


def _sweep(
    name: str,
    num_sigmas: int,
    batch_sizes: tuple[int, ...] = (),
    wrt: tuple[str, ...] = ("mean", "scale"),
    devices: Sequence[Any] | None = None,
) -> Program:
    """The pathwise sweep of one objective, over all local devices."""
    objective = _objective(name)
    sigmas = schedules.sigmas("geometric", 1.0, 1e-4, num_sigmas)
    exact = _truth(objective, sigmas)
    chosen = [estimators.get("pathwise")]
    some = tuple(devices or jax.local_devices())
    key = jax.random.key(0)

    def run() -> None:
        limit.sweep(
            objective,
            exact,
            chosen,
            key,
            NUM_SAMPLES,
            batch_sizes=batch_sizes,
            wrt=wrt,
            devices=some,
        )

    return Program(f"{name}, {num_sigmas} sigmas", run)


def _objective(name: str) -> objectives.Objective:
    """An objective at d = 64; ``name:units`` is a ridge network of that width."""
    name, _, units = name.partition(":")
    options = {"units": int(units)} if units else {}
    return objectives.get(name, DIM, **options)


def _truth(objective: objectives.Objective, sigmas: np.ndarray) -> truth.Truth:
    """A truth that costs nothing: its values do not change what the sweep computes."""
    zeros = np.zeros(len(sigmas))
    flat = np.zeros((len(sigmas), objective.dim))
    return truth.Truth(objective.point, flat[0], sigmas, flat, zeros, zeros, zeros)


def _normals(dim: int = DIM) -> Program:
    draw = jax.jit(lambda key: jax.random.normal(key, (NUM_SAMPLES, dim), jnp.float32))
    key = jax.random.key(0)
    return Program("jax.random.normal", lambda: jax.block_until_ready(draw(key)))


def _own_normals(dim: int) -> Program:
    """The sweep's noise alone, summed so that it need not be stored."""
    from sigmaprop.noise import normal_rows

    rows = limit.make_plan(NUM_SAMPLES, (), dim).chunk

    @jax.jit
    def draw(key: jax.Array) -> jax.Array:
        def step(total: jax.Array, first: jax.Array) -> tuple[jax.Array, None]:
            return total + jnp.sum(normal_rows(key, first, rows, dim), axis=0), None

        firsts = jnp.arange(0, NUM_SAMPLES, rows, dtype=jnp.uint32)
        return jax.lax.scan(step, jnp.zeros(dim, jnp.float32), firsts)[0]

    key = jax.random.key(0)
    return Program("its normals", lambda: jax.block_until_ready(draw(key)))


def _gradients(objective: objectives.Objective) -> Program:
    """grad f alone at as many points as one sigma has, in the chunks of the sweep."""
    rows = limit.make_plan(NUM_SAMPLES, (), objective.dim).chunk
    point = jnp.asarray(objective.point, jnp.float32)
    offsets = jax.random.normal(jax.random.key(1), (rows, objective.dim), jnp.float32)

    @jax.jit
    def evaluate(offsets: jax.Array) -> jax.Array:
        def step(total: jax.Array, scale: jax.Array) -> tuple[jax.Array, None]:
            gradients = jax.vmap(jax.grad(objective))(point + scale * offsets)
            return total + jnp.sum(gradients, axis=0), None

        scales = jnp.linspace(0.01, 1.0, NUM_SAMPLES // rows, dtype=jnp.float32)
        return jax.lax.scan(step, jnp.zeros_like(point), scales)[0]

    return Program("grad f", lambda: jax.block_until_ready(evaluate(offsets)))


def _against_normals(repeats: int) -> list[Ratio]:
    normals = [(_normals(), 1.0)]
    return [
        compare(_sweep("quartic", NUM_SIGMAS), normals, repeats, 1.5),
        compare(
            _sweep("quartic", 1, (1,)),
            normals,
            repeats,
            0.9,
            "quartic, 1 sigma with second moments / jax.random.normal",
        ),
        compare(
            _sweep("quartic", NUM_SIGMAS, devices=jax.local_devices()[:1]),
            normals,
            repeats,
            None,
            "quartic, 16 sigmas on one device alone / jax.random.normal",
        ),
    ]


def _against_parts(repeats: int) -> list[Ratio]:
    """Every objective against (its normals + sigmas x grad f alone)."""
    ratios = []
    for name in objectives.names():
        objective = _objective(name)
        parts = [(_own_normals(DIM), 1.0), (_gradients(objective), float(NUM_SIGMAS))]
        for wrt, target in ((("mean",), 1.25), (("mean", "scale"), None)):
            sweep = _sweep(name, NUM_SIGMAS, wrt=wrt)
            what = f"{name}, to the {' and '.join(wrt)} / (normals + {NUM_SIGMAS} x grad f)"
            ratios.append(compare(sweep, parts, repeats, target, what))
    return ratios


def _batch_sizes(repeats: int) -> list[Ratio]:
    """Every power of two of batch sizes at once against none; a target where grad f is costly."""
    ratios = []
    sizes = schedules.powers(2, NUM_SAMPLES)
    for name in ("quartic", "sine", "digit_classifier", "ridge_network", "ridge_network:1024"):
        gradient = _gradients(_objective(name))
        gradient.run()
        seconds = np.median([timed(gradient) for _ in range(3)])
        nanoseconds = seconds * 1e9 / NUM_SAMPLES / DIM
        what = f"{name}, {nanoseconds:.1f} ns a coordinate: {len(sizes)} batch sizes / none"
        target = 1.10 if nanoseconds > 5 else None
        every = _sweep(name, NUM_SIGMAS, sizes)
        none = [(_sweep(name, NUM_SIGMAS), 1.0)]
        ratios.append(compare(every, none, repeats, target, what))
    return ratios


def _against_others(repeats: int) -> list[Ratio]:
    """How much longer other ways to write the same sweep take."""
    objective = objectives.get("quartic", DIM)
    sweep = [(_sweep("quartic", NUM_SIGMAS), 1.0)]
    sigmas = schedules.sigmas("geometric", 1.0, 1e-4, NUM_SIGMAS)
    return [
        compare(_numpy(objective, sigmas), sweep, repeats, None, "NumPy, in chunks / sweep"),
        compare(_materialised(objective, sigmas), sweep, repeats, None, "all noise stored / sweep"),
        _python_loop(objective, sweep[0][0], repeats),
    ]


def _numpy(objective: objectives.Objective, sigmas: np.ndarray) -> Program:
    point = objective.point.astype(np.float32)

    def run() -> None:
        generator = np.random.default_rng(0)
        totals = np.zeros((len(sigmas), objective.dim))
        for _ in range(NUM_SAMPLES // 4096):
            eps = generator.standard_normal((4096, objective.dim), np.float32)
            for i, sigma in enumerate(sigmas.astype(np.float32)):
                x = point + sigma * eps
                totals[i] += (4 * x * x * x).sum(axis=0)

    return Program("NumPy", run)


def _materialised(objective: objectives.Objective, sigmas: np.ndarray) -> Program:
    point = jnp.asarray(objective.point, jnp.float32)

    @jax.jit
    def evaluate(key: jax.Array) -> jax.Array:
        eps = jax.random.normal(key, (NUM_SAMPLES, objective.dim), jnp.float32)
        gradient = jax.vmap(jax.grad(objective))
        return jax.lax.map(
            lambda sigma: gradient(point + sigma * eps).mean(axis=0),
            jnp.asarray(sigmas, jnp.float32),
        )

    key = jax.random.key(0)
    return Program("stored noise", lambda: jax.block_until_ready(evaluate(key)))


def _python_loop(objective: objectives.Objective, sweep: Program, repeats: int) -> Ratio:
    """jax.grad called once a sample, from few samples: its time is proportional to their number."""
    few = 200
    gradient = jax.jit(jax.grad(objective))
    point = jnp.asarray(objective.point, jnp.float32)
    eps = np.random.default_rng(0).standard_normal((few, objective.dim), np.float32)

    def run() -> None:
        total = np.zeros(objective.dim)
        for row in eps:
            total += np.asarray(gradient(point + 0.1 * row))

    share = few / (NUM_SAMPLES * NUM_SIGMAS)
    what = f"Python loop over jitted jax.grad ({few} samples, scaled) / sweep"
    return compare(Program("loop", run), [(sweep, share)], repeats, None, what)


def _memory() -> list[Ratio]:
    """Peak memory of whole processes: it must not grow with the number of samples."""
    peaks = {count: _peak_mebibytes(count, 1000) for count in (10**5, 10**6, 10**7)}
    return [
        constant("peak memory, d = 1000: 10^7 samples / 10^5", peaks[10**7] / peaks[10**5], 1.1),
        constant("peak memory, d = 1000, 10^7 samples, in GiB", peaks[10**7] / 1024, 1.0),
    ]


def _peak_mebibytes(num_draws: int, dim: int) -> float:
    return float(in_child(f"{__package__}.bench", num_draws, dim))


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
