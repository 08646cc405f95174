"""`sigmaprop gan` end to end: what is printed and written, replayed to the bit, reported anew."""

import json

import numpy as np
import pyarrow.compute as pc
import pytest
from sigmaprop.experiments.gan import tables as gan_tables
from sigmaprop.experiments.gan.config import GanConfig

from sigmaprop import metrics, runs
from sigmaprop.generators import evaluation
from sigmaprop.generators.gan import METRICS

TINY = (
    *("gan", "--dataset", "ring", "--steps", "25", "--seeds", "3", "--metrics-every", "10"),
    *("--widths", "4", "--discriminator-widths", "4", "--latent-dim", "2", "--batch-size", "8"),
    *("--sweep.arm", "zero", "global", "--eval-samples", "32", "--evaluations", "2"),
    *("--gap-evaluations", "1", "--gap-samples", "64", "--gap-sigmas", "1", ".5", ".25"),
)


@pytest.fixture(scope="module")
def ended(tmp_path_factory, without_pages):
    """A run in this process, whose page is not drawn: its directory and what it printed."""
    import contextlib
    import io

    from sigmaprop.experiments.cli.main import main

    directory = tmp_path_factory.mktemp("gan") / "run"
    out = io.StringIO()
    with without_pages(), contextlib.redirect_stdout(out), pytest.raises(SystemExit) as caught:
        main([*TINY, "--run-dir", str(directory)])
    assert caught.value.code == 0
    return directory, out.getvalue()


def test_prints_the_comparison_and_where_the_report_is(ended):
    directory, out = ended
    assert "ring: 2 cells x 3 seeds in 1 program, 25 steps each" in out
    assert "zero" in out
    assert "global" in out
    assert "Real against real" in out
    assert f"report:  {directory / 'report.html'}" in out.replace("\n", "")


def test_every_window_score_and_gap_has_its_rows(ended):
    directory, _ = ended
    table = runs.load(directory, GanConfig, command="gan").metrics
    assert table.schema.equals(gan_tables.SCHEMA)

    def count(metric: str) -> int:
        return pc.sum(pc.equal(table["metric"], metric)).as_py()

    windows, replicas = 3, 6  # steps 10, 20 and the shorter 25
    assert {count(metric) for metric in METRICS} == {windows * replicas}
    scored = len({round(share * 25) for share in (0.1, 0.25, 0.4, 0.6)} | {22, 25})
    each = scored * replicas * len(evaluation.OF) * len(evaluation.WEIGHTS)
    for name in metrics.tracked():
        assert count(name) == each
    assert count("diverged_at") == replicas
    assert count("gap_bias_relative") == 3 * 2
    assert count("gap_batch_error") == 3 * 2 * 3


def test_files_for_the_report_are_whole(ended):
    directory, _ = ended
    named = [row["label"] for row in json.loads((directory / "replicas.json").read_text())]
    assert named == ["zero"] * 3 + ["global"] * 3
    real = json.loads((directory / "reference.json").read_text())
    assert set(real["distances"]) == set(metrics.distances())
    with np.load(directory / "samples-0.npz") as samples:
        assert samples["mean_last"].shape == samples["x_average"].shape == (6, 64, 2)
        assert np.array_equal(samples["mean_last"][:3], samples["x_last"][:3])
        assert not np.array_equal(samples["mean_last"][3:], samples["x_last"][3:])
    manifest = json.loads((directory / "manifest.json").read_text())["files"]
    assert {"metrics.parquet", "samples-0.npz", "comparison.json", "replicas.json"} <= set(manifest)


@pytest.mark.slow
def test_replay_gives_the_same_bits_and_report_draws_anew(ended, sigmaprop, tmp_path):
    directory, _ = ended
    again = sigmaprop("replay", directory, "--run-dir", tmp_path / "again")
    assert again.status == 0, again.out
    assert "identical" in again.out
    drawn = sigmaprop("report", directory, "--out", tmp_path / "drawn")
    assert drawn.status == 0
    assert (tmp_path / "drawn" / "report.html").stat().st_size > 10_000


@pytest.mark.slow
def test_flags_win_over_a_config_file_and_its_sweep(ended, sigmaprop, tmp_path):
    directory, _ = ended
    second = tmp_path / "second"
    ended = sigmaprop(
        *("gan", "--config", directory, "--arm", "fixed", "--seeds", "1", "--run-dir", second),
        *("--gap-evaluations", "0"),
    )
    assert ended.status == 0, ended.err
    assert "options changed from" in ended.out
    config = runs.load_config(second, GanConfig)
    assert (config.arm, config.sweep.arm, config.seeds, config.dataset) == (
        "fixed",
        None,
        1,
        "ring",
    )
