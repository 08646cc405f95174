"""`sigmaprop vae` end to end: printed, written, interrupted, resumed, replayed and reported."""

import contextlib
import io
import json
import signal
from pathlib import Path

import numpy as np
import pytest
from sigmaprop.experiments.training import loop, tables
from sigmaprop.experiments.vae.config import VaeConfig

import sigmaprop
from sigmaprop import runs
from sigmaprop.generators import vae_compare
from sigmaprop.generators.vae import METRICS

TINY = (
    *("vae", "--preset", "linear_gaussian", "--steps", "45", "--seeds", "3"),
    *("--metrics-every", "10", "--batch-size", "16", "--evaluations", "2", "--eval-draws", "4"),
    *("--eval-examples", "32", "--sweep.arm", "unit", "global", "optimal", "low_rank"),
)
CELLS, GROUPS = 4, 2
SAVES = 3
"""Checkpoints before the run is interrupted."""


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
def ended(tmp_path_factory):
    """A run that nothing disturbed: its directory and what it printed."""
    directory = tmp_path_factory.mktemp("vae") / "run"
    status, out, err = main(*TINY, "--run-dir", directory)
    assert status == 0, err
    return directory, out


def test_prints_the_comparison_and_where_the_report_is(ended):
    directory, out = ended
    assert "linear_gaussian: 4 cells x 3 seeds in 2 programs, 45 steps each" in out
    assert all(word in out for word in ("unit", "global", "optimal", "IWAE", "Holm"))
    assert f"report:  {directory / 'report.html'}" in out.replace("\n", "")


def test_every_window_and_bound_has_its_rows(ended):
    directory, _ = ended
    table = runs.load(directory, VaeConfig, command="vae").metrics
    assert table.schema.equals(tables.SCHEMA)
    frame = table.to_pandas()
    counts = frame.groupby(["metric", "of"], observed=True).size()
    windows, replicas = 5, CELLS * 3  # steps 10 to 40 and the shorter 45
    assert all(counts[(metric, "")] == windows * replicas for metric in METRICS)
    evaluated = len(loop.evaluation_steps(VaeConfig(steps=45, evaluations=2)))
    for metric in vae_compare.BOUNDS:
        assert counts[(metric, "validation")] == evaluated * replicas
        assert counts[(metric, "test")] == replicas
    assert np.isfinite(frame["value"]).all()


def test_the_comparison_goes_to_disk_and_back(ended):
    directory, _ = ended
    found = vae_compare.compare(directory)
    again = vae_compare.from_json(json.loads((directory / "comparison.json").read_text()))
    assert [one.label for one in found] == ["unit", "global", "optimal", "low_rank"]
    np.testing.assert_equal(vae_compare.as_json(again), vae_compare.as_json(found))
    assert found[0].against == ""
    assert {one.against for one in found[1:]} == {"unit"}


def test_differences_and_levels_are_those_of_the_rows(ended):
    """By the rows of the table, without the reader of the comparison."""
    directory, _ = ended
    frame = sigmaprop.load(directory).frame
    rows = frame[(frame["metric"] == "held_out_iwae") & (frame["of"] == "test")]
    values = rows.pivot_table(index="arm", columns="seed", values="value", observed=True)
    for one in vae_compare.compare(directory):
        mean = values.loc[one.arm].mean()
        assert one.level("held_out_iwae", "test").value == pytest.approx(mean)
        if one.against:
            gap = (values.loc[one.arm] - values.loc["unit"]).mean()
            assert one.difference.value == pytest.approx(gap)


def test_examples_and_reconstructions_are_kept(ended):
    directory, _ = ended
    samples = sigmaprop.load(directory).samples
    assert {name: value.shape for name, value in samples.items()} == dict.fromkeys(
        ("mean", "x", "scale"), (CELLS * 3, 64, 8)
    )
    np.testing.assert_allclose(samples["scale"][:3], 1.0)
    with np.load(directory / "samples-0.npz") as file:
        assert file["reconstruction_last"].shape == file["given_last"].shape == (9, 32, 8)


def test_the_page_answers_first(ended):
    directory, _ = ended
    page = (directory / "report.html").read_text()
    assert "Which treatment of the decoder" in page
    assert "The best test likelihood is that of" in page
    assert "The density that made the data" in page
    assert (directory / "figures" / "likelihood.svg").exists()
    assert (directory / "figures" / "course.png").exists()


@pytest.mark.slow
def test_an_interrupted_run_goes_on_to_the_same_bits(ended, tmp_path):
    whole, _ = ended
    directory = tmp_path / "run"
    left = SAVES

    def save(*arguments: object, **options: object) -> Path:
        nonlocal left
        found = kept(*arguments, **options)
        left -= 1
        if left == 0:
            signal.raise_signal(signal.SIGINT)
        return found

    kept = loop.checkpoints.save
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop.checkpoints, "save", save)
        patch.setattr(loop, "CHUNK_SECONDS", 1e-9)
        patch.setattr(loop, "_SHORTEST_CHUNK", 7)
        status, _, err = main(*TINY, "--checkpoint-seconds", "0.001", "--run-dir", directory)
    assert status == 130, err
    status, out, err = main("resume", directory)
    assert status == 0, err
    assert "going on from step" in out
    first, second = (runs.load(one, VaeConfig, command="vae").metrics for one in (whole, directory))
    assert runs.compare_tables(first, second, keys=list(tables.KEYS)) == []
    for name in ("samples-0.npz", "samples-1.npz"):
        with np.load(whole / name) as a, np.load(directory / name) as b:
            assert all(a[key].tobytes() == b[key].tobytes() for key in a.files)


@pytest.mark.slow
def test_a_run_is_replayed_listed_compared_and_reported_anew(ended, tmp_path):
    directory, _ = ended
    status, out, _ = main("replay", directory, "--run-dir", tmp_path / "again")
    assert status == 0
    assert "identical" in out
    status, out, _ = main("runs", directory.parent)
    assert status == 0
    assert "best test likelihood" in " ".join(out.split())
    status, out, _ = main("compare", directory, tmp_path / "again")
    assert status == 0
    assert "Test likelihood (IWAE bound" in out
    page = (directory / "report.html").read_bytes()
    assert main("report", directory)[0] == 0
    assert (directory / "report.html").read_bytes() == page
    assert main("report", directory, tmp_path / "again", "--out", tmp_path / "both")[0] == 0


def test_a_dry_run_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, out, _ = main(*TINY, "--dry-run")
    assert status == 0
    assert "4 cells x 3 seeds x 45 steps; 2 compiled programs" in " ".join(out.split())
    assert not list(tmp_path.iterdir())
