"""The answer in four sentences, chosen by the verdicts of a study.

A hypothesis is told by the answers of its tests: what was seen in which baseline. Its verdict, the
range of what was measured and the least effect that could have been seen stand in brackets.
"""

import math
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sigmaprop.generators.scores import known
from sigmaprop.reporting.answer.findings import NOT_ASKED, Findings, Hypothesis
from sigmaprop.reporting.fmt import percent, short

LEARNED = {
    "L1": "one number",
    "L2": "a number for each pixel",
    "L3": "a function of z",
    "L4": "a low-rank covariance",
}
"""Hypotheses about learning, with what is learned."""
GIVEN = {
    "N1": "a fixed level",
    "N2": "a level that falls",
    "N3": "a random level on both sides",
    "N4": "a level that falls on both sides",
}
"""Hypotheses about noise that is not learned, with its kind."""
LEAD = "C1"
"""The hypothesis that the study itself suggested, tested on seeds of which nothing was seen."""
FITTED = "P1"
"""The hypothesis about noise that is fitted after training."""
ABLATION = "A"
"""The beginning of the names of hypotheses about ablations."""
_AT_FLOOR = 0.03
"""Share of a floor within which a sigma lies at it."""
UNCOUNTED = ("INADMISSIBLE", "DEVIATED", NOT_ASKED)
"""Verdicts that say nothing about the statement."""
_PLACES = {
    "digits_today": "digits with a GAN of today",
    "digits_2018": "digits with a GAN of 2018",
    "fresh_today": "digits with a GAN of today",
    "fresh_2018": "digits with a GAN of 2018",
    "ring_arms": "a ring of Gaussians",
    "grid_arms": "a grid of Gaussians",
    "fashion_arms": "Fashion-MNIST",
}


_ENDS = {
    "H2": {
        "supported": "ends, with a linear mean, at the noise of the data",
        "refuted": "misses, with a linear mean, the noise of the data",
        "open": "was not shown to end, with a linear mean, at the noise of the data",
        "unit": "times it",
    },
    "H8a": {
        "supported": "with a network as mean its end depends on its start",
        "refuted": "with a network as mean its end does not depend on its start",
        "open": "with a network as mean it was not decided whether its end depends on its start",
        "unit": "times from the lowest end to the highest",
    },
    "H1": {
        "supported": "on a ring of Gaussians it ends no higher than their std",
        "refuted": "on a ring of Gaussians it ends above their std",
        "open": "on a ring of Gaussians it was not decided whether it ends above their std",
        "unit": "times it",
    },
}
"""Hypotheses about ends, in words by their verdicts."""
_TUNED = ("digits_today", "digits_2018")
"""The GANs on digits whose arms were all tuned."""


class Words(NamedTuple):
    """What an arm does, by the answer of a test; each follows a subject."""

    expected: str
    contrary: str
    equivalent: str
    open: str


_BETTER = Words(
    "makes better samples than no noise",
    "makes worse samples than no noise",
    "makes samples as good as those without noise",
    "makes no difference that could be told from chance",
)
_BRIEF = _BETTER._replace(open="makes no clear difference")
_FROZEN = Words(
    "does what the learned one does",
    "does not do what the learned one does",
    "does what the learned one does",
    "was not shown to do what the learned one does",
)
_SAMPLES = {
    "as expected": ("better than without noise", "better"),
    "contrary": ("worse than without noise", "worse"),
    "equivalent": ("as good as without noise", "as good"),
    "not resolved": ("not clearly different from those without noise", "not clearly different"),
    "too few seeds": ("of too few seeds to tell", "of too few seeds to tell"),
    NOT_ASKED: ("untested, as the gate was not passed", "untested"),
}
"""What samples are, by the answer to whether they are better: first, and once that is known."""


def answer(found: Findings, *, brief: bool = False) -> tuple[str, ...]:
    """Does learning help, does noise help, is it the learning or the value, where does sigma end?

    Args:
        found: the study.
        brief: whether to leave out verdicts, and which effects would have been seen.
    """
    return learning(found, brief), noise(found, brief), value(found, brief), ends(found, brief)


