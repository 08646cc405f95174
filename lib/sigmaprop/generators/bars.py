"""What a baseline must reach before anything is compared with it.

A treatment of sigma that beats a poor GAN says nothing. So a preset counts as a baseline on a data
set only where its arm without noise passes the bar of that set, in medians over ten seeds or more
that took no part in choosing its options.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np

from sigmaprop.data.mixtures import GRID_STD, RING_STD
from sigmaprop.generators.results import Cell, Key, Measured

FEWEST_SEEDS = 10
"""Fewer say too little of a median: of 10, the second least and the second greatest enclose it in
97.9% of all cases."""


class Wanted(NamedTuple):
    """One condition.

    Attributes:
        metric: a name of `metrics.METRICS`.
        side: whether the value must be at least or at most the limit; "shown" is no condition.
        limit: in units of the metric; of MMD^2, in 95th percentiles of real against real.
    """

    metric: str
    side: Literal["at least", "at most", "shown"]
    limit: float = 0.0


class Bar(NamedTuple):
    """The conditions of one data set.

    Attributes:
        dataset: its name.
        std: of its components, None where it has none.
        wanted: all of them must hold.
        kernel: the choice of `--kernel` under which MMD^2 is judged, "" for any. What is wide of
            components too narrow is the quality's and the variance ratio's to say.
    """

    dataset: str
    std: float | None
    wanted: tuple[Wanted, ...]
    kernel: str = ""


class Found(NamedTuple):
    """One condition, and what was measured.

    Attributes:
        wanted: the condition.
        median: over the seeds; a diverged run counts as the worst.
        low: second least of the seeds' values; of ten seeds the ends of a 97.9% interval.
        high: second greatest.
        passed: whether the median meets the limit; None where nothing is asked, or where MMD^2 was
            measured with another kernel than the bar's.
    """

    wanted: Wanted
    median: float
    low: float
    high: float
    passed: bool | None


class Judged(NamedTuple):
    """A baseline beside its bar.

    Attributes:
        bar: the conditions.
        label: of the cell.
        weights: "average" where a moving average is kept, else "last".
        seeds: how many.
        found: of each condition.
    """

    bar: Bar
    label: str
    weights: str
    seeds: int
    found: tuple[Found, ...]

    @property
    def verdict(self) -> Literal["passed", "not passed", "not judged", "too few seeds"]:
        """Of all conditions together."""
        if self.seeds < FEWEST_SEEDS:
            return "too few seeds"
        asked = [one.passed for one in self.found if one.wanted.side != "shown"]
        if False in asked:
            return "not passed"
        return "not judged" if None in asked else "passed"


def _mixture(dataset: str, std: float, modes: int, quality: float) -> Bar:
    return Bar(
        dataset,
        std,
        (
            Wanted("num_modes", "at least", modes),
            Wanted("high_quality", "at least", quality),
            Wanted("mmd2", "at most", 2.0),
            Wanted("variance_ratio", "shown"),
        ),
        "coarse",
    )


BARS = (
    _mixture("ring", 0.05, 8, 0.94),
    _mixture("ring", RING_STD, 8, 0.90),
    _mixture("grid", GRID_STD, 24, 0.92),
    Bar("digits", None, (Wanted("mmd2", "at most", 5.0),)),
)


_STDS = {"ring": RING_STD, "grid": GRID_STD}
_HARMLESS = ("dim", "latent_dim", "split_seed")
"""Options of the data that leave these sets what they are."""


def bar_of(config: Mapping[str, Any]) -> Bar | None:
    """The bar of a run's data as they are; None where there is none.

    Args:
        config: options of `sigmaprop gan`, as a run records them.
    """
    name, options = config.get("dataset"), dict(config.get("data") or {})
    std = options.pop("std", None) or _STDS.get(str(name))
    if any(value for option, value in options.items() if option not in _HARMLESS):
        return None
    return next((bar for bar in BARS if (bar.dataset, bar.std) == (name, std)), None)


def judged(run: Measured) -> Iterator[Judged]:
    """Every cell of the arm zero of a finished run beside the bar of its data, if there is one.

    The numbers are those of x, a mean over the checkpoints of the last fifth of the run for each
    seed, with the moving average's weights where they were scored.
    """
    bar = bar_of(run.config) if "mmd2" in run.real else None
    for cell in run.cells:
        if bar is not None and cell.arm == "zero":
            yield _judged(run, cell, bar)


def _judged(run: Measured, cell: Cell, bar: Bar) -> Judged:
    average = Key("mmd2", "x", "average")
    kept = average in run.series and np.isfinite(run.series[average].value[cell.replicas]).any()
    weights = "average" if kept else "last"
    found = (_found(run, cell, weights, wanted, bar) for wanted in bar.wanted)
    return Judged(bar, cell.label, weights, len(cell.seeds), tuple(found))


def _found(run: Measured, cell: Cell, weights: str, wanted: Wanted, bar: Bar) -> Found:
    values = run.late(Key(wanted.metric, "x", weights), cell)
    if wanted.metric == "mmd2":
        values = values / _real(run)
    worst = -np.inf if wanted.side == "at least" else np.inf
    values = np.sort(np.where(np.isnan(values), worst, values))
    inner = values[1:-1] if len(values) > 2 else values
    median = float(np.median(values))
    kernel = run.config.get("kernel", "coarse")  # which older runs do not record
    if wanted.side == "shown" or (wanted.metric == "mmd2" and bar.kernel not in ("", kernel)):
        meets = None
    elif wanted.side == "at least":
        meets = median >= wanted.limit
    else:
        meets = median <= wanted.limit
    return Found(wanted, median, float(inner[0]), float(inner[-1]), meets)


def _real(run: Measured) -> np.ndarray:
    """The 95th percentile of real against real: one number, or one for each seed of a cell."""
    if run.real_per_seed:
        return np.array([one["mmd2"]["percentile_95"] for one in run.real_per_seed])
    return np.array(run.real["mmd2"]["percentile_95"])
