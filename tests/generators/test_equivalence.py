"""Instance noise and what stands for it, against quadrature and closed forms."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from sigmaprop.generators import equivalence, penalties
from sigmaprop.generators.equivalence import TREATMENTS, Game

NUM = 4_000
QUANTILES = stats.norm.ppf((np.arange(NUM) + 0.5) / NUM)[:, None]
"""The middles of so many equally likely slices of a standard normal: a sum is an integral."""


def softplus(a):
    return np.logaddexp(0.0, a)


def cost(logit):
    return softplus(logit) + softplus(-logit)


def linear(params, x):
    return x @ params["kernel"][:, 0] + params["bias"]


def params(psi, bias):
    return {"kernel": jnp.asarray([[psi]]), "bias": jnp.asarray(bias)}


def integral(function):
    return integrate.quad(lambda z: function(z) * stats.norm.pdf(z), -9, 9, epsabs=1e-13)[0]


@pytest.mark.parametrize(("psi", "at", "sigma"), [(0.3, 0.2, 0.5), (2.0, 1.5, 1.0)])
def test_what_noise_adds_for_a_linear_discriminator(psi, at, sigma):
    """F(psi (x + s z)) - F(psi x) over z, and its derivative to psi, by quadrature.

    The slices miss some of the variance of the outermost: less than 1/NUM of all, times 2 log NUM.
    """
    d = lambda logit: np.tanh(logit / 2)  # noqa: E731, F' = 2 D - 1
    total = integral(lambda z: cost(psi * (at + sigma * z))) - cost(psi * at)
    slope = integral(lambda z: d(psi * (at + sigma * z)) * (at + sigma * z)) - d(psi * at) * at
    with jax.enable_x64(True):
        eps = jnp.asarray(QUANTILES)
        for name in ("noise", "noise_convex"):
            game = Game(linear, jnp.full((NUM, 1), at), eps, jnp.asarray(sigma))
            value, found = jax.value_and_grad(
                lambda one, name=name, game=game: equivalence.value(name, game, one)
            )(params(psi, 0.0))
            np.testing.assert_allclose(value, total, rtol=4e-3)
            np.testing.assert_allclose(found["kernel"][0, 0], slope, rtol=4e-3)


def test_the_smoothing_of_a_quadratic_is_its_laplacian():
    """What is not convex: (2 D - 1) s^2/2 laplacian, exactly, for l = a x^2 / 2 + b."""
    a, b, sigma = 1.3, 0.4, 0.7
    x = np.linspace(-1, 2, 5)[:, None]
    at, eps = np.repeat(x, NUM // 20, axis=0), np.tile(QUANTILES[10::20], (5, 1))
    eps = eps / np.sqrt(np.mean(eps**2))  # with either sign the mean is 0
    see = lambda params, x: params * x[:, 0] ** 2 / 2 + b  # noqa: E731
    with jax.enable_x64(True):
        game = Game(see, jnp.asarray(at), jnp.asarray(eps), jnp.asarray(sigma))
        every, convex = (
            equivalence.value(name, game, jnp.asarray(a)) for name in ("noise", "noise_convex")
        )
    expected = np.mean(np.tanh((a * x**2 / 2 + b) / 2)) * sigma**2 / 2 * a
    np.testing.assert_allclose(every - convex, expected, rtol=1e-9)


def test_approximate_r1_and_r2_are_the_convex_part_at_one_half_for_any_sigma():
    """Where D = 1/2, F(l + h) - F(l) - F'(l) h is h^2 / 4, whatever the discriminator."""
    see = lambda params, x: params * jnp.sin(3 * x[:, 0])  # noqa: E731
    with jax.enable_x64(True):
        x = jnp.linspace(-1, 1, NUM)[:, None]
        game = Game(see, x, jnp.asarray(np.random.default_rng(0).permutation(QUANTILES)), 2.0)
        one, other = (
            jax.grad(lambda p, name=name: equivalence.value(name, game, p))(jnp.asarray(1e-3))
            for name in ("approximate", "noise_convex")
        )
    np.testing.assert_allclose(one, other, rtol=1e-5)  # l^2 of the next order is 1e-6


DIM, WIDTHS, EXAMPLES, NETWORKS = 16, (24, 24), 256, 3
NEAR, SIGMA = 0.02, 0.02


@functools.cache
def errors(kind, logit=NEAR, sigma=SIGMA):
    """The pooled errors of every treatment over random networks, whose values are traced once."""
    found = []
    with jax.enable_x64(True):
        for number in range(NETWORKS):
            keys = jax.random.split(jax.random.key(number), 3)
            judge = penalties.judge(kind, DIM, WIDTHS, keys[0])
            x, eps = (jax.random.normal(key, (EXAMPLES, DIM), jnp.float64) for key in keys[1:])
            found.append(measure(kind)(penalties.doubled(judge.params), x, eps, logit, sigma))
    matches = {name: [one[name] for one in found] for name in TREATMENTS}
    return {
        name: penalties.pooled(*(np.asarray(leaf) for leaf in zip(*own, strict=True))).error
        for name, own in matches.items()
    }


@functools.cache
def measure(kind):
    exact = penalties.judge(kind, DIM, WIDTHS, jax.random.key(0)).exact

    @jax.jit
    def gradients(params, x, eps, logit, sigma):
        own = equivalence.scaled(exact, params, x, logit)
        return equivalence.gradients(own, params, x, eps, sigma)

    return gradients


def test_all_of_them_are_one_for_a_linear_discriminator_near_one_half():
    for name, error in errors("linear").items():
        assert error.value + 5 * error.error < 0.02, name


@pytest.mark.parametrize("kind", ["silu", pytest.param("softplus", marks=pytest.mark.slow)])
def test_penalties_and_the_convex_part_are_one_near_one_half(kind):
    """Within 2% and 5 standard errors; and all of instance noise is not, by its smoothing."""
    found = errors(kind)
    for name in set(TREATMENTS) - {"noise"}:
        assert found[name].value + 5 * found[name].error < 0.02, name
    assert found["noise"].value > 0.1


def test_roths_form_and_noise_leave_away_from_one_half_and_the_finite_difference_does_not():
    found = errors("silu", logit=2.0)
    assert min(found["roth"].value, found["noise_convex"].value) > 0.1
    assert max(found["approximate"].value, found["r1_r2"].value) < 0.02


def test_noise_and_finite_difference_leave_where_the_noise_is_large_and_roths_form_does_not():
    found = errors("silu", sigma=1.0)
    assert min(found["approximate"].value, found["noise_convex"].value) > 0.1
    assert max(found["roth"].value, found["r1_r2"].value) < 0.02
