"""Run directories: their states, locks and manifests."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from sigmaprop import runs
from sigmaprop.runs import files


@dataclasses.dataclass(frozen=True)
class Config:
    steps: int
    seed: int = 0
    scale: float = 1.0


CONFIG = Config(steps=10, seed=7)


def metrics() -> pa.Table:
    return pa.table({"step": [0, 1], "metric": ["loss", "loss"], "value": [1.0, 2.0]})


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.setattr("sigmaprop.runs.run.environment", lambda seed: {"seed": seed})


def finish(directory: Path) -> Path:
    with runs.create(directory, "limit", CONFIG) as run:
        runs.write_metrics(run, metrics())
    return directory


def refused(call, *arguments, **options) -> str:
    """The message of the RunError that the call raises: one line."""
    with pytest.raises(runs.RunError) as caught:
        call(*arguments, **options)
    message = str(caught.value)
    assert message
    assert "\n" not in message
    return message


def status(directory: Path) -> dict:
    return json.loads((directory / "status.json").read_text())


HOLD = """
import dataclasses, pathlib, signal, sys, time
from sigmaprop import runs
from sigmaprop.runs import run as run_module
run_module.environment = lambda seed: {}
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background shell has it ignored
Config = dataclasses.make_dataclass("Config", [("steps", int, 1)], frozen=True)
with runs.create(pathlib.Path(sys.argv[1]), "limit", Config()):
    print("ready", flush=True)
    time.sleep(60)
