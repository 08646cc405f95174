"""Sentences on a run of generators: each kind is a family, and chance makes few of them."""

import numpy as np
from scipy import stats

from sigmaprop.generators import results, scores
from sigmaprop.generators.results import Key
from sigmaprop.reporting import frame
from sigmaprop.reporting.gan import words

from . import made_up_gan as made_up


def read(path, **options):
    """The numbers of a made-up run, and its comparisons."""
    directory = made_up.make_run(path / "run", **options)
    return results.measured(directory), scores.from_json(frame.load(directory).claims)


def with_scores(run, x, mean):
    """MMD^2 of x and of the mean, one number for each replica."""
    run, comparisons = run
    series = dict(run.series)
    for of, values in (("x", x), ("mean", mean)):
        own = series[Key("mmd2", of, "last")]
        value = np.broadcast_to(values[:, None], own.value.shape)
        series[Key("mmd2", of, "last")] = own._replace(value=value)
    return run._replace(series=series), comparisons


def test_no_sentence_on_noise_by_chance(tmp_path):
    """Of 300 reports of 6 cells whose noise does nothing 5% say that it helps or harms.

    Each cell by itself would, in 26% of them; 9 of 10 times at most 6.7% do.
    """
    swept = ("learning_rate", (1e-4, 1e-3, 1e-2))
    run = read(tmp_path, arms=("zero", "global", "per_pixel"), swept=swept)
    generator = np.random.default_rng(1)
    wrong = 0
    for _ in range(300):
        x, mean = np.exp(generator.normal(-3, 0.4, (2, 36)))
        told = list(words._noise(*with_scores(run, x, mean)))
        wrong += any(sentence.startswith("Its noise") for sentence in told)
    assert wrong <= stats.binom.isf(0.1, 300, 0.05)


def test_noise_that_helps_harms_or_does_nothing(tmp_path):
    run = read(tmp_path, arms=("zero", "global", "per_pixel", "fixed"))
    generator = np.random.default_rng(2)
    mean = np.exp(generator.normal(-3, 0.4, 16))
    wobble = np.exp(generator.normal(0, 0.03, 16))
    x = mean * wobble * np.repeat([1, 0.5, 2, 1], 4)
    told = list(words._noise(*with_scores(run, x, mean)))
    assert [sentence.split(",")[0] for sentence in told] == [
        "Its noise brings x nearer to the data than the mean is",
        "Its noise takes x farther from the data than the mean is",
        "With its noise x is as near to the data as the mean is",
    ]
    assert all("intervals at 98.3% for 3 cells" in sentence for sentence in told)
    assert "within a factor of 1.25" in told[2]


def test_a_floored_ratio_is_told_as_a_bound(tmp_path):
    run = read(tmp_path, arms=("zero", "global"))
    floor = made_up.REAL["mmd2"]["percentile_95"]
    mean = floor * np.array([5, 6, 7, 8, 5, 6, 7, 8.0])
    x = mean * np.repeat([1, 0.15], 4)
    (sentence,) = words._noise(*with_scores(run, x, mean))
    assert "≤ " in sentence


def test_the_margin_of_an_interval_is_told_from_1():
    from sigmaprop.reporting.fmt import short
    from sigmaprop.reporting.gan.words import ranged
    from sigmaprop.statistics import Interval

    assert ranged(Interval(0.996, 0.0, 0.99, 0.998)) == "0.996 [0.99, 0.998]"
    assert ranged(Interval(1.0, 0.0, 0.97, 1.004)) == "1 [0.97, 1.004]"
    assert ranged(Interval(8.0, 0.0, 8.0, 8.0)) == "8"
    assert ranged(Interval(0.81, 0.1, 0.7, 0.95), "<=") == "≤ 0.81 [0.7, 0.95]"
    assert ranged(Interval(0.09712, 0.0, 0.09711, 0.09713)) == "0.097 [±1e-5]"
    assert short(np.inf) == "∞"
