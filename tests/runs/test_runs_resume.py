"""Going on with a run: who may, what is kept, and no row of the metrics lost or doubled."""

import dataclasses
import json
import os
import random
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from unittest import mock

import numpy as np
import pyarrow as pa
import pytest

from sigmaprop import runs
from sigmaprop.runs import checkpoints, files, resuming, tables
from sigmaprop.runs import run as run_module


@dataclasses.dataclass(frozen=True)
class Config:
    steps: int = 10
    seed: int = 3


CONFIG = Config(steps=4)


def rows(*steps: int) -> pa.Table:
    return pa.table({"step": list(steps), "value": [step * 1.5 for step in steps]})


def recorded(directory: Path) -> list[int]:
    table = runs.read_metrics(directory)
    steps = table["step"].to_pylist()
    assert table["value"].to_pylist() == [step * 1.5 for step in steps]
    return steps


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for module in (run_module, resuming):
        monkeypatch.setattr(module, "environment", lambda seed: {"seed": seed, "platform": "here"})


def begun(directory: Path) -> runs.Run:
    """A run of two parts."""
    run = runs.create(directory, "gan", CONFIG)
    runs.append_part(run, 2, rows(1, 2))
    runs.append_part(run, 4, rows(3, 4))
    return run


def stopped(directory: Path, error: type[BaseException] = KeyboardInterrupt) -> Path:
    """One that ended with an error."""
    run = begun(directory)
    with pytest.raises(error), run:
        raise error
    return directory


def resumed(directory: Path) -> runs.Run:
    found = runs.resume(directory, "gan", Config)
    assert found.run is not None
    return found.run


def refused(directory: Path, command: str = "gan") -> str:
    with pytest.raises(runs.RunError) as caught:
        runs.resume(directory, command, Config)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("error", [KeyboardInterrupt, KeyError])
def test_an_interrupted_or_failed_run_goes_on_and_completes(tmp_path, error):
    directory = stopped(tmp_path / "run", error)
    before = (directory / "environment.json").read_bytes()
    with resumed(directory) as run:
        assert runs.state(directory) == "running"
        assert run.config == CONFIG
        runs.append_part(run, 6, rows(5, 6))
    assert runs.state(directory) == "complete"
    assert recorded(directory) == [1, 2, 3, 4, 5, 6]
    assert (directory / "environment.json").read_bytes() == before
    runs.verify(directory)


def test_a_complete_run_is_told_apart_and_left_as_it_is(tmp_path):
    with runs.create(tmp_path / "run", "gan", CONFIG) as run:
        runs.append_part(run, 1, rows(1))
    before = {path.name: path.stat().st_mtime_ns for path in run.directory.iterdir()}
    assert runs.resume(run.directory, "gan", Config) == (None, [], True)
    assert {path.name: path.stat().st_mtime_ns for path in run.directory.iterdir()} == before
    assert files.holder(run.directory) is None


def test_a_run_that_completes_between_two_looks_is_told_apart(tmp_path, monkeypatch):
    directory = stopped(tmp_path / "run")

    def late(directory):
        with resumed(directory):
            pass
        return files.take_lock(directory)

    with monkeypatch.context() as patch:
        take = files.take_lock
        patch.setattr(files, "take_lock", lambda d: (patch.undo(), late(d))[1])
        assert runs.resume(directory, "gan", Config) == (None, [], True)
    assert files.take_lock is take
    assert files.holder(directory) is None


def test_what_has_not_begun_cannot_go_on(tmp_path):
    assert "is no directory" in refused(tmp_path / "absent")
    message = refused(tmp_path)
    assert f"{tmp_path} is empty" in message
    assert "nothing to resume" in message
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "lock").write_text("1\n")
    (tmp_path / "status.json").write_text('{"status": "running"}')
    assert "nothing to resume" in refused(tmp_path)


