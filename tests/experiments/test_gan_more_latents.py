"""The arm more_latents: sigma 0, and latents that enter at the last hidden layer."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sigmaprop.experiments.gan import plan, programs
from sigmaprop.experiments.gan.config import GanConfig, GanSweep

from sigmaprop.data import DataOptions
from sigmaprop.generators import evaluation, gan, step
from sigmaprop.generators.networks import get_generator, num_params
from sigmaprop.generators.networks.base import LATE

SMALL = {
    **{"dataset": "linear_gaussian", "seeds": 1, "steps": 20, "batch_size": 8, "latent_dim": 2},
    **{"widths": (8, 8), "discriminator_widths": (8,), "eval_samples": 64, "metrics_every": 5},
    **{"evaluations": 1, "gap_evaluations": 0, "data": DataOptions(dim=3, num=200)},
}
WAYS = {"mlp": {}, "residual": {"waves": (0.5,)}}


def config(*arms, **options):
    return GanConfig(**(SMALL | options), sweep=GanSweep(arm=arms))


def starts(own):
    """Spec, hypers and state of each arm's first seed before the first step."""
    root = jax.random.key(own.seed)
    found = {}
    for group in plan.prepare(own).groups:
        for one in group.replicas:
            hypers = plan.hypers(one, group.spec, own.steps, root)
            found[one.cell.options.arm] = (group.spec, hypers, gan.init(group.spec, hypers))
    return found


def ends(own, num_steps=5):
    """The generator of each arm's first seed after some steps."""
    prepared = plan.prepare(own)
    reference = programs.make_reference(own, prepared)
    found = {}
    for group in prepared.groups:
        work = programs.compile_group(own, prepared, group, reference)
        state, _ = work.engine.run(
            work.engine.init(work.hypers), work.hypers, work.data, 0, num_steps
        )
        for row, one in enumerate(group.replicas):
            kept = jax.tree.map(lambda leaf, row=row: leaf[row], state.player)
            found[one.cell.options.arm] = kept.network
    return found


@pytest.fixture(scope="module", params=WAYS)
def both(request):
    """Zero and more_latents before their first step."""
    return starts(config("zero", "more_latents", generator=request.param, **WAYS[request.param]))


def of_params(tree, **changed):
    return {name: changed.get(name, leaf) for name, leaf in tree.items()}


def test_with_no_weights_the_samples_are_those_of_zero(both):
    """To the bit: the first latents are the same draws, and 0 is added to what they make."""
    spec, hypers, state = both["more_latents"]
    late = state.player.network["late"]
    assert late["kernel"].shape == (3, 8)
    nothing = {"kernel": jnp.zeros_like(late["kernel"])}
    params = state.player._replace(network=of_params(state.player.network, late=nothing))
    key, t = jax.random.key(0), jnp.asarray(0)
    ours = evaluation.sample(spec, params, hypers, key, 64, t)
    zeros = evaluation.sample(both["zero"][0], both["zero"][2].player, both["zero"][1], key, 64, t)
    np.testing.assert_array_equal(ours.x, zeros.x)
    np.testing.assert_array_equal(ours.z[:, :2], zeros.z)
    with_weights = evaluation.sample(spec, state.player, hypers, key, 64, t)
    assert np.all(with_weights.x != zeros.x)
    np.testing.assert_array_equal(with_weights.x, with_weights.mean)


def test_everything_else_begins_as_in_zero_and_the_weights_are_counted(both):
    network = dict(both["more_latents"][2].player.network)
    late = network.pop("late")
    zero = both["zero"][2].player.network
    jax.tree.map(np.testing.assert_array_equal, network, zero)
    assert num_params(both["more_latents"][2].player.network) == num_params(zero) + 3 * 8
    assert num_params(late) == 3 * 8


def test_latents_of_all_purposes_are_draws_of_their_own(both):
    spec, hypers, _ = both["more_latents"]
    keys = gan.streams(hypers.key)
    players = ("discriminator", "generator")
    drawn = [gan.latent(spec, keys[f"latent_{one}"], 4, keys[f"late_{one}"]) for one in players]
    assert len(np.unique(np.stack(drawn))) == 2 * 4 * (2 + 3)
    with pytest.raises(ValueError, match="the generator has 3 late latents; give the key"):
        gan.latent(spec, keys["latent_generator"], 4)


