"""Answers of registered tests: cases worked by hand, against scipy, and their levels."""

import math

import numpy as np
import pytest
import scipy.stats

from sigmaprop.statistics import Pair, Scale, compare
from sigmaprop.study import Test, conclude, judge_tests

RATIO = Scale("smaller", "ratio", margin=1.15)
NUM = 10
WOBBLE = np.random.default_rng(0).normal(size=NUM)
WOBBLE = (WOBBLE - WOBBLE.mean()) / WOBBLE.std(ddof=1)
"""Ten numbers of mean 0 and std 1."""
ALL_OF_PAIRS = ("better", "worse", "equivalent", "non_inferior")


def pair(mean, std, scale=RATIO, lost=(), floor=1e-9):
    """Arms whose logs differ by numbers of this mean and std; some runs of a diverged."""
    a = np.exp(mean + std * WOBBLE)
    a[list(lost)] = np.nan
    return Pair(a, np.ones(NUM), scale, floor)


def answers(found, size=1):
    """What is answered to each expectation of one pair, in a family of that size."""
    return [
        judge_tests([Test("H1", "f", "a", expect, found)], sizes={"f": size})[0].answer
        for expect in ALL_OF_PAIRS
    ]


def ranged(values, expect="within", low=-1.0, high=1.0, size=1, by="difference"):
    test = Test("H1", "f", "a", expect, None, values, low, high, by)
    (found,) = judge_tests([test], sizes={"f": size})
    return found


YES, NO, SAME, OPEN, FEW = (
    "as expected",
    "contrary",
    "equivalent",
    "not resolved",
    "too few seeds",
)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        # The error is std / sqrt(10), t(9) at .975 is 2.26: intervals are mean +- .715 std.
        (pair(-0.5, 0.2), (YES, NO, NO, YES)),  # [-.64, -.36], log 1.15 = .14
        (pair(0.5, 0.2), (NO, YES, NO, NO)),
        (pair(0.0, 0.05), (SAME, SAME, YES, YES)),  # [-.04, .04]
        (pair(0.0, 0.5), (OPEN, OPEN, OPEN, OPEN)),  # [-.36, .36]
        (pair(-0.15, 0.3), (OPEN, OPEN, OPEN, YES)),  # [-.36, .06]: the harmful end alone
        (pair(0.08, 0.05), (NO, YES, YES, YES)),  # [.04, .12]: worse, within the margin
        (pair(0.12, 0.05), (NO, YES, NO, NO)),  # [.08, .16]: worse, across the margin
    ],
)
def test_answers_by_hand(found, expected):
    assert tuple(answers(found)) == expected
    larger = found._replace(scale=RATIO._replace(better="larger"), a=1 / found.a)
    assert tuple(answers(larger)) == expected


def test_answers_depend_on_the_size_of_the_family():
    """t = .26 / (.3 / sqrt 10) = 2.74 of 9 degrees of freedom: p = .023."""
    p = scipy.stats.ttest_1samp(0.26 + 0.3 * WOBBLE, 0).pvalue
    assert 0.05 / 3 < p < 0.05 / 2
    assert [answers(pair(0.26, 0.3), size)[1] for size in (1, 2, 3)] == [YES, YES, OPEN]
    # Half-widths .0574, .0681, .0744 of t(9) at .975, .9875, .99167 times .08 / sqrt 10.
    assert [answers(pair(0.07, 0.08), size)[2] for size in (1, 2, 3)] == [YES, YES, OPEN]


def test_comparisons_and_ranges_share_their_family():
    tests = [
        Test("H1", "f", "one", "better", pair(-0.5, 0.2)),
        Test("H2", "f", "two", "within", values=WOBBLE, low=-1, high=1),
        Test("H3", "g", "three", "better", pair(-0.5, 0.2)),
        Test("H1", "f", "four", "worse", pair(0.1, 0.3)),
    ]
    found = judge_tests(tests)
    assert [one.test for one in found] == tests
    assert [one.level for one in found] == [1 - 0.05 / 3, 1 - 0.05 / 3, 0.95, 1 - 0.05 / 3]
    one, _, three, four = found
    np.testing.assert_allclose(one.adjusted, 3 * one.p_value)
    # Holm's second of three; the range counts as not decided.
    np.testing.assert_allclose(four.adjusted, 2 * four.p_value)
    assert three.adjusted == three.p_value == one.p_value
    assert one.detectable > three.detectable > 1
    alone = compare([tests[0].pair, tests[3].pair], size=3)
    assert [one.measured, four.measured] == [comparison.measured for comparison in alone]


