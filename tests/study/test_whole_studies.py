"""Whole studies, simulated: studies of equal arms find nothing, and a planted handicap is found.

Each study has 6 hypotheses in one family. A hypothesis has two arms of 10 seeds whose squared MMD
is log-normal, with what a seed's data share, and lies below the floor of real against real once in
ten. The mutants at the end are wrong in one way each, and every one fails one of these tests.
"""

import numpy as np
import pytest
import scipy.stats

from sigmaprop.statistics import Pair, Scale
from sigmaprop.study import Judged, Test, judge_tests

NUM_TESTS, NUM_SEEDS = 6, 10
SHARED, OWN = 0.5, 0.4
FLOOR = float(np.exp(scipy.stats.norm.ppf(0.1) * np.hypot(SHARED, OWN)))
SCALE = Scale("smaller", "ratio", margin=1.15)
DIVERGED = 0.02
NUM = 200
FEWEST, MOST = 3, 19
"""False alarms of 200 studies at 5%: within these with probability .995 (binomial)."""
NUM_SEARCHED = 400
CONFIGURATIONS = 8


def arms(num, seed, configurations=1):
    """Logs of all runs: [study, test, arm, configuration, seed]."""
    generator = np.random.default_rng(seed)
    shape = (num, NUM_TESTS, 2, configurations, NUM_SEEDS)
    shared = generator.normal(0, SHARED, (num, NUM_TESTS, 1, 1, NUM_SEEDS))
    return shared + generator.normal(0, OWN, shape)


def values(logs, seed):
    """The metric of runs of which one in fifty diverged, alike in all arms."""
    lost = np.random.default_rng(seed).uniform(size=logs.shape) < DIVERGED
    return np.where(lost, np.nan, np.exp(logs))


def registered(study):
    """The six tests of a study [test, arm, seed]."""
    return [
        Test(f"H{place}", "primary", "x", "better", Pair(a, b, SCALE, FLOOR))
        for place, (a, b) in enumerate(study)
    ]


def decided(judged: list[Judged]) -> bool:
    """Whether a study says better or worse of any arm."""
    return any(one.answer in ("as expected", "contrary") for one in judged)


def false_alarms(studies, judge=judge_tests):
    return sum(decided(judge(registered(study))) for study in studies)


def called_better(studies, judge=judge_tests):
    return sum(any(one.answer == "as expected" for one in judge(registered(s))) for s in studies)


@pytest.fixture(scope="module")
def equal_arms():
    return values(arms(NUM, 0)[:, :, :, 0], 1)


@pytest.fixture(scope="module")
def equal_arms_that_hide_their_bad_runs():
    """Arms a that diverge where they are bad: 3 of 10 runs, those that lose most to b's."""
    logs = arms(NUM, 2)[:, :, :, 0]
    harm = logs[:, :, 0] - logs[:, :, 1]
    worst = harm >= np.sort(harm, axis=-1)[..., -3:-2]
    logs[:, :, 0][worst] = np.nan
    return np.exp(logs)


@pytest.fixture(scope="module")
def searched():
    """Arms a of 8 equal configurations, and fresh runs of each: [2, study, test, arm, ...]."""
    return np.stack([arms(NUM_SEARCHED, seed, CONFIGURATIONS) for seed in (3, 4)])


def selected(selection, test, seed):
    """The configuration of a with the least mean log at selection, at test; b was not searched."""
    best = selection[:, :, 0].mean(axis=-1).argmin(axis=-1)[:, :, None, None]
    chosen = np.take_along_axis(test[:, :, 0], best, axis=2)[:, :, 0]
    return values(np.stack([chosen, test[:, :, 1, 0]], axis=2), seed)


def most_of(num):
    """The most false alarms at 5%: more have probability .0025."""
    return scipy.stats.binom(num, 0.05).ppf(0.9975)


def test_the_range_of_false_alarms_has_its_probability():
    binomial = scipy.stats.binom(NUM, 0.05)
    assert round(binomial.cdf(MOST) - binomial.cdf(FEWEST - 1), 3) == 0.995


def test_studies_of_equal_arms_find_something_once_in_twenty(equal_arms):
    assert FEWEST <= false_alarms(equal_arms) <= MOST


def test_divergence_is_no_way_to_be_better(equal_arms_that_hide_their_bad_runs):
    assert called_better(equal_arms_that_hide_their_bad_runs) <= MOST


def test_selection_on_seeds_of_its_own_keeps_the_level(searched):
    selection, test = searched
    assert false_alarms(selected(selection, test, 5)) <= most_of(NUM_SEARCHED)


def found_handicaps(judge=judge_tests, num=50):
    """In how many studies the handicap is found that another study printed as detectable.

    The arm of the first hypothesis is worse by that factor; the other arms are equal.
    """
    pilots = values(arms(num, 6)[:, :, :, 0], 7)
    logs = arms(num, 8)[:, :, :, 0]
    printed = []
    for row, pilot in enumerate(pilots):
        known = [one.detectable for one in judge_tests(registered(pilot))]
        printed.append(next((factor for factor in known if np.isfinite(factor)), np.nan))
        logs[row, 0, 0] += np.log(printed[-1])
    assert np.isfinite(printed).all()
    judged = [judge(registered(study)) for study in values(logs, 9)]
    return sum(one[0].answer == "contrary" for one in judged)


def test_a_handicap_of_the_printed_smallest_effect_is_found():
    assert found_handicaps() >= 0.7 * 50


def without_holm(tests):
    """A mutant: each test is a family of its own."""
    return [judge_tests([test])[0] for test in tests]


def without_diverged(tests):
    """A mutant: pairs of which a run diverged are dropped."""
    return judge_tests([test._replace(pair=ended(test.pair)) for test in tests])


def ended(pair):
    both = np.isfinite(pair.a) & np.isfinite(pair.b)
    return pair._replace(a=pair.a[both], b=pair.b[both])


def test_mutant_without_holm_is_caught(equal_arms):
    assert false_alarms(equal_arms, without_holm) > MOST


def test_mutant_that_drops_diverged_runs_is_caught(equal_arms_that_hide_their_bad_runs):
    assert called_better(equal_arms_that_hide_their_bad_runs, without_diverged) > MOST


def test_mutant_that_selects_on_the_test_seeds_is_caught(searched):
    _, test = searched
    assert false_alarms(selected(test, test, 5)) > most_of(NUM_SEARCHED)
