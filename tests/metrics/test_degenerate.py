"""Every metric on samples that are no good: a number, NaN of its own, or one sentence."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sigmaprop.data import Mixture
from sigmaprop.generators.evaluation import Reference
from sigmaprop.metrics import METRICS

NUM, DIM = 60, 3
NEED_MORE = ("mmd2", "kid", "energy", "frechet", "precision", "recall", "density", "coverage")
NEED_MORE += ("c2st",)


def rows(seed):
    return jax.random.normal(jax.random.key(seed), (NUM, DIM))


def reference(train):
    mixture = Mixture(np.zeros((1, DIM), np.float32), 1.0)
    return Reference(train, jnp.array([0.5, 2.0]), jax.random.key(9), mixture, train)


def score(name, x, y, train):
    metric = METRICS[name]
    result = metric.function(x, y, reference(train))
    return float(getattr(result, name) if isinstance(result, tuple) else result)


DEAR = ("fld", "fld_gap", "c_t", "ndb", "bins_js", "sinkhorn", "entropic_transport", "c2st")
NAMES = [pytest.param(name, marks=pytest.mark.slow) if name in DEAR else name for name in METRICS]


@pytest.mark.parametrize("name", NAMES)
def test_good_samples_give_a_number(name):
    assert np.isfinite(score(name, rows(0), rows(1), rows(2)))


@pytest.mark.parametrize("name", NAMES)
def test_samples_equal_to_the_held_out_data_give_a_number(name):
    assert np.isfinite(score(name, rows(1), rows(1), rows(2)))


@pytest.mark.parametrize("name", NAMES)
def test_constant_samples_give_a_number(name):
    assert np.isfinite(score(name, jnp.ones((NUM, DIM)), rows(1), rows(2)))


@pytest.mark.parametrize("name", NAMES)
def test_a_row_that_is_not_a_number_does_not_pass_for_a_good_score(name):
    """NaN, or a score that says how bad the other rows' company is; never an exception."""
    bad = score(name, rows(0).at[3, 1].set(jnp.nan), rows(1), rows(2))
    partial = {"precision", "density", "recall", "coverage", "num_modes", "high_quality"}
    partial |= {"reverse_kl", "variance_ratio"}  # shares of the rows that are any good
    if name not in partial:
        assert np.isnan(bad)


@pytest.mark.parametrize("name", NAMES)
def test_samples_far_out_are_no_better_than_good_ones(name):
    far = score(name, 1e15 * rows(0), rows(1), rows(2))
    good = score(name, rows(0), rows(1), rows(2))
    scale = METRICS[name].scale
    if np.isnan(far) or name in ("fld_gap", "reverse_kl", "num_modes"):
        return
    if scale.better == "larger":
        assert far <= good or name == "recall"
    elif scale.better == "smaller" or name == "c2st":
        assert far >= good
    else:
        assert abs(far) >= abs(good)


@pytest.mark.parametrize("name", NAMES)
def test_one_row_is_a_number_or_a_sentence(name):
    if name in NEED_MORE:
        with pytest.raises(ValueError, match=r"at least \d rows on each side, not 1 and 60"):
            score(name, rows(0)[:1], rows(1), rows(2))
    else:
        assert isinstance(score(name, rows(0)[:1], rows(1), rows(2)), float)