def test_nothing_is_as_expected_of_an_arm_that_mostly_diverged():
    """Of 10 runs 6, and of the arm that it is compared with."""
    lost = pair(0.0, 0.1, lost=range(6))
    assert answers(lost._replace(a=np.full(NUM, np.nan))) == [NO, OPEN, NO, NO]
    mirrored = lost._replace(a=lost.b, b=np.full(NUM, np.nan))
    assert answers(mirrored) == [OPEN, NO, NO, OPEN]
    half = pair(0.0, 0.1, lost=range(5))
    still = half._replace(b=np.full(NUM, 0.5))
    assert answers(still)[1] == YES
    assert answers(still._replace(a=np.where(np.arange(NUM) == 5, np.nan, still.a)))[1] == OPEN


def test_few_seeds_are_never_as_expected():
    for num in (1, 2):
        found = Pair(np.arange(1.0, num + 1), np.ones(num) * 50, RATIO, 1e-9)
        assert answers(found) == [FEW] * 4
        same = Pair(np.ones(num), np.ones(num), RATIO, 1e-9)
        assert answers(same) == [FEW] * 4
        assert ranged(np.zeros(num)).answer == FEW
    assert ranged(np.zeros(0)).answer == FEW
    # Six that diverged against six that did not have p = 2 / 2^6.
    lost = Pair(np.full(6, np.nan), np.ones(6), RATIO, 1e-9)
    assert [answers(lost, size)[0] for size in (1, 2)] == [NO, FEW]


def test_values_below_the_floor_show_no_equivalence():
    # Those of a may be smaller still, which does no harm.
    assert answers(pair(0.0, 0.05, floor=0.97)) == [OPEN, OPEN, OPEN, YES]
    found = pair(0.0, 0.05, floor=0.97)
    assert answers(found._replace(a=found.b, b=found.a)) == [OPEN] * 4
    better = Pair(np.full(NUM, 0.9) * np.exp(0.01 * WOBBLE), np.ones(NUM), RATIO, 0.9)
    assert answers(better) == [YES, NO, NO, YES]


@pytest.mark.parametrize(
    ("values", "within", "outside"),
    [
        (0.3 + 0.5 * WOBBLE, YES, NO),  # +- .36: [-.06, .66]
        (1.0 + 0.5 * WOBBLE, OPEN, OPEN),
        (1.5 + 0.5 * WOBBLE, NO, YES),
        (-1.5 + 0.5 * WOBBLE, NO, YES),
        (np.full(NUM, 0.5), YES, NO),
        (np.full(NUM, 1.5), NO, YES),
        (np.where(WOBBLE > 1, np.nan, 0.1 * WOBBLE), OPEN, OPEN),
    ],
)
def test_ranges_by_hand(values, within, outside):
    found = ranged(values), ranged(values, "outside")
    assert [one.answer for one in found] == [within, outside]
    for one in found:
        assert (one.answer == YES) == (one.adjusted < 0.05)
        assert np.isnan(one.measured.low) == (one.measured.error != one.measured.error) or (
            one.measured.error == 0
        )


def test_p_values_of_ranges_are_those_of_one_sided_t_tests():
    values = 0.7 + 0.5 * WOBBLE
    one_sided = [
        scipy.stats.ttest_1samp(values, end, alternative=side).pvalue
        for end, side in ((-1, "greater"), (1, "less"))
    ]
    found = ranged(values, size=3)
    np.testing.assert_allclose(found.p_value, 2 * max(one_sided), rtol=1e-12)
    np.testing.assert_allclose(found.adjusted, min(1, 6 * max(one_sided)), rtol=1e-12)
    values = values + 0.8
    p = scipy.stats.ttest_1samp(values, 1, alternative="greater").pvalue
    np.testing.assert_allclose(ranged(values, "outside").p_value, 2 * p, rtol=1e-12)
    interval = scipy.stats.ttest_1samp(values, 0).confidence_interval(0.95)
    np.testing.assert_allclose(ranged(values).measured[2:], interval, rtol=1e-12)


def test_a_ratio_s_range_is_that_of_the_geometric_mean():
    logs = 0.1 + 0.3 * WOBBLE
    found = ranged(np.exp(logs), low=0.5, high=2, by="ratio")
    plain = ranged(logs, low=-math.log(2), high=math.log(2))
    assert found.answer == plain.answer == YES
    for name in ("value", "low", "high"):
        expected = math.exp(getattr(plain.measured, name))
        np.testing.assert_allclose(getattr(found.measured, name), expected, rtol=1e-12)
    np.testing.assert_allclose(found.detectable, math.exp(plain.detectable), rtol=1e-12)
    np.testing.assert_allclose(found.p_value, plain.p_value, rtol=1e-9)
    assert ranged(np.exp(logs), low=0.0, high=2.0, by="ratio").answer == YES


