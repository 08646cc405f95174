"""A run directory from somebody else brings no code: what it names is compared before it is run."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import pyarrow as pa
import pytest
from sigmaprop.experiments.cli import launch
from sigmaprop.experiments.limit import run as limit
from sigmaprop.experiments.limit.config import LimitConfig

from sigmaprop import runs
from sigmaprop.runs import own_sources
from sigmaprop.runs.files import RunError

OWN = """
import pathlib
import jax.numpy as jnp

pathlib.Path(__file__).with_name("imported").touch()

def f(x):
    return jnp.sum(x)
"""


def imported(path: Path) -> bool:
    """Whether any copy of the file was run."""
    return (path.parent / "imported").exists()


def received(directory: Path, spec: str, record: object = None) -> Path:
    """A complete run whose config names a file."""
    config = LimitConfig(objective=(spec,), dim=2, sigmas=(0.5,), num_samples=64)
    with runs.create(directory, "limit", config) as run:
        runs.write_metrics(run, pa.table({"value": [1.0]}))
        if record is not None:
            runs.write_atomic(run.directory / own_sources.SOURCES, json.dumps(record))
            runs.include(run, run.directory / own_sources.SOURCES)
    return directory


def recorded(text: str = OWN) -> dict[str, str]:
    return {"sha256": hashlib.sha256(text.encode()).hexdigest(), "source": text}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "own.py"
    path.write_text(OWN)
    return path


@pytest.mark.parametrize(
    ("record", "part"),
    [
        (None, "does not record it"),
        ({}, "does not record it"),
        ([], "does not record it"),
        ({"own.py:f": None}, "does not record it"),
        ({"own.py:f": {"source": OWN}}, "does not record it"),
        ({"other.py:f": recorded()}, "does not record it"),
        ({"own.py:f": recorded(OWN + "\n")}, "is not what run used and is not run"),
    ],
)
def test_a_file_that_differs_or_is_not_recorded_is_not_run(sigmaprop, file, record, part):
    received(Path("run"), "own.py:f", record)
    for words, remedy in (
        (("replay", "run"), "restore it, or start anew with --objective 'own.py:f'"),
        (("limit", "--config", "run"), "give --objective 'own.py:f' beside --config"),
        (("limit", "--config", "run/config.json"), "give --objective 'own.py:f' beside --config"),
    ):
        ended = sigmaprop(*words)
        assert ended.status == 2
        (line,) = ended.err.splitlines()
        assert str(file) in line
        assert part in line
        assert remedy in line
    assert sigmaprop("report", "run", "--out", "drawn").status in (0, 2)
    assert not imported(file)


def test_a_file_that_came_with_the_run_is_not_run(sigmaprop, tmp_path):
    received(tmp_path / "run", "run/own.py:f", {"run/own.py:f": recorded()})
    (tmp_path / "run" / "own.py").write_text(OWN)
    (tmp_path / "link").symlink_to("run")
    for words in (("replay", "run"), ("replay", "link"), ("limit", "--config", "run")):
        ended = sigmaprop(*words)
        assert ended.status == 2
        (line,) = ended.err.splitlines()
        assert "own.py, which" in line
        assert "came with it and is not run" in line
    assert not imported(tmp_path / "run" / "own.py")


def test_what_the_run_used_is_run_and_named(sigmaprop, file, monkeypatch):
    """Also after a move, from the directory that the config's relative path is meant from."""
    received(Path("first"), "own.py:f", {"own.py:f": recorded()})
    shutil.move("first", "run")
    monkeypatch.setattr(limit, "run", lambda config, plan, run, progress: _same(run))
    monkeypatch.setattr(launch, "_finish", lambda *arguments, **options: None)
    ended = sigmaprop("replay", "run", "--run-dir", "again")
    assert ended.status == 0, ended.err
    assert f"{file} is what the run used\n" in ended.out
    assert imported(file)
    assert sigmaprop("limit", "--config", "run", "--run-dir", "third").status == 0


def _same(run: runs.Run) -> list[object]:
    runs.write_metrics(run, pa.table({"value": [1.0]}))
    return []


def test_from_another_directory_it_is_one_sentence(sigmaprop, file, tmp_path, monkeypatch):
    received(Path("run"), "own.py:f", {"own.py:f": recorded()})
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    ended = sigmaprop("replay", "../run")
    assert ended.status == 2
    (line,) = ended.err.splitlines()
    assert f"{tmp_path / 'elsewhere' / 'own.py'} cannot be read" in line
    assert "what the run used stands in ../run/own_objectives.json" in line


def test_a_file_named_on_the_command_line_is_the_users_own(sigmaprop, file, monkeypatch):
    received(Path("run"), "own.py:f")
    monkeypatch.setattr(limit, "run", lambda *arguments: [])
    monkeypatch.setattr(launch, "_finish", lambda *arguments, **options: None)
    ended = sigmaprop("limit", "--config", "run", "--objective", "own.py:f", "--run-dir", "new")
    assert ended.status == 0, ended.err
    assert imported(file)
    kept = json.loads(Path("new", own_sources.SOURCES).read_text())
    assert kept == {"own.py:f": recorded()}


@pytest.mark.parametrize(
    ("spec", "part"),
    [
        ("{here}/fifo.py:f", "it is a FIFO, socket or device"),
        ("{here}/zero.py:f", "it is a FIFO, socket or device"),
        ("{here}/large.py:f", "has more than 67,108,864 bytes"),
        ("{here}/folder.py:f", "Is a directory"),
        ("{here}/" + "x" * 300 + ".py:f", "File name too long"),
        ("a\0b.py:f", "cannot be read|no possible name"),
        ("{here}/none.py:" + "f" * 5000, "No such file"),
    ],
)
def test_what_is_no_file_is_one_short_sentence_at_once(tmp_path, spec, part):
    os.mkfifo(tmp_path / "fifo.py")
    (tmp_path / "zero.py").symlink_to("/dev/zero")
    (tmp_path / "folder.py").mkdir()
    with open(tmp_path / "large.py", "wb") as large:
        large.truncate(2**40)
    with pytest.raises(ValueError, match=part) as caught:
        own_sources.read(spec.format(here=tmp_path))
    assert len(str(caught.value)) < 1500


def test_names_of_the_library_are_no_files(tmp_path):
    assert own_sources.check(tmp_path, ["quartic"], "") == []
    with pytest.raises(RunError, match="does not record it; mend"):
        own_sources.check(tmp_path, ["quartic", "x.py:f"], "mend")
