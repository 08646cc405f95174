"""What all tests share: two CPU devices, caches of their own, and the command line in-process."""

import importlib.metadata
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

# JAX reads these once, when it starts, which may be while tests are collected.
os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=2")
_CACHE = tempfile.TemporaryDirectory(prefix="sigmaprop-tests-")
os.environ["SIGMAPROP_CACHE"] = _CACHE.name
# Programs are kept from session to session. JAX does not write its cache files atomically, so two
# workers must not share one.
_PROGRAMS = Path(__file__).resolve().parents[1] / ".pytest_cache" / "xla"
_PROGRAMS /= f"jax-{importlib.metadata.version('jax')}-{sys.implementation.cache_tag}"
os.environ["JAX_COMPILATION_CACHE_DIR"] = str(
    _PROGRAMS / os.environ.get("PYTEST_XDIST_WORKER", "alone")
)
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"


class Ended(NamedTuple):
    """How a command ended."""

    status: object
    out: str
    err: str


TINY = (
    *("--objective", "quartic", "--dim", "3", "--sigmas", "1", ".1", "0"),
    *("--batch-sizes", "1", "4", "16", "--num-samples", "256"),
    *("--estimators", "pathwise", "score_function", "at_mean", "--noise", "iid"),
)


@pytest.fixture(scope="session", autouse=True)
def cache_directory() -> Iterator[Path]:
    """Where this session caches; removed at its end."""
    yield Path(_CACHE.name)
    _CACHE.cleanup()


@pytest.fixture
def sigmaprop(capsys, tmp_path, monkeypatch) -> Callable[..., Ended]:
    """Runs a command in this process, in a directory of its own."""
    from sigmaprop.experiments.cli.main import main

    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Ended:
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            main([str(argument) for argument in arguments])
        return Ended(caught.value.code, *capsys.readouterr())

    return run


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Path:
    """The run directory of a small finished run; not to be changed."""
    from sigmaprop.experiments.cli.main import main

    directory = tmp_path_factory.mktemp("finished") / "run"
    with pytest.raises(SystemExit) as caught:
        main(["limit", *TINY, "--run-dir", str(directory)])
    assert caught.value.code == 0
    return directory


@pytest.fixture
def tiny() -> list[str]:
    """Options of a run that takes a second."""
    return list(TINY)


@pytest.fixture
def child() -> Callable[..., AbstractContextManager[subprocess.Popen[str]]]:
    """Starts a process; see `_child`."""
    return _child


@contextmanager
def _child(code: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A process that runs some code and has said that it is ready."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()