def test_equal_values_need_as_many_seeds_as_signs_do():
    """2 / 2^6 < .05, 2 / 2^6 > .05 / 2 > 2 / 2^7."""
    found = [ranged(np.zeros(num), size=size).answer for num, size in ((5, 1), (6, 1), (6, 2))]
    assert found == [FEW, YES, FEW]
    assert ranged(np.zeros(7), size=2).p_value == 2.0**-6


def test_ranges_keep_their_level():
    """Means at an end of the range, families of 3: one or more inside, or outside, in 5% at most
    of 400 families, and two standard errors."""
    values = 1 + 0.5 * np.random.default_rng(1).normal(size=(400, 3, NUM))
    for expect in ("within", "outside"):
        wrong = [
            any(
                one.answer == YES
                for one in judge_tests(
                    [Test("H", "f", "a", expect, None, row, -1.0, 1.0) for row in family]
                )
            )
            for family in values
        ]
        assert np.mean(wrong) <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 400)


def test_a_later_step_of_holm_does_not_narrow_what_lies_within_the_margin():
    """The second step's interval ends below log 1.15 = .1398, that of the family above it."""
    clear = pair(0.9, 0.1)
    near = pair(0.069, 0.091)  # t = 2.40; +- .077 at 1 - .05 / 2, +- .065 at .95
    tests = [Test("H", "f", "a", "equivalent", one) for one in (clear, near)]
    found = judge_tests(tests)[1]
    assert found.level == 0.95
    assert found.measured.high < 1.15
    assert found.answer == NO
    assert answers(near)[2] == YES


def judged(*expected_and_answers):
    """Judged tests with these answers, of pairs."""
    (one,) = judge_tests([Test("H1", "f", "a", "better", pair(0.0, 0.5))])
    return [
        one._replace(test=one.test._replace(expect=expect), answer=answer)
        for expect, answer in expected_and_answers
    ]


@pytest.mark.parametrize(
    ("found", "conclusion"),
    [
        ([("better", YES), ("within", YES)], "supported"),
        ([("better", YES), ("better", NO)], "refuted"),
        ([("better", FEW), ("within", NO), ("worse", SAME)], "refuted"),
        ([("better", SAME), ("worse", SAME)], "equivalent"),
        ([("better", SAME), ("equivalent", YES)], "equivalent"),
        ([("better", SAME), ("better", YES)], "undecided"),
        ([("better", SAME), ("better", OPEN)], "undecided"),
        ([("equivalent", OPEN)], "undecided"),
        ([("better", FEW)], "undecided"),
        ([], "undecided"),
    ],
)
def test_conclusions_of_a_hypothesis(found, conclusion):
    assert conclude(judged(*found)) == conclusion
    assert conclude(judged(*found[::-1])) == conclusion


@pytest.mark.parametrize(
    ("test", "message"),
    [
        (Test("H", "f", "a", "beter", pair(0, 1)), "did you mean 'better'"),
        (Test("H", "f", "a", "better"), "both a pair and values, or neither"),
        (Test("H", "f", "a", "within", pair(0, 1), WOBBLE), "both a pair and values, or neither"),
        (Test("H", "f", "a", "within", pair(0, 1)), "'within' of the wrong thing; give values"),
        (Test("H", "f", "a", "better", None, WOBBLE), "of the wrong thing; give a pair"),
        (Test("H", "f", "a", "equivalent", pair(0, 1, Scale())), "without a margin"),
        (Test("H", "f", "a", "within", None, WOBBLE), "low = -inf and high = inf, no range"),
        (Test("H", "f", "a", "within", None, WOBBLE, 2, 1), "low = 2 and high = 1, no range"),
        (Test("H", "f", "a", "within", None, WOBBLE, 0, 1, "ratio"), "values lie above 0"),
        (Test("H", "f", "a", "within", None, WOBBLE, 0, 1, "rato"), "did you mean 'ratio'"),
    ],
)
@pytest.mark.unchecked
def test_bad_tests_are_refused_in_one_sentence(test, message):
    with pytest.raises(ValueError, match=message):
        judge_tests([test])


def test_a_family_cannot_be_smaller_than_its_tests():
    tests = [Test("H", "f", "a", "better", pair(0.0, 1.0))] * 2
    with pytest.raises(ValueError, match="of size 1 has 2 tests"):
        judge_tests(tests, sizes={"f": 1})
    with pytest.raises(ValueError, match="size = 1 is too small for 2 pairs"):
        compare([one.pair for one in tests], size=1)
