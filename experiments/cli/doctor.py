"""``sigmaprop doctor``: what this machine has, and what limits it."""

import math
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import psutil

from sigmaprop.data import cache
from sigmaprop.extras import install
from sigmaprop.names import shortened, shown
from sigmaprop.noise import normal_rows
from sigmaprop.runs.environment import cores, cpu_model, flags

from ..terminal import Terminal

_PACKAGES = ("jax", "jaxlib", "numpy", "flax", "optax", "chex", "tensorflow-datasets", "tensorflow")
_OPTIONAL = {"tensorflow": "not needed"}
_GIB = 2**30
_LARGE_CACHE, _LITTLE_MEMORY, _LITTLE_DISK = 2 * _GIB, 2 * _GIB, _GIB


class Folder(NamedTuple):
    """A folder that the commands write to.

    Attributes:
        path: where it is, or would be made.
        exists: whether it is there.
        problem: why it cannot be written, None where it can.
        size: bytes of the files below it.
        free: bytes free on its disk.
    """

    path: Path
    exists: bool
    problem: str | None
    size: int
    free: int


class Machine(NamedTuple):
    """What was found. Memory in bytes; quota: cores' worth of time that a container grants.

    Without devices, ``problem`` says why JAX has none.
    """

    versions: dict[str, str | None]
    devices: list[str]
    platform: str
    nvidia: list[str]
    flags: dict[str, str]
    cpu: str
    cores: int
    usable: int
    quota: float
    load: float
    memory: int
    available: int
    compiled: Folder | None
    cached: Folder
    runs: Folder
    problem: str = ""


class Speed(NamedTuple):
    """What was measured: nanoseconds a normal, and GFLOP/s of a float32 matrix product."""

    normal: float
    normal_rows: float
    matmul: float


def show() -> int:
    """Prints what was found and measured, then advice; 1 where JAX does not start, else 0."""
    terminal = Terminal()
    machine = look()
    for name, value in describe(machine):
        terminal.say(f"{name:<19} {value}")
    if machine.devices:
        with terminal.status("measuring the speed"):
            speed = measure()
        terminal.say(
            f"{'speed':<19} {speed.normal:.1f} ns a normal by jax.random.normal, "
            f"{speed.normal_rows:.1f} by sigmaprop.noise.normal_rows; float32 matmul "
            f"{speed.matmul:,.0f} GFLOP/s"
        )
    terminal.say("")
    advice = list(advise(machine))
    for sentence in advice or ["nothing found that would slow you down or stop you"]:
        terminal.say(f"- {sentence}")
    return int(not machine.devices)


def look() -> Machine:
    """Everything that can be read without measuring."""
    devices, problem = _devices()
    memory = psutil.virtual_memory()
    granted = _granted("memory.max")
    compiled = getattr(jax.config, "jax_compilation_cache_dir", None)
    return Machine(
        versions={name: _version(name) for name in _PACKAGES},
        devices=[_describe_device(device) for device in devices],
        platform=devices[0].platform if devices else "none",
        nvidia=nvidia_gpus(),
        flags=flags(),
        cpu=cpu_model(),
        cores=os.cpu_count() or 1,
        usable=cores(),
        quota=_granted("cpu.max"),
        load=os.getloadavg()[0],
        memory=int(min(memory.total, granted)),
        available=int(min(memory.available, granted)),
        compiled=folder(Path(compiled)) if compiled else None,
        cached=folder(cache.directory()),
        runs=folder(Path("runs")),
        problem=problem,
    )


def _devices() -> tuple[list[Any], str]:
    """The devices that JAX starts, or none and why."""
    try:
        return jax.local_devices(), ""
    except Exception as error:  # a backend that does not start raises almost anything
        return [], shortened(" ".join(str(error).split()), 300) or "no such device is there"


def describe(machine: Machine) -> Iterator[tuple[str, str]]:
    """Names and values, for reading."""
    python = f"{platform.python_version()} ({sys.executable})"
    yield "python", python
    for name, version in machine.versions.items():
        yield name, version or f"not installed ({_OPTIONAL.get(name, 'needed')})"
    yield (
        "devices",
        "; ".join(
            f"{machine.devices.count(device)} x {device}"
            for device in dict.fromkeys(machine.devices)
        )
        or f"none: JAX does not start ({machine.problem})",
    )
    yield "nvidia gpus", "; ".join(machine.nvidia) or "none seen by nvidia-smi"
    yield "cpu", f"{machine.cpu}; {machine.cores} cores, {machine.usable} usable"
    yield "load", f"{machine.load:.2f} over the last minute"
    yield "memory", f"{_gib(machine.available)} of {_gib(machine.memory)} available"
    if machine.devices:
        with jax.enable_x64(True):
            yield "float64", "works" if jnp.ones(1, jnp.float64).dtype == np.float64 else "missing"
    for name, value in sorted(machine.flags.items()):
        yield "flag", f"{name}={value}"
    compiled = "off" if machine.compiled is None else _describe_folder(machine.compiled)
    yield "compiled", compiled
    yield "cache", _describe_folder(machine.cached)
    yield "runs", _describe_folder(machine.runs)


