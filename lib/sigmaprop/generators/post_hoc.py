"""Noise that is fitted behind a finished mean: the arm post_hoc.

Its players train as those of the arm zero do. Where they are scored, the noise that suits
validation examples best is fitted to the mean, see `likelihood.refit_sigma`, and stands for a given
sigma from there on: samples, scores and decoders take it as they take that of the arm fixed.
"""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from sigmaprop import likelihood
from sigmaprop.generators import gan
from sigmaprop.generators.evaluation import generators
from sigmaprop.generators.gan import GanSpec, Hypers, State
from sigmaprop.generators.observation import Given

Family = Literal["isotropic", "diagonal"]


_COORDINATES = 1024
"""Of all rows of a fit together: its sigma has a relative standard error of some 1 / sqrt(2 n)."""
_FEWEST, _MOST = 16, 128
_STEPS, _STEPS_OF_MANY_LATENTS = 60, 200


class Effort(NamedTuple):
    """What a fit takes; see `likelihood.refit_sigma`.

    Attributes:
        num_steps: moves of all chains; None for 60 where x has at least twice as many coordinates
            as there are latents, else 200: a mean that can be anywhere explains what sigma should,
            and expectation-maximisation is slow.
        num_chains: of each example.
        num_leapfrog: steps of a move.
        num_rows: validation examples, the first of those that there are; None for as many as have
            1,024 coordinates together, 16 to 128.
    """

    num_steps: int | None = None
    num_chains: int = 1
    num_leapfrog: int = 5
    num_rows: int | None = None

    def steps(self, dim: int, latent_dim: int) -> int:
        """Moves behind a mean of Z latents and D coordinates."""
        enough = _STEPS if dim >= 2 * latent_dim else _STEPS_OF_MANY_LATENTS
        return enough if self.num_steps is None else self.num_steps

    def rows(self, dim: int) -> int:
        """Rows of examples of D coordinates."""
        enough = min(max(-(-_COORDINATES // dim), _FEWEST), _MOST)
        return enough if self.num_rows is None else self.num_rows


def fit(
    spec: GanSpec,
    state: State,
    hypers: Hypers,
    x: Float[Array, "N D"],
    t: Int[Array, ""],
    *,
    family: Family = "isotropic",
    effort: Effort | None = None,
) -> Float[Array, "W ..."]:
    """The noise that suits the examples best, behind the mean of each of the weights.

    Args:
        spec: what the replicas share.
        state: of one replica.
        hypers: of the replica; the draws of its stream "post_hoc" at step ``t`` move the chains.
        x: validation examples.
        t: step.
        family: one number, or one for each coordinate.
        effort: None for the default.

    Returns:
        Standard deviations in units of x, >= the floor of learned ones' default, .001: [W] or
        [W, D], in the order of `evaluation.WEIGHTS`.
    """
    effort = effort or Effort()
    key = jax.random.fold_in(gan.streams(hypers.key)["post_hoc"], t)

    def of_generator(network: dict) -> Array:
        return likelihood.refit_sigma(
            lambda z: spec.generator.apply(network, z[None]).mean[0],
            x[: effort.rows(x.shape[1])],
            key,
            latent_dim=spec.generator.in_dim,
            family=family,
            num_steps=effort.steps(x.shape[1], spec.generator.in_dim),
            num_chains=effort.num_chains,
            num_leapfrog=effort.num_leapfrog,
            prior=spec.latent,
        ).sigma

    return jnp.stack([of_generator(params.network) for params in generators(state)])


def by_weights(hypers: Hypers, sigmas: Float[Array, "W ..."] | None) -> list[Hypers] | None:
    """The replica with the noise fitted behind each of the weights; None where none is."""
    return None if sigmas is None else [with_sigma(hypers, sigma) for sigma in sigmas]


def with_sigma(hypers: Hypers, sigma: Float[Array, "..."]) -> Hypers:
    """The replica with this noise at every step, [] or [D]."""
    if sigma.ndim:
        return hypers._replace(noise=hypers.noise._replace(given=Given(sigma)))
    nothing = jnp.zeros_like(hypers.noise.schedule.kind)  # constant
    given = hypers.noise.schedule._replace(first=sigma, last=sigma, kind=nothing)
    return hypers._replace(noise=hypers.noise._replace(schedule=given))