def learning(found: Findings, brief: bool = False) -> str:
    """The first sentence: L1 to L4, and by how much learning can have helped at most."""
    all_of = [found.hypothesis(name) for name in LEARNED]
    told = _samples("a learned variance", all_of, LEARNED, brief)
    closing = f"{_at_most(all_of)}{_closing(all_of, brief)}"
    return f"**{headline(all_of)}.** {told}{closing}{_ablations(found)}."


def noise(found: Findings, brief: bool = False) -> str:
    """The second sentence: N1 to N4."""
    all_of = [found.hypothesis(name) for name in GIVEN]
    told = _samples("noise that is given and not learned", all_of, GIVEN, brief)
    words = _BRIEF if brief else _BETTER
    lead = [
        f". Fixed noise on both sides, which the study suggested{_verdicts([one], brief)}, "
        f"{phrase([one], words, brief)} on fresh seeds"
        for one in found.hypotheses
        if one.name == LEAD and one.verdict not in UNCOUNTED
    ]
    return f"{told}{_closing(all_of, brief)}{''.join(lead)}."


def value(found: Findings, brief: bool = False) -> str:
    """The third sentence: H6, F1, and P1 where the study has it."""
    tuned, frozen = [found.hypothesis("H6")], [found.hypothesis("F1")]
    inferior = _inferior(found.result["margin"])
    fitted = [one for one in found.hypotheses if one.name == FITTED]
    first = f"A learned number{_verdicts(tuned, brief)} {phrase(tuned, inferior, brief)}"
    second = f"where learning had ended{_verdicts(frozen, brief)} {phrase(frozen, _FROZEN, brief)}"
    words = _BRIEF if brief else _BETTER
    third = [
        f"; noise that is fitted after training{_verdicts([one], brief)} "
        f"{phrase([one], words, brief)}"
        for one in fitted
    ]
    return f"{first}; a number that was frozen {second}{''.join(third)}."


def ends(found: Findings, brief: bool = False) -> str:
    """The fourth sentence: H2, H8a and H1, what a learned number says of the data."""
    told = []
    for name, words in _ENDS.items():
        one = found.hypothesis(name)
        values = [known(test["measured"]["value"]) for test in one.asked]
        if values:
            low, high = short(min(values)), short(max(values))
            size = low if low == high else f"{low} to {high}"
            about = "" if brief and one.verdict not in UNCOUNTED else f"; {name}: {one.verdict}"
            end = words.get(one.verdict, words["open"])
            floor = ", its floor" if _at_floor(found, one) else ""
            told.append(f"{end} ({size} {words['unit']}{floor}{about})")
    if not told:
        return "Where a learned number ends could not be asked about."
    return f"A learned number {'; '.join(told)}."


def _at_floor(found: Findings, one: Hypothesis) -> bool:
    """Whether every sigma of a hypothesis ended at the least that it was allowed."""
    units = {(t["block"], *t["arms"]): t.get("unit", 1.0) for t in found.tests(one.name)}
    for test in one.asked:
        options = found.registered(test["block"]).get("options", {})
        end = known(test["measured"]["value"]) * units[test["block"], *test["arms"]]
        if not abs(end / options.get("sigma_floor", math.nan) - 1) < _AT_FLOOR:
            return False
    return True


def _ablations(found: Findings) -> str:
    """Where changing one thing made a learned number better or worse than no noise."""
    told = [
        f"{'better' if known(test['measured']['value']) < 1 else 'worse'} with "
        f"{', '.join(test['arms']).removeprefix('global, ')} ({_ratio(test)})"
        for one in found.hypotheses
        if one.name.startswith(ABLATION) and one.verdict not in UNCOUNTED
        for test in one.asked
        if test["answer"] == "contrary"
    ]
    if not told:
        return ""
    return f". In ablations, which were registered later, one learned number was {listed(told)}"


