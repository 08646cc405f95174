"""Clocks that are set back, and files that seem to come from the future."""

import os
import time
from pathlib import Path

import pytest

from .processes import (
    GAN,
    SHORT,
    assert_same,
    preloaded,
    run,
    saved,
    start,
    status,
    succeeded,
    wait_for,
)

BACKWARDS = """
import datetime, itertools, time

began, calls = time.time(), itertools.count()
time.time = lambda: began - 3600.0 * next(calls)


class Backwards(datetime.datetime):
    __slots__ = ()

    @classmethod
    def now(cls, tz=None):
        return datetime.datetime.fromtimestamp(time.time(), tz)


for name in ("run", "resuming"):
    after(f"sigmaprop.runs.{name}", lambda module: setattr(module, "datetime", Backwards))
"""
"""Whoever asks for the time gets an hour less than whoever asked before.

In compiled packages another class in the place of `datetime.datetime` would end the process.
"""
YEAR = 365 * 24 * 3600.0


def shift(directory: Path, seconds: float) -> None:
    """Makes files seem to have been written that much later than now."""
    then = time.time() + seconds
    for path in (directory, *directory.rglob("*")):
        os.utime(path, (then, then))


@pytest.mark.slow
def test_a_clock_that_goes_backwards_changes_no_number(short, tmp_path):
    """Trained, killed, gone on with and listed, in processes whose clock runs back by hours."""
    directory, clock = tmp_path / "run", preloaded(tmp_path / "hook", BACKWARDS)
    process = start(*GAN, *SHORT, "--run-dir", directory, env=clock)
    assert wait_for(process, lambda: saved(directory)), process.communicate()
    process.kill()
    process.communicate()
    shift(directory, YEAR)
    assert "going on from step" in succeeded(run("resume", directory, env=clock))
    assert_same(short, directory)
    assert "complete already" in succeeded(run("resume", directory, env=clock))
    assert "complete" in succeeded(run("runs", directory.parent, env=clock))


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [-YEAR, YEAR], ids=["past", "future"])
def test_the_page_of_an_unfinished_run_is_never_taken_for_that_of_the_whole(tmp_path, seconds):
    """Killed between its last number and its page, while an older page has any date at all."""
    directory = tmp_path / "run"
    process = start(*GAN, *SHORT, "--run-dir", directory)
    assert wait_for(process, lambda: len(saved(directory)) > 1), process.communicate()
    process.kill()
    process.communicate()
    succeeded(run("report", directory))
    page = directory / "report.html"
    stale = page.read_bytes()
    process = start("resume", directory)
    assert wait_for(process, lambda: status(directory).get("status") == "complete")
    process.kill()
    process.communicate()
    assert page.read_bytes() == stale
    os.utime(page, (time.time() + seconds,) * 2)
    assert "its report was not drawn" in succeeded(run("resume", directory))
    assert page.read_bytes() != stale
    os.utime(page, (time.time() + seconds,) * 2)
    assert "complete already" in succeeded(run("resume", directory))
