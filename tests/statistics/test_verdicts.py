"""Verdicts of families of comparisons: level and power by simulation, and cases worked by hand."""

import numpy as np
import pytest
import scipy.stats

from sigmaprop import statistics
from sigmaprop.statistics import Pair, Scale, compare

RATIO = Scale("smaller", "ratio", margin=statistics.MARGIN)
PLAIN = Scale("smaller")
DECIDED = ("better", "worse")


def families(num, arms, seeds, effect=0.0, spread=0.4, seed=0):
    """Logs of a metric, [num, arms + 1, seeds]: a zero arm, then others that share its seeds."""
    generator = np.random.default_rng(seed)
    shared = generator.normal(0, 0.5, (num, 1, seeds))
    logs = shared + generator.normal(0, spread, (num, arms + 1, seeds))
    logs[:, 1:] += effect
    return logs


def judged(values, scale=RATIO, floor=1e-9):
    """The verdicts of every family of values [num, arms + 1, seeds]."""
    return [
        compare([Pair(arm, family[0], scale, floor) for arm in family[1:]]) for family in values
    ]


def share(found, words):
    """The share of families with one or more of these verdicts."""
    return np.mean([any(one.verdict in words for one in family) for family in found])


def at_most(level, num):
    """The level and two standard errors."""
    return level + 2 * np.sqrt(level * (1 - level) / num)


@pytest.mark.parametrize(("arms", "seeds"), [(1, 4), (3, 4), (6, 8)])
def test_families_without_an_effect_get_a_verdict_once_in_twenty(arms, seeds):
    """A/A: 600 families, fixed seed; of right ones 2.3% would not pass."""
    found = judged(np.exp(families(600, arms, seeds)))
    assert share(found, DECIDED) <= at_most(0.05, 600)


def test_divergence_in_both_arms_keeps_the_level():
    """Each run of each arm diverges with probability .3, 10 seeds, 3 arms, 600 families."""
    values = np.exp(families(600, 3, 10, seed=1))
    values[np.random.default_rng(2).uniform(size=values.shape) < 0.3] = np.nan
    found = judged(values)
    assert share(found, DECIDED) <= at_most(0.05, 600)
    for one in (one for family in found for one in family):
        assert (one.test == "signed_rank") == any(one.diverged)
        assert np.isnan(one.measured.low) == any(one.diverged)


def test_floors_keep_the_level():
    """Half of all values lie below the floor, 3 arms of 6 seeds, 600 families."""
    values = np.exp(families(600, 3, 6, seed=3))
    found = judged(values, floor=1.0)
    assert share(found, DECIDED) <= at_most(0.05, 600)
    for one in (one for family in found for one in family):
        assert not any(one.floored) or one.verdict != "equivalent"
        assert not one.floored[1] or one.verdict != "non-inferior"


def test_arms_at_the_margin_are_called_equivalent_once_in_twenty():
    """True ratios of 1.25: 600 families of 3 arms, noise that leaves half of them unresolved."""
    values = np.exp(families(600, 3, 6, effect=np.log(1.25), spread=0.12, seed=4))
    found = judged(values)
    assert share(found, ("equivalent", "non-inferior", "better")) <= at_most(0.05, 600)


@pytest.mark.parametrize(("num", "arms"), [(4, 1), (5, 3), (10, 6)])
def test_the_smallest_detectable_effect_is_found_4_times_of_5(num, arms):
    """One arm has it, the others do not differ; 400 families, 4 standard errors.

    Holm's later steps can only help, and are taken in less than 5% of the families.
    """
    effect = statistics.smallest_detectable(1.0, num, 1 - 0.05 / arms)
    values = np.random.default_rng(5).normal(size=(400, arms + 1, num))
    values[:, 0] = 0
    values[:, 1] += effect
    power = np.mean([family[0].verdict == "worse" for family in judged(values, PLAIN)])
    assert 0.8 - 4 * np.sqrt(0.16 / 400) <= power <= 0.85 + 4 * np.sqrt(0.16 / 400)


def test_what_may_have_been_missed_is_rarely_smaller_than_what_is_missed():
    """The limit falls below the true smallest effect once in twenty: 600 families of 1, 4 seeds."""
    true = statistics.smallest_detectable(np.sqrt(2), 4)
    values = np.random.default_rng(6).normal(size=(600, 2, 4))
    low = np.mean([family[0].missed < true for family in judged(values, PLAIN)])
    assert low <= at_most(0.05, 600)


