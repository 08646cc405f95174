"""What numbers allow to say: the verdicts of all commands, as pure functions of arrays.

A claim has a range that theory allows: `judge` says holds, fails, or not resolved. `beyond` says of
a ratio on which side of a margin it lies.

A comparison has two arms in pairs of equal seed, and belongs to a family: all comparisons that one
kind of sentence is made of. `compare` judges the family at once:

* better, worse: Holm's adjusted p-value lies below `ALPHA`, so a family without any effect gets
  one or more such verdicts with probability `ALPHA` at most.
* equivalent: the interval lies within the margin; non-inferior: the arm is not worse by more than
  the margin. They go by intervals at level 1 - ALPHA / k for k comparisons, so a family in which
  no arm is within the margin gets one or more with probability `ALPHA` at most.
* too few seeds: no outcome of the test could have given better or worse.
* not resolved: none of these.

The interval that is shown excludes no difference exactly where the verdict is better or worse: its
level is 1 - ALPHA / k, or that of the step at which Holm's method decided.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from sigmaprop.names import unknown
from sigmaprop.statistics.intervals import Interval
from sigmaprop.statistics.paired import (
    Runs,
    Test,
    differences,
    holm,
    lean,
    logs_above,
    middle,
    p_value,
    paired_difference,
    smallest_detectable,
    spread_limit,
)
from sigmaprop.statistics.scales import Scale

ALPHA = 0.05
"""Largest probability that a family without any effect gets a verdict of better or worse."""
FEWEST = 3
"""Fewer seeds give no interval and no verdict."""

Verdict = Literal["holds", "fails", "not resolved"]
Outcome = Literal["better", "worse", "equivalent", "non-inferior", "not resolved", "too few seeds"]
Harm = Literal["none", "small", "unknown"]


def judge(measured: Interval, lowest: float, highest: float) -> Verdict:
    """Whether an interval lies inside, or wholly outside, the range that a claim allows.

    A number without sampling error (its error is 0) has no interval: it is judged itself. One
    whose error is not known decides nothing.
    """
    low, high = measured.low, measured.high
    if measured.error == 0:
        low = high = measured.value
    if not np.isfinite([low, high]).all():
        return "not resolved"
    if lowest <= low and high <= highest:
        return "holds"
    return "fails" if high < lowest or low > highest else "not resolved"


def beyond(ratio: Interval, margin: float, better: Literal["smaller", "larger"]) -> Outcome:
    """On which side of a margin the interval of a ratio lies.

    Unlike `compare`, it calls no ratio better or worse that may be within the margin: for numbers
    whose interval does not know all that moves them, such as times of two runs.

    Args:
        ratio: new / old with its interval, both above 0.
        margin: ratios from 1 / margin to margin are equivalent, > 1.
        better: the good end of the number.

    Returns:
        "equivalent" for an interval within the margin, "better" or "worse" for one wholly outside,
        else "not resolved".

    Raises:
        ValueError: a margin that is none.
    """
    if not margin > 1:
        raise ValueError(f"margin = {margin:g} is none; take one above 1")
    judged = judge(ratio, 1 / margin, margin)
    if judged == "not resolved":
        return "not resolved"
    if judged == "holds":
        return "equivalent"
    return "better" if (ratio.value > 1) == (better == "larger") else "worse"


class Pair(NamedTuple):
    """Two arms to compare.

    Attributes:
        a: the metric of an arm, NaN or infinite where a run diverged. [S]
        b: the same of what it is compared with, for the same seeds in the same order. [S]
        scale: how to.
        floor: of a ratio: values below it do not differ from it, > 0; one, or one for each seed.
    """

    a: Runs
    b: Runs
    scale: Scale = Scale()
    floor: Runs | float = np.nan


class Comparison(NamedTuple):
    """What a pair of arms shows, as one of a family.

    Attributes:
        measured: a - b (of a target: of distances to it) or a / b, with the interval at ``level``:
            a mean, or a geometric mean. Where runs diverged the median, without an interval;
            without an interval also where all pairs differ alike, and of fewer than `FEWEST`.
        level: coverage of the interval.
        test: "t", or "signed_rank" where runs diverged or all pairs differ alike.
        p_value: two-sided, before correction; NaN for fewer seeds than `FEWEST`.
        adjusted: Holm's p-value in the family.
        verdict: in a word.
        within: whether the interval lies within the margin, whatever the verdict.
        diverged: runs without a number, of a and of b.
        floored: values below the floor, of a and of b. A ratio with some is a bound: see `bound`.
        missed: upper limit (95%) of the smallest difference, or factor, that a t test of so many
            seeds at level 1 - ALPHA / k finds 4 times of 5; NaN without a t test, and where values
            lie below the floor.
        harm: what the margin alone allows to say, whatever Holm's method decided: by the interval
            at level 1 - ALPHA / k, which is wider than the one at ``level`` of a later step.
            "none" within the margin, "small" not worse by more than it, else "unknown".
    """

    measured: Interval
    level: float
    test: Test
    p_value: float
    adjusted: float
    verdict: Outcome
    within: bool
    diverged: tuple[int, int]
    floored: tuple[int, int]
    missed: float
    harm: Harm

    @property
    def bound(self) -> str:
        """How the true ratio stands to the value: "<=" where values of a lie below the floor, ">="
        where some of b do, "?" where some of both do, else empty."""
        return bound(self.floored)


def bound(floored: tuple[int, int]) -> str:
    """How a true ratio stands to one of which so many values were floored."""
    return {(False, False): "", (True, False): "<=", (False, True): ">="}.get(
        (floored[0] > 0, floored[1] > 0), "?"
    )


def fewest_seeds(num: int, alpha: float = ALPHA) -> int:
    """Seeds from which ranks can give a verdict in a family of ``num``: 2 / 2^n < alpha / num."""
    return next(n for n in range(FEWEST, 1100) if 2.0 ** (1 - n) * num < alpha)


def central(values: Runs, scale: Scale) -> float:
    """The median of a metric over seeds, diverged runs at its bad end; infinite if that is one.

    Of a metric with a target, the median by distance to it; infinity stands for the bad end.
    """
    values = np.asarray(values, np.float64)
    ended = np.isfinite(values)
    bad = -np.inf if scale.better == "larger" else np.inf
    if scale.better != "target":
        return middle(np.where(ended, values, bad))
    distance = np.where(ended, np.abs(values - np.nan_to_num(scale.target)), np.inf)
    order = np.argsort(distance, kind="stable")
    both = order[[(len(order) - 1) // 2, len(order) // 2]]
    return float(np.where(ended, values, np.inf)[both].mean())


def compare(
    pairs: Sequence[Pair], alpha: float = ALPHA, *, size: int | None = None
) -> list[Comparison]:
    """Judges a family of comparisons: all that one kind of sentence is made of.

    Args:
        pairs: the arms of each; of one arm alone, against zeros.
        alpha: the level of the family.
        size: members of the family, where it has others than these pairs: they are judged
            elsewhere at 1 / size of the level each, and count here as not decided.

    Returns:
        In the given order.

    Raises:
        ValueError: arms that are no pairs, a floor or a margin that is none, an unknown end, a
            size below the number of pairs.
    """
    size = len(pairs) if size is None else size
    if size < len(pairs):
        raise ValueError(f"size = {size} is too small for {len(pairs)} pairs; count them all")
    if not pairs:
        return []
    found = [_measure(pair) for pair in pairs]
    p_values = np.full(size, np.nan)
    p_values[: len(pairs)] = [one.p_value for one in found]
    adjusted = holm(p_values)
    return [
        _judged(pair, one, _Family(p_values, place, float(adjusted[place]), alpha))
        for place, (pair, one) in enumerate(zip(pairs, found, strict=True))
    ]


def tested(pair: Pair) -> Runs:
    """The differences that `compare` tests: of logarithms for a ratio, of distances to a target.

    Returns:
        [S]: positive where the number of a is the larger, infinite where one of two runs diverged.
    """
    return _measure(pair).difference


class _Found(NamedTuple):
    """A pair before it is judged: differences, or those of logarithms, and their test."""

    a: Runs
    b: Runs
    difference: Runs
    diverged: tuple[int, int]
    floored: tuple[int, int]
    test: Test
    p_value: float


class _Family(NamedTuple):
    """Where a comparison stands among the others."""

    p_values: np.ndarray
    place: int
    adjusted: float
    alpha: float

    @property
    def decided(self) -> bool:
        """Whether it is better or worse."""
        return self.adjusted < self.alpha

    @property
    def level(self) -> float:
        """Of intervals that cover all true values together."""
        return 1 - self.alpha / len(self.p_values)

    @property
    def level_of_step(self) -> float:
        """The same, or lower where Holm's method decided at a later step."""
        if not self.decided or self.p_values[self.place] < 1 - self.level:
            return self.level
        before = int(np.argsort(np.argsort(self.p_values, kind="stable"))[self.place])
        return 1 - self.alpha / (len(self.p_values) - before)

    def could_decide(self, smallest: float) -> bool:
        """Whether this comparison would be decided with a p-value as small as it can be."""
        p_values = self.p_values.copy()
        p_values[self.place] = smallest
        return bool(holm(p_values)[self.place] < self.alpha)


