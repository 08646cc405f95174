"""Run directories: configs, locks, atomic files, manifests, exact comparison."""

import dataclasses
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigmaprop import environment as environments
from sigmaprop import runs


@dataclasses.dataclass(frozen=True)
class Optimizer:
    rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)


@dataclasses.dataclass(frozen=True)
class Config:
    steps: int
    seed: int = 0
    scale: float = 1.0
    dtype: Literal["float32", "float64"] = "float32"
    order: Literal[1, 2] = 1
    sigmas: tuple[float, ...] = (1.0, 0.1)
    clip: float | None = None
    sizes: tuple[int, ...] | None = None
    deterministic: bool = False
    note: str = ""
    folder: Path = Path("data")
    optimizer: Optimizer = Optimizer()

    def __post_init__(self):
        if self.steps < 0:
            raise ValueError(f"--steps is {self.steps};\ngive 0 or more")


CONFIG = Config(steps=10, seed=7, clip=0.1, sizes=(1, 2))
NAN_A, NAN_B = np.array([0x7FC00000, 0x7FC00001], np.uint32).view(np.float32)


def metrics(values: Any = (1.0, 2.0, 3.0), dtype: Any = np.float32) -> pa.Table:
    return pa.table(
        {
            "step": np.arange(len(values)),
            "metric": ["loss"] * len(values),
            "value": np.array(values, dtype),
        }
    )


def finish(directory: Path) -> Path:
    with runs.create(directory, "limit", CONFIG) as run:
        runs.write_metrics(run, metrics())
    return directory


def refused(call, *arguments, **options) -> str:
    """The message of the RunError that the call raises: one line."""
    with pytest.raises(runs.RunError) as caught:
        call(*arguments, **options)
    message = str(caught.value)
    assert message
    assert "\n" not in message
    return message


def status(directory: Path) -> dict:
    return json.loads((directory / "status.json").read_text())


