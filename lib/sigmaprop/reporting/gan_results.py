"""What runs of `sigmaprop gan` hold, in the form that their comparison and report are made from."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sigmaprop.reporting.gan_scores import METRICS, PARTIAL, Comparison, from_json, scale_of
from sigmaprop.reporting.gan_series import Key, Series, read_series, until
from sigmaprop.reporting.results import label, told
from sigmaprop.runs.files import RunError, open_regular, read_json
from sigmaprop.statistics import Pair


class Cell(NamedTuple):
    """A combination of swept values.

    Attributes:
        number: its place in the sweep.
        label: its name.
        arm: where its sigma comes from.
        swept: options and values.
        learns: whether sigma is learned.
        replicas: rows of `Series.value`, in the order of their seeds.
        seeds: their numbers.
    """

    number: int
    label: str
    arm: str
    swept: dict[str, Any]
    learns: bool
    replicas: np.ndarray
    seeds: tuple[int, ...]


class Measured(NamedTuple):
    """The numbers of one run.

    Attributes:
        config: its options.
        cells: in the order of the sweep.
        series: by key.
        diverged_at: step at which a replica stopped, -1 where it did not. [R]
        real: of each distance, between real examples and others: mean, median, percentile_95.
        ideal: what the truth itself scores, by metric, where it is known.
        real_per_seed: what ``real`` is, of the split of each seed; empty where they share one.
    """

    config: dict[str, Any]
    cells: tuple[Cell, ...]
    series: Mapping[Key, Series]
    diverged_at: np.ndarray
    real: Mapping[str, Mapping[str, float]]
    ideal: Mapping[str, float]
    real_per_seed: tuple[Mapping[str, Mapping[str, float]], ...] = ()

    @property
    def steps(self) -> int:
        """Of the whole run."""
        return int(self.config["steps"])

    def late(self, key: Key, cell: Cell) -> np.ndarray:
        """A series' mean over the last fifth for each seed of a cell, NaN if it diverged. [S]"""
        value = self.series[key].end(self.steps).mean(key.metric in PARTIAL)[cell.replicas]
        return np.where(self.diverged_at[cell.replicas] >= 0, np.nan, value)

    def scores(self) -> list[Key]:
        """The scores that were measured, in the order of tables."""
        order = {name: place for place, name in enumerate(METRICS)}
        return sorted(
            (key for key in self.series if key.metric in METRICS),
            key=lambda key: (key.weights != "last", order[key.metric], key.of != "mean"),
        )


class GanRun(NamedTuple):
    """One run, with all that its page tells.

    Attributes:
        label: what tells this run from the others it is drawn with, empty for one alone.
        name: of its directory.
        directory: where it lies.
        command: of the command line.
        environment: versions, device, flags.
        claims: none; a comparison has verdicts of its own.
        measured: its numbers.
        comparisons: of its cells.
        examples: "mean", "x" and "scale" of the last iterate: [R, N, D].
        real: some training examples, [N, D].
        shape: of an example.
        notice: how far it has come; then there are no comparisons, and only cells with numbers.
    """

    label: str
    name: str
    directory: Path
    command: str
    environment: dict[str, Any]
    claims: list[dict[str, Any]]
    measured: Measured
    comparisons: list[Comparison]
    examples: Mapping[str, np.ndarray]
    real: np.ndarray
    shape: tuple[int, ...]
    notice: str = ""

    @property
    def config(self) -> dict[str, Any]:
        """Its options."""
        return self.measured.config

    @property
    def cells(self) -> tuple[Cell, ...]:
        """In the order of the sweep."""
        return self.measured.cells

    @property
    def is_image(self) -> bool:
        """Whether an example is an image."""
        return len(self.shape) > 1


def read(directories: Sequence[Path]) -> list[GanRun]:
    """Reads runs and labels each by what differs in its config.

    Raises:
        RunError: a file is missing or damaged.
    """
    found = [_read_one(Path(directory)) for directory in directories]
    labels = label([flat(one.config) for one in found], [one.name for one in found])
    return [one._replace(label=text) for one, text in zip(found, labels, strict=True)]


def floor(run: Measured) -> np.ndarray:
    """Below it MMD^2 does not tell generated examples from real ones: a ratio is then a bound.

    One for all seeds [], or one for the split of each [S].
    """
    if run.real_per_seed:
        found = np.array([real["mmd2"]["percentile_95"] for real in run.real_per_seed])
    else:
        found = np.array(run.real["mmd2"]["percentile_95"])
    return np.maximum(found, np.finfo(np.float32).eps)


