"""Runs that nothing disturbed, against which the others are held."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from .processes import GAN, LONG, SHORT, run, succeeded


@pytest.fixture(scope="session", autouse=True)
def programs_of_its_own(tmp_path_factory) -> Iterator[None]:
    """Killed processes may leave half a compiled program: in no cache that other tests read."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path_factory.mktemp("programs")))
        patch.setenv("COLUMNS", "80")
        yield


@pytest.fixture(scope="session")
def whole(programs_of_its_own, tmp_path_factory) -> Path:
    """A run of a few seconds; not to be changed."""
    directory = tmp_path_factory.mktemp("whole") / "run"
    succeeded(run(*GAN, *LONG, "--run-dir", directory))
    return directory


@pytest.fixture(scope="session")
def short(programs_of_its_own, tmp_path_factory) -> Path:
    """A run of fewer steps; not to be changed."""
    directory = tmp_path_factory.mktemp("short") / "run"
    succeeded(run(*GAN, *SHORT, "--run-dir", directory))
    return directory
