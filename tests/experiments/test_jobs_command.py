"""`sigmaprop gan --launcher` as a user types it: on this machine, and on a cluster that is made up.

The cluster's sbatch runs the script that submitit wrote, in the background; its squeue lists what
has not ended, and its scontrol has a script run again.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pyarrow.compute as pc
import pytest
from sigmaprop.experiments.gan import tables

from sigmaprop import runs

pytestmark = pytest.mark.slow

SCRIPT = shutil.which("sigmaprop", path=str(Path(sys.executable).parent))
TINY = (
    *("gan", "--dataset", "ring", "--steps", "3000", "--metrics-every", "50", "--arm", "global"),
    *("--widths", "4", "--discriminator-widths", "4", "--latent-dim", "2", "--batch-size", "8"),
    *("--sweep.learning-rate", "1e-3", "1e-2", "--eval-samples", "32", "--evaluations", "1"),
    *("--gap-evaluations", "1", "--gap-samples", "64", "--checkpoint-seconds", "0.001"),
    *("--seeds", "4"),
)
WAIT = 300


def run(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [str(SCRIPT), *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=WAIT)


def start(*words: str, cwd: Path) -> subprocess.Popen[str]:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen([str(SCRIPT), *words], cwd=cwd, text=True, **pipes)


def until(there: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT
    while not there():
        assert time.monotonic() < end
        time.sleep(0.05)


def process_of(run_dir: Path) -> psutil.Process:
    """The process of a run that has saved itself at least once."""
    until(lambda: len([*run_dir.glob("metrics/part-*")]) > 1)  # behind the first is a checkpoint
    return psutil.Process(json.loads((run_dir / "status.json").read_text())["pid"])


def check_same(one: Path, other: Path) -> None:
    """But for the gap, two norms of which no number of devices promises to the last bit."""
    found = [runs.read_metrics(path) for path in (one, other)]
    assert found[0].num_rows == found[1].num_rows
    found = [table.filter(pc.field("sigma") == 0) for table in found]
    assert not runs.compare_tables(*found, keys=list(tables.KEYS))
    for name in ("comparison.json", "replicas.json", "reference.json", "config.json"):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


@pytest.fixture(scope="module")
def one(tmp_path_factory) -> Path:
    """The run of one process."""
    root = tmp_path_factory.mktemp("one")
    ended = run(*TINY, "--run-dir", "one", cwd=root)
    assert ended.returncode == 0, ended.stderr
    return root / "one"


def test_jobs_of_this_machine_and_what_ends_them(one, tmp_path):
    """One is told to stop as at the end of its time, one is killed; the command is given again."""
    words = (*TINY, "--launcher", "local", "--launcher-jobs", "2", "--run-dir", "R")
    parent, root = start(*words, cwd=tmp_path), tmp_path / "R"
    until(lambda: (root / "job-00/status.json").exists() and (root / "job-01/status.json").exists())
    # The parent of the run's process is submitit's, which is told; it queues the job again.
    process_of(root / "job-00").parent().send_signal(signal.SIGUSR2)
    process_of(root / "job-01").kill()
    out, _ = parent.communicate(timeout=WAIT)
    assert parent.returncode == 1, out
    assert "job-01 (seeds 2 to 3) failed: " in out
    assert "(its log: R/job-01.log)" in out
    assert "1 job left; go on with `sigmaprop gan " in out
    assert runs.state(root / "job-00") == "complete"
    assert len(json.loads((root / "job-00/resumes.json").read_text())["resumes"]) == 1
    assert not (root / "all").exists()

    told = run("resume", "R", cwd=tmp_path)
    assert told.returncode == 2
    assert "R holds the jobs of a sweep: go on with `sigmaprop gan" in told.stderr

    again = run(*words, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert "1 of 2 jobs complete already" in again.stdout
    assert "job-01 (seeds 2 to 3): submitted as" in again.stdout
    assert "going on from step" in (root / "job-01.log").read_text()
    assert "report:  R/all/report.html" in again.stdout
    check_same(one, root / "all")

    told = run(*words, cwd=tmp_path)
    assert told.returncode == 0, told.stderr
    assert "all jobs are complete and joined: R/all/report.html" in told.stdout
    other = run(*words, "--seed", "1", cwd=tmp_path)
    assert other.returncode == 2
    assert "--run-dir R holds jobs of another --seed; choose another directory" in other.stderr


def test_ctrl_c_stops_jobs_of_this_machine(tmp_path):
    long = [word if word != "3000" else "100000000" for word in TINY]
    words = (*long, "--launcher", "local", "--launcher-jobs", "2")
    parent, root = start(*words, "--run-dir", "R", cwd=tmp_path), tmp_path / "R"
    each = [process_of(root / name) for name in ("job-00", "job-01")]
    parent.send_signal(signal.SIGINT)
    out, _ = parent.communicate(timeout=WAIT)
    assert parent.returncode == 130, out
    assert "the jobs are stopped; go on with `sigmaprop gan " in out
    until(lambda: not any(process.is_running() for process in each))
    assert [runs.state(root / name) for name in ("job-00", "job-01")] == ["interrupted"] * 2


TOOLS = {
    "sbatch": """
