"""What is true of dE f/d(mean, scale, ...): a closed form, or a large independent sample."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from sigmaprop.estimators.estimation import estimate
from sigmaprop.gaussians import Gaussian
from sigmaprop.objectives import Objective

_LEVEL = 5.0
"""Standard errors by which pathwise and score function differ where f jumps."""


class KnownGradient(NamedTuple):
    """The exact gradient and the standard error of what stands for it.

    Attributes:
        gradient: Gaussian-shaped, float64.
        error: Gaussian-shaped standard errors; 0 for a closed form.
        source: "closed form", "pathwise" or "score_function".
    """

    gradient: Any
    error: Any
    source: str


def known_gradient(
    objective: Objective, gaussian: Gaussian, key: Array, num_samples: int
) -> KnownGradient:
    """The truth to judge estimators by.

    Where there is no closed form it is a sample of its own: antithetic pathwise, or, where that
    disagrees with the score function by more than 5 standard errors, the score function, which
    needs no smoothness. Its key must be independent of what is judged.
    """
    if objective.has_closed_form:
        return _closed_form(objective, gaussian)
    path, score = _both(objective, gaussian, key, num_samples)
    return score if _disagree(path, score) else path


def _closed_form(objective: Objective, gaussian: Gaussian) -> KnownGradient:
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), gaussian)
        gradient = jax.device_get(jax.jit(objective.smoothed_gradient)(wide))
    return KnownGradient(gradient, jax.tree.map(np.zeros_like, gradient), "closed form")


def _sampled(
    objective: Objective,
    gaussian: Gaussian,
    key: Array,
    num_samples: int,
    estimator: str,
    variate: str | None,
) -> KnownGradient:
    found = jax.jit(
        lambda g, k: estimate(
            objective,
            g,
            k,
            num_samples,
            estimator=estimator,
            noise="antithetic",
            control_variate=variate,
        )
    )(gaussian, key)
    wide = jax.tree.map(np.float64, jax.device_get((found.gradient, found.variance)))
    error = jax.tree.map(lambda leaf: np.sqrt(leaf / num_samples), wide[1])
    return KnownGradient(wide[0], error, estimator)


def jumps(objective: Objective, gaussian: Gaussian, key: Array, num_samples: int) -> bool:
    """Whether pathwise misses something: it differs from the score function by 5 errors."""
    return _disagree(*_both(objective, gaussian, key, num_samples))


def _both(
    objective: Objective, gaussian: Gaussian, key: Array, num_samples: int
) -> tuple[KnownGradient, KnownGradient]:
    """Pathwise and score function from the same antithetic draws."""
    return (
        _sampled(objective, gaussian, key, num_samples, "pathwise", None),
        _sampled(objective, gaussian, key, num_samples, "score_function", "leave_one_out"),
    )


def _disagree(path: KnownGradient, score: KnownGradient) -> bool:
    gaps = jax.tree.map(
        lambda p, s, ep, es: np.max(np.abs(p - s) / np.maximum(np.hypot(ep, es), 1e-300)),
        path.gradient,
        score.gradient,
        path.error,
        score.error,
    )
    return max(jax.tree.leaves(gaps)) > _LEVEL
