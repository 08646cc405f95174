"""`sigmaprop limit`, `replay` and `report`, end to end on runs of a second."""

import json
import shutil
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from sigmaprop.experiments.cli import launch
from sigmaprop.experiments.limit import run as limit
from sigmaprop.experiments.limit.config import LIMIT_PRESETS, LimitConfig

from sigmaprop import objectives, runs
from sigmaprop.runs.environment import environment

FILES = {"config.json", "environment.json", "status.json", "manifest.json", "conclusions.json"}
KEYS = list(limit.limit_table.KEYS)


def metrics(directory):
    return runs.load(directory, LimitConfig, command="limit").metrics


def same_bits(first, second) -> bool:
    return runs.compare_tables(first, second, keys=KEYS) == []


def test_a_run_leaves_every_file_and_prints_its_claims(sigmaprop, tmp_path, tiny):
    ended = sigmaprop("limit", *tiny, "--run-dir", "run")
    assert ended.status == 0
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names >= {*FILES, "metrics.parquet", "figures"}
    assert runs.state(tmp_path / "run") == "complete"
    claims = json.loads((tmp_path / "run" / "conclusions.json").read_text())
    assert f"{len(claims)} claims: " in ended.out
    assert "report:  run/report.html" in ended.out
    assert "256 of 256 samples" in ended.out
    assert ended.err == ""


def test_long_paths_stay_on_one_line(sigmaprop, tmp_path, tiny):
    directory = tmp_path / ("a" * 60) / ("[b] " + "c" * 60)
    ended = sigmaprop("limit", *tiny, "--run-dir", directory)
    assert f"run directory {directory}\n" in ended.out
    assert f"report:  {directory}/report.html\n" in ended.out


@pytest.mark.usefixtures("pageless")
def test_a_fresh_run_directory_is_named_after_the_command(sigmaprop, tmp_path, tiny):
    assert sigmaprop("limit", *tiny).status == 0
    (directory,) = (tmp_path / "runs").iterdir()
    assert directory.name.startswith("limit-")


@pytest.mark.usefixtures("pageless")
def test_the_same_command_twice_gives_the_same_bits(sigmaprop, finished, tmp_path, tiny):
    sigmaprop("limit", *tiny, "--run-dir", "again")
    assert same_bits(metrics(finished), metrics(tmp_path / "again"))


@pytest.mark.usefixtures("pageless")
def test_another_seed_gives_other_numbers(sigmaprop, finished, tmp_path, tiny):
    sigmaprop("limit", *tiny, "--seed", 1, "--run-dir", "other")
    assert not same_bits(metrics(finished), metrics(tmp_path / "other"))


@pytest.mark.usefixtures("pageless")
def test_a_result_does_not_depend_on_what_runs_beside_it(sigmaprop, finished, tmp_path, tiny):
    tiny[tiny.index("quartic")] = "sine"
    tiny.insert(tiny.index("sine") + 1, "quartic")
    sigmaprop("limit", *tiny, "--run-dir", "both")
    both = metrics(tmp_path / "both")
    assert set(both["objective"].to_pylist()) == {"sine", "quartic"}
    assert same_bits(metrics(finished), both.filter(pc.field("objective") == "quartic"))


def test_sigma_zero_is_the_exact_gradient(finished):
    rows = metrics(finished).filter(pc.field("sigma") == 0)
    assert set(rows["estimator"].to_pylist()) == {"pathwise", "at_mean"}
    values = dict(zip(rows["metric"].to_pylist(), rows["value"].to_pylist(), strict=True))
    assert values["variance"] == 0
    assert abs(values["bias"]) < 1e-5


@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
def test_other_dtypes_run(sigmaprop, tmp_path, tiny, dtype):
    assert sigmaprop("limit", *tiny, "--dtype", dtype, "--run-dir", "run").status == 0
    table = metrics(tmp_path / "run")
    assert set(table["dtype"].to_pylist()) == {dtype}
    bias = table.filter((pc.field("sigma") == 0) & (pc.field("metric") == "bias"))
    assert (max(bias["value"].to_pylist()) < 1e-12) == (dtype == "float64")


@pytest.mark.usefixtures("pageless")
def test_a_config_file_is_the_start_and_flags_win(sigmaprop, finished, tmp_path):
    for number, source in enumerate((finished, finished / "config.json")):
        run_dir = tmp_path / str(number)
        ended = sigmaprop("limit", "--config", source, "--seed", 5, "--run-dir", run_dir)
        assert ended.status == 0
        assert f"1 of 17 options changed from {source}\n" in ended.out
    before, after = (
        json.loads((path / "config.json").read_text())["config"] for path in (finished, run_dir)
    )
    assert after == before | {"seed": 5}


