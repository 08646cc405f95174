"""`sigmaprop runs`, `sigmaprop compare` and `--dry-run`: what there is, how it differs, what it "
"takes."""

import json
import shutil

import pytest

from ..reporting import made_up_gan


@pytest.fixture
def several(finished, tmp_path):
    """A directory of runs: whole, unfinished, damaged, and what is none."""
    root = tmp_path / "runs"
    shutil.copytree(finished, root / "whole")
    made_up_gan.make_run(root / "demo" / "gan")
    (root / "demo" / "gan" / "status.json").write_text(json.dumps({"status": "complete"}))
    shutil.copytree(root / "whole", root / "stopped")
    status = json.loads((root / "stopped" / "status.json").read_text())
    (root / "stopped" / "status.json").write_text(json.dumps(status | {"status": "interrupted"}))
    (root / "broken").mkdir()
    (root / "broken" / "status.json").write_text("{")
    (root / "notes").mkdir()
    return root


def test_every_run_has_a_line_and_what_cannot_be_read_says_why(sigmaprop, several, monkeypatch):
    monkeypatch.setenv("COLUMNS", "140")
    ended = sigmaprop("runs")
    assert ended.status == 0, ended.err
    lines = {line.split()[0]: line for line in ended.out.splitlines() if line.strip()}
    assert "complete" in lines["whole"]
    assert "limit" in lines["whole"]
    assert "claims: " in lines["whole"]
    assert "interrupted" in lines["stopped"]
    assert "MMD² of x, fixed / zero: 0.61 [" in lines["demo/gan"]
    assert "better" in lines["demo/gan"]
    assert "unreadable" in lines["broken"]
    assert "notes" not in lines
    assert all(line.rstrip().endswith(("s", "min")) for name, line in lines.items() if "/" in name)


def test_the_latest_run_comes_first(sigmaprop, several):
    import os
    import time

    os.utime(several / "stopped" / "status.json", (time.time() + 60,) * 2)
    out = sigmaprop("runs", several).out
    assert out.index("stopped") < out.index("whole")


def test_a_directory_without_runs_is_told(sigmaprop, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "holds no runs" in sigmaprop("runs", "empty").out
    ended = sigmaprop("runs", "nowhere")
    assert ended.status == 2
    assert "nowhere is no directory" in ended.err


def test_runs_side_by_side_begin_with_the_options_that_differ(sigmaprop, tmp_path, tiny):
    for name, seed in (("a", 0), ("b", 7)):
        assert sigmaprop("limit", *tiny, "--seed", seed, "--run-dir", name).status == 0
    ended = sigmaprop("compare", "a", "b")
    assert ended.status == 0, ended.err
    assert ended.out.index("Options that differ") < ended.out.index("--seed")
    assert ended.out.index("--seed") < ended.out.index("Claims by verdict")
    assert sigmaprop("compare", "a", "a").out.startswith("All options are equal.")


def test_arms_side_by_side_have_intervals_and_verdicts(sigmaprop, tmp_path):
    for name, seed in (("a", 0), ("b", 1)):
        made_up_gan.make_run(tmp_path / name, seed=seed)
    out = sigmaprop("compare", "a", "b").out
    assert "--seed" in out
    assert "better" in out
    assert "worse" in out
    assert "ratio 0.61" in out
    assert "falling" in out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("whole",), "two runs or more, not 1"),
        (("whole", "demo/gan"), "runs of limit and gan have no numbers in common"),
        (("whole", "stopped"), "stopped has nothing to compare"),
        (("whole", "broken"), "broken"),
    ],
)
def test_what_cannot_be_compared_is_one_sentence(sigmaprop, several, words, told):
    ended = sigmaprop("compare", *(several / word for word in words))
    assert ended.status == 2
    assert told in ended.err
    assert ended.err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("limit",), "6 objectives x 7 estimators x 25 sigmas x 10 batch sizes; 12 compiled"),
        (("estimators", "--studies", "coupling"), "1 part x 4 cells; 4 compiled programs"),
        (("gan", "--seeds", "3"), "4 cells x 3 seeds x 2,500 steps; 1 compiled program"),
        (
            ("gan", "--sweep.loss", "hinge", "minimax"),
            "8 cells x 4 seeds x 2,500 steps; 2 compiled",
        ),
    ],
)
def test_a_dry_run_says_what_a_run_would_take_and_writes_nothing(sigmaprop, tmp_path, words, told):
    ended = sigmaprop(*words, "--dry-run", "True")
    assert ended.status == 0, ended.err
    assert told in " ".join(ended.out.split())
    assert "minutes on two cores" in ended.out
    assert "MiB" in ended.out
    assert list(tmp_path.iterdir()) == []


def test_a_longer_run_takes_longer(sigmaprop):
    def minutes(*words):
        out = " ".join(sigmaprop("gan", *words, "--dry-run").out.split())
        return float(out.split("about ")[-1].split()[0])

    assert minutes("--steps", "100000") > 5 * minutes("--steps", "10000")


def test_a_mistake_is_found_by_a_dry_run_too(sigmaprop):
    ended = sigmaprop("limit", "--objective", "quadrat", "--dry-run")
    assert ended.status == 2
    assert "did you mean 'quadratic'?" in ended.err
