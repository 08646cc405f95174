"""Bad input: one sentence that names option, value and remedy; status 2; nothing left on disk."""

import json
import os
import shutil

import numpy as np
import pytest

from sigmaprop import runs
from sigmaprop.runs import files

OPTIONS = [
    ("--sigmas nan", "--sigmas holds nan", "between 1e-15"),
    ("--sigmas inf", "--sigmas holds inf", "between 1e-15"),
    ("--sigmas 1 -1", "--sigmas holds -1.0", "between 1e-15"),
    ("--sigmas 1e-20", "--sigmas holds 1e-20", "between 1e-15"),
    ("--sigmas 1 .1 1", "--sigmas names 1.0 twice", "name it once"),
    ("--sigmas", "--sigmas is empty", "give at least one"),
    ("--sigmas one", "--sigmas is 'one'", "one or more numbers"),
    ("--sigma-first nan", "--sigma-first is nan", "between"),
    ("--sigma-last 0", "--sigma-last is 0.0", "between"),
    ("--sigma-first 1 --sigma-last 1", "--num-sigmas 25", "--sigma-last differ"),
    ("--num-sigmas 0", "--num-sigmas is 0", "between 1"),
    ("--objective quartik", "'quartik'", "did you mean 'quartic'"),
    ("--objective quartic quartic", "--objective names quartic twice", "once"),
    ("--objective rosenbrock --dim 1", "'rosenbrock' does not allow dim 1", "at least 2"),
    ("--objective digit_classifier --dim 8", "'digit_classifier' does not allow dim 8", "64"),
    ("--preset full --dim 8", "'digit_classifier' does not allow dim 8", "64"),
    ("--dim 0", "--dim is 0", "between 1"),
    ("--dim two", "--dim is 'two'", "an integer or None"),
    ("--dim 10000000 --objective quadratic", "out of memory", "lower --dim"),
    ("--estimators pathwize", "'pathwize'", "did you mean 'pathwise'"),
    ("--estimators pathwise+leave_one_out", "'pathwise+leave_one_out'", "did you mean"),
    ("--estimators pathwise pathwise", "--estimators names pathwise twice", "once"),
    ("--estimators antithetic_difference --noise antithetic", "'antithetic_difference'", "noise"),
    ("--noise idd", "--noise 'idd'", "did you mean 'iid'"),
    ("--noise iid iid", "--noise names iid twice", "once"),
    ("--sigma-schedule geometrik", "'geometrik'", "did you mean 'geometric'"),
    ("--dtype flot32", "'flot32'", "did you mean 'float32'"),
    ("--preset fulll", "'fulll'", "did you mean 'full'"),
    ("--sede 1", "'--sede'", "did you mean '--seed'"),
    ("--seed 1 --seed 2", "--seed is given more than once", "once"),
    ("--seed=1 --seed 2", "--seed is given more than once", "once"),
    ("--num-sigmas 2 --num_sigmas 3", "--num-sigmas is given more than once", "once"),
    ("--seed -1", "--seed is -1", "between 0"),
    ("--seed 4294967296", "--seed is 4294967296", "4294967295"),
    ("--num-samples 0", "--num-samples is 0", "between 1"),
    ("--num-samples 4294967296", "--num-samples is 4294967296", "4294967295"),
    ("--num-samples 1e6", "--num-samples is '1e6'", "an integer"),
    ("--reference-samples 1", "--reference-samples is 1", "between 96"),
    ("--batch-sizes 1 8 --num-samples 4", "--batch-sizes holds 8", "--num-samples 4"),
    ("--batch-sizes 0 8", "--batch-sizes holds 0", "between 1"),
    ("--batch-sizes 1 3 8", "--batch-sizes holds 3 before 8", "divide the next"),
    ("--batch-sizes 8 1", "--batch-sizes holds 8 before 1", "divide the next"),
    ("--batch-sizes 4 4", "--batch-sizes names 4 twice", "once"),
    ("--batch-base 1", "--batch-base is 1", "between 2"),
    ("--chunk 0", "--chunk is 0", "between 1"),
    ("--chunk 4294967296", "--chunk is 4294967296", "2147483648"),
    ("--x 1 2 3 --objective quartic", "--x has 3 coordinates", "takes 1 or 16"),
    ("--x nan", "--x holds nan", "finite"),
    ("--x 1e30 --objective quartic", "--x 1e+30", "nearer to 0"),
    ("--preset quick --config nowhere", "--config nowhere", "give one"),
    ("--config nowhere", "cannot read nowhere", "choose another"),
]


