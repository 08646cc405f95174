"""What runs hold, as tidy tables: the one reader of every report, and of `sigmaprop.load`.

This package draws from files alone: it imports no JAX.
"""

import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sigmaprop.reporting.fmt import plain
from sigmaprop.reporting.unfinished import notice
from sigmaprop.runs import read_metrics
from sigmaprop.runs.arrays import read_arrays
from sigmaprop.runs.files import RunError, read_json
from sigmaprop.runs.tables import check_columns

LARGEST = 1e100
"""Larger numbers are overflow and are not drawn."""
_LONGEST_LABEL = 48
_FIRST = ("dtype", "dim", "seed")
_MEASURED = ("value", "error", "theory")
_COLUMNS = {
    "limit": (
        ("objective", "dtype", "estimator", "noise", "wrt", "metric"),
        ("dim", "sigma", "batch_size", "num_batches", *_MEASURED),
    ),
    "estimators": (
        ("study", "objective", "gaussian", "estimator", "noise", "wrt", "metric"),
        ("dim", "sigma", "num_samples", "x", *_MEASURED),
    ),
    "evaluate": (("metric", "of", "weights", "features"), ("replica", "value", "error")),
    "metrics": (
        ("metric", "data", "features", "quantity"),
        ("dim", "num_samples", "num_held_out", "x", "value", "error", "low", "high"),
    ),
    "gan": (("metric", "of", "weights"), ("step", "replica", "sigma", "batch_size", "value")),
    "vae": (("metric", "of", "weights"), ("step", "replica", "sigma", "batch_size", "value")),
}
"""By command the columns of words and of numbers that its table must have."""
_OF_REPLICAS = ("gan", "vae")
"""Commands that train replicas, whose conclusions are comparisons of cells."""
_OF_CLAIM = ("objective", "claim", "expected", "verdict", "sigma_low", "sigma_high")
_ABOUT = {"study": "", "quantity": "", "estimator": "", "wrt": "", "x": math.nan}
"""What claims of older runs do not say."""


@dataclasses.dataclass(frozen=True)
class Run:
    """A run as it lies on disk.

    Attributes:
        directory: where.
        command: the experiment's name.
        config: its options.
        environment: versions, device, flags, commit.
        claims: its conclusions, a dictionary each, with NaN for what is not known; of a run of
            `gan` or `vae` the comparison of each cell.
        notice: how far it has come, empty for a complete run.
        label: what tells it from the others it was loaded with, empty for one alone.
        step: whose ``samples`` it has, None for the last; see `at`.
    """

    directory: Path
    command: str
    config: dict[str, Any]
    environment: dict[str, Any]
    claims: list[dict[str, Any]]
    notice: str = ""
    label: str = ""
    step: int | None = None

    @property
    def name(self) -> str:
        """Of the directory."""
        return self.directory.resolve().name

    @functools.cached_property
    def frame(self) -> pd.DataFrame:
        """Every number of the run, a row each, as ``metrics.parquet`` has them.

        Of sweeps and comparisons of estimators what has overflown (above 1e100) is NaN.

        A run of `gan` or `vae` has further columns: ``cell`` (the number of a combination of swept
        values), ``label``, ``arm``, ``learns``, ``seed`` and each swept option, which bears
        ``_option`` behind its name where that is a column already.

        Raises:
            RunError: the table is missing or damaged, or a column is missing.
        """
        table = read_metrics(self.directory)
        words, numbers = _COLUMNS.get(self.command, ((), ()))
        check_columns(table, self.directory, words=words, numbers=numbers)
        try:
            frame = table.to_pandas()
            for name in _MEASURED:
                if name in frame and self.command not in _OF_REPLICAS:
                    values = frame[name].to_numpy(float)
                    with np.errstate(invalid="ignore"):
                        frame[name] = np.where(np.abs(values) < LARGEST, values, np.nan)
            if "replica" in frame:
                taken = {name: f"{name}_option" for name in self.replicas if name in frame}
                frame = frame.join(self.replicas.rename(columns=taken), on="replica")
        except (KeyError, TypeError, ValueError) as error:
            raise odd(self.directory / "metrics.parquet", error) from error
        return frame

    @functools.cached_property
    def replicas(self) -> pd.DataFrame:
        """Of a run of `gan`: what each replica is, by its number."""
        path = self.directory / "replicas.json"
        try:
            rows = [
                {k: v for k, v in one.items() if k != "swept"} | _plain(one["swept"])
                for one in read_json(path)
            ]
            return pd.DataFrame(rows).set_index("replica").sort_index()
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise odd(path, error) from error

    @functools.cached_property
    def samples(self) -> dict[str, np.ndarray]:
        """Of a run of `gan`: examples of the last iterate, "mean", "x" and "scale": [R, N, D].

        Empty where none were kept yet.

        Raises:
            RunError: a file is damaged.
        """
        if self.step in (None, self._last):
            return self._examples("samples-*.npz", ("mean", "x", "scale"))
        return self._examples(f"moments-*-{self.step}.npz", ("mean", "x"))

    @functools.cached_property
    def moments(self) -> tuple[int, ...]:
        """Of a run of `gan`: the steps after which examples were kept, for `at`."""
        found = (path.stem.rpartition("-")[2] for path in self.directory.glob("moments-*-*.npz"))
        steps = {int(step) for step in found if step.isdecimal()}
        ended = any(self.directory.glob("samples-*.npz"))
        return tuple(sorted(steps | {self._last} if ended else steps))

    def at(self, step: int) -> "Run":
        """The run with the ``samples`` of one of its ``moments``.

        Their latents are those of the last step. Before that they have no "scale", and where an
        example has two coordinates or more those of the first seed of a cell alone: NaN elsewhere.
        """
        return dataclasses.replace(self, step=step)

    @property
    def _last(self) -> int:
        return int(self.config.get("steps", 0))

    def _examples(self, pattern: str, names: Sequence[str]) -> dict[str, np.ndarray]:
        """The examples of all groups of replicas, NaN where there are none."""
        found: dict[str, np.ndarray] = {}
        num = len(self.replicas)
        for path in sorted(self.directory.glob(pattern)):
            arrays = read_arrays(path)
            try:
                for name in names:
                    own = arrays[f"{name}_last"]
                    empty = np.full((num, *own.shape[1:]), np.nan, np.float32)
                    found.setdefault(name, empty)[arrays["replica"]] = own
            except (IndexError, KeyError, TypeError, ValueError) as error:
                raise odd(path, error) from error
        return found

    def json(self, name: str, default: Any = None) -> Any:
        """What another JSON file of the run holds, the default where there is none."""
        path = self.directory / name
        return read_json(path) if path.exists() else default


