"""Disks that are full, or may not be written."""

import resource
import shutil
from pathlib import Path

import pytest

from . import mounts
from .processes import GAN, SHORT, assert_same, run, saved, start, succeeded, told, wait_for

FULL = """
mount -t tmpfs -o size=$2 tmpfs "$1"
status=0
"$SIGMAPROP" "${@:4}" --run-dir "$1/run" >/dev/null || status=$?
cp "$1/run/status.json" "$3.status"
mount -o remount,size=64m "$1"
"$SIGMAPROP" resume "$1/run" >/dev/null 2>&3
cp -r "$1/run" "$3"
exit $status
"""
"""A run on a disk of so many bytes, and its going on once there is room."""


@pytest.mark.slow
@pytest.mark.parametrize("size", ["128k", "500k"])
def test_a_full_disk_is_named_and_the_run_goes_on_when_there_is_room(short, tmp_path, size):
    mounts.needs_mounts()
    disk, kept = tmp_path / "disk", tmp_path / "kept"
    disk.mkdir()
    script = f"exec 3>{tmp_path / 'stderr'}\n{FULL}"
    ended = mounts.shell(script, disk, size, kept, *GAN, *SHORT)
    sentence = told(ended, 2, f"{disk}/run", "No space left on device")
    assert "make room for it or choose another" in sentence
    assert (tmp_path / "stderr").read_text() == ""
    assert_same(short, kept)
    assert (kept / "report.html").exists()
    print(sentence)


@pytest.mark.slow
def test_a_file_that_may_not_grow_is_named_and_the_run_goes_on(short, tmp_path):
    """A limit of the user's stands in where nothing may be mounted."""
    directory = tmp_path / "run"
    limit = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))}
    ended = run(*GAN, *SHORT, "--run-dir", directory, **limit)
    told(ended, 2, str(directory), "File too large", "make room for it")
    assert not list(directory.rglob("*.tmp"))
    succeeded(run("resume", directory))
    assert_same(short, directory)


def contents(directory: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_what_may_not_be_written_is_named_and_stays_as_it_is(short, tmp_path):
    place, elsewhere = tmp_path / "place", tmp_path / "elsewhere"
    shutil.copytree(short, place / "run")
    process = start(*GAN, *SHORT, "--run-dir", place / "killed")
    assert wait_for(process, lambda: saved(place / "killed"))
    process.kill()
    process.communicate()
    before = contents(place)
    fresh = mounts.read_only(place, *GAN, *SHORT, "--run-dir", place / "new")
    told(fresh, 2, f"cannot write {place / 'new'}", "choose another --run-dir")
    resumed = mounts.read_only(place, "resume", place / "killed")
    told(resumed, 2, f"cannot write {place / 'killed'}")
    reported = mounts.read_only(place, "report", place / "run")
    told(reported, 2, f"cannot write the report to {place / 'run'}", "--out DIR")
    assert contents(place) == before
    succeeded(mounts.read_only(place, "report", place / "run", "--out", elsewhere / "page"))
    assert (elsewhere / "page/report.html").read_bytes() == (short / "report.html").read_bytes()
    again = mounts.read_only(place, "replay", place / "run", "--run-dir", elsewhere / "again")
    assert "identical: all" in succeeded(again)
    assert contents(place) == before
    succeeded(run("resume", place / "killed"))
    assert_same(short, place / "killed")
