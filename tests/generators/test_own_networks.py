"""Networks of one's own: pairs of functions and files that make them."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sigmaprop.generators import networks

SOURCE = """
import jax
import jax.numpy as jnp


def layers(sizes):
    def init(key):
        keys = jax.random.split(key, len(sizes) - 1)
        sized = zip(keys, sizes[:-1], sizes[1:], strict=True)
        return [(jax.random.normal(k, (m, n)), jnp.zeros(n)) for k, m, n in sized]

    def apply(params, x):
        x = x.reshape(len(x), -1)
        for weights, bias in params[:-1]:
            x = jnp.tanh(x @ weights + bias)
        return x @ params[-1][0] + params[-1][1]

    return init, apply


def generator(latent_dim, shape):
    size = 1
    for number in shape:
        size *= number
    return layers((latent_dim, 5, size))


def discriminator(shape):
    return layers((shape[0], 4, 1))


discriminator.smoothness = "smooth"
"""


def linear_init(key):
    return jax.random.normal(key, (2, 3))


def linear(params, z):
    return z @ params


@pytest.fixture
def mine(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(SOURCE)
    return path


def test_a_pair_is_a_generator_whose_features_are_the_latents():
    network = networks.own_generator((linear_init, linear), 2, (3,))
    params, z = network.init(jax.random.key(0)), jnp.arange(8.0).reshape(4, 2)
    made = network.apply(params, z)
    np.testing.assert_array_equal(made.mean, z @ params)
    np.testing.assert_array_equal(made.features, z)


def test_a_generator_may_give_features():
    def apply(params, z):
        return z @ params, z[:, :1]

    network = networks.own_generator((linear_init, apply), 2, (3,))
    made = network.apply(network.init(jax.random.key(0)), jnp.ones((4, 2)))
    assert made.features.shape == (4, 1)
    assert network.feature_dim == 1


def test_images_pass_flat_between_the_players_and_in_their_shape_to_the_pair():
    def image(params, z):
        return jnp.broadcast_to(params, (len(z), 2, 3, 1))

    def score(params, x):
        assert x.shape[1:] == (2, 3, 1)
        return params * x[:, 1, 2, 0]

    make = networks.own_generator((lambda key: jnp.ones(()), image), 2, (2, 3, 1))
    assert make.apply(jnp.ones(()), jnp.ones((4, 2))).mean.shape == (4, 6)
    judge = networks.own_discriminator((lambda key: jnp.ones(()), score), (2, 3, 1))
    x = jnp.arange(24.0).reshape(4, 6)
    np.testing.assert_array_equal(judge.apply(jnp.ones(()), x), x[:, 5])


def test_a_file_makes_both_players_for_any_shape(mine):
    made = networks.get_generator(f"{mine}:generator", 2, (3, 2))
    params = made.init(jax.random.key(1))
    assert [weights.shape for weights, _ in params] == [(2, 5), (5, 6)]
    assert made.apply(params, jnp.ones((4, 2))).mean.shape == (4, 6)
    judge = networks.get_discriminator(f"{mine}:discriminator", (3,))
    assert judge.apply(judge.init(jax.random.key(2)), jnp.ones((4, 3))).shape == (4,)
    assert judge.smoothness == "smooth"
    assert networks.num_params(params) == 2 * 5 + 5 + 5 * 6 + 6


WRONG_GENERATORS = {
    "raise ValueError('boo')": "called with (2, (3,)) it raises ValueError: boo",
    "return 3": "give a pair of functions (init, apply), not an object of type int",
    "return (lambda key: 1 / 0), None": "give a pair of functions (init, apply), not an object",
    "return (lambda key: 1 / 0), (lambda params, z: z)": "its init raises ZeroDivisionError",
    "return (lambda key: {}), (lambda params, z: z)": "its parameters are none; give a pytree",
    "return (lambda key: jnp.arange(3)), (lambda params, z: z)": "its parameters hold int32",
    "return (lambda key: jnp.ones(3)), (lambda params, z: z @ params)": (
        "for float32 of shape (5, 2) its apply raises"
    ),
    "return (lambda key: jnp.ones(3)), (lambda params, z: z * params[0])": (
        "it makes float32 of shape (5, 2) for examples, not (5, 3)"
    ),
    "return (lambda key: jnp.ones(3)), (lambda params, z: (z, z))": (
        "it makes float32 of shape (5, 2) for examples, not (5, 3)"
    ),
    "return (lambda key: jnp.ones((2, 3))), (lambda params, z: (z @ params, z[0]))": (
        "its features are float32 of shape (2,), not [B, F]"
    ),
    "return (lambda key: jnp.ones((2, 3))), (lambda params, z: (z @ params).astype(int))": (
        "it makes int32 of shape (5, 3) for examples"
    ),
}


@pytest.mark.parametrize("body", WRONG_GENERATORS)
def test_a_wrong_generator_is_refused_in_one_sentence(tmp_path, body):
    path = tmp_path / "mine.py"
    path.write_text(f"import jax.numpy as jnp\n\ndef make(latent_dim, shape):\n    {body}\n")
    with pytest.raises(ValueError, match=re.escape(WRONG_GENERATORS[body])) as caught:
        networks.get_generator(f"{path}:make", 2, (3,))
    said = str(caught.value)
    assert "mine.py:make" in said
    assert "\n" not in said


def test_a_wrong_discriminator_is_refused(tmp_path, mine):
    with pytest.raises(ValueError, match=r"it makes float32 of shape \(5, 6\) for logits"):
        networks.own_discriminator((linear_init, lambda params, x: x), (6,))
    mine.write_text(SOURCE.replace('"smooth"', '"round"'))
    with pytest.raises(ValueError, match="its smoothness is 'round'; say 'smooth' or 'kink'"):
        networks.get_discriminator(f"{mine}:discriminator", (3,))


def test_a_pair_has_a_name_within_a_block_only():
    with networks.named_network("generator", (linear_init, linear)) as name:
        with networks.named_network("generator", (linear_init, linear)) as second:
            assert second != name
        assert networks.get_generator(name, 2, (3,)).apply is not None
        with pytest.raises(ValueError, match=f"unknown generator '{second}'"):
            networks.get_generator(second, 2, (3,))
    with pytest.raises(ValueError, match=f"unknown generator '{name}'"):
        networks.get_generator(name, 2, (3,))
    with networks.named_network("discriminator", "mlp") as name:
        assert name == "mlp"