def sentence(ended) -> str:
    """The one sentence of a refusal."""
    assert ended.status == 2
    assert ended.err.count("\n") == 1
    assert ended.err.startswith("sigmaprop: ")
    return ended.err


@pytest.mark.parametrize(("options", "names", "remedy"), OPTIONS)
def test_a_bad_option_is_refused_in_one_sentence(sigmaprop, tmp_path, options, names, remedy):
    message = sentence(sigmaprop("limit", *options.split()))
    assert names in message
    assert remedy in message
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("limit foo", "unexpected word 'foo'; limit takes options only"),
        ("limit --seed 1 2", "unexpected word '2'"),
        ("limit --config", "--config is without its value; give a path"),
        ("limit --config --seed 1", "--config is without its value; give a path"),
        ("limit --run-dir=", "--run-dir is ''; give a path"),
        ("limit -x", "unknown option '-x'"),
        ("limit --", "unknown option '--'"),
        ("gan --deterministic maybe", "--deterministic is 'maybe'; give True or False"),
        ("replay", "replay needs RUN: a path"),
        ("replay one two", "unexpected word 'two'; replay takes beside options RUN only"),
        ("bench", "bench needs WHAT: one of limit, estimators, gan"),
        ("bench limt", "unknown value of WHAT 'limt'; did you mean 'limit'?"),
        ("list --all", "unknown option '--all'. Known: none"),
        ("nosuch", "unknown command 'nosuch'. Known: demo"),
        ("--version 2", "unexpected word '2' behind --version"),
        ("--nosuch", "unknown option '--nosuch'; write `sigmaprop COMMAND ...`"),
        ("--tyro-nosuch bash", "unknown option '--tyro-nosuch'"),
        ("--tyro-print-completion bash zsh", "takes 1 words, not 2"),
        ("limit --objective nosuch", "unknown objective 'nosuch'. Known: linear"),
        ("limt", "unknown command 'limt'; did you mean 'limit'?"),
        ("--sigmas 1", "option --sigmas comes before a command; write `sigmaprop COMMAND --sigmas"),
        ("--tyro-print-completion", "needs the name of a shell"),
        ("--tyro-print-completion csh", "needs the name of a shell"),
        ("report", "report names no run"),
        ("report nowhere", "nowhere is no run directory"),
        ("replay nowhere", "nowhere is no run directory"),
        ("bench limit --repeats 1", "--repeats is 1"),
    ],
)
def test_a_bad_command_is_refused_in_one_sentence(sigmaprop, tmp_path, words, message):
    assert message in sentence(sigmaprop(*words.split()))
    assert os.listdir(tmp_path) == []


NINES = "9" * 5000


@pytest.mark.parametrize(
    "words",
    [
        ["limit", "--seed", NINES],
        ["limit", "--seed", NINES[:4000]],
        ["limit", "--objective", NINES],
        ["limit", "--nosuch" + NINES],
        ["limit", "--config", NINES],
        ["limit", "--config", NINES[:300]],
        ["limit", "--preset", "quick", "--config", NINES],
        ["gan", "--batch-size", NINES[:4000]],
        ["gan", "--gap-sigmas", *["2"] * 300, "-1"],
        ["gan", "--sweep.seed", NINES],
        ["bench", "gan", "--replicas", *["1"] * 5000, "0"],
        ["report", NINES],
        ["resume", NINES],
        [NINES],
        ["--" + NINES],
        ["limit", "--config", "caf\udce9"],
        ["limit", "--run-dir", "a\0b"],
    ],
)
def test_what_somebody_pasted_is_not_echoed_whole(sigmaprop, tmp_path, words):
    assert len(sentence(sigmaprop(*words))) < 1000
    assert os.listdir(tmp_path) == []


def test_an_occupied_run_directory_is_left_alone(sigmaprop, tmp_path, tiny):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("dear diary")
    message = sentence(sigmaprop("limit", *tiny, "--run-dir", "mine"))
    assert "--run-dir mine is not empty" in message
    assert (tmp_path / "mine" / "notes.txt").read_text() == "dear diary"
    assert os.listdir(tmp_path / "mine") == ["notes.txt"]


def test_a_finished_run_is_not_overwritten(sigmaprop, finished, tiny):
    before = (finished / "metrics.parquet").read_bytes()
    message = sentence(sigmaprop("limit", *tiny, "--run-dir", finished))
    assert "already holds a run (complete)" in message
    assert (finished / "metrics.parquet").read_bytes() == before
    assert runs.state(finished) == "complete"


