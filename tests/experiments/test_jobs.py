"""`--launcher`: how seeds are cut, what a job is told, and that its numbers join to one run's."""

import dataclasses
import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import submitit
from sigmaprop.experiments.cli import launch
from sigmaprop.experiments.cli.main import main
from sigmaprop.experiments.gan.config import GanConfig
from sigmaprop.experiments.jobs import joining, options, queue, sheet, work
from sigmaprop.experiments.jobs.options import JobsOptions, Part
from sigmaprop.experiments.terminal import Terminal
from sigmaprop.experiments.vae import run as vae
from sigmaprop.experiments.vae.config import VaeConfig, VaeSweep

from sigmaprop import runs
from sigmaprop.runs import environment
from sigmaprop.runs.arrays import read_arrays
from sigmaprop.runs.files import RunError

TINY = VaeConfig(
    **{"dataset": "ring", "steps": 20, "seeds": 3, "first_seed": 5, "metrics_every": 10},
    **{"latent_dim": 2, "batch_size": 4, "widths": (4,), "encoder_widths": (4,)},
    **{"evaluations": 1, "eval_draws": 2, "eval_examples": 8},
    sweep=VaeSweep(arm=("unit", "global")),
)


@pytest.mark.parametrize(
    ("seeds", "first", "jobs", "sizes"),
    [(4, 0, 2, [2, 2]), (5, 3, 2, [2, 3]), (3, 0, 3, [1, 1, 1]), (7, 1, 1, [7])],
)
def test_jobs_have_all_seeds_in_order(seeds, first, jobs, sizes):
    config = GanConfig(seeds=seeds, first_seed=first)
    found = options.parts(JobsOptions(launcher="slurm", launcher_jobs=jobs), config)
    assert [part.seeds for part in found] == sizes
    each = [seed for part in found for seed in range(part.first_seed, part.first_seed + part.seeds)]
    assert each == list(range(first, first + seeds))
    assert [part.name for part in found] == [f"job-{n:02}" for n in range(jobs)]


def test_without_a_number_there_is_a_job_for_each_seed_and_locally_for_each_core(monkeypatch):
    config = GanConfig(seeds=8)
    monkeypatch.setattr(environment, "cores", lambda: 3)
    assert len(options.parts(JobsOptions(launcher="slurm"), config)) == 8
    found = options.parts(JobsOptions(launcher="local"), config)
    assert [part.seeds for part in found] == [2, 3, 3]
    assert [part.title for part in found[:1]] == ["job-00 (seeds 0 to 1)"]


BAD = {
    "--launcher-jobs is 5": ["--launcher", "local", "--launcher-jobs", "5", "--seeds", "4"],
    "--launcher-jobs is 0": ["--launcher", "local", "--launcher-jobs", "0"],
    "--launcher-jobs means nothing without --launcher": ["--launcher-jobs", "2"],
    "--launcher-detach means nothing": ["--launcher-detach"],
    "unknown value of --launcher 'pbs'": ["--launcher", "pbs"],
    "holds 'gpu'; give KEY=VALUE": ["--launcher", "slurm", "--launcher-option", "gpu"],
    "unknown key of --launcher-option with --launcher slurm 'partiton'; did you mean 'partition'": [
        *("--launcher", "slurm", "--launcher-option", "partiton=gpu")
    ],
    "unknown key of --launcher-option with --launcher local 'partition'": [
        *("--launcher", "local", "--launcher-option", "partition=gpu")
    ],
    "names qos twice": ["--launcher", "slurm", "--launcher-option", "qos=a", "qos=b"],
    "timeout_min is 'soon'; give an integer": [
        *("--launcher", "local", "--launcher-option", "timeout_min=soon")
    ],
}


@pytest.mark.parametrize("sentence", BAD)
def test_a_bad_option_is_one_sentence(sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as left:
        main(["gan", *BAD[sentence]])
    out, err = capsys.readouterr()
    assert left.value.code == 2
    assert out == ""
    assert err.startswith("sigmaprop: ")
    assert err.count("\n") == 1
    assert sentence in err
    assert list(tmp_path.iterdir()) == []


def test_submitit_takes_every_key(tmp_path):
    known = submitit.SlurmExecutor._valid_parameters()
    assert set(options.OF_SLURM) <= known
    assert set(options.GENERIC) <= submitit.AutoExecutor._valid_parameters()
    queue.open_queue("local", tmp_path, {"timeout_min": 3})


def test_what_is_missing_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RunError, match="finds no sbatch here"):
        queue.check("slurm")
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(RunError, match=r"needs the extra launcher; install it with `pip install"):
        queue.check("local")


