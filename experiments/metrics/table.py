"""Registers what runs of `sigmaprop metrics` measured.

    python -m sigmaprop.experiments.metrics.table RUN... > lib/sigmaprop/metrics/registered.json

The table that it prints goes into the package: reports show a metric's numbers beside its name.
With ``--markdown`` it prints the same for people, as docs/metrics.md has it. With ``--figure``
instead of runs it draws what is registered into docs/figures.
"""

import json
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sigmaprop.metrics.records import METRICS
from sigmaprop.reporting import style
from sigmaprop.reporting.frame import load
from sigmaprop.reporting.metrics.figures import REGISTERED
from sigmaprop.runs.files import write_atomic

_QUANTITIES = ("preferred", "change")


def rows(directories: Sequence[Path]) -> list[dict[str, Any]]:
    """A row for every metric, data set, features and size, in the order of the registry."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for directory in directories:
        frame = load(directory).frame
        chosen = frame[frame["quantity"].isin(_QUANTITIES)]
        for one in ({str(k): v for k, v in row.items()} for row in chosen.to_dict("records")):
            size = int(one["num_samples"]) if one["data"] == "gaussian" else 0
            key = (one["metric"], one["data"], one["features"], int(one["dim"]), size)
            row = found.setdefault(key, _empty(one))
            if one["quantity"] == "preferred":
                row["num_samples"] = int(one["num_samples"])
                row |= {name: _number(float(one[name])) for name in ("value", "low", "high")}
            else:
                # A frame holds NaN for what is infinite: no change that was tried is seen.
                row["change"] = _number(float(np.nan_to_num(one["value"], nan=np.inf)))
    order = list(METRICS)
    return sorted(
        found.values(),
        key=lambda row: (order.index(row["metric"]), row["data"] != "gaussian", row["data"]),
    )


def markdown(table: Sequence[dict[str, Any]]) -> Iterator[str]:
    """The lines of a table: a row a metric, a column for each kind of data."""
    columns = list(dict.fromkeys(_column(row) for row in table))
    yield f"| metric | {' | '.join(columns)} |"
    yield f"|---|{'---|' * len(columns)}"
    for name in METRICS:
        own = {_column(row): row for row in table if row["metric"] == name}
        if own:
            cells = [_cell(own[column]) if column in own else "" for column in columns]
            yield f"| `{name}` | {' | '.join(cells)} |"


def draw(folder: Path) -> Path:
    """Draws the preferred scales that are registered, as a PNG."""
    with style.style():
        drawing = REGISTERED.draw()
        assert drawing is not None
        path = folder / f"{drawing.name}.png"
        write_atomic(path, style.png(drawing.figure))
    return path


def _empty(one: dict[str, Any]) -> dict[str, Any]:
    about = {name: one[name] for name in ("metric", "data", "features")}
    sizes = {name: int(one[name]) for name in ("dim", "num_samples")}
    return about | sizes | dict.fromkeys(("value", "low", "high", "change"))


def _number(value: float) -> float | str | None:
    if math.isnan(value):
        return None
    return "inf" if math.isinf(value) else round(value, 4)


def _column(row: dict[str, Any]) -> str:
    if row["data"] == "gaussian":
        return f"{row['num_samples']} x {row['dim']}"
    return row["data"] if row["features"] == "pixels" else f"{row['data']}, {row['features']}"


def _cell(row: dict[str, Any]) -> str:
    parts = []
    if row["value"] is not None:
        parts.append(f"{row['value']:.2f} [{row['low']:.2f}, {row['high']:.2f}]")
    if row["change"] is not None:
        parts.append("sees none" if row["change"] == "inf" else f"sees {row['change']:.0%}")
    return "; ".join(parts) or "none"


if __name__ == "__main__":
    named = [Path(word) for word in sys.argv[1:] if not word.startswith("--")]
    if "--figure" in sys.argv:
        print(draw(Path("docs/figures")))
        sys.exit()
    made = rows(named)
    if "--markdown" in sys.argv:
        print("\n".join(markdown(made)))
    else:
        print("[\n" + ",\n".join(json.dumps(row) for row in made) + "\n]")
