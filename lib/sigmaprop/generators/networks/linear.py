"""Linear networks and constants: those of which theory knows everything."""

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.nn.initializers import Initializer
from jaxtyping import Array
from numpy.typing import ArrayLike

from sigmaprop.generators.networks.base import (
    LECUN,
    GeneratorOutput,
    Network,
    check_positive,
    network,
)
from sigmaprop.generators.networks.mlp import build_discriminator, build_generator


class _Constant(nnx.Module):
    def __init__(self, value: np.ndarray):
        self.mean = nnx.Param(jnp.asarray(value))

    def __call__(self, z: Array) -> GeneratorOutput:
        mean = jnp.broadcast_to(self.mean[...], (z.shape[0], *self.mean.shape))
        return GeneratorOutput(mean, z)


def linear_generator(
    latent_dim: int,
    dim: int,
    *,
    use_bias: bool = True,
    init: ArrayLike | None = None,
    dtype: str = "float32",
) -> Network:
    """``mu(z) = z W + b``: with z standard normal, x is N(b, W'W + sigma^2 I).

    Args:
        latent_dim: Z.
        dim: D.
        use_bias: whether there is b; it begins at 0.
        init: where W begins, [Z, D]; by default LeCun's normal.
        dtype: in which the product is computed, "float32" or "bfloat16".

    Returns:
        A Network whose features are z.

    Raises:
        ValueError: ``init`` has another shape, or a size or dtype is unknown.
    """
    kernel_init = LECUN if init is None else _fixed(init, (latent_dim, dim))
    return build_generator(
        "linear", (latent_dim, dim), output_init=kernel_init, use_bias=use_bias, dtype=dtype
    )


def bilinear_discriminator(dim: int, *, init: ArrayLike = 1.0) -> Network:
    """``D(x) = x . psi``, that of the Dirac-GAN; the kernel [D, 1] is psi.

    Args:
        dim: D.
        init: where psi begins, [] or [D].

    Returns:
        A Network of one parameter array; it reads no key.

    Raises:
        ValueError: ``init`` has another shape, or ``dim`` is no size.

    Source: Mescheder, Geiger, Nowozin 2018, "Which training methods for GANs do actually
    converge?", definition 2.1.
    """
    check_positive("dim", dim)
    kernel_init = _fixed(_vector(init, dim)[:, None], (dim, 1))
    return build_discriminator("bilinear", (dim, 1), output_init=kernel_init, use_bias=False)


def constant_generator(dim: int, *, init: ArrayLike = 1.0, latent_dim: int = 1) -> Network:
    """``mu(z) = theta`` for every z, the generator of the Dirac-GAN.

    Args:
        dim: D.
        init: where theta begins, [] or [D], in units of x.
        latent_dim: Z, of the latents that it ignores.

    Returns:
        A Network of one parameter array, "mean" [D], whose features are z.

    Raises:
        ValueError: ``init`` has another shape, or a size is unknown.

    Source: Mescheder, Geiger, Nowozin 2018, definition 2.1.
    """
    check_positive("dim", dim)
    check_positive("latent_dim", latent_dim)
    theta = _vector(init, dim)
    return network(
        lambda rngs: _Constant(theta),
        name="constant",
        smoothness="smooth",
        in_dim=latent_dim,
        out_dim=dim,
        feature_dim=latent_dim,
    )


def _vector(value: ArrayLike, dim: int) -> np.ndarray:
    """``value`` [] or [D] as [D]."""
    value = np.asarray(value, np.float32)
    if value.shape not in ((), (dim,)):
        raise ValueError(f"init needs the shape () or ({dim},), not {value.shape}")
    return np.broadcast_to(value, (dim,)).copy()


def _fixed(value: ArrayLike, shape: tuple[int, ...]) -> Initializer:
    """An initializer that draws nothing."""
    value = np.asarray(value, np.float32)
    if value.shape != shape:
        raise ValueError(f"init needs the shape {shape}, not {value.shape}")

    def init(key, shape, dtype=jnp.float32, out_sharding=None):
        del key, shape, out_sharding
        return jnp.asarray(value, dtype)

    return init
