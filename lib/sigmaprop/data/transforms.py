"""What can be done to images before they are trained on. Arrays are float32 [N, D], rows flat."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

_ROWS_AT_ONCE = 8192


def resize(
    x: Float[np.ndarray, "N D"], shape: tuple[int, ...], side: int
) -> tuple[Float[np.ndarray, "N E"], tuple[int, ...]]:
    """Images of another side, by linear interpolation, antialiased: it never leaves their range.

    Args:
        x: flat images.
        shape: of one image, (H, W) or (H, W, C).
        side: new height and width in pixels.

    Returns:
        (the images, their new shape).
    """
    new = (side, side, *shape[2:])
    parts = []
    for start in range(0, len(x), _ROWS_AT_ONCE):
        images = x[start : start + _ROWS_AT_ONCE].reshape(-1, *shape)
        scaled = jax.image.resize(images, (len(images), *new), "linear", antialias=True)
        parts.append(np.asarray(scaled).reshape(len(images), -1))
    return np.concatenate(parts), new


def dequantise(
    x: Float[np.ndarray, "N D"], levels: int, rng: np.random.Generator
) -> Float[np.ndarray, "N D"]:
    """Grey levels spread over their bins: ``((L - 1) x + uniform[0, 1)) / L``, in [0, 1].

    Args:
        x: in [0, 1], where the levels are 0, 1/(L-1), ..., 1.
        levels: L, such as 256.
        rng: where the uniform draws come from.

    Source: Theis, van den Oord, Bethge 2016, "A note on the evaluation of generative models",
        section 3.1.
    """
    uniform = rng.random(x.shape, dtype=np.float32)
    return (np.float32(levels - 1) * x + uniform) / np.float32(levels)


def to_logit(x: Float[np.ndarray, "N D"], alpha: float) -> Float[np.ndarray, "N D"]:
    """``logit(alpha + (1 - 2 alpha) x)``; x in [0, 1], 0 < alpha < .5.

    Source: Dinh, Sohl-Dickstein, Bengio 2017, "Density estimation using Real NVP", section 4.1.
    """
    p = alpha + (1.0 - 2.0 * alpha) * x.astype(np.float64)
    return (np.log(p) - np.log1p(-p)).astype(np.float32)


def from_logit(y: Float[Array, "*batch D"], alpha: float) -> Float[Array, "*batch D"]:
    """The inverse of the logit map: ``(sigmoid(y) - alpha) / (1 - 2 alpha)``."""
    return (jax.nn.sigmoid(y) - alpha) / (1.0 - 2.0 * alpha)


def logit_log_det(y: Float[Array, " D"], alpha: float) -> Float[Array, ""]:
    """``log |dy/dx|`` of the logit map at its value ``y`` [D], in nats.

    Add it to the log density of y to have that of the pixels: log p(x) = log p(y) + log |dy/dx|.
    """
    each = jnp.log1p(-2.0 * alpha) + jax.nn.softplus(y) + jax.nn.softplus(-y)
    return jnp.sum(each)


def noise(
    num: int,
    shape: tuple[int, ...],
    std: float,
    length: float | None,
    rng: np.random.Generator,
) -> Float[np.ndarray, "num D"]:
    """Gaussian noise for flat images, with the covariance `noise_covariance`.

    Args:
        num: of images.
        shape: of one image, (H, W) or (H, W, C).
        std: of every pixel, in units of x.
        length: correlation length in pixels; None: white.
        rng: where the normal draws come from.
    """
    eps = rng.standard_normal((num, *shape), dtype=np.float32)
    if length is not None:
        rows, columns = (_root(size, length) for size in shape[:2])
        planes = np.moveaxis(eps.reshape(num, *shape[:2], -1), -1, 1)
        eps = np.moveaxis(rows @ planes @ columns.T, 1, -1)
    return np.float32(std) * eps.reshape(num, -1)


def noise_covariance(
    shape: tuple[int, ...], std: float, length: float | None
) -> Float[np.ndarray, "D D"]:
    """The exact covariance of `noise`.

    ``std^2 exp(-distance^2 / (2 length^2))`` between pixels of one channel, 0 between channels.

    Args:
        shape: of one image, (H, W) or (H, W, C), or (D,) if white.
        std: of every pixel, in units of x.
        length: correlation length in pixels; None: white.
    """
    if length is None:
        return std**2 * np.eye(int(np.prod(shape)))
    rows, columns = (_correlation(size, length) for size in shape[:2])
    channels = np.eye(int(np.prod(shape[2:])))
    return std**2 * np.kron(np.kron(rows, columns), channels)


def noise_factor(shape: tuple[int, ...], std: float, length: float) -> Float[np.ndarray, "D D"]:
    """F with F F' = `noise_covariance`: `noise` is F applied to standard normal draws.

    Args:
        shape: of one image, (H, W) or (H, W, C).
        std: of every pixel, in units of x.
        length: correlation length in pixels.
    """
    rows, columns = (_root(size, length) for size in shape[:2])
    channels = np.eye(int(np.prod(shape[2:])), dtype=np.float32)
    return np.float32(std) * np.kron(np.kron(rows, columns), channels)


def _correlation(size: int, length: float) -> Float[np.ndarray, "S S"]:
    """Correlations along one side."""
    pixel = np.arange(size)
    return np.exp(-0.5 * ((pixel[:, None] - pixel) / length) ** 2)


def _root(size: int, length: float) -> Float[np.ndarray, "S S"]:
    """R with R R' = the correlations, which are singular in floating point for a long length."""
    values, vectors = np.linalg.eigh(_correlation(size, length))
    return (vectors * np.sqrt(np.maximum(values, 0.0))).astype(np.float32)
