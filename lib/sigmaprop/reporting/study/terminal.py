"""The gates and verdicts of a study as tables for a terminal."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from sigmaprop.generators.scores import known
from sigmaprop.reporting.fmt import short
from sigmaprop.reporting.study.words import answer_of, short_test
from sigmaprop.reporting.terminal import titled

STYLES = {
    "supported": "green",
    "as expected": "green",
    "equivalent": "green",
    "refuted": "bold red",
    "contrary": "bold red",
    "INADMISSIBLE": "yellow",
    "DEVIATED": "yellow",
}


def gates(admitted: Sequence[Any]) -> Table:
    """Every test with why it may not be asked.

    Args:
        admitted: with hypothesis, test, power and reasons, as `experiments.study.gates` has them.
    """
    table = titled("What may be asked", pad_edge=False)
    table.add_column("", no_wrap=True)
    table.add_column("test", overflow="fold")
    table.add_column("may be asked", overflow="fold", ratio=1)
    for one in admitted:
        test = one.test
        what = f"{test.block}: {', '.join(test.arms)}" + (
            f" {test.expect.replace('_', '-')} {test.against}"
            if test.against
            else f" {test.quantity} {test.expect}"
        )
        told = "yes" if one.passes else "\n".join(one.reasons)
        if one.passes and one.power == one.power:
            told += f", power {one.power:.2f}"
        table.add_row(one.hypothesis.name, what, Text(told, "green" if one.passes else "yellow"))
    return table


def summary(result: Mapping[str, Any]) -> Iterator[Table | Text]:
    """Verdicts of all hypotheses, then their tests."""
    table = titled("Hypotheses", pad_edge=False)
    table.add_column("", no_wrap=True)
    table.add_column("statement", overflow="fold", ratio=1)
    table.add_column("verdict", no_wrap=True)
    for one in result["hypotheses"]:
        if one["verdict"] != "not asked":
            style = STYLES.get(one["verdict"], "")
            table.add_row(one["name"], one["statement"], Text(one["verdict"], style))
    yield table
    table = titled("Tests", pad_edge=False)
    table.add_column("", no_wrap=True)
    table.add_column("test", overflow="fold")
    table.add_column("found", overflow="fold", ratio=1)
    for one in result["hypotheses"]:
        for test in one["tests"]:
            style = STYLES.get(test["answer"], "")
            table.add_row(one["name"], short_test(test), Text(answer_of(test), style))
    yield table
    for one in result["likelihoods"]:
        yield _likelihoods(one)
    if left := [one["name"] for one in result["hypotheses"] if one["verdict"] == "not asked"]:
        yield Text(f"Not asked by this preset: {', '.join(left)}.", style="dim")


def _likelihoods(one: Mapping[str, Any]) -> Table:
    """An estimate of likelihoods: a line an arm, none where there is no density."""
    table = titled(f"{one['name']}: nats an example (gap)", pad_edge=False)
    for heading in ("arm", "as trained", "sigma refitted"):
        table.add_column(heading, overflow="fold")
    for arm in one["arms"]:
        row = []
        for kind in ("trained", "refitted"):
            value, gap = (
                known(one) for one in (arm[kind]["log_likelihood"]["value"], arm[kind]["gap"])
            )
            row.append("none" if math.isnan(value) else f"{short(value)} ({short(gap)})")
        table.add_row(arm["name"], *row)
    return table