def _measure(pair: Pair) -> _Found:
    """The differences of a pair and their p-value."""
    scale = pair.scale
    a, b = (np.asarray(values, np.float64) for values in (pair.a, pair.b))
    lost = tuple(int((~np.isfinite(values)).sum()) for values in (a, b))
    floored = (0, 0)
    if scale.better not in ("smaller", "larger", "target"):
        raise unknown("good end of a metric", scale.better, ("smaller", "larger", "target"))
    if scale.better == "target":
        if not np.isfinite(scale.target):
            raise ValueError(f"target = {scale.target} is no value to be near to; give a number")
        a, b = (np.where(np.isfinite(v), np.abs(v - scale.target), np.nan) for v in (a, b))
    if scale.by == "ratio":
        floored = tuple(int((values < pair.floor).sum()) for values in (a, b))
        a, b = (logs_above(values, pair.floor) for values in (a, b))
    difference = differences(a, b, scale.worst)
    by_ranks = any(lost) or np.ptp(difference) == 0
    p = np.nan if len(difference) < FEWEST else p_value(difference, by_ranks=by_ranks)
    test: Test = "signed_rank" if by_ranks else "t"
    return _Found(a, b, difference, (lost[0], lost[1]), (floored[0], floored[1]), test, p)


def _judged(pair: Pair, one: _Found, family: _Family) -> Comparison:
    scale, num = pair.scale, len(one.difference)
    level = family.level_of_step
    measured = paired_difference(one.a, one.b, level, worst=scale.worst)
    if num < FEWEST:
        measured = Interval(measured.value, np.nan, np.nan, np.nan)
    missed = np.nan
    if one.test == "t" and num >= FEWEST and not any(one.floored):
        limit = spread_limit(float(one.difference.std(ddof=1)), num)
        missed = smallest_detectable(limit, num, family.level)
    near, harmless = _within(measured, scale, one.floored)
    harm: Harm = "none" if near else "small" if harmless else "unknown"
    if level != family.level:
        wider = paired_difference(one.a, one.b, family.level, worst=scale.worst)
        both = _within(wider, scale, one.floored)
        harm = "none" if both[0] else "small" if both[1] else "unknown"
    verdict = _verdict(one, scale, family, harm)
    if scale.by == "ratio":
        with np.errstate(over="ignore"):
            value, low, high, missed = np.exp([measured.value, measured.low, measured.high, missed])
        measured = Interval(value, measured.error, low, high)
    return Comparison(
        Interval(*map(float, measured)),
        level,
        one.test,
        one.p_value,
        family.adjusted,
        verdict,
        near,
        one.diverged,
        one.floored,
        float(missed),
        harm,
    )


