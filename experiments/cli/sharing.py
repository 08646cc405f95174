"""Several processes that carry out one command: how they meet, and what becomes of a lost one.

All do the same work on arrays that lie across the devices of all. The first process writes the run
directory. Each of the others has a directory of its own for as long as it runs, so that the code of
an experiment need not ask who it is; checkpoints alone are written and read by all together.

JAX ends a process whose peer is lost by an abort that no Python code sees. A small process that
stands beside, and waits for the end of this one, says what happened.
"""

import atexit
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sigmaprop import processes
from sigmaprop.names import shown

from .complaints import UserError

if TYPE_CHECKING:
    from sigmaprop import runs

LOST = 1
"""The exit status where another process of the run is lost."""
_LINGERING = 3.0
"""Seconds for which the leader lets the others end."""
_PLACES = ("coordinator", "num_processes", "process_id")
_ELSEWHERE = ("checkpoints", "drawn.json", "evaluations", "figures", "lock", "report.html")
"""What a process that follows needs no copy of."""
_scratch: list[Path] = []
"""Directories of a process that follows; whoever stands beside removes them, however it ends."""
_beside: list[int] = []


def check(command: Any) -> processes.Cluster | None:
    """Where this process belongs, as the options of a command say; None where it is alone.

    Raises:
        ValueError: naming the option, its value and what is allowed.
    """
    given = {name: value for name in _PLACES if (value := getattr(command, name)) is not None}
    flags = {name: f"--{name.replace('_', '-')}" for name in _PLACES}
    if not command.distributed:
        if given:
            first = flags[next(iter(given))]
            raise ValueError(f"{first} means nothing without --distributed; give both or neither")
        return None
    if getattr(command, "dry_run", False):
        raise ValueError("--distributed and --dry-run exclude each other; give one")
    if given and (missing := [flag for name, flag in flags.items() if name not in given]):
        raise ValueError(
            f"{flags[next(iter(given))]} is without {' and '.join(missing)}; give all three, or "
            "none where SLURM, Kubernetes, MPI or a TPU pod tells"
        )
    if not given:
        return processes.Cluster()
    address, number, place = command.coordinator, command.num_processes, command.process_id
    port = re.fullmatch(r"[^\s:]+:(\d{1,5})|\[[0-9a-fA-F:]+\]:(\d{1,5})", address)
    if port is None or not 0 < int(port[1] or port[2]) < 2**16:
        raise ValueError(
            f"--coordinator is {shown(address)}; give HOST:PORT, such as 10.0.0.1:12321"
        )
    if number < 1:
        raise ValueError(f"--num-processes is {number}; give 1 or more")
    if not 0 <= place < number:
        raise ValueError(f"--process-id is {place}; give 0 to {number - 1}")
    return processes.Cluster(address, number, place)


def join(cluster: processes.Cluster) -> None:
    """Meets the other processes of the run, which start the same command.

    Raises:
        UserError: they cannot be found, or did not come.
    """
    _stand_beside()
    try:
        processes.join(cluster)
    except ValueError as error:
        raise UserError(
            f"--distributed does not find where this process belongs ({str(error).rstrip('.')}); "
            "give --coordinator, --num-processes and --process-id"
        ) from error
    except processes.PeerLost as error:
        raise UserError(
            f"the processes of --distributed did not meet ({error}); start the same command in all "
            "of them, each with a --process-id of its own"
        ) from error


def fresh(make: Callable[[Path | None], "runs.Run"], directory: Path | None) -> "runs.Run":
    """A run directory to write into; of a process that follows, one of its own.

    Args:
        make: ``directory -> run``.
        directory: of the leader's.
    """
    if processes.leads():
        run = make(directory)
        _name(processes.from_leader(_names(run)))
        return run
    told = _name(processes.from_leader(None))
    return _follow(make(_temporary()), told)


def resumed(make: Callable[[Path], Any], directory: Path) -> Any:
    """What `runs.resume` gives of a directory; of a process that follows, of its copy.

    Args:
        make: ``directory -> Resumed``.
        directory: of the run.
    """
    if processes.num() == 1:
        return make(directory)
    if processes.leads():
        found = make(directory)
        _name(processes.from_leader(None if found.run is None else _names(found.run)))
    else:
        told = _name(processes.from_leader(None))
        if told is None:
            from sigmaprop import runs

            return runs.Resumed(None, [])
        own = _temporary()
        shutil.copytree(told[0], own, ignore=_but_elsewhere(Path(told[0])), dirs_exist_ok=True)
        found = make(own)
        _follow(found.run, told)
    processes.wait()  # until all have read what the first is about to change
    return found


def leave(status: int) -> None:
    """Ends a process that failed, so that the others, who may wait for it, are told.

    Where all end for one reason the leader is the last: JAX would abort the others without it.
    """
    if processes.num() == 1 and not _beside:
        return
    _speak(b"\0")
    if status and processes.num() > 1:
        if processes.leads() and status != LOST:
            time.sleep(_LINGERING)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def explained(error: processes.PeerLost) -> str:
    """What a process says whose peer is lost."""
    notes = "; ".join(getattr(error, "__notes__", ()))
    return f"another process of the run ended or cannot be reached ({error}); {notes}".rstrip("; ")


def _names(run: "runs.Run") -> list[str]:
    """Where a run lies, and how its user calls it."""
    return [str(run.directory), str(run.named)]


def _name(told: list[str] | None) -> list[str] | None:
    """Lets the process beside know of the run."""
    if told is not None:
        _speak(f"go on with `sigmaprop resume {told[1]}`".encode())
    return told


def _follow(run: "runs.Run", told: list[str] | None) -> "runs.Run":
    """A directory of one's own, for the leader's checkpoints, and called as the leader's."""
    assert told is not None
    run.leader, run.named = Path(told[0]), Path(told[1])
    return run


def _temporary() -> Path:
    """A new directory that is removed when this process has ended."""
    return Path(tempfile.mkdtemp(dir=_scratch[0]))


def _but_elsewhere(root: Path) -> Callable[[str, list[str]], list[str]]:
    """What `shutil.copytree` leaves out at the top of a run directory."""
    return lambda folder, names: [*_ELSEWHERE] if Path(folder) == root else []


def _stand_beside() -> None:
    """Forks the process that waits for this one; to be called before JAX has threads."""
    _scratch.append(Path(tempfile.mkdtemp(prefix="sigmaprop-")))
    reading, writing = os.pipe()
    if os.fork():
        os.close(reading)
        _beside.append(writing)
        atexit.register(_speak, b"\0")
        return
    os.close(writing)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    with os.fdopen(reading, "rb") as pipe:
        *before, last = pipe.read().split(b"\0")
    shutil.rmtree(_scratch[0], ignore_errors=True)
    if not before:
        sentence = (
            "this process was ended from outside: killed, or by JAX because another process of the "
            "run ended or cannot be reached"
        )
        said = "; ".join(filter(None, ["sigmaprop: " + sentence, last.decode()]))
        os.write(2, f"{said}\n".encode())
    os._exit(0)


def _speak(words: bytes) -> None:
    """Sends to the process beside; a zero says that this one ends as it should."""
    for pipe in _beside:
        os.write(pipe, words)
    if words == b"\0":
        _beside.clear()
