"""Registered tests and their answers: what was expected beside what the seeds show.

A test expects something of a pair of arms, or of one number a seed, and belongs to a family that
may span runs. `judge_tests` judges each family at once, at level alpha for all of its k members:

* comparisons (better, worse, equivalent, non_inferior) go through one call of
  `statistics.compare`: Holm's method decides differences, and intervals at level 1 - alpha / k
  decide what lies within the margin;
* ranges (within, outside) go by an interval at level 1 - alpha / k.

So a family in which no arm differs and every mean lies at an end of its range answers anything
about a difference or a range with probability alpha at most, and one in which no arm lies within
its margin says so of any with probability alpha at most.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, get_args

import numpy as np

from sigmaprop.names import unknown
from sigmaprop.statistics import (
    ALPHA,
    FEWEST,
    Comparison,
    Interval,
    Pair,
    Runs,
    compare,
    fewest_seeds,
    interval,
    judge,
    middle,
    smallest_detectable,
    spread_limit,
)
from sigmaprop.study.detectable import detectable

Expect = Literal["better", "worse", "equivalent", "non_inferior", "within", "outside"]
Answer = Literal["as expected", "contrary", "equivalent", "not resolved", "too few seeds"]
Conclusion = Literal["supported", "refuted", "equivalent", "undecided"]

_RANGES = ("within", "outside")
_NEED_MARGIN = ("equivalent", "non_inferior")


class Test(NamedTuple):
    """What a hypothesis expects, and the runs that show whether it is so.

    Attributes:
        hypothesis: its name: "H6".
        family: Holm's family, which may span runs and hypotheses.
        about: what is tested, in words: "digits, r3: global against fixed".
        expect: what of: a against b for the first four, the mean of ``values`` in or out of
            [low, high] for the last two.
        pair: two arms with their scale, for the first four; "equivalent" and "non_inferior" need
            its margin.
        values: one number a seed, NaN or infinite where a run diverged, for the last two. [S]
        low, high: the ends of the range, one of them finite.
        by: "difference" for the mean of the values and its interval, "ratio" for the geometric
            mean of values > 0.
    """

    # Not a class of tests, whatever its name makes pytest believe.
    __test__ = False

    hypothesis: str
    family: str
    about: str
    expect: Expect
    pair: Pair | None = None
    values: Runs | None = None
    low: float = -math.inf
    high: float = math.inf
    by: Literal["difference", "ratio"] = "difference"


class Judged(NamedTuple):
    """A test with its answer.

    Attributes:
        test: the test.
        measured: of a pair as in `statistics.Comparison`: a - b, or a / b, with the interval at
            ``level``. Of values their mean, or geometric mean, with the interval at ``level``. A
            median without an interval where runs diverged (of values: diverged ones the largest).
        level: coverage of the interval: 1 - alpha / k, of a pair also that of the later step at
            which Holm's method decided.
        p_value: of a pair: two-sided, of no difference, whatever was expected. Of values: of the
            expectation failing, twice that of the one-sided test. NaN where there is no test.
        adjusted: of a pair Holm's p-value in the family; of values k times theirs, at most 1.
        answer: in words:

            * "as expected": better or worse: the difference is so by Holm's method. equivalent:
              the interval at level 1 - alpha / k lies within the margin on both sides (two
              one-sided tests), also where a difference was found in there. non_inferior: its
              harmful end does, or a is better. within: the interval lies inside the range;
              outside: it lies wholly below the range or wholly above. Never of fewer than
              `FEWEST` seeds, nor where more than half of the runs of an arm diverged.
            * "contrary": better or worse: the opposite difference is so by Holm's method.
              equivalent: some difference is, and was not shown to lie within the margin.
              non_inferior: worse is, and the harm was not shown to be smaller than the margin
              (neither has to lie beyond it: refuted is only that they do not differ). within:
              the interval lies wholly outside the range; outside: inside.
            * "equivalent": better or worse was expected, no difference was found, and the
              interval lies within the margin.
            * "too few seeds": whatever these seeds had shown, it could not have been decided.
            * "not resolved": none of these.
        detectable: upper limit (95%) of the smallest effect that so many seeds find 4 times of 5
            at level 1 - alpha / k: a difference, or a factor of a ratio; of values, of their mean
            from an end of the range. Where runs of a pair diverged, by ranks, given which ones;
            infinite where no effect could have been found with those. It is one of the expected
            direction, or of the harder one. Where values lie below the floor it is one of the
            floored values, like what was measured. NaN where nothing has a spread, and where runs
            of values diverged.
    """

    test: Test
    measured: Interval
    level: float
    p_value: float
    adjusted: float
    answer: Answer
    detectable: float


def judge_tests(
    tests: Sequence[Test], alpha: float = ALPHA, *, sizes: Mapping[str, int] | None = None
) -> list[Judged]:
    """Judges all tests, each family at once.

    Args:
        tests: of one or many families and hypotheses.
        alpha: the level of each family.
        sizes: members of families of which not all are given, by the family's name; the others
            count as not decided.

    Returns:
        In the given order.

    Raises:
        ValueError: an unknown expectation, a test without what it is about, a range that is none,
            values of a ratio that are not positive, a size below the number of tests, or
            as in `statistics.compare`.

    Source: Holm 1979, "A simple sequentially rejective multiple test procedure"; Schuirmann 1987,
        "A comparison of the two one-sided tests procedure and the power approach", for
        equivalence.
    """
    for test in tests:
        _check(test)
    found: dict[int, Judged] = {}
    for family in dict.fromkeys(test.family for test in tests):
        places = [place for place, test in enumerate(tests) if test.family == family]
        size = (sizes or {}).get(family, len(places))
        if size < len(places):
            raise ValueError(f"family {family!r} of size {size} has {len(places)} tests; count all")
        pairs = {place: pair for place in places if (pair := tests[place].pair) is not None}
        compared = compare(list(pairs.values()), alpha, size=size)
        for place, one in zip(pairs, compared, strict=True):
            found[place] = _of_pair(tests[place], one, 1 - alpha / size)
        for place in places:
            if place not in found:
                found[place] = _of_range(tests[place], size, alpha)
    return [found[place] for place in range(len(tests))]


def conclude(judged: Sequence[Judged]) -> Conclusion:
    """What the tests of one hypothesis say together.

    Args:
        judged: all of them; of none nothing is decided.

    Returns:
        "supported" where all are as expected; "refuted" where any is contrary; "equivalent" where
        all that expected better or worse are equivalent, and the others, if any, as expected;
        else "undecided".
    """
    answers = [one.answer for one in judged]
    if "contrary" in answers:
        return "refuted"
    if not answers:
        return "undecided"
    if all(answer == "as expected" for answer in answers):
        return "supported"
    wanted = [
        "equivalent" if one.test.expect in ("better", "worse") else "as expected" for one in judged
    ]
    return "equivalent" if answers == wanted else "undecided"


def _check(test: Test) -> None:
    """Refuses a test that cannot be judged."""
    where = f"test {test.about!r}"
    if test.expect not in get_args(Expect):
        raise unknown("expectation", test.expect, get_args(Expect))
    if (test.pair is None) == (test.values is None):
        raise ValueError(f"{where} has both a pair and values, or neither; give one of them")
    if (test.values is None) == (test.expect in _RANGES):
        needed = "values" if test.expect in _RANGES else "a pair"
        raise ValueError(f"{where} expects {test.expect!r} of the wrong thing; give {needed}")
    if test.pair is not None:
        if test.expect in _NEED_MARGIN and np.isnan(test.pair.scale.margin):
            raise ValueError(
                f"{where} expects {test.expect!r} without a margin; give its scale one"
            )
        return
    if not test.low < test.high or (math.isinf(test.low) and math.isinf(test.high)):
        raise ValueError(f"{where} has low = {test.low:g} and high = {test.high:g}, no range")
    if test.by not in ("difference", "ratio"):
        raise unknown("kind of mean", test.by, ("difference", "ratio"))


def _of_pair(test: Test, one: Comparison, level: float) -> Judged:
    """The answer of a comparison that was judged in its family."""
    assert test.pair is not None
    answer = _answer(test.expect, one)
    lost = max(one.diverged) > len(test.pair.a) / 2
    if answer == "as expected" and lost:
        answer = "not resolved"
    smallest = one.missed
    if any(one.diverged) or any(one.floored):
        smallest = detectable(test.pair, level, {"better": -1, "worse": 1}.get(test.expect, 0))
    return Judged(test, one.measured, one.level, one.p_value, one.adjusted, answer, smallest)


def _answer(expect: Expect, one: Comparison) -> Answer:
    verdict = one.verdict
    rest: Answer = "too few seeds" if verdict == "too few seeds" else "not resolved"
    if expect in ("better", "worse"):
        if verdict in ("better", "worse"):
            return "as expected" if verdict == expect else "contrary"
        return "equivalent" if verdict == "equivalent" else rest
    harmless = one.harm == "small" or verdict == "better"
    if one.harm == "none" or (expect == "non_inferior" and harmless):
        return "as expected"
    return "contrary" if verdict in ("better", "worse") else rest


def _of_range(test: Test, size: int, alpha: float) -> Judged:
    """The answer of a range test as one of ``size`` in its family."""
    values, level = np.asarray(test.values, np.float64), 1 - alpha / size
    ended = np.isfinite(values)
    if len(values) < FEWEST or not ended.all():
        value = middle(np.where(ended, values, np.inf)) if len(values) else math.nan
        nothing = Interval(value, math.nan, math.nan, math.nan)
        few: Answer = "too few seeds" if len(values) < FEWEST else "not resolved"
        return Judged(test, nothing, level, math.nan, 1.0, few, math.nan)
    low, high = test.low, test.high
    if test.by == "ratio":
        values, low, high = _logs(test)
    measured, p_value = _mean(values, low, high, level, inside=test.expect == "within")
    adjusted = min(1.0, size * p_value)
    enough = measured.error > 0 or len(values) >= fewest_seeds(size, alpha)
    smallest = math.nan
    if measured.error > 0:
        limit = spread_limit(float(values.std(ddof=1)), len(values))
        smallest = smallest_detectable(limit, len(values), level)
    answer = _answer_of_range(measured, low, high, test.expect) if enough else "too few seeds"
    if test.by == "ratio":
        with np.errstate(over="ignore"):
            numbers = np.exp([measured.value, measured.low, measured.high, smallest]).tolist()
        value, *ends, smallest = numbers
        measured = Interval(value, measured.error, *ends)
    return Judged(test, measured, level, p_value, adjusted, answer, smallest)


def _logs(test: Test) -> tuple[Runs, float, float]:
    """Logarithms of the values and of the ends of their range."""
    values = np.asarray(test.values, np.float64)
    if not np.all(values > 0):
        raise ValueError(
            f"test {test.about!r} has the value {values.min():g}, of which there is no ratio; "
            "values lie above 0"
        )
    low, high = (math.log(end) if end > 0 else -math.inf for end in (test.low, test.high))
    return np.log(values), low, high


def _mean(
    values: Runs, low: float, high: float, level: float, *, inside: bool
) -> tuple[Interval, float]:
    """The t interval of a mean, and the p-value of its lying inside the range, or outside.

    Values without a spread have no interval. Their sides are judged by signs: all n on one side of
    an end have probability 2^(1 - n), twice that of one side, where it is the median.
    """
    from scipy.special import stdtr

    num, mean = len(values), float(values.mean())
    if np.ptp(values) == 0:
        holds = (low <= values[0] <= high) == inside
        return Interval(float(values[0]), 0.0, math.nan, math.nan), 2.0 ** (
            1 - num
        ) if holds else 1.0
    error = float(values.std(ddof=1)) / math.sqrt(num)
    # Inside needs both ends to be excluded, outside either from the other side.
    beyond = np.array([low - mean, mean - high]) / error
    one_sided = stdtr(num - 1, beyond).max() if inside else stdtr(num - 1, -beyond).min()
    return interval(mean, error, num, level), min(1.0, 2 * float(one_sided))


def _answer_of_range(measured: Interval, low: float, high: float, expect: Expect) -> Answer:
    verdict = judge(measured, low, high)
    if verdict == "not resolved":
        return "not resolved"
    return "as expected" if (verdict == "holds") == (expect == "within") else "contrary"
