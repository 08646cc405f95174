"""Densities against scipy, scores against autodiff, samples against their moments; float64."""

import itertools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from sigmaprop import objectives
from sigmaprop.gaussians import Diagonal, Full, Isotropic, LowRank, kl_divergence

# An upper bound on the roundings between input and output; it multiplies a magnitude.
ROUNDING = 100 * np.finfo(np.float64).eps
FAMILIES = ("diagonal", "full", "isotropic", "low_rank")
DIM, RANK = 3, 2
WIDE_DIM, WIDE_RANK = 37, 3


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def make(family, dim=DIM, rank=RANK, seed=0):
    """Standard deviations of order 1 and correlations of order 1/2."""
    generator = np.random.default_rng(seed)
    mean = jnp.asarray(generator.standard_normal(dim))
    scale = jnp.asarray(generator.uniform(0.5, 1.5, dim))
    factor = jnp.asarray(generator.standard_normal((dim, rank)) / np.sqrt(rank))
    return {
        "isotropic": lambda: Isotropic(mean, scale[0]),
        "diagonal": lambda: Diagonal(mean, scale),
        "full": lambda: Full(mean, jnp.tril(0.5 * factor @ factor.T, -1) + jnp.diag(scale)),
        "low_rank": lambda: LowRank(mean, scale, factor),
    }[family]()


@pytest.fixture(params=FAMILIES)
def gaussian(request):
    return make(request.param)


def noise_map(gaussian):
    """The matrix from noise to x, [D, K], written out."""
    scale = np.asarray(gaussian.scale)
    if isinstance(gaussian, Full):
        return scale
    diagonal = np.diag(np.broadcast_to(scale, gaussian.mean.shape))
    if isinstance(gaussian, LowRank):
        return np.hstack([diagonal, np.asarray(gaussian.factor)])
    return diagonal


def dense(gaussian):
    """The covariance matrix."""
    return noise_map(gaussian) @ noise_map(gaussian).T


def noise_of(gaussian, seed=1):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(gaussian.noise_dim))


def assert_close(found, expected, magnitude=1.0):
    """Leaf by leaf, to rounding."""
    assert type(found) is type(expected)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert one.shape == other.shape
        size = magnitude * max(1.0, np.abs(other).max(initial=0.0))
        assert np.all(np.abs(one - other) <= ROUNDING * size)


def test_log_prob_and_entropy_agree_with_scipy(gaussian):
    truth = scipy.stats.multivariate_normal(np.asarray(gaussian.mean), dense(gaussian))
    x = np.array([0.1, -0.9, 3.0])
    tolerance = ROUNDING * np.linalg.cond(dense(gaussian)) * abs(truth.logpdf(x))
    assert abs(gaussian.log_prob(jnp.asarray(x)) - truth.logpdf(x)) < tolerance
    assert abs(gaussian.entropy() - truth.entropy()) < tolerance


def test_the_precision_and_the_covariance_are_those_of_the_dense_matrix(gaussian):
    sigma = dense(gaussian)
    condition = np.linalg.cond(sigma)
    assert_close(
        gaussian.precision_diagonal(), jnp.diagonal(jnp.linalg.inv(jnp.asarray(sigma))), condition
    )
    covariance = gaussian.covariance()
    rebuilt = jnp.diag(covariance.diagonal) + covariance.factor @ covariance.factor.T
    assert_close(rebuilt, jnp.asarray(sigma))


def test_score_is_the_gradient_of_log_prob(gaussian):
    eps = noise_of(gaussian)
    x = gaussian.from_noise(eps)
    expected = jax.grad(lambda g: g.log_prob(x))(gaussian)
    assert_close(gaussian.score(eps), expected, np.linalg.cond(dense(gaussian)))


def test_the_low_rank_score_is_that_of_what_x_shows():
    gaussian = make("low_rank")
    eps = noise_of(gaussian)
    found = gaussian.score_at(gaussian.spread(eps))
    assert_close(found, gaussian.score(eps), np.linalg.cond(dense(gaussian)))


def test_score_keeps_its_digits_where_the_scale_vanishes_next_to_the_mean():
    eps = jnp.array([0.3, -1.2, 0.8])
    for family in ("isotropic", "diagonal", "full"):
        ordinary = make(family)
        small = type(ordinary)(ordinary.mean, 1e-20 * ordinary.scale)
        expected = jax.tree.map(lambda leaf: 1e20 * leaf, ordinary.score(eps))
        assert_close(small.score(eps), expected, 1e3)