@pytest.fixture
def child():
    """Starts a process that runs some code, once it has said that it is ready."""
    processes = []

    def start(code: str, *arguments: object) -> subprocess.Popen[str]:
        preamble = (
            "import sys, time; from sigmaprop import runs; runs.environment = lambda seed: {}"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", preamble + code, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        processes.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in processes:
        end(process, signal.SIGKILL)


def end(process: subprocess.Popen[str], number: int) -> int:
    process.send_signal(number)
    process.communicate(timeout=20)
    return process.returncode


HOLD = """
import dataclasses, pathlib, signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background shell has it ignored
Config = dataclasses.make_dataclass("Config", [("steps", int, 1)], frozen=True)
with runs.create(pathlib.Path(sys.argv[1]), "limit", Config()):
    print("ready", flush=True)
    time.sleep(60)
"""


def test_import_is_light():
    code = "import sys, sigmaprop.runs; print(*{'jax', 'pyarrow', 'matplotlib'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


finite = st.floats(allow_nan=False, allow_infinity=False)
configs = st.builds(
    Config,
    steps=st.integers(min_value=0),
    seed=st.integers(),
    scale=finite,
    dtype=st.sampled_from(["float32", "float64"]),
    sigmas=st.lists(finite).map(tuple),
    clip=st.none() | finite,
    sizes=st.none() | st.lists(st.integers()).map(tuple),
    deterministic=st.booleans(),
    note=st.text(),
    folder=st.sampled_from([Path("."), Path("/a b/ü"), Path("x/../y")]),
    optimizer=st.builds(Optimizer, rate=finite, betas=st.tuples(finite, finite)),
)


@settings(max_examples=60, deadline=None)
@given(config=configs)
def test_a_config_reads_back_as_it_was(config, tmp_path_factory):
    path = tmp_path_factory.mktemp("config") / "config.json"
    runs.write_atomic(path, runs._config_text("limit", config))
    again = runs.load_config(path, Config, command="limit")
    assert again == config
    floats = [(*c.sigmas, c.scale, c.optimizer.rate, *c.optimizer.betas) for c in (again, config)]
    assert struct.pack(f"{len(floats[0])}d", *floats[0]) == struct.pack(
        f"{len(floats[1])}d", *floats[1]
    )
    assert type(again.clip) is type(config.clip)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_float_that_is_not_finite_is_refused_before_anything_is_written(tmp_path, value):
    config = dataclasses.replace(CONFIG, optimizer=Optimizer(betas=(0.9, value)))
    message = refused(runs.create, tmp_path / "run", "limit", config)
    assert "optimizer.betas[1]" in message
    assert str(value) in message
    assert not (tmp_path / "run").exists()


def test_a_config_that_json_cannot_hold_is_a_programming_error(tmp_path):
    odd = dataclasses.make_dataclass("Odd", [("items", dict)], frozen=True)({})
    lossy = dataclasses.make_dataclass("Lossy", [("place", str | Path)], frozen=True)(Path("x"))
    with pytest.raises(TypeError, match="option items holds a dict"):
        runs.create(tmp_path / "run", "limit", odd)
    with pytest.raises(TypeError, match="Lossy changes"):
        runs.create(tmp_path / "run", "limit", lossy)
    assert not (tmp_path / "run").exists()


def test_a_config_of_wrong_types_is_refused_when_written(tmp_path):
    message = refused(runs.create, tmp_path / "run", "limit", Config(steps=True))
    assert "option steps is True; give an integer" in message


def config_file(folder: Path, /, **options) -> Path:
    path = folder / "config.json"
    content = {"schema": 1, "command": "limit", "config": {"steps": 1} | options}
    path.write_text(json.dumps(content))
    return path


def test_missing_options_take_their_defaults(tmp_path):
    assert runs.load_config(config_file(tmp_path), Config) == Config(steps=1)


def test_an_integer_is_a_float_and_a_directory_stands_for_its_config(tmp_path):
    config_file(tmp_path, scale=2)
    scale = runs.load_config(tmp_path, Config).scale
    assert type(scale) is float
    assert scale == 2.0
    assert runs.load_command(tmp_path) == "limit"


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"steps": "ten"}, ["option steps is 'ten'", "an integer"]),
        ({"steps": 1.0}, ["option steps is 1.0", "an integer"]),
        ({"steps": True}, ["option steps is True", "an integer"]),
        ({"steps": -1}, ["--steps is -1", "give 0 or more"]),
        ({"scale": "1"}, ["option scale is '1'", "a finite number"]),
        ({"scale": 2**53 + 1}, ["option scale is 9007199254740993", "a finite number"]),
        ({"scale": 10**400}, ["option scale is 1000", "a finite number"]),
        ({"scale": None}, ["option scale is None", "a finite number"]),
        ({"deterministic": 1}, ["option deterministic is 1", "true or false"]),
        ({"note": 3}, ["option note is 3", "a string"]),
        ({"folder": 3}, ["option folder is 3", "a path"]),
        ({"dtype": "float16"}, ["option dtype is 'float16'", "one of 'float32', 'float64'"]),
        ({"order": True}, ["option order is True", "one of 1, 2"]),
        ({"clip": "x"}, ["option clip is 'x'", "a finite number or null"]),
        ({"sizes": [1, 2.5]}, ["option sizes[1] is 2.5", "an integer"]),
        ({"sizes": 4}, ["option sizes is 4", "a list, each item an integer or null"]),
        ({"sigmas": [1.0, "x"]}, ["option sigmas[1] is 'x'", "a finite number"]),
        ({"sigmas": {}}, ["option sigmas is {}", "a list, each item a finite number"]),
        ({"optimizer": 1}, ["option optimizer is 1", "the options rate, betas"]),
        ({"optimizer": {"betas": [0.9]}}, ["option optimizer.betas is [0.9]", "a list of 2"]),
        ({"optimizer": {"rat": 1}}, ["option optimizer.rat is unknown", "optimizer.rate?"]),
        ({"stpes": 3}, ["option stpes is unknown", "did you mean steps?"]),
        ({"zzz": 3}, ["option zzz is unknown", "known are steps, seed"]),
        ({"note": "x" * 1000, "steps": "y" * 1000}, ["option steps is 'yyyy"]),
    ],
)
def test_a_wrong_option_is_named_with_its_value_and_what_is_allowed(tmp_path, options, parts):
    path = config_file(tmp_path, **options)
    message = refused(runs.load_config, path, Config)
    assert len(message) < 400
    for part in (str(path), *parts):
        assert part in message


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "truncated or not valid JSON"),
        ('{"schema": 1, "comm', "truncated or not valid JSON"),
        ("\xff", "truncated or not valid JSON"),
        ("[" * 100_000, "truncated or not valid JSON"),
        ("[]", "must hold exactly schema, command, config"),
        ('{"schema": 1, "config": {}}', "must hold exactly schema, command, config"),
        ('{"schema": 2, "command": "limit", "config": {}}', "schema 2, but this version reads 1"),
        ('{"schema": true, "command": "limit", "config": {}}', "schema True"),
        ('{"schema": 1, "command": 3, "config": {}}', "command is 3"),
        ('{"schema": 1, "command": "limit", "config": {}}', "option steps is missing"),
        ('{"schema": 1, "command": "limit", "config": []}', "config is []"),
        ('{"schema": 1, "command": "limit", "config": {"steps": NaN}}', "NaN is no finite number"),
        (
            '{"schema": 1, "command": "limit", "config": {"steps": 1, "scale": 1e999}}',
            "option scale is inf",
        ),
        (
            '{"schema": 1, "command": "limit", "config": {"steps": 1, "steps": 2}}',
            "'steps' is given twice",
        ),
    ],
)
def test_a_damaged_config_is_refused(tmp_path, text, part):
    path = tmp_path / "config.json"
    path.write_bytes(text.encode("latin-1"))
    message = refused(runs.load_config, path, Config)
    assert str(path) in message
    assert part in message


