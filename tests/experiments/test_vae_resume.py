"""Killing real processes of `sigmaprop vae`: resuming gives the same bits, and every row once."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from sigmaprop.experiments.training import tables
from sigmaprop.experiments.vae.config import VaeConfig

from sigmaprop import runs

SMALL = (
    *("vae", "--preset", "linear_gaussian", "--steps", "40000", "--seeds", "2"),
    *("--batch-size", "16", "--metrics-every", "500", "--eval-draws", "2", "--evaluations", "2"),
    *("--eval-examples", "16", "--sweep.arm", "global", "optimal", "--checkpoint-seconds", "0.2"),
)
KILLS = 8


def start(*words: object) -> subprocess.Popen[str]:
    """A process of its own."""
    command = [sys.executable, "-m", "sigmaprop.experiments", *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    while not path.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> tuple[Path, float]:
    """A run that nothing disturbed, and the seconds from its config to its end, compiled before."""
    root = tmp_path_factory.mktemp("whole")
    cold = start(*SMALL, "--run-dir", root / "cold")
    cold.communicate(timeout=300)
    assert cold.returncode == 0
    process = start(*SMALL, "--run-dir", root / "run")
    wait_for(root / "run" / "config.json", process)
    began = time.monotonic()
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return root / "run", time.monotonic() - began


@pytest.mark.slow
def test_killed_runs_go_on_to_the_same_bits(whole, tmp_path):
    directory, seconds = whole
    draw, found = random.Random(0), []
    first = runs.load(directory, VaeConfig, command="vae").metrics
    for number in range(KILLS):
        target = tmp_path / str(number)
        process = start(*SMALL, "--run-dir", target)
        wait_for(target / "config.json", process)
        time.sleep(draw.uniform(0.2, 0.8) * seconds)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        again = start("resume", target)
        out, err = again.communicate(timeout=300)
        assert again.returncode == 0, err
        found.append("going on from step" in out)
        second = runs.load(target, VaeConfig, command="vae").metrics
        assert runs.compare_tables(first, second, keys=list(tables.KEYS)) == []
        keys = zip(*(second[name].to_pylist() for name in tables.KEYS), strict=True)
        assert len(set(keys)) == second.num_rows
        with np.load(directory / "samples-0.npz") as a, np.load(target / "samples-0.npz") as b:
            assert all(a[name].tobytes() == b[name].tobytes() for name in a.files)
    assert sum(found) >= 2, found
