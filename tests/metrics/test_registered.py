"""What is registered of metrics: complete, and told beside their names."""

import math

import pytest

from sigmaprop.metrics import METRICS, registered


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_is_registered_at_the_three_sizes(name):
    """A new metric needs numbers: see docs/how-to/metric.md."""
    own = [one for one in registered.table() if (one.metric, one.data) == (name, "gaussian")]
    assert {(one.num_samples, one.dim) for one in own} >= {(192, 2), (192, 16), (1000, 64)}


def test_unbiased_distances_prefer_no_sigma_of_their_own_and_neighbourhoods_do():
    for dim in (2, 16, 64):
        for name in ("mmd2", "energy", "kid"):
            one = registered.find(name, dim=dim)
            assert one is not None
            assert 0.97 <= one.low <= one.high <= 1.03
    for name in ("coverage", "density", "precision", "entropic_transport", "sinkhorn"):
        one = registered.find(name, dim=16)
        assert one is not None
        assert one.high < 0.97


def test_the_primary_metric_passes_on_the_data_sets_of_the_presets():
    for data in ("digits", "ring", "grid"):
        one = registered.find("mmd2", data)
        assert one is not None
        assert one.data == data
        assert one.change <= 0.2


def test_it_is_told_in_a_few_words():
    assert registered.told("mmd2", "digits").startswith("prefers 1.00 [")
    assert "sees" in registered.told("mmd2", "digits")
    assert registered.told("mmd2", "digits").endswith("(digits)")
    assert registered.told("coverage", dim=20).endswith("(Gaussian, 192 x 16)")
    assert registered.told("reverse_kl") == "prefers no sigma"
    assert registered.told("not a metric") == ""


def test_the_nearest_dimension_is_taken():
    one = registered.find("mmd2", "unheard of", 50)
    assert one is not None
    assert one.dim == 64
    assert math.isnan(one.change)