number=$((4000 + $(ls {root} | grep -c script)))
cp "$1" {root}/script-$number
touch {root}/queued-$number
(
  export SLURM_JOB_ID=$number SLURM_NTASKS=1 SLURM_JOB_NUM_NODES=1
  export SLURM_PROCID=0 SLURM_LOCALID=0 SLURM_NODEID=0
  while true; do
    rm -f {root}/again-$number
    bash {root}/script-$number
    [ -e {root}/again-$number ] || break
  done
  rm {root}/queued-$number
) > {root}/out-$number 2>&1 < /dev/null &
echo "Submitted batch job $number"
""",
    "squeue": "ls {root} | sed -n 's/queued-//p'",
    "scontrol": '[ "$1" = requeue ] && touch {root}/again-$2',
    "srun": """
while [ "${{1#--}}" != "$1" ]; do
  case $1 in --output|--error) shift;; esac
  shift
done
exec "$@"
""",
}


@pytest.fixture
def cluster(tmp_path, monkeypatch) -> Path:
    root, tools = tmp_path / "cluster", tmp_path / "tools"
    root.mkdir()
    tools.mkdir()
    for name, text in TOOLS.items():
        (tools / name).write_text("#!/bin/bash\n" + text.format(root=root) + "\n")
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    return root


def test_a_cluster_s_jobs_are_left_queued_again_awaited_and_joined(one, cluster, tmp_path):
    words = (*TINY, "--launcher", "slurm", "--launcher-jobs", "2", "--run-dir", "R")
    words += ("--launcher-option", "partition=gpu", "timeout_min=30")
    left = run(*words, "--launcher-detach", cwd=tmp_path)
    assert left.returncode == 0, left.stderr
    assert "look with `squeue -j 4000,4001`, or into R/job-*.log" in left.stdout
    assert "wait for them and make the report with `sigmaprop gan" in left.stdout
    assert "--launcher-detach" not in left.stdout
    for number, name in ((4000, "job-00"), (4001, "job-01")):
        script = (cluster / f"script-{number}").read_text()
        for line in ("--partition=gpu", "--time=30", f"--job-name=sigmaprop-{name}"):
            assert f"#SBATCH {line}\n" in script
    root = tmp_path / "R"
    process_of(root / "job-00").parent().send_signal(signal.SIGUSR2)
    ended = run(*words, cwd=tmp_path)
    assert ended.returncode == 0, (ended.stdout, ended.stderr)
    assert "job-01 (seeds 2 to 3) is under way" in ended.stdout
    assert len([*cluster.glob("script-*")]) == 2  # none was submitted twice
    assert (root / "job-00/resumes.json").exists()
    check_same(one, root / "all")
