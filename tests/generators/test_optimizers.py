"""Optimisers against optax, and against momentum and decay written out in float64."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from sigmaprop.generators import optimizers

STEPS = 30


def params():
    return {"a": jnp.asarray([1.0, -2.0, 0.5]), "b": {"c": jnp.full((2, 2), 0.3)}}


def gradients():
    """Some for each step, of changing size and sign."""
    rng = np.random.default_rng(0)

    def draw(size, leaf):
        return jnp.asarray(size * rng.standard_normal(leaf.shape), jnp.float32)

    sizes = 10.0 ** rng.uniform(-4, 2, STEPS)
    return [jax.tree.map(functools.partial(draw, size), params()) for size in sizes]


def train(optimizer, rate):
    own, state = params(), optimizer.init(params())
    update = jax.jit(optimizer.update)
    for t, gradient in enumerate(gradients()):
        own, state = update(gradient, state, own, rate.at(jnp.asarray(t)), jnp.asarray(t))
    return own


def test_adam_is_that_of_optax():
    reference = optax.adam(3e-3, b1=0.4, b2=0.9)
    own, state = params(), reference.init(params())
    for gradient in gradients():
        updates, state = reference.update(gradient, state, own)
        own = optax.apply_updates(own, updates)
    found = train(optimizers.get("adam", b1=0.4, b2=0.9), optimizers.rate(3e-3))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), found, own)


def test_adam_bounds_the_first_step_by_the_rate():
    optimizer = optimizers.get("adam")
    own, _ = optimizer.update(
        gradients()[0], optimizer.init(params()), params(), jnp.asarray(0.1), jnp.asarray(0)
    )
    moved = jnp.abs(own["a"] - params()["a"])
    np.testing.assert_allclose(moved, 0.1, rtol=1e-4)


def test_momentum_is_that_of_pylearn2():
    """v = m v - r g, p = p + v; m rises from .5 to .7 in 10 steps, r falls to a smallest."""
    own = {"a": np.array([1.0, -2.0, 0.5]), "c": np.full((2, 2), 0.3)}
    velocity = {name: np.zeros_like(p) for name, p in own.items()}
    for t, gradient in enumerate(gradients()):
        momentum = 0.5 + 0.2 * min(t / 10, 1.0)
        rate = max(0.1 / 1.3**t, 0.01)
        flat = {"a": gradient["a"], "c": gradient["b"]["c"]}
        for name, g in flat.items():
            velocity[name] = momentum * velocity[name] - rate * np.asarray(g, np.float64)
            own[name] = own[name] + velocity[name]
    found = train(
        optimizers.get("sgd", momentum=(0.5, 0.7), momentum_steps=10),
        optimizers.rate(0.1, 1.3, 0.01),
    )
    # Sums of numbers up to 10 in float32.
    np.testing.assert_allclose(found["a"], own["a"], atol=1e-4)
    np.testing.assert_allclose(found["b"]["c"], own["c"], atol=1e-4)


def test_sgd_without_momentum_keeps_no_state():
    optimizer = optimizers.get("sgd")
    assert jax.tree.leaves(optimizer.init(params())) == []
    gradient = gradients()[0]
    own, _ = optimizer.update(gradient, (), params(), jnp.asarray(0.5), jnp.asarray(0))
    np.testing.assert_array_equal(own["a"], params()["a"] - 0.5 * gradient["a"])


@pytest.mark.parametrize("step", [0, 1, 2, 500, 125_000, 10**7])
def test_the_rate_decays_as_in_pylearn2(step):
    """Goodfellow's divisor of 1.000004 differs from 1 by 34 units in the last place of float32."""
    exact = max(0.1 / 1.000004**step, 1e-6)
    found = optimizers.rate(0.1, 1.000004, 1e-6).at(jnp.asarray(step))
    exponent = step * math.log(1.000004)
    # The exponent is a float32 number, so its rounding is relative to it.
    np.testing.assert_allclose(found, exact, rtol=(4 + 2 * min(exponent, 20.0)) * 2.0**-24)


def test_a_rate_without_decay_keeps_its_bits_and_a_smallest_one_above_it_is_no_floor():
    for step in (0, 1, 2, 10**7):
        assert optimizers.rate(3e-4).at(jnp.asarray(step)) == np.float32(3e-4)
        assert optimizers.rate(0.0, 1.0, 1e-6).at(jnp.asarray(step)) == 0.0


def test_replicas_have_their_own_rates():
    optimizer, values = optimizers.get("adam"), (1e-4, 1e-3, 0.0)
    rates = [optimizers.rate(value) for value in values]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *rates)

    def one(rate):
        step = jnp.asarray(0)
        state = optimizer.init(params())
        return optimizer.update(gradients()[0], state, params(), rate.at(step), step)[0]

    together = jax.vmap(one)(stacked)
    for number, rate in enumerate(rates):
        np.testing.assert_allclose(together["a"][number], one(rate)["a"], rtol=2.0**-22)
    np.testing.assert_array_equal(together["a"][2], params()["a"])


def test_an_unknown_optimizer_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'adam'"):
        optimizers.get("adamw")