def test_a_run_in_use_is_refused(tmp_path):
    directory = tmp_path / "run"
    with runs.create(directory, "gan", CONFIG):
        assert f"held by a living process (pid {os.getpid()})" in refused(directory)
        (directory / "config.json").unlink()
        assert f"held by a living process (pid {os.getpid()})" in refused(directory)
        files.write_json(directory / "config.json", {})


def test_a_refusal_frees_the_lock_and_leaves_the_status(tmp_path):
    directory = stopped(tmp_path / "run", KeyError)
    assert "belongs to the command 'gan', not 'limit'" in refused(directory, "limit")
    (directory / "resumes.json").write_text("{")
    assert "resumes.json is truncated" in refused(directory)
    (directory / "config.json").write_text("{")
    assert "config.json was altered" in refused(directory)
    assert files.holder(directory) is None
    assert runs.state(directory) == "failed"


def test_each_resume_leaves_its_environment(tmp_path, monkeypatch):
    directory = stopped(tmp_path / "run")
    with pytest.raises(KeyError), resumed(directory):
        raise KeyError
    monkeypatch.setattr(resuming, "environment", lambda seed: {"seed": seed, "platform": "there"})
    found = runs.resume(directory, "gan", Config)
    assert found.differences == ["platform was here and is now there"]
    assert found.run is not None
    with found.run:
        pass
    content = json.loads((directory / "resumes.json").read_text())
    assert [each["environment"]["platform"] for each in content["resumes"]] == ["here", "there"]
    assert [each["differences"] for each in content["resumes"]] == [[], found.differences]
    assert "resumes.json" in json.loads((directory / "manifest.json").read_text())["files"]


def test_a_run_stopped_before_its_environment_was_written_gets_it(tmp_path):
    directory = stopped(tmp_path / "run")
    (directory / "environment.json").unlink()
    with resumed(directory):
        assert json.loads((directory / "environment.json").read_text())["seed"] == 3


def unsealed(directory: Path) -> Path:
    """As a version left it that recorded no checksums."""
    status = json.loads((directory / "status.json").read_text())
    del status["sealed"]
    (directory / "status.json").write_text(json.dumps(status))
    (directory / "metrics" / "manifest.json").unlink(missing_ok=True)
    return directory


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("config.json", '"seed": 3', '"seed": 4'),
        ("config.json", '"steps": 4,\n', "\n"),
        ("config.json", '"gan"', '"gan" '),
        ("environment.json", "here", "there"),
        ("status.json", '"config.json": "', '"config.json": "0'),
        ("status.json", '"checksum": "', '"checksum": "0'),
    ],
)
def test_a_changed_config_or_environment_is_not_gone_on_with(tmp_path, name, old, new):
    directory = stopped(tmp_path / "run")
    path = directory / name
    before = path.read_text()
    assert old in before
    path.write_text(before.replace(old, new))
    others = {p: p.read_bytes() for p in directory.iterdir() if p.is_file() and p.name != "lock"}
    assert f"{path} was altered" in refused(directory)
    assert {p: p.read_bytes() for p in others} == others
    assert files.holder(directory) is None
    path.write_text(before)
    with resumed(directory):
        pass


class Killed(BaseException):
    """The process ended here."""


def killed_at(moment):
    """A rename that works so many times; at the next the process ends."""
    left, rename = iter(range(moment)), os.replace

    def replace(*arguments):
        if next(left, None) is None:
            raise Killed
        return rename(*arguments)

    return replace


@pytest.mark.parametrize("moment", range(4))
def test_a_config_is_sealed_whenever_it_is_there(tmp_path, monkeypatch, moment):
    """A process killed at each of the renames of a beginning run: status, status, config."""
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", killed_at(moment))
        with pytest.raises(Killed):
            runs.create(tmp_path / "run", "gan", CONFIG)
    config = tmp_path / "run" / "config.json"
    assert config.exists() == (moment == 3)
    if config.exists():
        config.write_text(config.read_text().replace('"seed": 3', '"seed": 4'))
        assert "config.json was altered" in refused(tmp_path / "run")


