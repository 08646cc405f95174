"""Low-rank Gaussians in float32 whose factor is far larger than their scale, against float64.

The truth takes the same float32 numbers. x is only known to eps |factor| there, which is
delta = eps |factor| / scale in units of scale: that much of a residual nothing can tell.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sigmaprop import estimate, kl_divergence, natural_gradient
from sigmaprop.gaussians import Diagonal, Full, Isotropic, LowRank
from sigmaprop.gaussians.woodbury import factorise

EPS = float(np.finfo(np.float32).eps)
RATIOS = np.array([1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6], np.float32)
SHAPES = {
    "one column": (8, 1),
    "two columns": (8, 2),
    "parallel columns": (8, 3),
    "more columns than coordinates": (3, 5),
    "one coordinate": (1, 1),
    "no columns": (8, 0),
}

SLOW = {"one column", "more columns than coordinates"}
MARKED = [pytest.param(n, marks=[pytest.mark.slow] if n in SLOW else []) for n in SHAPES]


def factor_of(name):
    """[D, R], of order 1."""
    draw = np.random.default_rng(0).standard_normal(SHAPES[name])
    return (draw[:, :1] + 0 * draw if name == "parallel columns" else draw).astype(np.float32)


def truth(v, u):
    """|residual|^2 of u [D] and log |I + VV'|, in float64."""
    rank = v.shape[1]
    q, root = np.linalg.qr(np.vstack([np.float64(v), np.eye(rank)]))
    rest = np.concatenate([np.float64(u), np.zeros(rank)])
    for _ in range(2):
        rest = rest - q @ (q.T @ rest)
    return rest @ rest, 2 * np.sum(np.log(np.abs(np.diagonal(root))))


def gaussians(name, ratios=RATIOS):
    """One for each ratio of scale and factor, stacked."""
    factor = factor_of(name)
    count, dim = len(ratios), len(factor)
    scale = np.asarray(ratios)[:, None] * np.linspace(0.5, 1.5, dim, dtype=np.float32)
    return LowRank(
        jnp.zeros((count, dim)), jnp.asarray(scale), jnp.asarray(np.stack([factor] * count))
    )


@pytest.mark.parametrize("name", MARKED)
def test_densities_have_the_digits_that_x_has(name):
    stacked = gaussians(name)
    keys = jax.random.split(jax.random.key(0), 16)

    def seen(g):
        x = jax.vmap(g.sample)(keys)
        return x, jax.vmap(g.log_prob)(x), g.entropy()

    found = jax.tree.map(np.float64, jax.jit(jax.vmap(seen))(stacked))
    for i, (x, density, entropy) in enumerate(zip(*found, strict=True)):
        scale, factor = np.float64(stacked.scale[i]), np.float64(stacked.factor[i])
        v, dim = factor / scale[:, None], len(scale)
        delta = EPS * np.sqrt(dim) * max(1.0, np.abs(v).max(initial=0.0))
        for point, value in zip(x, density, strict=True):
            distance, log_det = truth(v, point / scale)
            whole = log_det + 2 * np.sum(np.log(scale)) + dim * np.log(2 * np.pi)
            sizes = distance + log_det + 2 * np.sum(np.abs(np.log(scale))) + dim
            # Parallel columns are parallel to delta, and the determinant sees what is between.
            own = delta**2 if name == "parallel columns" else 0.0
            tolerance = 8 * (np.sqrt(distance) * delta + delta**2) + 10 * EPS * sizes + 8 * own
            assert abs(value + 0.5 * (distance + whole)) < tolerance
        assert abs(entropy - 0.5 * (whole + dim)) < 10 * EPS * sizes + 8 * own


def test_a_density_that_was_a_thousand_nats_off():
    stacked = gaussians("two columns", [1e-4])
    g = jax.tree.map(lambda leaf: leaf[0], stacked)
    x = g.sample(jax.random.key(1))
    v = np.float64(g.factor) / np.float64(g.scale)[:, None]
    distance, _ = truth(v, np.float64(x) / np.float64(g.scale))
    assert abs(g.mahalanobis(x) - distance) < 0.014  # .007 nats


