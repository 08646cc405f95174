"""Mode coverage on mixtures whose answer is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from sigmaprop.metrics import modes

ANGLES = np.arange(8) * np.pi / 4
RING = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1).astype(np.float32)
STD = 0.01
NUM = 2504
"""The customary 2,500, rounded to a multiple of 8."""

measure = jax.jit(modes.coverage, static_argnames="chunk")


def sample(means, scale=1.0, seed=0):
    """Rows of a mixture with ``scale`` times the true std, equally many of each component."""
    rows = np.repeat(means, NUM // len(means), axis=0)
    return rows + np.float32(scale * STD) * np.random.default_rng(seed).normal(
        size=rows.shape
    ).astype(np.float32)


def test_the_true_mixture():
    found = measure(sample(RING), RING, STD)
    share, count = 1 - np.exp(-4.5), float(found.high_quality) * NUM
    low, high = stats.binom(NUM, share).interval(1 - 1e-4)
    assert low <= count <= high
    assert int(found.num_modes) == 8
    # Squared distances of those inside: mean and variance of a cut chi2_2, by quadrature.
    moments = [
        integrate.quad(lambda r, k=k: r**k * stats.chi2.pdf(r, 2), 0, 9)[0] / share for k in (1, 2)
    ]
    error = np.sqrt((moments[1] - moments[0] ** 2) / count) / 2
    assert abs(float(found.variance_ratio) - moments[0] / 2) < 4 * error
    # Nothing but rounding lies between the modes: the entropy of a component and log 8.
    entropy = 1 + np.log(2 * np.pi * STD**2) + np.log(8)
    assert abs(float(found.log_likelihood) + entropy) < 4 / np.sqrt(NUM)


@pytest.mark.parametrize("scale", [0.0, 0.5])
def test_collapse_raises_quality_and_is_seen_in_the_variance(scale):
    found = measure(sample(RING, scale), RING, STD)
    expected = scale**2
    if scale == 0:
        assert float(found.high_quality) == 1
    else:
        # exp(-18) of the samples leave 3 std; the mean of chi2_2 / 2 has error 1 / sqrt(N).
        assert float(found.high_quality) > 0.999
    assert abs(float(found.variance_ratio) - expected) <= 4 * expected / np.sqrt(NUM)
    assert int(found.num_modes) == 8
    assert float(found.reverse_kl) < 1e-3


def test_dropped_modes_are_counted():
    found = measure(sample(RING[[0, 3]], 0.0), RING, STD)
    assert int(found.num_modes) == 2
    assert float(found.reverse_kl) == pytest.approx(np.log(4), rel=1e-6)
    one = measure(sample(RING[[5]], 0.0), RING, STD)
    assert float(one.reverse_kl) == pytest.approx(np.log(8), rel=1e-6)


def test_reverse_kl_of_unequal_counts_of_good_samples():
    counts = np.array([5, 0, 1, 2])
    means = np.arange(4, dtype=np.float32)[:, None] * 10
    bad = np.full((7, 1), 5.0, np.float32)
    x = np.concatenate([np.repeat(means, counts, axis=0), bad])
    found = measure(jnp.asarray(x), jnp.asarray(means), 1.0)
    assert float(found.reverse_kl) == pytest.approx(stats.entropy(counts, np.ones(4)), rel=1e-6)
    assert float(found.high_quality) == pytest.approx(8 / 15)
    assert int(found.num_modes) == 3


def test_reverse_kl_of_the_true_mixture_has_its_floor():
    # 2 N KL is about chi2 with K - 1 degrees of freedom: mean 7, variance 14.
    indices = jax.random.randint(jax.random.key(1), (200, 2500), 0, 8)
    many = jax.jit(jax.vmap(lambda rows: modes.coverage(rows, jnp.asarray(RING), STD).reverse_kl))
    found = np.asarray(many(jnp.asarray(RING)[indices]), np.float64)
    # The next term of the mean, (K^2 - 1) / 6 N = .004, is far below the error of 200 samples.
    assert abs(found.mean() * 2 * 2500 - 7) < 4 * np.sqrt(14 / 200)


def test_the_border_is_three_std():
    x = jnp.array([[2.999], [3.001], [-2.999]])
    found = measure(x, jnp.zeros((1, 1)), 1.0)
    assert float(found.high_quality) == pytest.approx(2 / 3)
    assert float(found.variance_ratio) == pytest.approx(2.999**2, rel=1e-6)


def test_log_likelihood_is_that_of_the_mixture():
    rng = np.random.default_rng(2)
    means, x = rng.normal(size=(5, 3)), rng.normal(size=(40, 3)) * 2
    parts = np.prod(stats.norm.pdf(x[:, None], means, 0.7), axis=-1)
    x32, means32 = jnp.asarray(x, jnp.float32), jnp.asarray(means, jnp.float32)
    found = measure(x32, means32, 0.7, chunk=16)
    assert float(found.log_likelihood) == pytest.approx(np.log(parts.mean(axis=1)).mean(), rel=1e-5)


@pytest.mark.parametrize("dim", [1, 2, 5])
def test_expected_values_agree_with_quadrature(dim):
    inside = stats.chi2(dim).cdf(9)
    mean = integrate.quad(lambda r: r * stats.chi2.pdf(r, dim), 0, 9)[0] / inside / dim
    assert modes.expected_high_quality(dim) == pytest.approx(inside, rel=1e-12)
    assert modes.expected_variance_ratio(dim) == pytest.approx(mean, rel=1e-7)


def test_expected_values_in_the_plane():
    cut = np.exp(-4.5)
    assert modes.expected_high_quality(2) == pytest.approx(0.9889, abs=5e-5)
    assert modes.expected_variance_ratio(2) == pytest.approx(1 - 4.5 * cut / (1 - cut), rel=1e-12)


def test_collapse_has_more_log_likelihood_than_the_truth():
    # By hand for modes that do not overlap: -log 8 - log(2 pi .01^2) less half of E |eps|^2.
    alone = -np.log(8) - np.log(2 * np.pi * 1e-4)
    assert modes.expected_log_likelihood(RING, 0.01) == pytest.approx(alone - 1, rel=1e-9)
    assert alone - 1 == pytest.approx(4.29, abs=0.005)
    for std, told in ((0.005, 5.04), (0.0, 5.29)):
        x = jnp.asarray(RING + std * np.array([[1, 0], [-1, 0], [0, 1], [0, -1]] * 2) * np.sqrt(2))
        found = float(measure(x, jnp.asarray(RING), 0.01).log_likelihood)
        assert found == pytest.approx(told, abs=0.005)


@pytest.mark.parametrize(("std", "dim"), [(0.2, 2), (0.5, 2), (1.0, 2), (0.5, 1), (0.5, 3)])
def test_the_log_likelihood_of_a_mixture_that_overlaps(std, dim):
    # Against 200,000 draws; 4 standard errors.
    rng = np.random.default_rng(3)
    means = rng.normal(size=(5, dim))
    x = means[rng.integers(5, size=200_000)] + std * rng.normal(size=(200_000, dim))
    logs = np.log(np.mean([np.prod(stats.norm.pdf(x, m, std), axis=1) for m in means], axis=0))
    found = modes.expected_log_likelihood(means, std)
    assert abs(found - logs.mean()) < 4 * stats.sem(logs)


def test_what_the_truth_scores_has_the_names_of_the_scores():
    assert tuple(modes.ideal(RING, STD)) == modes.ModeCoverage._fields
    with pytest.raises(ValueError, match="quadrature in 4 dimensions"):
        modes.expected_log_likelihood(np.zeros((2, 4)), 1.0)


def test_no_good_sample_leaves_nothing_to_average():
    found = measure(jnp.full((4, 2), 50.0), jnp.asarray(RING), 1.0)
    assert int(found.num_modes) == 0
    assert float(found.high_quality) == 0
    assert np.isnan(found.reverse_kl)
    assert np.isnan(found.variance_ratio)


def test_a_sample_that_is_not_a_number_harms_the_likelihood_only():
    x = jnp.asarray(sample(RING, 0.0)).at[0].set(jnp.nan)
    found = measure(x, jnp.asarray(RING), STD)
    assert float(found.high_quality) == pytest.approx(1 - 1 / NUM, rel=1e-6)
    assert int(found.num_modes) == 8
    assert float(found.variance_ratio) == 0
    assert np.isnan(found.log_likelihood)