@pytest.mark.usefixtures("pageless")
def test_a_config_file_alone_repeats_the_run(sigmaprop, finished, tmp_path):
    ended = sigmaprop("limit", "--config", finished, "--run-dir", "again")
    assert f"0 of 17 options changed from {finished}" in ended.out
    assert (tmp_path / "again/config.json").read_text() == (finished / "config.json").read_text()
    assert same_bits(metrics(finished), metrics(tmp_path / "again"))


def test_flags_win_over_a_preset(sigmaprop, tmp_path, monkeypatch):
    monkeypatch.setattr(limit, "run", lambda *arguments: [])
    sigmaprop("limit", "--preset", "full", "--dim", 8, "--objective", "sine", "--run-dir", "run")
    config = runs.load_config(tmp_path / "run", LimitConfig)
    assert (config.dim, config.objective) == (8, ("sine",))
    assert config.num_samples == LIMIT_PRESETS["full"].num_samples


def test_none_and_lists_are_read(sigmaprop, tmp_path, monkeypatch):
    monkeypatch.setattr(limit, "run", lambda *arguments: [])
    words = "--objective sine --sigmas 1 .1 0 --dim None --chunk None --x=0.5 --batch-sizes None"
    sigmaprop("limit", *words.split(), "--config", "None", "--run-dir", "run")
    config = runs.load_config(tmp_path / "run", LimitConfig)
    assert config == LimitConfig(objective=("sine",), sigmas=(1.0, 0.1, 0.0), x=(0.5,))


@pytest.mark.parametrize("preset", LIMIT_PRESETS)
def test_presets_can_be_prepared(preset):
    plan = limit.prepare(LIMIT_PRESETS[preset])
    assert len(plan.objectives) == len(LIMIT_PRESETS[preset].objective)


def test_a_replay_is_identical(sigmaprop, finished, tmp_path):
    ended = sigmaprop("replay", finished, "--run-dir", "again")
    assert ended.status == 0
    assert "identical: all " in ended.out
    assert runs.state(tmp_path / "again") == "complete"


def test_a_replay_names_changes_of_the_environment_first(sigmaprop, finished, monkeypatch):
    def elsewhere(seed):
        found = environment(seed)
        return found | {"device": found["device"] | {"count": 99}}

    monkeypatch.setattr(launch, "environment", elsewhere)
    ended = sigmaprop("replay", finished)
    assert ended.status == 0
    assert ended.out.startswith("differs: device count was 2 and is now 99\n")


def test_a_replay_lists_the_numbers_that_differ(sigmaprop, finished, monkeypatch):
    stream = limit.stream
    monkeypatch.setattr(limit, "stream", lambda seed, *words: stream(seed + 1, *words))
    ended = sigmaprop("replay", finished)
    assert ended.status == 1
    lines = ended.out.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("different: "))
    assert len(lines) - start == 1 + launch.SHOWN_DIFFERENCES + 1
    assert "objective='quartic'" in lines[start + 1]
    assert " was " in lines[start + 1]
    assert lines[-1].startswith("  and ")


def test_a_replay_sees_one_bit(sigmaprop, finished, tmp_path, monkeypatch):
    write = runs.append_part

    def nudged(run, step, table):
        values = table["value"].to_numpy().copy()
        values[0] = np.nextafter(values[0], np.inf)
        index = table.schema.get_field_index("value")
        write(run, step, table.set_column(index, "value", [values]))

    monkeypatch.setattr(runs, "append_part", nudged)
    ended = sigmaprop("replay", finished)
    assert ended.status == 1
    assert "different: 1 of " in ended.out


def test_a_report_of_several_runs(sigmaprop, finished, tmp_path):
    shutil.copytree(finished, tmp_path / "copy")
    ended = sigmaprop("report", finished, tmp_path / "copy", "--out", "both")
    assert ended.status == 0
    assert ended.out.endswith("report: both/report.html\n")


def test_a_report_leaves_the_run_as_it_was(sigmaprop, finished, tmp_path):
    shutil.copytree(finished, tmp_path / "run")
    assert sigmaprop("report", "run").status == 0
    runs.verify(tmp_path / "run")


@pytest.mark.parametrize(
    ("error", "status", "word"),
    [(KeyboardInterrupt(), 130, "interrupted"), (runs.Terminated(143), 143, "terminated")],
)
def test_a_stopped_run_says_where_it_lies(
    sigmaprop, tmp_path, tiny, monkeypatch, error, status, word
):
    def stop(*arguments):
        raise error

    monkeypatch.setattr(limit, "run", stop)
    ended = sigmaprop("limit", *tiny, "--run-dir", "run")
    assert ended.status == status
    assert ended.err.startswith(f"sigmaprop: {word}; run is marked interrupted; go on with")
    assert runs.state(tmp_path / "run") == "interrupted"


