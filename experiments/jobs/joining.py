"""One run of the runs of jobs: the rows and files that one process would have written.

A replica's numbers do not depend on the others that train beside it, so those of each job are taken
as they are, under the numbers that the replicas have among all. What follows training, such as the
comparison of arms, is done anew with all seeds.
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from sigmaprop import runs
from sigmaprop.names import shown
from sigmaprop.runs.arrays import read_arrays, save_arrays
from sigmaprop.runs.files import RunError, exists, read_json, read_regular

from ..cli.launch import Experiment

_SEEDS = ("seeds", "first_seed", "frozen_values", "frozen_sha256")
"""Options in which a job may differ from the whole."""
_OF_ALL, _OF_FIRST = ("samples-{}.npz", "model-{}.npz", "noise-{}.npz"), "moments-{}-*.npz"
"""Files of a group with a row for each replica, and for those of the first seed."""


class Job(NamedTuple):
    """The run of a job.

    Attributes:
        directory: of it.
        metrics: its table.
        numbers: by the number of a replica in the job, that among all.
        seeds: by the number of a replica in the job, that of its seed.
    """

    directory: Path
    metrics: pa.Table
    numbers: np.ndarray
    seeds: np.ndarray


def joined(experiment: Experiment, directories: Sequence[Path]) -> Experiment:
    """An experiment that takes what these runs have measured instead of measuring."""

    def run(config: Any, plan: Any, directory: runs.Run, progress: Any) -> list[Any]:
        found = [_read(experiment, config, plan, one) for one in directories]
        _take(experiment, directory, found[0].directory)
        step = len(plan.groups) * config.steps
        table = pa.concat_tables([_renumbered(one, config.first_seed) for one in found])
        runs.append_part(directory, step, table)
        adopt = functools.partial(_adopt, directory, found, config.first_seed)
        return experiment.run(config, plan, directory, progress, None, adopt)

    return experiment._replace(
        run=run,
        headline=lambda config, plan: (
            f"joining {len(directories)} jobs: {experiment.headline(config, plan)}"
        ),
        total=lambda config, plan: None,
        warning=lambda config: "",
    )


def _read(experiment: Experiment, config: Any, plan: Any, directory: Path) -> Job:
    """The run of a job, verified."""
    found = runs.load(directory, experiment.config, command=experiment.command)
    own = {name: getattr(config, name) for name in _SEEDS if hasattr(config, name)}
    same = dataclasses.replace(found.config, **own)
    if same != config:
        names = (field.name for field in dataclasses.fields(config))
        name = next(one for one in names if getattr(same, one) != getattr(config, one))
        raise RunError(
            f"{directory} ran with another --{name.replace('_', '-')} "
            f"({shown(getattr(same, name))}); remove it, and give the command again"
        )
    places = {(one.cell.number, one.seed): one.number for one in plan.replicas}
    replicas = read_json(directory / "replicas.json")
    numbers = np.asarray([places[one["cell"], one["seed"]] for one in replicas])
    seeds = np.asarray([one["seed"] for one in replicas])
    return Job(directory, found.metrics, numbers, seeds)


def _take(experiment: Experiment, directory: runs.Run, first: Path) -> None:
    """Where the numbers were made, and what a repetition begins with: as the first job has it."""
    names = [name for name in experiment.carried if exists(first / name)]
    for name in ("environment.json", *names):
        runs.write_atomic(directory.directory / name, read_regular(first / name))
    runs.seal(directory, directory.directory / "environment.json")
    for name in names:
        runs.include(directory, Path(name))


def _renumbered(job: Job, first_seed: int) -> pa.Table:
    """The metrics of a job; the gap is measured in the first seed alone."""
    table, own = job.metrics, np.asarray(job.metrics["replica"])
    kept = np.ones(len(own), bool)
    if "sigma" in table.column_names:
        kept = (np.asarray(table["sigma"]) == 0) | (job.seeds[own] == first_seed)
    place = table.column_names.index("replica")
    kind = table.schema.field("replica").type
    renumbered = table.set_column(place, "replica", pa.array(job.numbers[own], kind))
    return renumbered.filter(pa.array(kept)).replace_schema_metadata(None)


def _adopt(directory: runs.Run, jobs: Sequence[Job], first_seed: int, group: int) -> None:
    """Writes the files of a group, in place of its training."""
    shown = [read_arrays(job.directory / _OF_ALL[0].format(group))["replica"] for job in jobs]
    first = jobs[0].directory
    for name in (pattern.format(group) for pattern in _OF_ALL):
        if exists(first / name):
            each = [read_arrays(job.directory / name) for job in jobs]
            _write(directory, name, jobs, each, shown)
    for path in sorted(first.glob(_OF_FIRST.format(group))):
        each = [read_arrays(job.directory / path.name) for job in jobs]
        if each[0]["x_last"].shape[-1] > 1:  # of one coordinate every seed is kept
            each = [_of_seed(one, job, first_seed) for one, job in zip(each, jobs, strict=True)]
        _write(directory, path.name, jobs, each, [one["replica"] for one in each])


def _of_seed(arrays: Mapping[str, np.ndarray], job: Job, seed: int) -> dict[str, np.ndarray]:
    """The rows of one seed."""
    rows = job.seeds[arrays["replica"]] == seed
    return {name: array[rows] for name, array in arrays.items()}


def _write(
    directory: runs.Run,
    name: str,
    jobs: Sequence[Job],
    each: Sequence[Mapping[str, np.ndarray]],
    replicas: Sequence[np.ndarray],
) -> None:
    """Writes the rows of all jobs, in the order of replicas, which ``replicas`` has job by job."""
    numbers = np.concatenate([job.numbers[own] for job, own in zip(jobs, replicas, strict=True)])
    order = np.argsort(numbers, kind="stable")
    arrays = {key: np.concatenate([one[key] for one in each])[order] for key in each[0]}
    if "replica" in arrays:
        arrays["replica"] = numbers[order]
    path = directory.directory / name
    save_arrays(path, arrays)
    runs.seal(directory, path)
    runs.include(directory, path)
