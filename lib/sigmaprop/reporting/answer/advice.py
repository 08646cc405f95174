"""When to use which arm: lines that follow from verdicts, and say so where none does."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from sigmaprop.reporting.answer.findings import NOT_ASKED, Findings
from sigmaprop.reporting.answer.sentences import FITTED, GIVEN, LEAD, LEARNED, listed
from sigmaprop.reporting.page import Cell, Table

_ARMS = {
    "L1": "one learned number (global)",
    "L2": "a learned number for each pixel (per_pixel)",
    "L3": "a learned sigma(z) (heteroscedastic)",
    "L4": "a learned low-rank covariance (low_rank)",
    "N1": "fixed noise (fixed)",
    "N2": "noise on a schedule (scheduled)",
    "N3": "instance noise of a random level",
    "N4": "noise on both sides, on a schedule (scheduled, shared)",
    "C1": "fixed noise on both sides, its level tuned, beside the penalty (fixed, shared)",
    "P1": "noise fitted after training (post_hoc)",
}
"""What a hypothesis is about, with its `--arm`."""
_DECIDED = ("supported", "refuted", "equivalent")


class Line(NamedTuple):
    """A wish, the hypotheses that decide about it, and what they advise."""

    wish: str
    by: tuple[str, ...]
    advise: Callable[[dict[str, str]], str]


def table(found: Findings) -> Table:
    """A line a wish."""
    rows = []
    for line in LINES:
        verdicts = {name: found.hypothesis(name).verdict for name in line.by}
        told = listed(
            f"{listed(name for name in line.by if verdicts[name] == verdict)} {verdict}"
            for verdict in dict.fromkeys(verdicts.values())
        )
        rows.append([Cell(line.wish), Cell(line.advise(verdicts)), Cell(told)])
    return Table("When to use which arm", ["you want", "use", "because"], rows)


def samples(verdicts: dict[str, str]) -> str:
    """The arms that make better samples, if any does."""
    better = [_ARMS[name] for name, verdict in verdicts.items() if verdict == "supported"]
    if better:
        return f"{listed(better)}: better samples than no noise in every GAN it was tried in"
    if all(verdict in ("refuted", "equivalent") for verdict in verdicts.values()):
        return "no noise (zero): nothing else makes better samples"
    return "no noise (zero), the simplest: nothing else was shown to make better samples"


def penalty(verdicts: dict[str, str]) -> str:
    """R1, a fixed noise, or latents inside."""
    penalised = {
        "supported": "R1, tuned, without noise: it is not inferior to a tuned fixed noise",
        "refuted": "fixed noise, tuned: it is better than R1 tuned",
    }.get(verdicts["K1"], "R1 or fixed noise, by trial: the study does not decide it")
    inside = {
        "supported": "; more latents do as well, with nothing to tune",
        "refuted": "; more latents do not replace it",
    }.get(verdicts["K2"], "")
    return penalised + inside


def untuned(verdicts: dict[str, str]) -> str:
    """A learned number or a fixed one."""
    return {
        "supported": "one learned number (global), if its start and rate are tuned: it is worse "
        "than a tuned fixed noise by the margin at most",
        "refuted": "fixed noise, tuned (fixed): a learned number is worse",
    }.get(
        verdicts["H6"], "fixed noise, tuned (fixed): a learned number was not shown to do as well"
    )


def learning(verdicts: dict[str, str]) -> str:
    """Learning, or its end."""
    same = [name for name, verdict in verdicts.items() if verdict == "supported"]
    if len(same) == len(verdicts):
        return "a frozen sigma: with the values that learning ends at, it does the same"
    if "refuted" in verdicts.values():
        return "compare with a frozen sigma: learning is more than the values that it ends at"
    return _OPEN


def stability(verdicts: dict[str, str]) -> str:
    """Noise on both sides or R1, and a schedule or learning."""
    equal = {
        "supported": "R1 of weight s²/2 or noise of std s on both sides: they do the same",
        "refuted": "choose R1 or noise on both sides by trial: they do not do the same",
    }.get(verdicts["H5"], "R1, which adds no noise: whether both do the same was not decided")
    anneal = {
        "supported": "a learned shared sigma is worse than a schedule by the margin at most",
        "refuted": "a schedule is better than a learned shared sigma",
    }.get(verdicts["H9"], "a learned shared sigma was not shown to replace a schedule")
    return f"{equal}; {anneal}"


def rigid(verdicts: dict[str, str]) -> str:
    """Sigma as a measurement, with a mean that cannot make noise."""
    if verdicts["H2"] == "supported":
        return "one learned number (global): its end is the noise of the data, from either start"
    if verdicts["H8b"] == "supported":
        return "one learned number (global), as a rough guide: ends agree, and H2 is not confirmed"
    if "refuted" in verdicts.values():
        return "no arm: the end of a learned number misses the noise, or depends on its start"
    return _OPEN


def flexible(verdicts: dict[str, str]) -> str:
    """Sigma as a measurement, with a network as the mean."""
    whole = {
        "supported": "; only sigma² and the noise in the mean together are determined",
        "refuted": "; not even the sum of sigma² and the noise in the mean is determined",
    }.get(verdicts["H2b"], "")
    return {
        "supported": f"no arm: sigma ends where its start decides{whole}",
        "refuted": f"one learned number (global): its end does not depend on its start{whole}",
    }.get(verdicts["H8a"], _OPEN)


def mixture(verdicts: dict[str, str]) -> str:
    """Sigma as the width of the components of a mixture."""
    return {
        "supported": "no arm: sigma ends at the std or below it, at its floor if need be, and does "
        "not say how far below",
        "refuted": "no arm: sigma can end above the std",
    }.get(verdicts["H1"], _OPEN)


def clean(verdicts: dict[str, str]) -> str:
    """Means without the noise of the data."""
    if verdicts["H7a"] == "supported":
        learned = {
            "supported": "a learned sigma does it too",
            "refuted": "a learned one does not replace it",
        }.get(verdicts["H7b"], "a learned one was not shown to replace it")
        return f"fixed noise of the known size (fixed, or oracle); {learned}"
    if verdicts["H7a"] in _DECIDED:
        return "no arm: noise of the right size does not take it out of the mean"
    return _OPEN


_OPEN = "the study does not decide it"
LINES: Sequence[Line] = (
    Line("better samples", (*LEARNED, *GIVEN, LEAD, FITTED), samples),
    Line("something in place of fixed noise", ("K1", "K2"), penalty),
    Line("noise without choosing its size", ("H6",), untuned),
    Line("learning, or the values that it ends at", ("F1", "F2"), learning),
    Line("a discriminator kept smooth", ("H5", "H9"), stability),
    Line("the size of the noise in data, with a mean of rigid form", ("H2", "H8b"), rigid),
    Line("the same, with a network as the mean", ("H8a", "H2b"), flexible),
    Line("the width of a mixture's components", ("H1",), mixture),
    Line("means that are free of the data's noise", ("H7a", "H7b"), clean),
)
"""Wishes, most common first."""
VERDICTS = (
    "supported",
    "refuted",
    "equivalent",
    "undecided",
    "INADMISSIBLE",
    "DEVIATED",
    NOT_ASKED,
)
"""All that a hypothesis can have."""