def test_a_config_of_another_command_or_place_is_refused(tmp_path):
    path = config_file(tmp_path)
    message = refused(runs.load_config, path, Config, command="gan")
    assert "'limit', not 'gan'" in message
    empty = tmp_path / "empty"
    empty.mkdir()
    assert str(empty / "config.json") in refused(runs.load_config, empty, Config)
    assert str(tmp_path / "no.json") in refused(runs.load_config, tmp_path / "no.json", Config)


def test_a_run_goes_from_running_to_complete(tmp_path):
    with runs.create(None, "limit", CONFIG, root=tmp_path / "runs") as run:
        assert runs.state(run.directory) == "running"
        runs.write_metrics(run, metrics())
    assert run.directory.name.startswith("limit-2")
    assert runs.state(run.directory) == "complete"
    assert {path.name for path in run.directory.iterdir()} == {
        *("config.json", "environment.json", "lock"),
        *("manifest.json", "metrics.parquet", "status.json"),
    }
    finished = runs.load(run.directory, Config, command="limit")
    assert (finished.command, finished.config) == ("limit", CONFIG)
    assert finished.metrics.equals(metrics())
    assert finished.environment["seed"] == CONFIG.seed


def test_fresh_directories_never_collide(tmp_path):
    names = set()
    for _ in range(3):
        with runs.create(None, "limit", CONFIG, root=tmp_path) as run:
            names.add(run.directory.name)
    assert len(names) == 3


def test_an_empty_directory_is_accepted_and_parents_are_made(tmp_path):
    (tmp_path / "empty").mkdir()
    assert runs.state(finish(tmp_path / "empty")) == "complete"
    assert runs.state(finish(tmp_path / "a" / "b")) == "complete"