@pytest.mark.parametrize(("one", "other"), list(itertools.product(FAMILIES, repeat=2)))
def test_kl_divergence_is_the_dense_formula(one, other):
    p, q = make(one, seed=2), make(other, seed=3)
    gap = np.asarray(p.mean - q.mean)
    sigma_p, sigma_q = dense(p), dense(q)
    inverse = np.linalg.inv(sigma_q)
    log_dets = np.linalg.slogdet(sigma_q)[1] - np.linalg.slogdet(sigma_p)[1]
    expected = 0.5 * (np.trace(inverse @ sigma_p) + gap @ inverse @ gap - DIM + log_dets)
    condition = np.linalg.cond(sigma_q) + np.linalg.cond(sigma_p)
    assert abs(kl_divergence(p, q) - expected) < ROUNDING * condition * max(1.0, expected)
    assert expected > 0.01


def test_kl_divergence_to_itself_is_zero(gaussian):
    assert abs(kl_divergence(gaussian, gaussian)) < ROUNDING * np.linalg.cond(dense(gaussian))


def test_samples_have_the_mean_and_the_covariance(gaussian):
    # 4 families x (3 means + 9 covariances) at 5 standard errors: false alarm below 1e-4.
    count = 20_000
    x = np.asarray(jax.vmap(gaussian.sample)(jax.random.split(jax.random.key(0), count)))
    sigma = dense(gaussian)
    variance = np.diagonal(sigma)
    assert np.all(np.abs(x.mean(axis=0) - gaussian.mean) < 5 * np.sqrt(variance / count))
    # Isserlis 1918: the variance of a product of two centred Gaussians.
    sem = np.sqrt((np.outer(variance, variance) + sigma**2) / count)
    assert np.all(np.abs(np.cov(x.T) - sigma) < 5 * sem)


@pytest.mark.parametrize("family", ["isotropic", "diagonal", "full"])
def test_the_score_is_a_whitened_gradient(family):
    gaussian = make(family)
    eps = noise_of(gaussian)
    assert_close(gaussian.from_whitened(eps, eps**2 - 1.0, eps), gaussian.score(eps), 10.0)


def test_the_low_rank_score_is_the_average_over_what_x_does_not_show():
    gaussian = make("low_rank")
    eps = noise_of(gaussian)
    to_x = noise_map(gaussian)
    shown = np.linalg.pinv(to_x) @ to_x
    count = 20_000
    free = np.asarray(jax.random.normal(jax.random.key(0), (count, gaussian.noise_dim)))
    draws = jnp.asarray(shown @ eps + free @ (np.eye(gaussian.noise_dim) - shown))
    np.testing.assert_allclose(
        jax.vmap(gaussian.from_noise)(draws), np.tile(gaussian.from_noise(eps), (count, 1))
    )
    found = jax.vmap(lambda e: gaussian.from_whitened(e, e**2 - 1.0, e))(draws)
    expected = gaussian.score(eps)
    assert type(found) is type(expected)
    # The mean gradient depends on x alone; 9 others at 5 standard errors: false alarm below 1e-5.
    for each, exact in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        sem = each.std(axis=0) / np.sqrt(count)
        rounding = ROUNDING * np.abs(each).max()
        assert np.all(np.abs(each.mean(axis=0) - exact) < 5 * sem + rounding)


def test_a_whitened_gradient_is_the_pullback_along_from_noise(gaussian):
    eps = noise_of(gaussian)
    slope_of_f = jnp.array([0.4, -1.1, 0.7])
    expected = jax.vjp(lambda g: g.from_noise(eps), gaussian)[1](slope_of_f)[0]
    slope = jnp.asarray(noise_map(gaussian)).T @ slope_of_f
    found = gaussian.from_whitened(slope, slope * eps, eps)
    assert_close(found, expected, np.linalg.cond(dense(gaussian)))


