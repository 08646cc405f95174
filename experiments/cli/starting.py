"""Starting JAX, once the options of a command are known to be sound.

Before that its environment is set: as many CPU devices as cores, and a cache of compiled programs.
What was set is recorded with every run.
"""

import os
import sys
import traceback
from pathlib import Path

from sigmaprop import processes
from sigmaprop.names import shortened, shown

from . import sharing
from .complaints import UserError

_DETERMINISTIC = ("--xla_gpu_deterministic_ops=true", "--xla_gpu_autotune_level=0")
"""What a GPU needs to give the same bits twice; without effect on a CPU."""
_BACKENDS = "xla_bridge.py"
"""The file of JAX that starts devices."""


def start_jax(*, deterministic: bool = False, cluster: processes.Cluster | None = None) -> None:
    """Starts JAX and its devices, before anything is written.

    Args:
        deterministic: whether a GPU is to give the same bits twice.
        cluster: where this process belongs, if several share the run.

    Raises:
        UserError: they do not start.
    """
    prepare_jax(deterministic=deterministic)
    if cluster is not None:
        sharing.join(cluster)
    try:
        import jax

        jax.local_devices()
    except Exception as error:  # a backend that does not start raises almost anything
        raise UserError(about_backend(error)) from error


def was_deterministic(directory: Path) -> bool:
    """Whether a run asked for --deterministic; what is wrong with its config is told later."""
    from sigmaprop.runs.files import RunError, read_json

    try:
        content = read_json(directory / "config.json")
        return content["config"].get("deterministic") is True
    except (RunError, KeyError, TypeError, AttributeError):
        return False


def is_of_backend(error: BaseException) -> bool:
    """Whether it was raised where JAX starts its devices."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return bool(frames) and Path(frames[-1].f_code.co_filename).name == _BACKENDS


def about_backend(error: BaseException) -> str:
    """Why JAX does not start, and where that can be mended."""
    asked = os.environ.get("JAX_PLATFORMS")
    remedy = f"JAX_PLATFORMS is {shown(asked)}: unset it or name another; " if asked else ""
    why = " ".join(str(error).split()) or "no device of the kind that it looks for is there"
    return (
        f"JAX does not start: {shortened(why, 200)}; {remedy}"
        "`sigmaprop doctor` tells what this machine has"
    )


def prepare_jax(*, deterministic: bool = False) -> None:
    """Sets what JAX reads when it starts, unless the user has set it."""
    from sigmaprop.runs.environment import cores

    flags = os.environ.get("XLA_FLAGS", "")
    if "xla_force_host_platform_device_count" not in flags:
        flags = f"{flags} --xla_force_host_platform_device_count={cores()}"
        os.environ["XLA_FLAGS"] = flags.strip()
    for flag in _DETERMINISTIC if deterministic else ():
        if flag.split("=")[0] not in os.environ["XLA_FLAGS"]:
            os.environ["XLA_FLAGS"] += f" {flag}"
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        _set_compilation_cache()
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")


def _set_compilation_cache() -> None:
    """Keeps compiled programs between processes; says so where that cannot be."""
    from sigmaprop.data import cache

    directory = cache.directory() / "xla"
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        print(
            f"sigmaprop: cannot write the cache directory {directory} ({error.strerror}), so every "
            "start compiles anew; set SIGMAPROP_CACHE to a writable directory",
            file=sys.stderr,
        )
    else:
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(directory)
