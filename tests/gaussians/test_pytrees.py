"""Gaussians over points of any shape give what the same Gaussians over vectors give."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from sigmaprop import estimate, kl_divergence
from sigmaprop.gaussians import Diagonal, Full, Isotropic, LowRank
from sigmaprop.gaussians.flattening import flatten

from ..estimators.gradient_checks import quick_jit

MEAN = {"bias": jnp.array(0.3), "weights": jnp.array([[0.1, -0.7], [0.4, 0.2]])}
SCALE = {"bias": jnp.array(0.5), "weights": jnp.array([[0.4, 0.6], [0.3, 0.2]])}
RANK = {"bias": jnp.array([0.1, -0.2]), "weights": jnp.linspace(-0.3, 0.4, 8).reshape(2, 2, 2)}
LOWER = jnp.tril(jnp.linspace(-0.2, 0.3, 25).reshape(5, 5)) + 0.5 * jnp.eye(5)

SHAPED = {
    "isotropic": Isotropic(MEAN, jnp.array(0.4)),
    "diagonal": Diagonal(MEAN, SCALE),
    "full": Full(MEAN, LOWER),
    "low_rank": LowRank(MEAN, SCALE, RANK),
}


def of_tree(x):
    return jnp.sin(jnp.sum(x["weights"] @ jnp.ones(2)) + x["bias"]) + jnp.sum(x["weights"] ** 2)


def of_vector(x):
    return of_tree({"bias": x[0], "weights": x[1:].reshape(2, 2)})


def raveled(gaussian):
    flat = [ravel_pytree(gaussian.mean)[0], gaussian.scale]
    if not isinstance(gaussian, Isotropic | Full):
        flat[1] = ravel_pytree(gaussian.scale)[0]
    if isinstance(gaussian, LowRank):
        rank = [leaf.reshape(-1, 2) for leaf in jax.tree.leaves(gaussian.factor)]
        flat.append(jnp.concatenate(rank))
    return type(gaussian)(*flat)


@pytest.mark.parametrize("family", SHAPED)
def test_a_pytree_is_the_vector_that_it_ravels_to(family):
    gaussian = SHAPED[family]

    def both(g):
        key = jax.random.key(0)
        trees = estimate(of_tree, g, key, 8, estimator="score_function")
        return trees, estimate(of_vector, raveled(g), key, 8, estimator="score_function")

    trees, vectors = quick_jit(both)(gaussian)
    assert jax.tree.structure(trees.gradient) == jax.tree.structure(gaussian)
    for one, other in zip(jax.tree.leaves(trees.gradient), jax.tree.leaves(gaussian), strict=True):
        assert one.shape == other.shape
        assert one.dtype == other.dtype
    for tree, vector in ((trees.gradient, vectors.gradient), (trees.variance, vectors.variance)):
        for one, other in zip(jax.tree.leaves(raveled(tree)), jax.tree.leaves(vector), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(trees.value, vectors.value, rtol=1e-6)


@pytest.mark.parametrize("family", SHAPED)
def test_the_axes_of_f_stand_in_front(family):
    shapes = jax.eval_shape(
        lambda g: estimate(lambda x: jnp.array([[of_tree(x)] * 3] * 2), g, jax.random.key(0), 4),
        SHAPED[family],
    )
    for one, other in zip(
        jax.tree.leaves(shapes.gradient), jax.tree.leaves(SHAPED[family]), strict=True
    ):
        assert one.shape == (2, 3, *other.shape)
    assert shapes.value.shape == (2, 3)


def test_flatten_gives_the_way_back():
    for gaussian in SHAPED.values():
        flat, unravel, restore = flatten(gaussian)
        assert flat.mean.shape == (5,)
        for one, other in zip(
            jax.tree.leaves(restore(flat)), jax.tree.leaves(gaussian), strict=True
        ):
            np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(unravel(flat.mean)["weights"], MEAN["weights"])


def test_a_factor_may_be_one_matrix():
    matrix = raveled(SHAPED["low_rank"]).factor
    flat, _, restore = flatten(LowRank(MEAN, SCALE, matrix))
    np.testing.assert_array_equal(flat.factor, matrix)
    assert restore(flat).factor.shape == (5, 2)


def test_an_image_and_params():
    mean = jnp.zeros((2, 3))
    gaussian = Diagonal(mean, jnp.full((2, 3), 0.1))

    def f(x, params):
        return jnp.sum(params["a"] * x**2) + params["b"]

    params = {"a": jnp.arange(6.0).reshape(2, 3), "b": jnp.array(1.0)}
    found = quick_jit(
        lambda p: estimate(f, gaussian, jax.random.key(0), 2, noise="antithetic", params=p).gradient
    )(params)
    # Pairs are exact to the mean of a quadratic: 2 a m = 0.
    np.testing.assert_allclose(found.mean, mean, atol=1e-7)
    assert found.scale.shape == (2, 3)


def test_parts_of_two_ranks_are_refused():
    uneven = {"bias": jnp.zeros(2), "weights": jnp.zeros((2, 2, 3))}
    with pytest.raises(ValueError, match="one last axis R, the same in all its parts"):
        flatten(LowRank(MEAN, SCALE, uneven))


@pytest.mark.parametrize("family", SHAPED)
def test_the_methods_of_a_pytree_are_those_of_the_vector(family):
    tree, vector = SHAPED[family], raveled(SHAPED[family])
    assert tree.noise_dim == vector.noise_dim
    key = jax.random.key(3)
    point, eps = tree.sample(key), jnp.linspace(-1.0, 1.0, vector.noise_dim)
    flat = ravel_pytree(point)[0]
    y = jax.tree.map(jnp.subtract, point, MEAN)
    for one, other in (
        (point, vector.sample(key)),
        (tree.from_noise(eps), vector.from_noise(eps)),
        (tree.spread(eps), vector.spread(eps)),
        (tree.precision_diagonal(), vector.precision_diagonal()),
        (tree.log_prob(point), vector.log_prob(flat)),
        (tree.mahalanobis(y), vector.mahalanobis(flat - vector.mean)),
        (tree.entropy(), vector.entropy()),
        (
            kl_divergence(tree, SHAPED["diagonal"]),
            kl_divergence(vector, raveled(SHAPED["diagonal"])),
        ),
    ):
        np.testing.assert_array_equal(ravel_pytree(one)[0], jnp.ravel(other))
    for one, other in (
        (tree.score(eps), vector.score(eps)),
        (tree.from_whitened(eps, eps, eps), vector.from_whitened(eps, eps, eps)),
    ):
        assert jax.tree.map(jnp.shape, one) == jax.tree.map(jnp.shape, tree)
        for left, right in zip(jax.tree.leaves(raveled(one)), jax.tree.leaves(other), strict=True):
            np.testing.assert_array_equal(left, right)


def test_a_matrix_is_one_point():
    gaussian = Isotropic(jnp.ones((2, 3)), 0.1)
    rows = np.asarray(gaussian.sample(jax.random.key(0))) - 1
    assert rows.shape == (2, 3)
    assert np.all(rows[0] != rows[1])
    # 6 (log 0.1 + (1 + log 2 pi) / 2)
    assert gaussian.entropy() == pytest.approx(-5.3019, abs=1e-4)
    assert gaussian.log_prob(jnp.ones((2, 3))) == pytest.approx(-gaussian.entropy() - 3 + 6)
    for wrong in (jnp.ones(6), jnp.ones((2, 2, 3))):
        with pytest.raises(ValueError, match=r"x must be a point like the mean, of shape \(2, 3\)"):
            gaussian.log_prob(wrong)


def test_a_number_is_one_point():
    gaussian = Isotropic(0.5, 0.1)
    assert gaussian.sample(jax.random.key(0)).shape == ()
    assert gaussian.entropy() == pytest.approx(-0.883647, abs=1e-5)
    assert gaussian.log_prob(0.6) == pytest.approx(1.383647 - 0.5, abs=1e-5)
    found = estimate(lambda x: x**2, gaussian, jax.random.key(0), 4, noise="antithetic")
    assert found.gradient.mean == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize(
    ("gaussian", "message"),
    [
        (Isotropic({"a": jnp.ones(2), "n": jnp.arange(2)}, 0.1), r"mean .* int32 at \['n'\]"),
        (Isotropic({"a": jnp.ones(2), "k": jax.random.key(0)}, 0.1), r"key<fry> at \['k'\]"),
        (Isotropic(jnp.ones(2, bool), 0.1), "the mean must hold floating numbers, not bool"),
        (Isotropic(1, 0.1), "the mean must hold floating numbers, not int"),
        (Isotropic(jnp.ones(2, complex), 0.1), "the mean must hold floating numbers, not complex"),
        (Isotropic(jnp.ones(2), 1j), "the scale must hold floating numbers, not complex"),
        (Isotropic(jnp.zeros(0), 0.1), "the mean holds no numbers"),
        (LowRank(jnp.zeros(0), jnp.ones(0), jnp.ones((0, 2))), "the mean holds no numbers"),
        (LowRank(jnp.zeros(2), jnp.ones(2), None), "needs one last axis R"),
        (Isotropic(jnp.ones(2), {"a": 0.1}), "must be one array, not a pytree"),
    ],
)
def test_what_is_no_point_is_refused(gaussian, message):
    for method in (lambda: flatten(gaussian), gaussian.entropy):
        with pytest.raises(ValueError, match=message):
            method()


ESTIMATORS = {
    "pathwise": {},
    "score_function": {"control_variate": "leave_one_out"},
    "bonnet_price": {},
    "measure_valued": {},
    "quadrature": {},
}


def test_a_factor_of_no_columns_is_none():
    mean, scale, key = jnp.array([0.3, -0.2]), jnp.array([0.5, 0.4]), jax.random.key(0)
    low, diagonal = LowRank(mean, scale, jnp.zeros((2, 0))), Diagonal(mean, scale)
    eps = jnp.array([0.3, -1.2])
    for program in (
        lambda g: (g.sample(key), g.log_prob(eps), g.entropy(), g.precision_diagonal()),
        lambda g: jax.tree.leaves(g.score(eps))[:2],
        lambda g: jax.tree.leaves(jax.grad(lambda h: h.log_prob(eps))(g))[:2],
        lambda g: (kl_divergence(g, diagonal), kl_divergence(diagonal, g), kl_divergence(g, low)),
    ):
        one, other = map(jax.tree.leaves, (program(low), program(diagonal)))
        for left, right in zip(one, other, strict=True):
            np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_factor_of_no_columns_has_an_empty_gradient(estimator):
    mean, scale, key = jnp.array([0.3, -0.2]), jnp.array([0.5, 0.4]), jax.random.key(0)
    run = quick_jit(
        lambda g: (
            estimate(
                lambda x: jnp.sum(jnp.sin(x)),
                g,
                key,
                256,
                estimator=estimator,
                **ESTIMATORS[estimator],
            ).gradient
        )
    )
    found, expected = run(LowRank(mean, scale, jnp.zeros((2, 0)))), run(Diagonal(mean, scale))
    assert found.factor.shape == (2, 0)
    # The quadrature lays its grid along a Cholesky factor, and rounds differently.
    np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.scale, expected.scale, rtol=1e-5, atol=1e-5)
