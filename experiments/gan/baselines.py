"""A table of baselines beside their bars, from runs of `sigmaprop gan`.

    python -m sigmaprop.experiments.gan.baselines RUN...

Every cell of the arm zero of every run is a row; without the verdict "passed" it is no baseline.
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from sigmaprop.generators import bars
from sigmaprop.generators.results import Measured, measured
from sigmaprop.metrics import METRICS
from sigmaprop.reporting.fmt import short
from sigmaprop.reporting.gan.words import data_name

_COLUMNS = ("num_modes", "high_quality", "variance_ratio", "mmd2")


def markdown(directories: Sequence[Path]) -> Iterator[str]:
    """The lines of the table: a row for each cell that has a bar."""
    titles = [METRICS[name].title for name in _COLUMNS[:-1]]
    mmd2 = f"{METRICS['mmd2'].title} / real's 95th percentile"
    heads = ("data", "cell", "loss", "steps", "seeds", *titles, mmd2, "verdict")
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"
    for directory in directories:
        run = measured(directory)
        for one in bars.judged(run):
            yield f"| {' | '.join(_row(run, one))} |"


def _row(run: Measured, one: bars.Judged) -> Iterator[str]:
    std = "" if one.bar.std is None else f", std {one.bar.std:g}"
    yield from (data_name(run.config) + std, one.label)
    yield from (str(run.config["loss"]), f"{run.steps:,}", str(one.seeds))
    by_metric = {found.wanted.metric: found for found in one.found}
    for name in _COLUMNS:
        found = by_metric.get(name)
        yield "" if found is None else _shown(found)
    yield one.verdict


def _shown(found: bars.Found) -> str:
    """A median with the second least and second greatest value, and what is asked."""
    wanted = found.wanted
    sign = {"at least": ", >= ", "at most": ", <= "}.get(wanted.side, "")
    asked = f"{sign}{wanted.limit:g}" if sign else ""
    return f"{short(found.median)} [{short(found.low)}, {short(found.high)}]{asked}"


if __name__ == "__main__":
    print("\n".join(markdown([Path(word) for word in sys.argv[1:]])))
