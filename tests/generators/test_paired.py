"""Pairs of a real and a generated example: one step written out, and its gradients to sigma.

The discriminator is psi x, the generator a point, so a pair pays softplus of a difference of two
sums, whose gradients are means over the draws that the keys of the streams give.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sigmaprop.generators import gan, networks, optimizers
from sigmaprop.generators import step as steps

from . import small_games

DIM, BATCH, RATE, SIGMA, T = 2, 8, 0.1, 0.3, 5
THETA, PSI = np.array([0.5, -1.0]), np.array([1.0, 2.0])
DATA = np.random.default_rng(0).standard_normal((50, DIM)).astype(np.float32)


def build(arms=("fixed", "global"), batch_size=BATCH, **options):
    return small_games.make(
        networks.constant_generator(DIM, init=THETA),
        networks.bilinear_discriminator(DIM, init=PSI),
        arms,
        loss="relativistic",
        optimizer=optimizers.get("sgd"),
        batch_size=batch_size,
        **options,
    )


def step(spec, arm="fixed", **options):
    """Keys of the step, the state after it, and what it told by name."""
    own = small_games.hypers(spec, arm, sigma=SIGMA, rate=RATE, **options)
    keys, state = gan.streams(own.key), gan.init(spec, own)
    after, told = jax.jit(functools.partial(steps.step, spec))(
        own, state, jnp.asarray(DATA), keys, jnp.asarray(T)
    )
    now = {name: jax.random.fold_in(key, T) for name, key in keys.items()}
    return now, after, dict(zip(gan.METRICS, np.asarray(told), strict=True))


def normal(key, num=BATCH):
    return np.asarray(jax.random.normal(key, (num, DIM)), np.float64)


def real(key, num=BATCH):
    return DATA[np.asarray(jax.random.randint(key, (num,), 0, len(DATA)))].astype(np.float64)


def psi_of(state):
    (leaf,) = jax.tree.leaves(state.discriminator)
    return np.asarray(leaf, np.float64)[:, 0]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("r1", [0.0, 0.7])
def test_both_players_move_by_their_pairs(r1):
    """By hand: D pays softplus(l(fake) - l(real)) + R1 + R2, G softplus(l(real) - l(fake))."""
    spec = build(penalties=("r1", "r2") if r1 else ())
    keys, state, told = step(spec, penalties={"r1": r1, "r2": r1})
    examples, fake = real(keys["data"]), THETA + SIGMA * normal(keys["noise_discriminator"])
    difference = (fake - examples) @ PSI
    pull = (sigmoid(difference)[:, None] * (fake - examples)).mean(0) + 2 * r1 * PSI
    np.testing.assert_allclose(psi_of(state), PSI - RATE * pull, atol=1e-6)
    loss = np.log1p(np.exp(difference)).mean() + r1 * PSI @ PSI
    np.testing.assert_allclose(told["discriminator_loss"], loss, rtol=1e-5)

    psi = psi_of(state)
    rivals = real(keys["data_generator"])
    fake = THETA + SIGMA * normal(keys["noise_generator"])
    difference = (rivals - fake) @ psi
    np.testing.assert_allclose(
        told["generator_loss"], np.log1p(np.exp(difference)).mean(), rtol=1e-5
    )
    pull = -(sigmoid(difference)[:, None] * psi).mean(0)
    moved = np.asarray(state.player.network["mean"]).ravel()
    np.testing.assert_allclose(moved, THETA - RATE * pull, atol=1e-6)


def test_the_players_draw_real_examples_apart():
    keys, _, _ = step(build())
    assert (real(keys["data"]) != real(keys["data_generator"])).any()


def test_rivals_carry_the_noise_that_is_shared():
    """A real example of the generator's step is seen with noise of the generator's scale."""
    spec = build(shared=True)
    keys, state, told = step(spec, shared=True)
    rivals = real(keys["data_generator"]) + SIGMA * normal(keys["noise_real_generator"])
    fake = THETA + SIGMA * normal(keys["noise_generator"])
    difference = (rivals - fake) @ psi_of(state)
    np.testing.assert_allclose(
        told["generator_loss"], np.log1p(np.exp(difference)).mean(), rtol=1e-5
    )


@pytest.mark.parametrize(
    "label", ["pathwise", "pathwise+at_mean", "score_function+at_mean", "bonnet_price"]
)
def test_every_estimator_has_the_gradient_of_the_pairs(label):
    """dE f_i/d log sigma by Gauss-Hermite quadrature: f_i depends on psi eps alone.

    5 standard errors, from 16 batches of 64 latents with 64 draws each.
    """
    spec = build(("global",), batch_size=64, sigma_gradient=label, noise_samples=64)
    own = small_games.hypers(spec, "global", sigma=SIGMA, rate=RATE)
    state, keys = gan.init(spec, own), gan.streams(own.key)
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    weights = weights / weights.sum()
    norm = np.linalg.norm(PSI)

    @jax.jit
    def slope(t):
        now = {name: jax.random.fold_in(key, t) for name, key in keys.items()}
        moved = steps.move_generator(spec, own, state, state, jnp.asarray(DATA), now, t)[1]
        return moved.grads.noise["global"], now["data_generator"]

    errors = []
    for t in range(16):
        found, key = slope(jnp.asarray(t))
        rivals = real(key, 64) @ PSI
        logit = THETA @ PSI + SIGMA * norm * nodes
        exact = -(sigmoid(rivals[:, None] - logit) * SIGMA * norm * nodes) @ weights
        errors.append(float(found) - exact.mean())
    assert abs(np.mean(errors)) < 5 * np.std(errors, ddof=1) / 4
    assert np.std(errors, ddof=1) < 0.05


def test_the_game_of_a_gaussian_is_that_of_a_loop_in_float64():
    """A point with noise of a given sigma against points, 200 steps, with both penalties."""
    spec = build(penalties=("r1", "r2"), batch_size=BATCH)
    own = small_games.hypers(
        spec, "fixed", sigma=SIGMA, rate=RATE, penalties={"r1": 0.3, "r2": 0.2}
    )
    state, _ = small_games.run(spec, [own], DATA, (200,))
    keys = gan.streams(own.key)
    theta, psi = THETA.copy(), PSI.copy()
    fold = jax.jit(lambda t: {name: jax.random.fold_in(key, t) for name, key in keys.items()})
    for t in range(200):
        now = fold(t)
        examples, fake = real(now["data"]), theta + SIGMA * normal(now["noise_discriminator"])
        weight = sigmoid((fake - examples) @ psi)[:, None]
        psi = psi - RATE * ((weight * (fake - examples)).mean(0) + 0.5 * psi)
        rivals, fake = real(now["data_generator"]), theta + SIGMA * normal(now["noise_generator"])
        theta = theta + RATE * (sigmoid((rivals - fake) @ psi)[:, None] * psi).mean(0)
    found = np.asarray(state.player.network["mean"]).ravel()
    # 200 steps of float32 that contract: rounding of 1e-7 a step does not add up.
    np.testing.assert_allclose(found, theta, atol=1e-5)
    np.testing.assert_allclose(psi_of(jax.tree.map(lambda leaf: leaf[0], state)), psi, atol=1e-5)


def test_near_the_fixed_point_it_turns_and_shrinks_as_its_jacobian_says():
    """Data and generator at one point: psi'' = -psi/4 - gamma psi' in time, by steps of the rate.

    softplus has slope 1/2 at 0, so at theta = 0 the step is linear: psi moves by
    -rate (theta/2 + gamma psi), then theta by +rate psi/2.
    """
    gamma, rate, count = 0.5, 0.1, 100
    spec = small_games.make(
        networks.constant_generator(1, init=[1e-3]),
        networks.bilinear_discriminator(1, init=[0.0]),
        ("zero",),
        loss="relativistic",
        optimizer=optimizers.get("sgd"),
        batch_size=1,
        penalties=("r1", "r2"),
    )
    own = small_games.hypers(spec, "zero", rate=rate, penalties={"r1": gamma / 2, "r2": gamma / 2})
    state, _ = small_games.run(spec, [own], np.zeros((1, 1), np.float32), (count,))
    judge = np.array([[1 - rate * gamma, -rate / 2], [0, 1]])
    point = np.array([[1, 0], [rate / 2, 1]])
    whole = point @ judge
    assert np.abs(np.linalg.eigvals(whole)).max() < 1
    exact = np.linalg.matrix_power(whole, count) @ [0.0, 1e-3]
    found = [psi_of(jax.tree.map(lambda leaf: leaf[0], state))[0]]
    found.append(float(np.ravel(state.player.network["mean"])[0]))
    # What is left out is of third order in 1e-3.
    np.testing.assert_allclose(found, exact, atol=1e-8)


def test_gradients_are_those_of_pytorch():
    """Both players of perceptrons with R1 and R2: a step of plain descent, against PyTorch."""
    torch = pytest.importorskip("torch")
    widths, gamma, rate = (8, 8), 0.4, 1.0
    spec = small_games.make(
        networks.mlp_generator(3, DIM, widths=widths, activation="softplus"),
        networks.mlp_discriminator(DIM, widths=widths, activation="softplus"),
        ("zero",),
        loss="relativistic",
        optimizer=optimizers.get("sgd"),
        batch_size=BATCH,
        penalties=("r1", "r2"),
    )
    own = small_games.hypers(spec, "zero", rate=rate, penalties={"r1": gamma, "r2": gamma})
    keys, state = gan.streams(own.key), gan.init(spec, own)
    after, _ = steps.step(spec, own, state, jnp.asarray(DATA), keys, jnp.asarray(T))
    now = {name: jax.random.fold_in(key, T) for name, key in keys.items()}

    def tensors(tree):
        def make(leaf):
            return torch.tensor(np.asarray(leaf, np.float64), requires_grad=True)

        return jax.tree.map(make, tree)

    def layers(params, x):
        for name in ("hidden_0", "hidden_1"):
            x = torch.nn.functional.softplus(x @ params[name]["kernel"] + params[name]["bias"])
        return x @ params["output"]["kernel"] + params["output"]["bias"]

    def latent(name):
        return torch.tensor(np.asarray(gan.latent(spec, now[name], BATCH), np.float64))

    def squared_slope(params, x):
        x = x.detach().requires_grad_(True)
        (slope,) = torch.autograd.grad(layers(params, x).sum(), x, create_graph=True)
        return (slope**2).sum(1).mean()

    generator, judge = tensors(state.player.network), tensors(state.discriminator)
    examples = torch.tensor(real(now["data"]))
    fake = layers(generator, latent("latent_discriminator")).detach()
    pairs = torch.nn.functional.softplus(layers(judge, fake) - layers(judge, examples)).mean()
    loss = pairs + gamma / 2 * (squared_slope(judge, examples) + squared_slope(judge, fake))
    check(torch, loss, judge, state.discriminator, after.discriminator, rate)

    judge = tensors(after.discriminator)
    rivals = layers(judge, torch.tensor(real(now["data_generator"])))
    fake = layers(generator, latent("latent_generator"))
    loss = torch.nn.functional.softplus(rivals - layers(judge, fake)).mean()
    check(torch, loss, generator, state.player.network, after.player.network, rate)


def check(torch, loss, params, before, after, rate):
    """The step that was taken is PyTorch's gradient, to 1e-5 of the largest."""
    exact = torch.autograd.grad(loss, jax.tree.leaves(params))
    largest = max(float(leaf.abs().max()) for leaf in exact)
    for own, old, new in zip(exact, jax.tree.leaves(before), jax.tree.leaves(after), strict=True):
        found = (np.asarray(old, np.float64) - np.asarray(new, np.float64)) / rate
        np.testing.assert_allclose(found, own.numpy(), rtol=0, atol=1e-5 * max(1.0, largest))
