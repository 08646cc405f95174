"""Sigma-gradients by every estimator, inside the training step, against each other."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sigmaprop.generators import gan, networks, optimizers, sigma_gradient
from sigmaprop.generators import step as steps

from . import small_games

DIM, LATENT, BATCH, KEYS, SIGMA = 2, 2, 8, 1024, 0.8
ARMS = small_games.LEARNED
REFERENCE = "pathwise"
QUICK = ("score_function+at_mean", "bonnet_price")
LABELS = [
    pytest.param(label, marks=() if label in QUICK else pytest.mark.slow)
    for label in sigma_gradient.LABELS
    if label != REFERENCE
]
ERRORS = 5.0
"""A false alarm of the 500 comparisons in 3,000."""
DATA = np.random.default_rng(0).standard_normal((64, DIM)).astype(np.float32)


@functools.cache
def make(label=REFERENCE, arms=ARMS, activation="tanh", gradient="pathwise", samples=1):
    return small_games.make(
        networks.mlp_generator(LATENT, DIM, widths=(4,), activation="tanh"),
        networks.mlp_discriminator(DIM, widths=(8,), activation=activation),
        arms,
        optimizer=optimizers.get("sgd"),
        batch_size=BATCH,
        sigma_gradient=label,
        gradient=gradient,
        noise_samples=samples,
    )


def replica(spec, arm):
    """Hypers and state: only the generator moves, by its whole gradient."""
    own = small_games.hypers(spec, arm, sigma=SIGMA, rates=(1.0, 0.0, 1.0), bounds=(1e-6, 1e6))
    state = gan.init(spec, own)
    steeper = jax.tree.map(lambda p: 2.0 * p, state.discriminator)
    return own, state._replace(discriminator=steeper)


@functools.cache
def step_of(spec):
    """(hypers, state, t) to the gradients that step t takes, of noise and network."""

    def gradients(own, state, t):
        keys = gan.streams(own.key)
        after, _ = steps.step(spec, own, state, jnp.asarray(DATA), keys, t)
        return jax.tree.map(lambda old, new: old - new, state.player, after.player)

    def many(own, state):
        return jax.lax.map(functools.partial(gradients, own, state), jnp.arange(KEYS))

    return jax.jit(many)


@functools.cache
def gradients(spec, arm):
    """Of the arm's noise and of the network at one state, a row for each of many keys."""
    moved = step_of(spec)(*replica(spec, arm))
    rows = [
        np.concatenate([np.reshape(leaf, (KEYS, -1)) for leaf in jax.tree.leaves(part)], axis=1)
        for part in (moved.noise[small_games.observation.ARMS[arm].component], moved.network)
    ]
    return [part.astype(np.float64) for part in rows]


def error(rows):
    return np.sqrt(rows.var(0, ddof=1) / len(rows))


def agree(first, second):
    """Whether the means are equal, up to the standard error of independent ones.

    Rounding is added for gradients that vanish in every draw.
    """
    bound = ERRORS * np.hypot(error(first), error(second)) + 1e-6
    return np.all(np.abs(first.mean(0) - second.mean(0)) < bound)


@pytest.mark.parametrize(
    "arm", [arm if arm == "global" else pytest.param(arm, marks=pytest.mark.slow) for arm in ARMS]
)
@pytest.mark.parametrize("label", LABELS)
def test_estimators_agree_within_the_step(label, arm):
    reference = gradients(make(), arm)
    for one, other in zip(gradients(make(label, samples=2), arm), reference, strict=True):
        assert agree(one, other)


@pytest.mark.parametrize("arm", ARMS)
def test_the_gradients_that_agree_are_not_zero(arm):
    for rows in gradients(make(), arm):
        assert np.any(np.abs(rows.mean(0)) > 2 * ERRORS * error(rows))