def test_the_interval_excludes_1_exactly_where_the_verdict_says_so():
    values = np.exp(families(200, 4, 6, effect=-0.5, seed=7))
    decided = 0
    for one in (one for family in judged(values) for one in family):
        excludes = not one.measured.low <= 1 <= one.measured.high
        assert excludes == (one.verdict in DECIDED)
        assert (one.measured.value < 1) == (one.verdict == "better") or not excludes
        decided += excludes
    assert 100 < decided < 700


def test_a_later_step_of_holm_has_its_own_level():
    base = np.array([1.0, -1.0, 2.0, -2.0, 0.5, -0.5])
    tests = [scipy.stats.ttest_1samp(base + shift, 0).pvalue for shift in (9, 1.95, 0.3)]
    assert tests[0] < 0.05 / 3 < tests[1] < 0.05 / 2 < tests[2]
    found = compare([Pair(base + shift, np.zeros(6)) for shift in (1.95, 9, 0.3)])
    assert [one.level for one in found] == [1 - 0.05 / 2, 1 - 0.05 / 3, 1 - 0.05 / 3]
    assert [one.verdict for one in found] == ["worse", "worse", "not resolved"]
    assert found[0].measured.low > 0
    np.testing.assert_allclose([one.p_value for one in found], [tests[1], tests[0], tests[2]])


def test_a_lucky_survivor_is_no_winner():
    """9 of 10 diverged and the last is the best run of all."""
    zero = np.exp(np.random.default_rng(8).normal(size=10))
    arm = np.full(10, np.nan)
    arm[4] = zero.min() / 100
    (found,) = compare([Pair(arm, zero, RATIO, 1e-9)])
    assert found.verdict == "worse"
    assert found.diverged == (9, 0)
    assert found.measured.value == np.inf
    (mirrored,) = compare([Pair(zero, arm, RATIO, 1e-9)])
    assert mirrored.verdict == "better"
    assert mirrored.measured.value == 0
    likely = Scale("larger")
    (found,) = compare([Pair(np.where(np.isnan(arm), np.nan, 100.0), zero, likely)])
    assert found.verdict == "worse"
    assert found.measured.value == -np.inf


@pytest.mark.parametrize(("arms", "seeds"), [(1, 6), (3, 7), (6, 8)])
def test_all_against_none_diverged_is_worse_as_soon_as_ranks_allow(arms, seeds):
    assert statistics.fewest_seeds(arms) == seeds
    generator = np.random.default_rng(9)
    for num, verdict in ((seeds - 1, "too few seeds"), (seeds, "worse")):
        zero = generator.normal(size=num)
        others = [Pair(generator.normal(size=num), zero) for _ in range(arms - 1)]
        assert compare([Pair(np.full(num, np.nan), zero), *others])[0].verdict == verdict


def test_seeds_are_enough_where_the_other_verdicts_leave_room():
    """6 seeds do in a family of 2 whose other member is decided: its place is the last step."""
    zero = np.zeros(6)
    clear = Pair(np.array([5.0, 5.1, 4.9, 5.2, 4.8, 5.0]), zero)
    lost = Pair(np.full(6, np.nan), zero)
    mixed = Pair(np.array([np.nan, 1, -1, 2, -3, 1.5]), zero)
    assert [one.verdict for one in compare([clear, lost])] == ["worse", "worse"]
    assert compare([clear, mixed])[1].verdict == "not resolved"
    assert compare([Pair(np.array([1, -1, 2.0, 3, 1, 2]), zero), mixed])[1].verdict == (
        "too few seeds"
    )


@pytest.mark.parametrize("num", [1, 2])
def test_fewer_than_3_seeds_decide_nothing(num):
    (found,) = compare([Pair(np.arange(num) + 5.0, np.zeros(num))])
    assert found.verdict == "too few seeds"
    assert np.isnan([found.measured.low, found.p_value, found.missed]).all()
    assert np.isfinite(found.measured.value)


