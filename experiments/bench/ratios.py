"""Ratios of what was measured round by round: their numbers, their verdicts, and their raw times.

A number is a quotient of two weighted sums of raw values, taken in each round; its median and
quartiles over rounds are what is reported. The raw values stay with it, so that whoever has a
result can compute every number of it again.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

Seconds: TypeAlias = dict[Any, np.ndarray]
"""Seconds of a unit of each program's work, by rounds."""
Combined: TypeAlias = Literal["sum", "largest"]
Better: TypeAlias = Literal["smaller", "larger", "neither"]
Unit: TypeAlias = Literal["s", "MiB"]


class Term(NamedTuple):
    """What one program took, and how much of it counts.

    Attributes:
        what: the program, in words.
        weight: by which its values are multiplied.
        values: by rounds, in the unit of the ratio.
    """

    what: str
    weight: float
    values: tuple[float, ...]


class Ratio(NamedTuple):
    """One measured ratio.

    Attributes:
        what: in words.
        median, low, high: of the ratio over repeats (quartiles).
        seconds: median time of the numerator; of a rate, of its unit of work.
        target: the largest ratio aimed at, None for information.
        verdict: "met", "missed", "not resolved", or "".
        above, below: terms of the numerator, 1 where there are none, and of the denominator.
        combined: whether the denominator is the sum of its terms or the largest of them.
        unit: of the raw values.
        better: the good end.
        sizes: of the problem, by name: ratios of unequal sizes are of different things.
        peers: versions of the packages that are compared with, by name.
    """

    what: str
    median: float
    low: float
    high: float
    seconds: float
    target: float | None
    verdict: str
    above: tuple[Term, ...] = ()
    below: tuple[Term, ...] = ()
    combined: Combined = "sum"
    unit: Unit = "s"
    better: Better = "smaller"
    sizes: Mapping[str, Any] = {}  # never changed
    peers: Mapping[str, str] = {}


class Found(NamedTuple):
    """What a benchmark found.

    Attributes:
        sections: ratios by the title of their table.
        notes: sentences below the tables.
    """

    sections: Mapping[str, Sequence[Ratio]]
    notes: Sequence[str] = ()


def terms(seconds: Seconds, weights: Mapping[str, float]) -> tuple[Term, ...]:
    """Programs by name with their weights."""
    return tuple(
        Term(name, float(weight), tuple(map(float, seconds[name])))
        for name, weight in weights.items()
    )


def measured(ratio: Ratio) -> Ratio:
    """The ratio with the numbers and the verdict that its raw values give."""
    low, median, high = (float(q) for q in np.percentile(by_round(ratio), [25, 50, 75]))
    seconds = 0.0
    if ratio.unit == "s":
        taken = _sum(ratio.above) if ratio.above else np.array(ratio.below[0].values)
        seconds = float(np.median(taken))
    judged = "" if ratio.target is None else verdict(low, high, ratio.target)
    return ratio._replace(median=median, low=low, high=high, seconds=seconds, verdict=judged)


def by_round(ratio: Ratio) -> np.ndarray:
    """The ratio in each round. [rounds]"""
    above = _sum(ratio.above) if ratio.above else 1.0
    return above / compared_with(ratio)


def compared_with(ratio: Ratio) -> np.ndarray:
    """What the numerator is compared with in each round, in the ratio's unit. [rounds]"""
    return _sum(ratio.below) if ratio.combined == "sum" else _largest(ratio.below)


def ratio(
    what: str,
    above: Sequence[Term],
    below: Sequence[Term],
    target: float | None = None,
    *,
    combined: Combined = "sum",
    better: Better = "smaller",
) -> Ratio:
    """The ratio of what programs took, round by round."""
    return measured(
        _unmeasured(what, above, below)._replace(target=target, combined=combined, better=better)
    )


def rate(what: str, seconds: Seconds, unit: float = 1.0) -> Ratio:
    """How many times a unit of a program's work is done in a second."""
    return ratio(what, (), terms(seconds, {what: 1 / unit}), better="larger")