def test_an_entropy_that_had_no_cholesky_factor():
    gaussian = LowRank(jnp.zeros(4), jnp.full(4, 1e-4), jnp.ones((4, 2)))
    # 4 log s + log(1 + 2 x 4 / s^2) / 2 + 2 (1 + log 2 pi)
    assert abs(gaussian.entropy() - -20.915546) < 1e-5


@pytest.mark.parametrize("name", SHAPES)
def test_what_is_unexplained_is_positive_to_its_digits(name):
    # 1 - h = 1 / (1 + v'(I + W'W)^-1 v), W without the coordinate's own row v: a sum of squares.
    v = factor_of(name) * np.float32(1e3)
    dim, rank = v.shape
    expected = []
    for i in range(dim):
        others = np.vstack([np.delete(np.float64(v), i, 0), np.eye(rank)])
        own = np.linalg.lstsq(np.linalg.qr(others)[1].T, np.float64(v[i]), rcond=None)[0]
        expected.append(1 / (1 + own @ own))
    found = jax.jit(lambda v: factorise(v).unexplained())(v)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def ill_conditioned(dim):
    draw = np.random.default_rng(3).standard_normal((dim, dim))
    return np.float32(np.tril(draw, -1) + np.diag(np.geomspace(1.0, 1e-6, dim)))


@pytest.mark.parametrize("name", MARKED)
def test_a_divergence_from_itself_is_zero_and_so_is_its_gradient(name):
    ratios = np.array([*RATIOS, 1e-12, 1e-25], np.float32)

    def seen(g):
        value, slope = jax.value_and_grad(lambda p: kl_divergence(p, jax.lax.stop_gradient(g)))(g)
        slope = LowRank(slope.mean, slope.scale * g.scale, slope.factor * g.scale[:, None])
        return value, slope

    value, slope = jax.jit(jax.vmap(seen))(gaussians(name, ratios))
    # Where columns depend on each other a column is that sum of all whose coefficients are least,
    # exact to the rounding of V.
    dependent = np.linalg.matrix_rank(factor_of(name)) < SHAPES[name][1]
    delta = 8 * EPS / ratios if dependent else 0.0 * ratios
    some = ratios > (1e-10 if dependent else 0.0)
    assert np.all(np.abs(value)[some] < 100 * EPS + delta[some] ** 2)
    some = ratios > 1e-10  # The gradient to a factor is itself beyond float32 at the last.
    for leaf in jax.tree.leaves(slope):
        found = np.abs(leaf[some]).reshape(np.sum(some), -1)
        assert np.all(found < (100 * EPS + delta[some])[:, None])


@pytest.mark.parametrize("scale", [1e-30, 1e-25, 1e-19, 1.0, 1e19, 1e30])
def test_divergences_do_not_depend_on_the_units(scale):
    def make(s):
        eye = np.float32(np.eye(3) + 0.3 * np.tril(np.ones((3, 3)), -1))
        own, mean = jnp.array([1.0, 2.0, 0.5]), jnp.array([0.1, 0.2, 0.3])
        factor = jnp.array([[1.0], [-1.0], [0.5]])
        made = [Isotropic(mean, jnp.float32(0.7)), Diagonal(-mean, own), Full(0 * mean, eye)]
        return [
            jax.tree.map(lambda x: x * jnp.float32(s), g)
            for g in (*made, LowRank(mean, own, factor))
        ]

    @jax.jit
    def every(families):
        return jnp.array([[kl_divergence(p, q) for p in families] for q in families])

    # The logarithms of the scales are up to 70, to eps each.
    np.testing.assert_allclose(
        every(make(scale)), every(make(1.0)), atol=3 * 70 * EPS, rtol=20 * EPS
    )


def test_a_divergence_of_scales_is_not_zero_times_infinity():
    p, q = (Isotropic(jnp.zeros(2), jnp.float32(s)) for s in (1e-25, 2e-25))
    assert abs(kl_divergence(p, q) - 2 * (0.125 - 0.5 + np.log(2))) < 1e-4
    assert abs(kl_divergence(p, p)) < 1e-6


def test_a_wide_gaussian_from_one_that_a_factor_explains():
    # tr = |p.scale|^2 (1 - leverage) / q.scale^2, of which the leverage leaves 1e-8.
    p = Diagonal(jnp.zeros(1), jnp.ones(1))
    q = LowRank(jnp.zeros(1), jnp.full(1, 1e-4), jnp.full((1, 1), 2.0))
    variance = 4.0 + 1e-8
    assert abs(kl_divergence(p, q) - 0.5 * (1 / variance - 1 + np.log(variance))) < 1e-5


