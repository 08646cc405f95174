"""Variational autoencoders that are trained: what the exact likelihood of linear ones says."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sigmaprop import data
from sigmaprop.generators import replicas, vae, vae_step
from sigmaprop.generators.arms import VAE_ARMS
from sigmaprop.generators.divergence import NOT_DIVERGED
from sigmaprop.generators.vae import METRICS

from . import small_vaes

NOW = jnp.asarray(0)


@functools.cache
def plane():
    """Training and test rows of the linear Gaussian data set, in 8 coordinates with 2 latents."""
    dataset = data.load("linear_gaussian", data.DataOptions(noise_std=0.3))
    return dataset.x[dataset.splits.train], jnp.asarray(dataset.x[dataset.splits.test][:200])


def principal(x, latent_dim):
    """The maximum likelihood of probabilistic PCA, in float64: W [D, Z], mean and sigma.

    Source: Tipping, Bishop 1999, "Probabilistic principal component analysis", equations 7 and 8.
    """
    x = x.astype(np.float64)
    values, vectors = np.linalg.eigh(np.cov(x.T, bias=True))
    variance = values[:-latent_dim].mean()
    kernel = vectors[:, -latent_dim:] * np.sqrt(values[-latent_dim:] - variance)
    return kernel, x.mean(axis=0), np.sqrt(variance)


def log_density(x, kernel, mean, sigma):
    """log p(x) of the linear Gaussian model, in float64."""
    covariance = kernel @ kernel.T + sigma**2 * np.eye(len(mean))
    residual = np.asarray(x, np.float64) - mean
    distance = np.sum(residual * np.linalg.solve(covariance, residual.T).T, axis=1)
    return -0.5 * (distance + np.linalg.slogdet(2 * np.pi * covariance)[1])


def at_the_optimum(x):
    """Spec, hypers, and the state whose decoder is `principal`'s and its encoder the posterior."""
    kernel, mean, sigma = principal(x, 2)
    spec = small_vaes.make(x.shape[1], 2)
    own = small_vaes.hypers(spec, sigma=sigma)
    state = vae.init(spec, own)
    precision = np.eye(2) + kernel.T @ kernel / sigma**2
    axes = np.linalg.eigh(precision)[1]  # the posterior is diagonal in these
    turned = kernel @ axes
    scales = 1.0 / np.sqrt(1.0 + np.sum(turned**2, axis=0) / sigma**2)
    encode = turned * scales**2 / sigma**2
    raw = inverse_bounded(np.log(scales))
    encoder = {
        "output": {
            "kernel": np.concatenate([encode, np.zeros_like(encode)], axis=1),
            "bias": np.concatenate([-mean @ encode, raw]),
        }
    }
    decoder = {"output": {"kernel": turned.T, "bias": mean}}
    params = jax.tree.map(jnp.float32, state.params._replace(encoder=encoder, decoder=decoder))
    assert jax.tree.structure(params) == jax.tree.structure(state.params)
    return spec, own, state._replace(params=params), (kernel, mean, sigma)


def inverse_bounded(wanted):
    """The raw log scales that the encoder's bound makes these of, by bisection."""
    from sigmaprop.generators.networks.encoder import bounded

    low, high = np.full(wanted.shape, -20.0), np.full(wanted.shape, 20.0)
    for _ in range(60):
        middle = (low + high) / 2
        above = np.asarray(bounded(jnp.asarray(middle, jnp.float32))) > wanted
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return (low + high) / 2


def test_at_the_optimum_every_draw_gives_the_exact_likelihood():
    """The encoder is the posterior there, so log p(x, z) - log q(z|x) does not depend on z.

    float32 keeps some 1e-5 of terms near 10 nats.
    """
    x, test = plane()
    spec, own, state, model = at_the_optimum(x)
    found = vae.evidence(spec, own, state, test, jax.random.key(0), 4, NOW)
    exact = log_density(test, *model)
    np.testing.assert_allclose(found.elbo, exact, atol=2e-4)
    np.testing.assert_allclose(found.iwae, exact, atol=2e-4)


