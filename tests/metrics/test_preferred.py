"""The scale that a metric prefers, against metrics whose preference is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sigmaprop.metrics import METRICS, Metric, preferred, preferred_scale
from sigmaprop.statistics import Scale

KEY = jax.random.key(0)


def second_moment(x, held_out, reference):
    """Prefers samples of the std of the held-out data."""
    del reference
    return jnp.abs(jnp.log(jnp.mean(x**2) / jnp.mean(held_out**2)))


def too_small(x, held_out, reference):
    """Prefers samples of .8 of it."""
    del reference
    return (jnp.log(jnp.mean(x**2) / jnp.mean(held_out**2)) - 2 * jnp.log(0.8)) ** 2


def spread(x, held_out, reference):
    """The more, the better."""
    del held_out, reference
    return jnp.mean(x**2)


@pytest.fixture(autouse=True)
def toys(monkeypatch):
    for function, better in (
        (second_moment, "smaller"),
        (too_small, "smaller"),
        (spread, "larger"),
    ):
        record = Metric("toy", Scale(better), "a toy", f"{__name__}:{function.__name__}", "data")
        monkeypatch.setitem(METRICS, function.__name__, record)


def test_a_metric_without_an_opinion_prefers_one():
    found = preferred_scale("second_moment", 4, 100, KEY)
    assert found.measured.low <= 1 <= found.measured.high
    assert found.measured.high - found.measured.low < 0.04
    assert found.at_end == ""
    assert (found.dim, found.num_samples) == (4, 100)


def test_an_opinion_is_found():
    # 400 squares a side give log std a standard error of .05, 8 repeats .018; 4 of these.
    found = preferred_scale("too_small", 4, 100, KEY)
    assert found.measured.value == pytest.approx(0.8, rel=4 * 0.018)
    assert found.measured.high < 0.97


def test_the_ends_are_told():
    found = preferred_scale("spread", 2, 20, KEY)
    assert found.at_end == ">="
    assert found.measured.value == preferred.SCALES[-1]
    assert np.argmax(found.curve) == len(found.scales) - 1


@pytest.mark.parametrize(
    ("name", "dim", "low", "high"),
    [
        ("mmd2", 16, 0.97, 1.03),
        ("energy", 16, 0.97, 1.03),
        ("kid", 16, 0.97, 1.03),
        ("frechet", 16, 0.95, 0.985),
        ("coverage", 16, 0.5, 0.85),
        ("density", 16, 0.5, 0.6),
        ("precision", 16, 0.5, 0.6),
        ("recall", 16, 1.3, 2.0),
        ("high_quality", 2, 0.5, 0.5),
        ("log_likelihood", 2, 0.97, 1.03),
    ],
)
def test_what_metrics_prefer_at_192_rows(name, dim, low, high):
    """Measured elsewhere with other code: unbiased ones 1.00, Frechet .97, neighbourhoods <= .6,
    recall >= 1.3."""
    found = preferred_scale(name, dim, 192, KEY, most_repeats=64)
    assert low <= found.measured.value <= high


@pytest.mark.slow
@pytest.mark.parametrize(("name", "low", "high"), [
    ("entropic_transport", 0.5, 0.65), ("sinkhorn", 0.58, 0.75), ("sliced_wasserstein", 0.97, 1.0),
])  # fmt: skip
def test_what_transport_prefers_at_192_rows(name, low, high):
    assert low <= preferred_scale(name, 16, 192, KEY).measured.value <= high


def test_exact_transport_of_scipy_prefers_points_drawn_together():
    """The plan's fault is not that of its entropy: exact assignments of 192 rows, 8 repeats."""
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    rng = np.random.default_rng(0)
    scales = np.array([0.5, 0.6, 0.8, 1.0])
    costs = np.zeros(len(scales))
    for _ in range(8):
        x, y = rng.normal(size=(2, 192, 16))
        for place, scale in enumerate(scales):
            squares = cdist(scale * x, y) ** 2
            costs[place] += squares[linear_sum_assignment(squares)].mean()
    assert scales[np.argmin(costs)] <= 0.6


@pytest.mark.slow
def test_with_a_reference_the_noise_that_was_added_is_preferred():
    rows = np.random.default_rng(1).integers(0, 3, (700, 4)).astype(np.float32)
    found = preferred_scale("energy", 4, 100, KEY, rows, noise=0.7, most_repeats=64)
    assert found.measured.low <= 1 <= found.measured.high
    assert found.measured.high - found.measured.low < 0.3


def test_features_are_what_is_compared():
    """In the sum of the coordinates nothing but its own std counts."""
    found = preferred_scale(
        "second_moment",
        4,
        100,
        KEY,
        features=lambda rows: jnp.sum(rows, axis=1, keepdims=True),
        most_repeats=64,
    )
    assert found.measured.low <= 1 <= found.measured.high


def test_the_same_key_gives_the_same_numbers():
    one, other = (preferred_scale("energy", 2, 50, KEY, most_repeats=16) for _ in range(2))
    assert one.measured == other.measured
    np.testing.assert_array_equal(one.curve, other.curve)


def test_a_metric_that_never_changes_prefers_nothing():
    found = preferred_scale("num_modes", 2, 50, KEY)
    assert np.isnan(found.measured.value)


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        (("mmd", 2, 50), {}, "unknown metric 'mmd'; did you mean 'mmd2'"),
        (("mmd2", 0, 50), {}, "dim is 0 and num_samples 50; give dim >= 1"),
        (("mmd2", 2, 3), {}, "num_samples 3; give"),
        (("mmd2", 2, 50), {"noise": 0.0}, "noise is 0.0"),
    ],
)
def test_bad_input_is_a_sentence(arguments, options, words):
    with pytest.raises(ValueError, match=words):
        preferred_scale(*arguments, KEY, **options)


def test_few_rows_of_a_reference_are_refused():
    with pytest.raises(ValueError, match=r"the reference has 100 rows; .* take num_samples <= 33"):
        preferred_scale("mmd2", 2, 50, KEY, np.zeros((100, 2)))
    with pytest.raises(ValueError, match="num_modes needs a mixture"):
        preferred_scale("num_modes", 2, 50, KEY, np.zeros((200, 2)))


@pytest.mark.slow
def test_a_metric_that_is_as_good_far_away_prefers_nothing():
    """In 16 dimensions a classifier by neighbours takes all for the narrower kind, or none."""
    found = preferred_scale("c2st", 16, 192, KEY, most_repeats=64)
    assert found.measured.low <= 0.5 or found.measured.high >= 2.0