"""


def test_import_is_light():
    code = "import sys, sigmaprop.runs; print(*{'jax', 'numpy', 'pyarrow'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_an_invalid_config_leaves_no_directory(tmp_path):
    config = dataclasses.replace(CONFIG, scale=float("nan"))
    assert "option scale is nan" in refused(runs.create, tmp_path / "run", "limit", config)
    assert not (tmp_path / "run").exists()


def test_a_run_goes_from_running_to_complete(tmp_path):
    with runs.create(None, "limit", CONFIG, root=tmp_path / "runs") as run:
        assert runs.state(run.directory) == "running"
        runs.write_metrics(run, metrics())
    assert run.directory.name.startswith("limit-2")
    assert runs.state(run.directory) == "complete"
    assert {path.name for path in run.directory.iterdir()} == {
        *("config.json", "environment.json", "lock"),
        *("manifest.json", "metrics.parquet", "status.json"),
    }
    finished = runs.load(run.directory, Config, command="limit")
    assert (finished.command, finished.config) == ("limit", CONFIG)
    assert finished.metrics.equals(metrics())
    assert finished.environment["seed"] == CONFIG.seed


def test_a_run_stands_for_its_directory(tmp_path):
    with runs.create(tmp_path / "run", "limit", CONFIG) as run:
        runs.append_part(run, 1, metrics())
        assert Path(run) == run.directory
        assert runs.read_metrics(run).equals(runs.read_metrics(run.directory))
        runs.drop_parts_after(run.directory, -1)
        assert not list((run.directory / "metrics").glob("*.parquet"))


def test_fresh_directories_never_collide(tmp_path):
    names = set()
    for _ in range(3):
        with runs.create(None, "limit", CONFIG, root=tmp_path) as run:
            names.add(run.directory.name)
    assert len(names) == 3


def test_an_empty_directory_is_accepted_and_parents_are_made(tmp_path):
    (tmp_path / "empty").mkdir()
    assert runs.state(finish(tmp_path / "empty")) == "complete"
    assert runs.state(finish(tmp_path / "a" / "b")) == "complete"


def test_an_occupied_directory_is_refused(tmp_path):
    done = finish(tmp_path / "done")
    message = refused(runs.create, done, "limit", CONFIG)
    assert f"--run-dir {done} already holds a run (complete); choose another" in message
    (done / "status.json").write_text("{")
    assert "status.json is damaged" in refused(runs.create, done, "limit", CONFIG)
    other = tmp_path / "home"
    other.mkdir()
    (other / "letter.txt").write_text("dear")
    message = refused(runs.create, other, "limit", CONFIG)
    assert f"--run-dir {other} is not empty; choose a new" in message
    assert [path.name for path in other.iterdir()] == ["letter.txt"]


def test_a_directory_that_fills_before_it_is_locked_is_refused(tmp_path, monkeypatch):
    take_lock = files.take_lock

    def late(directory):
        (directory / "letter.txt").touch()
        return take_lock(directory)

    monkeypatch.setattr(files, "take_lock", late)
    assert "is not empty" in refused(runs.create, tmp_path, "limit", CONFIG)
    assert files.holder(tmp_path) is None


def test_an_unwritable_place_is_refused(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    for place in (file, file / "below", Path("/proc/sigmaprop"), tmp_path / ("x" * 300)):
        assert str(place) in refused(runs.create, place, "limit", CONFIG)
    for root in (file, Path("/proc/sigmaprop")):
        assert str(root) in refused(runs.create, None, "limit", CONFIG, root=root)


def test_a_place_that_is_no_run_has_no_state(tmp_path):
    assert "holds no status.json" in refused(runs.state, tmp_path)
    assert "holds no status.json" in refused(runs.state, tmp_path / "absent")
    (tmp_path / "status.json").write_text('{"status": "asleep"}')
    assert "'asleep'" in refused(runs.state, tmp_path)


def test_an_exception_makes_a_failed_run_and_passes_on(tmp_path):
    run = runs.create(tmp_path / "run", "limit", CONFIG)
    with pytest.raises(KeyError, match="loss"), run:
        raise KeyError("loss")
    assert runs.state(run.directory) == "failed"
    assert status(run.directory)["reason"] == "KeyError: 'loss'"
    assert "is failed, not complete" in refused(runs.verify, run.directory)


def test_ctrl_c_makes_an_interrupted_run_and_passes_on(tmp_path):
    run = runs.create(tmp_path / "run", "limit", CONFIG)
    with pytest.raises(KeyboardInterrupt), run:
        raise KeyboardInterrupt
    assert runs.state(run.directory) == "interrupted"
    assert status(run.directory)["reason"] == "Ctrl-C"


def test_an_error_while_finishing_makes_a_failed_run(tmp_path):
    run = runs.create(tmp_path / "run", "limit", CONFIG)
    with pytest.raises(runs.RunError, match=r"figure\.svg is missing"), run:
        runs.include(run, Path("figure.svg"))
    assert runs.state(run.directory) == "failed"


def test_a_full_disk_does_not_hide_the_error_that_ended_the_run(tmp_path, monkeypatch):
    run = runs.create(tmp_path / "run", "limit", CONFIG)
    monkeypatch.setattr(os, "replace", no_space)
    with pytest.raises(KeyError, match="loss"), run:
        raise KeyError("loss")
    assert runs.state(run.directory) == "interrupted"


def test_an_error_while_creating_makes_a_failed_run_and_frees_the_lock(tmp_path, monkeypatch):
    monkeypatch.setattr("sigmaprop.runs.run.environment", lambda seed: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        runs.create(tmp_path / "run", "limit", CONFIG)
    assert runs.state(tmp_path / "run") == "failed"
    assert "(failed)" in refused(runs.create, tmp_path / "run", "limit", CONFIG)


def test_sigterm_is_handled_inside_a_run_only(tmp_path):
    with runs.create(tmp_path / "a", "limit", CONFIG):
        assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_handler_of_the_host_program_is_left_alone(tmp_path):
    def handler(number, frame): ...

    signal.signal(signal.SIGTERM, handler)
    try:
        with runs.create(tmp_path / "a", "limit", CONFIG):
            assert signal.getsignal(signal.SIGTERM) is handler
        assert signal.getsignal(signal.SIGTERM) is handler
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def test_the_lock_lives_and_dies_with_its_process(child, tmp_path):
    directory = tmp_path / "run"
    with child(HOLD, directory) as process:
        assert runs.state(directory) == "running"
        message = refused(runs.create, directory, "limit", CONFIG)
        assert f"held by a living process (pid {process.pid})" in message
        assert "is running, not complete" in refused(runs.verify, directory)
    assert process.returncode == -signal.SIGKILL
    assert status(directory)["status"] == "running"
    assert runs.state(directory) == "interrupted"
    assert "already holds a run (interrupted)" in refused(runs.create, directory, "limit", CONFIG)
    assert "is interrupted, not complete" in refused(runs.verify, directory)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code", "reason"),
    [(signal.SIGTERM, 128 + signal.SIGTERM, "SIGTERM"), (signal.SIGINT, -signal.SIGINT, "Ctrl-C")],
)
def test_a_signal_interrupts_a_run(child, tmp_path, number, code, reason):
    with child(HOLD, tmp_path / "run") as process:
        process.send_signal(number)
        assert process.wait(timeout=20) == code
    assert runs.state(tmp_path / "run") == "interrupted"
    assert status(tmp_path / "run")["status"] == "interrupted"
    assert status(tmp_path / "run")["reason"] == reason


def test_a_lock_without_a_run_is_no_obstacle(tmp_path):
    (tmp_path / "lock").write_text("1\n")
    assert runs.state(finish(tmp_path)) == "complete"


def test_of_several_that_create_one_directory_one_wins(tmp_path):
    barrier = threading.Barrier(6)

    def attempt(_):
        barrier.wait()
        try:
            return runs.create(tmp_path / "run", "limit", CONFIG)
        except runs.RunError:
            return None

    with ThreadPoolExecutor(6) as pool:
        winners = [run for run in pool.map(attempt, range(6)) if run]
    assert len(winners) == 1
    with winners[0]:
        assert runs.state(tmp_path / "run") == "running"


def no_space(*arguments):
    raise OSError(28, "No space left on device")


APPEND = """
import dataclasses, pathlib, sys, numpy, pyarrow
from sigmaprop import runs
from sigmaprop.runs import run as run_module
run_module.environment = lambda seed: {}
Config = dataclasses.make_dataclass("Config", [("steps", int, 1)], frozen=True)
with runs.create(pathlib.Path(sys.argv[1]), "limit", Config()) as run:
    for step in range(1_000_000):
        table = pyarrow.table({"step": [step] * 1000, "value": numpy.full(1000, step * 1.0)})
        runs.append_part(run, step, table)
        if step == 0:
            print("ready", flush=True)
