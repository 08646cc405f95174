"""Noise fitted behind a finished mean, against the likelihood of a linear Gaussian model."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize, stats

from sigmaprop import data
from sigmaprop.data import DataOptions
from sigmaprop.generators import gan, losses, networks, observation, optimizers, parameterisation
from sigmaprop.generators import post_hoc as fits
from sigmaprop.generators.parameterisation import Bounds
from sigmaprop.generators.schedule import select_sigma, sigma_schedule

DIM, LATENTS, INJECTED = 8, 2, 0.3
ADAM = optimizers.get("adam")
SPEC = gan.GanSpec(
    networks.get_generator("linear", LATENTS, (DIM,)),
    networks.get_discriminator("mlp", (DIM,), widths=(4,)),
    observation.Observation(DIM, LATENTS, (), parameterisation.get("log")),
    losses.get("non_saturating"),
    *(ADAM, ADAM),
    batch_size=8,
    average=True,
)
T = jnp.asarray(7)


@pytest.fixture(scope="module")
def known():
    """Examples of x = W z + .3 eps, W itself, and a replica of the arm zero."""
    options = DataOptions(dim=DIM, latent_dim=LATENTS, noise_std=INJECTED, num=2000)
    dataset = data.load("linear_gaussian", options)
    none = jnp.zeros(())
    zero = sigma_schedule("constant", 0.0, 0.0, 1)
    noise = observation.NoiseHypers(zero, {}, none + 0.1, Bounds(none + 1e-3, none + 10.0))
    rates = gan.Rates(*[optimizers.rate(1e-3)] * 3)
    rest = (noise, jnp.asarray(False), rates, {}, zero, none, none)
    hypers = gan.Hypers(jax.random.key(0), *rest)
    x = jnp.asarray(dataset.x[dataset.splits.validation])
    return x, np.asarray(dataset.truth.factor), hypers


def with_means(hypers, *factors):
    """A state whose last and average generators are W z of these W, [D, Z]."""
    state = gan.init(SPEC, hypers)
    each = [
        state.player._replace(
            network={"output": {"kernel": jnp.asarray(factor.T), "bias": jnp.zeros(DIM)}}
        )
        for factor in factors
    ]
    return state._replace(player=each[0], average=each[1])


def best(x, factor):
    """The sigma of the highest likelihood of x ~ N(0, W W' + sigma^2), in float64."""

    def cost(log_sigma):
        covariance = factor @ factor.T + np.exp(2 * log_sigma) * np.eye(DIM)
        return -stats.multivariate_normal(np.zeros(DIM), covariance).logpdf(x).sum()

    return np.exp(optimize.minimize_scalar(cost, (-3.0, 0.0)).x)


def error_of(factor, num):
    """Standard error of that sigma, as a share of it: Fisher's information of num rows."""
    inverse = np.linalg.inv(factor @ factor.T + INJECTED**2 * np.eye(DIM))
    return 1 / np.sqrt(2 * num * INJECTED**4 * np.sum(inverse**2))


def test_behind_a_mean_that_is_right_it_is_the_injected_noise(known):
    """And behind half of that mean the sigma that takes the rest of the variance as well.

    Given the rows the fit's own error is that of its draws: at each of the 30 steps that are
    averaged |x - W z|^2 of 128 rows has, of z, a variance of about 8 sigma^4 a row, which is 3.1%
    of sigma^2 = sum / 1024. As if those steps were one sigma has 1.6%, and 5 of these are allowed.
    """
    x, factor, hypers = known
    found = np.asarray(
        jax.jit(lambda s: fits.fit(SPEC, s, hypers, x, T))(with_means(hypers, factor, factor / 2))
    )
    rows = np.asarray(x[: fits.Effort().rows(DIM)], np.float64)
    assert len(rows) == 128
    for sigma, own in zip(found, (factor, factor / 2), strict=True):
        assert abs(sigma / best(rows, own) - 1) < 5 * 0.016
    assert abs(found[0] / INJECTED - 1) < 5 * np.hypot(error_of(factor, 128), 0.016)
    assert best(rows, factor / 2) > (1 + 5 * 0.016) * best(rows, factor)  # the two are told apart


def test_one_for_each_coordinate(known):
    """Within 5 standard errors: of a variance of n numbers, sqrt(2 / n), and of the fit, 3.2%."""
    x, factor, hypers = known
    spread = jnp.where(jnp.arange(DIM) < 4, 1.0, 2.0)
    noise = INJECTED * jax.random.normal(jax.random.key(3), (512, DIM)) * spread
    x = jax.random.normal(jax.random.key(4), (512, LATENTS)) @ factor.T + noise
    effort = fits.Effort(num_rows=512)
    state = with_means(hypers, factor, factor)._replace(average=None)
    found = np.asarray(
        jax.jit(lambda s: fits.fit(SPEC, s, hypers, x, T, family="diagonal", effort=effort))(state)
    )
    assert found.shape == (1, DIM)
    # The mean takes up to a half of a coordinate's freedom: n is halved.
    allowed = 5 * np.hypot(1 / np.sqrt(2 * 256), 0.032)
    assert np.all(np.abs(found[0] / (INJECTED * spread) - 1) < allowed)


def test_few_rows_of_many_coordinates_and_many_of_few():
    assert [fits.Effort().rows(dim) for dim in (1, 2, 8, 10, 64, 784)] == [
        *(128, 128, 128, 103, 16, 16)
    ]
    assert fits.Effort(num_rows=5).rows(2) == 5
    assert [fits.Effort().steps(64, latents) for latents in (2, 32, 33, 64)] == [60, 60, 200, 200]
    assert fits.Effort(num_steps=7).steps(64, 2) == 7


def test_the_fitted_noise_stands_for_a_given_sigma(known):
    _, _, hypers = known
    one = fits.with_sigma(hypers, jnp.asarray(0.25))
    assert [float(select_sigma(one.noise.schedule, jnp.asarray(t))) for t in (0, 1, 9)] == [
        *(0.25, 0.25, 0.25)
    ]
    each = fits.with_sigma(hypers, jnp.full(DIM, 0.25))
    assert each.noise.given is not None
    assert each.noise.given.scale.shape == (DIM,)
    assert fits.by_weights(hypers, None) is None
