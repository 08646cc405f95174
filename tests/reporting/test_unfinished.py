"""Reports on runs that are not complete: what there is, and how to go on."""

import json

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from sigmaprop.experiments.limit.config import LimitConfig

from sigmaprop.reporting import gan, style, unfinished
from sigmaprop.runs import configs, files

from . import made_up_gan as made_up
from .pages import Page


def write_status(directory, status, reason=None):
    content = {"schema": 1, "status": status, "reason": reason}
    (directory / "status.json").write_text(json.dumps(content))


def stopped(directory, step, status="interrupted", *, begun=16, reason=None, **options):
    """A made-up run as one leaves it that ends at a step, before some replicas have begun."""
    made_up.make_run(directory, **options)
    table = pq.read_table(directory / "metrics.parquet")
    kept = (pc.field("step") <= step) & (pc.field("metric") != "diverged_at")
    table = table.filter(kept & (pc.field("replica") < begun))
    (directory / "metrics").mkdir()
    pq.write_table(table, directory / "metrics" / f"part-{step:09d}.parquet")
    for pattern in ("metrics.parquet", "reference.json", "comparison.json", "samples-*.npz"):
        for path in directory.glob(pattern):
            path.unlink()
    write_status(directory, status, reason)
    return directory


@pytest.fixture(autouse=True)
def _cheap_images(monkeypatch):
    monkeypatch.setattr(style, "png", lambda figure: b"image")


@pytest.mark.parametrize(
    ("step", "begun", "options", "figures"),
    [
        (85, 16, {}, {"sigma", "along", "losses"}),
        (40, 12, {}, {"sigma", "along", "losses"}),
        (5, 16, {"arms": ("zero", "fixed")}, {"sigma", "losses"}),
        (85, 16, {"arms": ("zero", "low_rank"), "shape": (2,), "mixture": True}, {"bounds"}),
    ],
    ids=["most", "three cells", "one window", "at a bound"],
)
def test_what_there_is_is_drawn(tmp_path, step, begun, options, figures):
    directory = stopped(tmp_path / "run", step, begun=begun, **options)
    told = []
    gan.write(directory, (directory,), lambda *count: told.append(count))
    page = Page((directory / "report.html").read_text())
    text = " ".join(page.words)
    sentence = f"run was interrupted at step {step} of 100: go on with `sigmaprop resume run`"
    assert sentence in text
    assert "Arms are compared at the end of a run." in text
    assert "✓ better" not in text
    assert "No replica diverged" not in text
    names = {path.stem for path in (directory / "figures").glob("*.svg")}
    assert figures <= names
    assert not names & {"scores", "samples", "points", "sigma_maps", "sigma_coordinates"}
    assert told[-1] == (len(names), len(names))
    assert [drawn for drawn, _ in told] == sorted(drawn for drawn, _ in told)


def test_nothing_begun_is_a_page_with_the_sentence(tmp_path):
    directory = stopped(tmp_path / "run", 4)
    gan.write(directory, (directory,))
    assert "go on with" in (directory / "report.html").read_text()


def test_a_finished_run_beside_one_that_is_not(tmp_path):
    whole = made_up.make_run(tmp_path / "whole")
    part = stopped(tmp_path / "part", 40)
    for order in ((whole, part), (part, whole)):
        gan.write(tmp_path / "out", order)
        text = (tmp_path / "out" / "report.html").read_text()
        assert "part was interrupted at step 40 of 100" in text
        assert "whole was" not in text


def test_words_for_every_state(tmp_path):
    directory = stopped(tmp_path / "run", 140, "failed", reason="ValueError: no\n luck" + "k" * 999)
    text = unfinished.notice(directory)
    assert text.startswith("run failed at step 40 of 100 of its program 2 (ValueError: no luckkkkk")
    assert text.endswith(": go on with `sigmaprop resume run`")
    assert len(text) < 300
    write_status(directory, "running")
    lock = files.take_lock(directory)
    try:
        assert "is still running at step 40 of 100 of its program 2: " in unfinished.notice(
            directory
        )
    finally:
        files.os.close(lock)
    assert "was interrupted" in unfinished.notice(directory, "a/run")
    assert "`sigmaprop resume a/run`" in unfinished.notice(directory, "a/run")
    write_status(directory, "complete")
    assert unfinished.notice(directory) == ""


def test_a_run_that_is_measured_part_by_part_says_how_many_it_has(tmp_path):
    (tmp_path / "config.json").write_text(configs.dump("limit", LimitConfig()))
    write_status(tmp_path, "interrupted")
    assert unfinished.notice(tmp_path, "r") == (
        "r was interrupted, before its first numbers were written: go on with `sigmaprop resume r`"
    )
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics" / "part-000000002.parquet").touch()
    assert "r was interrupted after 2 of 6 objectives: go on" in unfinished.notice(tmp_path, "r")


def test_the_command_draws_it_too(sigmaprop, tmp_path):
    stopped(tmp_path / "run", 40)
    ended = sigmaprop("report", "run")
    assert ended.status == 0, ended.err
    assert ended.err == ""
    assert "run was interrupted at step 40 of 100: go on with `sigmaprop resume run`" in ended.out
    assert "report: run/report.html" in ended.out
    assert (tmp_path / "run" / "report.html").exists()


def test_the_command_says_where_there_is_nothing_to_draw(sigmaprop, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text(configs.dump("limit", LimitConfig()))
    write_status(tmp_path / "run", "failed", "RuntimeError: boom")
    ended = sigmaprop("report", "run")
    assert ended.status == 0
    assert ended.out.count("\n") == 1
    assert "run failed (RuntimeError: boom), before its first numbers were written" in ended.out
    assert not (tmp_path / "run" / "report.html").exists()
