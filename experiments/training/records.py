"""What a run of replicas records beside its numbers: who they are, and what they were shown."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from sigmaprop import runs
from sigmaprop.data.dataset import Dataset
from sigmaprop.generators.arms import Arm, get
from sigmaprop.generators.settling import shortfall
from sigmaprop.runs.files import atomic, exists, read_json, write_json

from ..terminal import counted
from .cells import cells, kind_of
from .loop import Progress
from .sweep import Replica

SHOWN = 64
"""Examples of each replica that are kept for pictures."""
_MOST_TOLD = 4
"""Cells that a warning names."""


def total_work(config: Any, plan: Any) -> int:
    """Replica-steps of the whole run: what a progress bar counts to."""
    return len(plan.replicas) * config.steps


def headline(config: Any, plan: Any) -> str:
    """What is about to be trained."""
    sizes = f"{counted(len(plan.cells), 'cell')} x {counted(config.seeds, 'seed')}"
    programs = counted(len(plan.groups), "program")
    return f"{config.dataset}: {sizes} in {programs}, {config.steps:,} steps each"


def cannot_settle(config: Any) -> str:
    """Which cells learn a sigma that no end of this run can show to have settled; empty if none."""
    found = {
        cell.label: why
        for cell in cells(config, kind_of(type(config)).of)
        if get(cell.options.arm).learns and (why := shortfall(vars(cell.options), config.steps))
    }
    if not found:
        return ""
    first, *more = found
    mark = "; " if any("," in name for name in found) else ", "
    which = mark.join((first, *more[: _MOST_TOLD - 1]))
    which += f" and {len(found) - _MOST_TOLD} more" if len(found) > _MOST_TOLD else ""
    return (
        f"a sigma will not have settled in {which}: {found[first]}; raise --sigma-learning-rate or "
        "--steps, or bring --sigma-floor and --sigma-ceiling nearer"
    )


def begin(directory: runs.Run, plan: Any, arms: Mapping[str, Arm], progress: Progress) -> None:
    """Records who the replicas are, some real examples, and which data they train on."""
    learns = [arms[one.cell.options.arm].learns for one in plan.replicas]
    save_json(directory, "replicas.json", [*map(describe, plan.replicas, learns)])
    write_real(directory, plan.dataset)
    tell_other_data(directory, plan.dataset, progress)


def describe(replica: Replica, learns: bool) -> dict[str, Any]:
    """A replica for replicas.json; ``learns`` says whether its sigma is learned."""
    cell = replica.cell
    return {
        "replica": replica.number,
        "cell": cell.number,
        "label": cell.label,
        "arm": cell.options.arm,
        "seed": replica.seed,
        "swept": cell.values,
        "learns": learns,
    }


def save_json(directory: runs.Run, name: str, content: Any) -> None:
    """Writes a file of the run that its manifest lists."""
    path = directory.directory / name
    runs.write_atomic(path, json.dumps(content, indent=1))
    runs.include(directory, path)


def write_real(directory: runs.Run, dataset: Dataset) -> None:
    """Some training examples for the report."""
    rows = dataset.splits.train[:SHOWN]
    path = directory.directory / "real.npz"
    with atomic(path) as file:
        np.savez(file, x=dataset.x[rows], shape=np.asarray(dataset.shape))
    runs.include(directory, path)


def tell_other_data(directory: runs.Run, dataset: Dataset, progress: Progress) -> None:
    """Records what the examples are, or says that they are not those that the run began with."""
    path = directory.directory / "data.json"
    found = {"schema": 1, "sha256": _digest(dataset)}
    if not exists(path):
        write_json(path, found)
        runs.seal(directory, path)
    elif read_json(path) != found:
        progress.say(
            "differs: the data set holds other bits than when the run began; prepare it anew from "
            "the same files, or start anew"
        )
    runs.include(directory, path)


def _digest(dataset: Dataset) -> str:
    """The SHA-256 of examples and splits."""
    found = hashlib.sha256()
    for array in (dataset.x, *dataset.splits):
        found.update(f"{array.dtype}{array.shape}".encode())
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()
