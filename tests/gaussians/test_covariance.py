"""Covariances against dense matrices, and E f under correlated Gaussians; float64."""

import functools

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sigmaprop import objectives
from sigmaprop.gaussians import Diagonal, Full, LowRank
from sigmaprop.gaussians.covariance import Covariance

# An upper bound on the roundings between input and output; it multiplies a sum of magnitudes.
ROUNDING = 100 * np.finfo(np.float64).eps
WITHOUT = ("digit_classifier", "leaky_relu_network", "softplus_network")
CLOSED = tuple(name for name in objectives.names() if name not in WITHOUT)
EDGES = ("absolute", "relu", "step")
DIM = 5


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def full(mean):
    """Correlations of either sign; standard deviations below one half."""
    generator = np.random.default_rng(7)
    lower = np.tril(generator.uniform(-0.3, 0.3, (mean.size, mean.size)), -1)
    return Full(jnp.asarray(mean), jnp.asarray(lower + np.diag(np.resize([0.3, 0.1], mean.size))))


def low_rank(mean, rank=2):
    generator = np.random.default_rng(8)
    factor = generator.uniform(-0.25, 0.25, (mean.size, rank))
    scale = np.resize([0.2, 0.1, 0.3], mean.size)
    return LowRank(jnp.asarray(mean), jnp.asarray(scale), jnp.asarray(factor))


def dense(gaussian):
    """The covariance matrix, from the fields."""
    scale = np.asarray(gaussian.scale)
    if isinstance(gaussian, Full):
        return scale @ scale.T
    return np.diag(scale**2) + np.asarray(gaussian.factor) @ np.asarray(gaussian.factor).T


@hypothesis.settings(max_examples=20, deadline=None)
@hypothesis.given(seed=st.integers(0, 2**32 - 1), dim=st.integers(1, 4), rank=st.integers(0, 2))
def test_a_covariance_is_its_matrix(seed, dim, rank):
    generator = np.random.default_rng(seed)
    diagonal, factor = generator.uniform(0.1, 2.0, dim), generator.standard_normal((dim, rank))
    rows, square = generator.standard_normal((3, dim)), generator.standard_normal((dim, dim))
    square += square.T
    sigma = np.diag(diagonal) + factor @ factor.T
    size = np.diag(diagonal) + np.abs(factor) @ np.abs(factor).T
    covariance = Covariance(jnp.asarray(diagonal), jnp.asarray(factor))
    for found, exact, magnitude in (
        (covariance.variances(), np.diagonal(sigma), np.diagonal(size)),
        (covariance.neighbours(), np.diagonal(sigma, 1), np.diagonal(size, 1)),
        (
            covariance.trace_with(jnp.asarray(square)),
            np.sum(square * sigma),
            np.sum(np.abs(square) * size),
        ),
        (
            covariance.along(jnp.asarray(rows[0])),
            rows[0] @ sigma @ rows[0],
            abs(rows[0]) @ size @ abs(rows[0]),
        ),
        (
            covariance.along(jnp.asarray(rows)),
            np.einsum("ni,ij,nj->n", rows, sigma, rows),
            np.einsum("ni,ij,nj->n", np.abs(rows), size, np.abs(rows)),
        ),
    ):
        assert found.shape == exact.shape
        assert np.all(np.abs(found - exact) <= ROUNDING * magnitude)


