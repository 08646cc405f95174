"""How many steps of how many GANs a second, and how far is that from what the machine can do?

    sigmaprop bench gan    # some minutes; all programs in turns, repeat by repeat, in one run

The GAN: 32-256-256-64 and 64-256-256-1 units, batches of 64, Adam, the non-saturating loss, one
learned sigma; no penalty, no moving average. On a CPU two presets of `sigmaprop gan` are timed too,
with their penalties, averages and data. A replica-step is one step of one such GAN. The peak
is that of float32 products of the same kind, on the same devices side by side. PyTorch is compared
where it is found. Expect 62% of the peak or more from 2 replicas on, and 3.2 times PyTorch's best
process. On an accelerator the replicas go to 4096, products are float32, tf32 and bfloat16, a DCGAN
of 28x28 pixels is added, and the measure is the roofline: a step takes at least as long as its
products at the rate of large ones, and as the bytes that it must move at the rate of memory. The
engine is called for .3 seconds at a time, or 32 steps if they last longer. The machine's load is
recorded: on a busy one, believe less.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sigmaprop.generators import observation
from sigmaprop.generators.layout import layout

from . import gan_peers as peers
from . import gan_programs as programs
from .ratios import (
    Found,
    Ratio,
    Seconds,
    Term,
    against,
    by_round,
    rate,
    ratio,
    sized,
    terms,
)
from .timing import Program, time_interleaved

REPLICAS, ACCELERATOR_REPLICAS = (1, 2, 8, 32, 128), (1, 8, 64, 512, 4096)
PROFILED = 8
"""Replicas of the run whose parts are timed on a CPU."""
PRESETS = ("digits", "r3_digits")
"""Of `sigmaprop gan`, timed as they are, with the arm zero: a GAN of yesterday and one of today."""
ROWS, WIDTH = (64, 128), 256
"""Of the products that make a CPU's peak: the faster of the two."""
LARGE, ACCELERATOR_LARGE = 1024, 8192
"""Side of large products."""
COPIED = 2**28
"""Float32 numbers whose copying makes an accelerator's bandwidth."""
IMAGE, IMAGE_WIDTHS, IMAGE_REPLICAS = (28, 28, 1), (64,), 512
"""Of the DCGAN: its images, its channels, and how many replicas of it there are at most."""
FULL = 512
"""From so many replicas on an accelerator's targets apply: fewer wait for kernels to start."""
PRECISIONS = {
    "float32": ("float32", "float32"),
    "tf32": ("tensorfloat32", "float32"),
    "bfloat16": ("", "bfloat16"),
}
"""How an accelerator computes products: JAX's name of it ("": the backend's own), and the dtype."""

_OF_PEAK, _EAGER, _EAGER_ALONE, _PER_CORE, _ALL_ARMS = 0.62, 3.2, 1.8, 1.6, 1.12
_OF_ROOFLINE, _EAGER_ON_ACCELERATOR = 0.5, 100.0
_STEP_IN_LOOP = "one replica: a jitted step in a Python loop"
_MEMORY = "reading and writing memory"


class Case(NamedTuple):
    """One GAN at one precision with one number of replicas.

    Attributes:
        needed: what a step of it has to do at the least.
        peaks: names of the chains of products of its kind; the fastest is the peak.
        target, eager: largest ratio aimed at of its time to its limit, and to PyTorch's best.
        precision: of its products, as JAX names it.
        peer: whether it is the GAN that PyTorch computes.
    """

    name: str
    spec: programs.GanSpec
    num: int
    needed: programs.Work
    peaks: tuple[str, ...]
    target: float | None
    eager: float | None
    precision: str = ""
    peer: bool = True


class Bench(NamedTuple):
    """What is timed together.

    Attributes:
        limit: what the cases are compared with, in words, and in fewer of them.
        limits: chains of products, and copies, counted in ``unit``.
        steps, parts: further programs that are counted in replica-steps; parts of a step.
        sizes: of the programs that are not the multilayer GAN, by their names.
    """

    limit: tuple[str, str]
    cases: list[Case]
    limits: dict[str, Program]
    steps: dict[str, Program]
    parts: dict[str, Program]
    unit: str
    notes: list[str]
    sizes: dict[str, dict[str, Any]]

    def speed(self, name: str, seconds: Seconds) -> Ratio:
        """Replica-steps a second, with the sizes of what steps."""
        return sized([rate(name, seconds)], **self.sizes_of(name))[0]

    def sizes_of(self, name: str) -> dict[str, Any]:
        """Of the GAN that a program steps."""
        return self.sizes.get(name, programs.sizes())


