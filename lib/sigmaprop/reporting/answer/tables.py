"""The tables of the answer: hypotheses, tests not asked, arms, what was planned and done."""

import math
from collections.abc import Mapping
from typing import Any

from sigmaprop.reporting.answer.findings import NOT_ASKED, Arm, Block, Findings, Hypothesis, known
from sigmaprop.reporting.fmt import short
from sigmaprop.reporting.page import Cell, Table
from sigmaprop.reporting.study.words import short_test
from sigmaprop.statistics import Comparison

_KINDS = {
    **{"supported": "holds", "equivalent": "holds", "refuted": "fails"},
    **{"as expected": "holds", "contrary": "fails"},
}
_MARKS = {"supported": "✓", "refuted": "✗", "equivalent": "=", "undecided": "?"}
_SHOWN = {"as expected": "✓", "contrary": "✗", "equivalent": "=", NOT_ASKED: "not asked"}
_LONGEST = 5
"""Options of an arm that its line has room for."""
_LEFT_OUT = ("arm", "cells")


def hypotheses(found: Findings) -> Table:
    """A line a hypothesis."""
    headings = [
        *("hypothesis", "statement", "verdict", "measured, with interval"),
        *("could have been seen", "what would have changed our mind"),
    ]
    return Table(
        "Hypotheses and verdicts", headings, [_hypothesis(one) for one in found.hypotheses]
    )


def _hypothesis(one: Hypothesis) -> list[Cell]:
    verdict = one.verdict
    if verdict == "DEVIATED":
        verdict = f"DEVIATED (else {one.otherwise})"
    mark = _MARKS.get(one.verdict, "")
    return [
        Cell(one.name),
        Cell(one.statement),
        Cell(f"{mark} {verdict}".strip(), _KINDS.get(one.verdict, "open")),
        Cell("\n".join(f"{where(test)}: {measured(test)}" for test in one.tests) or "–"),
        Cell("\n".join(map(_detectable, one.asked)) or "–"),
        Cell(one.mind),
    ]


def where(test: Mapping[str, Any]) -> str:
    """Of which block, and of which arm where a hypothesis is about several of one block."""
    return test["block"] if test["against"] else f"{test['block']}, {', '.join(test['arms'])}"


def measured(test: Mapping[str, Any]) -> str:
    """The number of a test, its interval and its answer."""
    if test["answer"] == NOT_ASKED:
        return "not asked"
    one = test["measured"]
    value, low, high = (known(one[name]) for name in ("value", "low", "high"))
    interval = f" [{short(low)}, {short(high)}]" if low == low and high == high else ""
    answer = test["answer"]
    return f"{short(value)}{interval} {_SHOWN.get(answer, f'? {answer}')}"


def _detectable(test: Mapping[str, Any]) -> str:
    value = known(test["detectable"])
    if math.isnan(value):
        return "–"
    return f"{short(value)} x" if test["by"] == "ratio" else short(value)


def unasked(found: Findings) -> Table:
    """The tests that did not pass their gate, with the reasons."""
    rows = [
        [Cell(one.name), Cell(short_test(test)), Cell("; ".join(test["reasons"]) or "–")]
        for one in found.hypotheses
        for test in one.tests
        if test["answer"] == NOT_ASKED
    ]
    return Table("Tests that could not be asked", ["hypothesis", "test", "reason"], rows)


def arms(block: Block) -> Table:
    """A line an arm: what was chosen, how it scores beside the baseline, and its sigma."""
    headings = ["arm", "options chosen", "MMD²"]
    headings += ["ratio to zero", "P(better)"] if block.compares else []
    headings.append("sigma at the end")
    if diverged := any(one.diverged for one in block.arms):
        headings.append("diverged")
    ratios = [None, *block.ratios()] if block.compares else [None] * len(block.arms)
    rows = []
    for one, ratio in zip(block.arms, ratios, strict=True):
        row = [Cell(one.name), Cell(options(one, block)), _number(one.middle)]
        row += [_ratio(ratio), _better(one)] if block.compares else []
        row.append(_sigma(one))
        rows.append([*row, Cell(f"{one.diverged} of {len(one.values)}")] if diverged else row)
    return Table(f"{block.name}: every arm", headings, rows)


def options(one: Arm, block: Block) -> str:
    """The options of an arm, without those that all arms of the block share."""
    shared = {
        name: value
        for name, value in block.arms[0].options.items()
        if all(arm.options.get(name) == value for arm in block.arms)
    }
    words = [
        f"{name.replace('_', ' ')} {short(value) if isinstance(value, float) else value}"
        for name, value in one.options.items()
        if name not in (*shared, *_LEFT_OUT) and (name, value) != ("placement", "model")
    ]
    more = ", …" if len(words) > _LONGEST else ""
    return ", ".join(words[:_LONGEST]) + more or "–"