def test_an_occupied_directory_is_refused(tmp_path):
    done = finish(tmp_path / "done")
    message = refused(runs.create, done, "limit", CONFIG)
    assert f"--run-dir {done} already holds a run (complete); choose another" in message
    (done / "status.json").write_text("{")
    assert "status.json is damaged" in refused(runs.create, done, "limit", CONFIG)
    other = tmp_path / "home"
    other.mkdir()
    (other / "letter.txt").write_text("dear")
    message = refused(runs.create, other, "limit", CONFIG)
    assert f"--run-dir {other} is not empty; choose a new" in message
    assert [path.name for path in other.iterdir()] == ["letter.txt"]


def test_an_unwritable_place_is_refused(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    for place in (file, file / "below", Path("/proc/sigmaprop"), tmp_path / ("x" * 300)):
        assert str(place) in refused(runs.create, place, "limit", CONFIG)
    for root in (file, Path("/proc/sigmaprop")):
        assert str(root) in refused(runs.create, None, "limit", CONFIG, root=root)
    assert str(file / "x") in refused(runs.write_atomic, file / "x", "text")


def test_a_place_that_is_no_run_has_no_state(tmp_path):
    assert "holds no status.json" in refused(runs.state, tmp_path)
    assert "holds no status.json" in refused(runs.state, tmp_path / "absent")
    (tmp_path / "status.json").write_text('{"status": "asleep"}')
    assert "'asleep'" in refused(runs.state, tmp_path)


def test_an_exception_makes_a_failed_run_and_passes_on(tmp_path):
    run = runs.create(tmp_path / "run", "limit", CONFIG)
    with pytest.raises(KeyError, match="loss"), run:
        raise KeyError("loss")
    assert runs.state(run.directory) == "failed"
    assert status(run.directory)["reason"] == "KeyError: 'loss'"
    assert "is failed, not complete" in refused(runs.verify, run.directory)


def test_ctrl_c_makes_an_interrupted_run_and_passes_on(tmp_path):
    run = runs.create(tmp_path / "run", "limit", CONFIG)
    with pytest.raises(KeyboardInterrupt), run:
        raise KeyboardInterrupt
    assert runs.state(run.directory) == "interrupted"
    assert status(run.directory)["reason"] == "Ctrl-C"


def test_an_error_while_finishing_makes_a_failed_run(tmp_path):
    run = runs.create(tmp_path / "run", "limit", CONFIG)
    with pytest.raises(runs.RunError, match=r"figure\.svg is missing"), run:
        runs.include(run, Path("figure.svg"))
    assert runs.state(run.directory) == "failed"


def test_a_full_disk_does_not_hide_the_error_that_ended_the_run(tmp_path, monkeypatch):
    run = runs.create(tmp_path / "run", "limit", CONFIG)
    monkeypatch.setattr(os, "replace", no_space)
    with pytest.raises(KeyError, match="loss"), run:
        raise KeyError("loss")
    assert runs.state(run.directory) == "interrupted"


def test_an_error_while_creating_makes_a_failed_run_and_frees_the_lock(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "environment", lambda seed: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        runs.create(tmp_path / "run", "limit", CONFIG)
    assert runs.state(tmp_path / "run") == "failed"
    assert "(failed)" in refused(runs.create, tmp_path / "run", "limit", CONFIG)


def test_sigterm_is_handled_inside_a_run_only(tmp_path):
    with runs.create(tmp_path / "a", "limit", CONFIG):
        assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_handler_of_the_host_program_is_left_alone(tmp_path):
    def handler(number, frame): ...

    signal.signal(signal.SIGTERM, handler)
    try:
        with runs.create(tmp_path / "a", "limit", CONFIG):
            assert signal.getsignal(signal.SIGTERM) is handler
        assert signal.getsignal(signal.SIGTERM) is handler
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def test_the_lock_lives_and_dies_with_its_process(child, tmp_path):
    directory = tmp_path / "run"
    process = child(HOLD, directory)
    assert runs.state(directory) == "running"
    message = refused(runs.create, directory, "limit", CONFIG)
    assert f"held by a living process (pid {process.pid})" in message
    assert "is running, not complete" in refused(runs.verify, directory)
    assert end(process, signal.SIGKILL) == -signal.SIGKILL
    assert status(directory)["status"] == "running"
    assert runs.state(directory) == "interrupted"
    assert "already holds a run (interrupted)" in refused(runs.create, directory, "limit", CONFIG)
    assert "is interrupted, not complete" in refused(runs.verify, directory)


@pytest.mark.parametrize(
    ("number", "code", "reason"),
    [(signal.SIGTERM, 128 + signal.SIGTERM, "SIGTERM"), (signal.SIGINT, -signal.SIGINT, "Ctrl-C")],
)
def test_a_signal_interrupts_a_run(child, tmp_path, number, code, reason):
    process = child(HOLD, tmp_path / "run")
    assert end(process, number) == code
    assert runs.state(tmp_path / "run") == "interrupted"
    assert status(tmp_path / "run")["status"] == "interrupted"
    assert status(tmp_path / "run")["reason"] == reason


def test_a_lock_without_a_run_is_no_obstacle(tmp_path):
    (tmp_path / "lock").write_text("1\n")
    assert runs.state(finish(tmp_path)) == "complete"


def test_of_several_that_create_one_directory_one_wins(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "environment", lambda seed: {})
    barrier = threading.Barrier(6)

    def attempt(_):
        barrier.wait()
        try:
            return runs.create(tmp_path / "run", "limit", CONFIG)
        except runs.RunError:
            return None

    with ThreadPoolExecutor(6) as pool:
        winners = [run for run in pool.map(attempt, range(6)) if run]
    assert len(winners) == 1
    with winners[0]:
        assert runs.state(tmp_path / "run") == "running"


def no_space(*arguments):
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("name", ["replace", "fsync"])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, name):
    path = tmp_path / "file"
    runs.write_atomic(path, "old")
    monkeypatch.setattr(os, name, no_space)
    message = refused(runs.write_atomic, path, "new")
    assert f"cannot write {path} (No space left on device)" in message
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["replace", "fsync"])
def test_a_write_that_is_interrupted_leaves_the_old_file(tmp_path, monkeypatch, name):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    path = tmp_path / "file"
    runs.write_atomic(path, b"old")
    monkeypatch.setattr(os, name, interrupt)
    with pytest.raises(KeyboardInterrupt):
        runs.write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["replace", "fsync"])
