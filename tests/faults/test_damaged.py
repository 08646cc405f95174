"""Bits that flip on disk: each is found and named, or changes nothing that a command gives."""

import random
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from sigmaprop import runs

from .processes import GAN, SHORT, assert_same, run, saved, start, status, told, wait_for

OF_COMPLETE, OF_KILLED = 28, 12
"""Flips of a run that is complete, and of one that was killed."""


def flip(directory: Path, draw: random.Random) -> str:
    """Flips one bit of one file, each file as likely as any other; its name."""
    paths = sorted(path for path in directory.rglob("*") if path.is_file() and path.stat().st_size)
    path = draw.choice(paths)
    content = bytearray(path.read_bytes())
    content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    path.write_bytes(content)
    return path.relative_to(directory).as_posix()


def copies(directory: Path, root: Path, seed: int, flips: int) -> list[tuple[Path, str]]:
    """Copies of a run directory, and the file of each in which one bit is another."""
    draw, found = random.Random(seed), []
    for number in range(flips):
        target = root / str(number) / directory.name
        shutil.copytree(directory, target)
        found.append((target, flip(target, draw)))
    return found


def page(directory: Path) -> bytes:
    """The report, which the same numbers make of the same bytes."""
    return (directory / "report.html").read_bytes()


@pytest.mark.slow
def test_a_flipped_bit_of_a_complete_run_is_named_or_without_effect(short, tmp_path):
    """`resume` first: where it says that nothing is left to do, the page is as it was drawn.

    What `report` and `replay` take from a run directory, `assert_same` takes by their function.
    """
    outcomes = []
    for directory, name in copies(short, tmp_path, 0, OF_COMPLETE):
        ended = run("resume", directory)
        if ended.returncode:
            outcomes.append((name, told(ended, 2, str(directory))))
            continue
        assert page(directory) == page(short), name
        try:
            runs.verify(directory)
        except runs.RunError:
            outcomes.append((name, told(run("report", directory), 2, str(directory / name))))
        else:
            assert_same(short, directory)
            outcomes.append((name, "harmless"))
    print(*outcomes, sep="\n")
    found = [said for _, said in outcomes if said != "harmless"]
    assert len(found) >= OF_COMPLETE // 4


@pytest.fixture(scope="module")
def killed(programs_of_its_own, tmp_path_factory) -> Path:
    """A run that was killed with two checkpoints of some steps; not to be changed."""
    root = tmp_path_factory.mktemp("killed")
    process = start(*GAN, *SHORT, "--run-dir", root / "run")
    assert wait_for(process, lambda: saved(root / "run")[-2:-1] >= [500])
    process.kill()
    process.communicate()
    return root / "run"


@pytest.mark.slow
def test_a_flipped_bit_of_a_killed_run_is_named_or_without_effect(short, killed, tmp_path):
    """What `resume` refuses or passes over it names; what it ends with has the bits of no flip."""
    outcomes = []
    for directory, name in copies(killed, tmp_path, 1, OF_KILLED):
        process = start("resume", directory)
        if wait_for(process, lambda at=directory: status(at).get("status") == "complete"):
            process.kill()  # no page is needed
            out, _ = process.communicate()
            assert_same(short, directory)
            named = [line for line in out.splitlines() if "damaged" in line or "alter" in line]
            outcomes.append((name, " ".join(named) or "harmless"))
        else:
            ended = subprocess.CompletedProcess([], process.wait(), *process.communicate())
            outcomes.append((name, told(ended, 2, str(directory))))
    print(*outcomes, sep="\n")
    found = [said for _, said in outcomes if said != "harmless"]
    assert len(found) >= OF_KILLED // 4


@pytest.mark.slow
def test_data_that_were_altered_are_named(tmp_path):
    """One bit of the file is another; then another file of other numbers lies in its place."""
    data, directory = tmp_path / "mine.npz", tmp_path / "run"
    rows = np.random.default_rng(0).standard_normal((200, 2))
    np.savez(data, x=rows)
    words = [data if word == "ring" else word for word in (*GAN, *SHORT)]
    process = start(*words, "--run-dir", directory)
    assert wait_for(process, lambda: saved(directory)), process.communicate()
    process.kill()
    process.communicate()
    whole = data.read_bytes()
    content = bytearray(whole)
    content[len(content) // 2] ^= 1
    data.write_bytes(content)
    told(run("resume", directory), 2, str(data))
    np.savez(data, x=np.where(rows == rows[0], 1.0, rows))
    ended = run("resume", directory)
    assert ended.returncode == 0, ended.stderr
    assert "differs: the data set holds other bits than when the run began" in ended.stdout
