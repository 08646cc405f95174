"""The look for what is not finite: as a CPU or a TPU does it, and as a GPU does."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sigmaprop.generators import divergence, gan, optimizers, step, windows

LOOKS = (divergence.by_leaf, divergence.at_once)
SIZES = (0.0, 1e-38, 1e-22, 1e-8, 1.0, 1e15, 1e20, 1e37, np.inf, -np.inf, np.nan)
"""Of gradients: squares underflow below 1e-23 and overflow above 1e19."""


def trees():
    """Parameters that nothing has read, and some that the step has: of every rank."""
    params = {"kernel": jnp.ones((3, 4)), "bias": -jnp.ones(4)}
    used = {"kernel": jnp.ones((2, 3, 5)), "bias": jnp.zeros(5), "scale": jnp.ones(())}
    return params, used


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("look", LOOKS)
def test_any_number_that_is_not_finite_is_seen(look, bad):
    params, used = trees()
    assert look(params, used, params)
    leaves, structure = jax.tree.flatten((params, used))
    for place, leaf in enumerate(leaves):
        spoiled = list(leaves)
        spoiled[place] = leaf.ravel().at[-1].set(bad).reshape(leaf.shape)
        own, others = jax.tree.unflatten(structure, spoiled)
        assert not look(own, others, own), place


def test_the_largest_numbers_are_finite():
    largest = jnp.full((2, 3), np.finfo(np.float32).max)
    assert all(look(largest, (-largest,), largest) for look in LOOKS)


def moved(optimizer, sizes, rate=1e-3):
    """A parameter after steps with gradients of these sizes, and what tells of the last."""
    params, state = jnp.ones(2), optimizer.init(jnp.ones(2))
    gradient = params
    for number, size in enumerate(sizes):
        gradient = jnp.asarray([size, 1.0], jnp.float32)
        params, state = optimizer.update(
            gradient, state, params, jnp.float32(rate), jnp.asarray(number)
        )
    return params, optimizer.telling(gradient)


@pytest.mark.parametrize("b1", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("b2", [0.5, 0.9, 0.999])
def test_adam_moves_to_finite_numbers_exactly_where_its_gradient_is_finite(b1, b2):
    """Also after steps of another size, in which its moments underflow or overflow."""
    update = jax.jit(lambda first, last: moved(optimizers.adam(b1, b2), (first, last, last)))
    for first in SIZES[:8]:
        for last in SIZES:
            params, gradient = update(first, last)
            by_params, by_gradient = (look(params, (), gradient).item() for look in LOOKS)
            assert by_params == by_gradient == np.isfinite(last), (first, last)


def test_the_gradient_of_plain_descent_does_not_tell():
    """The mutant: of a step of 1e40 the gradient is finite, and what it leads to is not."""
    optimizer = optimizers.sgd((0.0, 0.0), 1)
    params, gradient = moved(optimizer, (1e20,), rate=1e20)
    assert gradient is None
    assert not divergence.is_finite(params, (), gradient)
    assert divergence.at_once(params, (), jnp.full(2, 1e20))


def test_a_gpu_alone_looks_at_the_gradient():
    """Read off the programs that are lowered for them: the gradient alone has 7 numbers."""
    shapes = (jnp.ones(5), jnp.ones(3), jnp.ones(7))
    lowered = jax.jit(divergence.is_finite).trace(*shapes)
    text = {
        name: lowered.lower(lowering_platforms=(name,)).as_text() for name in ("cpu", "cuda", "tpu")
    }
    assert "concatenate" in text["cuda"]
    assert "tensor<10xf32>" in text["cuda"]
    assert "tensor<10xf32>" not in text["tpu"]
    assert "tensor<10xf32>" not in text["cpu"]


def test_keys_of_a_step_are_those_folded_one_by_one():
    keys, t = gan.streams(jax.random.key(3)), jnp.asarray(41)
    for further in (0, 2):
        now = step.step_keys(keys, t, further)
        assert list(now) == list(keys)
        for name, key in keys.items():
            own = jax.random.fold_in(key, t)
            own = jax.random.fold_in(own, (1 << 16) + further) if further else own
            assert (jax.random.key_data(now[name]) == jax.random.key_data(own)).all(), name


@pytest.mark.parametrize("axes", [(0, 0, None), (0, 0, 0), (None, 0, 0), (0, None, None)])
def test_a_row_is_written_in_every_replicas_windows(axes):
    """As NumPy writes it, whichever of its arguments replicas share."""
    generator = np.random.default_rng(0)
    shapes, rows = ((4, 3), (3,)), np.asarray([2, 0])
    own = [generator.normal(size=(2, *shape)).astype(np.float32) for shape in shapes]
    chosen = [each if axis == 0 else each[0] for each, axis in zip((*own, rows), axes, strict=True)]
    found = jax.jit(jax.vmap(windows.with_row, axes))(*map(jnp.asarray, chosen))
    for replica in range(2):
        old, values, row = (
            each[replica] if axis == 0 else each for each, axis in zip(chosen, axes, strict=True)
        )
        expected = old.copy()
        expected[row] = values
        np.testing.assert_array_equal(found[replica], expected)


def test_the_row_that_replicas_share_needs_no_scatter():
    arguments = (jnp.ones((2, 4, 3)), jnp.ones((2, 3)), 1)
    written = jax.make_jaxpr(jax.vmap(windows.with_row, (0, 0, None)))(*arguments)
    assert "scatter" not in str(written)
    plain = jax.vmap(lambda w, v, i: jax.lax.dynamic_update_slice(w, v[None], (i, 0)), (0, 0, None))
    assert "scatter" in str(jax.make_jaxpr(plain)(*arguments))
