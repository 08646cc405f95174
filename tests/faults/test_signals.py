"""A run that is asked to end, politely, rudely or by a terminal that goes away."""

import json
import os
import select
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from .processes import GAN, LONG, assert_same, preloaded, run, saved, start, succeeded, wait_for

SLOW_DISK = """
import os, time

def slow(checkpoints):
    save = checkpoints.save

    def saved(*arguments, **options):
        if os.path.exists(os.environ["SLOW"]):
            time.sleep(120)
        return save(*arguments, **options)

    checkpoints.save = saved

after("sigmaprop.runs.checkpoints", slow)
"""
"""From when a file is there, every checkpoint takes two minutes."""


RARE = (*GAN[:-1], "3600", *LONG)
"""A run that saves nothing before its end, unless it is asked to end."""


def under_way(directory: Path, words: tuple[str, ...] = RARE, **options) -> subprocess.Popen:
    """A run of which some steps are done, and some are kept where it saves at all."""
    process = start(*words, "--run-dir", directory, **options)
    assert wait_for(process, lambda: trains(directory)), process.communicate()
    return process


def trains(directory: Path) -> bool:
    """Whether a run has passed a step after which it keeps examples."""
    return any(directory.glob("moments-0-*.npz"))


def recorded(directory: Path) -> tuple[str, str]:
    """How a run says that it ended."""
    found = json.loads((directory / "status.json").read_text())
    return found["status"], found["reason"]


def goes_on(whole: Path, directory: Path) -> None:
    """It can be resumed, from behind its start, and ends as a run that nothing disturbed."""
    assert "going on from step" in succeeded(run("resume", directory))
    assert_same(whole, directory)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code", "word"),
    [(signal.SIGTERM, 143, "terminated"), (signal.SIGINT, 130, "interrupted")],
    ids=["sigterm", "ctrl-c"],
)
def test_a_run_that_is_asked_to_end_saves_first(whole, tmp_path, number, code, word):
    directory = tmp_path / "run"
    process = under_way(directory)
    assert saved(directory) == []
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert err == (
        f"sigmaprop: {word}; {directory} is marked interrupted; go on with `sigmaprop resume "
        f"{directory}`\n"
    )
    reason = {signal.SIGTERM: "SIGTERM", signal.SIGINT: "Ctrl-C"}[number]
    assert recorded(directory) == ("interrupted", reason)
    goes_on(whole, directory)


@pytest.mark.slow
def test_a_closed_terminal_ends_a_run_as_sigterm_does(whole, tmp_path):
    """A terminal indeed: the system tells its processes that it has gone, and nothing is read."""
    directory = tmp_path / "run"
    ours, theirs = os.openpty()
    streams = dict.fromkeys(("stdout", "stderr"))
    process = start(
        *(*RARE, "--run-dir", directory),
        preexec_fn=lambda: os.login_tty(theirs),
        pass_fds=[theirs],
        **streams,
    )
    os.close(theirs)

    def reads() -> bool:
        if select.select([ours], [], [], 0.01)[0]:
            os.read(ours, 2**16)
        return trains(directory)

    assert wait_for(process, reads)
    assert saved(directory) == []
    os.close(ours)
    assert process.wait(timeout=60) == 129
    assert recorded(directory) == ("interrupted", "SIGHUP")
    goes_on(whole, directory)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("nohup") is None, reason="no nohup here")
def test_under_nohup_a_closed_terminal_is_nothing(whole, tmp_path):
    directory = tmp_path / "run"
    ignored = {"preexec_fn": lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)}
    process = under_way(directory, **ignored)
    for _ in range(3):
        process.send_signal(signal.SIGHUP)
        time.sleep(0.1)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert_same(whole, directory)


@pytest.mark.slow
def test_ctrl_c_twice_ends_at_once(whole, tmp_path):
    """The first waits for a checkpoint, which a slow disk holds up; the second does not wait."""
    directory, mark = tmp_path / "run", tmp_path / "slow"
    hook = preloaded(tmp_path / "hook", SLOW_DISK) | {"SLOW": str(mark)}
    process = under_way(directory, (*GAN, *LONG), env=hook)
    assert wait_for(process, lambda: saved(directory)), process.communicate()
    mark.touch()
    process.send_signal(signal.SIGINT)
    time.sleep(2.0)
    assert process.poll() is None
    begin = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert time.monotonic() - begin < 20
    assert process.returncode == 130, err
    assert err.startswith("sigmaprop: interrupted; ")
    assert err.count("\n") == 1
    assert recorded(directory) == ("interrupted", "Ctrl-C")
    goes_on(whole, directory)
