"""Options of `sigmaprop metrics`: a frozen dataclass whose field docstrings are the help."""

import dataclasses
import re

from sigmaprop.data.options import DataOptions
from sigmaprop.metrics.records import METRICS
from sigmaprop.names import shown

from ..options import check_list, check_ranges, option

_LARGEST = 10**5


@dataclasses.dataclass(frozen=True)
class MetricsConfig:
    """Measure which scale every metric prefers, and which change of the data it sees."""

    metrics: tuple[str, ...] = tuple(METRICS)
    """Names of metrics, as `sigmaprop list` gives them."""
    sizes: tuple[str, ...] = ("192x2", "192x16")
    """Gaussian data: rows of each side and dimension, such as 1000x64; 8 rows or more. None of it:
    give --dataset and no size."""
    dataset: str | None = None
    """A data set to measure on too: its rows with noise of its finest scale for the preferred
    scale, its rows with that scale changed for the sensitivity. None: Gaussian data alone."""
    data: DataOptions = option(DataOptions)
    """What to make of the data set."""
    num_samples: int = option(1000, within=(8, _LARGEST))
    """Generated examples of the study, on the data set."""
    num_held_out: int | None = option(None, within=(8, _LARGEST))
    """Held-out examples of the study. None: as many as the data set has to validate, --num-samples
    at most."""
    features: str = "pixels"
    """What is measured in, on the data set: pixels, classifier (trained on its classes), or
    path/to/file.py:function of rows [N, D]."""
    repeats: int = option(1024, within=(16, 2**16))
    """Draws behind a preferred scale, at most; fewer where fewer are enough, 16 to 65536."""
    draws: int = option(128, within=(20, 2**16))
    """Draws behind a power, 20 to 65536."""
    seed: int = option(0, within=(0, 2**32 - 1))
    """Seed of all draws, 0 to 4294967295."""

    def __post_init__(self) -> None:
        """Checks everything that needs no name lookup; errors name option, value and remedy."""
        check_list("metrics", self.metrics)
        for name in self.metrics:
            METRICS.check(name)
        if self.sizes or self.dataset is None:
            check_list("sizes", self.sizes)
        check_ranges(MetricsConfig, vars(self))
        for text in self.sizes:
            size(text)
        if self.dataset is None and (self.features != "pixels" or self.data != DataOptions()):
            raise ValueError(
                "--features and options of the data belong to a data set; give --dataset as well"
            )


def size(text: str) -> tuple[int, int]:
    """Rows and dimension of a size.

    Raises:
        ValueError: it is none, or out of range.
    """
    found = re.fullmatch(r"(\d{1,9})x(\d{1,9})", text)
    if found is None:
        raise ValueError(f"--sizes holds {shown(text)}; write rows and dimension as 192x16")
    rows, dim = map(int, found.groups())
    if not (8 <= rows <= _LARGEST and 1 <= dim <= _LARGEST):
        raise ValueError(
            f"--sizes holds {shown(text)}; rows must lie between 8 and {_LARGEST}, the dimension "
            f"between 1 and {_LARGEST}"
        )
    return rows, dim


METRICS_PRESETS = {
    "quick": MetricsConfig(),
    "full": MetricsConfig(sizes=("192x2", "192x16", "1000x64")),
    "digits": MetricsConfig(sizes=(), dataset="digits"),
    "ring": MetricsConfig(sizes=(), dataset="ring", num_samples=2500),
}