def test_a_run_of_a_version_without_seals_goes_on_says_so_and_is_sealed(tmp_path):
    directory = unsealed(stopped(tmp_path / "run"))
    found = runs.resume(directory, "gan", Config)
    assert not found.verified
    assert found.run is not None
    with pytest.raises(KeyError), found.run:
        raise KeyError
    assert runs.resume(directory, "gan", Config).verified


def test_a_run_without_seals_that_is_killed_while_it_is_sealed_is_sealed_by_the_next(
    tmp_path, monkeypatch
):
    directory = unsealed(stopped(tmp_path / "run"))
    with monkeypatch.context() as patch:
        patch.setattr(resuming, "write_status", mock.Mock(side_effect=Killed))
        with pytest.raises(Killed):
            runs.resume(directory, "gan", Config)
    found = runs.resume(directory, "gan", Config)
    assert not found.verified
    assert runs.damage(directory, [2, 4]) is None
    assert found.run is not None
    with found.run:
        pass


def test_a_resume_removes_what_a_killed_process_left(tmp_path):
    directory = stopped(tmp_path / "run")
    dead = 2**22 + 1  # above the largest number that Linux gives to a process
    left = [
        directory / f".metrics.parquet.{dead}-7.tmp",
        directory / "metrics" / f".part-000000004.parquet.{dead}-7.tmp",
        directory / "checkpoints" / ".saving" / "state.orbax-checkpoint-tmp" / "d",
        directory / "checkpoints" / "000000009" / "state" / "d",
        directory / ".metrics.tmp" / "part-000000001.parquet",
    ]
    kept = [
        directory / f".status.json.{os.getppid()}-7.tmp",
        directory / "checkpoints" / "000000002" / "manifest.json",
        directory / "checkpoints" / "notes" / "mine",
    ]
    for path in (*left, *kept):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("half")
    with resumed(directory):
        assert not any(path.exists() for path in left)
        assert all(path.exists() for path in kept)
        assert recorded(directory) == [1, 2, 3, 4]
        assert not (directory / ".metrics.tmp").exists()
        assert not (directory / "checkpoints" / "000000009").exists()


