"""A learned scale whose log is maximised by a proximal step instead of a gradient.

The gradient of log s is 1 / s, which no step length suits for all s; the proximal step has none to
suit, and never leaves s > 0. In a GAN whose generator is paid for its entropy,

    H(x) = H(x|z) + I(x; z),   H(x|z) = sum of log s over coordinates + a constant.

So log s is no gradient of H(x) but a part of it, which is larger: more noise says less of z, and
I(x; z) falls with s. The proximal step takes H(x|z), the gradient step the loss and I(x; z). The
gradient of H(x) at a sample is the negative score, E[(x - mu(z')) / s^2 | x] (see `entropy`), that
of H(x|z) is (x - mu(z)) / s^2 = eps / s, and that of I(x; z) what they differ in: it vanishes, draw
by draw, where x tells its z, as it does for small s, and there nothing is left of the gradient that
made small scales unstable.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from sigmaprop.generators.gan import GanSpec, Hypers
from sigmaprop.generators.observation import NoiseScale

ARMS = ("global", "per_pixel")
"""Those whose scale is a parameter itself, and has no factor beside it."""


def log_step(point: Float[Array, "*n"], step_size: Float[Array, ""]) -> Float[Array, "*n"]:
    """The l that minimises -log l + (l - point)^2 / (2 step_size) over l > 0.

    l = (a + sqrt(a^2 + 4 step_size)) / 2 with a the given point; a itself where it is >= 0 and the
    step 0.

    Args:
        point: after the gradient step on all but the log; of any sign.
        step_size: >= 0: the learning rate, times the weight of the log.

    Source: Domke 2020, "Provable smoothness guarantees for black-box variational inference", and
    Kim et al. 2023, "On the convergence of black-box variational inference",
    https://arxiv.org/abs/2305.15349, whose scale is that of an approximate posterior.
    """
    # Of a negative point the sum would cancel; the product of both roots is -step_size.
    root = 0.5 * (jnp.abs(point) + jnp.sqrt(point**2 + 4.0 * step_size))
    return jnp.where(point < 0, step_size / root, root)


def conditional_cotangent(
    hypers: Hypers, noise: NoiseScale, eps: Float[Array, "B D"]
) -> Float[Array, "B D"]:
    """What takes H(x|z) out of a loss that is paid for H(x): w eps / s, at the noise alone.

    A scale below the floor counts as it: that of arms without noise, whose weight is 0.
    """
    size = jnp.maximum(jnp.abs(noise.scale), hypers.noise.bounds.floor)
    return jax.lax.stop_gradient(hypers.entropy_weight * eps / size)


def moved(
    spec: GanSpec, hypers: Hypers, noise: dict[str, Array], rate: Float[Array, ""]
) -> dict[str, Array]:
    """The scales after the proximal step of the weight times H(x|z), before they are bounded.

    One number stands for the logs of all coordinates. What the replica does not use stays.
    """
    found = dict(noise)
    for name in ARMS:
        if name in noise:
            share = spec.observation.dim / noise[name].size
            own = jnp.where(hypers.noise.gates[name], rate * hypers.entropy_weight * share, 0.0)
            found[name] = log_step(noise[name], own)
    return found
