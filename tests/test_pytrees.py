"""Gaussians over points of any shape give what the same Gaussians over vectors give."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from sigmaprop import estimate
from sigmaprop.gaussian import Diagonal, Full, Isotropic, LowRank
from sigmaprop.pytrees import flatten

from .gradient_checks import quick_jit

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
