"""Processes that share a run: the numbers of one, and a sentence where one of them is lost."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from sigmaprop.experiments.cli import registry

from sigmaprop import runs

SMALL = (
    *("gan", "--steps", "40", "--seeds", "2", "--widths", "8", "--discriminator-widths", "8"),
    *("--sweep.arm", "zero", "global", "--latent-dim", "2", "--batch-size", "8"),
    *("--eval-samples", "32", "--evaluations", "1", "--metrics-every", "20"),
    *("--gap-evaluations", "1", "--gap-samples", "64", "--gap-sigmas", "1", "0.1"),
)
LONG = (
    *(word if word != "40" else "40000" for word in SMALL),
    *("--checkpoint-seconds", "0.5"),
)
_DEVICES = "--xla_force_host_platform_device_count"
SENTENCE = "another process of the run ended or cannot be reached"
NOTICED = 60
"""Seconds within which a process has to say that another is lost."""


def environment(devices: int) -> dict[str, str]:
    """That of this process, compiler's flags included, but for the number of devices."""
    own = os.environ.get("XLA_FLAGS", "").split()
    flags = [flag for flag in own if not flag.startswith(_DEVICES)]
    return os.environ | {"XLA_FLAGS": " ".join([*flags, f"{_DEVICES}={devices}"])}


def start(devices: int, *words: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "sigmaprop.experiments", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(devices),
    )


def start_two(devices: int, *words: object) -> list[subprocess.Popen[str]]:
    """Two processes that share a run, of so many devices each, the leader first."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    meeting = ("--distributed", "--coordinator", f"127.0.0.1:{port}", "--num-processes", 2)
    return [start(devices, *words, *meeting, "--process-id", place) for place in range(2)]


def ended(processes: Sequence[subprocess.Popen[str]]) -> list[tuple[str, str]]:
    """What they said, once all have ended as they should."""
    said = [process.communicate(timeout=400) for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes), said
    return said


def assert_same(first: Path, second: Path) -> None:
    """Every number that no clock goes into has the same bits."""
    experiment = registry.of_run(first)
    tables = [
        runs.load(one, experiment.config, command=experiment.command).metrics
        for one in (first, second)
    ]
    if experiment.timed:
        import pyarrow.compute as pc

        tables = [t.filter(~pc.field("metric").isin(list(experiment.timed))) for t in tables]
    assert tables[0].num_rows > 20
    assert runs.compare_tables(*tables, keys=list(experiment.keys)) == []


def test_two_processes_of_four_devices_have_the_numbers_of_one_of_two(sigmaprop, tmp_path):
    two = start_two(4, *SMALL, "--run-dir", tmp_path / "two")
    assert sigmaprop(*SMALL, "--run-dir", tmp_path / "one").status == 0
    (said, _), (other, _) = ended(two)
    assert "on 8 cpu devices of 2 processes" in said
    assert other == ""
    assert_same(tmp_path / "one", tmp_path / "two")
    device = json.loads((tmp_path / "two" / "environment.json").read_text())["device"]
    assert device == {"backend": "cpu", "kind": "cpu", "count": 8, "processes": 2}
    assert (tmp_path / "two" / "report.html").is_file()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--num-processes 2", "--num-processes means nothing without --distributed"),
        ("--distributed --process-id 0", "--process-id is without --coordinator and --num-proc"),
        ("--distributed --dry-run", "--distributed and --dry-run exclude each other"),
        ("--distributed --coordinator here --num-processes 2 --process-id 0", "give HOST:PORT"),
        ("--distributed --coordinator a:99999 --num-processes 2 --process-id 0", "'a:99999'"),
        ("--distributed --coordinator a:1 --num-processes 0 --process-id 0", "give 1 or more"),
        ("--distributed --coordinator a:1 --num-processes 2 --process-id 2", "give 0 to 1"),
    ],
)
def test_places_that_mean_nothing_are_refused(sigmaprop, words, sentence):
    done = sigmaprop("gan", *words.split())
    assert done.status == 2
    assert sentence in done.err
    assert done.err.count("\n") == 1


@pytest.mark.slow
def test_a_place_that_nothing_tells_is_asked_for():
    process = start(1, "gan", "--preset", "demo", "--distributed")
    _, err = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "give --coordinator, --num-processes and --process-id" in err
    assert "Traceback" not in err


def wait_for_checkpoint(directory: Path, processes: Sequence[subprocess.Popen[str]]) -> None:
    while len(list(directory.glob("checkpoints/*/manifest.json"))) < 2:
        assert all(process.poll() is None for process in processes), processes[0].communicate()
        time.sleep(0.05)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A run of one process that nothing disturbed."""
    directory = tmp_path_factory.mktemp("whole") / "run"
    ended([start(2, *LONG, "--run-dir", directory)])
    return directory