def test_two_arms_that_always_diverge_are_not_resolved():
    (found,) = compare([Pair(np.full(8, np.nan), np.full(8, np.nan), RATIO, 1e-9)])
    assert (found.verdict, found.p_value, found.measured.value) == ("not resolved", 1, 1)


@pytest.mark.parametrize(
    ("logs", "verdict"),
    [
        ([0.01, -0.02, 0.02, -0.01], "equivalent"),
        ([-0.4, 0.1, -0.3, -0.02], "non-inferior"),
        ([0.4, -0.1, 0.3, 0.02], "not resolved"),
        ([0.05, 0.06, 0.055, 0.058], "worse"),
    ],
)
def test_equivalent_and_non_inferior(logs, verdict):
    base = np.array([0.02, 0.05, 0.1, 0.03])
    (found,) = compare([Pair(np.exp(logs) * base, base, RATIO, 1e-9)])
    assert found.verdict == verdict
    assert found.within == (verdict in ("equivalent", "worse"))
    larger = RATIO._replace(better="larger")
    (mirrored,) = compare([Pair(base, np.exp(logs) * base, larger, 1e-9)])
    assert mirrored.verdict == verdict


def test_a_target_is_missed_on_both_sides():
    """Truth scores 4.29; half its std 5.04, which is no better than 3.54."""
    scale = Scale("target", target=4.29)
    wobble = np.array([0.01, -0.02, 0.015, 0.0, -0.01])
    right, collapsed, short = 4.29 + wobble, 5.04 + wobble[::-1], 3.54 - wobble
    found = compare([Pair(arm, right, scale) for arm in (collapsed, short)])
    assert [one.verdict for one in found] == ["worse", "worse"]
    np.testing.assert_allclose([one.measured.value for one in found], 0.739, atol=0.01)
    assert compare([Pair(short, collapsed, scale)])[0].verdict == "not resolved"


def test_a_floored_ratio_is_a_bound():
    high, low = np.array([2.0, 3, 4, 2.5]), np.array([0.5, 2.4, 3, -0.1])
    for a, b, sign, counts in (
        (low, high, "<=", (2, 0)),
        (high, low, ">=", (0, 2)),
        (low, low, "?", (2, 2)),
        (high, high, "", (0, 0)),
    ):
        (found,) = compare([Pair(a, b, RATIO, 1.0)])
        assert (found.bound, found.floored) == (sign, counts)
        assert np.isnan(found.missed) or not any(counts)
    (found,) = compare([Pair(low, low, RATIO, 1.0)])
    assert found.verdict == "not resolved"
    assert np.isnan([found.measured.low, found.measured.high]).all()


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        (Pair(np.ones(3), np.ones(4)), "one value a seed"),
        (Pair(np.ones(3), np.ones(3), Scale("target")), "target = nan is no value"),
        (Pair(np.ones(3), np.ones(3), Scale("smallest")), "did you mean 'smaller'"),
        (Pair(np.ones(3), np.ones(3), Scale(by="ratio"), 0.0), r"floor = 0\.0 has no logarithm"),
        (Pair(np.ones(3), np.ones(3), RATIO._replace(margin=0.8), 1.0), r"margin = 0\.8 is none"),
    ],
)
@pytest.mark.unchecked
def test_bad_input_is_refused_in_one_sentence(pair, message):
    with pytest.raises(ValueError, match=message):
        compare([pair])


@pytest.mark.parametrize(
    ("low", "high", "better", "told"),
    [
        (0.97, 1.03, "smaller", "equivalent"),
        (1.06, 1.2, "smaller", "worse"),
        (1.06, 1.2, "larger", "better"),
        (0.8, 0.9, "larger", "worse"),
        (1.01, 1.2, "smaller", "not resolved"),
        (0.5, 2.0, "smaller", "not resolved"),
        (np.nan, np.nan, "smaller", "not resolved"),
    ],
)
def test_beyond_a_margin_is_the_whole_interval(low, high, better, told):
    ratio = statistics.Interval((low + high) / 2, 0.1, low, high)
    assert statistics.beyond(ratio, 1.05, better) == told


def test_a_margin_of_one_is_refused():
    with pytest.raises(ValueError, match="margin = 1 is none"):
        statistics.beyond(statistics.Interval(1.0, 0.1, 0.9, 1.1), 1.0, "smaller")