def test_what_is_above_the_diagonal_of_a_full_scale_is_not_read():
    gaussian = make("full")
    above = jnp.where(jnp.triu(jnp.ones((DIM, DIM)), 1) > 0, jnp.nan, 0.0)
    dirty = Full(gaussian.mean, gaussian.scale + above)
    eps = noise_of(gaussian)
    for program in (lambda g: g.from_noise(eps), lambda g: g.log_prob(eps), lambda g: g.score(eps)):
        assert_close(program(dirty), program(gaussian))
    assert_close(jax.grad(lambda g: g.log_prob(eps))(dirty).scale[0, 1:], jnp.zeros(2))
    for program in (lambda g: g.entropy(), lambda g: g.precision_diagonal()):
        assert_close(program(dirty), program(gaussian))
    assert_close(dirty.covariance().variances(), gaussian.covariance().variances())
    assert_close(kl_divergence(dirty, gaussian), kl_divergence(gaussian, gaussian))
    assert_close(kl_divergence(gaussian, dirty), kl_divergence(gaussian, gaussian))


def test_a_negative_diagonal_of_a_full_scale_has_no_density():
    gaussian = Full(jnp.zeros(2), jnp.array([[1.0, 0.0], [0.5, -2.0]]))
    np.testing.assert_array_equal(gaussian.from_noise(jnp.ones(2)), [1.0, -1.5])
    assert np.isnan(gaussian.entropy())
    assert np.isnan(gaussian.log_prob(jnp.ones(2)))


def shapes_in(program, *arguments):
    """The shapes of all that a program computes, inner programs too."""
    text = str(jax.make_jaxpr(program)(*arguments))
    return {tuple(map(int, shape.split(","))) for shape in re.findall(r"\[(\d+(?:,\d+)*)\]", text)}


def squares(shapes):
    return {shape for shape in shapes if sum(size >= WIDE_DIM for size in shape) > 1}


PROGRAMS = {
    "from_noise": lambda g, eps, x: g.from_noise(eps),
    "score": lambda g, eps, x: g.score(eps),
    "from_whitened": lambda g, eps, x: g.from_whitened(eps, eps**2 - 1.0, eps),
    "log_prob": lambda g, eps, x: g.log_prob(x),
    "gradient of log_prob": lambda g, eps, x: jax.grad(lambda h: h.log_prob(x))(g),
    "entropy": lambda g, eps, x: g.entropy(),
    "precision_diagonal": lambda g, eps, x: g.precision_diagonal(),
    "kl_divergence": lambda g, eps, x: kl_divergence(g, type(g)(x, *jax.tree.leaves(g)[1:])),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_low_rank_forms_no_square_matrix(name):
    def shapes(family):
        gaussian = make(family, WIDE_DIM, WIDE_RANK)
        return shapes_in(PROGRAMS[name], gaussian, noise_of(gaussian), jnp.ones(WIDE_DIM))

    assert not squares(shapes("low_rank"))
    assert squares(shapes("full")), "the check sees nothing"


WITHOUT = ("digit_classifier", "leaky_relu_network", "softplus_network")


@pytest.mark.parametrize("name", sorted(name for name in objectives.names() if name not in WITHOUT))
def test_closed_forms_form_no_square_matrix_of_a_low_rank_gaussian(name):
    options = {"units": 5} if name == "ridge_network" else {}
    objective = objectives.get(name, WIDE_DIM, **options)
    found = shapes_in(objective.smoothed_gradient, make("low_rank", WIDE_DIM, WIDE_RANK))
    # The matrix of the quadratic is itself one.
    assert squares(found) == ({(WIDE_DIM, WIDE_DIM)} if name == "quadratic" else set())


def test_wrong_shapes_are_caught(gaussian):
    with pytest.raises(
        ValueError, match=rf"eps must have the shape \({gaussian.noise_dim},\), not"
    ):
        gaussian.from_noise(jnp.zeros(DIM - 1))
    with pytest.raises(ValueError, match=r"x must be a point like the mean, .* \(3,\), not \(2,\)"):
        gaussian.log_prob(jnp.zeros(DIM - 1))


def test_kl_divergence_needs_one_dimension(gaussian):
    with pytest.raises(ValueError, match=r"p has mean of shape \(3,\), q of \(2,\)"):
        kl_divergence(gaussian, Isotropic(jnp.zeros(2), jnp.ones(())))


@pytest.mark.parametrize(
    "key", [jax.random.split(jax.random.key(0)), jnp.zeros(2, jnp.uint32), 0, None]
)
@pytest.mark.unchecked
def test_a_sample_takes_one_typed_key(key):
    with pytest.raises(ValueError, match="key"):
        Isotropic(jnp.zeros(2), jnp.array(1.0)).sample(key)