def load(directory: str | Path) -> Run:
    """Reads a run directory, finished or not.

    Example:
        >>> run = sigmaprop.load("runs/first")                    # doctest: +SKIP
        >>> run.frame.query("metric == 'mmd2' and of == 'x'")     # doctest: +SKIP

    Raises:
        RunError: it is no run directory, or a file is missing or damaged.
    """
    directory = Path(directory)
    content = read_json(directory / "config.json")
    environment = read_json(directory / "environment.json")
    found: list[Any] = []
    for name in ("conclusions.json", "comparison.json"):
        if (directory / name).exists():
            found = read_json(directory / name)
    try:
        command = str(content.get("command", ""))
        return Run(
            directory,
            command,
            dict(content.get("config", {})),
            dict(environment),
            [_known(claim, command) for claim in found],
            notice(directory),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, RunError):
            raise
        raise RunError(
            f"{directory} holds a JSON file without its usual content ({error!r}); restore it or "
            "choose another run"
        ) from error


def load_all(directories: Sequence[Path]) -> list[Run]:
    """Reads runs and labels each by what differs in its config.

    Raises:
        RunError: a file is missing or damaged.
    """
    found = [load(directory) for directory in directories]
    labels = label([flat(run.config) for run in found], [run.name for run in found])
    return [dataclasses.replace(run, label=text) for run, text in zip(found, labels, strict=True)]


def differences(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """The options, flat, in which configs differ; the telling ones first."""
    options = dict.fromkeys(option for config in configs for option in config)
    different = [o for o in options if any(c.get(o) != configs[0].get(o) for c in configs)]
    return sorted(different, key=lambda option: (option not in _FIRST, option))


def label(configs: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[str]:
    """What tells each config from the others, else the directory's name, else a number."""
    if len(configs) == 1:
        return [""]
    different = differences(configs)
    scalars = [o for o in different if not any(isinstance(c.get(o), list) for c in configs)]
    labels = [", ".join(_option(o, config.get(o)) for o in scalars) for config in configs]
    if len(set(labels)) < len(labels) and different != scalars:
        labels = [", ".join(_option(o, config.get(o)) for o in different) for config in configs]
    if len(set(labels)) < len(labels):
        labels = [f"{text}, {name}".lstrip(", ") for text, name in zip(labels, names, strict=True)]
    labels = [plain(text, _LONGEST_LABEL) for text in labels]
    if len(set(labels)) < len(labels):
        labels = [f"{i}: {text}" for i, text in enumerate(labels, 1)]
    return labels


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Options by name; those of a nested set have its name and a dot before theirs.

    So have those of a list of cells, with the name of the cell between.
    """
    found: dict[str, Any] = {}
    for name, value in config.items():
        if name == "cells":
            value = {one["name"]: {k: v for k, v in one.items() if k != "name"} for one in value}
        if isinstance(value, dict):
            found |= flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found


def odd(path: Path, error: Exception) -> RunError:
    """The error for a file that holds something else than a run writes."""
    return RunError(
        f"{path} holds a file without its usual content ({str(error)[:200]!r}); restore it or "
        "choose another run"
    )


def _option(name: str, value: Any) -> str:
    """An option as a label: words speak for themselves, numbers need their name."""
    if name == "dtype":
        return str(value)
    if isinstance(value, list):
        value = " ".join(map(str, value))
    return f"{name} {'default' if value is None else value}"


def _plain(swept: Mapping[str, Any]) -> dict[str, Any]:
    """Values that can be told apart in a column: lists as tuples."""
    return {name: tuple(one) if isinstance(one, list) else one for name, one in swept.items()}


def _known(claim: dict[str, Any], command: str) -> dict[str, Any]:
    """A claim with NaN where JSON holds null."""
    if command in _OF_REPLICAS:
        return dict(claim)
    if missing := [name for name in _OF_CLAIM if name not in claim]:
        raise KeyError(missing[0])
    known = {name: math.nan if value is None else value for name, value in claim.items()}
    measured = {k: math.nan if v is None else v for k, v in claim["measured"].items()}
    return _ABOUT | {"lowest": math.nan, "highest": math.nan} | known | {"measured": measured}
