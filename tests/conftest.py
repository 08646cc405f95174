"""What all tests share: two CPU devices, caches of their own, and the command line in-process."""

import gc
import importlib.metadata
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import jaxtyping
import pytest

from . import annotations

# The shapes that annotations say are checked in every call that a test makes.
jaxtyping.install_import_hook("sigmaprop", f"{annotations.__name__}.arrays")
# A shell starts what it puts into the background with Ctrl-C ignored, and children inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
_DEVICES = "--xla_force_host_platform_device_count=2"
_CACHE = tempfile.TemporaryDirectory(prefix="sigmaprop-tests-")
os.environ["SIGMAPROP_CACHE"] = _CACHE.name
# Programs are kept from session to session. JAX does not write its cache files atomically, so each
# worker has a directory of its own, and what one compiled reaches the others as links: every few
# seconds a worker gives the store what is new, and takes what others gave.
_STORE = Path(__file__).resolve().parents[1] / ".pytest_cache" / "xla"
_JAX = importlib.metadata.version("jax")
_STORE /= f"jax-{_JAX}-{sys.implementation.cache_tag}"
_PROGRAMS = _STORE / os.environ.get("PYTEST_XDIST_WORKER", "alone")
_KEPT_SECONDS = 30 * 24 * 3600
"""A program that is older is compiled anew."""
_GARBAGE = 20_000
"""So many new objects are left before Python looks for cycles among them."""
_SHARED_SECONDS = 3.0
_LAST = pytest.StashKey[float]()
"""How often workers exchange programs, and when this one did."""


def _link(source: Path, target: Path, keep: Callable[[str], bool] = lambda _: True) -> None:
    """Links the files of one directory into another that has not got them yet."""
    target.mkdir(parents=True, exist_ok=True)
    known = {entry.name for entry in os.scandir(target)}
    for entry in os.scandir(source) if source.exists() else ():
        if entry.name not in known and keep(entry.path):
            with suppress(FileExistsError, FileNotFoundError):  # another worker was faster
                os.link(entry.path, target / entry.name)


def _is_whole(path: str) -> bool:
    """Whether an entry of the cache can be read: tests kill processes, perhaps while they write."""
    from jax._src.compilation_cache import decompress_executable

    try:
        return bool(decompress_executable(Path(path).read_bytes()))
    except Exception:  # of whichever library compresses
        return False


def _forget_old(directory: Path) -> None:
    """Removes programs that were compiled long ago."""
    for entry in os.scandir(directory) if directory.exists() else ():
        if time.time() - entry.stat().st_mtime > _KEPT_SECONDS:
            with suppress(FileNotFoundError):
                os.unlink(entry.path)


def _share() -> None:
    """Gives the programs that this worker compiled to the others, and takes theirs."""
    _link(_PROGRAMS, _STORE / "store", _is_whole)
    _link(_STORE / "store", _PROGRAMS)


_forget_old(_STORE / "store")
shutil.rmtree(_PROGRAMS, ignore_errors=True)
_link(_STORE / "store", _PROGRAMS)
os.environ["JAX_COMPILATION_CACHE_DIR"] = str(_PROGRAMS)
# Otherwise the directory's name is a part of the names of the programs in it: nothing is shared.
os.environ["JAX_PERSISTENT_CACHE_ENABLE_XLA_CACHES"] = "none"
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"


_IN_FULL = Path(__file__).parent / "estimators"
"""Tests whose parameters are what the suite is about."""


def pytest_configure(config: pytest.Config) -> None:
    """Sets the compiler's flags, which JAX reads once, perhaps while tests are collected.

    The fast tests are a third faster where LLVM does not optimise. In JAX 0.10 they compile in two
    thirds of the time without the fusion emitters and with modules in one piece; newer ones are as
    fast by themselves, and XLA ends a process at a flag that it does not know. What is slow, or
    whatever is run with flags in the environment, has the code that users run.
    """
    flags = _DEVICES
    if config.option.markexpr == "not slow":
        flags += " --xla_backend_optimization_level=0"
        if _JAX.startswith("0.10."):
            flags += " --xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
        gc.set_threshold(_GARBAGE)  # a twentieth of the time goes into looking for it
    os.environ.setdefault("XLA_FLAGS", flags)


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--half``, for a second version of Python and JAX."""
    text = "run every second test of a module, with its first parameters; estimators in full"
    parser.addoption("--half", action="store_true", help=text)


@pytest.hookimpl(trylast=True)  # behind the choice by markers
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out every second test and further parameters of the others if so asked."""
    if not config.getoption("--half"):
        return
    first: dict[Path, dict[object, pytest.Item]] = {}
    for item in items:
        first.setdefault(item.path, {}).setdefault(getattr(item, "function", item), item)
    half = {one for own in first.values() for one in list(own.values())[::2]}
    chosen = {*half, *(one for one in items if one.path.is_relative_to(_IN_FULL))}
    config.hook.pytest_deselected(items=[one for one in items if one not in chosen])
    items[:] = [one for one in items if one in chosen]


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Exchanges programs with the other workers, behind a test, every few seconds."""
    last = item.session.stash.get(_LAST, 0.0)
    if time.monotonic() - last > _SHARED_SECONDS:
        _share()
        item.session.stash[_LAST] = time.monotonic()


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
    _share()


@pytest.fixture(autouse=True)
def unchecked(request, monkeypatch) -> None:
    """Annotations are not checked in a test that is marked so."""
    if request.node.get_closest_marker("unchecked"):
        monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


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
def without_pages() -> Callable[[], AbstractContextManager[None]]:
    """Inside of it commands in this process draw no figures; for fixtures of a module."""
    from sigmaprop.experiments.cli import launch

    def write(experiment, target, directories, terminal):
        target.mkdir(parents=True, exist_ok=True)
        (target / "report.html").write_text("not drawn in this test")

    @contextmanager
    def patched() -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(launch, "_write_report", write)
            yield

    return patched


@pytest.fixture
def pageless(without_pages) -> Iterator[None]:
    """Commands in this process draw no figures, for tests of what comes before."""
    with without_pages():
        yield


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
