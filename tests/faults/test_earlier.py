"""Run directories of earlier versions: reported on, gone on with, and repeated.

Each archive below ``earlier/`` was written by the version of that day, without its figures; those
called "stopped" were ended by SIGTERM behind a checkpoint or a part.
"""

import json
import tarfile
from pathlib import Path

import pytest

from sigmaprop import runs

from .processes import run, succeeded

ARCHIVES = sorted((Path(__file__).parent / "earlier").glob("*.tar.xz"))
MACHINE = ("device", "cpu", "jax", "jaxlib", "platform", "XLA_FLAGS")
"""With what else of these the bits may be others, too; a replay names it first."""


@pytest.mark.slow
@pytest.mark.parametrize("archive", ARCHIVES, ids=lambda path: path.name.partition(".")[0])
def test_a_run_of_an_earlier_version_is_read_gone_on_with_and_repeated(archive, tmp_path):
    with tarfile.open(archive) as file:
        file.extractall(tmp_path, filter="data")
    directory = tmp_path / "run"
    first = json.loads((directory / "status.json").read_text())["status"]
    assert first == ("interrupted" if "stopped" in archive.name else "complete")
    out = succeeded(run("resume", directory))
    behind = "going on from step" in out or "measured before the run was stopped" in out
    assert behind == (first == "interrupted")
    assert (directory / "report.html").stat().st_size > 10_000
    runs.verify(directory)
    ended = run("replay", directory, "--run-dir", tmp_path / "again")
    differs = [line for line in ended.stdout.splitlines() if line.startswith("differs: ")]
    if any(line.removeprefix("differs: ").startswith(MACHINE) for line in differs):
        assert ended.returncode in (0, 1), ended.stderr
        assert ("identical" if ended.returncode == 0 else "different") in ended.stdout
    else:
        assert "identical: all" in succeeded(ended)
