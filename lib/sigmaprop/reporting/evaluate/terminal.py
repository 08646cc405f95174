"""What an evaluation found, as tables for a terminal."""

from collections.abc import Iterator
from pathlib import Path

from rich.table import Table

from sigmaprop.metrics.records import METRICS
from sigmaprop.reporting.evaluate.values import OF, Value, real, title, values
from sigmaprop.reporting.fmt import short
from sigmaprop.reporting.frame import load
from sigmaprop.reporting.terminal import titled


def tables(directory: Path) -> Iterator[Table]:
    """One table for the weights of each kind: cells, and a column for each metric."""
    run = load(directory)
    found = list(values(run))
    for weights in dict.fromkeys(value.weights for value in found):
        own = [value for value in found if value.weights == weights]
        names = list(dict.fromkeys(value.metric for value in own))
        for few in (names[at : at + 4] for at in range(0, len(names), 4)):
            table = titled(f"Scores, {weights} weights: mean over seeds", pad_edge=False)
            table.add_column("cell", overflow="fold", min_width=10)
            table.add_column("of", no_wrap=True)
            for name in few:
                table.add_column(title(name).replace(" ", "\n"), justify="right")
            for label in dict.fromkeys(value.label for value in own):
                for of in OF:
                    numbers = [_number(own, label, of, name) for name in few]
                    if any(numbers):
                        table.add_row(label, of, *numbers)
            if any(name in METRICS and real(run, name) for name in few):
                median = [real(run, name).get("median") for name in few]
                shown = ("" if value is None else short(value) for value in median)
                table.add_row("real", "others", *shown, style="dim")
            yield table


def _number(own: list[Value], label: str, of: str, metric: str) -> str:
    found = [v for v in own if (v.label, v.of, v.metric) == (label, of, metric)]
    return short(found[0].level.value) if found and len(found[0].seeds) else ""