def _within(measured: Interval, scale: Scale, floored: tuple[int, int]) -> tuple[bool, bool]:
    """Whether the interval lies within the margin, and on its harmless side.

    A value below the floor may be anything there: it cannot show that the other is near.
    """
    margin = scale.margin
    if np.isnan(margin):
        return False, False
    smallest = 1.0 if scale.by == "ratio" else 0.0
    if not margin > smallest:
        raise ValueError(f"margin = {margin:g} is none; take one above {smallest:g}")
    margin = np.log(margin) if scale.by == "ratio" else margin
    harm = -measured.low if scale.better == "larger" else measured.high
    harmless = bool(harm < margin) and floored[1] == 0
    near = bool(-margin < measured.low and measured.high < margin) and not any(floored)
    return near, harmless


def _verdict(one: _Found, scale: Scale, family: _Family, harm: Harm) -> Outcome:
    if family.decided:
        side = lean(one.difference) if one.test == "signed_rank" else one.difference.mean()
        return "better" if (side < 0) != (scale.better == "larger") else "worse"
    if harm != "unknown":
        return "equivalent" if harm == "none" else "non-inferior"
    smallest = 2.0 ** (1 - len(one.difference)) if one.test == "signed_rank" else 0.0
    ties = one.test == "signed_rank" and not any(one.diverged) and not np.any(one.difference)
    if len(one.difference) < FEWEST or (not ties and not family.could_decide(smallest)):
        return "too few seeds"
    return "not resolved"