@pytest.mark.slow
@pytest.mark.parametrize(("victim", "again"), [(0, "two"), (1, "two"), (0, "one"), (1, "one")])
def test_a_killed_process_ends_the_other_with_a_sentence_and_the_run_goes_on(
    whole, tmp_path, victim, again
):
    directory = tmp_path / "run"
    both = start_two(2, *LONG, "--run-dir", directory)
    wait_for_checkpoint(directory, both)
    both[victim].kill()
    began = time.monotonic()
    _, err = both[1 - victim].communicate(timeout=NOTICED)
    assert time.monotonic() - began < NOTICED
    assert both[1 - victim].returncode in (1, -signal.SIGABRT)
    assert SENTENCE in err
    assert f"go on with `sigmaprop resume {directory}`" in err
    both[victim].communicate()
    assert runs.state(directory) == "interrupted"
    if again == "two":
        (said, _), _ = ended(start_two(2, "resume", directory))
    else:
        ((said, _),) = ended([start(4, "resume", directory)])
    assert "going on from step" in said
    assert_same(whole, directory)


@pytest.mark.slow
@pytest.mark.parametrize("asked", [0, 1])
def test_a_signal_to_one_process_stops_all_behind_a_checkpoint(tmp_path, asked):
    directory = tmp_path / "run"
    both = start_two(2, *LONG, "--run-dir", directory)
    wait_for_checkpoint(directory, both)
    both[asked].send_signal(signal.SIGTERM)
    said = [process.communicate(timeout=NOTICED) for process in both]
    assert [process.returncode for process in both] == [143, 143], said
    content = json.loads((directory / "status.json").read_text())
    assert (content["status"], content["reason"]) == ("interrupted", "SIGTERM")


@pytest.mark.slow
def test_one_device_trains_and_scores_to_the_bits_of_eight(tmp_path):
    """The gap is left out: XLA rounds the last bit of some of it otherwise for a single device."""
    words = (*SMALL[: SMALL.index("--gap-evaluations")], "--gap-evaluations", "0")
    for devices in (1, 8):
        ended([start(devices, *words, "--run-dir", tmp_path / str(devices))])
    assert_same(tmp_path / "1", tmp_path / "8")


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("limit", "--objective", "quartic", "absolute", "--num-samples", "65536", "--dim", "4"),
        ("estimators", "--studies", "grid", "coupling", "--objective", "sine"),
        ("vae", "--steps", "60", "--seeds", "2", "--evaluations", "1", "--eval-draws", "4"),
    ],
    ids=lambda words: words[0],
)
def test_every_experiment_has_the_numbers_of_one_process(tmp_path, words):
    ended(start_two(2, *words, "--run-dir", tmp_path / "two"))
    ended([start(2, *words, "--run-dir", tmp_path / "one")])
    assert_same(tmp_path / "one", tmp_path / "two")


@pytest.mark.slow
def test_a_likelihood_has_the_numbers_of_one_process(tmp_path):
    ended([start(2, *SMALL, "--run-dir", tmp_path / "run")])
    words = ("evaluate", tmp_path / "run", "--metrics", "energy", "--likelihood", "ais", "bdmc")
    words += ("--num-examples", "8", "--num-chains", "4", "--num-temperatures", "50")
    words += ("--num-samples", "64")
    ended(start_two(2, *words, "--run-dir", tmp_path / "two"))
    ended([start(2, *words, "--run-dir", tmp_path / "one")])
    assert_same(tmp_path / "one", tmp_path / "two")
