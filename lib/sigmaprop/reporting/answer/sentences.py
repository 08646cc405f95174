"""The answer in three sentences, chosen by the verdicts of a study.

A hypothesis is told by the answers of its tests: what was seen in which baseline. Its verdict, the
range of what was measured and the least effect that could have been seen stand in brackets.
"""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sigmaprop.reporting.answer.findings import NOT_ASKED, Findings, Hypothesis, known
from sigmaprop.reporting.fmt import percent, short

LEARNED = {
    "L1": "one number",
    "L2": "a number for each pixel",
    "L3": "a function of z",
    "L4": "a low-rank covariance",
}
"""Hypotheses about learning, with what is learned."""
GIVEN = {
    "N1": "at a fixed level",
    "N2": "at a level that falls on a schedule",
    "N3": "at a random level on both sides",
    "N4": "on both sides at a level that falls on a schedule",
}
"""Hypotheses about noise that is not learned, with its kind."""
OPEN = ("INADMISSIBLE", NOT_ASKED)
_PLACES = {"digits_today": "a GAN of today", "digits_2018": "a GAN of 2018"}


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
_INFERIOR = Words(
    "does as well as a fixed one that was tuned as long",
    "does worse than a fixed one that was tuned as long",
    "does as well as a fixed one that was tuned as long",
    "was not shown to do as well as a fixed one that was tuned as long",
)
_FROZEN = Words(
    "does the same, so it is the value that counts and not its learning",
    "does something else, so learning itself matters",
    "does the same, so it is the value that counts and not its learning",
    "was not shown to do the same",
)


def answer(found: Findings) -> tuple[str, str, str]:
    """Does learning help, does noise help, and is it the learning or the value?"""
    return learning(found), noise(found), value(found)


def learning(found: Findings) -> str:
    """The first sentence: L1 to L4, and by how much learning can have helped at most."""
    all_of = [found.hypothesis(name) for name in LEARNED]
    told = f"{headline(all_of)}: a variance that the generator learns {_grouped(all_of, LEARNED)}"
    return f"{told}{_at_most(all_of)}."


def noise(found: Findings) -> str:
    """The second sentence: N1 to N4."""
    all_of = [found.hypothesis(name) for name in GIVEN]
    return f"Noise that is given and not learned {_grouped(all_of, GIVEN)}."


def value(found: Findings) -> str:
    """The third sentence: H6, and F1."""
    inferior, frozen = found.hypothesis("H6"), found.hypothesis("F1")
    return (
        f"A learned number {phrase(inferior, _INFERIOR)} {_evidence([inferior])}; a number frozen "
        f"where learning ended {phrase(frozen, _FROZEN)} {_evidence([frozen])}."
    )


def headline(all_of: Sequence[Hypothesis]) -> str:
    """Yes or no, of hypotheses that each say that something helps."""
    verdicts = [one.verdict for one in all_of if one.verdict not in (*OPEN, "DEVIATED")]
    answers = [test["answer"] for one in all_of for test in one.asked]
    if not verdicts:
        return "This study cannot say"
    if all(verdict == "supported" for verdict in verdicts):
        return "Yes"
    if "supported" in verdicts:
        return "In part"
    if "as expected" in answers:
        return "It depends on the GAN"
    if all(verdict in ("refuted", "equivalent") for verdict in verdicts):
        return "No"
    return "Not so far as this study can see"


def phrase(one: Hypothesis, words: Words) -> str:
    """What was seen, by the answers of the tests; where they differ, in which baseline."""
    if one.verdict == NOT_ASKED:
        return "was not asked about"
    if not one.asked:
        return "could not be asked about, as no test passed its gate"
    by_answer: dict[str, list[str]] = {}
    for test in one.tests:
        by_answer.setdefault(_word(test["answer"], words), []).append(place(test["block"]))
    if len(by_answer) == 1:
        return next(iter(by_answer))
    order = {word: number for number, word in enumerate((*words, _word(NOT_ASKED, words)))}
    told = sorted(by_answer.items(), key=lambda item: order.get(item[0], 3))
    return listed(f"{word} in {listed(places)}" for word, places in told)


def place(block: str) -> str:
    """A block in a sentence."""
    return _PLACES.get(block, block)


def listed(words: Iterable[str]) -> str:
    """Words with commas, and "and" before the last."""
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def _word(answer_of: str, words: Words) -> str:
    return {
        "as expected": words.expected,
        "contrary": words.contrary,
        "equivalent": words.equivalent,
        "too few seeds": "had too few seeds",
        NOT_ASKED: "could not be asked about",
    }.get(answer_of, words.open)


def _grouped(all_of: Sequence[Hypothesis], names: dict[str, str]) -> str:
    """Hypotheses of one kind that came out alike together, each group with its evidence."""
    groups: dict[tuple[str, str], list[Hypothesis]] = {}
    for one in all_of:
        groups.setdefault((one.verdict, phrase(one, _BETTER)), []).append(one)
    told = []
    for (_, words), members in groups.items():
        which = "" if len(groups) == 1 else f" {_as(members, names)}"
        told.append(f"{words}{which} {_evidence(members)}")
    if len(groups) == 1:
        told[0] = f"{told[0]}, be it {_or(names.values())}"
    return "; it ".join(told)


def _as(members: Sequence[Hypothesis], names: dict[str, str]) -> str:
    first = names[members[0].name]
    which = _or(names[one.name] for one in members)
    return which if first.startswith(("at ", "on ")) else f"as {which}"


def _or(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last


def _evidence(members: Sequence[Hypothesis]) -> str:
    """Verdict and numbers, in brackets."""
    names = listed(one.name for one in members)
    verdict = members[0].verdict
    if verdict == "DEVIATED":
        verdict = f"DEVIATED, so it counts for nothing; else {members[0].otherwise}"
    tests = [test for one in members for test in one.asked]
    if not tests:
        return f"({names}: {verdict})"
    parts = [
        f"{names}: {verdict}",
        f"MMD² {_range([known(t['measured']['value']) for t in tests])} x",
    ]
    ends = [known(test["measured"][end]) for test in tests for end in ("low", "high")]
    if all(math.isfinite(end) for end in ends):
        within = "interval" if len(tests) == 1 else "all intervals within"
        parts.append(f"{within} [{short(min(ends))}, {short(max(ends))}]")
    seen = [known(test["detectable"]) for test in tests]
    if all(math.isfinite(one) for one in seen):
        parts.append(f"a factor of {short(max(seen))} would have been seen")
    return f"({'; '.join(parts)})"


def _range(values: Sequence[float]) -> str:
    low, high = short(min(values)), short(max(values))
    return low if low == high else f"{low} to {high}"


def _at_most(all_of: Sequence[Hypothesis]) -> str:
    """By how much the metric can have fallen: the lowest end of all intervals."""
    lows = [known(test["measured"]["low"]) for one in all_of for test in one.asked]
    if not lows or not all(math.isfinite(low) for low in lows):
        return ""
    if min(lows) >= 1:
        return "; no interval leaves room for a gain"
    return f"; at most it lowers MMD² by {percent(round(1 - min(lows), 2))}"
