"""Killing real processes: resuming gives the same bits, and no row is lost or doubled."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from sigmaprop.experiments.gan import tables as gan_tables
from sigmaprop.experiments.gan.config import GanConfig

from sigmaprop import runs

SMALL = (
    *("gan", "--steps", "20000", "--seeds", "2", "--widths", "8", "--discriminator-widths", "8"),
    *("--sweep.arm", "zero", "global", "--latent-dim", "2", "--batch-size", "8"),
    *("--eval-samples", "32", "--evaluations", "2", "--metrics-every", "500"),
    *("--gap-evaluations", "1", "--gap-samples", "64", "--gap-sigmas", "1", "0.1"),
    *("--checkpoint-seconds", "0.2"),
)


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "sigmaprop.experiments", *map(str, words)]


def start(*words: object) -> subprocess.Popen[str]:
    """A process of its own."""
    return subprocess.Popen(
        command(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def run(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*words), capture_output=True, text=True, timeout=300)


def assert_same(whole: Path, resumed: Path) -> None:
    """The same rows with the same bits, each once, and the same examples."""
    first, second = (runs.load(one, GanConfig, command="gan").metrics for one in (whole, resumed))
    assert runs.compare_tables(first, second, keys=list(gan_tables.KEYS)) == []
    keys = zip(*(second[name].to_pylist() for name in gan_tables.KEYS), strict=True)
    assert len(set(keys)) == second.num_rows
    with np.load(whole / "samples-0.npz") as a, np.load(resumed / "samples-0.npz") as b:
        assert a.files == b.files
        assert all(a[name].tobytes() == b[name].tobytes() for name in a.files)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> tuple[Path, float]:
    """A run that nothing disturbed, and the seconds from its config to its end."""
    root = tmp_path_factory.mktemp("whole")
    assert run(*SMALL, "--run-dir", root / "cold").returncode == 0
    process = start(*SMALL, "--run-dir", root / "run")
    wait_for(root / "run" / "config.json", process)
    began = time.monotonic()
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return root / "run", time.monotonic() - began


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    while not path.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


def kill_and_resume(whole: Path, directory: Path, delay: float, *, at_once: bool) -> str:
    """Kills a run, counted from its start or from its config, and resumes it; what that said."""
    process = start(*SMALL, "--run-dir", directory)
    if not at_once:
        wait_for(directory / "config.json", process)
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    ended = run("resume", directory)
    if not (directory / "config.json").exists():
        assert ended.returncode == 2
        assert "nothing to resume" in ended.stderr or "no directory" in ended.stderr
        return "nothing"
    assert ended.returncode == 0, ended.stderr
    assert_same(whole, directory)
    return "mid-run" if "going on from step" in ended.stdout else "start or end"


@pytest.mark.slow
def test_twenty_kills_at_random_moments(whole, tmp_path):
    """Four of them counted from the start of the process, when there may be no config yet."""
    directory, seconds = whole
    draw = random.Random(0)
    found = []
    for number in range(20):
        at_once = number < 4
        delay = draw.uniform(0.0, 2.0 if at_once else 0.8 * seconds)
        target = tmp_path / str(number)
        found.append(kill_and_resume(directory, target, delay, at_once=at_once))
    print(found)
    assert found.count("mid-run") >= 3, found


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_saves_and_ends_with_its_status(whole, tmp_path, number, status):
    directory = tmp_path / "run"
    longer = [word if word != "20000" else "100000" for word in SMALL]
    process = start(*longer, "--run-dir", directory)
    while not list(directory.glob("checkpoints/*/manifest.json")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == status, err
    assert f"sigmaprop resume {directory}" in err
    assert json.loads((directory / "status.json").read_text())["status"] == "interrupted"
    ended = run("resume", directory)
    assert ended.returncode == 0, ended.stderr
    assert "going on from step" in ended.stdout


@pytest.mark.slow
def test_a_flipped_bit_falls_back_to_the_checkpoint_before(whole, tmp_path):
    directory = tmp_path / "run"
    process = start(*SMALL, "--run-dir", directory)
    while len(list(directory.glob("checkpoints/*/manifest.json"))) < 2:
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    newest = max(directory.glob("checkpoints/*"), key=lambda path: path.name)
    target = max((p for p in newest.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    content = bytearray(target.read_bytes())
    content[len(content) // 2] ^= 1
    target.write_bytes(content)
    ended = run("resume", directory)
    assert ended.returncode == 0, ended.stderr
    assert "is damaged" in ended.stdout
    assert_same(whole[0], directory)


@pytest.mark.slow
def test_finished_busy_and_foreign_runs(whole, tmp_path):
    directory, _ = whole
    ended = run("resume", directory)
    assert (ended.returncode, "complete already" in ended.stdout) == (0, True)
    empty = tmp_path / "empty"
    empty.mkdir()
    ended = run("resume", empty)
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1
    longer = [word if word != "20000" else "1000000" for word in SMALL]
    busy = tmp_path / "busy"
    process = start(*longer, "--run-dir", busy)
    while not (busy / "config.json").exists():
        time.sleep(0.02)
    ended = run("resume", busy)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert ended.returncode == 2
    assert str(process.pid) in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.slow
def test_a_disk_that_is_full_ends_in_one_sentence(tmp_path):
    """A limit on file sizes stands in for it: what is on disk stays whole."""
    limited = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)); "
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "from sigmaprop.experiments.__main__ import main; main(sys.argv[1:])"
    )
    directory = tmp_path / "run"
    environment = os.environ | {"JAX_ENABLE_COMPILATION_CACHE": "false"}
    ended = subprocess.run(
        [sys.executable, "-c", limited, *SMALL, "--run-dir", str(directory)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=300,
    )
    assert ended.returncode == 2, ended.stderr
    (line,) = ended.stderr.strip().splitlines()
    assert "cannot write" in line
    assert str(directory) in line
    assert json.loads((directory / "status.json").read_text())["status"] == "failed"
    assert not list(directory.rglob("*.tmp"))
