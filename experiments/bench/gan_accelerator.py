"""``sigmaprop bench gan`` on an accelerator: the roofline of two GANs at three precisions."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from sigmaprop.generators import gan, replicas

from . import gan_counts as counts
from . import gan_peers as peers
from . import gan_programs as programs
from .gan_programs import Seconds, Sized, ratio, spread
from .timing import Ratio

REPLICAS = (1, 8, 64, 512, 4096)
IMAGE, IMAGE_WIDTHS, IMAGE_REPLICAS = (28, 28, 1), (64,), 512
"""Of the DCGAN: its images, its channels, and how many replicas of it there are at most."""
LARGE, COPIED = 8192, 2**28
"""Side of the products that make the peak; float32 numbers whose copying makes the bandwidth."""
FULL = 512
"""From so many replicas on the targets apply: fewer wait for kernels to start."""

_OF_ROOFLINE, _EAGER = 0.5, 100.0
_MEMORY = "reading and writing memory"


class _Precision(NamedTuple):
    """How products are computed."""

    name: str
    matmul: str
    dtype: str


PRECISIONS = (
    _Precision("float32", "float32", "float32"),
    _Precision("tf32", "tensorfloat32", "float32"),
    _Precision("bfloat16", "", "bfloat16"),
)


class _Case(NamedTuple):
    """One GAN at one precision with one number of replicas."""

    name: str
    made: gan.GanSpec
    precision: _Precision
    num: int


def accelerator(
    repeats: int, numbers: Sequence[int], others: Mapping[str, Sized]
) -> tuple[dict[str, list[Ratio]], list[str]]:
    """The sections of an accelerator's report, and its notes.

    A step takes at least as long as its products at the rate of large ones, and as the bytes that
    it must move at the rate of memory, whichever is longer.
    """
    cases = {case.name: case for case in _cases(sorted(set(numbers)))}
    mesh = replicas.layout(max(numbers)).mesh
    limits = {
        f"large products, {p.name}": programs.chain(
            mesh, LARGE, LARGE, jnp.dtype(p.dtype), p.matmul
        )
        for p in PRECISIONS
    } | {_MEMORY: programs.copying(mesh, COPIED)}
    runs = {
        case.name: programs.engine_run(case.made, ["global"], case.num, case.precision.matmul)
        for case in cases.values()
    }
    seconds = programs.in_turns({**limits, **runs, **others}, repeats)
    bounds = {case.name: _bound(case, seconds) for case in cases.values()}
    sections = {
        "replica-steps a second": [spread(name, 1 / seconds[name]) for name in (*runs, *others)],
        "operations and bytes a second, in thousands of millions": [
            spread(name, 1e-9 / seconds[name]) for name in limits
        ],
        "times": [
            *_against_roofline(seconds, cases.values(), bounds),
            *_against_torch(seconds, cases.values(), peers.eager_names(others)),
        ],
    }
    return sections, [_in_words(name, seconds[name], bounds[name]) for name in cases]


def _cases(numbers: Sequence[int]) -> Iterator[_Case]:
    for precision in PRECISIONS:
        kinds = {
            "MLP": {},
            f"DCGAN {IMAGE[0]}x{IMAGE[1]}": {"image": IMAGE, "widths": IMAGE_WIDTHS},
        }
        for kind, options in kinds.items():
            made = programs.make_spec(["global"], dtype=precision.dtype, **options)
            for num in numbers:
                if not options or num <= IMAGE_REPLICAS:
                    name = f"{kind}, {precision.name}, {num} replicas"
                    yield _Case(name, made, precision, num)


def _bound(case: _Case, seconds: Seconds) -> np.ndarray:
    """The least seconds of a replica-step: of its products, or of its bytes."""
    needed = counts.work(case.made)
    products = needed.flops * seconds[f"large products, {case.precision.name}"]
    return np.maximum(products, needed.bytes * seconds[_MEMORY])


def _against_roofline(seconds: Seconds, cases: Iterable[_Case], bounds: Seconds) -> list[Ratio]:
    return [
        ratio(
            f"{case.name} / its roofline",
            seconds[case.name],
            bounds[case.name],
            1 / _OF_ROOFLINE if case.num >= FULL else None,
        )
        for case in cases
    ]


def _against_torch(seconds: Seconds, cases: Iterable[_Case], eager: Sequence[str]) -> list[Ratio]:
    """The multilayer GAN against PyTorch, which computes products in float32."""
    return [
        ratio(
            f"{case.name} / {name}",
            seconds[case.name],
            seconds[name],
            1 / _EAGER if case.num >= FULL else None,
        )
        for name in eager
        for case in cases
        if case.name.startswith("MLP, float32")
    ]


def _in_words(name: str, own: np.ndarray, bound: np.ndarray) -> str:
    rate, share = np.median(1 / own), np.median(bound / own)
    return f"{name}: {rate:,.0f} replica-steps/s, {share:.0%} of the roofline"
