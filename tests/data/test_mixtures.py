"""Ring, grid and spirals against their definitions."""

import jax
import numpy as np
import pytest
from scipy import stats

from sigmaprop import data

# Two-sided false-alarm rate of each statistical test below; the data are fixed.
LEVEL = 1e-6


@pytest.mark.parametrize(("name", "num", "std"), [("ring", 8, 0.01), ("grid", 25, 0.05)])
def test_modes_and_stds_are_the_published_ones(name, num, std):
    truth = data.load(name).truth
    assert (len(truth.means), truth.std) == (num, std)
    if name == "ring":
        np.testing.assert_allclose(np.linalg.norm(truth.means, axis=1), 1, rtol=1e-6)
        nearest = np.sort(np.linalg.norm(truth.means[:, None] - truth.means, axis=2), axis=1)[:, 1]
        np.testing.assert_allclose(nearest, 2 * np.sin(np.pi / 8), rtol=1e-6)
    else:
        expected = {(i, j) for i in (-4, -2, 0, 2, 4) for j in (-4, -2, 0, 2, 4)}
        assert {tuple(mean) for mean in truth.means.astype(int).tolist()} == expected


@pytest.mark.parametrize("name", ["ring", "grid"])
def test_log_prob_is_that_of_the_mixture(name):
    truth = data.load(name).truth
    x = np.array([[0.99, 0.01], [2.03, 0.0], [-4.0, 4.1]], np.float32)
    components = [
        stats.multivariate_normal(mean.astype(float), truth.std**2).logpdf(x.astype(float))
        for mean in truth.means
    ]
    expected = np.logaddexp.reduce(components, axis=0) - np.log(len(components))
    # Far from a mean the exponent is large: float32 keeps 6e-8 of it, some roundings long.
    np.testing.assert_allclose(jax.vmap(truth.log_prob)(x), expected, rtol=3e-6, atol=3e-6)


@pytest.mark.parametrize(
    ("name", "options", "std"),
    [
        ("ring", {}, 0.01),
        ("grid", {"std": 0.2}, 0.2),
        ("ring", {"std": 0.3, "noise_std": 0.4}, 0.5),
        ("grid", {"std": 0.03, "noise_std": 0.04}, 0.05),
    ],
)
def test_rows_are_drawn_from_the_truth_noise_included(name, options, std):
    made = data.load(name, data.DataOptions(**options))
    assert made.truth.std == pytest.approx(std)
    assert made.noise_std == options.get("noise_std", 0)
    assert made.labels is not None
    counts = np.bincount(made.labels, minlength=len(made.truth.means))
    assert stats.chisquare(counts).pvalue > LEVEL
    errors = (made.x - made.truth.means[made.labels]) / std
    assert stats.kstest(errors.ravel(), "norm").pvalue > LEVEL


def test_a_sample_of_the_truth_has_the_same_law():
    truth = data.load("grid").truth
    x = np.asarray(jax.vmap(truth.sample)(jax.random.split(jax.random.key(0), 5000)))
    component = np.argmin(np.linalg.norm(x[:, None] - truth.means, axis=2), axis=1)
    assert stats.chisquare(np.bincount(component, minlength=25)).pvalue > LEVEL
    errors = ((x - truth.means[component]) / truth.std).ravel()
    assert stats.kstest(errors, "norm").pvalue > LEVEL


@pytest.mark.parametrize("std", [0.02, 0.1])
def test_spirals_are_two_arms_thickened_by_noise(std):
    made = data.load("spirals", data.DataOptions(std=std))
    assert made.labels is not None
    radius = np.linspace(0, 1, 4001)
    distances = []
    for arm in (0, 1):
        angle = 3 * np.pi * radius + arm * np.pi
        curve = radius[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
        rows = made.x[made.labels == arm][:1000]
        distances.append(np.linalg.norm(rows[:, None] - curve, axis=2).min(axis=1))
    # A row is at most as far from its curve as from the point it was made of: |std eps|.
    assert np.mean(np.concatenate(distances) ** 2) < 2 * std**2
    assert stats.binomtest(int((made.labels == 0).sum()), len(made.labels)).pvalue > LEVEL
    assert made.truth is None


def test_spirals_spread_evenly_over_the_area_they_wind_through():
    thin = data.load("spirals", data.DataOptions(std=1e-6))
    radius = np.linalg.norm(thin.x, axis=1)
    assert stats.kstest(radius**2, "uniform").pvalue > LEVEL