def test_a_job_s_words_are_the_user_s_but_for_those_of_the_launcher():
    words = ["--sweep.arm", "zero", "global", "--launcher-option", "a=1", "b=2", "--seeds=4"]
    words += ["--run_dir", "x", "--learning-rate", "-1e-3"]
    left = options.without(words, ("--launcher-option", "--seeds", "--run-dir"))
    assert left == ["--sweep.arm", "zero", "global", "--learning-rate", "-1e-3"]


@pytest.fixture
def fake_tools(tmp_path, monkeypatch) -> Path:
    """sbatch that keeps its script, squeue that lists what a file says, and srun."""
    tools = tmp_path / "tools"
    tools.mkdir()
    texts = {
        "sbatch": f'cp "$1" {tools}/script && echo "Submitted batch job 4711"',
        "squeue": f'echo "$@" > {tools}/asked; cat {tools}/listed',
        "srun": "exit 1",
    }
    for name, text in texts.items():
        (tools / name).write_text(f"#!/bin/sh\n{text}\n")
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    return tools


def test_sbatch_gets_what_was_asked_for(fake_tools, tmp_path):
    asked = options.asked(
        JobsOptions(
            launcher="slurm",
            launcher_option=(
                *("partition=gpu", "gpus_per_node=1", "cpus_per_task=8", "mem_gb=32"),
                *("timeout_min=90", "qos=long", "constraint=a100", "setup=module load cuda"),
            ),
        )
    )
    found = queue.open_queue("slurm", tmp_path / "submitit", asked)
    one = work.Work((), "R/job-00", "R/job-00.log", str(tmp_path))
    assert found.submit(one, "job-00") == "4711"
    script = (fake_tools / "script").read_text()
    for line in (
        *("--partition=gpu", "--gpus-per-node=1", "--cpus-per-task=8", "--mem=32GB"),
        *("--time=90", "--qos=long", "--constraint=a100", "--job-name=sigmaprop-job-00"),
        *("--signal=USR2@90", "--open-mode=append"),
    ):
        assert f"#SBATCH {line}\n" in script, script
    assert "module load cuda\n" in script
    assert sys.executable in script
    (pickled,) = (tmp_path / "submitit").glob("*.pkl")
    loaded = submitit.core.utils.DelayedSubmission.load(pickled)
    assert loaded.function == one
    assert (loaded._timeout_min, loaded._timeout_countdown) == (90, queue.MOST_TIMEOUTS)


def test_a_job_is_there_as_long_as_squeue_lists_it(fake_tools, tmp_path, monkeypatch):
    found = queue.open_queue("slurm", tmp_path / "submitit", {})
    monkeypatch.setattr(queue, "_ASKED_EVERY", 0.0)
    (fake_tools / "listed").write_text("12\n13\n")
    assert found.is_there("12")
    assert not found.is_there("1")
    assert (fake_tools / "asked").read_text().startswith("-h -o %A -u ")
    (fake_tools / "squeue").write_text("#!/bin/sh\nexit 1\n")  # a cluster that does not answer
    assert found.is_there("12")


def stub(tmp_path: Path, text: str, monkeypatch) -> work.Work:
    """A job whose command is a small program in place of ours."""
    (tmp_path / "stub.py").write_text(text)
    monkeypatch.setattr(work, "SCRIPT", (sys.executable, str(tmp_path / "stub.py")))
    return work.Work(("gan", "--seeds", "2"), "run", "job.log", str(tmp_path))


TELLS = """
import os, signal, sys
os.kill(os.getpid(), signal.SIGUSR2)  # to all processes of a job, where a cluster ends it
print(sys.argv[1:], sorted(os.sched_getaffinity(0)), flush=True)
"""


def test_a_job_begins_its_run_and_an_interrupted_one_is_resumed(tmp_path, monkeypatch):
    one = stub(tmp_path, TELLS, monkeypatch)
    own = dataclasses.replace(one, cores=(options.cores()[0],), local=True, gpus="1")
    own()
    (tmp_path / "run").mkdir()
    (tmp_path / "run/config.json").write_text("{}")
    before = os.sched_getaffinity(0)
    own()
    assert os.sched_getaffinity(0) == before
    first, second = (tmp_path / "job.log").read_text().splitlines()
    assert first == f"['gan', '--seeds', '2'] [{options.cores()[0]}]"
    assert second.startswith("['resume', 'run']")


def test_a_job_fails_with_its_command(tmp_path, monkeypatch):
    with pytest.raises(RuntimeError, match="status 3"):
        stub(tmp_path, "import sys; sys.exit(3)", monkeypatch)()


