"""Densities against scipy, scores against autodiff, samples against their moments."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from sigmaprop.gaussian import Diagonal, Isotropic

MEAN = jnp.array([0.5, -1.0, 2.0])
GAUSSIANS = {
    "isotropic": Isotropic(MEAN, jnp.array(0.7)),
    "diagonal": Diagonal(MEAN, jnp.array([0.7, 0.2, 1.5])),
}


@pytest.fixture(params=sorted(GAUSSIANS))
def gaussian(request):
    return GAUSSIANS[request.param]


def test_log_prob_and_entropy_agree_with_scipy(gaussian):
    scales = np.broadcast_to(gaussian.scale, 3)
    truth = scipy.stats.multivariate_normal(np.asarray(MEAN), np.diag(scales**2))
    x = np.array([0.1, -0.9, 3.0])
    # A dozen float32 operations on numbers of order 10.
    tolerance = 12 * 10 * np.finfo(np.float32).eps
    assert abs(float(gaussian.log_prob(jnp.asarray(x))) - truth.logpdf(x)) < tolerance
    assert abs(float(gaussian.entropy()) - truth.entropy()) < tolerance


def test_score_is_the_gradient_of_log_prob(gaussian):
    eps = jnp.array([0.3, -1.2, 0.8])
    x = gaussian.from_noise(eps)
    expected = jax.grad(lambda g: g.log_prob(x))(gaussian)
    found = gaussian.score(eps)
    assert type(found) is type(gaussian)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        # autodiff recovers eps from x: relative error eps |x| / scale, here below 20 eps.
        np.testing.assert_allclose(one, other, rtol=2e2 * np.finfo(np.float32).eps, atol=1e-5)


def test_samples_have_mean_and_scale(gaussian):
    # 4 sample statistics x 3 coordinates at 5 standard errors: false alarm below 1e-5.
    count = 20_000
    x = jax.vmap(gaussian.sample)(jax.random.split(jax.random.key(0), count))
    scales = np.broadcast_to(gaussian.scale, 3)
    assert np.all(np.abs(x.mean(axis=0) - MEAN) < 5 * scales / np.sqrt(count))
    assert np.all(np.abs(x.std(axis=0) / scales - 1) < 5 / np.sqrt(2 * count))


def test_wrong_shapes_are_caught(gaussian):
    with pytest.raises(AssertionError):
        gaussian.from_noise(jnp.zeros(2))