def test_metrics_that_cannot_be_written_leave_the_old_ones(tmp_path, monkeypatch, name):
    run = runs.create(tmp_path / "run", "limit", CONFIG)
    runs.write_metrics(run, metrics())
    with monkeypatch.context() as patch:
        patch.setattr(os, name, no_space)
        assert "metrics.parquet" in refused(runs.write_metrics, run, metrics((4.0, 5.0)))
    with run:
        assert runs.read_metrics(run.directory).equals(metrics())
    assert not list(run.directory.glob(".*"))


WRITE = """
import os, pathlib
os.fsync = lambda descriptor: None  # more writes a second; a killed process loses none
print("ready", flush=True)
for number in range(1_000_000):
    runs.write_atomic(pathlib.Path(sys.argv[1]), bytes([number % 256]) * 1_000_000)
"""


def test_readers_and_killed_writers_see_whole_files_only(child, tmp_path):
    path = tmp_path / "file"
    for number in range(6):
        process = child(WRITE, path)
        deadline = time.monotonic() + 0.05 + 0.013 * number
        while time.monotonic() < deadline or not path.exists():
            assert is_whole(path)
        end(process, signal.SIGKILL)
        assert is_whole(path)
    assert path.exists()


def is_whole(path: Path) -> bool:
    content = path.read_bytes() if path.exists() else bytes(1_000_000)
    return content == content[:1] * 1_000_000


# The system lets a file grow to 500,000 bytes, then kills the writer or fails its write.
OVERFLOW = """
import pathlib, resource, signal
signal.signal(signal.SIGXFSZ, getattr(signal, sys.argv[2]))
resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))
print("ready", flush=True)
runs.write_atomic(pathlib.Path(sys.argv[1]), b"b" * 1_000_000)
"""


