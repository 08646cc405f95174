"""Processes that ``sigmaprop bench gan`` compares with: PyTorch, each with its own settings."""

import contextlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sigmaprop.runs.files import RunError

from .timing import Program, repeated

NOT_FOUND = (
    "PyTorch: not found, so not compared. `pip install torch`, or give --torch-python "
    "PATH of an interpreter that has it."
)
PER_CORE = "PyTorch eager, one process per core"
_SCRIPT = Path(__file__).with_name("gan_torch.py")
_WARM_STEPS = 20


class PeerError(Exception):
    """A process that ended before it was ready; its last words."""


class Peers(NamedTuple):
    """Processes to compare with.

    Attributes:
        programs: by name.
        notes: what to tell of them.
        versions: of their packages, by name.
    """

    programs: dict[str, Program]
    notes: list[str]
    versions: dict[str, str]


class Peer:
    """A child that answers a number of steps with the seconds they took."""

    def __init__(self, python: Path, **options: Any):
        given = {"device": "cpu", "threads": 1, "core": None, "compile": False}
        given |= {"warm": _WARM_STEPS, **options}
        self._words = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self._process = subprocess.Popen(
            [python, _SCRIPT, json.dumps(given)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._words,
            text=True,
        )

    def ask(self, count: int) -> None:
        """Asks for so many steps."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{count}\n")
        self._process.stdin.flush()

    def answer(self) -> str:
        """Waits for its next line: first what it is, then how long the steps took.

        Raises:
            PeerError: it ended instead.
        """
        assert self._process.stdout is not None
        if line := self._process.stdout.readline():
            return line
        self._words.seek(0)
        last = [words for words in self._words.read().splitlines() if words.strip()][-1:]
        raise PeerError(" ".join(last) or "it ended without a word")

    def close(self) -> None:
        """Ends it."""
        self._process.kill()
        self._process.communicate()
        self._words.close()


def interpreter(given: Path | None) -> Path | None:
    """An interpreter that has PyTorch, or None.

    Raises:
        RunError: the one that was given does not exist.
    """
    if given is not None:
        if not given.is_file():
            raise RunError(f"--torch-python {given} is not a file; give the path of a Python")
        return given
    return Path(sys.executable) if importlib.util.find_spec("torch") else None


@contextlib.contextmanager
def torch_programs(python: Path | None, device: str) -> Iterator[Peers]:
    """PyTorch's programs by name, counted in steps, and what to tell; they end with the block."""
    if python is None:
        yield Peers({}, [NOT_FOUND], {})
        return
    programs: dict[str, Program] = {}
    notes: list[str] = []
    every: set[str] = set()
    with contextlib.ExitStack() as open_peers:
        for name, options in _settings(device).items():
            peers = [Peer(python, device=device, **each) for each in options]
            for peer in peers:
                open_peers.callback(peer.close)
            try:
                versions = {str(json.loads(peer.answer())["torch"]) for peer in peers}
            except PeerError as error:
                notes.append(f"{name}: not compared, it failed: {error}")
                continue
            every |= versions
            notes.append(f"{name}: PyTorch {', '.join(versions)}")
            programs[name] = _side_by_side(name, peers)
        yield Peers(programs, notes, {"torch": ", ".join(sorted(every))} if every else {})


def eager_names(programs: Iterable[str]) -> list[str]:
    """Those that are a single eager process."""
    return [name for name in programs if name.startswith("PyTorch eager") and name != PER_CORE]


def _settings(device: str) -> dict[str, list[dict[str, Any]]]:
    """The options of each process, by the name of the program that they make together."""
    affine = hasattr(os, "sched_getaffinity")
    cores = sorted(os.sched_getaffinity(0)) if affine else list(range(os.cpu_count() or 1))
    if device != "cpu":
        return {
            "PyTorch eager": [{"threads": None}],
            "torch.compile": [{"threads": None, "compile": True}],
        }
    settings = {
        "PyTorch eager, 1 thread": [{}],
        f"PyTorch eager, {len(cores)} threads": [{"threads": len(cores)}],
        PER_CORE: [{"core": core} for core in cores],
        "torch.compile, 1 thread": [{"compile": True}],
        f"torch.compile, {len(cores)} threads": [{"threads": len(cores), "compile": True}],
    }
    return settings if len(cores) > 1 else {k: v for k, v in settings.items() if "threads" not in k}


def _side_by_side(name: str, peers: Sequence[Peer]) -> Program:
    """Processes that run at once; counts the steps of all."""

    def run(count: int) -> None:
        for peer in peers:
            peer.ask(count)
        for peer in peers:
            peer.answer()

    return repeated(name, run, len(peers))