def test_the_bounds_lie_below_the_exact_likelihood_in_their_order():
    """Of an encoder whose means are off the elbo lacks KL(q || posterior), which is known; the
    importance weighted bound lies between. Means over examples, within 5 standard errors."""
    x, test = plane()
    spec, own, state, model = at_the_optimum(x)
    output, posterior = state.params.encoder["output"], vae.encode(spec, state.params, test)
    shifted = output["bias"] + jnp.asarray([0.3, 0.3, 0.0, 0.0])
    kernel = output["kernel"] * jnp.asarray([0.8, 0.8, 1.0, 1.0])
    worse = state.params._replace(encoder={"output": {"kernel": kernel, "bias": shifted}})
    off = vae.encode(spec, worse, test).mean - posterior.mean
    lacks = 0.5 * np.sum((np.asarray(off) / np.exp(posterior.log_scale)) ** 2, axis=1)
    state = state._replace(params=worse)
    found = vae.evidence(spec, own, state, test, jax.random.key(0), 64, NOW)
    exact = log_density(test, *model)
    assert np.all(np.asarray(found.elbo) <= np.asarray(found.iwae) + 1e-4)
    gaps = [exact - np.asarray(bound, np.float64) for bound in (found.elbo, found.iwae)]
    errors = [gap.std() / np.sqrt(len(gap)) for gap in gaps]
    assert abs(np.mean(gaps[0] - lacks)) < 5 * np.std(gaps[0] - lacks) / np.sqrt(len(lacks))
    assert gaps[0].mean() > 5 * errors[0]
    assert -5 * errors[1] < gaps[1].mean() < 0.5 * gaps[0].mean()


def test_the_latent_gaussian_of_a_state_is_what_its_samples_come_from():
    spec = small_vaes.make(5, 2, ("low_rank",), rank=2)
    own = small_vaes.hypers(spec, "low_rank")
    state = vae.init(spec, own)
    z = jax.random.normal(jax.random.key(1), (3, 2))
    x = jax.random.normal(jax.random.key(2), (3, 5))
    decode = vae.gaussian(spec, own, state, NOW)
    each = jnp.stack([decode(z[i]).log_prob(x[i]) for i in range(3)])
    np.testing.assert_allclose(
        vae.log_likelihood(vae.decode(spec, own, state, z, NOW), x), each, rtol=1e-6
    )


def train(spec, each, x, steps, *, cuts=(), every=50, **options):
    """States and windows of replicas, on the host."""
    engine = replicas.engine(
        vae_step.model(spec), len(each), every=every, max_windows=steps // every + 1, **options
    )
    own, everywhere = engine.place(replicas.stack(each)), engine.replicate(jnp.asarray(x))
    state, windows, start = engine.init(own), None, 0
    for stop in (*cuts, steps):
        state, windows = engine.run(state, own, everywhere, start, stop)
        start = stop
    return jax.tree.map(lambda leaf: leaf[: len(each)], jax.device_get((state, windows)))


@pytest.mark.slow
def test_learned_and_best_sigma_are_that_of_principal_components():
    """The optimum of a linear model is sigma^2 = the mean of the discarded eigenvalues.

    Learned in three parameterisations, and in closed form; from above and from below (from where a
    latent is first lost, which takes some 1000 steps to mend). The averages of the last 500 of 2500
    steps are within 1.5%: batches of 256 x 8 squares, averaged over 500 steps, have an error of
    less than .1%, and what is left is the noise of Adam's steps in mean and encoder.
    """
    x, _ = plane()
    exact = principal(x, 2)[2]
    for scale, optimizer, rate in (
        ("log", "adam", 1e-2),
        ("linear", "adam", 3e-3),
        ("inverse", "sgd", 0.05),
    ):
        arms = ("global", "optimal")
        spec = small_vaes.make(8, 2, arms, scale=scale, sigma_optimizer=optimizer, batch_size=256)
        each = [
            small_vaes.hypers(spec, "global", sigma=sigma, sigma_rate=rate) for sigma in (0.2, 1.0)
        ]
        state, windows = train(spec, [*each, small_vaes.hypers(spec, "optimal")], x, 2500)
        assert np.all(state.diverged_at == NOT_DIVERGED)
        sigma = windows[:, 40:50, METRICS.index("sigma")].mean(axis=1)
        np.testing.assert_allclose(sigma, exact, rtol=0.015, err_msg=scale)
        np.testing.assert_allclose(np.sqrt(state.variance[2]), sigma[2], rtol=0.01)


