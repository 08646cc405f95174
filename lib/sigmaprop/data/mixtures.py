"""Mixtures of Gaussians in the plane, whose modes can be counted, and two spirals.

Source of the ring and the grid: Srivastava et al. 2017 (VEEGAN), section 4.1; Lin et al. 2018
    (PacGAN), section 4.1.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from sigmaprop.gaussians import Isotropic

from .dataset import Dataset, generator, synthetic
from .options import SYNTHETIC_ROWS, DataOptions

RING_STD, GRID_STD, SPIRALS_STD = 0.01, 0.05, 0.02
_TURNS = 1.5


class Mixture(NamedTuple):
    """Equal weights of N(means[k], std^2 I).

    Attributes:
        means: [K, D], in units of x.
        std: of every component and coordinate, [], in units of x, > 0.
    """

    means: Float[np.ndarray, "K D"]
    std: float

    def log_prob(self, x: Float[Array, " D"]) -> Float[Array, ""]:
        """Log density at ``x`` [D], in nats."""
        component = jax.vmap(lambda mean: Isotropic(mean, jnp.asarray(self.std)).log_prob(x))
        each = component(jnp.asarray(self.means, x.dtype))
        return jax.scipy.special.logsumexp(each) - jnp.log(float(len(self.means)))

    def sample(self, key: Key[Array, ""]) -> Float[Array, " D"]:
        """One draw, [D]."""
        key_component, key_noise = jax.random.split(key)
        component = jax.random.randint(key_component, (), 0, len(self.means))
        mean = jnp.asarray(self.means)[component]
        return Isotropic(mean, jnp.asarray(self.std)).sample(key_noise)


def ring(options: DataOptions) -> Dataset:
    """8 components on the circle of radius 1, the first at (1, 0)."""
    angle = 2.0 * np.pi * np.arange(8) / 8.0
    means = np.column_stack([np.cos(angle), np.sin(angle)])
    return _mixture("ring", means, options.std or RING_STD, options)


def grid(options: DataOptions) -> Dataset:
    """25 components at {-4, -2, 0, 2, 4}^2."""
    side = np.arange(-4.0, 5.0, 2.0)
    means = np.stack(np.meshgrid(side, side, indexing="ij"), axis=-1).reshape(-1, 2)
    return _mixture("grid", means, options.std or GRID_STD, options)


def spirals(options: DataOptions) -> Dataset:
    """Two arms of 1.5 turns from the origin to radius 1, thickened by Gaussian noise.

    The square root makes the points about equally dense along an arm.
    """
    rng = generator("spirals", "examples")
    num = sum(SYNTHETIC_ROWS)
    arm = rng.integers(2, size=num)
    radius = np.sqrt(rng.random(num))
    angle = np.pi * (2.0 * _TURNS * radius + arm)
    curve = radius[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    std = options.std or SPIRALS_STD
    x = curve + std * rng.standard_normal((num, 2))
    return synthetic("spirals", x, options.noise_std or 0.0, labels=arm, finest=std)


def _mixture(
    name: str, means: Float[np.ndarray, "K D"], std: float, options: DataOptions
) -> Dataset:
    """Draws of a mixture; its truth includes the noise that was asked for."""
    noise_std = options.noise_std or 0.0
    rng = generator(name, "examples")
    num = sum(SYNTHETIC_ROWS)
    component = rng.integers(len(means), size=num)
    x = means[component] + std * rng.standard_normal((num, means.shape[1]))
    truth = Mixture(means.astype(np.float32), float(np.hypot(std, noise_std)))
    return synthetic(name, x, noise_std, truth, component, finest=std)