def test_a_defect_is_recorded_and_shown(sigmaprop, tmp_path, tiny, monkeypatch):
    monkeypatch.setattr(limit, "run", lambda *arguments: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        sigmaprop("limit", *tiny, "--run-dir", "run")
    assert runs.state(tmp_path / "run") == "failed"


def test_metrics_are_tidy(finished):
    table = pq.read_table(finished / "metrics.parquet")
    assert table.schema.equals(limit.SCHEMA)
    keys = list(zip(*(table[name].to_pylist() for name in KEYS), strict=True))
    assert len(set(keys)) == len(keys)


@pytest.mark.slow
def test_every_objective_runs_and_replays(sigmaprop, tmp_path):
    sizes = ("--sigmas", 1, 0.1, 0, "--num-samples", 512, "--reference-samples", 96)
    assert sigmaprop("limit", "--preset", "full", *sizes, "--run-dir", "run").status == 0
    assert sigmaprop("replay", "run").status == 0
    content = json.loads((tmp_path / "run" / "picture.json").read_text())
    assert np.shape(content["estimates"]["pathwise"]) == (3, 4, 64)


def test_a_picture_holds_nothing_where_a_batch_is_too_small_for_its_estimator():
    objective = objectives.get("quadratic", 2)
    image = jnp.asarray(objective.point, jnp.float32)
    for label, needs in (("pathwise", 1), ("score_function+leave_one_out", 2)):
        found = np.array(limit._picture_estimates(objective, image, label, 0))
        assert found.shape == (len(limit.PICTURE_SIGMAS), len(limit.PICTURE_BATCHES), 2)
        shown = np.any(found != 0, axis=(0, 2))
        assert list(shown) == [batch >= needs for batch in limit.PICTURE_BATCHES]


@pytest.mark.usefixtures("pageless")
@pytest.mark.parametrize(
    "second", ["rosenbrock", pytest.param("digit_classifier", marks=pytest.mark.slow)]
)
def test_a_run_that_was_stopped_goes_on_behind_its_last_objective(
    sigmaprop, tiny, monkeypatch, second
):
    """To the same numbers and claims, and without measuring again what it has."""
    from sigmaprop.experiments.limit import run as limit

    assert tiny[:4] == ["--objective", "quartic", "--dim", "3"]
    words = ["limit", "--objective", "quartic", second, "sine", *tiny[4:]]
    assert sigmaprop(*words, "--run-dir", "whole").status == 0
    measure, measured = limit.measure, []

    def stop(objective, *arguments):
        if objective.name == "sine" and "stopped" not in measured:
            measured.append("stopped")
            raise KeyboardInterrupt
        measured.append(objective.name)
        return measure(objective, *arguments)

    monkeypatch.setattr(limit, "measure", stop)
    ended = sigmaprop(*words, "--run-dir", "part")
    assert ended.status == 130
    assert "go on with `sigmaprop resume part`" in ended.err
    assert "after 2 of 3 objectives" in sigmaprop("report", "part").out
    ended = sigmaprop("resume", "part")
    assert ended.status == 0, ended.err
    assert measured == ["quartic", second, "stopped", "sine"]
    pictured = ["picture.json"] if second == "digit_classifier" else []
    for name in ("conclusions.json", *pictured):
        assert Path("part", name).read_bytes() == Path("whole", name).read_bytes()
    first, second = (runs.read_metrics(Path(name)) for name in ("whole", "part"))
    assert runs.compare_tables(first, second, keys=KEYS) == []
    assert second.schema.metadata is None
    assert "complete already" in sigmaprop("resume", "part").out
    runs.verify(Path("part"))


@pytest.mark.usefixtures("pageless")
def test_a_part_that_was_altered_is_not_gone_on_with(sigmaprop, tiny, monkeypatch):
    from sigmaprop.experiments.limit import run as limit

    measure = limit.measure

    def stop(objective, *arguments):
        if objective.name == "sine":
            raise KeyboardInterrupt
        return measure(objective, *arguments)

    monkeypatch.setattr(limit, "measure", stop)
    words = ["limit", "--objective", "quartic", "sine", *tiny[2:], "--run-dir", "a"]
    assert sigmaprop(*words).status == 130
    (part,) = Path("a/metrics").glob("part-*.parquet")
    part.write_bytes(part.read_bytes()[:-9] + b"different")
    ended = sigmaprop("resume", "a")
    assert ended.status == 2
    assert part.name in ended.err
    assert "Traceback" not in ended.err
