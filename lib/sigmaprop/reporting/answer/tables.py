"""The tables of the answer: hypotheses, tests not asked, arms, what was planned and done."""

import math
from collections.abc import Mapping
from typing import Any

from sigmaprop.generators.scores import known
from sigmaprop.reporting import fmt
from sigmaprop.reporting.answer.findings import NOT_ASKED, Arm, Block, Findings, Hypothesis
from sigmaprop.reporting.fmt import count, number, percent, short
from sigmaprop.reporting.page import Cell, Table
from sigmaprop.reporting.study.words import short_test
from sigmaprop.statistics import Comparison

_KINDS = {
    **{"supported": "holds", "equivalent": "holds", "refuted": "fails"},
    **{"as expected": "holds", "contrary": "fails"},
}
_MARKS = {"supported": "✓", "refuted": "✗", "equivalent": "=", "undecided": "?"}
_SHOWN = {"as expected": "✓", "contrary": "✗", "equivalent": "=", "not resolved": "?"}
COUNTED = ("used", "superseded", "repeated", "unfinished")
"""What a run that was begun counts as."""
WIDE_GAP = 10.0
"""Nats of a gap above which an estimate is told as a bound."""
_LONGEST = 5
"""Options of an arm that its line has room for."""


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
    elif one.asked and len(one.asked) < len(one.tests):
        verdict += ", where asked"
    mark = _MARKS.get(one.verdict, "")
    return [
        Cell(one.name),
        Cell(one.statement),
        Cell(f"{mark} {verdict}".strip(), _KINDS.get(one.verdict, "open")),
        Cell("\n".join(f"{where(test, one)}: {measured(test)}" for test in one.tests) or "–"),
        Cell("\n".join(map(_detectable, one.asked)) or "–"),
        Cell(one.mind),
    ]


def where(test: Mapping[str, Any], one: Hypothesis) -> str:
    """Of which block, and of which arm where a hypothesis is about several of one block."""
    blocks = [other["block"] for other in one.tests]
    if blocks.count(test["block"]) == 1:
        return test["block"]
    return f"{test['block']}, {', '.join(test['arms'])}"


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


def tests(found: Findings) -> Table:
    """A line a registered test: its family, its power at the gate, and how it was decided."""
    rows = []
    for one in found.hypotheses:
        for test in one.tests:
            asked = test["answer"] != NOT_ASKED
            row = [
                Cell(one.name),
                Cell(short_test(test)),
                _number(known(test["power"])),
                Cell(percent(test["level"]) if asked else "–", "number"),
                _number(known(test["adjusted"]) if asked else math.nan),
                Cell(test["answer"], _KINDS.get(test["answer"], "open")),
            ]
            rows.append(row)
    headings = ["hypothesis", "test", "power", "level", "adjusted p", "answer"]
    return Table("Every test", headings, rows, open=False)


def unasked(found: Findings) -> Table:
    """The tests that did not pass their gate; those of one hypothesis with one reason together."""
    tests: dict[tuple[str, str], list[str]] = {}
    for one in found.hypotheses:
        for test in one.tests:
            if test["answer"] == NOT_ASKED:
                reason = "; ".join(test["reasons"]) or "–"
                tests.setdefault((one.name, reason), []).append(short_test(test))
    rows = [[Cell(name), Cell("\n".join(of)), Cell(why)] for (name, why), of in tests.items()]
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


def ends(found: Findings) -> Table:
    """Where sigma ends in the blocks that compare nothing, beside what is in the data."""
    rows = []
    for block in found.blocks:
        levels = found.levels(block.name)
        for one in block.arms if not block.compares else ():
            level = levels[0] if len(levels) == 1 else math.nan
            start = known(one.options.get("sigma_start"))
            share = _number(one.sigma[0] / level)
            row = [Cell(block.name), Cell(one.name), _number(start), _number(level), _sigma(one)]
            rows.append([*row, share, _number(one.middle)])
    headings = ["block", "arm", "start", "noise in the data", "sigma at the end", "ratio", "MMD²"]
    return Table("Where sigma ends", headings, rows)


def options(one: Arm, block: Block) -> str:
    """The options of an arm, without those that all arms of the block share."""
    own = {name: value for name, value in one.options.items() if name not in block.shared}
    words = _words(own)
    more = ", …" if len(words) > _LONGEST else ""
    return ", ".join(words[:_LONGEST]) + more or "–"


def alike(block: Block) -> str:
    """The options that all arms of a block share."""
    return ", ".join(_words(block.shared))


def _words(options: Mapping[str, Any]) -> list[str]:
    return [
        f"{name.replace('_', ' ')} {short(value) if isinstance(value, float) else value}"
        for name, value in options.items()
    ]


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


def likelihoods(one: Mapping[str, Any]) -> Table:
    """A line an arm: its log-likelihood as trained and refitted, each with the gap of AIS."""
    rows = []
    for arm in one["arms"]:
        row = [Cell(arm["name"])]
        for kind in ("trained", "refitted"):
            gap = known(arm[kind]["gap"])
            row += [_nats(arm[kind]["log_likelihood"], gap), _number(gap)]
        rows.append([*row, _number(known(arm["sigma"]))])
    headings = [
        *("arm", "as trained, nats", "gap", "sigma refitted, nats", "gap", "refitted sigma"),
    ]
    return Table(f"{one['name']}: log-likelihood", headings, rows)


def _nats(one: Mapping[str, Any], gap: float) -> Cell:
    value, low, high = (known(one[name]) for name in ("value", "low", "high"))
    if math.isnan(value):
        return Cell("none", "number")
    if gap > WIDE_GAP:
        return Cell(f"≥ {short(value)}", "number", value=value)
    return Cell(f"{short(value)} [{short(low)}, {short(high)}]", "number", value=value)


def planned(found: Findings) -> Table:
    """What was registered before the runs."""
    registered, preset = found.registration, found.preset
    amounts = (
        f"{count(preset['configurations'], 'configuration')} of every arm on "
        f"{count(preset['selection_seeds'], 'seed')}, then {preset['test_seeds']} fresh seeds"
        f"{_exceptions(preset.get('seeds', {}))}"
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


def _exceptions(seeds: Mapping[str, int]) -> str:
    """The blocks that have another number of fresh seeds."""
    told = [f"{number} in {block}" for block, number in seeds.items()]
    return f" ({', '.join(told)})" if told else ""


def _values(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in values.items())


def changes(found: Findings) -> Table:
    """Every amendment, with its reason and time, and the runs of arms that had begun by then."""
    rows = [
        [
            Cell(moment(line["time"])),
            Cell(line["registration"][:12]),
            Cell(", ".join(found.begun(line)) or "none"),
            Cell("\n".join(found.changes.get(line["registration"], ())) or "–"),
            Cell(line["reason"]),
        ]
        for line in found.events("amended")
    ]
    headings = ["time", "registration", "arms had run in", "what changed", "why"]
    return Table("Amendments", headings, rows)


def moment(time: str) -> str:
    """A time of the ledger, to the minute."""
    return f"{time[:10]} {time[11:16]} UTC"


def runs(found: Findings) -> Table:
    """Every run that was begun, and what it counts for."""
    counted = found.result["runs"]
    status = {name: kind for kind in COUNTED for name in counted[kind]}
    ends = {line["run"]: line["time"] for line in found.events("finished")}
    rows = [
        [
            Cell(line["run"]),
            Cell(line["command"]),
            Cell(moment(line["time"])),
            Cell(moment(ends[line["run"]]) if line["run"] in ends else "–"),
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
        interval = f"{number(value['value'])} {fmt.interval(value['low'], value['high'])}"
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
