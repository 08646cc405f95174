"""The answer in three sentences, chosen by the verdicts of a study.

A hypothesis is told by the answers of its tests: what was seen in which baseline. Its verdict, the
range of what was measured and the least effect that could have been seen stand in brackets.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sigmaprop.generators.scores import known
from sigmaprop.reporting.answer.findings import NOT_ASKED, Findings, Hypothesis
from sigmaprop.reporting.fmt import percent, short

LEARNED = {
    "L1": "as one number",
    "L2": "as a number for each pixel",
    "L3": "as a function of z",
    "L4": "as a low-rank covariance",
}
"""Hypotheses about learning, with what is learned."""
GIVEN = {
    "N1": "at a fixed level",
    "N2": "at a level that falls on a schedule",
    "N3": "at a random level on both sides",
    "N4": "on both sides at a level that falls on a schedule",
}
"""Hypotheses about noise that is not learned, with its kind."""
FITTED = "P1"
"""The hypothesis about noise that is fitted after training."""
UNCOUNTED = ("INADMISSIBLE", "DEVIATED", NOT_ASKED)
"""Verdicts that say nothing about the statement."""
_PLACES = {
    "digits_today": "digits with a GAN of today",
    "digits_2018": "digits with a GAN of 2018",
    "ring_arms": "a ring of Gaussians",
    "grid_arms": "a grid of Gaussians",
    "fashion_arms": "Fashion-MNIST",
}


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


def answer(found: Findings, *, brief: bool = False) -> tuple[str, str, str]:
    """Does learning help, does noise help, and is it the learning or the value?

    Args:
        found: the study.
        brief: whether to leave out verdicts, and which effects would have been seen.
    """
    return learning(found, brief), noise(found, brief), value(found, brief)


def learning(found: Findings, brief: bool = False) -> str:
    """The first sentence: L1 to L4, and by how much learning can have helped at most."""
    all_of = [found.hypothesis(name) for name in LEARNED]
    told = _grouped("a learned variance", all_of, LEARNED, brief)
    return f"**{headline(all_of)}**: {told}{_at_most(all_of)}."


def noise(found: Findings, brief: bool = False) -> str:
    """The second sentence: N1 to N4."""
    all_of = [found.hypothesis(name) for name in GIVEN]
    return f"{_grouped('Noise that is given and not learned', all_of, GIVEN, brief)}."


def value(found: Findings, brief: bool = False) -> str:
    """The third sentence: H6, F1, and P1 where the study has it."""
    inferior, frozen = [found.hypothesis("H6")], [found.hypothesis("F1")]
    fitted = [one for one in found.hypotheses if one.name == FITTED]
    first = f"A learned number{_verdicts(inferior, brief)} {phrase(inferior, _INFERIOR, brief)}"
    second = f"where learning had ended{_verdicts(frozen, brief)} {phrase(frozen, _FROZEN, brief)}"
    words = _BRIEF if brief else _BETTER
    third = [
        f"; noise that is fitted after training{_verdicts([one], brief)} "
        f"{phrase([one], words, brief)}"
        for one in fitted
    ]
    return f"{first}; a number that was frozen {second}{''.join(third)}."


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
        "are better than no noise with every GAN": [n for n, s in shared.items() if max(s) < 0],
        "worse with every GAN": [n for n, s in shared.items() if min(s) > 0],
        "better with one and worse with another": [
            n for n, s in shared.items() if min(s) < 0 < max(s)
        ],
    }
    told = [f"{_members(names)} {kind}" for kind, names in kinds.items()]
    return (
        f"Of {len(shared)} arms that {listed(block.name for block in blocks)} share, by these "
        f"intervals, {listed(told)}; with the others the GANs do not contradict each other."
    )


def _members(names: Sequence[str]) -> str:
    return f"{len(names)} ({', '.join(names)})" if names else "none"


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


def _grouped(subject: str, all_of: Sequence[Hypothesis], names: dict[str, str], brief: bool) -> str:
    """Hypotheses of one kind, those that came out alike together."""
    words = _BRIEF if brief else _BETTER
    groups: dict[tuple[object, ...], list[Hypothesis]] = {}
    for one in all_of:
        parts = _parts(one, words)
        said = parts if len(parts) > 1 else [word for word, _ in parts]
        groups.setdefault((one.verdict, one.otherwise, *said), []).append(one)
    told = []
    for members in groups.values():
        which = listed((names[one.name] for one in members), "or")
        which = f"be it {which}" if len(groups) == 1 else which
        subject_of = f"{subject}, {which}" if not told else which
        verb = phrase(members, words, brief)
        verdicts = _verdicts(members, brief)
        told.append(f"{subject_of}{verdicts}, {'it ' if told else ''}{verb}")
    return "; ".join(told)


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
        within = "in" if brief else within
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
