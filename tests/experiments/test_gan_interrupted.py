"""An interrupted run of generators: moved, altered, damaged, or ended before its page was drawn."""

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from sigmaprop.experiments.training import loop, records

from sigmaprop import data, runs
from sigmaprop.runs import checkpoints, files

TINY = (
    *("gan", "--dataset", "ring", "--steps", "60", "--seeds", "1", "--metrics-every", "10"),
    *("--widths", "4", "--discriminator-widths", "4", "--latent-dim", "2", "--batch-size", "8"),
    *("--sweep.arm", "zero", "global", "--eval-samples", "32", "--evaluations", "1"),
    *("--gap-evaluations", "0", "--checkpoint-seconds", "0.001"),
)
SAVES = 4
"""Checkpoints before the run is interrupted, of which the last two are kept."""


def main(*arguments: object) -> tuple[object, str, str]:
    """Status and output of a command in this process."""
    from sigmaprop.experiments.cli.main import main

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as ended:
            return ended.code, out.getvalue(), err.getvalue()
    raise AssertionError("unreachable")


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory) -> Path:
    """A run in its default directory, relative as that is, that Ctrl-C ended; not to be changed."""
    root = tmp_path_factory.mktemp("gan")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setattr(loop.checkpoints, "save", Saves(checkpoints.save, SAVES))
        status, out, err = main(*TINY)
    (directory,) = (root / "runs").iterdir()
    assert status == 130, err
    named = f"runs/{directory.name}"
    assert f"; run directory {named}\n" in out
    assert err.splitlines() == [
        f"sigmaprop: interrupted; {named} is marked interrupted; go on with `sigmaprop resume "
        f"{named}`"
    ]
    return directory


class Saves:
    """`checkpoints.save`, with a Ctrl-C after so many calls."""

    def __init__(self, save: Callable[..., Path], most: int):
        self._save, self._left = save, most

    def __call__(self, *arguments: object, **options: object) -> Path:
        """Saves."""
        found = self._save(*arguments, **options)
        self._left -= 1
        if self._left == 0:
            signal.raise_signal(signal.SIGINT)
        return found