def _ratio(test: Mapping[str, Any]) -> str:
    value, low, high = (short(known(test["measured"][name])) for name in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"


def _inferior(margin: float) -> Words:
    """What a learned number is beside a fixed one, within a factor of the primary metric."""
    by = percent(round(margin - 1, 3))
    tuned = "than a fixed one that was tuned as long"
    within = f"is worse by {by} at most {tuned}"
    open_end = f"was not shown to be worse by {by} at most {tuned}"
    return Words(within, f"is worse by more than {by} {tuned}", within, open_end)


def baselines(found: Findings) -> str:
    """Whether the answer depends on the baseline: arms that two GANs on digits share; or empty."""
    blocks = [block for block in found.blocks if block.of_samples and block.name in _TUNED]
    if len(blocks) < 2:
        return ""
    sides: dict[str, list[int]] = {}
    for block in blocks:
        for arm, ratio in zip(block.arms[1:], block.ratios(), strict=True):
            low, high = ratio.measured.low, ratio.measured.high
            sides.setdefault(arm.name, []).append(int(low > 1) - int(high < 1))
    shared = {name: own for name, own in sides.items() if len(own) == len(blocks)}
    kinds = {
        "better than no noise with every GAN": [n for n, s in shared.items() if max(s) < 0],
        "worse with every GAN": [n for n, s in shared.items() if min(s) > 0],
        "better with one and worse with another": [
            n for n, s in shared.items() if min(s) < 0 < max(s)
        ],
    }
    asked = {arm for one in found.hypotheses for test in one.tests for arm in test["arms"]}
    told = [f"{kind}: {_members(names, asked)}" for kind, names in kinds.items()]
    return (
        f"{listed(block.name for block in blocks)} share {len(shared)} arms. By these intervals, "
        f"{'; '.join(told)}. With the others the GANs do not contradict each other."
    )


def _members(names: Sequence[str], asked: Container[str]) -> str:
    """Arms by name; what no hypothesis asks about is a lead."""
    told = [
        name if name in asked else f"{name} (a lead: no hypothesis asks for it)" for name in names
    ]
    return ", ".join(told) or "none"


def headline(all_of: Sequence[Hypothesis]) -> str:
    """Yes or no, of hypotheses that each say that something helps."""
    verdicts = [one.verdict for one in _counted(all_of)]
    answers = [test["answer"] for one in _counted(all_of) for test in one.asked]
    if not verdicts:
        return "This study cannot say"
    if all(verdict == "supported" for verdict in verdicts):
        return "Yes"
    if "supported" in verdicts:
        return "In part"
    if "as expected" in answers:
        return "It depends"
    if all(verdict in ("refuted", "equivalent") for verdict in verdicts):
        return "No"
    return "Not so far as this study can see"


def phrase(members: Sequence[Hypothesis], words: Words, brief: bool = False) -> str:
    """What was seen of hypotheses that came out alike; where answers differ, on which data."""
    first = members[0]
    if first.verdict == NOT_ASKED:
        return "was not asked about"
    if not first.asked:
        return "could not be asked about, as no test passed its gate"
    parts = _parts(first, words)
    told = []
    for word, places in parts:
        tests = [t for one in members for t in one.asked if _word(t["answer"], words) == word]
        where = f" on {listed(map(place, places))}" if len(parts) > 1 else ""
        told.append(f"{word}{where}{_numbers(tests, brief)}")
    return listed(told)


def place(block: str) -> str:
    """A block in a sentence."""
    return _PLACES.get(block, block)


def listed(words: Iterable[str], last_word: str = "and") -> str:
    """Words with commas, and a word before the last."""
    *first, last = words
    return f"{', '.join(first)} {last_word} {last}" if first else last


def _counted(all_of: Sequence[Hypothesis]) -> list[Hypothesis]:
    """Those that were asked, and not changed after runs they are about."""
    return [one for one in all_of if one.verdict not in UNCOUNTED]


def _parts(one: Hypothesis, words: Words) -> list[tuple[str, tuple[str, ...]]]:
    """What is said of the answers of a hypothesis, with the blocks it is said of."""
    found: dict[str, list[str]] = {}
    for test in one.tests:
        found.setdefault(_word(test["answer"], words), []).append(test["block"])
    order = {word: number for number, word in enumerate(words)}
    parts = sorted(found.items(), key=lambda item: order.get(item[0], len(order)))
    return [(word, tuple(dict.fromkeys(blocks))) for word, blocks in parts]


def _word(answer_of: str, words: Words) -> str:
    return {
        "as expected": words.expected,
        "contrary": words.contrary,
        "equivalent": words.equivalent,
        "too few seeds": "had too few seeds",
        NOT_ASKED: "could not be asked about",
    }.get(answer_of, words.open)


def _samples(
    subject: str, all_of: Sequence[Hypothesis], names: Mapping[str, str], brief: bool
) -> str:
    """Of forms that may make better samples how many do, on each data; and by how much."""
    counted = _counted(all_of)
    if not counted:
        return f"About {subject} nothing can be said"
    forms = "" if brief else f" ({listed((names[one.name] for one in counted), 'or')})"
    blocks = dict.fromkeys(test["block"] for one in counted for test in one.tests)
    told = []
    for block in blocks:
        tests = [test for one in counted for test in one.tests if test["block"] == block]
        asked = [test for test in tests if test["answer"] != NOT_ASKED]
        subject_of = "they are" if told else "samples are"
        found = f"{_counts(tests, not told)}{_numbers(asked, brief)}"
        told.append(f"on {place(block)} {subject_of} {found}")
    return f"With {subject}{forms}, {'; '.join(told)}"


def _counts(tests: Sequence[Mapping[str, Any]], first: bool) -> str:
    """How many forms make samples that are better, worse, as good."""
    answers = [test["answer"] for test in tests]
    parts = []
    total = len(tests)
    for answer_of, (long, short_form) in _SAMPLES.items():
        if number := answers.count(answer_of):
            opens = first and not parts
            share = f"all {total}" if number == total else str(number)
            forms = " forms" if opens and number == total else f" of {total} forms" if opens else ""
            where = f" in {share}{forms}" if total > 1 else ""
            parts.append((long if opens else short_form) + where)
    return listed(parts)


def _closing(all_of: Sequence[Hypothesis], brief: bool) -> str:
    """The verdicts, those alike together; of a brief sentence only those that say nothing."""
    groups: dict[tuple[str, str], list[str]] = {}
    for one in all_of:
        if not brief or one.verdict in UNCOUNTED:
            groups.setdefault((one.verdict, one.otherwise), []).append(one.name)
    told = []
    for (verdict, otherwise), names in groups.items():
        more = f" (it does not count, and is else {otherwise})" if verdict == "DEVIATED" else ""
        told.append(f"{listed(names)} {verdict}{more}")
    return f"; {listed(told)}" if told else ""


def _verdicts(members: Sequence[Hypothesis], brief: bool) -> str:
    """The names of hypotheses that share a verdict, with it, in brackets."""
    names, verdict = listed(one.name for one in members), members[0].verdict
    if verdict == "DEVIATED":
        verdict = f"DEVIATED, so it does not count; else {members[0].otherwise}"
    elif brief:
        return ""
    return f" ({names}: {verdict})"


def _numbers(tests: Sequence[Mapping[str, Any]], brief: bool) -> str:
    """Ratios, their intervals, and where no effect was seen, which would have been; in brackets."""
    if not tests:
        return ""
    values = [known(test["measured"]["value"]) for test in tests]
    low, high = short(min(values)), short(max(values))
    value = low if low == high else f"{low} to {high}"
    parts = [f"MMD² {value} x" if brief else f"MMD² {value} times as large"]
    ends = [known(test["measured"][end]) for test in tests for end in ("low", "high")]
    if all(map(math.isfinite, ends)):
        within = "interval" if len(tests) == 1 else "intervals within"
        parts.append(f"{within} [{short(min(ends))}, {short(max(ends))}]")
    seen = [known(test["detectable"]) for test in tests]
    unseen = all(test["answer"] in ("not resolved", "equivalent") for test in tests)
    if unseen and not brief and all(map(math.isfinite, seen)):
        parts.append(f"a factor of {short(max(seen))} would have been seen")
    return f" ({', '.join(parts)})"


def _at_most(all_of: Sequence[Hypothesis]) -> str:
    """By how much the metric can have fallen: the lowest end of all intervals."""
    lows = [known(test["measured"]["low"]) for one in _counted(all_of) for test in one.asked]
    if not lows or not all(map(math.isfinite, lows)):
        return ""
    if min(lows) >= 1:
        return "; no interval leaves room for a gain"
    return f"; at most, learning lowers MMD² by {percent(round(1 - min(lows), 2))}"