def advise(machine: Machine) -> Iterator[str]:
    """What limits this machine, most important first, each with a remedy."""
    if machine.problem:
        asked = os.environ.get("JAX_PLATFORMS")
        yield (
            "no command that computes can run: JAX starts no device. "
            + (f"JAX_PLATFORMS is {shown(asked)}: " if asked else "")
            + ("unset it, or set" if asked else "set")
            + " JAX_PLATFORMS=cpu to compute on the CPU"
        )
    if machine.nvidia and machine.platform in ("cpu", "none"):
        uses = "no device" if machine.problem else "the CPU only"
        yield (
            f"nvidia-smi sees {machine.nvidia[0]}, but JAX uses {uses}: "
            f"`{install('cuda13')}` (or cuda12 for an older driver), and look at "
            "JAX_PLATFORMS and CUDA_VISIBLE_DEVICES"
        )
    if machine.load > machine.usable:
        yield (
            f"load average {machine.load:.1f} on {machine.usable} usable cores: timings are "
            "unreliable; let the other programs end first"
        )
    if machine.usable < machine.cores:
        yield (
            f"this process may use {machine.usable} of {machine.cores} cores (taskset, a container "
            "or a batch system): ask for more if you need them"
        )
    if machine.quota < machine.usable:
        yield (
            f"the container grants the time of {machine.quota:g} cores on {machine.usable}: raise "
            "its CPU limit, or pin it to as many cores with taskset"
        )
    if machine.platform == "cpu" and len(machine.devices) < machine.usable:
        yield (
            f"JAX has {len(machine.devices)} CPU device(s) on {machine.usable} usable cores: unset "
            "XLA_FLAGS, or set --xla_force_host_platform_device_count in it"
        )
    if machine.available < _LITTLE_MEMORY:
        yield f"only {_gib(machine.available)} of memory available: lower --chunk or --dim"
    yield from _advise_folders(machine)


def _advise_folders(machine: Machine) -> Iterator[str]:
    if machine.compiled is None:
        yield "no compilation cache: every start compiles anew; set SIGMAPROP_CACHE"
    elif machine.compiled.problem:
        yield (
            f"{machine.compiled.path} cannot be written ({machine.compiled.problem}): every start "
            "compiles anew; set SIGMAPROP_CACHE to a writable directory"
        )
    elif machine.compiled.size > _LARGE_CACHE:
        yield (
            f"{machine.compiled.path} holds {_gib(machine.compiled.size)} of compiled programs; "
            "you may delete it"
        )
    if machine.cached.problem:
        yield (
            f"{machine.cached.path} cannot be written ({machine.cached.problem}): the digit "
            "classifier is trained at every start; set SIGMAPROP_CACHE to a writable directory"
        )
    if machine.runs.problem:
        yield (
            f"{machine.runs.path} cannot be written ({machine.runs.problem}): give --run-dir, or "
            "change to a directory of your own"
        )
    elif machine.runs.free < _LITTLE_DISK:
        yield f"only {_gib(machine.runs.free)} free for {machine.runs.path}: make room"


def measure(repeats: int = 5) -> Speed:
    """The best of a few repeats; a second or two in all."""
    rows, dim, side = 2**14, 64, 1024
    key = jax.random.key(0)
    square = jax.random.normal(key, (side, side))
    normal = _best(jax.jit(lambda key: jnp.sum(jax.random.normal(key, (rows, dim)))), key, repeats)
    ours = _best(jax.jit(lambda key: jnp.sum(normal_rows(key, 0, rows, dim))), key, repeats)
    product = _best(jax.jit(lambda a: a @ a), square, repeats)
    nanoseconds = 1e9 / (rows * dim)
    return Speed(normal * nanoseconds, ours * nanoseconds, 2 * side**3 / product / 1e9)


def nvidia_gpus() -> list[str]:
    """The names of the GPUs that the driver sees, whatever JAX was built for."""
    if shutil.which("nvidia-smi") is None:
        return []
    query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in done.stdout.splitlines() if line.strip()]


def _granted(name: str) -> float:
    """What the container's control group grants of memory or of cores, infinite if no limit."""
    try:
        limit, *period = Path("/sys/fs/cgroup", name).read_text().split()
    except (OSError, ValueError):
        return math.inf
    if limit == "max":
        return math.inf
    return float(limit) / float(period[0]) if period else float(limit)


def folder(path: Path) -> Folder:
    """What is known of a folder; it is not made."""
    path = path.absolute()
    above = next(parent for parent in (path, *path.parents) if parent.exists())
    problem = None
    if not above.is_dir():
        problem = f"{above} is no directory"
    elif not os.access(above, os.W_OK | os.X_OK):
        problem = f"no permission in {above}"
    return Folder(path, path.exists(), problem, _size(path), shutil.disk_usage(above).free)


def _size(path: Path) -> int:
    """Bytes below a folder; files that vanish meanwhile count nothing."""
    total = 0
    for directory, _, names in os.walk(path):
        for name in names:
            try:
                total += os.stat(os.path.join(directory, name)).st_size
            except OSError:
                continue
    return total


def _best(function: Callable[[Any], Any], argument: Any, repeats: int) -> float:
    """Seconds of the fastest call after the first, which compiles."""
    jax.block_until_ready(function(argument))
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(function(argument))
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def _version(package: str) -> str | None:
    """The installed version, read without importing the package."""
    names = (package, f"{package}-cpu") if package == "tensorflow" else (package,)
    for name in names:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return None


def _describe_device(device: Any) -> str:
    """Platform, kind, and memory where the device tells it."""
    stats = device.memory_stats() or {}
    memory = f", {_gib(stats['bytes_limit'])}" if "bytes_limit" in stats else ""
    kind = "" if device.device_kind == device.platform else f" {device.device_kind}"
    return f"{device.platform}{kind}{memory}"


def _describe_folder(found: Folder) -> str:
    if found.problem:
        return f"{found.path}: not writable ({found.problem})"
    holds = f"{found.size / 2**20:,.1f} MiB" if found.exists else "not made yet"
    return f"{found.path}: writable, {holds}, {_gib(found.free)} free"


def _gib(size: float) -> str:
    return f"{size / _GIB:,.1f} GiB"
