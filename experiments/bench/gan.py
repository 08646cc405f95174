"""How many steps of how many GANs a second, and how far is that from what the machine can do?

    sigmaprop bench gan    # some minutes; all programs in turns, repeat by repeat, in one run

The GAN: 32-256-256-64 and 64-256-256-1 units, batches of 64, Adam, the non-saturating loss, one
learned sigma; no penalty, no moving average. A replica-step is one step of one such GAN. The peak
is that of float32 products of the same kind, on the same devices side by side. PyTorch is compared
where it is found. Expect 62% of the peak or more from 2 replicas on, and 3.2 times PyTorch's best
process. On an accelerator the replicas go to 4096, products are float32, tf32 and bfloat16, a DCGAN
of 28x28 pixels is added, and the measure is the roofline. The engine is called for .3 seconds at a
time, or 32 steps if they last longer. The machine's load is recorded: on a busy one, believe less.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from sigmaprop.generators import observation, replicas

from . import gan_accelerator as accelerator
from . import gan_counts as counts
from . import gan_peers as peers
from . import gan_profile as profile
from . import gan_programs as programs
from .gan_programs import Seconds, Sized, ratio, spread
from .timing import Ratio, report

REPLICAS = (1, 2, 8, 32, 128)
PROFILED = 8
"""Replicas of the run whose parts are timed."""
ROWS, WIDTH = (64, 128), 256
"""Of the products that make the peak: the faster of the two."""
LARGE = 1024

_OF_PEAK, _EAGER, _EAGER_ALONE, _PER_CORE, _ALL_ARMS = 0.62, 3.2, 1.8, 1.6, 1.12
_STEP_IN_LOOP = "one replica: a jitted step in a Python loop"


def gan(
    repeats: int,
    out: Path | None,
    numbers: Sequence[int] | None = None,
    torch_python: Path | None = None,
) -> int:
    """``sigmaprop bench gan``: prints rates and ratios; 0 unless a target is missed.

    Args:
        repeats: rounds in which every program runs once, >= 3.
        out: file for the results as JSON; None prints only.
        numbers: of replicas; None: 1 to 128, or to 4096 on an accelerator.
        torch_python: an interpreter that has PyTorch; None: this one, if it does.

    Raises:
        RunError: there is no such interpreter.
    """
    before = os.getloadavg()
    python = peers.interpreter(torch_python)
    on_cpu = jax.default_backend() == "cpu"
    with peers.torch_programs(python, "cpu" if on_cpu else "cuda") as (others, told):
        if on_cpu:
            sections, notes = cpu(repeats, numbers or REPLICAS, others)
        else:
            chosen = numbers or accelerator.REPLICAS
            sections, notes = accelerator.accelerator(repeats, chosen, others)
    return report(sections, repeats, before, out, [*notes, *told])


def cpu(
    repeats: int, numbers: Sequence[int], others: Mapping[str, Sized]
) -> tuple[dict[str, list[Ratio]], list[str]]:
    """The sections of a CPU's report, and its notes."""
    made = programs.make_spec(["global"])
    numbers = sorted(set(numbers))
    engines = {_replicas(n): programs.engine_run(made, ["global"], n) for n in numbers}
    steps = engines | _all_arms(numbers) | {_STEP_IN_LOOP: programs.jitted_step(made)}
    peaks = {size: _peaks(size) for size in {_devices(n) for n in numbers}}
    products = {name: one for found in peaks.values() for name, one in found.items()}
    profiled = programs.engine_run(made, ["global"], PROFILED)
    parts = profile.parts(made, replicas.layout(PROFILED).mesh)
    whole = {profile.WHOLE: profiled} | parts
    seconds = programs.in_turns({**steps, **products, **others, **whole}, repeats)
    flops = counts.work(made).flops
    limits = {n: _at_peak(seconds, list(peaks[_devices(n)]), flops) for n in numbers}
    sections = {
        "replica-steps a second": [_rate(name, seconds) for name in (*steps, *others)],
        "operations a second, in thousands of millions": [
            _rate(name, seconds, 1e-9) for name in products
        ],
        "times": [
            *_against_peak(seconds, limits),
            *_against_torch(seconds, numbers, peers.eager_names(others)),
            *_against_one_arm(seconds, numbers),
        ],
        f"parts of a step of {PROFILED} replicas": [
            spread(what, values) for what, values in profile.shares(seconds)
        ],
    }
    return sections, [_counts(flops, counts.counted_by_xla(made)), *_words(seconds, limits)]