def gan(
    repeats: int, numbers: Sequence[int] | None = None, torch_python: Path | None = None
) -> Found:
    """What ``sigmaprop bench gan`` measures: rates and ratios.

    Args:
        repeats: rounds in which every program runs once, >= 3.
        numbers: of replicas; None: 1 to 128, or to 4096 on an accelerator.
        torch_python: an interpreter that has PyTorch; None: this one, if it does.

    Raises:
        RunError: there is no such interpreter.
    """
    python = peers.interpreter(torch_python)
    on_cpu = jax.default_backend() == "cpu"
    with peers.torch_programs(python, "cpu" if on_cpu else "cuda") as others:
        if on_cpu:
            bench = on_a_cpu(sorted(set(numbers or REPLICAS)))
        else:
            bench = on_an_accelerator(sorted(set(numbers or ACCELERATOR_REPLICAS)))
        found = measure(bench, others, repeats)
    return found._replace(notes=[*found.notes, *others.notes])


def measure(bench: Bench, others: peers.Peers, repeats: int) -> Found:
    """The sections of the report, and its notes."""
    engines = {
        case.name: programs.engine_run(case.spec, ["global"], case.num, case.precision)
        for case in bench.cases
    }
    steps = engines | bench.steps
    every = {**steps, **bench.limits, **others.programs, **bench.parts}
    seconds = time_interleaved(every, repeats)
    sizes, (_, short) = programs.sizes(), bench.limit
    of_limit = [_against_limit(bench, case, seconds) for case in bench.cases]
    sections = {
        "replica-steps a second": [
            *(bench.speed(name, seconds) for name in steps),
            *against([bench.speed(name, seconds) for name in others.programs], **others.versions),
        ],
        f"{bench.unit} a second, in thousands of millions": [
            rate(name, seconds, 1e-9) for name in bench.limits
        ],
        "times": [
            *of_limit,
            *against(_against_peers(seconds, bench.cases, others), **others.versions),
            *sized(_against_a_loop(seconds, bench.cases), **sizes),
            *sized(_against_one_arm(seconds, bench.cases), **sizes),
        ],
    }
    if bench.parts:
        shares = sized(programs.shares(seconds), **sizes)
        sections[f"parts of a step of {PROFILED} replicas"] = shares
    notes = [*bench.notes]
    for case, found in zip(bench.cases, of_limit, strict=True):
        speed, share = np.median(1 / seconds[case.name]), np.median(1 / by_round(found))
        notes.append(f"{case.name}: {speed:,.0f} replica-steps/s, {share:.0%} of {short}")
    return Found(sections, notes)


def on_a_cpu(numbers: Sequence[int]) -> Bench:
    """The multilayer GAN against products of its own kind, of all arms, and in its parts."""
    spec = programs.make_spec(["global"])
    needed = programs.work(spec)
    devices = {num: layout(num).mesh.size for num in numbers}
    peaks = {count: _peaks(count) for count in set(devices.values())}
    names = {count: tuple(chains)[: len(ROWS)] for count, chains in peaks.items()}
    cases = [
        Case(
            *("1 replica" if num == 1 else f"{num} replicas", spec, num, needed),
            peaks=names[devices[num]],
            target=None if num == 1 else 1 / _OF_PEAK,
            eager=1 / (_EAGER_ALONE if num == 1 else _EAGER),
        )
        for num in numbers
    ]
    arms = [name for name, arm in observation.ARMS.items() if arm.shares]
    mixed = programs.make_spec(arms)
    all_arms = {
        f"{case.name} of all arms": programs.engine_run(mixed, arms, case.num)
        for case in cases
        if case.num >= len(arms)
    }
    presets = {f"{PROFILED} replicas of the preset {name}": name for name in PRESETS}
    preset_runs = {what: programs.preset_run(name, PROFILED) for what, name in presets.items()}
    profiled = programs.engine_run(spec, ["global"], PROFILED)
    parts = programs.parts(spec, layout(PROFILED).mesh)
    note = (
        f"the products of a step: {needed.flops / 1e6:.1f} million operations by formula; "
        f"all of a step by XLA's count: {programs.counted_by_xla(spec) / 1e6:.1f} million"
    )
    return Bench(
        ("its products at the peak", "the peak"),
        cases,
        limits={name: chain for chains in peaks.values() for name, chain in chains.items()},
        steps=all_arms | preset_runs | {_STEP_IN_LOOP: programs.jitted_step(spec)},
        parts={programs.WHOLE: profiled} | parts,
        unit="operations",
        notes=[note],
        sizes={what: {"preset": name, "arm": "zero"} for what, name in presets.items()},
    )


