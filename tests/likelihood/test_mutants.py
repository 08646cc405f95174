"""Annealed importance sampling that is wrong on purpose, and must be seen to be.

What sees it is the check that the right one passes: all rows within 5 of their own standard errors
of the truth. A mutant has one beyond 10, so that the check is not passed by luck.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sigmaprop import likelihood
from sigmaprop.likelihood import annealed, annealing, contract

from .models import PARABOLA_X, draws, errors, linear, parabola, parabola_log_prob

LINEAR = linear(2, 12, 0.7, "diagonal")


def linear_errors():
    x = draws(LINEAR, 2, 3)
    found = likelihood.ais(
        LINEAR, x, jax.random.key(0), latent_dim=2, num_chains=64, num_temperatures=200
    )
    return errors(found, likelihood.exact(LINEAR, x).log_prob), found


def parabola_errors():
    found = likelihood.ais(
        parabola,
        PARABOLA_X,
        jax.random.key(0),
        latent_dim=2,
        num_chains=128,
        num_temperatures=100,
        prior="uniform",
    )
    return errors(found, parabola_log_prob("uniform")), found


@pytest.mark.slow
def test_the_right_ones_pass():
    assert np.all(np.abs(linear_errors()[0]) < 5)
    assert np.all(np.abs(parabola_errors()[0]) < 5)


def wrong_sign(monkeypatch):
    """Log weights go down where they should go up."""
    right = annealing.increment
    monkeypatch.setattr(annealing, "increment", lambda *beta_and_value: -right(*beta_and_value))


def target_of_no_prior(monkeypatch):
    """Moves leave out the density of the standard normal variables: the map's Jacobian."""
    monkeypatch.setattr(annealing, "log_prior", lambda u: 0.0 * jnp.sum(u))


def no_log_determinant(monkeypatch):
    """log p(x|z) without the log determinant of the noise."""
    right = contract.log_likelihood

    def wrong(decode, prior, x):
        return lambda u: right(decode, prior, x)(u) + 0.5 * decode(u).log_det()

    monkeypatch.setattr(annealed, "log_likelihood", wrong)


def no_map(monkeypatch):
    """Normal latents where uniform ones were asked for."""
    right = contract.log_likelihood
    monkeypatch.setattr(
        annealed, "log_likelihood", lambda decode, prior, x: right(decode, "normal", x)
    )


def move_of_the_prior(monkeypatch):
    """The leapfrog sees the gradient of the prior alone; acceptance sees all."""
    right = annealing.hmc_move

    def wrong(log_likelihood, key, position, value, slope, **options):
        def blind(u):
            return log_likelihood(jax.lax.stop_gradient(u))

        return right(blind, key, position, value, jnp.zeros_like(slope), **options)

    monkeypatch.setattr(annealing, "hmc_move", wrong)


def weight_of_the_next_position(monkeypatch):
    """All temperatures in one step: chains that do not move between prior and posterior."""
    monkeypatch.setattr(
        annealing,
        "inverse_temperature",
        lambda settings, index, spread: jnp.where(index == 0, 0.0, 1.0),
    )


@pytest.mark.slow
@pytest.mark.parametrize("mutant", [wrong_sign, target_of_no_prior, no_log_determinant])
def test_linear_decoders_see(mutant, monkeypatch):
    mutant(monkeypatch)
    assert np.max(np.abs(linear_errors()[0])) > 10


@pytest.mark.slow
@pytest.mark.parametrize("mutant", [wrong_sign, target_of_no_prior, no_map])
def test_two_modes_see(mutant, monkeypatch):
    mutant(monkeypatch)
    assert np.max(np.abs(parabola_errors()[0])) > 10


@pytest.mark.slow
def test_moves_that_see_the_prior_alone(monkeypatch):
    """Valid, and far too low: PresGAN's leapfrog was such a one. Its steps shrink, or none is
    accepted, and chains stay where the prior put them.
    """
    decode = linear(8, 64, 0.1, "isotropic")
    x = draws(decode, 8, 3)
    exact = likelihood.exact(decode, x).log_prob

    def off():
        found = likelihood.ais(
            decode,
            x,
            jax.random.key(0),
            latent_dim=8,
            num_temperatures=300,
            schedule="logarithmic",
        )
        return np.asarray(found.log_prob) - exact

    right = off()
    move_of_the_prior(monkeypatch)
    wrong = off()
    assert np.all(np.abs(right) < 5)
    # No standard error is above 1.
    assert np.all(wrong < -5)
    assert np.mean(wrong) < -20


def test_weights_without_moves_between_them(monkeypatch):
    decode = linear(8, 64, 0.1, "isotropic")
    x = draws(decode, 8, 3)
    weight_of_the_next_position(monkeypatch)
    found = likelihood.ais(decode, x, jax.random.key(0), latent_dim=8, num_temperatures=20)
    assert np.all(np.asarray(found.log_prob) - likelihood.exact(decode, x).log_prob < -100)
