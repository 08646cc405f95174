"""The command line as a process: start-up, help, completion, signals, devices."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sigmaprop.experiments.advise.config import AdviseConfig
from sigmaprop.experiments.estimators.config import EstimatorsConfig
from sigmaprop.experiments.limit import run as limit
from sigmaprop.experiments.limit.config import LimitConfig

from sigmaprop import estimators, objectives, runs

CHECKOUT = Path(__file__).resolve().parents[2]
SCRIPT = shutil.which("sigmaprop", path=str(Path(sys.executable).parent))
HEAVY = ("rich", "jax", "numpy", "pyarrow", "scipy", "matplotlib")
MODULE = [sys.executable, "-m", "sigmaprop.experiments"]

# A shell that starts a job in the background has it ignore Ctrl-C.
INTERRUPTIBLE = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from sigmaprop.experiments.__main__ import main; main(sys.argv[1:])"
)


def run(*command: object, **options) -> subprocess.CompletedProcess[str]:
    words = [str(word) for word in command]
    return subprocess.run(words, capture_output=True, text=True, timeout=100, **options)


def start(*words: object, **options) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", INTERRUPTIBLE, *map(str, words)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, text=True, **pipes, **options)


@pytest.mark.parametrize("words", [["--help"], ["limit", "--help"], ["limit", "--seed", "a"]])
def test_start_up_imports_nothing_heavy(words):
    ended = run(sys.executable, "-X", "importtime", "-m", "sigmaprop.experiments", *words)
    imported = set(re.findall(r"\| +([\w.]+)$", ended.stderr, re.MULTILINE))
    assert "tyro" in imported
    assert not {name for name in imported if name.split(".")[0] in HEAVY}


def test_help_starts_within_25_bare_interpreters():
    def seconds(*command: str) -> float:
        begin = time.perf_counter()
        run(sys.executable, *command)
        return time.perf_counter() - begin

    pairs = [(seconds("-c", "pass"), seconds(*MODULE[1:], "--help")) for _ in range(7)]
    bare, with_help = map(min, zip(*pairs, strict=True))
    assert with_help < 25 * bare


@pytest.mark.skipif(not (CHECKOUT / "experiments").is_dir(), reason="needs the checkout")
def test_the_module_and_the_script_are_the_same_program():
    from_checkout = run(sys.executable, "-m", "experiments", "--help", cwd=CHECKOUT)
    assert from_checkout.returncode == 0
    assert "limit" in from_checkout.stdout
    assert from_checkout.stdout == run(*MODULE, "--help").stdout
    if SCRIPT is not None:
        assert from_checkout.stdout == run(SCRIPT, "--help").stdout
    assert run(*MODULE).stdout == from_checkout.stdout


@pytest.mark.parametrize(
    ("command", "config", "more"),
    [("limit", LimitConfig, 8), ("estimators", EstimatorsConfig, 8), ("advise", AdviseConfig, 0)],
)
def test_help_shows_every_option_with_its_default(command, config, more):
    shown = run(*MODULE, command, "--help").stdout
    for option in config.__dataclass_fields__:
        assert re.search(rf"--{option.replace('_', '-')} ", shown)
    assert shown.count("(default:") == len(config.__dataclass_fields__) + more


def test_help_shows_every_choice():
    shown = run(*MODULE, "limit", "--help").stdout
    assert "{float32,float64,bfloat16}" in shown
    assert "{geometric,linear,cosine}" in shown
    for name in (*objectives.names(), *estimators.sweepable_labels()):
        assert re.search(rf"\b{re.escape(name)}\b", shown)


def test_help_shows_the_defaults_of_the_preset():
    assert "1048576" in run(*MODULE, "limit", "--preset", "full", "--help").stdout


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_completion_is_valid_bash():
    script = run(*MODULE, "--tyro-print-completion", "bash").stdout
    assert "--sigma-schedule" in script
    assert run("bash", "-n", "-c", script).returncode == 0


def test_version():
    assert re.fullmatch(r"sigmaprop \d+\.\d+\.\d+\n", run(*MODULE, "--version").stdout)


def test_a_closed_pipe_ends_quietly():
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([*MODULE, "list"], text=True, **pipes) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 141


@pytest.mark.parametrize(
    ("number", "status", "reason"),
    [(signal.SIGINT, 130, "Ctrl-C"), (signal.SIGTERM, 143, "SIGTERM")],
)
def test_a_signal_ends_a_run_cleanly(tmp_path, tiny, number, status, reason):
    tiny[tiny.index("--num-samples") + 1] = str(2**28)
    tiny += ["--run-dir", "run"]
    with start("limit", *tiny, cwd=tmp_path) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("quartic, 1 of 1: sampling"):  # past compilation
                break
        process.send_signal(number)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == status
    assert "run is marked interrupted; go on with `sigmaprop resume run`" in stderr
    assert "Traceback" not in stderr
    assert runs.state(tmp_path / "run") == "interrupted"
    assert reason in (tmp_path / "run" / "status.json").read_text()


def with_devices(count: int, directory: Path, *words: object):
    """The metrics of a run in a process of its own."""
    own = os.environ["XLA_FLAGS"]
    flags = {"XLA_FLAGS": re.sub(r"device_count=\d+", f"device_count={count}", own)}
    ended = run(*MODULE, "limit", *words, "--run-dir", directory, env=os.environ | flags)
    assert ended.returncode == 0, ended.stderr
    assert f"on {count} cpu device" in ended.stdout
    done = runs.load(directory, LimitConfig)
    assert done.environment["device"]["count"] == count
    return done.metrics


def assert_equal_but_for_rounding(first, second) -> None:
    """One device compiles to another program than several, which may round otherwise."""
    for difference in runs.compare_tables(first, second, keys=list(limit.limit_table.KEYS)):
        assert difference.kind == "value"
        assert difference.right == pytest.approx(difference.left, rel=1e-3, abs=1e-6)


def test_one_device_and_two_give_the_same_numbers(finished, tmp_path, tiny):
    one = with_devices(1, tmp_path / "run", *tiny)
    assert_equal_but_for_rounding(one, runs.read_metrics(finished))


@pytest.mark.slow
def test_two_devices_and_three_give_the_same_bits(tmp_path):
    words = ("--objective", "sine", "quartic", "--num-samples", 50001, "--num-sigmas", 3)
    one, two, three = (with_devices(n, tmp_path / str(n), *words) for n in (1, 2, 3))
    assert runs.compare_tables(two, three, keys=list(limit.limit_table.KEYS)) == []
    assert_equal_but_for_rounding(one, two)


def test_a_process_uses_every_core_unless_told_otherwise(tmp_path):
    """What JAX reads at its start is set before it starts."""
    code = "from sigmaprop.experiments.cli import starting; starting.prepare_jax(); import jax; "
    code += "print(jax.local_device_count(), jax.config.jax_compilation_cache_dir)"
    bare = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS" and not k.startswith("JAX_")}
    ended = run(sys.executable, "-c", code, env=bare | {"SIGMAPROP_CACHE": str(tmp_path)})
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert ended.stdout == f"{cores} {tmp_path / 'xla'}\n"


def test_a_cache_that_cannot_be_written_is_told_once(tmp_path):
    (tmp_path / "file").write_text("")
    bare = {k: v for k, v in os.environ.items() if not k.startswith("JAX_")}
    cache = {"SIGMAPROP_CACHE": str(tmp_path / "file" / "cache")}
    ended = run(*MODULE, "list", env=bare | cache, cwd=tmp_path)
    assert ended.returncode == 0
    assert ended.stderr.count("\n") == 1
    assert "every start compiles anew; set SIGMAPROP_CACHE" in ended.stderr