def test_the_gradient_to_log_sigma_is_that_of_quadrature():
    """Softplus(-D(mu + sigma eps)) by Gauss-Hermite, differentiated by finite differences."""
    _, state = replica(make(), "global")
    nodes, weights = np.polynomial.hermite_e.hermegauss(20)
    grid = np.stack(np.meshgrid(nodes, nodes), -1).reshape(-1, DIM)
    weights = np.outer(weights, weights).ravel() / (2 * np.pi)
    f64 = functools.partial(jax.tree.map, lambda p: np.asarray(p, np.float64))
    network, discriminator = f64(state.player.network), f64(state.discriminator)

    def layers(params: Any, x):
        h = np.tanh(x @ params["hidden_0"]["kernel"] + params["hidden_0"]["bias"])
        return h @ params["output"]["kernel"] + params["output"]["bias"]

    mean = layers(network, np.random.default_rng(1).standard_normal((2048, LATENT)))

    def expected(log_sigma):
        x = mean[:, None] + np.exp(log_sigma) * grid
        return np.logaddexp(0, -layers(discriminator, x)[..., 0]) @ weights

    h, at = 1e-4, np.log(SIGMA)
    slopes = ((expected(at + h) - expected(at - h)) / (2 * h))[:, None]
    assert agree(gradients(make(), "global")[0], slopes)


@pytest.mark.slow
def test_more_draws_for_a_latent_have_a_smaller_variance():
    few, many = (gradients(make(samples=n), "global")[0].var(ddof=1) for n in (1, 16))
    assert many < 0.5 * few


def test_at_mean_differentiates_the_network_at_the_mean():
    spec = make(gradient="at_mean")
    own, state = replica(spec, "global")
    keys = jax.vmap(functools.partial(jax.random.fold_in, gan.streams(own.key)["latent_generator"]))

    def loss(network, key):
        mean = spec.generator.apply(network, gan.latent(spec, key, BATCH)).mean
        return jnp.mean(jax.nn.softplus(-spec.discriminator.apply(state.discriminator, mean)))

    exact = jax.jit(jax.vmap(jax.grad(loss), (None, 0)))(state.player.network, keys(jnp.arange(8)))
    found = step_of(spec)(own, state).network
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(exact), strict=True):
        # Differences of parameters of size 1.
        np.testing.assert_allclose(one[:8], other, atol=4 * 2.0**-24)


def test_at_mean_leaves_the_gradient_of_the_noise_as_it_is():
    noise, network = gradients(make(gradient="at_mean"), "global")
    reference, at_x = gradients(make(), "global")
    assert agree(noise, reference)
    assert not agree(network, at_x)


@pytest.mark.slow
@pytest.mark.slow
@pytest.mark.parametrize("label", ["pathwise+delta", "score_function+at_mean", "bonnet_price"])
def test_arms_that_do_not_learn_move_nothing_but_the_network(label):
    spec = make(label, ("zero", "fixed", *ARMS))
    step = jax.jit(functools.partial(steps.step, spec))
    for arm in ("zero", "fixed"):
        own, state = replica(spec, arm)
        keys = gan.streams(own.key)
        after, told = step(own, state, jnp.asarray(DATA), keys, jnp.asarray(0))
        jax.tree.map(np.testing.assert_array_equal, after.player.noise, state.player.noise)
        assert np.isfinite(told).all()
        new, old = (player.network["output"]["kernel"] for player in (after.player, state.player))
        assert np.isfinite(new).all()
        assert np.all(new != old)


def test_bonnet_price_is_refused_where_the_discriminator_has_kinks():
    message = "bonnet_price has no meaning with the discriminator mlp.*softplus"
    with pytest.raises(ValueError, match=message):
        sigma_gradient.check("bonnet_price", "kink", "mlp")
    sigma_gradient.check("bonnet_price", "smooth", "mlp")
    spec = make("bonnet_price", activation="leaky_relu")
    own, state = replica(spec, "global")
    keys = gan.streams(own.key)
    with pytest.raises(ValueError, match="'bonnet_price' has no meaning"):
        jax.eval_shape(functools.partial(steps.step, spec), own, state, DATA, keys, jnp.asarray(0))


def test_an_unknown_label_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'score_function'"):
        sigma_gradient.check("score_functon", "smooth", "mlp")
