"""What finished comparisons of estimators hold, in the form that their report is made from."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sigmaprop.reporting.results import columns, grouped, label, told

Which = tuple[str, str]
"""An estimator's label and its noise scheme."""


class Key(NamedTuple):
    """What names a series."""

    study: str
    objective: str
    gaussian: str
    estimator: str
    noise: str
    wrt: str
    metric: str

    @property
    def which(self) -> Which:
        """Estimator and noise."""
        return self.estimator, self.noise


class Series(NamedTuple):
    """One metric of one estimator, every entry [rows]; by sigma, then num_samples, then x."""

    dim: np.ndarray
    sigma: np.ndarray
    num_samples: np.ndarray
    x: np.ndarray
    value: np.ndarray
    error: np.ndarray
    theory: np.ndarray

    def where(self, chosen: np.ndarray) -> "Series":
        """The rows that a mask chooses."""
        return Series(*(column[chosen] for column in self))


class Comparison(NamedTuple):
    """One run.

    Attributes:
        label: what tells this run from the others it is drawn with, empty for one alone.
        name: of its directory.
        command: of the command line.
        config: its options.
        environment: versions, device, flags.
        claims: its conclusions, numbers that are not known as NaN.
        studies: the series of every study, in the order of the run.
        notice: how far it has come, empty for a complete run.
    """

    label: str
    name: str
    command: str
    config: dict[str, Any]
    environment: dict[str, Any]
    claims: list[dict[str, Any]]
    studies: Mapping[str, Mapping[Key, Series]]
    notice: str = ""

    def find(self, study: str, **equal: str) -> dict[Key, Series]:
        """The series of a study whose keys have these entries."""
        found = self.studies.get(study, {}).items()
        wanted = equal.items()
        return {
            key: series
            for key, series in found
            if all(getattr(key, name) == value for name, value in wanted)
        }

    def grids(self) -> Iterator[tuple[str, str]]:
        """Every objective and Gaussian of the grid, in the order of the run."""
        yield from dict.fromkeys((key.objective, key.gaussian) for key in self.find("grid"))


def read(directories: Sequence[Path]) -> list[Comparison]:
    """Reads runs and labels each by what differs in its config.

    Raises:
        RunError: a file is missing or damaged.
    """
    found = [_read_one(Path(directory)) for directory in directories]
    labels = label([one.config for one in found], [one.name for one in found])
    return [one._replace(label=text) for one, text in zip(found, labels, strict=True)]


def _read_one(directory: Path) -> Comparison:
    table = columns(directory, Key._fields, Series._fields)
    studies: dict[str, dict[Key, Series]] = {}
    for key, series in grouped(table, Key, Series, ("x", "num_samples", "sigma")).items():
        studies.setdefault(key.study, {})[key] = series
    return Comparison(label="", **told(directory), studies=studies)