@pytest.fixture
def copy(interrupted, tmp_path, monkeypatch) -> Path:
    """A copy of it as ``run`` in the present directory, another than it began in."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(interrupted, "run")
    return Path("run")


def contents(directory: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def refused(directory: Path, *parts: str) -> None:
    """Asserts that `resume` says so in one sentence and changes nothing but the lock."""
    before = contents(directory)
    status, _, err = main("resume", directory)
    assert status == 2, err
    (line,) = err.splitlines()
    for part in parts:
        assert part in line
    own = ("lock", "status.json", "resumes.json")
    after = contents(directory)
    assert {p: c for p, c in after.items() if p.name not in own} == {
        p: c for p, c in before.items() if p.name not in own
    }


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.slow
def test_it_is_moved_and_resumed_replayed_and_reported(copy, tmp_path, monkeypatch):
    status, out, err = main("resume", "run")
    assert status == 0, err
    assert "going on from step" in out
    assert "report:  run/report.html\n" in out
    assert str(tmp_path) not in out
    (tmp_path / "elsewhere").mkdir()
    shutil.move("run", "elsewhere/again")
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert main("resume", "again")[:2] == (0, "again is complete already; nothing to resume\n")
    status, out, err = main("replay", "again", "--run-dir", "../repeated")
    assert status == 0, err
    assert "of again have the same bits in ../repeated\n" in out
    monkeypatch.chdir(tmp_path / "elsewhere" / "again")
    assert main("report", ".", "--out", "../drawn")[0] == 0
    assert (tmp_path / "elsewhere" / "drawn" / "report.html").exists()


@pytest.mark.slow
def test_a_page_that_was_not_drawn_is_drawn(copy, monkeypatch):
    """The process ended between "complete" and the report, which stems from an older one."""
    from sigmaprop.experiments.cli import launch

    (copy / "report.html").write_text("an older page")
    os.utime(copy / "report.html", (0, 0))
    with monkeypatch.context() as patch:
        patch.setattr(launch, "_finish", lambda *arguments, **options: None)
        assert main("resume", copy)[0] == 0
    assert runs.state(copy) == "complete"
    status, out, err = main("resume", copy)
    assert status == 0, err
    assert "run is complete, but its report was not drawn; drawing it\n" in out
    assert "Real against real" in out
    assert "report:  run/report.html\n" in out
    assert (copy / "report.html").stat().st_size > 10_000
    assert list((copy / "figures").glob("*.svg"))
    assert main("resume", copy)[1] == "run is complete already; nothing to resume\n"


@pytest.mark.slow
@pytest.mark.parametrize(("old", "new"), [('"seed": 0', '"seed": 1'), ('"seeds": 1,', "")])
def test_an_altered_config_is_not_trained_on(copy, old, new):
    text = (copy / "config.json").read_text()
    assert old in text
    (copy / "config.json").write_text(text.replace(old, new))
    refused(copy, "run/config.json was altered", "restore it")


@pytest.mark.slow
def test_a_damaged_part_takes_the_checkpoint_before_it(copy):
    first, second = checkpoints.steps(copy)
    flip(copy / "metrics" / f"part-{second:09d}.parquet")
    status, out, err = main("resume", copy)
    assert status == 0, err
    assert f"part-{second:09d}.parquet was altered after it was written; a checkpoint before" in out
    assert f"going on from step {first} of group 1\n" in out
    assert main("replay", copy)[0] == 0


@pytest.mark.slow
def test_a_damaged_part_before_all_checkpoints_is_one_sentence(copy):
    first, _ = checkpoints.steps(copy)
    path = min((copy / "metrics").glob("part-*.parquet"))
    assert path.name < f"part-{first:09d}.parquet"
    flip(path)
    refused(copy, f"{path.name} was altered", "no checkpoint before", "sigmaprop gan --config")
    path.unlink()
    refused(copy, f"{path.name} is missing", "no checkpoint before")


@pytest.mark.slow
def test_a_run_without_seals_says_so_once_and_goes_on(copy):
    status = json.loads((copy / "status.json").read_text())
    del status["sealed"]
    (copy / "status.json").write_text(json.dumps(status))
    (copy / "metrics" / "manifest.json").unlink()
    ended, out, err = main("resume", copy)
    assert ended == 0, err
    assert out.count("whether they were altered since cannot be told") == 1
    runs.verify(copy)


@pytest.mark.slow
def test_the_console_script_in_its_default_directory_records_no_home(tmp_path):
    script, home = Path(sys.executable).with_name("sigmaprop"), tmp_path / "home"
    if not script.exists():
        pytest.skip("the console script is not installed beside this Python")
    work = home / "work"
    work.mkdir(parents=True)

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        words = [str(script), *map(str, arguments)]
        environment = os.environ | {"HOME": str(home), "JAX_DUMMY": f"{home}/dummy"}
        return subprocess.run(
            words, cwd=work, env=environment, capture_output=True, text=True, timeout=300
        )

    ended = run(*TINY)
    assert ended.returncode == 0, ended.stderr
    (directory,) = (work / "runs").iterdir()
    named = directory.relative_to(work)
    assert f"report:  {named}/report.html\n" in ended.stdout
    assert str(work) not in ended.stdout
    assert b"~/dummy" in (directory / "environment.json").read_bytes()
    texts = [path for path in directory.rglob("*") if path.suffix in (".json", ".html", ".svg")]
    assert not [path.name for path in texts if str(home).encode() in path.read_bytes()]
    ended = run("resume", named)
    assert ended.stdout == f"{named} is complete already; nothing to resume\n"
    assert run("report", named).returncode == 0


def test_other_data_than_the_run_began_with_is_told(tmp_path):
    run = runs.Run(tmp_path, "gan", None, Path("run"))
    dataset = data.load("ring")
    moved = dataset._replace(x=np.nextafter(dataset.x, np.float32(9)))
    split = dataset._replace(splits=dataset.splits._replace(train=dataset.splits.train[::-1]))
    said = []
    progress = mock.Mock(say=said.append)
    for found in (dataset, dataset):
        records.tell_other_data(run, found, progress)
    assert said == []
    for found in (moved, split):
        records.tell_other_data(run, found, progress)
        assert said.pop().startswith("differs: the data set holds other bits than when the run")
    assert run.seals["data.json"] == files.sha256(tmp_path / "data.json")
    assert "data.json" in run.extra


def test_pictures_behind_the_run_are_verified(tmp_path):
    run = runs.Run(tmp_path, "gan", None, Path("run"))
    path = run.directory / "samples-0.npz"
    with pytest.raises(runs.RunError, match=r"samples-0\.npz is missing, and no checkpoint"):
        loop.check_kept(run, path)
    path.write_bytes(b"pictures")
    loop.check_kept(run, path)  # of a version that did not seal them
    assert run.seals[path.name] == files.sha256(path)
    loop.check_kept(run, path)
    assert loop.is_sealed(run, path)
    flip(path)
    with pytest.raises(runs.RunError, match=r"samples-0\.npz was altered .* no checkpoint"):
        loop.check_kept(run, path)
    assert not loop.is_sealed(run, path)
