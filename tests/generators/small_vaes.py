"""Small variational autoencoders; their tests share them."""

from typing import Any

import jax
import jax.numpy as jnp

from sigmaprop.generators import networks, observation, optimizers, parameterisation, schedule, vae
from sigmaprop.generators.arms import VAE_ARMS
from sigmaprop.generators.observation import NoiseHypers, Observation

SIGMA = 0.3


def make(
    dim: int,
    latent_dim: int,
    arms: tuple[str, ...] = ("global",),
    *,
    widths: tuple[int, ...] = (),
    scale: str = "log",
    optimizer: str = "adam",
    sigma_optimizer: str = "adam",
    batch_size: int = 16,
    rank: int = 1,
    **options: Any,
) -> vae.VaeSpec:
    """A program for these arms; without hidden layers decoder and encoder are linear."""
    decoder = networks.get_generator(
        "mlp" if widths else "linear", latent_dim, (dim,), widths=widths or None
    )
    observed = Observation(
        dim,
        decoder.feature_dim,
        observation.components(arms),
        parameterisation.LIKELIHOOD_PARAMETERISATIONS[scale],
        rank,
    )
    return vae.VaeSpec(
        networks.mlp_encoder(dim, latent_dim, widths=widths),
        decoder,
        observed,
        optimizers.get(optimizer, b1=0.9, b2=0.999),
        optimizers.get(sigma_optimizer, b1=0.9, b2=0.999),
        batch_size,
        proximal=scale == "inverse",
        **options,
    )


def hypers(
    spec: vae.VaeSpec,
    arm: str = "global",
    seed: int = 0,
    *,
    sigma: float = SIGMA,
    rate: float = 1e-2,
    sigma_rate: float | None = None,
    floor: float = 1e-3,
    beta: float = 0.5,
    mean_sigma: float = 1.0,
) -> vae.VaeHypers:
    """A replica of an arm, whose sigma begins at, or is, ``sigma``."""
    given = {"one": 1.0, "sigma": sigma}.get(VAE_ARMS[arm].given, 0.0)
    gates = observation.gates(arm, spec.observation.components)
    return vae.VaeHypers(
        jax.random.fold_in(jax.random.key(0), seed),
        NoiseHypers(
            schedule.sigma_schedule("constant", given, given, 1),
            {name: jnp.asarray(gate) for name, gate in gates.items()},
            jnp.float32(sigma),
            parameterisation.Bounds(jnp.float32(floor), jnp.float32(10.0)),
        ),
        jnp.asarray(arm == "optimal"),
        vae.VaeRates(
            optimizers.rate(rate), optimizers.rate(rate if sigma_rate is None else sigma_rate)
        ),
        jnp.float32(beta),
        jnp.float32(mean_sigma),
    )
