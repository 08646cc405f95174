"""Two processes on one run, and readers of the output who go."""

import os
import subprocess

import pytest

from .processes import (
    GAN,
    LONG,
    SCRIPT,
    SHORT,
    assert_same,
    run,
    saved,
    start,
    succeeded,
    told,
    wait_for,
)


@pytest.mark.slow
def test_a_second_process_on_one_run_is_refused_and_the_first_unharmed(whole, tmp_path):
    directory = tmp_path / "run"
    first = start(*GAN, *LONG, "--run-dir", directory)
    assert wait_for(first, lambda: saved(directory)), first.communicate()
    for words in (("resume", directory), (*GAN, *LONG, "--run-dir", directory)):
        told(run(*words), 2, f"{directory} is held by a living process (pid {first.pid})")
    assert first.poll() is None
    succeeded(run("report", directory))  # who only reads may
    _, err = first.communicate(timeout=120)
    assert (first.returncode, err) == (0, "")
    assert_same(whole, directory)


@pytest.mark.slow
def test_of_two_that_begin_or_go_on_at_once_one_does(short, tmp_path):
    """The one that began is killed, so that there is something to go on with."""
    directory = tmp_path / "run"
    winner = one_of_two(*GAN, *SHORT, "--run-dir", directory)
    assert wait_for(winner, lambda: saved(directory))
    winner.kill()
    winner.communicate()
    winner = one_of_two("resume", directory)
    _, err = winner.communicate(timeout=120)
    assert (winner.returncode, err) == (0, "")
    assert_same(short, directory)


def one_of_two(*words: object) -> subprocess.Popen:
    """Starts a command twice at once; the process that was not refused."""
    both = [start(*words) for _ in range(2)]
    wait_for(both[0], lambda: both[1].poll() is not None)
    loser, winner = both if both[0].poll() is not None else both[::-1]
    _, err = loser.communicate(timeout=60)
    assert loser.returncode == 2, err
    assert "is held by a living process" in err or "already holds a run" in err
    assert err.count("\n") == 1
    return winner


@pytest.mark.slow
def test_a_run_outlives_whoever_reads_its_output(short, tmp_path):
    """As in `sigmaprop gan ... | head -1`."""
    directory = tmp_path / "run"
    line = '"$@" | head -1 >/dev/null; exit ${PIPESTATUS[0]}'
    command = ["bash", "-c", line, "bash", SCRIPT, *GAN, *SHORT, "--run-dir", directory]
    found = subprocess.run(command, capture_output=True, text=True, timeout=120, env=os.environ)
    told(found, 1, "standard output cannot be written", "going on without")
    assert_same(short, directory)
    assert (directory / "report.html").exists()
