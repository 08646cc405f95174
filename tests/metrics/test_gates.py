"""Sensitivity to the finest scale, and the gate that a primary metric has to pass."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from sigmaprop.metrics import METRICS, Metric, check_primary, gate, gates, sensitivity
from sigmaprop.metrics.preferred import Preferred
from sigmaprop.metrics.sensitivities import CHANGES, Sensitivity
from sigmaprop.statistics import Interval, Scale

KEY = jax.random.key(0)


def spread(x, held_out, reference):
    """The mean square of x: a test of its variance."""
    del held_out, reference
    return jnp.mean(x**2)


@pytest.fixture(autouse=True)
def toy(monkeypatch):
    record = Metric("spread", Scale("target", target=1.0), "a toy", f"{__name__}:spread", "data")
    monkeypatch.setitem(METRICS, "spread", record)


def rows(num, dim=1, seed=0):
    return np.random.default_rng(seed).normal(size=(num, dim)).astype(np.float32)


@pytest.mark.slow
def test_the_power_is_that_of_the_test_of_a_variance():
    """N(0, 1) with variance (1 + c)^2: chi-square quantiles, 5 standard errors of 400 draws."""
    num = 100
    found = sensitivity("spread", rows(20_000), num, KEY, finest=1.0, num_draws=400)
    low, high = stats.chi2(num).ppf([0.025, 0.975])
    for change, grown, shrunk in zip(CHANGES, found.grown, found.shrunk, strict=True):
        for scale, power in ((1 + change, grown), (1 - change, shrunk)):
            inside = np.diff(stats.chi2(num).cdf(np.array([low, high]) / scale**2))[0]
            error = np.sqrt(inside * (1 - inside) / 400)
            # The critical values are estimated too, from 400 draws: .0125 in level.
            assert abs(power - (1 - inside)) < 5 * error + 0.1
    assert 0.1 < found.change < 0.4
    assert found.finest == 1.0


def test_components_are_drawn_to_their_means_and_others_to_that_of_all():
    means = np.array([[-5.0], [5.0]], np.float32)
    data = means[np.arange(4000) % 2] + 0.1 * rows(4000)
    own = sensitivity("variance_ratio", data, 200, KEY, finest=0.1, means=means, num_draws=40,
                      mixture=_Mixture(means, 0.1))  # fmt: skip
    assert own.change <= 0.2
    whole = sensitivity("spread", data, 200, KEY, num_draws=40)
    assert whole.finest == pytest.approx(np.sqrt(25.01), rel=0.01)
    near = sensitivity("spread", data, 200, KEY, structure="neighbours", num_draws=40)
    assert near.finest < 0.1
    assert near.change == np.inf


class _Mixture:
    def __init__(self, means, std):
        self.means, self.std = means, std


@pytest.mark.slow
def test_narrow_kernels_see_what_wide_ones_do_not():
    """Four components of std .05 on a square of side 4; the median distance is 4."""
    means = np.array([[0, 0], [4, 0], [0, 4], [4, 4]], np.float32)
    data = means[np.arange(2000) % 4] + 0.05 * rows(2000, 2)
    wide = sensitivity("mmd2", data, 300, KEY, means=means, num_draws=30)
    fine = sensitivity("mmd2", data, 300, KEY, means=means, finest=0.05, num_draws=30)
    assert wide.finest == pytest.approx(0.05, rel=0.05)
    assert wide.change == np.inf
    assert fine.change < CHANGES[-1]


def known(low, high, change=None):
    value = (low + high) / 2
    curve = np.zeros(3)
    preferred = Preferred(Interval(value, 0.01, low, high), curve, curve, curve, 64, 16, 192)
    seen = None
    if change is not None:
        power = np.ones(len(CHANGES))
        seen = Sensitivity(change, power, power, 0.05, 192, 192)
    return gates.judged("coverage", preferred, seen)


def test_what_passes():
    check_primary(known(0.98, 1.01, 0.15))
    assert known(0.98, 1.01).passes


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (known(0.6, 0.8, 0.1), r"prefers a sigma of 0\.7 \[0\.6, 0\.8\] times the right one"),
        (known(0.96, 1.0, 0.1), r"must lie in \[0\.97, 1\.03\]"),
        (known(0.99, 1.01, 0.35), "of 35% with power 0.8, where 20% must be seen"),
        (known(0.99, 1.01, np.inf), "of more than 80%"),
        (known(np.nan, np.nan), "prefers a sigma of nan"),
    ],
)
def test_what_is_refused_with_its_numbers(found, words):
    assert not found.passes
    with pytest.raises(ValueError, match=f"coverage cannot be a primary metric: .*{words}"):
        check_primary(found)


def test_the_gate_refuses_coverage_and_lets_mmd_pass():
    assert gate("mmd2", 16, 192, KEY).verdict == "holds"
    refused = gate("coverage", 16, 192, KEY)
    assert refused.verdict == "fails"
    with pytest.raises(ValueError, match="coverage cannot be a primary metric"):
        check_primary(refused)


def test_the_gate_on_a_reference_asks_for_both():
    found = gate("spread", 1, 200, KEY, rows(1000), finest=1.0)
    assert found.sensitivity is not None
    assert found.preferred.num_samples == 200


def test_few_rows_are_refused():
    with pytest.raises(ValueError, match="need 200 rows; the reference has 120"):
        sensitivity("mmd2", rows(120), 100, KEY)
    with pytest.raises(ValueError, match="high_quality needs the mixture"):
        sensitivity("high_quality", rows(300), 100, KEY)
