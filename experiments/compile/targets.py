"""The accelerators that `sigmaprop compile` knows: what they reach, hold and cost.

Peaks are those that the makers publish, dense and without sparsity, for the kind of product that
JAX takes for a dtype where nothing is said: of float32 numbers TensorFloat32 on a GPU and one pass
of bfloat16 on a TPU. Nothing here imports JAX.
"""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from sigmaprop.names import shown, unknown

Kind = Literal["cpu", "cuda", "tpu"]
KINDS: tuple[Kind, ...] = ("cpu", "cuda", "tpu")
DTYPES = ("float32", "bfloat16", "float64")


class Price(NamedTuple):
    """What an hour costs.

    Attributes:
        dollars: an hour of one chip, US dollars.
        source: who asks for it, and where that is written.
        date: of the source, year or year and month.
    """

    dollars: float
    source: str
    date: str


@dataclasses.dataclass(frozen=True)
class Target:
    """An accelerator, by chip: what one of them reaches.

    Attributes:
        name: as ``--target`` takes it.
        kind: the compiler's platform.
        peak: floating-point operations a second of matrix products, by dtype of the operands.
        vector: the same of all other float32 operations; None where that is not published.
        bandwidth: bytes a second of its memory; None where it is not known.
        memory: bytes.
        usable: the share of the memory that JAX gives to arrays where nothing is said.
        launch: seconds that a kernel takes at the least however little it does, 0 where kernels of
            a program follow one another without the host; an assumption, not published.
        source: of these numbers.
        price: None where there is none.
        gpu: the compiler's description of a GPU, see `gpu_text`; None of others.
        topology: of a TPU, its generation as libtpu calls it; "" of others.
        chips: how many, of a GPU in one host; of a TPU as the topology says: "2x2".
    """

    name: str
    kind: Kind
    peak: Mapping[str, float]
    vector: float | None
    bandwidth: float | None
    memory: float | None
    usable: float = 1.0
    launch: float = 0.0
    source: str = ""
    price: Price | None = None
    gpu: Mapping[str, Any] | None = None
    topology: str = ""
    chips: str = "1"


_HOPPER: dict[str, Any] = {
    "threads_per_block_limit": 1024,
    "threads_per_warp": 32,
    "shared_memory_per_block": 49152,
    "shared_memory_per_core": 233472,
    "threads_per_core_limit": 2048,
    "core_count": 132,
    "fpus_per_core": 128,
    "block_dim_limit_x": 2147483647,
    "block_dim_limit_y": 65535,
    "block_dim_limit_z": 65535,
    "memory_bandwidth": 3352320000000,
    "l2_cache_size": 52428800,
    "clock_rate_ghz": 1.98,
    "device_memory_size": 84942979072,
    "shared_memory_per_block_optin": 232448,
    "compute_capability": "9.0",
    "registers_per_core_limit": 65536,
    "registers_per_block_limit": 65536,
    "description": "NVIDIA H100 80GB HBM3",
}
_AMPERE = _HOPPER | {
    "shared_memory_per_core": 167936,
    "core_count": 108,
    "fpus_per_core": 64,
    "memory_bandwidth": 2039040000000,
    "l2_cache_size": 41943040,
    "clock_rate_ghz": 1.41,
    "device_memory_size": 85100068864,
    "shared_memory_per_block_optin": 166912,
    "compute_capability": "8.0",
    "description": "NVIDIA A100-SXM4-80GB",
}
GPU_FIELDS: tuple[str, ...] = tuple(_HOPPER)

# JAX sets three quarters of a GPU's memory aside (XLA_PYTHON_CLIENT_MEM_FRACTION); a TPU's runtime
# keeps about a fiftieth for itself.
_GPU_SHARE, _TPU_SHARE = 0.75, 0.98
# A kernel of a captured graph begins one to three microseconds after the last one.
_LAUNCH = 2e-6
_RENTED = "on demand at clouds for GPUs, mercatus-ai.com/blog/cloud-gpu-pricing"
_GOOGLE = "on demand in the United States, cloud.google.com/tpu/pricing"


def _gpu(
    name: str, peak: tuple[float, float, float], vector: float, dollars: float, **options: Any
) -> Target:
    gpu = options["gpu"]
    return Target(
        name,
        "cuda",
        dict(zip(DTYPES, peak, strict=True)),
        vector,
        float(gpu["memory_bandwidth"]),
        float(gpu["device_memory_size"]),
        _GPU_SHARE,
        _LAUNCH,
        options["source"],
        Price(dollars, _RENTED, "2026-05"),
        gpu,
    )