def pair(run: Measured, metric: str, own: np.ndarray, other: np.ndarray) -> Pair | None:
    """Two cells' values of a metric as what `statistics.compare` judges.

    None where the metric has a target that the run does not record.
    """
    scale = scale_of(metric, run.ideal)
    if scale.better == "target" and not np.isfinite(scale.target):
        return None
    return Pair(own, other, scale, floor(run) if scale.by == "ratio" else np.nan)


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Options by name; those of a nested set have its name and a dot before theirs."""
    found: dict[str, Any] = {}
    for name, value in config.items():
        inner = flat(value, f"{prefix}{name}.") if isinstance(value, dict) else None
        found |= {f"{prefix}{name}": value} if inner is None else inner
    return found


def measured(directory: Path) -> Measured:
    """The numbers of a run, whose comparison need not exist yet.

    Raises:
        RunError: a file is missing or damaged.
    """
    said = told(directory)
    config, reference = said["config"], directory / "reference.json"
    try:
        replicas = read_json(directory / "replicas.json")
        known = reference.exists() or not said["notice"]
        content = read_json(reference) if known else {"distances": {}}
        real, ideal = content["distances"], dict(content.get("ideal", {}))
        per_seed = tuple(one["distances"] for one in content.get("per_seed", ()))
        cells = _cells(replicas)
        series = read_series(directory, len(replicas))
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, RunError):
            raise
        raise _unusual(directory, error) from error
    at = series.pop(Key("diverged_at"), None)
    stopped = np.full(len(replicas), -1) if at is None else at.value[:, -1].astype(int)
    return Measured(config, cells, until(series, stopped), stopped, real, ideal, per_seed)


def _read_one(directory: Path) -> GanRun:
    found = told(directory)
    numbers = measured(directory)
    if found["notice"]:
        return _unfinished(directory, found, numbers)
    try:
        comparisons = from_json(read_json(directory / "comparison.json"))
        if [one.cell for one in comparisons] != [cell.number for cell in numbers.cells]:
            raise KeyError("cells of comparison.json")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, RunError):
            raise
        raise _unusual(directory, error) from error
    real, shape = _real(directory / "real.npz")
    return GanRun(
        label="",
        name=found["name"],
        directory=directory,
        command=found["command"],
        environment=found["environment"],
        claims=[],
        measured=numbers,
        comparisons=comparisons,
        examples=_examples(directory, len(numbers.diverged_at)),
        real=real,
        shape=shape,
    )


def _unfinished(directory: Path, found: dict[str, Any], numbers: Measured) -> GanRun:
    """A run without its end: what was recorded, of the cells whose training has begun."""
    sigma = numbers.series.get(Key("sigma"))
    begun = () if sigma is None else np.flatnonzero(np.isfinite(sigma.value).any(axis=1))
    cells = tuple(cell for cell in numbers.cells if np.isin(cell.replicas, begun).any())
    examples, real = {}, _arrays(directory / "real.npz")
    if any(directory.glob("samples-*.npz")):
        examples = _examples(directory, len(numbers.diverged_at))
        rows = np.concatenate([cell.replicas for cell in cells]) if cells else []
        examples = examples if np.isfinite(examples["mean"][rows]).all() else {}
    return GanRun(
        label="",
        **{name: value for name, value in found.items() if name != "config"},
        directory=directory,
        measured=numbers._replace(cells=cells),
        comparisons=[],
        examples=examples,
        real=real["x"],
        shape=tuple(int(size) for size in real["shape"]),
    )


def _unusual(directory: Path, error: Exception) -> RunError:
    return RunError(
        f"{directory} holds a file without its usual content ({str(error)[:200]!r}); restore it or "
        "choose another run"
    )


def _cells(replicas: Sequence[Mapping[str, Any]]) -> tuple[Cell, ...]:
    by_number: dict[int, list[Mapping[str, Any]]] = {}
    for one in sorted(replicas, key=lambda one: (one["cell"], one["seed"])):
        by_number.setdefault(one["cell"], []).append(one)
    return tuple(
        Cell(
            number,
            own[0]["label"],
            own[0]["arm"],
            own[0]["swept"],
            own[0]["learns"],
            np.array([one["replica"] for one in own]),
            tuple(one["seed"] for one in own),
        )
        for number, own in by_number.items()
    )


def _arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        with open_regular(path) as source, np.load(source) as file:
            return {name: file[name] for name in file.files}
    except Exception as error:  # a damaged archive raises almost anything
        raise RunError(
            f"{path} is missing or damaged ({str(error)[:200]}); restore it or repeat the run"
        ) from error


def _real(path: Path) -> tuple[np.ndarray, tuple[int, ...]]:
    """Training examples and the shape of one."""
    arrays = _arrays(path)
    try:
        x, shape = arrays["x"], tuple(int(size) for size in arrays["shape"])
        x.reshape(-1, *shape)
        x.astype(np.float32)
    except (KeyError, TypeError, ValueError) as error:
        raise _odd(path, error) from error
    return x, shape


def _odd(path: Path, error: Exception) -> RunError:
    return RunError(
        f"{path} holds other arrays than a run writes ({str(error)[:200]}); restore it or choose "
        "another run"
    )


def _examples(directory: Path, num: int) -> dict[str, np.ndarray]:
    """Of all groups, by replica."""
    found: dict[str, np.ndarray] = {}
    for path in sorted(directory.glob("samples-*.npz")):
        arrays = _arrays(path)
        try:
            for name in ("mean", "x", "scale"):
                own = arrays[f"{name}_last"]
                whole = found.setdefault(name, np.full((num, *own.shape[1:]), np.nan, np.float32))
                whole[arrays["replica"]] = own
        except (IndexError, KeyError, TypeError, ValueError) as error:
            raise _odd(path, error) from error
    if not found:
        raise RunError(f"{directory} holds no samples-0.npz; restore it or repeat the run")
    return found
