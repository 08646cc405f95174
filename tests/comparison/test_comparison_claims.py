"""Claims of the comparison agree with the intervals beside them, and divergence never passes."""

from types import SimpleNamespace

import numpy as np
import pytest

from sigmaprop import Isotropic
from sigmaprop.comparison import logistic_study, studies


def final(*elbos):
    return SimpleNamespace(elbo=np.array(elbos)[:, None])


@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_an_estimator_whose_run_diverged_fails_and_says_so(value):
    traces = {"pathwise": final(-67.5, -67.5, -67.5), "measure_valued": final(-67.5, value, -67.5)}
    (claim,) = logistic_study._claims(traces)
    assert claim.verdict == "fails"
    assert "1 of 3 runs diverged" in claim.claim


def test_where_pathwise_diverged_nothing_is_said_of_the_others():
    traces = {"pathwise": final(-67.5, np.nan, -67.4), "measure_valued": final(-67.5, -67.6, -67.4)}
    assert [claim.verdict for claim in logistic_study._claims(traces)] == ["not resolved"]


def test_an_estimator_that_keeps_up_holds():
    traces = {"pathwise": final(-67.5, -67.6, -67.4), "measure_valued": final(-67.5, -67.6, -67.4)}
    assert [claim.verdict for claim in logistic_study._claims(traces)] == ["holds"]


@pytest.mark.parametrize(("spread", "off"), [(0.01, 0.0), (0.01, 1.0), (3.0, 0.0), (3.0, 9.0)])
def test_a_verdict_on_a_bias_is_what_its_interval_says(spread, off):
    repeats = 64
    noise = spread * np.random.default_rng(0).standard_normal((1, repeats, 2))
    truth = Isotropic(np.ones((1, 2)), np.ones(1))
    found = Isotropic(1 + off + noise, (1 + off + noise).mean(axis=-1))
    estimator = SimpleNamespace(name="score_function")
    setting = SimpleNamespace(
        estimator=estimator, num_samples=64, label="score_function", noise="iid"
    )
    claims = studies._bias_claims(
        SimpleNamespace(setting=setting, gaussian="isotropic", objective="sine"),
        SimpleNamespace(smoothness="smooth"),
        SimpleNamespace(gradient=found),
        SimpleNamespace(gradient=truth),
        0.5,
    )
    assert len(claims) == 2
    for claim in claims:
        inside = claim.lowest <= claim.measured.low and claim.measured.high <= claim.highest
        outside = claim.measured.high < claim.lowest or claim.measured.low > claim.highest
        expected = "holds" if inside else "fails" if outside else "not resolved"
        assert claim.verdict == expected
    assert {claim.verdict for claim in claims} == {
        "not resolved" if spread > 1 and not off else "fails" if off else "holds"
    }