@pytest.mark.parametrize(
    ("action", "code", "num_files"), [("SIG_DFL", -signal.SIGXFSZ, 2), ("SIG_IGN", 1, 1)]
)
def test_a_writer_that_dies_or_fails_half_way_leaves_the_old_file(
    child, tmp_path, action, code, num_files
):
    path = tmp_path / "file"
    runs.write_atomic(path, b"a" * 1000)
    process = child(OVERFLOW, path, action)
    process.communicate(timeout=20)
    assert process.returncode == code
    assert path.read_bytes() == b"a" * 1000
    assert len(list(tmp_path.iterdir())) == num_files


APPEND = """
import dataclasses, pathlib, numpy, pyarrow
Config = dataclasses.make_dataclass("Config", [("steps", int, 1)], frozen=True)
with runs.create(pathlib.Path(sys.argv[1]), "limit", Config()) as run:
    for step in range(1_000_000):
        table = pyarrow.table({"step": [step] * 1000, "value": numpy.full(1000, step * 1.0)})
        runs.append_part(run, step, table)
        if step == 0:
            print("ready", flush=True)
"""


def test_a_killed_run_leaves_readable_metrics(child, tmp_path):
    for number in range(3):
        directory = tmp_path / str(number)
        process = child(APPEND, directory)
        time.sleep(0.1 + 0.017 * number)
        end(process, signal.SIGKILL)
        table = runs.read_metrics(directory)
        steps = table.num_rows // 1000
        assert steps > 0
        assert table["step"].to_pylist() == np.repeat(np.arange(steps), 1000).tolist()


def test_parts_read_like_one_table_and_merge_into_it(tmp_path):
    run = runs.create(tmp_path / "run", "limit", CONFIG)
    with run:
        assert "holds no metrics yet" in refused(runs.read_metrics, run.directory)
        for step in (20, 3, 100):
            runs.append_part(run, step, metrics((float(step), NAN_B)))
        names = sorted(path.name for path in (run.directory / "metrics").iterdir())
        assert names == [f"part-{step:09d}.parquet" for step in (3, 20, 100)]
        parts = runs.read_metrics(run.directory)
        assert parts["value"].to_pylist()[::2] == [3.0, 20.0, 100.0]
        runs.merge_parts(run)
        runs.merge_parts(run)
        assert not (run.directory / "metrics").exists()
        assert runs.compare_tables(parts, runs.read_metrics(run.directory)) == []
    runs.verify(run.directory)


def test_parts_are_merged_at_the_end(tmp_path):
    with runs.create(tmp_path / "run", "limit", CONFIG) as run:
        runs.append_part(run, 1, metrics())
    assert (run.directory / "metrics.parquet").exists()
    assert not (run.directory / "metrics").exists()
    runs.verify(run.directory)


def test_parts_with_other_columns_are_refused(tmp_path):
    run = runs.create(tmp_path / "run", "limit", CONFIG)
    runs.append_part(run, 1, metrics())
    runs.append_part(run, 2, metrics(dtype=np.float64))
    with (
        pytest.raises(runs.RunError, match=r"part-000000002\.parquet.*value double, not .*float"),
        run,
    ):
        pass
    assert runs.state(run.directory) == "failed"
    assert not (run.directory / "metrics.parquet").exists()
    assert len(list((run.directory / "metrics").iterdir())) == 2


def test_truncated_metrics_are_refused_at_every_length(tmp_path):
    path = finish(tmp_path / "run") / "metrics.parquet"
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        message = refused(runs.read_metrics, path.parent)
        assert f"{path} is truncated or damaged" in message
        assert "repeat the run" in message