def _number(value: float) -> Cell:
    return Cell(short(value), "number", value=value)


def _ratio(one: Comparison | None) -> Cell:
    if one is None:
        return Cell("1", "number", value=1.0)
    value, _, low, high = one.measured
    interval = f" [{short(low)}, {short(high)}]" if low == low and high == high else ""
    sign = {"<=": "≤ ", ">=": "≥ ", "?": "≈ "}.get(one.bound, "")
    return Cell(f"{sign}{short(value)}{interval}", "number", value=value)


def _better(one: Arm) -> Cell:
    value, low, high = one.better
    if math.isnan(value):
        return Cell("–", "number")
    interval = f" [{low:.2f}, {high:.2f}]" if low == low and high == high else ""
    return Cell(f"{value:.2f}{interval}", "number", value=value)


def _sigma(one: Arm) -> Cell:
    value, error = one.sigma
    if value == 0:
        return Cell("0", "number", value=0.0)
    spread = f" ± {error:.1g}" if error > 1e-6 * value else ""
    return Cell(f"{short(value)}{spread}{one.moves and f', {one.moves}'}", "number", value=value)


def planned(found: Findings) -> Table:
    """What was registered before the runs."""
    registered, preset = found.registration, found.preset
    amounts = (
        f"{preset['configurations']} configurations of every arm on {preset['selection_seeds']} "
        f"seeds, then {preset['test_seeds']} fresh seeds"
    )
    sizes = (
        f"margin of equivalence {registered['margin']:g} x; a test of a difference must find "
        f"{registered['effect']:g} x, and one of equality must show it, with probability "
        f"{registered['power']:g}; level of a family {registered['alpha']:g}"
    )
    rows = [
        ("preset", f"{preset['name']}: {preset['text']}"),
        ("blocks", ", ".join(preset["blocks"])),
        ("budget", amounts),
        ("sizes", sizes),
        *registered["rules"].items(),
    ]
    if changed := preset.get("overrides"):
        told = "; ".join(f"{name}: {_values(values)}" for name, values in changed.items())
        rows.insert(3, ("options of the preset", told))
    return Table("What was planned", ["what", "registered"], [[Cell(a), Cell(b)] for a, b in rows])


def _values(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in values.items())


def changes(found: Findings) -> Table:
    """Every amendment, with its reason and time."""
    rows = [
        [Cell(line["time"]), Cell(line["registration"][:12]), Cell(line["reason"])]
        for line in found.events("amended")
    ]
    return Table("Amendments", ["time", "registration", "reason"], rows)


def runs(found: Findings) -> Table:
    """Every run that was begun, and what it counts for."""
    counted = found.result["runs"]
    kinds = ("used", "superseded", "unfinished")
    status = {name: kind for kind in kinds for name in counted[kind]}
    ends = {line["run"]: line["time"] for line in found.events("finished")}
    rows = [
        [
            Cell(line["run"]),
            Cell(line["command"]),
            Cell(line["time"]),
            Cell(ends.get(line["run"], "–")),
            Cell(status.get(line["run"], "after the conclusion")),
        ]
        for line in found.events("started")
    ]
    return Table("Every run", ["run", "command", "begun", "ended", "counts as"], rows, open=False)


def slopes(found: Findings) -> Table:
    """What the sweep of sigma to 0 measured on one smooth function, and on one with a kink."""
    rows = []
    for objective, claim in _SLOPES:
        one = found.claim(objective, claim)
        value = one["measured"]
        interval = f"{value['value']:.4f} [{value['low']:.4f}, {value['high']:.4f}]"
        rows.append(
            [
                Cell(objective),
                Cell(claim),
                Cell(short(one["expected"]), "number"),
                Cell(interval, "number", value=value["value"]),
                Cell(
                    one["verdict"], {"holds": "holds", "fails": "fails"}.get(one["verdict"], "open")
                ),
            ]
        )
    headings = ["function", "claim", "expected", "measured", "verdict"]
    return Table("The limit, measured", headings, rows)


_SLOPES = (
    ("sine", "bias of grad f(x): slope in sigma"),
    ("sine", "variance of pathwise to the mean: slope in sigma"),
    ("sine", "variance of score_function to the mean: slope in sigma"),
    ("sine", "batch needed to learn sigma: slope"),
    ("absolute", "bias near the kink: slope in sigma (not 2)"),
)
