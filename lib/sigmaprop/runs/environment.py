"""What a run's numbers depend on besides its config: versions, devices, flags, the checkout.

Bits are equal only for the same machine, versions, flags and device count, so a run records them
and a replay says in plain words which of them changed. Home directories are recorded as ``~``:
whose they are is no matter of the numbers.
"""

import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from sigmaprop import processes
from sigmaprop.names import shown

_LONGEST = 1000
"""Characters of a value that are told whole."""
_PACKAGES = ("jax", "jaxlib", "numpy", "flax", "optax", "chex", "sigmaprop")
_FLAGS = ("XLA_FLAGS", "LIBTPU_INIT_ARGS", "NVIDIA_TF32_OVERRIDE")
_NUMERICS = (
    "jax_default_matmul_precision",
    "jax_default_prng_impl",
    "jax_threefry_partitionable",
)
_ORDER = (
    *(("device", name) for name in ("backend", "kind", "count", "processes")),
    *(("cpu", name) for name in ("model", "cores")),
    *(("versions", name) for name in ("jax", "jaxlib", "python", *_PACKAGES[2:])),
)


def environment(seed: int | None) -> dict[str, Any]:
    """The environment of this process, ready for JSON.

    Args:
        seed: the run's seed, recorded as it is.

    Returns:
        Versions, platform, device, CPU, flags, numerics, git, seed and argv, by name. ``git`` is
        None unless the package is imported from a checkout that tracks it. Home directories in
        all of it are ``~``.
    """
    import jax

    devices = jax.devices()
    content = {
        "schema": 1,
        "versions": {"python": platform.python_version()} | {n: _version(n) for n in _PACKAGES},
        "platform": platform.platform(),
        "device": {
            "backend": jax.default_backend(),
            "kind": devices[0].device_kind,
            "count": len(devices),
            **({"processes": processes.num()} if processes.num() > 1 else {}),
        },
        "cpu": {"model": cpu_model(), "cores": cores()},
        "flags": flags(),
        "x64": _setting("jax_enable_x64"),
        "numerics": {name: _setting(name) for name in _NUMERICS},
        "git": _git(Path(__file__).resolve().parent),
        "seed": seed,
        "argv": list(sys.argv),
    }
    return without_home(content)


def without_home(content: Any) -> Any:
    """JSON content with ``~`` for every home directory in its strings: one's own, and others'.

    Example:
        >>> without_home({"argv": ["/home/ada/bin/sigmaprop", "--dump=/root/x", "/homework"]})
        {'argv': ['~/bin/sigmaprop', '--dump=~/x', '/homework']}
    """
    if isinstance(content, dict):
        return {name: without_home(value) for name, value in content.items()}
    if isinstance(content, list | tuple):
        return [without_home(value) for value in content]
    return _homes().sub("~", content) if isinstance(content, str) else content


def _homes() -> re.Pattern[str]:
    """Home directories, where a path begins and up to the end of a name in it."""
    own = os.path.expanduser("~")
    own = {path.rstrip("/") for path in (own, os.path.realpath(own)) if path.startswith("/")}
    named = [re.escape(path) for path in sorted(own - {""}, key=len, reverse=True)]
    places = "|".join([*named, r"/(?:home|Users)/[^/\s:;,\"']+", "/root"])
    return re.compile(rf"(?<![\w.~/-])(?:{places})(?![^/\s:;,\"'])")


def environment_differences(a: dict[str, Any], b: dict[str, Any]) -> list[str]:
    """What changed from environment ``a`` to environment ``b``, most important first.

    Seed, arguments and the place of the compilation cache are left out: they are inputs, or do not
    reach the numbers.

    Args:
        a: the recorded environment.
        b: the present one; either may lack entries.

    Returns:
        One sentence per difference: devices, CPU, jax, jaxlib, python, other packages, flags, git,
        platform. Empty where nothing differs.
    """
    pairs = zip(_entries(a, b), _entries(b, a), strict=True)
    return [
        f"{name} was {_show(old)} and is now {_show(new)}"
        for (name, old), (_, new) in pairs
        if old != new
    ]


def _entries(record: dict[str, Any], other: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """What can change the numbers, by name, most important first; the names of both records."""
    record = without_home(record)  # older records have the paths themselves
    for section, name in _ORDER:
        label = name if section == "versions" else f"{section} {name}"
        yield label, _entry(record, section, name)
    yield "x64", record.get("x64")
    for section in ("numerics", "flags"):
        both = [each.get(section) for each in (record, other)]
        names: set[str] = {name for each in both if isinstance(each, dict) for name in each}
        for name in sorted(names):
            if "CACHE" not in name:
                yield name, _entry(record, section, name)
    commit = _entry(record, "git", "commit")
    dirty = _entry(record, "git", "dirty")
    yield "the checkout", f"{commit} with uncommitted changes" if dirty else commit
    yield "platform", record.get("platform")


def _entry(record: dict[str, Any], section: str, name: str) -> Any:
    """One entry, None where the section or the entry is missing."""
    content = record.get(section)
    return content.get(name) if isinstance(content, dict) else None


def _show(value: Any) -> str:
    if value is None:
        return "unset"
    text = str(value)
    return text if 0 < len(text) <= _LONGEST else shown(text, _LONGEST) if text else "empty"


def _setting(name: str) -> str | bool | None:
    """A jax setting as JSON holds it, None in a version that lacks it."""
    import jax

    value = getattr(jax.config, name, None)
    return value if value is None or isinstance(value, bool) else str(value)


def _version(package: str) -> str | None:
    """The installed version, read without importing the package."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def flags() -> dict[str, str]:
    """The environment variables that XLA and JAX read."""
    names = sorted(name for name in os.environ if name in _FLAGS or name.startswith("JAX_"))
    return {name: os.environ[name] for name in names}


def cores() -> int:
    """How many cores this process may use: XLA splits its work by them."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_model() -> str:
    """The CPU's marketing name where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return _command("sysctl", "-n", "machdep.cpu.brand_string") or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _git(package: Path) -> dict[str, Any] | None:
    """Commit and dirty flag of the checkout that tracks ``package``, None where there is none.

    A wheel may lie inside somebody else's checkout (a .venv), hence the question who tracks it.
    """
    # In a container the checkout often belongs to another user, which git refuses by default.
    git = ("git", "--no-optional-locks", "-c", "safe.directory=*", "-C", str(package))
    if not _command(*git, "ls-files", "--error-unmatch", "__init__.py"):
        return None
    commit = _command(*git, "rev-parse", "HEAD")
    changes = _command(*git, "status", "--porcelain", "--untracked-files=no")
    return {"commit": commit, "dirty": changes != ""} if commit else None


def _command(*arguments: str) -> str | None:
    """The stripped output of a command, None where it is missing, slow or fails."""
    # Inside a git hook GIT_DIR names another repository.
    variables = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    try:
        done = subprocess.run(
            arguments, capture_output=True, text=True, timeout=10, check=True, env=variables
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    return done.stdout.strip()