def test_a_full_gaussian_of_any_condition_does_not_diverge_from_itself():
    gaussian = Full(jnp.zeros(8), jnp.asarray(ill_conditioned(8)))
    assert abs(jax.jit(kl_divergence)(gaussian, gaussian)) < 100 * EPS


@pytest.mark.slow
@pytest.mark.parametrize("name", ["two columns", "more columns than coordinates"])
def test_gradients_are_those_of_float64(name):
    stacked = gaussians(name, RATIOS[:4])
    x = jax.vmap(lambda g: g.sample(jax.random.key(2)))(stacked)

    def slopes(g, x):
        found = jax.grad(lambda g: g.log_prob(x) + g.entropy())(g)
        return found.scale * g.scale, found.factor * g.scale[:, None]

    program = jax.jit(jax.vmap(slopes))
    found = jax.tree.map(np.asarray, program(stacked, x))
    with jax.enable_x64(True):
        wide, y = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), (stacked, x))
        expected = jax.tree.map(np.asarray, program(wide, y))
    for one, other in zip(found, expected, strict=True):
        for i, ratio in enumerate(RATIOS[:4]):
            size = 1.0 + np.abs(other[i]).max()
            assert np.all(np.abs(one[i] - other[i]) < 100 * EPS / ratio * size)


def test_the_score_has_the_digits_of_the_draw():
    stacked = gaussians("two columns")
    eps = jax.random.normal(jax.random.key(4), (10,))

    def units(g, eps):
        score = g.score(eps)
        return score.mean * g.scale, score.scale * g.scale, score.factor * g.scale[:, None]

    program = jax.jit(jax.vmap(units, (0, None)))
    found = jax.tree.map(np.asarray, program(stacked, eps))
    with jax.enable_x64(True):
        wide, draw = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), (stacked, eps))
        expected = jax.tree.map(np.asarray, program(wide, draw))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=100 * EPS * (1 + np.abs(other).max()))


def test_the_natural_gradient_knows_parallel_columns_and_none():
    twice = LowRank(jnp.zeros(4), jnp.full(4, 1e-4), jnp.ones((4, 2)))
    found = jax.jit(natural_gradient)(jax.tree.map(jnp.ones_like, twice), twice)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(found))
    none = LowRank(jnp.zeros(3), jnp.full(3, 0.5), jnp.zeros((3, 0)))
    found = natural_gradient(none, none)
    np.testing.assert_allclose(found.scale, 0.5**3 / 2, rtol=1e-6)


def test_the_natural_gradient_of_a_scale_whose_square_is_no_number():
    gaussian = Diagonal(jnp.zeros(2), jnp.full(2, 1e-25))
    gradient = Diagonal(jnp.full(2, 1e30), jnp.full(2, 1e25))
    found = natural_gradient(gradient, gaussian)
    np.testing.assert_allclose(found.mean, 1e-20, rtol=1e-5)
    np.testing.assert_allclose(found.scale, 0.5e-25, rtol=1e-5)


def test_the_quadrature_sees_a_scale_that_the_covariance_has_lost():
    # E sin(a.x) = sin(a.m) exp(-a'Sigma a / 2), here along and across the factor.
    mean, scale = jnp.array([0.3, -0.2]), jnp.full(2, 1e-4)
    gaussian = LowRank(mean, scale, jnp.full((2, 1), 0.5))
    for a in (np.array([1.0, 1.0]), np.array([1.0, -1.0])):
        found = estimate(
            lambda x, a=a: jnp.sin(jnp.dot(a, x)), gaussian, jax.random.key(0), 1024,
            estimator="quadrature",
        )  # fmt: skip
        damping = np.exp(-0.5 * (np.sum(0.5 * a) ** 2 + 2e-8))
        assert abs(found.value - np.sin(a @ mean) * damping) < 1e-5
        # Along the factor. Across, x does not show the scale: the gradient is known to eps / s^2.
        slope = np.sum(a) * np.cos(a @ mean) * damping
        assert abs(np.sum(found.gradient.mean) - slope) < 20 * EPS / 1e-4
