"""Losses against their formulas in terms of D = sigmoid(logit), in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sigmaprop.generators import losses

LOGITS = np.linspace(-6.0, 6.0, 25)
D = 1 / (1 + np.exp(-LOGITS))
# real, fake, generator; every player minimises.
FORMULAS = {
    "non_saturating": (-np.log(D), -np.log(1 - D), -np.log(D)),
    "minimax": (-np.log(D), -np.log(1 - D), np.log(1 - D)),
    "least_squares": ((LOGITS - 1) ** 2 / 2, LOGITS**2 / 2, (LOGITS - 1) ** 2 / 2),
    "hinge": (np.maximum(0, 1 - LOGITS), np.maximum(0, 1 + LOGITS), -LOGITS),
    "wasserstein": (-LOGITS, LOGITS, -LOGITS),
    # Of differences: what D pays for l(real) - l(fake), what G pays for l(fake) - l(real).
    "relativistic": (-np.log(D), 0 * LOGITS, -np.log(D)),
}


def test_every_loss_is_tested():
    assert set(FORMULAS) == set(losses.names())


@pytest.mark.parametrize("name", losses.names())
def test_losses_are_their_formulas(name):
    loss = losses.get(name)
    logits = jnp.asarray(LOGITS, jnp.float32)
    for function, exact in zip((loss.real, loss.fake, loss.generator), FORMULAS[name], strict=True):
        np.testing.assert_allclose(function(logits), exact, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", losses.names())
def test_the_discriminator_pays_the_mean_of_both(name):
    real, fake = LOGITS[:7], LOGITS[9:16]
    exact = FORMULAS[name][0][:7].mean() + FORMULAS[name][1][9:16].mean()
    if losses.get(name).paired:
        exact = np.log1p(np.exp(fake - real)).mean()
    found = losses.get(name).discriminator(jnp.asarray(real), jnp.asarray(fake))
    np.testing.assert_allclose(found, exact, rtol=1e-6)


@pytest.mark.parametrize("name", losses.names())
def test_losses_and_slopes_are_finite_at_large_logits(name):
    loss = losses.get(name)
    for function in (loss.real, loss.fake, loss.generator):
        for logit in (-1e4, 1e4):
            value, slope = jax.value_and_grad(function)(logit)
            assert np.isfinite(value)
            assert np.isfinite(slope)


def test_only_a_paired_loss_takes_a_rival():
    logit, rival = jnp.asarray([0.5, -2.0]), jnp.asarray([1.5, 3.0])
    exact = np.log1p(np.exp([1.0, 5.0]))
    np.testing.assert_allclose(losses.get("relativistic").of_generated(logit, rival), exact, 1e-6)
    assert [name for name in losses.names() if losses.get(name).paired] == ["relativistic"]


def test_the_non_saturating_and_the_minimax_generator_agree_in_sign_and_differ_in_size():
    """Where D is near 0 the one pushes with slope -1, the other hardly at all."""
    pushes = [jax.grad(losses.get(name).generator)(-8.0) for name in ("non_saturating", "minimax")]
    exact = [-1 / (1 + np.exp(-8.0)), -1 / (1 + np.exp(8.0))]
    np.testing.assert_allclose(pushes, exact, rtol=1e-5)


def test_an_unknown_loss_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'wasserstein'"):
        losses.get("waserstein")