def test_the_gradient_to_the_weights_is_that_of_a_network_written_by_hand():
    """Float64 by hand, as far as float32 rounds: some 100 terms of 2^-24 of the largest entry."""
    spec, hypers, state = starts(config("more_latents", activation="tanh"))["more_latents"]
    z = gan.latent(spec, jax.random.key(1), 16, jax.random.key(2))
    cotangent = jax.random.normal(jax.random.key(3), (16, 3))

    def ours(params):
        noise = gan.Draws(jnp.zeros((16, 3)), None)
        fakes = step.generate(spec, params, hypers, z, noise, jnp.asarray(0))
        return jnp.sum(fakes.x * cotangent)

    found = jax.grad(ours)(state.player).network["late"]["kernel"]
    net = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), state.player.network)
    first, extra = np.split(np.asarray(z, np.float64), [2], axis=1)
    hidden = np.tanh(first @ net["hidden_0"]["kernel"] + net["hidden_0"]["bias"])
    last = hidden @ net["hidden_1"]["kernel"] + net["hidden_1"]["bias"]
    last = np.tanh(last + extra @ net["late"]["kernel"])
    back = (np.asarray(cotangent) @ net["output"]["kernel"].T) * (1 - last**2)
    expected = extra.T @ back
    atol = 100 * 2.0**-24 * np.abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=0, atol=atol)
    behind = extra.T @ (np.asarray(cotangent) @ net["output"]["kernel"].T)  # the activation
    assert np.abs(behind - expected).max() > 1e3 * atol


def test_the_weights_begin_small():
    """Normal numbers of std .1 / sqrt K: their variance within 5 standard errors, sqrt(2 / n)."""
    late = get_generator("mlp", 2, (3,), widths=(64,), late_dim=50).init(jax.random.key(0))["late"]
    ratio = np.var(late["kernel"]) * 50 / LATE**2
    assert abs(ratio - 1) < 5 * np.sqrt(2 / late["kernel"].size)


def test_its_weights_learn_and_arms_beside_it_keep_their_bits():
    alone, beside = ends(config("zero")), ends(config("zero", "more_latents"))
    jax.tree.map(np.testing.assert_array_equal, alone["zero"], beside["zero"])
    before = starts(config("more_latents"))["more_latents"][2].player.network
    assert np.all(before["late"]["kernel"] != beside["more_latents"]["late"]["kernel"])


def test_another_number_of_latents_is_a_program_of_its_own_and_concerns_no_other_arm():
    sweep = GanSweep(arm=("zero", "more_latents"), more_latents=(1, 5))
    prepared = plan.prepare(GanConfig(**SMALL, sweep=sweep))
    assert [one.label for one in prepared.cells] == [
        *("zero", "more_latents, more_latents=1", "more_latents, more_latents=5")
    ]
    assert [group.spec.generator.late_dim for group in prepared.groups] == [0, 1, 5]
    assert [group.spec.generator.in_dim for group in prepared.groups] == [2, 3, 7]


def test_uniform_latents_are_uniform_late_too():
    spec, _, _ = starts(config("more_latents", latent="uniform"))["more_latents"]
    z = np.asarray(gan.latent(spec, jax.random.key(0), 4096, jax.random.key(1)))
    assert np.abs(z).max() <= np.sqrt(3)
    # The variance of x^2 is 4 / 5 for a uniform x of variance 1; 5 standard errors of the mean.
    assert np.all(np.abs((z**2).mean(axis=0) - 1) < 5 * np.sqrt(0.8 / 4096))


@pytest.mark.parametrize("generator", ["linear", "goodfellow2014", "own.py:make"])
def test_other_generators_are_refused_in_one_sentence(generator):
    own = dataclasses.replace(config("more_latents"), generator=generator)
    with pytest.raises(ValueError, match="last hidden layer of the generator mlp or residual, not"):
        plan.prepare(own)


def test_a_network_without_a_place_for_them_is_refused():
    with pytest.raises(ValueError, match="late_dim is 3; latents enter at a hidden layer"):
        get_generator("mlp", 2, (3,), widths=(), late_dim=3)
    with pytest.raises(ValueError, match="'linear' has late_dim 0, not 3"):
        get_generator("linear", 2, (3,), late_dim=3)