def hermite_rule(num_nodes, dim):
    """Nodes [M, D] and weights [M] of the standard normal."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(num_nodes)
    axes = np.meshgrid(*[nodes] * dim, indexing="ij")
    product = functools.reduce(np.multiply.outer, [weights / np.sqrt(2 * np.pi)] * dim)
    return np.stack([axis.ravel() for axis in axes], axis=-1), product.ravel()


def split_rule(num_nodes, point, lower):
    """The same, split where a coordinate of point + lower eps is 0.

    Coordinate by coordinate, the edge of each given those before it, by Gauss-Legendre on both
    sides; the tails beyond 12 are 1e-33.
    """
    nodes, legendre = np.polynomial.legendre.leggauss(num_nodes)
    eps, weights = np.zeros((1, 0)), np.ones(1)
    for row, (start, slopes) in enumerate(zip(point, lower, strict=True)):
        edge = np.clip(-(start + eps @ slopes[:row]) / slopes[row], -12.0, 12.0)[:, None]
        below = (edge - 12.0) / 2 + nodes * (edge + 12.0) / 2
        above = (edge + 12.0) / 2 + nodes * (12.0 - edge) / 2
        new = np.hstack([below, above])
        width = np.hstack([legendre * (edge + 12.0), legendre * (12.0 - edge)]) / 2
        density = np.exp(-(new**2) / 2) / np.sqrt(2 * np.pi)
        eps = np.hstack([np.repeat(eps, new.shape[1], axis=0), new.reshape(-1, 1)])
        weights = (weights[:, None] * width * density).ravel()
    return eps, weights


@functools.cache
def batched(objective):
    return jax.jit(jax.vmap(objective))


def integrate(objective, lower, num_nodes):
    """E f, E f eps, E f (eps eps' - I), [1 + D + D^2], and E of their magnitudes.

    Only values of f enter, so that nothing is shared with the derivative of a closed form.
    """
    dim = objective.dim
    if objective.smoothness == "smooth":
        eps, weights = hermite_rule(num_nodes, dim)
    else:
        eps, weights = split_rule(num_nodes, objective.point, lower)
    values = np.asarray(batched(objective)(objective.point + eps @ lower.T))[:, None]
    second = eps[:, :, None] * eps[:, None, :] - np.eye(dim)
    terms = values * np.hstack([np.ones_like(values), eps, second.reshape(-1, dim**2)])
    return weights @ terms, weights @ np.abs(terms)


def as_gradient(terms, lower, gaussian, absolute=False):
    """Terms of whitened space as E f and its gradient, or as bounds of them.

    With a = L^-T eps and Sigma = L L': a to the mean, and with M = L^-T (eps eps' - I) L^-1, M A to
    the matrix A that noise is multiplied with, of which A's own entries count.
    """
    size = np.abs if absolute else lambda array: array
    dim = gaussian.mean.size
    inverse = size(np.linalg.inv(lower))
    value, first, second = np.split(terms, [1, 1 + dim])
    whole = inverse.T @ second.reshape(dim, dim) @ inverse
    parts = [value, inverse.T @ first]
    scale = size(np.asarray(gaussian.scale))
    if isinstance(gaussian, Full):
        return [*parts, np.tril(whole @ scale)]
    return [*parts, np.diagonal(whole) * scale, whole @ size(np.asarray(gaussian.factor))]


@pytest.mark.parametrize("family", [full, low_rank])
@pytest.mark.parametrize("name", CLOSED)
def test_closed_forms_equal_quadrature(name, family):
    dim = 2 if name in EDGES else 3
    objective = objectives.get(name, dim)
    gaussian = family(objective.point)
    lower = np.linalg.cholesky(dense(gaussian))
    num_nodes = 80 if dim == 2 else 40
    coarse = as_gradient(integrate(objective, lower, num_nodes - 12)[0], lower, gaussian)
    terms, sizes = integrate(objective, lower, num_nodes)
    value, gradient = jax.jit(jax.value_and_grad(objective.smoothed))(gaussian)
    assert type(gradient) is type(gaussian)
    for found, fine, rough, magnitude in zip(
        [value, *jax.tree.leaves(gradient)],
        as_gradient(terms, lower, gaussian),
        coarse,
        as_gradient(sizes, lower, gaussian, absolute=True),
        strict=True,
    ):
        tolerance = np.abs(fine - rough) + ROUNDING * magnitude
        assert np.all(tolerance <= 1e-9 * magnitude), "the quadrature has not converged"
        assert np.all(np.abs(found - fine) <= tolerance)


@functools.cache
def conditioned(objective):
    """E f and its gradient to mean and scale [N], and a bound of their rounding.

    The bound lets every field of the Gaussian have a relative error.
    """

    def flat(gaussian):
        value, gradient = jax.value_and_grad(objective.smoothed)(gaussian)
        return jnp.concatenate([value[None], gradient.mean, gradient.scale.ravel()])

    @jax.jit
    def evaluate(gaussian):
        found = flat(gaussian)
        bound = jnp.abs(found)
        for slope, leaf in zip(
            jax.tree.leaves(jax.jacfwd(flat)(gaussian)), jax.tree.leaves(gaussian), strict=True
        ):
            bound += jnp.abs(slope).reshape(found.size, -1) @ jnp.abs(leaf).ravel()
        return found, ROUNDING * bound

    return evaluate


def assert_same(name, one, other):
    """E f and its gradient to the mean agree, and to the scale where both have the same."""
    evaluate = conditioned(objectives.get(name, DIM))
    count = 1 + DIM if one.scale.shape != other.scale.shape else 1 + 2 * DIM
    (found, bound), (expected, other_bound) = evaluate(one), evaluate(other)
    error = np.abs(found[:count] - expected[:count])
    assert np.all(error <= bound[:count] + other_bound[:count])


def at_point(name):
    return low_rank(objectives.get(name, DIM).point)


SOME = [
    name
    if name in ("quadratic", "sine", "absolute")
    else pytest.param(name, marks=pytest.mark.slow)
    for name in CLOSED
]


@pytest.mark.parametrize("name", SOME)
def test_gaussians_of_one_diagonal_covariance_agree(name):
    mean, scale, _ = jax.tree.leaves(at_point(name))
    diagonal = Diagonal(mean, scale)
    assert_same(name, Full(mean, jnp.diag(scale)), diagonal)
    for rank in (0, 2):
        assert_same(name, LowRank(mean, scale, jnp.zeros((DIM, rank))), diagonal)


@pytest.mark.parametrize("rank", [0, 2])
@pytest.mark.parametrize("name", SOME)
def test_an_empty_factor_has_a_gradient_of_zero(name, rank):
    mean, scale, _ = jax.tree.leaves(at_point(name))
    gaussian = LowRank(mean, scale, jnp.zeros((DIM, rank)))
    gradient = jax.jit(objectives.get(name, DIM).smoothed_gradient)(gaussian)
    np.testing.assert_array_equal(gradient.factor, np.zeros((DIM, rank)))


@pytest.mark.parametrize("name", SOME)
def test_a_low_rank_gaussian_is_the_full_one_of_its_covariance(name):
    gaussian = at_point(name)
    assert_same(name, gaussian, Full(gaussian.mean, jnp.linalg.cholesky(dense(gaussian))))


@hypothesis.settings(max_examples=15, deadline=None)
@hypothesis.given(name=st.sampled_from(CLOSED), seed=st.integers(0, 2**32 - 1))
def test_the_factor_matters_up_to_a_rotation(name, seed):
    gaussian = at_point(name)
    turn, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((2, 2)))
    turned = LowRank(gaussian.mean, gaussian.scale, gaussian.factor @ turn)
    assert_same(name, gaussian, turned)


@pytest.mark.parametrize("name", CLOSED)
def test_closed_forms_have_a_value_in_bfloat16(name):
    objective = objectives.get(name, DIM)
    narrow = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), at_point(name))
    found = jax.jit(objective.smoothed)(narrow)
    assert found.dtype == jnp.bfloat16
    wide = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), narrow)
    expected, bound = conditioned(objective)(wide)
    ratio = float(jnp.finfo(jnp.bfloat16).eps) / np.finfo(np.float64).eps
    assert abs(float(found) - float(expected[0])) <= ratio * float(bound[0])