def on_an_accelerator(numbers: Sequence[int]) -> Bench:
    """Two GANs at three precisions against the roofline."""
    mesh = layout(max(numbers)).mesh
    limits, cases = {}, []
    for precision, (matmul, dtype) in PRECISIONS.items():
        peak = f"large products, {precision}"
        limits[peak] = programs.matmul_chain(
            mesh, ACCELERATOR_LARGE, ACCELERATOR_LARGE, jnp.dtype(dtype), matmul
        )
        image = {"image": IMAGE, "widths": IMAGE_WIDTHS}
        for kind, options in {"MLP": {}, f"DCGAN {IMAGE[0]}x{IMAGE[1]}": image}.items():
            spec = programs.make_spec(["global"], dtype=dtype, **options)
            needed = programs.work(spec)
            cases += [
                Case(
                    *(f"{kind}, {precision}, {num} replicas", spec, num, needed),
                    peaks=(peak,),
                    target=1 / _OF_ROOFLINE if num >= FULL else None,
                    eager=1 / _EAGER_ON_ACCELERATOR if num >= FULL else None,
                    precision=matmul,
                    peer=not options and precision == "float32",
                )
                for num in numbers
                if not options or num <= IMAGE_REPLICAS
            ]
    limits[_MEMORY] = programs.copying(mesh, COPIED)
    words = ("its roofline", "the roofline")
    images = programs.sizes() | {"image": list(IMAGE), "widths": list(IMAGE_WIDTHS)}
    del images["d"]
    return Bench(
        *(words, cases, limits, {}, {}),
        unit="operations and bytes",
        notes=[],
        sizes={case.name: images for case in cases if case.name.startswith("DCGAN")},
    )


def _peaks(devices: int) -> dict[str, Program]:
    """Chains of products on so many devices, by their names; the last are large."""
    mesh = layout(devices).mesh
    on = "on 1 device" if devices == 1 else f"on {devices} devices"
    shapes = (*((rows, WIDTH) for rows in ROWS), (LARGE, LARGE))
    chains = [programs.matmul_chain(mesh, rows, width, jnp.float32) for rows, width in shapes]
    return {f"{chain.what} {on}": chain for chain in chains}


def _fastest(seconds: Seconds, names: Sequence[str]) -> str | None:
    return min(names, key=lambda name: float(np.median(seconds[name])), default=None)


def _against_limit(bench: Bench, case: Case, seconds: Seconds) -> Ratio:
    """A case against what the machine can do."""
    own, bound = terms(seconds, {case.name: 1}), _bound(case, seconds)
    what = f"{case.name} / {bench.limit[0]}"
    found = ratio(what, own, bound, case.target, combined="largest")
    return sized([found], **bench.sizes_of(case.name))[0]


def _bound(case: Case, seconds: Seconds) -> tuple[Term, ...]:
    """The least seconds of a replica-step, the larger of two: of its products, and its bytes."""
    fastest = _fastest(seconds, case.peaks)
    assert fastest is not None
    needed = {fastest: case.needed.flops, _MEMORY: case.needed.bytes}
    return terms(seconds, {name: most for name, most in needed.items() if name in seconds})


def _against_peers(seconds: Seconds, cases: Sequence[Case], others: peers.Peers) -> list[Ratio]:
    """The engine against PyTorch's processes."""
    ratios = []
    best = _fastest(seconds, peers.eager_names(others.programs))
    for case in cases:
        name, own = case.name, terms(seconds, {case.name: 1})
        if best is not None and case.peer:
            eager = terms(seconds, {best: 1})
            found = ratio(f"{name} / PyTorch eager's best", own, eager, case.eager)
            ratios += sized([found], **programs.sizes())
        if peers.PER_CORE in seconds and case.num > 1:
            each = terms(seconds, {peers.PER_CORE: 1})
            found = ratio(f"{name} / {peers.PER_CORE}", own, each, 1 / _PER_CORE)
            ratios += sized([found], **programs.sizes())
    return ratios


def _against_a_loop(seconds: Seconds, cases: Sequence[Case]) -> list[Ratio]:
    """The engine against a Python loop over its own step."""
    if _STEP_IN_LOOP not in seconds:
        return []
    loop = terms(seconds, {_STEP_IN_LOOP: 1})
    return [
        ratio(f"{case.name} / a jitted step in a loop", terms(seconds, {case.name: 1}), loop)
        for case in cases
    ]


def _against_one_arm(seconds: Seconds, cases: Sequence[Case]) -> list[Ratio]:
    names = [(f"{case.name} of all arms", case.name) for case in cases]
    return [
        ratio(
            *(f"{every} / of one", terms(seconds, {every: 1}), terms(seconds, {one: 1})),
            _ALL_ARMS,
        )
        for every, one in names
        if every in seconds
    ]