def test_a_flipped_bit_in_a_page_is_refused_or_harmless(tmp_path):
    table = metrics(np.linspace(1.1, 2.2, 1000))
    run = runs.create(tmp_path / "run", "limit", CONFIG)
    runs.append_part(run, 1, table)
    (path,) = (run.directory / "metrics").iterdir()
    whole = path.read_bytes()
    footer = int.from_bytes(whole[-8:-4], "little") + 8
    num_refused = 0
    for position in range(0, len(whole) - footer, 20):
        path.write_bytes(flipped(whole, position))
        try:
            read = runs.read_metrics(run.directory)
        except runs.RunError:
            num_refused += 1
        else:
            assert read.equals(table)
    assert num_refused > 0.9 * (len(whole) - footer) / 20
    path.write_bytes(whole)
    with run:
        assert runs.read_metrics(run.directory).equals(table)


def flipped(data: bytes, position: int) -> bytes:
    return data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]


@pytest.mark.parametrize(
    "name", ["config.json", "environment.json", "metrics.parquet", "manifest.json", "figure.svg"]
)
def test_a_flipped_bit_in_any_file_is_found(tmp_path, name):
    with runs.create(tmp_path / "run", "limit", CONFIG) as run:
        runs.append_part(run, 1, metrics())
        runs.write_atomic(run.directory / "figure.svg", "<svg/>")
        runs.include(run, run.directory / "figure.svg")
    path = run.directory / name
    whole = path.read_bytes()
    for position in range(0, len(whole), max(1, len(whole) // 60)):
        path.write_bytes(flipped(whole, position))
        message = refused(runs.verify, run.directory)
        assert str(path) in message
        assert "restore it" in message
        assert str(path) in refused(runs.load, run.directory, Config)
    path.unlink()
    assert str(path) in refused(runs.verify, run.directory)
    path.write_bytes(whole)
    runs.verify(run.directory)


def test_a_moved_run_still_verifies(tmp_path):
    finish(tmp_path / "a")
    shutil.move(tmp_path / "a", tmp_path / "b")
    runs.verify(tmp_path / "b")


def test_only_files_of_the_run_go_into_its_manifest(tmp_path):
    with runs.create(tmp_path / "run", "limit", CONFIG) as run:
        for path in (tmp_path / "other", Path("../other")):
            with pytest.raises(ValueError, match="lies outside"):
                runs.include(run, path)


def test_equal_tables_do_not_differ_in_any_row_order():
    a = metrics((1.0, NAN_A, -0.0, np.inf))
    assert runs.compare_tables(a, a) == []
    assert runs.compare_tables(a, a.take([3, 1, 0, 2])) == []
    assert runs.compare_tables(metrics(()), metrics(())) == []


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_one_flipped_bit_is_one_difference(dtype):
    values = np.array([1.0, 2.0, 3.0], dtype)
    bits = values.view(f"u{values.itemsize}").copy()
    bits[1] ^= 1
    a, b = metrics(values, dtype), metrics(bits.view(dtype), dtype)
    (difference,) = runs.compare_tables(a, b)
    assert difference.kind == "value"
    assert difference.row == {"step": 1, "metric": "loss"}
    assert (difference.column, difference.left) == ("value", 2.0)
    assert difference.right == bits.view(dtype)[1]
    assert str(difference).startswith("step=1, metric='loss': value was 2.0 and is now 2.0")


@pytest.mark.parametrize(
    ("left", "right", "text"),
    [
        (0.0, -0.0, "was 0.0 and is now -0.0"),
        (NAN_A, NAN_B, "was nan and is now nan (other bits)"),
        (NAN_A, 0.0, "was nan and is now 0.0"),
    ],
)
def test_values_are_compared_by_their_bits(left, right, text):
    (difference,) = runs.compare_tables(metrics((left,)), metrics((right,)))
    assert text in str(difference)


def test_a_null_is_no_nan():
    a, b = (pa.table({"value": pa.array([x, 1.0], pa.float32())}) for x in (None, float("nan")))
    assert runs.compare_tables(a, a) == []
    (difference,) = runs.compare_tables(a, b)
    assert difference.row == {"row": 0}
    assert difference.left is None


def test_missing_and_extra_rows_and_columns_are_named():
    a, b = metrics((1.0, 2.0, 3.0)), metrics((1.0, 2.0, 3.0, 4.0)).slice(1)
    missing, extra = runs.compare_tables(a, b)
    assert str(missing) == "missing row: step=0, metric='loss'"
    assert str(extra) == "extra row: step=3, metric='loss'"
    (column,) = runs.compare_tables(a, a.drop_columns("value"))
    assert str(column) == "missing column: value"
    (column,) = runs.compare_tables(a.drop_columns("metric"), a)
    assert str(column) == "extra column: metric"
    (kind,) = runs.compare_tables(a, metrics(dtype=np.float64))
    assert str(kind) == "value was 'float' and is now 'double'"


def test_rows_of_equal_keys_are_matched_in_their_order_or_by_a_float_key():
    a = pa.table({"metric": ["loss"] * 3, "sigma": [0.1, 0.0, -0.0], "value": [1.0, 2.0, 3.0]})
    swapped = a.take([1, 0, 2])
    assert len(runs.compare_tables(a, swapped)) == 4
    assert runs.compare_tables(a, swapped, keys=("metric", "sigma")) == []
    (difference,) = runs.compare_tables(a, a.slice(0, 2))
    assert difference.kind == "missing row"


def test_the_environment_holds_what_the_bits_depend_on(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_dummy")
    monkeypatch.setenv("JAX_DUMMY", "1")
    found = environments.environment(3)
    assert json.loads(json.dumps(found)) == found
    assert found["seed"] == 3
    assert found["flags"] == {**found["flags"], "XLA_FLAGS": "--xla_dummy", "JAX_DUMMY": "1"}
    assert all(
        found["versions"][name] for name in ("python", "jax", "jaxlib", "numpy", "sigmaprop")
    )
    assert set(found["device"]) == {"backend", "kind", "count"}
    assert found["device"]["count"] >= 1
    assert found["cpu"]["model"]
    assert found["cpu"]["cores"] >= 1
    assert found["x64"] in (False, True)
    assert environments.environment_differences(found, found) == []


def test_differences_come_most_important_first():
    a = environments.environment(0)
    b = json.loads(json.dumps(a)) | {"seed": 1, "argv": [], "x64": not a["x64"]}
    b["device"] |= {"kind": "NVIDIA H200", "count": 8}
    b["versions"] |= {"jax": "9.9", "jaxlib": "9.8", "python": "4.0"}
    b["flags"] = {"XLA_FLAGS": "--fast", "JAX_COMPILATION_CACHE_DIR": "/cache"}
    b["git"] = {"commit": "f" * 40, "dirty": True}
    sentences = environments.environment_differences(a | {"flags": {}}, b)
    starts = "device kind", "device count", "jax", "jaxlib", "python", "x64", "XLA", "the checkout"
    assert len(sentences) == len(starts)
    for sentence, start in zip(sentences, starts, strict=True):
        assert sentence.startswith(start)
    assert sentences[2] == f"jax was {a['versions']['jax']} and is now 9.9"
    assert sentences[6] == "XLA_FLAGS was unset and is now --fast"
    assert sentences[7].endswith(f"{'f' * 40} with uncommitted changes")
    assert environments.environment_differences({}, a)


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_only_a_checkout_that_tracks_the_package_gives_a_commit(tmp_path):
    def git(*arguments):
        identity = ("-c", "user.name=a", "-c", "user.email=a@b.c")
        subprocess.run(["git", *identity, "-C", tmp_path, *arguments], check=True)

    package = tmp_path / "package"
    runs.write_atomic(package / "__init__.py", "")
    assert environments._git(package) is None
    git("init", "-q")
    assert environments._git(package) is None
    git("add", ".")
    git("commit", "-q", "-m", "first", "--no-verify")
    found = environments._git(package)
    assert found is not None
    assert len(found["commit"]) == 40
    assert found["dirty"] is False
    runs.write_atomic(package / "__init__.py", "x = 1")
    assert environments._git(package) == found | {"dirty": True}