def test_before_it_is_queued_again_the_run_saves_itself(tmp_path, monkeypatch):
    """The handler's part runs while the job waits, in the same thread, as submitit has it."""
    saves = (
        "import signal, sys, time\n"
        "def save(*_): print('saved', flush=True); sys.exit(143)\n"
        "signal.signal(signal.SIGTERM, save); print('ready', flush=True)\n"
        "time.sleep(60)\n"
    )
    one, again = stub(tmp_path, saves, monkeypatch), []
    log = tmp_path / "job.log"

    def handler(*_: Any) -> None:
        again.append(one.checkpoint())
        raise SystemExit(0)

    def send() -> None:
        while not log.exists() or "ready" not in log.read_text():
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGUSR2)

    before = signal.signal(signal.SIGUSR2, handler)
    thread = threading.Thread(target=send)
    thread.start()
    try:
        with pytest.raises(SystemExit):
            one()
    finally:
        thread.join()
        signal.signal(signal.SIGUSR2, before)
    assert log.read_text().split() == ["ready", "saved"]
    assert pickle.loads(pickle.dumps(again[0].function)) == one


def test_jobs_that_were_begun_are_held_against_the_command(tmp_path):
    jobs = [Part("job-00", 5, 2), Part("job-01", 7, 1)]
    begun = sheet.opened(tmp_path / "R", "vae", ["--seeds", "3"], TINY, jobs)
    begun.numbers["job-00"] = "12"
    begun.save()
    assert sheet.opened(tmp_path / "R", "vae", [], TINY, jobs) == begun
    assert begun.again == f"sigmaprop vae --seeds 3 --run-dir {tmp_path}/R"
    for config, pieces, why in (
        (dataclasses.replace(TINY, steps=30), jobs, "of another --steps"),
        (TINY, jobs[:1], "of 2 pieces, not 1"),
    ):
        with pytest.raises(RunError, match=why):
            sheet.opened(tmp_path / "R", "vae", [], config, pieces)
    with pytest.raises(RunError, match="holds the jobs of a sweep: go on with `sigmaprop vae"):
        sheet.refuse(tmp_path / "R")
    (tmp_path / "R" / sheet.NAME).write_text("{}")
    with pytest.raises(RunError, match="is damaged"):
        sheet.read(tmp_path / "R")


@pytest.fixture(scope="module")
def cut(tmp_path_factory) -> Path:
    """A run of three seeds, the same in two jobs, and what these join to."""
    root = tmp_path_factory.mktemp("jobs")
    for name, first, seeds in (("one", 5, 3), ("job-00", 5, 2), ("job-01", 7, 1)):
        config = dataclasses.replace(TINY, first_seed=first, seeds=seeds)
        launch.carry_out(vae.EXPERIMENT, config, root / name, Terminal())
    own = joining.joined(vae.EXPERIMENT, [root / "job-00", root / "job-01"])
    launch.carry_out(own, TINY, root / "all", Terminal())
    return root


def test_jobs_join_to_the_bits_of_one_run(cut):
    one, joined = cut / "one", cut / "all"
    found = [runs.load(path, VaeConfig, command="vae") for path in (one, joined)]
    keys = list(vae.EXPERIMENT.keys)
    assert found[0].metrics.num_rows == found[1].metrics.num_rows
    assert not runs.compare_tables(found[0].metrics, found[1].metrics, keys=keys)
    names = {path.name for path in one.iterdir() if path.is_file()}
    assert {path.name for path in joined.iterdir() if path.is_file()} == names
    for name in ("comparison.json", "replicas.json", "reference.json", "config.json", "data.json"):
        assert (one / name).read_bytes() == (joined / name).read_bytes(), name
    for name in (name for name in names if name.endswith(".npz")):
        first, second = read_arrays(one / name), read_arrays(joined / name)
        assert {key: (a.dtype, a.shape, a.tobytes()) for key, a in first.items()} == {
            key: (a.dtype, a.shape, a.tobytes()) for key, a in second.items()
        }, name


def test_a_job_of_other_options_does_not_join(cut, tmp_path):
    own = joining.joined(vae.EXPERIMENT, [cut / "job-00", cut / "job-01"])
    other = dataclasses.replace(TINY, learning_rate=2e-3)
    with pytest.raises(RunError, match=r"ran with another --learning-rate \(0.001\)"):
        launch.carry_out(own, other, tmp_path / "all", Terminal())


def test_an_altered_job_does_not_join(cut, tmp_path):
    copied = tmp_path / "job-01"
    subprocess.run(["cp", "-r", cut / "job-01", copied], check=True)
    content = json.loads((copied / "replicas.json").read_text())
    (copied / "replicas.json").write_text(json.dumps(content[::-1]))
    own = joining.joined(vae.EXPERIMENT, [cut / "job-00", copied])
    with pytest.raises(RunError, match=r"replicas.json"):
        launch.carry_out(own, TINY, tmp_path / "all", Terminal())