def _replicas(num: int) -> str:
    return "1 replica" if num == 1 else f"{num} replicas"


def _devices(num: int) -> int:
    return replicas.layout(num).mesh.size


def _all_arms(numbers: Iterable[int]) -> dict[str, Sized]:
    """Replicas of all arms in one program, where there are as many as arms."""
    arms = list(observation.ARMS)
    mixed = programs.make_spec(arms)
    return {
        f"{_replicas(n)} of all arms": programs.engine_run(mixed, arms, n)
        for n in numbers
        if n >= len(arms)
    }


def _peaks(devices: int) -> dict[str, Sized]:
    """Chains of products on so many devices, by their names; the last are large."""
    mesh = replicas.layout(devices).mesh
    on = "on 1 device" if devices == 1 else f"on {devices} devices"
    found = {}
    for rows, width in (*((rows, WIDTH) for rows in ROWS), (LARGE, LARGE)):
        made = programs.chain(mesh, rows, width, jnp.float32)
        found[f"{made.program.what} {on}"] = made
    return found


def _at_peak(seconds: Seconds, names: Sequence[str], flops: float) -> np.ndarray:
    """Seconds of a step's products at the rate of the faster of the chains of its kind."""
    fastest = min(names[: len(ROWS)], key=lambda name: float(np.median(seconds[name])))
    return flops * seconds[fastest]


def _rate(name: str, seconds: Seconds, unit: float = 1.0) -> Ratio:
    found = spread(name, unit / seconds[name])
    return found._replace(seconds=float(np.median(seconds[name])))


def _against_peak(seconds: Seconds, limits: Mapping[int, np.ndarray]) -> list[Ratio]:
    return [
        ratio(
            f"{_replicas(num)} / its products at the peak",
            seconds[_replicas(num)],
            limit,
            None if num == 1 else 1 / _OF_PEAK,
        )
        for num, limit in limits.items()
    ]


def _against_torch(seconds: Seconds, numbers: Sequence[int], eager: Sequence[str]) -> list[Ratio]:
    """The engine against PyTorch's processes, and against a Python loop over its own step."""
    found = []
    best = min(eager, key=lambda name: float(np.median(seconds[name])), default=None)
    for num in numbers:
        own, name = seconds[_replicas(num)], _replicas(num)
        if best is not None:
            target = 1 / (_EAGER_ALONE if num == 1 else _EAGER)
            found.append(ratio(f"{name} / {best}", own, seconds[best], target))
        if num > 1 and peers.PER_CORE in seconds:
            each = seconds[peers.PER_CORE]
            found.append(ratio(f"{name} / {peers.PER_CORE}", own, each, 1 / _PER_CORE))
        found.append(ratio(f"{name} / a jitted step in a loop", own, seconds[_STEP_IN_LOOP]))
    return found


def _against_one_arm(seconds: Seconds, numbers: Iterable[int]) -> list[Ratio]:
    return [
        ratio(
            f"{name} of all arms / of one", seconds[f"{name} of all arms"], seconds[name], _ALL_ARMS
        )
        for name in map(_replicas, numbers)
        if f"{name} of all arms" in seconds
    ]


def _counts(flops: float, counted: float) -> str:
    return (
        f"the products of a step: {flops / 1e6:.1f} million operations by formula; all of a step "
        f"by XLA's count: {counted / 1e6:.1f} million"
    )


def _words(seconds: Seconds, limits: Mapping[int, np.ndarray]) -> list[str]:
    """One sentence a number of replicas."""
    found = []
    for num, limit in limits.items():
        own = seconds[_replicas(num)]
        rate, share = float(np.median(1 / own)), float(np.median(limit / own))
        found.append(f"{_replicas(num)}: {rate:,.0f} replica-steps/s, {share:.0%} of the peak")
    return found