def test_a_run_begun_by_a_relative_path_goes_on_after_a_move(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = begun(Path("run"))
    assert (run.named, run.directory) == (Path("run"), tmp_path / "run")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")  # the run stays where it is
    runs.append_part(run, 6, rows(5, 6))
    with pytest.raises(KeyboardInterrupt), run:
        raise KeyboardInterrupt
    (tmp_path / "run").rename(tmp_path / "elsewhere" / "moved")
    with resumed(Path("moved")) as run:
        assert run.named == Path("moved")
    assert recorded(Path("moved")) == [1, 2, 3, 4, 5, 6]
    runs.verify(tmp_path / "elsewhere" / "moved")


def test_a_working_directory_that_was_removed_is_named(tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(runs.RunError, match="working directory was removed"):
        files.absolute(Path("run"))


def test_parts_behind_the_checkpoint_are_repeated_and_not_doubled(tmp_path):
    with resumed(stopped(tmp_path / "run")) as run:
        runs.drop_parts_after(run, 2)
        assert recorded(run.directory) == [1, 2]
        runs.append_part(run, 3, rows(3))
        runs.append_part(run, 5, rows(4, 5))
        runs.append_part(run, 5, rows(4, 5))
    assert recorded(run.directory) == [1, 2, 3, 4, 5]


def test_without_a_checkpoint_all_parts_go(tmp_path):
    with resumed(stopped(tmp_path / "run")) as run:
        runs.drop_parts_after(run, -1)
        with pytest.raises(runs.RunError, match="holds no metrics yet"):
            runs.read_metrics(run.directory)
        runs.drop_parts_after(run, -1)
        runs.append_part(run, 2, rows(1, 2))
    assert recorded(run.directory) == [1, 2]


@pytest.mark.parametrize("kept", [2, 4])
@pytest.mark.parametrize("moment", range(5))
def test_a_run_killed_while_it_completes_loses_nothing(tmp_path, monkeypatch, moment, kept):
    """At each of the renames: metrics, manifest, status, removal of the parts; or after them."""
    run = begun(tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", killed_at(moment))
        with pytest.raises(Killed) if moment < 4 else nullcontext(), run:
            pass
    found = runs.resume(tmp_path / "run", "gan", Config)
    assert (found.run is None) == (moment >= 3)
    if found.run is not None:
        with found.run as run:
            assert recorded(run.directory) == [1, 2, 3, 4]
            runs.drop_parts_after(run, kept)
            assert recorded(run.directory) == [1, 2, 3, 4][:kept]
            if kept == 2:
                runs.append_part(run, 4, rows(3, 4))
    assert recorded(tmp_path / "run") == [1, 2, 3, 4]
    assert runs.state(tmp_path / "run") == "complete"
    runs.verify(tmp_path / "run")


def test_merged_parts_go_together(tmp_path, monkeypatch):
    """A process killed while it removes merged parts leaves all of them or none."""
    run = resumed(stopped(tmp_path / "run"))
    with run:
        monkeypatch.setattr(tables.shutil, "rmtree", lambda *arguments, **options: None)
        tables.join_parts(run)
        tables.drop_parts(run)
        monkeypatch.undo()
        tables.drop_parts(run)
        assert recorded(run.directory) == [1, 2, 3, 4]
    assert recorded(run.directory) == [1, 2, 3, 4]


WORK = """
import dataclasses, pathlib, random, shutil, sys
import numpy as np, pyarrow as pa
from orbax.checkpoint import v1  # takes longer to import than the work that is killed
from sigmaprop.runs import checkpoints, resuming
from sigmaprop.runs import run as run_module
from sigmaprop import runs
print("ready", flush=True)
run_module.environment = resuming.environment = lambda seed: {}
Config = dataclasses.make_dataclass("Config", [("steps", int, 10), ("seed", int, 3)], frozen=True)
directory, end = pathlib.Path(sys.argv[1]), int(sys.argv[2])
if (directory / "config.json").exists():
    run = runs.resume(directory, "gan", Config).run
else:
    shutil.rmtree(directory, ignore_errors=True)
    run = runs.create(directory, "gan", Config())
with run:
    step, state = checkpoints.latest(directory, {"x": np.zeros(2)}) or (0, {"x": np.zeros(2)})
    runs.drop_parts_after(run, step)
    while step < end:
        steps = range(step + 1, min(step + random.randint(1, 3), end) + 1)
        for step in steps:
            state = {"x": 0.5 * state["x"] + step}
        table = pa.table({"step": [*steps], "value": [1.5 * each for each in steps]})
        runs.append_part(run, step, table)
        checkpoints.save(directory, step, state)
"""


def state_at(step: int) -> np.ndarray:
    x = np.zeros(2)
    for each in range(1, step + 1):
        x = 0.5 * x + each
    return x


@pytest.mark.slow
def test_a_run_killed_at_any_moment_goes_on_to_the_same_bits(tmp_path):
    directory, end = tmp_path / "run", 300
    rng = random.Random(0)
    command = [sys.executable, "-c", WORK, str(directory), str(end)]
    reached = []
    for _ in range(6):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            time.sleep(rng.uniform(0.3, 1.5))
            process.kill()
        loaded = checkpoints.latest(directory, {"x": np.zeros(2)})
        if loaded is None:
            continue
        step, state = loaded
        reached.append(step)
        assert state["x"].tobytes() == state_at(step).tobytes()
        assert recorded(directory)[:step] == list(range(1, step + 1))
    assert reached == sorted(reached)
    assert reached
    subprocess.run(command, check=True, timeout=300)
    assert runs.state(directory) == "complete"
    assert recorded(directory) == list(range(1, end + 1))
    runs.verify(directory)
