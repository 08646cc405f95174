"""Commands in processes of their own, as a user types them, and what their runs must hold.

Every run here is of one small game, so that all can be held against one that nothing disturbed.
"""

import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from sigmaprop.experiments.cli import registry

from sigmaprop import runs
from sigmaprop.runs import checkpoints, configs, files, tables

SCRIPT = Path(sys.executable).with_name("sigmaprop")
GAN = (
    *("gan", "--dataset", "ring", "--seeds", "2", "--metrics-every", "500"),
    *("--widths", "4", "--discriminator-widths", "4", "--latent-dim", "2", "--batch-size", "8"),
    *("--sweep.arm", "zero", "global", "--eval-samples", "32", "--evaluations", "2"),
    *("--gap-evaluations", "1", "--gap-samples", "64", "--gap-sigmas", "1", "0.1"),
    *("--checkpoint-seconds", "0.1"),
)
LONG, SHORT = ("--steps", "12000"), ("--steps", "2000")
LIMIT = (
    *("limit", "--objective", "quartic", "sine", "absolute", "step", "--dim", "2"),
    *("--sigmas", "1", ".1", "--batch-sizes", "1", "4", "16", "--num-samples", "256"),
    *("--estimators", "pathwise", "at_mean", "--noise", "iid"),
)
WAIT = 300
"""Seconds after which a command counts as hanging."""


def start(*words: object, env: dict[str, str] | None = None, **options: Any) -> subprocess.Popen:
    """A command that is under way."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    command = [str(SCRIPT), *map(str, words)]
    return subprocess.Popen(command, env=os.environ | (env or {}), **(pipes | options))


def run(*words: object, env: dict[str, str] | None = None, **options: Any) -> Any:
    """A command that has ended."""
    command = [str(SCRIPT), *map(str, words)]
    options = {"capture_output": True, "text": True, "timeout": WAIT} | options
    return subprocess.run(command, env=os.environ | (env or {}), **options)


def succeeded(ended: Any) -> str:
    """What a command printed that ended well."""
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr
    return ended.stdout


def told(ended: Any, status: int, *parts: str) -> str:
    """The one sentence on standard error with which a command ended; parts of it are named."""
    assert ended.returncode == status, ended.stdout + ended.stderr
    lines = ended.stderr.splitlines()
    assert len(lines) == 1, ended.stderr
    assert lines[0].startswith("sigmaprop: ")
    for part in parts:
        assert part in lines[0], lines[0]
    return lines[0]


def wait_for(process: subprocess.Popen, what: Callable[[], object], patience: float = WAIT) -> bool:
    """Waits until something is so; False where the process ended before."""
    begin = time.monotonic()
    while not what():
        if process.poll() is not None:
            return False
        assert time.monotonic() - begin < patience
        time.sleep(0.001)
    return True


def saved(directory: Path) -> list[int]:
    """The steps of a run's checkpoints."""
    return checkpoints.steps(directory)


def status(directory: Path) -> dict[str, Any]:
    """What a run recorded of itself, {} where it has not yet."""
    path = directory / "status.json"
    return json.loads(path.read_text()) if path.exists() else {}


def contents(directory: Path) -> dict[str, Any]:
    """What a complete run found: every number that no clock goes into, with its bits."""
    experiment = registry.of_run(directory)
    found = runs.load(directory, experiment.config, command=experiment.command)
    table = found.metrics.replace_schema_metadata(None)
    if experiment.timed:
        timed = pa.compute.is_in(table["metric"], pa.array(list(experiment.timed)))
        table = table.filter(pa.compute.invert(timed))
    rest = [*directory.glob("*.npz"), directory / "comparison.json", directory / "reference.json"]
    return {
        "rows": table,
        "keys": list(experiment.keys),
        **{path.name: _bits(path) for path in rest if path.exists()},
        "conclusions": json.loads(_text(directory / "conclusions.json")),
    }


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else "null"


def _bits(path: Path) -> Any:
    """JSON as it is, arrays by name with their bits: what a file holds, not how."""
    if path.suffix == ".json":
        return path.read_bytes()
    with np.load(io.BytesIO(path.read_bytes())) as file:
        return {name: (file[name].dtype, file[name].tobytes()) for name in file.files}


def assert_same(first: Path, second: Path) -> None:
    """Two complete runs hold the same rows, each once, and the same examples, bit by bit."""
    a, b = contents(first), contents(second)
    assert runs.compare_tables(a["rows"], b["rows"], keys=a["keys"]) == []
    keys = zip(*(b["rows"][name].to_pylist() for name in b["keys"]), strict=True)
    assert len(set(keys)) == b["rows"].num_rows
    assert a.keys() == b.keys()
    for name in a.keys() - {"rows"}:
        assert a[name] == b[name], name


def assert_whole(directory: Path) -> None:
    """Whatever counts in the directory of a killed run is whole, as its own checksums say."""
    for path in directory.glob("*.json"):
        files.read_json(path)
    if (directory / "config.json").exists():
        configs.load_command(directory)
        for name, digest in (runs.run.verify_seals(directory) or {}).items():
            assert not (directory / name).exists() or files.sha256(directory / name) == digest
    steps = saved(directory)
    for step in steps:
        files.verify_manifest(directory / "checkpoints" / f"{step:09d}")
    if runs.state(directory) == "complete":
        runs.verify(directory)
    else:
        assert tables.damage(directory, steps) is None


def preloaded(folder: Path, code: str) -> dict[str, str]:
    """Environment variables with which a command runs some code before anything else.

    The code may call ``after(module, change)``: ``change(module)`` is called once it is imported.
    """
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(f"from hook import after\n{code}")
    (folder / "hook.py").write_text(_HOOK)
    before = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": os.pathsep.join([str(folder), *([before] if before else [])])}


_HOOK = """
import importlib.util
import sys


class Finder:
    def __init__(self, name, change):
        self.name, self.change = name, change

    def find_spec(self, name, path=None, target=None):
        if name != self.name:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            self.change(module)

        spec.loader.exec_module = exec_module
        return spec


def after(name, change):
    sys.meta_path.insert(0, Finder(name, change))
"""
