"""Strings and constants that are folded into random keys: renaming one would move every number.

The values are those of the first release; a replay of a run that is on somebody's disk needs them.
"""

import jax
import pytest
from sigmaprop.experiments.limit import run as limit

from sigmaprop.comparison import studies
from sigmaprop.data import dataset
from sigmaprop.generators import gan, vae
from sigmaprop.objectives import constants, get

STREAMS = {
    "init": (928981903, 3453687069),
    "data": (4146024105, 2718843009),
    "latent_discriminator": (2467461003, 3840466878),
    "latent_generator": (2285895361, 433833334),
    "noise_real": (1524306142, 1887795613),
    "noise_discriminator": (3792494674, 2909014575),
    "noise_generator": (2716826189, 292468403),
    "instance_discriminator": (2292653872, 931858003),
    "instance_generator": (823147153, 450340679),
    "dropout_discriminator": (3668660785, 652965180),
    "dropout_generator": (255289810, 156206175),
    "penalty": (2763346363, 124557586),
    "entropy": (4269503156, 1853354470),
    "evaluation": (2585633080, 2083471411),
    "data_generator": (1667805173, 2354410889),
    "noise_real_generator": (1274352978, 2659132216),
    "instance_real_generator": (2763999920, 494843597),
    "dropout_real_generator": (1813846702, 4002981608),
    "level_discriminator": (4010293437, 3894152807),
    "level_generator": (2248602118, 2382976166),
    "penalty_noise": (2389267240, 2066344551),
    "late_discriminator": (2468591620, 401796965),
    "late_generator": (2227522604, 1309393200),
    "post_hoc": (338253356, 2574708135),
}


STREAMS_OF_VAE = {
    "init": (3989841952, 942888756),
    "data": (2636944965, 3798527910),
    "posterior": (2914981055, 954773331),
    "evaluation": (2260755097, 361982126),
}


def words(key: jax.Array) -> tuple[int, ...]:
    return tuple(jax.random.key_data(key).tolist())


def test_streams_of_a_replica():
    found = gan.streams(jax.random.key(0))
    assert {name: words(key) for name, key in found.items()} == STREAMS


def test_streams_of_a_variational_autoencoder_are_its_own():
    found = vae.streams(jax.random.key(0))
    assert {name: words(key) for name, key in found.items()} == STREAMS_OF_VAE
    assert not set(STREAMS_OF_VAE.values()) & set(STREAMS.values())


@pytest.mark.parametrize(
    ("purpose", "known"),
    [
        ("noise", (3169318252, 2904863040)),
        ("reference", (1067803820, 1757892523)),
        ("picture", (3524478792, 227429614)),
    ],
)
def test_streams_of_an_objective(purpose, known):
    assert words(limit.stream(0, purpose, "sine")) == known


@pytest.mark.parametrize(
    ("names", "known"),
    [
        (("truth", "sine", "diagonal"), (1709832382, 1651134105)),
        (("noise", "sine"), (4027954848, 1975877163)),
        (("train",), (2561911289, 2218184944)),
    ],
)
def test_streams_of_a_study(names, known):
    assert words(studies.stream(jax.random.key(0), *names)) == known


def test_what_numpy_draws_by_name():
    def first(generator) -> list[int]:
        return generator.integers(2**32, size=2).tolist()

    assert first(constants.generator("cosine", "frequency")) == [593944143, 1295980893]
    assert first(dataset.generator("spirals", "examples")) == [4032951844, 1665764545]
    assert first(dataset.generator("own file", "split")) == [677699124, 3796233026]
    assert get("sine").point[:3].round(6).tolist() == [-1.032253, 0.888658, 0.401226]
