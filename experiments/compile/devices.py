"""Devices of a target, for the compiler alone: nothing can run on them.

A TPU's compiler comes with libtpu, a GPU's with JAX's plugin for CUDA and NVIDIA's assembler; each
is an extra of this package, and none is needed for anything else.
"""

import importlib.util
import math
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sigmaprop import extras

from .targets import Target, gpu_text

EXTRAS = {"tpu": "aot-tpu", "cuda": "aot-cuda"}
_ASSEMBLERS = ("cuda_nvcc/bin", "cu13/bin", "cu12/bin")
"""Below NVIDIA's packages, where ptxas lies."""
_TPU_ENVIRONMENT = {
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_ACCELERATOR_TYPE": "v5litepod-4",
}
"""Else libtpu asks the network which machine it is on, and waits for an answer."""
_CHIPS_OF_A_HOST = 4
_RUNTIMES = {12: (12, 8), 13: (13, 0)}
"""The version of CUDA that a plugin of JAX compiles for."""


def prepare_environment(target: Target) -> None:
    """Sets what JAX and the compiler read when they start; to be called before JAX is imported.

    The programs are made on this machine's CPU, whatever else it has.
    """
    os.environ["JAX_PLATFORMS"] = "cpu"
    if target.kind == "tpu":
        for name, value in _TPU_ENVIRONMENT.items():
            os.environ.setdefault(name, value)
    if target.kind == "cuda":
        found = [str(path) for path in _assemblers()]
        os.environ["PATH"] = os.pathsep.join((*found, os.environ.get("PATH", "")))


def missing(target: Target) -> str:
    """The sentence on what has to be installed first; empty if nothing."""
    extra = EXTRAS.get(target.kind)
    if extra is None or _is_there(target.kind):
        return ""
    return (
        f"--target {target.name} needs the compiler of the extra {extra}; install it with "
        f"`{extras.install(extra)}`"
    )


def devices(target: Target) -> Sequence[Any]:
    """The target's devices: of a chip with two cores there can be two.

    Raises:
        ValueError: the compiler does not know such a target; one sentence.
    """
    import jax
    from jax.experimental import topologies

    if target.kind == "cpu":
        return jax.local_devices(backend="cpu")
    try:
        return topologies.get_topology_desc(**_topology(target)).devices
    except Exception as error:  # a plugin may raise almost anything
        why = " ".join(str(error).split()).partition(". ")[0]
        raise ValueError(f"--target {target.name} cannot be described: {why[:200]}") from error


def chips(found: Sequence[Any]) -> int:
    """How many chips these devices are."""
    if found[0].platform != "tpu":
        return len(found)
    return len({tuple(device.coords) for device in found})


def _topology(target: Target) -> dict[str, Any]:
    if target.kind == "cuda":
        assert target.gpu is not None
        return {
            "platform": "cuda",
            "topology_name": "any",
            "topology": f"1x1x{target.chips}",
            "target_config": gpu_text(target.gpu, _RUNTIMES[_plugins()[-1]]),
        }
    own: dict[str, Any] = {}
    sizes = [int(size) for size in target.chips.split("x")]
    if math.prod(sizes) < _CHIPS_OF_A_HOST:
        own["chips_per_host_bounds"] = (*sizes, 1)[:3]
    name = f"{target.topology}:{target.chips}"
    return {"platform": "tpu", "topology_name": name} | own


def _is_there(kind: str) -> bool:
    if kind == "tpu":
        return importlib.util.find_spec("libtpu") is not None
    return bool(_plugins()) and (bool(_assemblers()) or shutil.which("ptxas") is not None)


def _plugins() -> list[int]:
    """The versions of CUDA for which JAX's plugin is installed."""
    return [
        major
        for major in _RUNTIMES
        if importlib.util.find_spec(f"jax_cuda{major}_plugin") is not None
    ]


def _assemblers() -> list[Path]:
    """Directories of ptxas among the installed packages."""
    found = importlib.util.find_spec("nvidia")
    roots = [] if found is None else list(found.submodule_search_locations or ())
    places = (Path(root) / place for root in roots for place in _ASSEMBLERS)
    return [place for place in places if (place / "ptxas").exists()]
