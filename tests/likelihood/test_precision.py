"""Log-likelihoods of 10,000 nats in float32 against float64."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sigmaprop import likelihood
from sigmaprop.gaussians import Isotropic
from sigmaprop.likelihood import annealing
from sigmaprop.likelihood.records import from_weights

from .models import draws, errors, linear

DIM, SIGMA, TEMPERATURES = 4096, 0.02, 10_000
HALF_A_DIGIT = 2.0**-11
"""Half the spacing of float32 between 8,192 and 16,384."""


def constant(z):
    """A decoder that does not look at z: every increment is known, and p(x) is p(x|z)."""
    return Isotropic(jnp.zeros(DIM, z.dtype), jnp.asarray(SIGMA, z.dtype))


def log_weight(num_temperatures, dtype="float32", schedule="sigmoid"):
    x = SIGMA * np.random.default_rng(0).normal(size=(1, DIM))
    found = likelihood.ais(
        constant,
        jnp.asarray(x, dtype),
        jax.random.key(0),
        latent_dim=1,
        num_chains=2,
        num_pilots=1,
        num_leapfrog=1,
        num_temperatures=num_temperatures,
        schedule=schedule,
    )
    return float(found.log_prob[0])


@pytest.mark.slow
@pytest.mark.parametrize("schedule", ["sigmoid", "linear"])
def test_sums_are_compensated(schedule, monkeypatch):
    """All increments add up to that of a single temperature, to the last digit and what 10,000
    products of some nats are rounded by. Without the compensation each addition is rounded by
    up to half a digit of the sum: .007 nats (sigmoid) and .41 (linear) after 10,000.
    """
    at_once = log_weight(1)
    assert 10_000 < at_once < 11_000
    found = log_weight(TEMPERATURES, schedule=schedule)
    assert abs(found - at_once) <= 3 * HALF_A_DIGIT
    monkeypatch.setattr(annealing, "add", lambda total, rest, term: (total + term, rest))
    naive = log_weight(TEMPERATURES, schedule=schedule)
    assert abs(naive - at_once) > 10 * HALF_A_DIGIT


def test_float64_keeps_all_digits():
    with jax.enable_x64(True):
        x = SIGMA * np.random.default_rng(0).normal(size=(1, DIM))
        exact = -0.5 * np.sum((x / SIGMA) ** 2) - DIM * np.log(SIGMA * np.sqrt(2 * np.pi))
        assert log_weight(TEMPERATURES, "float64") == pytest.approx(exact, abs=1e-8)


@pytest.mark.slow
def test_float32_agrees_with_float64_of_a_decoder():
    decode = linear(2, 1024, 0.001, "isotropic")
    x = draws(decode, 2, 2)
    options: Any = {"latent_dim": 2, "num_temperatures": 500, "schedule": "logarithmic"}
    exact = likelihood.exact(decode, x).log_prob
    assert np.all(np.asarray(exact) > 5_000)
    single = likelihood.ais(decode, x, jax.random.key(1), **options)
    assert np.all(np.abs(errors(single, exact)) < 5)
    with jax.enable_x64(True):
        x64 = jnp.asarray(np.asarray(x, np.float64))
        double = likelihood.ais(decode, x64, jax.random.key(1), dtype="float64", **options)
        assert double.log_prob.dtype == jnp.float64
        assert np.all(np.abs(errors(double, exact)) < 5)


def test_neumaier_keeps_what_a_large_sum_rounds_off():
    terms = np.concatenate([[1e8], np.full(1000, 0.1), [-1e8]]).astype(np.float32)

    def step(carry, term):
        return annealing.add(carry[0], carry[1], term), None

    (total, rest), _ = jax.lax.scan(step, (jnp.zeros(()), jnp.zeros(())), jnp.asarray(terms))
    exact = np.sum(terms.astype(np.float64))
    # The rest itself is a plain sum, of 1,000 terms, each rounded by half a digit of 100 at most.
    assert float(total) + float(rest) == pytest.approx(exact, abs=1000 * 2.0**-18)


def test_weights_that_differ_in_what_was_rounded_off():
    """At 1e4 nats the second part holds all that tells weights apart."""
    rest = jnp.asarray(np.random.default_rng(1).normal(size=16) * 1e-4, jnp.float32)
    found = from_weights(jnp.full(16, 1e4, jnp.float32), rest)
    exact = np.std(np.exp(np.asarray(rest, np.float64)), ddof=1) / 4
    assert float(found[1]) == pytest.approx(exact, rel=1e-3)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_method_answers_in_the_dtype_of_the_rows(dtype):
    """With 64 bits switched on, and a decoder whose numbers are float64 whatever z is."""
    weight = np.random.default_rng(0).normal(size=(5, 2))
    key = jax.random.key(0)

    def decode(z):
        return Isotropic(jnp.asarray(weight) @ z, jnp.asarray(0.5))

    with jax.enable_x64(True):
        x = jnp.asarray(np.random.default_rng(1).normal(size=(3, 5)), dtype)
        found = [
            likelihood.ais(decode, x, key, latent_dim=2, num_temperatures=3).log_prob,
            likelihood.refit_sigma(decode, x, key, latent_dim=2, num_steps=4).sigma,
            likelihood.parzen(x, x, x).log_prob,
            likelihood.iwae(decode, prior_alone, x, key, latent_dim=2, num_samples=5).log_prob,
        ]
        assert {leaf.dtype.name for leaf in found} == {dtype}
        options: Any = {"latent_dim": 2, "num_particles": 8, "num_runs": 1}
        assert likelihood.smc(decode, x, key, **options).log_prob.dtype == jnp.float64


def prior_alone(x):
    return Isotropic(jnp.zeros(2), jnp.ones(()))