def _tpu(
    generation: str, peak: float, bandwidth: float, memory: float, dollars: float, chips: str
) -> Target:
    return Target(
        f"tpu-{generation}",
        "tpu",
        {"float32": peak, "bfloat16": peak},
        None,
        bandwidth,
        memory,
        _TPU_SHARE,
        source=f"cloud.google.com/tpu/docs/{generation}",
        price=Price(dollars, _GOOGLE, "2025"),
        topology=generation,
        chips=chips,
    )


TARGETS = {
    target.name: target
    for target in (
        _gpu(
            "h100",
            (494.7e12, 989.4e12, 66.9e12),
            66.9e12,
            3.0,
            gpu=_HOPPER,
            source="NVIDIA H100 datasheet, SXM5",
        ),
        _gpu(
            "h200",
            (494.7e12, 989.4e12, 66.9e12),
            66.9e12,
            4.0,
            gpu=_HOPPER
            | {
                "memory_bandwidth": 4800000000000,
                "device_memory_size": 151397597184,
                "description": "NVIDIA H200 141GB HBM3e",
            },
            source="NVIDIA H200 datasheet, SXM",
        ),
        _gpu(
            "a100",
            (156e12, 312e12, 19.5e12),
            19.5e12,
            1.3,
            gpu=_AMPERE,
            source="NVIDIA A100 datasheet, SXM4 80 GB",
        ),
        _tpu("v4", 275e12, 1228e9, 32 * 2**30, 3.22, "2x2x1"),
        _tpu("v5e", 197e12, 819e9, 16 * 2**30, 1.2, "2x2"),
        _tpu("v5p", 459e12, 2765e9, 95 * 2**30, 4.2, "2x2x1"),
        _tpu("v6e", 918e12, 1638e9, 32 * 2**30, 2.7, "2x2"),
        Target("cpu", "cpu", {}, None, None, None, source="this machine"),
    )
}
"""By name, with the number of chips that each stands for where nothing is said."""
_CHIPS = {"cuda": r"[1-9]\d{0,2}", "tpu": r"[1-9]\d{0,2}(x[1-9]\d{0,2}){1,2}"}


def named(text: str) -> Target:
    """The target of a name, ``h100``, or of a name and its number of chips: ``tpu-v5e:4x4``.

    Raises:
        ValueError: there is none, or it has no such number of chips.
    """
    name, colon, chips = text.partition(":")
    if name not in TARGETS:
        raise unknown("target", name, (*TARGETS, "path/to/target.json"))
    target = TARGETS[name]
    return with_chips(target, chips) if colon else target


def with_chips(target: Target, chips: str) -> Target:
    """The same with another number of chips.

    Raises:
        ValueError: it cannot have that.
    """
    form = _CHIPS.get(target.kind)
    if form is None:
        raise ValueError(
            f"--target {target.name} takes no number of chips, here {shown(chips)}; leave it out"
        )
    if not re.fullmatch(form, chips):
        example = f"{target.name}:8" if target.kind == "cuda" else f"{target.name}:{target.chips}"
        raise ValueError(
            f"--target {target.name} has {shown(chips)} for its chips; write {example}"
        )
    return dataclasses.replace(target, name=f"{target.name}:{chips}", chips=chips)


def gpu_text(gpu: Mapping[str, Any], runtime: tuple[int, int] = (12, 8)) -> str:
    """XLA's GpuTargetConfigProto of a GPU, in its text form, for a version of CUDA.

    The numbers are those of ``xla/backends/gpu/target_config/specs``.
    """
    own = {"compute_capability", "description"}
    lines = [f"  {name}: {value}" for name, value in gpu.items() if name not in own]
    major, _, minor = str(gpu["compute_capability"]).partition(".")
    return "\n".join(
        (
            "gpu_device_info {",
            *lines,
            f"  cuda_compute_capability {{ major: {major} minor: {minor or 0} }}",
            "}",
            'platform_name: "CUDA"',
            "dnn_version_info { major: 9 minor: 8 }",
            f"runtime_version {{ major: {runtime[0]} minor: {runtime[1]} }}",
            f'device_description_str: "{gpu["description"]}"',
        )
    )