def test_a_locked_run_directory_names_the_process(sigmaprop, tmp_path, tiny):
    (tmp_path / "locked").mkdir()
    lock = files.take_lock(tmp_path / "locked")
    message = sentence(sigmaprop("limit", *tiny, "--run-dir", "locked"))
    os.close(lock)
    assert f"held by a living process (pid {os.getpid()})" in message


def test_a_path_below_a_file_is_refused(sigmaprop, tmp_path, tiny):
    (tmp_path / "file").write_text("")
    message = sentence(sigmaprop("limit", *tiny, "--run-dir", "file/run"))
    assert "cannot write file/run" in message
    assert "--run-dir" in message


def test_runs_cannot_be_made_below_a_file(sigmaprop, tmp_path, tiny):
    (tmp_path / "runs").write_text("")
    assert "cannot write runs" in sentence(sigmaprop("limit", *tiny))


@pytest.mark.parametrize("damage", ["truncate", "alter"])
@pytest.mark.parametrize("name", ["config.json", "metrics.parquet", "manifest.json", "status.json"])
@pytest.mark.parametrize("command", ["replay", "report"])
def test_damage_to_a_run_is_found(sigmaprop, finished, tmp_path, command, name, damage):
    shutil.copytree(finished, tmp_path / "run")
    path = tmp_path / "run" / name
    content = path.read_bytes()
    half = len(content) // 2
    # One bit of a letter or digit, so that JSON stays JSON.
    middle = next(i for i in range(half, len(content)) if chr(content[i]).isalnum())
    altered = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    path.write_bytes(content[:half] if damage == "truncate" else altered)
    if (name, damage) == ("status.json", "alter"):
        path.write_text(json.dumps(json.loads(content) | {"status": "done"}))
    message = sentence(sigmaprop(command, tmp_path / "run"))
    assert str(tmp_path / "run") in message
    assert sorted(os.listdir(tmp_path)) == ["run"]


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ("", "truncated or not valid JSON"),
        ("[]", "is no config"),
        ('{"schema": 1, "command": "gan", "config": {}}', "belongs to the command 'gan'"),
        ('{"schema": 9, "command": "limit", "config": {}}', "schema 9"),
        ('{"schema": 1, "command": "limit", "config": {"sede": 1}}', "did you mean 'seed'"),
        ('{"schema": 1, "command": "limit", "config": {"seed": "a"}}', "option seed is 'a'"),
        ('{"schema": 1, "command": "limit", "config": {"seed": -1}}', "--seed is -1"),
        ('{"schema": 1, "command": "limit", "config": {"dtype": "half"}}', "dtype is 'half'"),
    ],
)
def test_a_bad_config_file_is_refused(sigmaprop, tmp_path, content, names):
    (tmp_path / "config.json").write_text(content)
    message = sentence(sigmaprop("limit", "--config", "config.json"))
    assert names in message
    assert "config.json" in message
    assert os.listdir(tmp_path) == ["config.json"]


@pytest.mark.parametrize("damage", ["truncate", "alter"])
def test_a_damaged_classifier_cache_is_refused(
    sigmaprop, tmp_path, tmp_path_factory, monkeypatch, damage
):
    from sigmaprop.data import cache
    from sigmaprop.objectives import classifier, registry

    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("SIGMAPROP_CACHE", str(folder))
    path = folder / f"{classifier._cache_name()}.npz"
    stored = cache.pack({"w1": np.ones(3)})
    path.write_bytes(stored[:-40] if damage == "truncate" else b"x" + stored[1:])
    registry._build.cache_clear()
    message = sentence(sigmaprop("limit", "--objective", "digit_classifier"))
    assert f"the cached file {path} is truncated or altered; delete it" in message
    assert os.listdir(tmp_path) == []


def test_an_incomplete_run_cannot_be_replayed(sigmaprop, finished, tmp_path):
    shutil.copytree(finished, tmp_path / "run")
    status = tmp_path / "run" / "status.json"
    status.write_text(json.dumps(json.loads(status.read_text()) | {"status": "running"}))
    assert "run is interrupted, not complete" in sentence(sigmaprop("replay", "run"))


def test_an_overlay_needs_a_directory_of_its_own(sigmaprop, finished):
    message = sentence(sigmaprop("report", finished, finished))
    assert "overlays 2 runs" in message
    assert "--out" in message


def test_a_report_below_a_file_is_refused(sigmaprop, finished, tmp_path):
    (tmp_path / "file").write_text("")
    message = sentence(sigmaprop("report", finished, "--out", "file/report"))
    assert "cannot write the report to file/report" in message