def test_a_constant_coordinate_drives_its_sigma_to_the_floor():
    x = np.random.default_rng(0).standard_normal((500, 4)).astype(np.float32)
    x[:, 1] = 0.25
    spec = small_vaes.make(4, 1, ("per_pixel",), batch_size=64)
    own = small_vaes.hypers(spec, "per_pixel", sigma=1.0, floor=0.01, sigma_rate=3e-2)
    state, windows = train(spec, [own], x, 1500)
    sigma = np.exp(state.params.noise["per_pixel"][0])
    assert sigma[1] == pytest.approx(0.01, rel=1e-5)
    assert np.all(np.delete(sigma, 1) > 0.3)
    assert windows[0, -2, METRICS.index("at_floor")] == pytest.approx(0.25)


@pytest.mark.slow
def test_no_number_depends_on_chunks_or_on_replicas_beside():
    x, _ = plane()
    spec = small_vaes.make(8, 2, ("global", "per_pixel", "optimal"), widths=(8,))
    arms = ("global", "unit", "optimal", "per_pixel", "fixed")
    each = [small_vaes.hypers(spec, arm, seed=i) for i, arm in enumerate(arms)]
    whole, windows = train(spec, each, x, 40, every=10)
    cut, _ = train(spec, each, x, 40, cuts=(7, 20, 33), every=10)
    alone, _ = train(spec, each[2:3], x, 40, every=10)
    jax.tree.map(np.testing.assert_array_equal, whole, cut)
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a[2:3], b), whole, alone)
    sigma = windows[:, 0, METRICS.index("sigma")]
    assert sigma[1] == 1.0
    assert sigma[4] == pytest.approx(small_vaes.SIGMA, rel=1e-6)


def test_metrics_are_those_of_their_names():
    x, _ = plane()
    spec = small_vaes.make(8, 2, ("global",))
    _, windows = train(spec, [small_vaes.hypers(spec)], x, 1, every=1)
    row = dict(zip(METRICS, np.asarray(windows[0, 0], np.float64), strict=True))
    assert row["elbo"] == pytest.approx(-row["nll"] - row["kl"], rel=1e-5)
    assert row["loss"] == pytest.approx(-row["elbo"], rel=1e-5)
    s = row["sigma"]
    nll = 8 * (0.5 * row["mse"] / s**2 + np.log(s) + 0.5 * np.log(2 * np.pi))
    assert row["nll"] == pytest.approx(nll, rel=1e-5)


def test_a_replica_whose_loss_is_not_finite_keeps_its_last_state():
    x, _ = plane()
    spec = small_vaes.make(8, 2, ("global",), optimizer="sgd")
    each = [small_vaes.hypers(spec, rate=1e-3), small_vaes.hypers(spec, rate=1e30)]
    state, _ = train(spec, each, x, 20, every=10)
    assert state.diverged_at[0] == NOT_DIVERGED
    assert 0 <= state.diverged_at[1] < 5
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state.params))


@pytest.mark.parametrize(
    ("arm", "kl"),
    [
        *((arm, "analytic") for arm in VAE_ARMS),
        ("low_rank", "monte_carlo"),
        *(
            pytest.param(arm, "monte_carlo", marks=pytest.mark.slow)
            for arm in VAE_ARMS
            if arm != "low_rank"
        ),
    ],
)
def test_every_arm_has_a_finite_gradient_and_a_bound(arm, kl):
    x, test = plane()
    spec = small_vaes.make(8, 2, (arm,), widths=(8,), rank=2, kl=kl)
    own = small_vaes.hypers(spec, arm)
    state, info = vae_step.step(
        spec, own, vae.init(spec, own), jnp.asarray(x[:64]), vae.streams(own.key), NOW
    )
    assert state.diverged_at == NOT_DIVERGED
    assert all(np.isfinite(value) for value in info)
    found = vae.evidence(spec, own, state, test[:8], jax.random.key(0), 2, NOW)
    assert all(np.isfinite(value).all() for value in found)


@pytest.mark.slow
def test_the_bound_rises_in_training_by_both_divergences():
    x, test = plane()
    for kl in ("analytic", "monte_carlo"):
        spec = small_vaes.make(8, 2, ("global",), batch_size=64, kl=kl)
        own = small_vaes.hypers(spec, sigma=1.0)
        state, _ = train(spec, [own], x, 600)
        one = jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), state)
        found = vae.evidence(spec, own, one, test, jax.random.key(0), 16, NOW)
        exact = log_density(test, *principal(x, 2)).mean()
        assert exact - 0.5 < np.mean(found.elbo) < exact + 0.05
