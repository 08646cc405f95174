"""What does not fit is refused in one sentence, before anything is computed."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sigmaprop import likelihood
from sigmaprop.gaussians import Isotropic

from .models import linear

DECODE = linear(2, 3, 0.5, "isotropic")
X = jnp.zeros((2, 3))
KEY = jax.random.key(0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"schedule": "sigmiod"}, "unknown schedule 'sigmiod'; did you mean 'sigmoid'"),
        ({"prior": "gauss"}, "unknown prior 'gauss'"),
        ({"dtype": "float16"}, "unknown dtype 'float16'"),
        ({"dtype": "float64"}, "only with 64 bits switched on"),
        ({"latent_dim": 0}, "latent_dim is 0; it must be at least 1"),
        ({"num_chains": 2.5}, "num_chains is 2.5; it must be a whole number"),
        ({"num_pilots": 0}, "num_pilots is 0; it must be at least 1"),
        ({"num_temperatures": 0}, "num_temperatures is 0; it must be at least 1"),
        ({"num_leapfrog": -1}, "num_leapfrog is -1; it must be at least 1"),
        ({"chunk": 0}, "chunk is 0; it must be at least 1"),
        ({"target_acceptance": 1.0}, "target_acceptance is 1.0; it must be between 0 and 1"),
    ],
)
def test_options_of_annealing(options, message):
    with pytest.raises(ValueError, match=message):
        likelihood.ais(DECODE, X, KEY, **({"latent_dim": 2} | options))


@pytest.mark.unchecked
@pytest.mark.parametrize("x", [jnp.zeros((0, 3)), jnp.zeros(3), jnp.zeros((2, 0)), [[1, 2, 3]]])
@pytest.mark.parametrize("method", ["ais", "smc"])
def test_rows_that_are_none(x, method):
    with pytest.raises(ValueError, match=r"x (has shape|is of)"):
        getattr(likelihood, method)(DECODE, jnp.asarray(x), KEY, latent_dim=2)


@pytest.mark.parametrize(
    ("decode", "message"),
    [
        (lambda z: z, "decode gave .*; it must give an Isotropic"),
        (lambda z: Isotropic(jnp.zeros(4), jnp.ones(())), r"a mean of shape \(4,\); it must be"),
    ],
)
@pytest.mark.parametrize("method", ["ais", "smc"])
def test_decoders_that_do_not_fit(decode, message, method):
    with pytest.raises(ValueError, match=message):
        getattr(likelihood, method)(decode, X, KEY, latent_dim=2)


@pytest.mark.unchecked
def test_a_key_that_is_none():
    with pytest.raises(ValueError, match="key"):
        likelihood.ais(DECODE, X, jax.random.split(KEY), latent_dim=2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_examples": 1}, "num_examples is 1; it must be at least 2"),
        ({"dtype": "float64"}, "only with 64 bits"),
        ({"schedule": "even"}, "unknown schedule"),
    ],
)
def test_options_of_bounds(options, message):
    with pytest.raises(ValueError, match=message):
        likelihood.bdmc(DECODE, KEY, **({"latent_dim": 2, "num_examples": 2} | options))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_particles": 1}, "num_particles is 1; it must be at least 2"),
        ({"target_effective": 0.0}, "target_effective is 0.0; it must be between 0 and 1"),
        ({"max_temperatures": 0}, "max_temperatures is 0"),
    ],
)
def test_options_of_tempered_monte_carlo(options, message):
    with pytest.raises(ValueError, match=message):
        likelihood.smc(DECODE, X, KEY, latent_dim=2, **options)


@pytest.mark.parametrize(
    ("encode", "message"),
    [
        (lambda x: x, "encode gave .*; it must give an Isotropic"),
        (lambda x: Isotropic(x, jnp.ones(())), r"encode gave a mean of shape \(3,\); it must be"),
    ],
)
def test_encoders_that_do_not_fit(encode, message):
    with pytest.raises(ValueError, match=message):
        likelihood.iwae(DECODE, encode, X, KEY, latent_dim=2)


@pytest.mark.unchecked
@pytest.mark.parametrize(
    ("model", "x", "message"),
    [
        (DECODE, np.zeros((2, 4)), "it must be rows of 3 numbers"),
        (lambda z: z, np.zeros((2, 4)), "a LinearDecoder or a Mixture has a closed form"),
    ],
)
def test_models_without_a_closed_form(model, x, message):
    with pytest.raises(ValueError, match=message):
        likelihood.exact(model, x)


def test_noise_that_is_nothing_gives_a_number_or_none():
    """A sigma of 0 has no likelihood: NaN or an infinity, and no exception."""
    decode = linear(2, 3, 0.0, "isotropic")
    options: Any = {"latent_dim": 2, "num_temperatures": 5}
    found = likelihood.ais(decode, X, KEY, **options)
    assert not np.any(np.isfinite(found.log_prob))


def test_a_decoder_that_ignores_the_latent_is_known_at_once():
    def decode(z):
        return Isotropic(jnp.zeros(3, z.dtype), jnp.asarray(2.0, z.dtype))

    exact = -1.5 * np.log(2 * np.pi * 4.0)
    for schedule in likelihood.SCHEDULES:
        options: Any = {"latent_dim": 2, "num_temperatures": 5, "schedule": schedule}
        found = likelihood.ais(decode, X, KEY, **options)
        np.testing.assert_allclose(found.log_prob, exact, rtol=1e-6)
        np.testing.assert_allclose(found.standard_error, 0.0, atol=1e-6)
