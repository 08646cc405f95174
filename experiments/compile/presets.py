"""A table of every preset of `gan` and `vae` on accelerators that need not be here.

    python -m sigmaprop.experiments.compile.presets results/compile-presets.json

Each row is what `sigmaprop compile gan --preset NAME --target TARGET --steps-only` finds of the
steps of a program. Presets whose data are not prepared are left out, and named. Expect 10 seconds
to a minute for each; what was stopped goes on.
"""

import importlib.metadata
import itertools
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sigmaprop.runs.files import read_json, write_json

from ..gan.presets import GAN_PRESETS
from ..vae.config import VAE_PRESETS

TARGETS = ("h100", "tpu-v5e:2x2")
PRESETS = (*(("gan", name) for name in GAN_PRESETS), *(("vae", name) for name in VAE_PRESETS))
_PACKAGES = ("jax", "jaxlib", "jax-cuda12-plugin", "jax-cuda13-plugin", "libtpu")


def record(
    file: Path,
    presets: Sequence[tuple[str, str]] = PRESETS,
    targets: Sequence[str] = TARGETS,
) -> None:
    """Writes the table, with the versions that it was made with, after each of its rows.

    Rows that the file has already stay as they are: what was stopped goes on.
    """
    versions = {name: version for name in _PACKAGES if (version := _version(name))}
    rows: list[dict[str, Any]] = read_json(file)["rows"] if file.exists() else []
    there = {(row["command"], row["preset"], row["target"]) for row in rows}
    for (command, preset), target in itertools.product(presets, targets):
        if (command, preset, target) not in there:
            print(f"{command} {preset} for {target}", file=sys.stderr)
            rows += compile_preset(command, preset, target)
            write_json(file, {"schema": 1, "versions": versions, "rows": rows})


def compile_preset(command: str, preset: str, target: str) -> list[dict[str, Any]]:
    """A row for each program of a preset; none where it cannot be compiled here."""
    script = shutil.which("sigmaprop", path=str(Path(sys.executable).parent)) or "sigmaprop"
    words = [script, "compile", command, "--preset", preset, "--target", target]
    ended = subprocess.run(
        [*words, "--json", "--steps-only"], capture_output=True, text=True, check=False
    )
    if ended.returncode not in (0, 1) or not ended.stdout:
        print(ended.stderr.strip().rpartition("\n")[2], file=sys.stderr)
        return []
    content = json.loads(ended.stdout)
    about = {"command": command, "preset": preset, "target": target, "chips": content["chips"]}
    return [about | row for row in _rows(content["programs"])]


def _rows(programs: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for program in programs:
        if (step := program.get("step")) is not None:
            yield {
                "program": program["name"],
                "replicas": program["units"],
                "memory": program["memory"]["total"],
                "fit": program["fit"],
                "collectives": program["collectives"],
                **{name: value for name, value in step.items() if name not in ("unit", "loops")},
            }


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


if __name__ == "__main__":
    record(Path(sys.argv[1]))