"""


@pytest.mark.slow
def test_a_killed_run_leaves_readable_metrics(child, tmp_path):
    with child(APPEND, tmp_path / "run"):
        time.sleep(0.1)
    table = runs.read_metrics(tmp_path / "run")
    steps = table.num_rows // 1000
    assert steps > 0
    assert table["step"].to_pylist() == np.repeat(np.arange(steps), 1000).tolist()


def test_parts_are_merged_at_the_end(tmp_path):
    with runs.create(tmp_path / "run", "limit", CONFIG) as run:
        runs.append_part(run, 1, metrics())
    assert (run.directory / "metrics.parquet").exists()
    assert not (run.directory / "metrics").exists()
    runs.verify(run.directory)


def flipped(data: bytes, position: int) -> bytes:
    return data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]


@pytest.mark.parametrize(
    "name", ["config.json", "environment.json", "metrics.parquet", "manifest.json", "figure.svg"]
)
def test_a_flipped_bit_in_any_file_is_found(tmp_path, name):
    with runs.create(tmp_path / "run", "limit", CONFIG) as run:
        runs.append_part(run, 1, metrics())
        runs.write_atomic(run.directory / "figure.svg", "<svg/>")
        runs.include(run, run.directory / "figure.svg")
    path = run.directory / name
    whole = path.read_bytes()
    for position in range(0, len(whole), max(1, len(whole) // 60)):
        path.write_bytes(flipped(whole, position))
        message = refused(runs.verify, run.directory)
        assert str(path) in message
        assert "restore it" in message
        assert str(path) in refused(runs.load, run.directory, Config)
    path.unlink()
    assert str(path) in refused(runs.verify, run.directory)
    path.write_bytes(whole)
    runs.verify(run.directory)


def test_a_moved_run_still_verifies(tmp_path):
    finish(tmp_path / "a")
    shutil.move(tmp_path / "a", tmp_path / "b")
    runs.verify(tmp_path / "b")


def test_only_files_of_the_run_go_into_its_manifest(tmp_path):
    with runs.create(tmp_path / "run", "limit", CONFIG) as run:
        for path in (tmp_path / "other", Path("../other")):
            with pytest.raises(ValueError, match="lies outside"):
                runs.include(run, path)