def constant(what: str, above: float, below: float, target: float) -> Ratio:
    """A ratio of two sizes of memory in MiB, each of which was taken once."""
    over = Term(what, 1.0, (float(above),))
    under = Term("what it is compared with", 1.0, (float(below),))
    return measured(_unmeasured(what, [over], [under])._replace(target=target, unit="MiB"))


def sized(ratios: Sequence[Ratio], **sizes: Any) -> list[Ratio]:
    """The ratios with sizes of their problem, beside those that they have."""
    return [one._replace(sizes={**sizes, **one.sizes}) for one in ratios]


def against(ratios: Sequence[Ratio], **versions: str) -> list[Ratio]:
    """The ratios with the versions of the packages that they are to."""
    return [one._replace(peers={**one.peers, **versions}) for one in ratios]


def verdict(low: float, high: float, target: float) -> str:
    """What quartiles say of a target: "met", "missed" or "not resolved"."""
    if high <= target:
        return "met"
    return "missed" if low > target else "not resolved"


def as_json(ratio: Ratio) -> dict[str, Any]:
    """The ratio for JSON; `from_json` reads it."""
    content = ratio._asdict() | {"sizes": dict(ratio.sizes), "peers": dict(ratio.peers)}
    for name in ("above", "below"):
        content[name] = [one._asdict() | {"values": list(one.values)} for one in content[name]]
    return content


def from_json(content: Any) -> Ratio:
    """The ratio that `as_json` made a content of.

    Raises:
        ValueError: something is missing, or is of another kind.
    """
    if not isinstance(content, dict) or not isinstance(content.get("what"), str):
        raise ValueError("has a number without a name")
    where = f"{content['what']!r}"
    if missing := sorted(set(Ratio._fields) - set(content)):
        raise ValueError(f"{where} has no {missing[0]!r}")
    numbers = [content[name] for name in ("median", "low", "high", "seconds")]
    numbers += [] if content["target"] is None else [content["target"]]
    if not all(map(_is_number, numbers)):
        raise ValueError(f"{where} has something else than numbers for its median and quartiles")
    for name, allowed in _WORDS.items():
        if content[name] not in allowed:
            raise ValueError(f"{where}: {name!r} is none of {', '.join(allowed)}")
    for name in ("sizes", "peers"):
        if not isinstance(content[name], dict):
            raise ValueError(f"{where}: {name!r} is no list of names and values")
    above, below = (_terms(content[name], where) for name in ("above", "below"))
    if not below:
        raise ValueError(f"{where} has no raw values to divide by")
    known: dict[str, Any] = {name: content[name] for name in Ratio._fields}
    return Ratio(**known)._replace(above=above, below=below)


_WORDS: dict[str, tuple[str, ...]] = {
    "combined": ("sum", "largest"),
    "unit": ("s", "MiB"),
    "better": ("smaller", "larger", "neither"),
    "verdict": ("", "met", "missed", "not resolved"),
}


def _terms(content: Any, where: str) -> tuple[Term, ...]:
    """The terms of a numerator or a denominator."""
    found = []
    for one in content if isinstance(content, list) else [None]:
        term = one if isinstance(one, dict) else {}
        values = term.get("values")
        if not isinstance(values, list) or not all(map(_is_number, [term.get("weight"), *values])):
            raise ValueError(f"{where} has terms without weight and raw values")
        found.append(Term(str(term.get("what")), term["weight"], tuple(values)))
    return tuple(found)


def _is_number(value: Any) -> bool:
    is_one = isinstance(value, int | float) and not isinstance(value, bool)
    return is_one and math.isfinite(value)


def _unmeasured(what: str, above: Sequence[Term], below: Sequence[Term]) -> Ratio:
    nan = math.nan
    return Ratio(what, nan, nan, nan, 0.0, None, "", tuple(above), tuple(below))


def _sum(found: Sequence[Term]) -> np.ndarray:
    return np.sum([one.weight * np.array(one.values) for one in found], axis=0)


def _largest(found: Sequence[Term]) -> np.ndarray:
    return np.max([one.weight * np.array(one.values) for one in found], axis=0)
