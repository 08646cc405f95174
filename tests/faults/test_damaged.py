"""Bits that flip on disk: each is found and named, or changes nothing that a command gives."""

import random
import shutil
from pathlib import Path

import pytest

from .processes import GAN, SHORT, assert_same, run, saved, start, told, wait_for

FLIPS = 20
"""Of a complete run, and as many of one that was killed."""


def flip(directory: Path, draw: random.Random) -> str:
    """Flips one bit of one file, each file as likely as any other; its name."""
    paths = sorted(path for path in directory.rglob("*") if path.is_file() and path.stat().st_size)
    path = draw.choice(paths)
    content = bytearray(path.read_bytes())
    content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    path.write_bytes(content)
    return path.relative_to(directory).as_posix()


def copies(directory: Path, root: Path, seed: int) -> list[tuple[Path, str]]:
    """Copies of a run directory, and the file of each in which one bit is another."""
    draw, found = random.Random(seed), []
    for number in range(FLIPS):
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

    A replay reads what `assert_same` does, by the same function, and nothing else.
    """
    outcomes = []
    for directory, name in copies(short, tmp_path, 0):
        ended = run("resume", directory)
        if ended.returncode:
            outcomes.append((name, told(ended, 2, str(directory))))
            continue
        assert page(directory) == page(short), name
        ended = run("report", directory)
        if ended.returncode:
            outcomes.append((name, told(ended, 2, str(directory))))
            continue
        assert page(directory) == page(short), name
        assert_same(short, directory)
        outcomes.append((name, "harmless"))
    print(*outcomes, sep="\n")
    found = [said for _, said in outcomes if said != "harmless"]
    assert len(found) >= FLIPS // 4


@pytest.fixture(scope="module")
def killed(programs_of_its_own, tmp_path_factory) -> Path:
    """A run that was killed behind its second checkpoint; not to be changed."""
    root = tmp_path_factory.mktemp("killed")
    process = start(*GAN, *SHORT, "--run-dir", root / "run")
    assert wait_for(process, lambda: len(saved(root / "run")) >= 2)
    process.kill()
    process.communicate()
    return root / "run"


@pytest.mark.slow
def test_a_flipped_bit_of_a_killed_run_is_named_or_without_effect(short, killed, tmp_path):
    """What `resume` refuses or passes over it names; what it ends with has the bits of no flip."""
    outcomes = []
    for directory, name in copies(killed, tmp_path, 1):
        ended = run("resume", directory)
        if ended.returncode:
            outcomes.append((name, told(ended, 2, str(directory))))
            continue
        assert_same(short, directory)
        named = [line for line in ended.stdout.splitlines() if "damaged" in line or "alter" in line]
        outcomes.append((name, " ".join(named) or "harmless"))
    print(*outcomes, sep="\n")
    found = [said for _, said in outcomes if said != "harmless"]
    assert len(found) >= FLIPS // 4
