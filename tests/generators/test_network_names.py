"""What the registry of networks refuses, and in which words."""

import re

import pytest

from sigmaprop.generators import networks
from sigmaprop.generators.networks import (
    bilinear_discriminator,
    constant_generator,
    get_discriminator,
    get_generator,
    linear_generator,
    mlp_generator,
    wu_decoder,
)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: get_generator("mpl", 2, (3,)), "unknown generator 'mpl'; did you mean 'mlp'"),
        (lambda: get_discriminator("dcgam", (3,)), "did you mean 'dcgan'"),
        (lambda: get_generator("mlp", 2, (3,), activation="rely"), "did you mean 'relu'"),
        (lambda: get_generator("mlp", 2, (3,), output="sigmoi"), "did you mean 'sigmoid'"),
        (lambda: get_generator("mlp", 2, (3,), dtype="bfloat61"), "did you mean 'bfloat16'"),
        (lambda: wu_decoder("wu20"), "unknown decoder 'wu20'"),
        (lambda: get_generator("mlp", 0, (3,)), "latent_dim needs whole numbers >= 1, not 0"),
        (lambda: get_generator("mlp", 2, (0,)), "dim needs whole numbers >= 1, not 0"),
        (lambda: mlp_generator(2, 3, widths=(8, -1)), "widths needs whole numbers >= 1, not -1"),
        (lambda: get_generator("wu10", 16, (3,)), "'wu10' has latent_dim 10, not 16"),
        (lambda: get_generator("linear", 2, (3,), output="tanh"), "'linear' has output 'linear'"),
        (lambda: get_discriminator("mlp", (3,), dropout=True), "'mlp' has dropout False"),
        (lambda: get_generator("dcgan", 2, (8, 8, 1)), "(28, 28, channels) or (32, 32, channels)"),
        (lambda: get_discriminator("dcgan", (784,)), "not (784,)"),
        (lambda: get_discriminator("dcgan", (28, 32, 1)), "not (28, 32, 1)"),
        (lambda: get_generator("dcgan", 2, (28, 28, 1), widths=(8, 8)), "not widths (8, 8)"),
        (lambda: linear_generator(2, 3, init=[[1.0, 2.0]]), "shape (2, 3), not (1, 2)"),
        (lambda: constant_generator(2, init=[1.0] * 3), "shape () or (2,), not (3,)"),
        (lambda: bilinear_discriminator(2, init=[1.0] * 3), "shape () or (2,), not (3,)"),
    ],
)
def test_what_is_refused_is_named_in_one_sentence(build, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        build()


def test_a_fixed_option_may_be_repeated():
    net = get_generator("wu10", 10, (4,), widths=(64, 256, 256, 1024), activation="tanh")
    assert net.smoothness == "smooth"
    assert get_generator("linear", 2, (3,), widths=(), output="linear").name == "linear"


def test_options_reach_the_network():
    net = get_generator("mlp", 2, (2, 3), widths=(5, 7), activation="softplus", output="sigmoid")
    assert (net.in_dim, net.feature_dim, net.out_dim) == (2, 7, 6)
    assert net.smoothness == "smooth"
    net = get_generator("dcgan", 2, (32, 32, 3), widths=(4,), activation="silu")
    assert (net.feature_dim, net.out_dim, net.smoothness) == (16, 3072, "smooth")
    assert get_discriminator("goodfellow2014", (9,)).uses_key
    assert not get_discriminator("goodfellow2014", (9,), dropout=False).uses_key


def test_names_are_listed():
    assert networks.generator_names() == (
        *("mlp", "residual", "linear", "goodfellow2014", "dcgan", "resnet", "wu10", "wu50"),
    )
    names = ("mlp", "residual", "goodfellow2014", "dcgan", "resnet")
    assert networks.discriminator_names() == names
