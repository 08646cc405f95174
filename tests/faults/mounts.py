"""File systems that are full or read-only, seen by one command and what it starts alone."""

import functools
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from .processes import SCRIPT, WAIT

_READ_ONLY = """
mount --bind "$1" "$1"
mount -o remount,ro,bind "$1"
shift
exec "$SIGMAPROP" "$@"
"""


@functools.cache
def _can_mount() -> bool:
    if shutil.which("unshare") is None:
        return False
    probe = ["unshare", "-m", "sh", "-c", "mount -t tmpfs -o size=64k tmpfs /tmp"]
    return subprocess.run(probe, capture_output=True).returncode == 0


def needs_mounts() -> None:
    """Skips a test where this user may not mount anything."""
    if not _can_mount():
        pytest.skip("mounting a file system needs root or its rights")


def shell(script: str, *words: object, timeout: float = WAIT) -> subprocess.CompletedProcess[str]:
    """A shell whose mounts nobody else sees and end with it; $SIGMAPROP is the command."""
    return subprocess.run(
        ["unshare", "-m", "bash", "-euc", script, "bash", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=timeout,
        env=os.environ | {"SIGMAPROP": str(SCRIPT)},
    )


def read_only(directory: Path, *words: object) -> subprocess.CompletedProcess[str]:
    """A command to which everything below a directory is read-only.

    Permissions do that for most users; root, whom they do not bind, gets a mount.
    """
    if os.geteuid() == 0:
        needs_mounts()
        bind = (
            'mount --bind "$1" "$1"; mount -o remount,ro,bind "$1"; shift; exec "$SIGMAPROP" "$@"'
        )
        return shell(bind, directory, *words)
    paths = [directory, *directory.rglob("*")]
    modes = {path: path.stat().st_mode for path in paths}
    for path in reversed(paths):
        path.chmod(modes[path] & ~0o222)
    try:
        command = [str(SCRIPT), *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, timeout=WAIT)
    finally:
        for path in paths:
            path.chmod(modes[path])
