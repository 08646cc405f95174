"""Programs that `compile` does not know, lowered for a CPU, a GPU and a TPU at once."""

import jax
import jax.numpy as jnp
import pytest
from jax import export
from jax.sharding import NamedSharding, PartitionSpec

from sigmaprop import Diagonal, likelihood, meshes
from sigmaprop.comparison import cells
from sigmaprop.gaussians import Isotropic
from sigmaprop.generators import replicas

from .lowered import COLLECTIVE, PLATFORMS

REPLICAS, ROWS, LATENTS, DIM = 2, 3, 2, 4


def estimators() -> str:
    """Two Gaussians on two devices."""
    mesh = meshes.make(jax.devices()[:2])
    one = Diagonal(jnp.zeros(DIM), jnp.ones(DIM))
    setting = cells.Setting("score_function+leave_one_out", "antithetic", 8, 4)
    made = cells.program(lambda x: jnp.sum(jnp.sin(x)), one, setting, mesh)
    split = NamedSharding(mesh, PartitionSpec(meshes.BATCH))
    both = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct((2, *leaf.shape), leaf.dtype, sharding=split), one
    )
    key = jax.ShapeDtypeStruct((), jax.random.key(0).dtype)
    return lowered(made, both, key)


def likelihoods() -> str:
    """Annealed importance sampling of two decoders on two devices."""
    engine = replicas.engine(replicas.Model(lambda own: own, lambda own: own, ()), REPLICAS)
    assert engine.layout.mesh.size == 2

    def one(weights: jax.Array, scale: jax.Array, x: jax.Array, key: jax.Array) -> jax.Array:
        def decode(z: jax.Array) -> Isotropic:
            return Isotropic(weights @ z, scale)

        found = likelihood.ais(decode, x, key, latent_dim=LATENTS, num_chains=4, num_temperatures=5)
        return found.log_prob

    def made(weights: jax.Array, scale: jax.Array, x: jax.Array, key: jax.Array) -> jax.Array:
        return engine.map(one, weights, scale, x, key)

    weights = engine.described(jnp.zeros((REPLICAS, DIM, LATENTS)))
    scale = engine.described(jnp.ones(REPLICAS))
    return lowered(made, weights, scale, jnp.zeros((ROWS, DIM)), jax.random.key(0))


def lowered(function, *arguments) -> str:
    return str(export.export(jax.jit(function), platforms=PLATFORMS)(*arguments).mlir_module())


@pytest.mark.parametrize("made", [estimators, likelihoods])
def test_no_program_calls_the_host_or_another_device_or_computes_in_float64(made):
    text = made()
    assert "callback" not in text
    assert "f64" not in text
    assert COLLECTIVE.search(text) is None


def test_gaussians_on_two_devices_have_the_numbers_of_one():
    """But for the last bit of a variance: a sum of R squares is rounded R times at most."""
    gaussians = [Diagonal(jnp.arange(4.0), jnp.full(4, sigma)) for sigma in (0.5, 0.1, 0.02)]
    setting = cells.Setting("score_function+leave_one_out", "iid", 64, 8)

    def measured(devices):
        key = jax.random.key(3)
        return cells.measure(
            lambda x: jnp.sum(jnp.sin(x)), gaussians, setting, key, devices=devices
        )

    one, two = (measured(jax.devices()[:count]) for count in (1, 2))
    rtol = 64 * float(jnp.finfo(jnp.float32).eps)
    for name in ("gradient", "variance"):
        pairs = zip(*map(jax.tree.leaves, (getattr(one, name), getattr(two, name))), strict=True)
        for first, second in pairs:
            assert first.shape[:2] == (3, 8)
            assert abs(first - second).max() <= rtol * abs(first).max()
